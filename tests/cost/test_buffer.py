"""The on-chip buffer and group scales of a digital unit, by hand, and the mapping program agrees with them."""

import dataclasses

import numpy as np
import pytest

from dse import cost_table, evaluate, load_architecture, load_workload, option_scores, score_blocks, solve_mapping
from dse.cost.buffer import BUFFER, dense_weights, live_activation_bytes
from dse.cost.option import dense_precision
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.formulas import UNKNOWN, energy_formula, time_formula
from dse.evaluation.points import evaluate_points
from dse.spec.architecture import Buffer
from dse.units import BITS


def with_unit(arch, **changes):
    """The architecture with other fields of its first digital unit."""
    first, *rest = arch.digital_units
    return dataclasses.replace(arch, digital_units=(dataclasses.replace(first, **changes), *rest))


def with_buffer(arch, **changes):
    buffer = Buffer(
        capacity_bytes=1e6, bandwidth_bytes_per_ns=50.0, read_pj_per_bit=0.5, write_pj_per_bit=0.75
    )  # fmt: skip
    return with_unit(arch, buffer=dataclasses.replace(buffer, **changes))


def of_kind(costs, kind, group):
    """Index of a class and its first allowed option on a group."""
    b = [c.kind for c in costs.classes].index(kind)
    return b, next(i for i, o in enumerate(costs.options) if o.group == group and costs.allowed[b, i])


@pytest.fixture
def tiny():
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe")
    return with_unit(arch, vector=None, buffer=None), workload, all_digital_mapping(arch, workload)


def test_activations_of_an_expert_pass_the_buffer(tiny):
    arch, workload, _ = tiny
    costs = cost_table(with_buffer(arch), workload)
    at = of_kind(costs, "expert", "dsp")
    d, inner = workload.model.d_model, workload.model.d_expert
    # by hand, activations of one byte: gate, up read d and write inner, down reads inner and writes d
    read, written = 2 * d + inner, 2 * inner + d
    assert costs.of(*at).visit_parts_pj["on-chip buffer"] == pytest.approx(read * 8 * 0.5 + written * 8 * 0.75)
    assert costs.of(*at).buffer_ns_per_visit == pytest.approx((read + written) / 50.0)
    assert costs.of(*at).held_ns_per_activation == 0
    assert costs.of(at[0], 0).buffer_ns_per_visit == 0  # on tiles


def test_held_dense_weights_are_read_on_chip_and_experts_from_memory(tiny):
    arch, workload, _ = tiny
    memory = arch.memories[0]
    dense = dense_weights(workload) * BITS[dense_precision(arch.digital_units[0], workload)] / 8
    live = live_activation_bytes(workload)
    without = cost_table(arch, workload)
    # by hand: room for a quarter of the dense weights beside the activations
    costs = cost_table(with_buffer(arch, capacity_bytes=dense / 4 + live, holds="dense"), workload)
    at, expert = of_kind(costs, "attention", "dsp"), of_kind(costs, "expert", "dsp")
    n_bytes = without.of(*at).bytes
    assert costs.of(*at).bytes == pytest.approx(0.75 * n_bytes)
    assert costs.of(*at).units == n_bytes  # memory keeps a copy
    assert costs.of(*at).fetch_ns_per_activation == pytest.approx(0.75 * without.of(*at).fetch_ns_per_activation)
    assert costs.of(*at).activation_parts_pj["weight memory"] == pytest.approx(
        0.75 * n_bytes * 8 * memory.energy_pj_per_bit
    )
    assert costs.of(*at).activation_parts_pj["on-chip buffer"] == pytest.approx(0.25 * n_bytes * 8 * 0.5)
    assert costs.of(*at).held_ns_per_activation == pytest.approx(0.25 * n_bytes / 50.0)
    assert costs.of(*expert).bytes == without.of(*expert).bytes


@pytest.mark.parametrize(("capacity", "share"), [(1.0, 0.0), (1e9, 1.0)])
def test_a_buffer_holds_nothing_beside_large_activations_and_at_most_everything(tiny, capacity, share):
    arch, workload, mapping = tiny
    before = evaluate_points(arch, workload, mapping)
    after = evaluate_points(with_buffer(arch, capacity_bytes=capacity, holds="dense"), workload, mapping)
    key = (arch.memories[0].name, "dense weights")
    assert after.traffic_bytes[key] == pytest.approx((1 - share) * before.traffic_bytes[key])
    assert after.traffic_bytes[key[0], "digital experts"] == before.traffic_bytes[key[0], "digital experts"]


