"""Networks, hand-off, gating, refresh, spares, packages and warnings in an evaluation, worked by hand."""

import dataclasses
from math import comb

import numpy as np
import pytest
from two_layers import first_expert_analog, machine_text, placed, workload_of_two_layers

from dse import cost_table, evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.cost.warnings import architecture_warnings
from dse.errors import InfeasibleError
from dse.evaluation.points import evaluate_points
from dse.evaluation.source import sourced_breakdown
from dse.mapping.pack import pack
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores

MESH = "[{within: soc, topology: mesh, hop_ns: 1, bandwidth_bytes_per_ns: 4, energy_pj_per_bit_hop: 0.1}]"
PROGRAM = "{pulse_ns: 10, energy_pj_per_cell: 1, iterations: 5, endurance_cycles: 100%s}"
GATED = "{on_mw: 2, gated_mw: 0.5, wake_pj: 7, wake_ns: 3, gating: per_layer, wake: %s}"
SERIAL_NS = 328.0
"""Of tests/evaluation/test_evaluate.py, where one of two experts of each layer is analog."""


@pytest.fixture
def design(tmp_path):
    """Evaluates one token through two layers whose first expert is analog: 3 crossbars a layer."""

    def run(idle="{on_mw: 0}", program="null", links="[]"):
        given = {"idle": idle, "program": program}
        core = "\n".join(f"{key}: {value}" for key, value in given.items() if value != "null")
        text = machine_text(tiles_per_die=16, core=core, top=f"composition: serial\nlinks: {links}")
        (tmp_path / "a.yaml").write_text(text)
        workload = workload_of_two_layers(tmp_path)
        return evaluate(load_architecture(tmp_path / "a.yaml"), workload, first_expert_analog(workload))

    return run


def components(evaluation):
    return dict(evaluation.by_component.itertuples(index=False, name=None))


def test_a_mesh_adds_hops_and_the_load_of_its_busiest_link(design):
    evaluation = design(links=MESH)
    # by hand: 3 products, 4 inputs of 16 bits and 4 outputs of 8 bits each: 288 bits = 36 bytes a layer, 2.5 hops mean
    assert components(evaluation)["network"] == pytest.approx(2 * 288 * 2.5 * 0.1)
    # by hand: 2 depths there and back over 5 hops of 1 ns; half of 36 bytes over the busiest link at 4 byte/ns
    assert evaluation.latency_ns_per_step == pytest.approx(SERIAL_NS + 2 * (2 * 2 * 5 + 36 / 2 / 4))
    worst = evaluation.machine.worst_link
    assert worst.name.startswith("links.soc, ")
    assert worst.load_fraction == pytest.approx(2 * 4.5 / evaluation.latency_ns_per_step)


def test_no_link_is_busy_for_longer_than_the_run(tmp_path, design):
    design(links=MESH)
    arch = load_architecture(tmp_path / "a.yaml", {"links.soc.bandwidth_bytes_per_ns": 0.01})
    scenarios = (
        {"phase": "generate", "batch": 3, "prompt_tokens": 5, "new_tokens": 4},
        [{"name": "a", "weight": 1, "phase": "prefill", "batch": 2, "prompt_tokens": 7},
         {"name": "b", "weight": 5, "phase": "decode", "batch": 1, "context_tokens": 3}],
    )  # fmt: skip
    # by hand: 36 bytes of which half cross the busiest link, in 2 layers: 3 600 ns a token at 0.01 byte/ns;
    # a mix is the mean of its six steps
    for scenario, tokens in zip(scenarios, (3 * 5 + 3 * 4, (2 * 7 + 5 * 1) / 6), strict=True):
        workload = workload_of_two_layers(tmp_path, scenario)
        run = evaluate(arch, workload, first_expert_analog(workload))
        worst, whole = run.machine.worst_link, float(run.latency_ns[0])
        assert worst.load_fraction == pytest.approx(worst.busy_ns / whole)
        assert worst.load_fraction < 1
        assert worst.busy_ns / (3600 * tokens) == pytest.approx(1)


def test_the_network_of_digital_dies_is_among_the_links():
    workload = load_workload("kimi_k2")
    arch = load_architecture("rack_pcm3d_1t")
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    found = evaluate(arch, workload, mapping)
    worst = found.machine.worst_link
    assert worst.name == "links.npu-npu"
    assert worst.busy_ns == pytest.approx(float(found.critical_ns["npu exchange bandwidth"][0]))


