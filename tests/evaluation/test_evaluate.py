import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse import cost_table, evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.errors import InfeasibleError, SpecError
from dse.evaluation.points import evaluate_points
from dse.spec.values import value_at

ALL_ANALOG = {"attention": "pcm", "router": "pcm"}


def mapped(arch, workload, rule="top_k_per_layer", fraction=0.25, **kwargs):
    return rule_mapping(arch, workload, score_blocks(workload), rule=rule, digital_fraction=fraction, **kwargs)


@pytest.fixture(scope="module")
def server():
    return load_architecture("server_pcm3d_lumped")


@pytest.fixture(scope="module")
def olmoe():
    return load_workload("olmoe")


def test_olmoe_all_analog_takes_4160_products_and_41_6_microjoules():
    # paper: arXiv 2603.02633 table 2 reports 23 949 tokens/J; 4 160 products of 10 nJ give 24 038
    arch, workload = load_architecture("chowdhury_arxiv_2026"), load_workload("olmoe_batch1")
    evaluation = evaluate(arch, workload, mapped(arch, workload, "all_analog", pins=ALL_ANALOG))
    document = evaluation.to_dict()
    assert document["mvm_per_token"] == 4160
    assert document["energy_pj_per_token_by_component"]["analog MVM"] == pytest.approx(41.6e6, rel=1e-12)


def test_flat_power_is_the_digital_unit_alone():
    arch, workload = load_architecture("h200_fp8"), load_workload("olmoe")
    evaluation = evaluate(arch, workload, mapped(arch, workload, "all_digital"))
    assert list(evaluation.by_component["component"]) == ["flat power"]
    assert evaluation.power_mw == pytest.approx(700_000)


POINTS = [
    # other program: IBM 3D-CiM-LLM-Inference-Simulator 0bef55f, KV-cached runs with 512 x 512 arrays
    (
        dict(n_layers=3, d_model=512, d_expert=2048, n_experts=1, top_k=1, router="none", vocab_size=1000),
        [11],
        429,
        176,
    ),
    (dict(n_layers=4, d_model=512, d_expert=1024, n_experts=8, top_k=2, vocab_size=1000), ["prefill", 3], 379, 147),
    (dict(n_layers=28, d_model=2048, d_expert=2112, n_experts=64, top_k=6, vocab_size=102400), [1], 9428, 7433),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "steps", "products", "additions"), POINTS)