def test_dense_weights_are_all_but_experts_and_embedding(tiny):
    workload = tiny[1]
    blocks = [b for b in workload.blocks if b.kind not in ("expert", "embedding")]
    assert dense_weights(workload) == sum(b.block_class.n_weights for b in blocks)
    model = dataclasses.replace(workload.model, n_dense_layers=2, d_dense_ffn=64, n_shared_experts=1, d_shared_expert=8)
    other = dataclasses.replace(workload, model=model)
    blocks = [b for b in other.blocks if b.kind not in ("expert", "embedding")]
    assert dense_weights(other) == sum(b.block_class.n_weights for b in blocks)


def test_a_slow_buffer_binds_and_is_named(tiny):
    arch, workload, mapping = tiny
    e = evaluate_points(with_buffer(arch, bandwidth_bytes_per_ns=1e-3), workload, mapping)
    assert e.binding == "dsp buffer"
    assert sum(e.critical_ns.values())[0] == pytest.approx(e.latency_ns[0])


def test_a_fast_buffer_changes_energy_only(tiny):
    arch, workload, mapping = tiny
    before = evaluate_points(arch, workload, mapping)
    after = evaluate_points(with_buffer(arch, bandwidth_bytes_per_ns=1e9), workload, mapping)
    assert after.latency_ns == pytest.approx(before.latency_ns)
    extra = sum(v for part, v in after.energy_parts_pj.items() if part.component == "on-chip buffer")
    assert after.energy_pj_per_step == pytest.approx(before.energy_pj_per_step + extra[0])


def test_power_of_a_flat_unit_covers_its_buffer():
    arch, workload = with_buffer(load_architecture("h200_fp8"), holds="dense"), load_workload("olmoe")
    e = evaluate_points(arch, workload, all_digital_mapping(arch, workload))
    assert "on-chip buffer" not in set(e.by_component["component"])


@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
def test_the_program_and_the_evaluation_agree_on_a_buffer_that_binds(tiny, composition):
    arch, workload = (
        dataclasses.replace(tiny[0], composition=composition, micro_batches=2 if composition == "pipelined" else None),
        tiny[1],
    )
    arch = with_buffer(arch, bandwidth_bytes_per_ns=2.0, holds="dense")
    scores = option_scores(score_blocks(workload, "random"), workload, arch)
    costs = cost_table(arch, workload)
    mapping = solve_mapping(
        costs, scores, workload, arch, objective="energy", limits={"max_sensitivity_share": 0.5}
    )  # fmt: skip
    assert mapping.bound <= mapping.value * (1 + 1e-9)
    e = evaluate(arch, workload, mapping)
    assert e.energy_pj_per_token == pytest.approx(mapping.value, rel=1e-2 if composition == "pipelined" else 1e-3)
    assert "dsp buffer" in set(e.stage_frame()["resource"])


def test_group_scales_of_int4_weights_take_their_bytes():
    arch = load_architecture("h200_fp8")
    workload = load_workload("olmoe")
    plain, scaled = cost_table(arch, workload), cost_table(with_unit(arch, int4_group=32.0), workload)
    b = [c.kind for c in plain.classes].index("expert")
    formats = [o.precision for o in plain.options]
    # by hand: 4 + 16 / 32 bits
    assert scaled.of(b, formats.index("int4")).bytes == 3 * 2048 * 1024 * 4.5 / 8
    assert scaled.of(b, formats.index("int4")).units == plain.of(b, formats.index("int4")).units * 4.5 / 4
    assert scaled.of(b, formats.index("fp8")).bytes == plain.of(b, formats.index("fp8")).bytes


def test_buffers_pass_arrays(tiny):
    arch, workload, mapping = tiny
    sizes = np.array([1.0, 4e5, 1e6])
    many = evaluate_points(with_buffer(arch, capacity_bytes=sizes, holds="dense"), workload, mapping)
    alone = [evaluate_points(with_buffer(arch, capacity_bytes=s, holds="dense"), workload, mapping) for s in sizes]
    assert many.energy_pj_per_token == pytest.approx([e.energy_pj_per_token for e in alone], rel=1e-12)


def test_the_buffer_can_be_opened_in_energy_and_time():
    assert energy_formula(BUFFER) != UNKNOWN
    assert time_formula("dsp buffer") != UNKNOWN