def test_routers_take_area_where_it_is_stated(design):
    plain, routed = design(links=MESH), design(links=MESH.replace("hop_ns: 1", "hop_ns: 1, router_area_mm2: 0.15"))
    assert routed.area_mm2 - plain.area_mm2 == pytest.approx(16 * 0.15)  # by hand: one router a tile
    assert "soc network" in set(routed.area_frame()["part"])


def test_the_packed_mapping_names_the_busiest_link_of_the_mesh(tmp_path, design):
    design(links=MESH)
    arch, workload = load_architecture(tmp_path / "a.yaml"), load_workload(tmp_path / "w.yaml")
    mapping = pack(first_expert_analog(workload), arch, workload)
    # by hand: 6 slices on tiles 0 to 5 of a 4 x 4 mesh, the port at column 1: columns 2 and 3 of row 0 are 2 of 6
    # tiles, more than column 0 (tiles 0 and 4: 2 of 6) or tile 5 above the port; the first of equals is named
    worst = evaluate(arch, workload, mapping).machine.worst_link
    assert worst.name == "links.soc, row 0, column 1-2"
    assert worst.busy_ns == pytest.approx(2 * 36 / 3 / 4)


def all_analog_olmoe(changed):
    arch, workload = load_architecture("server_pcm3d", changed), load_workload("olmoe")
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    return arch, workload, mapping, pack(mapping, arch, workload)


def test_a_stage_waits_for_the_die_with_most_of_its_packed_slices():
    # a fast network, so that the links between dies bind; per layer the share of its 1 536 slices on the fullest of
    # four dies, counted in the table, in which every second layer is on two dies; all experts are equally likely
    arch, workload, mapping, packed = all_analog_olmoe({"links.analog.bandwidth_bytes_per_ns": 1e9})
    is_odd = packed.slices["block"].str.split(".").str[1].astype(int) % 2
    slices = packed.slices.assign(die=packed.slices["die"] % (4 - 2 * is_odd))
    packed = dataclasses.replace(packed, slices=slices)
    layer = slices["block"].str.split(".").str[1]
    fullest = slices.groupby([layer, "die"]).size().groupby(level=0).max() / 1536 * 4
    even, found = (float(evaluate(arch, workload, m).critical_ns["link bandwidth"][0]) for m in (mapping, packed))
    assert fullest.mean() == 1.5
    assert found / even == pytest.approx(fullest.mean())


@pytest.mark.parametrize("other", [{}, {"composition": "pipelined", "micro_batches": 4}])
def test_a_packed_mapping_on_one_of_four_dies_has_the_links_of_one(other):
    changed = {"links.analog.bandwidth_bytes_per_ns": 0.01, "composition": "serial"} | other
    arch, workload, mapping, packed = all_analog_olmoe({**changed, "analog_cores.pcm.tiers_per_tile": 32})
    assert set(packed.slices["die"]) == {0, 1, 2, 3}
    on_one = dataclasses.replace(packed, slices=packed.slices.assign(die=0))
    even, crowded = (evaluate(arch, workload, m) for m in (mapping, on_one))
    worst = crowded.machine.worst_link
    assert worst.load_fraction <= 1 + 1e-9
    assert worst.busy_ns / even.machine.worst_link.busy_ns == pytest.approx(4, rel=0.02)
    assert crowded.latency_ns_per_step / even.latency_ns_per_step == pytest.approx(4, rel=0.05)


def test_packed_designs_evaluate_alone_as_among_others():
    arch, workload, _, packed = all_analog_olmoe({"links.analog.bandwidth_bytes_per_ns": 1})
    sizes = {"analog_cores.pcm.tiles_per_die": np.array([800.0, 900.0, 600.0]), "analog_cores.pcm.rows": 512.0}
    many = evaluate_points(arch.with_values(sizes), workload, packed)
    for i, tiles in enumerate(sizes["analog_cores.pcm.tiles_per_die"]):
        one = evaluate_points(arch.with_values({"analog_cores.pcm.tiles_per_die": tiles}), workload, packed)
        assert many.latency_ns[i] == pytest.approx(one.latency_ns_per_step, rel=1e-12)
    assert len(set(many.latency_ns)) == 3


