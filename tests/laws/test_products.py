"""What holds of one product of any tile made of components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.cost.tile import mvm_cost, tile_area_mm2

from .strategies import component_cores, law

CORE = "analog_cores.a0"
PATHS = {
    "rows": (4, 300), "cols": (4, 300), "read.phases": (1, 9), "adc.bits": (4, 12), "dac.bits": (2, 12),
    "cost.supply_v": (0.45, 1.1), "cost.cell.read_v": (0.05, 1.0), "cost.row_pj": (0.0, 9.0),
    "cost.post_pj": (0.0, 9.0), "cost.column_pj": (0.0, 9.0), "cost.fixed_pj": (0.0, 99.0),
    "cost.settle_ns": (0.1, 99.0), "cost.post_ns": (0.0, 99.0),
}  # fmt: skip
"""Value below the core → the range it is drawn from; more of it never costs less energy or time."""


def two_values(data, path):
    low, high = PATHS[path]
    draw = (
        st.integers(low, high)
        if isinstance(low + high, int)
        else st.floats(low, high).map(lambda value: round(value, 6))
    )
    return np.array(sorted(data.draw(st.tuples(draw, draw), label=path)), dtype=float)


def varied(arch, path, values):
    return arch.with_values({f"{CORE}.{path}": values}).core("a0")


@law(60)
@given(component_cores(), st.data())
def test_more_bits_rows_columns_phases_or_voltage_never_cost_less(arch, data):
    cost = arch.core("a0").cost
    known = [p for p in PATHS if p != "cost.cell.read_v" or cost.cell.model == "resistive"]
    path = data.draw(st.sampled_from(known))
    core = varied(arch, path, two_values(data, path))
    product = mvm_cost(core)
    for figure in (product.energy_pj, product.latency_ns, tile_area_mm2(core)):
        first, second = np.broadcast_to(figure, 2)
        assert second >= first * (1 - 1e-12)


@law(30)
@given(component_cores(), st.integers(1, 40), st.integers(1, 40))
def test_more_converters_never_take_longer(arch, one, more):
    latency = mvm_cost(varied(arch, "adc.per_tile", np.array([one, one + more], dtype=float))).latency_ns
    assert latency[1] <= latency[0] * (1 + 1e-12)


@law(30)
@given(component_cores(), st.integers(1, 4), st.integers(1, 4))
def test_a_part_of_an_array_costs_no_more_than_the_whole(arch, rows, cols):
    core = arch.core("a0")
    whole, part = mvm_cost(core), mvm_cost(core, rows, cols)
    assert part.energy_pj <= whole.energy_pj * (1 + 1e-12)
    assert part.latency_ns <= whole.latency_ns * (1 + 1e-12)
    assert all(part.parts_pj[name] <= whole.parts_pj[name] * (1 + 1e-12) for name in whole.parts_pj)


@law(30)
@given(component_cores())
def test_parts_of_a_product_add_up_and_are_not_negative(arch):
    product = mvm_cost(arch.core("a0"))
    assert all(np.all(np.asarray(value) >= 0) for value in product.parts_pj.values())
    assert sum(product.parts_pj.values()) == pytest.approx(product.energy_pj, rel=1e-12)
    assert product.latency_ns > 0


@law(30)
@given(component_cores(), st.data())
def test_a_product_alone_equals_the_same_product_inside_a_sweep(arch, data):
    path = data.draw(st.sampled_from(["rows", "cols", "adc.bits", "read.phases", "cost.supply_v"]))
    values = two_values(data, path)
    many = mvm_cost(varied(arch, path, values))
    for i, value in enumerate(values):
        one = mvm_cost(varied(arch, path, value))
        assert np.broadcast_to(many.energy_pj, 2)[i] == pytest.approx(one.energy_pj, rel=1e-12)
        assert np.broadcast_to(many.latency_ns, 2)[i] == pytest.approx(one.latency_ns, rel=1e-12)