def test_operation_counts_equal_the_3d_cim_simulator(tmp_path, shape, steps, products, additions):
    model = dict(name="m", n_heads=8, n_kv_heads=8, head_dim=shape["d_model"] // 8, ffn="two_matrix", **shape)
    arch = load_architecture("chowdhury_arxiv_2026", {"analog_cores.pcm.tiles_per_die": 200_000})
    found = np.zeros(2)
    for step in steps:
        scenario = (
            {"phase": "prefill", "batch": 1, "prompt_tokens": 4}
            if step == "prefill"
            else {"phase": "decode", "batch": step, "context_tokens": 1}
        )
        path = tmp_path / "w.yaml"
        path.write_text(json.dumps({"name": "w", "model": model, "counting": "ibm_3dcim", "scenario": scenario,
                                    "sensitivity": {"rule": "random"}}))  # fmt: skip
        workload = load_workload(path)
        pins = {"attention": "pcm", "head": "pcm"} | ({"router": "pcm"} if "router" not in shape else {})
        counts = evaluate_points(arch, workload, mapped(arch, workload, "all_analog", pins=pins)).counts
        found += [float(counts.products), float(counts.additions)]
    assert found.tolist() == [products, additions]


def test_parts_sum_to_totals(server, olmoe):
    evaluation = evaluate(server, olmoe, mapped(server, olmoe))
    total = evaluation.energy_pj_per_token
    assert evaluation.breakdown()["energy_pj_per_token"].sum() == pytest.approx(total, rel=1e-12)
    assert evaluation.by_component["energy_pj_per_token"].sum() == pytest.approx(total, rel=1e-12)
    assert evaluation.by_block["energy_pj_per_token"].sum() == pytest.approx(total, rel=1e-12)
    assert sum(float(v[0]) for v in evaluation.critical_ns.values()) == pytest.approx(evaluation.latency_ns_per_step)
    assert evaluation.area_frame()["area_mm2"].sum() == pytest.approx(evaluation.area_mm2)
    assert evaluation.power_mw == pytest.approx(evaluation.energy_pj_per_step / evaluation.latency_ns_per_step)


def test_serial_adds_what_overlapped_hides(olmoe):
    times = {}
    for composition in ("serial", "overlapped"):
        arch = load_architecture("server_pcm3d_lumped", {"composition": composition})
        evaluation = evaluate(arch, olmoe, mapped(arch, olmoe))
        frame = evaluation.stage_frame()
        times[composition] = evaluation.latency_ns_per_step
        experts = frame[frame["stage"] == "experts"]["time_ns_per_step"]
        others = frame[frame["stage"] != "experts"]["time_ns_per_step"].sum()
        expected = others + (experts.sum() if composition == "serial" else experts.max())
        assert evaluation.latency_ns_per_step == pytest.approx(expected)
    assert times["overlapped"] < times["serial"]


def test_a_mapping_that_does_not_fit_says_limit_need_and_have(olmoe, server):
    small = load_architecture("server_pcm3d_lumped", {"dies.analog.count": 2})
    with pytest.raises(InfeasibleError) as caught:
        evaluate(small, olmoe, mapped(server, olmoe))
    cause = caught.value.causes[0]
    assert (cause.limit, cause.need, cause.have) == ("capacity of pcm", 18432, 12800)


def test_power_limit_is_checked(server, olmoe):
    arch = load_architecture("server_pcm3d_lumped", {"limits.power_mw": 100})
    with pytest.raises(InfeasibleError, match=r"limits\.power_mw"):
        evaluate(arch, olmoe, mapped(server, olmoe))


def test_a_mapping_of_another_architecture_is_refused(olmoe, server):
    with pytest.raises(SpecError, match="does not offer"):
        evaluate(load_architecture("h200_fp8"), olmoe, mapped(server, olmoe))


def test_a_design_alone_equals_the_same_design_inside_a_sweep(server, olmoe):
    energies, batches = np.array([5e3, 1e4, 2e4]), np.array([1.0, 8.0, 128.0])
    mapping = mapped(server, olmoe)
    many = evaluate_points(
        server.with_values({"analog_cores.pcm.cost.mvm.energy_pj": energies}),
        olmoe.with_values({"scenario.batch": batches}),
        mapping,
    )
    for i in range(3):
        one = evaluate(
            load_architecture("server_pcm3d_lumped", {"analog_cores.pcm.cost.mvm.energy_pj": float(energies[i])}),
            load_workload("olmoe", [f"scenario.batch={int(batches[i])}"]),
            mapping,
        )
        for name in ("energy_pj_per_token", "latency_ns_per_step", "area_mm2", "tokens_per_s", "power_mw"):
            assert getattr(many, name)[i] == pytest.approx(getattr(one, name), rel=1e-12), name
        assert many.binding[i] == one.binding


def test_evaluate_takes_many_designs_at_once(server, olmoe):
    mapping = rule_mapping(server, olmoe, score_blocks(olmoe), digital_fraction=0.25)
    path, launches = "digital_units.npu.launch_ns", [2000.0, 4000.0]
    many = evaluate(server.with_values({path: launches}), olmoe, mapping)
    alone = [evaluate(server.with_values({path: one}), olmoe, mapping) for one in launches]
    for name in ("energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "tokens_per_j", "area_mm2", "power_mw"):
        assert getattr(many, name).tolist() == [getattr(one, name) for one in alone], name
    assert many.binding.tolist() == [one.binding for one in alone]
    assert many.by_component.equals(alone[0].by_component)
    assert many.ceiling is None
    tiles = "analog_cores.pcm.tiles_per_die"
    with pytest.raises(
        InfeasibleError, match=r"1 of 2 designs, design 1 the first \(counted from 0\)\n  capacity of pcm"
    ):
        evaluate(server.with_values({tiles: [value_at(server, tiles), 10]}), olmoe, mapping)


def test_the_ceiling_bounds_every_mapping(server, olmoe):
    for fraction in (0.0, 0.25, 1.0):
        ceiling = evaluate(server, olmoe, mapped(server, olmoe, fraction=fraction)).ceiling
        assert ceiling["speedup"] <= ceiling["speedup_limit"] + 1e-9
        assert ceiling["energy_gain"] <= ceiling["energy_gain_limit"] + 1e-9
    assert ceiling["speedup"] == pytest.approx(1.0)


def test_permuting_experts_changes_nothing(server):
    workload = load_workload("olmoe")
    mapping = mapped(server, workload)
    order = np.random.default_rng(3).permutation(64)
    moved = {
        name: mapping.placement[f"layers.{name.split('.')[1]}.experts.{order[int(name.split('.')[3])]}"]
        if ".experts." in name
        else option
        for name, option in mapping.placement.items()
    }
    other = dataclasses.replace(mapping, placement=moved)
    assert evaluate(server, workload, other).energy_pj_per_token == pytest.approx(
        evaluate(server, workload, mapping).energy_pj_per_token, rel=1e-12
    )


MONOTONE = [
    ("memories.hbm.bandwidth_bytes_per_ns", -1),
    ("analog_cores.pcm.cost.mvm.latency_ns", 1),
    ("links.analog-npu.latency_ns", 1),
    ("links.analog-npu.bandwidth_bytes_per_ns", -1),
    ("digital_units.npu.launch_ns", 1),
    ("digital_units.npu.peak_ops_per_ns.fp16", -1),
    ("scenario.batch", 1),
    ("scenario.context_tokens", 1),
]


@pytest.mark.parametrize(("path", "direction"), MONOTONE)
@settings(max_examples=20, deadline=None)
@given(low=st.integers(1, 2000), factor=st.floats(1.01, 50), fraction=st.sampled_from([0.0, 0.25, 1.0]))
def test_step_time_is_monotone(server, olmoe, path, direction, low, factor, fraction):
    values = np.array([low, np.ceil(low * factor)], dtype=float)
    is_workload = path.startswith("scenario")
    arch = server if is_workload else server.with_values({path: values})
    workload = olmoe.with_values({path: values}) if is_workload else olmoe
    latency = evaluate_points(arch, workload, mapped(server, olmoe, fraction=fraction)).latency_ns
    assert np.all(np.isfinite(latency))
    assert np.all(latency > 0)
    assert direction * (latency[1] - latency[0]) >= -1e-9 * latency[0]


def test_scaling_all_energies_scales_the_result(olmoe):
    paths = [
        "analog_cores.pcm.cost.mvm.energy_pj",
        "analog_cores.pcm.idle.on_mw",
        "digital_units.npu.energy.op_pj.fp16",
        "digital_units.npu.energy.op_pj.int8",
        "digital_units.npu.energy.idle_mw",
        "digital_units.npu.vector.op_pj",
        "memories.hbm.energy_pj_per_bit",
        "links.analog-npu.energy_pj_per_bit",
        "links.analog.energy_pj_per_bit_hop",
    ]
    base = load_architecture("server_pcm3d_lumped")
    tripled = base.with_values({path: 3 * value_at(base, path) for path in paths})
    mapping = mapped(base, olmoe)
    one, three = evaluate_points(base, olmoe, mapping), evaluate_points(tripled, olmoe, mapping)
    assert three.energy_pj_per_token == pytest.approx(3 * one.energy_pj_per_token, rel=1e-12)


def test_more_idle_tiles_change_only_area_and_idle_energy(server, olmoe):
    # without the mesh, whose ways grow with the die
    plain = dataclasses.replace(server, links=server.links[:1])
    bigger = plain.with_values({"analog_cores.pcm.tiles_per_die": 1600})
    mapping = mapped(plain, olmoe)
    one, two = evaluate(plain, olmoe, mapping), evaluate(bigger, olmoe, mapping)
    first, second = (dict(e.by_component.itertuples(index=False, name=None)) for e in (one, two))
    assert second["idle"] > first["idle"]
    assert two.area_mm2 > one.area_mm2
    assert {k: v for k, v in first.items() if k != "idle"} == pytest.approx(
        {k: v for k, v in second.items() if k != "idle"}
    )
    assert one.latency_ns_per_step == pytest.approx(two.latency_ns_per_step)


def test_cost_table_frame_lists_every_allowed_option(server, olmoe):
    frame = cost_table(server, olmoe).frame()
    assert set(frame["group"]) == {"pcm", "npu"}
    expert = frame[(frame["kind"] == "expert") & (frame["group"] == "pcm")].iloc[0]
    assert expert["units"] == 24
    assert expert["energy_pj_per_visit"] > 240_000  # by hand: 24 products of 10 nJ, plus links and partial sums


def test_a_mapping_of_a_larger_model_is_refused_though_it_places_every_block():
    arch, small = load_architecture("server_pcm3d_lumped"), load_workload("tiny_moe")
    olmoe = load_workload("olmoe")
    mapping = rule_mapping(arch, olmoe, score_blocks(olmoe), rule="all_analog")
    with pytest.raises(
        SpecError, match=r"the mapping places layers\.\S+, which tiny_moe has not; map this workload again"
    ):
        evaluate(arch, small, mapping)