def test_gated_tiles_draw_power_only_while_their_layer_runs(design):
    evaluation = design(idle=GATED % "exposed")
    # by hand: 3 tiles of a layer wake in the experts stage, which lasts 48 + 20 + 3 ns
    assert evaluation.latency_ns_per_step == pytest.approx(SERIAL_NS + 2 * 3)
    assert components(evaluation)["wake-up"] == pytest.approx(2 * 3 * 7)
    assert components(evaluation)["tiles on"] == pytest.approx(2 * 3 * 71 * 2)
    assert components(evaluation)["idle"] == pytest.approx((16 * (SERIAL_NS + 6) - 2 * 3 * 71) * 0.5)
    assert evaluation.critical_ns["tile wake-up"][0] == 6
    hidden = design(idle=GATED % "hidden")
    assert hidden.latency_ns_per_step == pytest.approx(SERIAL_NS)
    assert components(hidden)["tiles on"] == pytest.approx(2 * 3 * 68 * 2)
    # by hand: the router before the experts takes 8 ns, so that they wait for 12 of 20 ns
    late = design(idle=(GATED % "hidden").replace("wake_ns: 3", "wake_ns: 20"))
    assert late.latency_ns_per_step == pytest.approx(SERIAL_NS + 2 * 12)
    assert late.critical_ns["tile wake-up"][0] == pytest.approx(24)


def test_idle_energy_is_linear_in_the_time_of_a_step():
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    slow = arch.with_values({"memories.hbm.bandwidth_bytes_per_ns": np.array([1200.0, 600.0, 100.0, 10.0])})
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    evaluation = evaluate_points(slow, workload, mapping)
    idle = sum(energy for part, energy in evaluation.energy_parts_pj.items() if part.component == "idle")
    # by hand: 3 200 tiles of 0.2 mW and one unit of 20 W
    assert idle == pytest.approx((3200 * 0.2 + 20000) * evaluation.latency_ns_per_step)


def test_refresh_costs_energy_and_time_by_hand(design):
    evaluation = design(program=PROGRAM % ", refresh_interval_s: 1.0e-6")
    # by hand: 16 crossbars on 16 tiles at once: 4 rows x 5 pulses x 10 ns = 200 ns of every 1 000
    assert evaluation.time_lost_fraction == pytest.approx(0.2)
    assert evaluation.tokens_per_s == pytest.approx(0.8 * 1e9 / SERIAL_NS)
    # by hand: 16 x 16 weights x 2 devices x 5 pulses x 1 pJ = 2 560 pJ in every 800 ns of serving
    assert components(evaluation)["drift refresh"] == pytest.approx(2560 / 800 * SERIAL_NS)
    group = evaluation.machine.programming[0]
    # by hand: the mapping fills 6 of the 16 crossbars; 5 of 100 pulses go with each programming, so 20 of them
    assert (group.crossbars, group.time_ns, group.bound_by) == (6, 200, "pulses")
    assert group.energy_pj == pytest.approx(6 * 16 * 2 * 5)
    assert (group.endurance_fraction, group.lifetime_s) == pytest.approx((0.05, 20e-6))


def test_programming_is_limited_by_power_and_by_the_network(design):
    # by hand: 960 pJ at 2 mW; 6 x 16 bytes, half of them over the busiest link at 4 byte/ns
    group = design(program=PROGRAM % ", power_mw: 2", links=MESH).machine.programming[0]
    assert (group.time_ns, group.bound_by) == (480, "power")
    slow = MESH.replace("bytes_per_ns: 4", "bytes_per_ns: 0.01")
    group = design(program=PROGRAM % "", links=slow).machine.programming[0]
    assert (group.time_ns, group.bound_by) == (96 / 2 / 0.01, "network")


def test_a_refresh_that_never_ends_is_infeasible(design):
    with pytest.raises(InfeasibleError, match="drift refresh of pcm") as caught:
        design(program=PROGRAM % ", refresh_interval_s: 1.0e-7")
    assert caught.value.causes[0].need == pytest.approx(2.0)


def test_spare_tiles_take_area_and_idle_power_but_hold_nothing():
    plain = load_architecture("server_pcm3d")
    spare = plain.with_values({"analog_cores.pcm.spare_fraction": 0.02})
    workload = load_workload("olmoe")
    assert float(cost_table(spare, workload).capacity_units["pcm"][0]) == 4 * 784 * 8  # by hand: 16 of 800 are spare
    mapping = rule_mapping(plain, workload, score_blocks(workload), rule="all_analog")
    first, second = (evaluate(arch, workload, mapping) for arch in (plain, spare))
    assert first.area_mm2 == second.area_mm2
    idle = [e.breakdown().query("component == 'idle' and group == 'pcm'").iloc[0, 3] for e in (first, second)]
    assert idle[1] / idle[0] == pytest.approx(second.latency_ns_per_step / first.latency_ns_per_step)
    packed = pack(mapping, spare, workload)
    assert packed.slices["tile"].max() == 783  # by hand: round the 784 tiles of a die, of which there are 800


