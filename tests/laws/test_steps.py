"""What holds of every evaluation, whatever is designed: signs, sums, scaling, symmetry, one and many alike."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dse.commands.output import json_text
from dse.evaluation.points import evaluate_points
from dse.spec.link import Link
from dse.units import at_point

from .strategies import Design, designs, law, random_mapping

METRICS = ("energy_pj_per_token", "energy_pj_per_step", "latency_ns_per_step", "tokens_per_s", "area_mm2", "power_mw")
ENERGY_SUFFIXES = ("_pj", "_mw", "_pj_per_bit", "_pj_per_bit_hop", "_pj_per_cell")
ENERGY_KEYS = {"mean_conductance_usiemens", "per_bit_ff", "energy_scale"}


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def energies(result):
    return {part: float(value[0]) for part, value in result.energy_parts_pj.items()}


@law(40)
@given(designs())
def test_everything_is_finite_and_nothing_is_negative(design):
    result = design.result
    numbers = [*energies(result).values(), *(float(v[0]) for v in result.critical_ns.values())]
    numbers += [float(np.max(part.area_mm2)) for part in result.area]
    numbers += [float(np.max(moved)) for moved in result.traffic_bytes.values()]
    numbers += [float(result.counts.products), float(result.counts.additions)]
    assert all(math.isfinite(x) and x >= 0 for x in numbers)
    assert result.latency_ns_per_step > 0
    assert all(math.isfinite(getattr(result, name)) and getattr(result, name) >= 0 for name in METRICS)
    assert json.loads(json_text(result.to_dict()))


@law(40)
@given(designs())
def test_parts_add_up_to_totals(design):
    result = design.result
    assert sum(energies(result).values()) == close(result.energy_pj_per_step)
    for frame in (result.breakdown(), result.by_component, result.by_block):
        assert frame["energy_pj_per_token"].sum() == close(result.energy_pj_per_token)
    assert sum(float(v[0]) for v in result.critical_ns.values()) == close(result.latency_ns_per_step)
    assert result.area_frame()["area_mm2"].sum() == close(result.area_mm2)
    moved = sum(float(np.max(v)) for v in result.traffic_bytes.values())
    assert result.bytes_per_token["bytes_per_token"].sum() * result.tokens_per_step[0] == close(moved)
    assert result.power_mw * result.latency_ns_per_step == close(result.energy_pj_per_step)
    assert result.tokens_per_s * result.latency_ns_per_step == close(
        1e9 * result.tokens_per_step[0] * (1 - result.time_lost_fraction)
    )


@law()
@given(designs())
def test_the_critical_path_is_made_of_the_slowest_groups(design):
    # by hand: a stage takes its slowest group where groups run side by side, else the sum of all
    result = design.result
    total = sum(
        s.multiplicity * (max if s.side_by_side else sum)(at_point(g.total) for g in s.groups.values())
        for s in result.stages
    )
    assert result.latency_ns_per_step == close(total)


@law()
@given(designs())
def test_side_by_side_takes_no_longer_than_one_after_the_other(design):
    results = [
        evaluate_points(dataclasses.replace(design.arch, composition=composition), design.work, design.mapping)
        for composition in ("overlapped", "serial")
    ]
    side_by_side, serial = (result.latency_ns_per_step for result in results)
    slowest = sum(s.multiplicity * max(at_point(g.total) for g in s.groups.values()) for s in results[1].stages)
    assert slowest * (1 - 1e-12) <= side_by_side <= serial * (1 + 1e-12)


def step_axes(design):
    """Path of a value → the sign of what it does to the step time."""
    axes = {"scenario.batch": 1}
    axes["scenario.context_tokens" if design.work.scenario.phase == "decode" else "scenario.prompt_tokens"] = 1
    for memory in design.arch.memories:
        axes[f"memories.{memory.name}.bandwidth_bytes_per_ns"] = -1
    for unit in design.arch.digital_units:
        axes |= {f"digital_units.{unit.name}.peak_ops_per_ns.{kind}": -1 for kind in unit.peak_ops_per_ns}
        axes |= {f"digital_units.{unit.name}.utilisation.{kind}_fraction": -1 for kind in ("compute", "bandwidth")}
        axes |= {f"digital_units.{unit.name}.launch_ns": 1, f"digital_units.{unit.name}.units_per_die": -1}
    for core in design.arch.analog_cores:
        path = f"analog_cores.{core.name}"
        if design.arch.network_within(core.die) is None:  # more tiles are farther apart
            axes[f"{path}.tiles_per_die"] = -1
        if core.cost.model == "lumped":
            axes[f"{path}.cost.mvm.latency_ns"] = 1
        else:
            axes |= {f"{path}.cost.settle_ns": 1, f"{path}.read.phases": 1, f"{path}.adc.per_tile": -1}
    for link in design.arch.links:
        delay = "latency_ns" if isinstance(link, Link) else "hop_ns"
        axes |= {f"links.{link.name}.{delay}": 1, f"links.{link.name}.bandwidth_bytes_per_ns": -1}
    return axes


@law(40)
@given(designs(), st.data())
def test_step_time_never_moves_the_wrong_way(design, data):
    path = data.draw(st.sampled_from(sorted(axes := step_axes(design))))
    is_share = path.endswith("_fraction")
    low, factor = data.draw(st.floats(0.01, 0.5) if is_share else st.integers(1, 100)), data.draw(st.integers(2, 20))
    values = np.array([low, min(low * factor, 1.0) if is_share else low * factor], dtype=float)
    latency = design.changed({path: values}).latency_ns_per_step
    assert axes[path] * (latency[1] - latency[0]) >= -1e-9 * latency[0]


@law()
@given(designs(), st.integers(1, 500), st.integers(2, 9))
def test_a_larger_batch_moves_no_more_weights_per_token(design, batch, factor):
    result = design.changed({"scenario.batch": np.array([batch, batch * factor], dtype=float)})
    weights = sum(v for (_, what), v in result.traffic_bytes.items() if what != "KV cache") + np.zeros(2)
    per_token = weights / result.tokens_per_step
    assert weights[1] >= weights[0] * (1 - 1e-9)
    assert per_token[1] <= per_token[0] * (1 + 1e-9)


def scaled(node, factor, key=""):
    """What a file says, with every energy and power times a factor."""
    if isinstance(node, dict):
        return {k: scaled(v, factor, key if key == "op_pj" else k) for k, v in node.items()}
    if isinstance(node, list):
        return [scaled(entry, factor, key) for entry in node]
    return node * factor if key.endswith(ENERGY_SUFFIXES) or key in ENERGY_KEYS else node


@law()
@given(designs(), st.sampled_from([0.25, 2.0, 8.0]))
def test_scaling_every_energy_scales_the_result(design, factor):
    for core in design.architecture["analog_cores"]:
        adc = core["cost"].get("adc", {})
        assume(adc.get("model") != "sar_column")  # its energy has no value of its own to scale
        adc |= {"energy_scale": 1.0} if adc.get("model") == "survey" else {}
        dac = core["cost"].get("dac", {})
        dac |= {"per_bit_ff": 50.0} if dac.get("model") == "capacitive" else {}
    other = dataclasses.replace(design, architecture=scaled(design.architecture, factor))
    assert energies(other.result) == {part: close(factor * value) for part, value in energies(design.result).items()}
    assert other.result.latency_ns_per_step == design.result.latency_ns_per_step


@law()
@given(designs(uniform=True), st.integers(0, 99))
def test_permuting_the_experts_of_a_layer_changes_nothing_under_uniform_routing(design, seed):
    random, placement = np.random.default_rng(seed), dict(design.mapping.placement)
    for layer in design.work.model.expert_layers:
        names = [f"layers.{layer}.experts.{e}" for e in range(design.work.model.n_experts)]
        moved = random.permutation(names)
        placement |= {name: design.mapping.placement[other] for name, other in zip(names, moved, strict=True)}
    other = evaluate_points(design.arch, design.work, dataclasses.replace(design.mapping, placement=placement))
    assert energies(other) == {part: close(value) for part, value in energies(design.result).items()}
    assert other.latency_ns_per_step == close(design.result.latency_ns_per_step)


def with_idle_groups(document, n_tiles):
    """The same architecture with a group of each kind that nothing is placed on, on a die and memory of their own."""
    more = copy.deepcopy(document)
    for kind in ("analog_cores", "digital_units"):
        if more[kind]:
            more[kind].append(more[kind][0] | {"name": f"idle_{kind}", "die": "idle"})
    if more["analog_cores"]:
        more["analog_cores"][-1]["tiles_per_die"] = n_tiles
    more["digital_units"][-1]["memory"] = "idle_memory"
    more["memories"].append(more["memories"][0] | {"name": "idle_memory"})
    more["dies"].append({"name": "idle", "count": 1, "node_nm": 14, "fixed_area_mm2": 3})
    link = {"latency_ns": 7, "bandwidth_bytes_per_ns": 0.5, "energy_pj_per_bit": 2}
    more["links"].append({"from": "idle", "to": "digital"} | link)
    return more


@law()
@given(designs(), st.integers(1, 99))
def test_groups_that_hold_nothing_change_only_area_and_idle_energy(design, n_tiles):
    more = Design(with_idle_groups(design.architecture, n_tiles), design.workload, design.seed)
    result = evaluate_points(more.arch, more.work, design.mapping)
    before, after = energies(design.result), energies(result)
    added = {part: value for part, value in after.items() if part not in before}
    assert {part: after[part] for part in before} == {part: close(value) for part, value in before.items()}
    assert {part.component for part in added} <= {"idle", "drift refresh"}
    assert {part.group for part in added} <= {"idle_analog_cores", "idle_digital_units"}
    assert result.latency_ns_per_step == close(design.result.latency_ns_per_step)
    assert result.area_mm2 >= design.result.area_mm2 + 3 - 1e-9


def sweep_axes(design):
    """Values that may differ from point to point without another structure."""
    length = "scenario.context_tokens" if design.work.scenario.phase == "decode" else "scenario.prompt_tokens"
    axes = {"scenario.batch": (1, 8, 63), length: (1, 40, 2000), "dies.digital.count": (1, 1, 2)}
    for memory in design.arch.memories:
        axes[f"memories.{memory.name}.bandwidth_bytes_per_ns"] = (0.5, 20, 900)
    for core in design.arch.analog_cores:
        path = f"analog_cores.{core.name}"
        axes |= {f"{path}.{key}": (4, 9, 6) for key in ("rows", "cols", "tiles_per_die", "adc.bits", "dac.bits")}
        if core.idle is not None and not core.idle.is_gated:
            axes[f"{path}.idle.on_mw"] = (0.0, 1.5, 3.0)
        if core.program is not None:
            axes[f"{path}.program.pulse_ns"] = (10.0, 2000.0, 300.0)
    for link in design.arch.links:
        axes[f"links.{link.name}.bandwidth_bytes_per_ns"] = (0.5, 20.0, 3.0)
    for unit in design.arch.digital_units:
        axes[f"digital_units.{unit.name}.launch_ns"] = (0.0, 5.0, 400.0)
    return axes


@law(30)
@given(designs(), st.data())
def test_a_design_alone_equals_the_same_design_inside_a_sweep(design, data):
    axes = sweep_axes(design)
    chosen = data.draw(st.lists(st.sampled_from(sorted(axes)), min_size=1, max_size=5, unique=True))
    order = data.draw(st.permutations([0, 1, 2]))
    many = design.changed({path: np.array(axes[path], dtype=float)[order] for path in chosen})
    for i, point in enumerate(order):
        one = design.changed({path: float(axes[path][point]) for path in chosen})
        for name in METRICS:
            assert np.broadcast_to(getattr(many, name), 3)[i] == pytest.approx(getattr(one, name), rel=1e-12), name
        assert np.broadcast_to(many.binding, 3)[i] == one.binding
        for part, value in one.energy_parts_pj.items():
            assert np.broadcast_to(many.energy_parts_pj[part], 3)[i] == pytest.approx(value[0], rel=1e-12), part


@law()
@given(designs())
def test_reading_the_same_files_again_gives_the_same_design(design):
    again = Design(design.architecture, design.workload, design.seed)
    assert (again.arch.digest, again.work.digest) == (design.arch.digest, design.work.digest)
    assert random_mapping(again.arch, again.work, again.seed).placement == design.mapping.placement
    assert again.result.energy_pj_per_step == design.result.energy_pj_per_step