def test_packed_experts_of_a_token_are_spread_over_the_dies():
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    mapping = pack(rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"), arch, workload)
    spread = evaluate(arch, workload, mapping).machine.spreads[0]
    assert spread.at_random == pytest.approx(4 * (1 - 0.75**8))
    # closed form: 16 of 64 experts on each of four dies, eight different ones chosen
    assert spread.packed == pytest.approx(4 * (1 - comb(48, 8) / comb(64, 8)))


def test_dies_packages_and_wafers():
    arch = load_architecture("server_pcm3d").with_values(
        {"dies.analog.count": 400, "packaging.dies_per_package": 5, "packaging.defects_per_cm2": 0.1}
    )
    workload = load_workload("olmoe")
    found = evaluate(
        arch, workload, rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    ).machine.to_dict()["package"]
    analog = next(die for die in found["dies"] if die["name"] == "analog")
    assert (analog["count"], analog["area_mm2"], found["packages"]) == (400, 820, 81)
    # by hand: 70 685.8 / 820 - 942.48 / 40.497 = 62.9; A D = 0.82, ((1 - exp(-0.82)) / 0.82)^2 = 0.4657
    assert analog["dies_per_wafer"] == 62
    assert analog["wafers"] == pytest.approx(400 / (62 * 0.4657), rel=1e-3)


HARDWARE = {
    "links.analog-npu.broadcast": True,
    "links.analog-npu.add_pj": 0.1,
    "links.analog-npu.reduce": "die",
    "analog_cores.pcm.idle.gated_mw": 0.01,
    "analog_cores.pcm.idle.wake_pj": 500.0,
    "analog_cores.pcm.idle.wake_ns": 100.0,
    "analog_cores.pcm.idle.gating": "per_layer",
}


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"analog_cores.pcm.idle.gating": "none"},
        {"composition": "pipelined", "micro_batches": 4},
        {"analog_cores.pcm.idle.wake": "hidden", "composition": "serial"},
    ],
)
def test_the_program_never_promises_more_than_the_evaluation_finds(other):
    workload = load_workload("olmoe")
    changed = HARDWARE | other
    arch = load_architecture("server_pcm3d", changed)
    costs, options = cost_table(arch, workload), option_scores(score_blocks(workload), workload, arch)
    limits = {"max_sensitivity_share": 0.3}
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", limits=limits, gap=1e-3)
    full = evaluate(arch, workload, mapping).energy_pj_per_token
    assert mapping.value <= full * (1 + 1e-9)
    assert mapping.value == pytest.approx(full, rel=0.01)


def test_broadcast_and_adders_on_the_die_move_fewer_bytes():
    workload = load_workload("olmoe")
    base = load_architecture("server_pcm3d")
    shared = load_architecture("server_pcm3d", {path: HARDWARE[path] for path in list(HARDWARE)[:3]})
    mapping = rule_mapping(base, workload, score_blocks(workload), rule="all_analog")
    first, second = (components(evaluate(arch, workload, mapping)) for arch in (base, shared))
    # by hand, bytes of a visit, 8-bit words: alone 2 048 + 1 024 in, 4 x 2 048 + 2 x 2 048 out; shared 3.5995 / 8 of
    # 2 048 in and 2 048 out, and 1 024 in, 2 x 1 024 out between the matrices
    share = 4 * (1 - 0.75**8) / 8
    assert second["links"] / first["links"] == pytest.approx((share * 4096 + 3072) / 15360)
    assert "die sums" in second
    assert "partial sums" not in second


def test_every_part_of_the_energy_rests_on_a_stated_value(design, tmp_path):
    evaluation = design(idle=GATED % "exposed", program=PROGRAM % ", refresh_interval_s: 1", links=MESH)
    frame = sourced_breakdown(load_architecture(tmp_path / "a.yaml"), evaluation)
    paths = dict(zip(frame["component"], frame["path"], strict=True))
    assert paths["network"] == "links.soc.energy_pj_per_bit_hop"
    assert paths["tiles on"] == "analog_cores.pcm.idle.on_mw"
    assert paths["wake-up"] == "analog_cores.pcm.idle.wake_pj"
    assert paths["drift refresh"] == "analog_cores.pcm.program.energy_pj_per_cell"
    assert set(frame.loc[frame["group"] == "pcm", "file"]) == {str(tmp_path / "a.yaml")}


def test_fewer_analog_experts_share_less_and_packed_ones_share_what_their_slices_give():
    workload, shared = load_workload("olmoe"), {path: HARDWARE[path] for path in list(HARDWARE)[:3]}
    arch = load_architecture("server_pcm3d", shared)
    half = rule_mapping(arch, workload, score_blocks(workload), rule="top_k_per_layer", digital_fraction=0.5)
    found = evaluate(arch, workload, half)
    spread = found.machine.spreads[0]
    # by hand: each of 8 choices is analog with chance 1/2 and then on a given die with 1/8: 4 (1 - (7/8)^8) = 2.626
    assert (spread.experts_per_token, spread.at_random) == (pytest.approx(4), pytest.approx(4 * (1 - 0.875**8)))

    def link_pj(dies):  # by hand: as for all analog, for 4 experts a token in 16 layers, 8-bit words at 0.5 pJ/bit
        return 16 * 4 * (dies / 4 * 4096 + 3072) * 8 * 0.5

    assert components(found)["links"] == pytest.approx(link_pj(spread.at_random))
    packed = evaluate(arch, workload, pack(half, arch, workload))
    assert packed.machine.spreads[0].packed > spread.at_random  # half of the experts of a layer, evenly on the dies
    assert components(packed)["links"] == pytest.approx(link_pj(packed.machine.spreads[0].packed))


def test_missing_idle_power_of_many_tiles_is_warned_of(design, tmp_path):
    assert design(idle="null").machine.warnings == ()
    text = (tmp_path / "a.yaml").read_text().replace("tiles_per_die: 16", "tiles_per_die: 1001")
    (tmp_path / "a.yaml").write_text(text)
    arch, workload = load_architecture(tmp_path / "a.yaml"), load_workload(tmp_path / "w.yaml")
    found = evaluate(arch, workload, placed(workload, lambda block: False))
    (warning,) = found.to_dict()["warnings"]
    assert warning.startswith("analog_cores.pcm.idle is left out, so that 1001 tiles draw no power")


def test_a_format_of_weights_that_a_unit_does_not_store_is_warned_of():
    arch = load_architecture("h200_fp8")
    for wanted, n in (("int8", 1), ("fp8", 0)):
        workload = load_workload("tiny_moe", {"scenario.precision.weights": wanted})
        warnings = evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload))).machine.warnings
        assert len(warnings) == n
        assert all("gpu stores no int8 weights" in said and "dense blocks are fp16" in said for said in warnings)


def test_energy_beyond_the_stated_boundary_is_warned_of():
    workload = load_workload("olmoe")
    arch = load_architecture("server_pcm3d", {"energy_boundary": "die"})
    found = evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"))
    parts = components(found)
    share = sum(parts[name] for name in ("weight memory", "KV cache", "links")) / sum(parts.values())
    assert found.machine.warnings == (
        f"energy_boundary: die leaves out memories and links between dies, but {100 * share:.3g} % of the energy "
        "counted here is theirs; write energy_boundary: package",
    )


def test_published_figures_that_the_free_parameters_cannot_meet_together_are_warned_of():
    # half the rows at twice the energy: no energy per row and per product that are not negative give both
    point = {
        "rows": 256,
        "cols": 256,
        "cols_used": 256,
        "tiers_per_tile": 1,
        "adc_per_tile": 256,
        "evidence": "derived",
    }
    points = [point | {"rows_driven": 256, "energy_pj": 13430}, point | {"rows_driven": 128, "energy_pj": 26860}]
    cost = "analog_cores.pcm.cost"
    said = {f"{cost}.calibration": points, f"{cost}.free": {"energy": ["row", "fixed"]}}
    low, high = architecture_warnings(load_architecture("server_pcm3d", said | {f"{cost}.band_factor": 1.05}))
    assert low.startswith("analog_cores.pcm.cost.calibration[0]: the calibrated energy_pj is +")
    assert high.startswith("analog_cores.pcm.cost.calibration[1]: the calibrated energy_pj is -")
    assert "its points contradict what is free (cost.free); free another parameter, or leave the point out" in high
    assert architecture_warnings(load_architecture("server_pcm3d", said | {f"{cost}.band_factor": 3})) == ()


def test_a_die_above_the_reticle_and_a_hot_die_are_warned_of_by_name():
    workload = load_workload("olmoe")
    large = load_architecture("server_pcm3d", {"dies.analog.fixed_area_mm2": 60})
    mapping = rule_mapping(large, workload, score_blocks(workload), rule="all_analog")
    assert evaluate(large, workload, mapping).machine.warnings == (
        "die analog has 860 mm², above the 858 mm² of a reticle; spread it over 2 dies (dies.analog.count) or more",
    )
    hot = load_architecture("server_pcm3d", {"digital_units.npu.energy.idle_mw": 300000, "limits.power_mw": 1e9})
    (warning,) = evaluate(hot, workload, mapping).machine.warnings
    assert warning.startswith("die npu spends 1.")
