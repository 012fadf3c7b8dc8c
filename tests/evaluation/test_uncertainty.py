import dataclasses

import numpy as np
import pytest

from dse import evaluate, load_architecture, load_workload, rule_mapping, score_blocks, uncertainty
from dse.cost.band import AT_A_POINT, UNCALIBRATED, band_factor
from dse.cost.crossbar_components import COMPONENTS
from dse.cost.tile import tile_of
from dse.errors import SpecError
from dse.evaluation.spreads import METRICS
from dse.report.uncertainty_text import uncertainty_text


def design(architecture="server_pcm3d_lumped", workload="olmoe", fraction=0.25, overrides=None):
    arch, loaded = load_architecture(architecture, overrides or {}), load_workload(workload)
    return (
        arch,
        loaded,
        rule_mapping(arch, loaded, score_blocks(loaded), rule="top_k_per_layer", digital_fraction=fraction),
    )


def with_spreads(arch, spreads):
    origins = {
        path: dataclasses.replace(origin, spread_fraction=spreads.get(path)) for path, origin in arch.provenance.items()
    }
    return dataclasses.replace(arch, provenance=origins)


@pytest.fixture(scope="module")
def server():
    return design()


def test_a_single_proportional_input_gives_its_own_law(server):
    # by hand: all area of the tiles is proportional to the area of one, 3 200 of 3 540 mm²; 95 % of a log-normal law
    arch, workload, mapping = server
    arch = with_spreads(arch, {"analog_cores.pcm.cost.tile_area_mm2": 0.5})
    found = uncertainty(arch, workload, mapping, n_samples=20_000)
    low, high = found.interval("area_mm2")
    assert low == pytest.approx(340 + 3200 / 1.5, rel=1e-3)
    assert high == pytest.approx(340 + 3200 * 1.5, rel=1e-3)
    assert found.extremes["area_mm2"] == pytest.approx((340 + 3200 / 1.5, 340 + 3200 * 1.5))


def test_an_interval_of_one_input_is_not_wider_than_what_is_possible_at_most():
    # the area of server_pcm3d follows one band, so noise of the samples alone could carry the interval past its ends
    for seed in range(5):
        found = uncertainty(*design("server_pcm3d"), seed=seed)
        low, high = found.extremes["area_mm2"]
        assert low <= found.interval("area_mm2")[0] <= 1.005 * low
        assert 0.995 * high <= found.interval("area_mm2")[1] <= high


def test_an_input_used_in_many_places_is_one_draw(server):
    # by hand: every part that the memory price touches moves with it, so the spread of the sum is that of one factor
    arch, workload, mapping = server
    arch = with_spreads(arch, {"memories.hbm.energy_pj_per_bit": 0.3})
    found = uncertainty(arch, workload, mapping, n_samples=20_000)
    evaluation = evaluate(arch, workload, mapping)
    touched = evaluation.by_component.set_index("component")["energy_pj_per_token"][["weight memory", "KV cache"]].sum()
    rest = evaluation.energy_pj_per_token - touched
    assert found.interval("energy_pj_per_token") == pytest.approx(
        (rest + touched / 1.3, rest + 1.3 * touched), rel=0.01
    )


def test_no_spread_gives_no_interval(server):
    arch, workload, mapping = server
    found = uncertainty(with_spreads(arch, {}), workload, mapping, n_samples=16)
    for metric in METRICS:
        assert found.interval(metric) == pytest.approx((found.nominal[metric],) * 2)
        assert found.extremes[metric] == pytest.approx((found.nominal[metric],) * 2)
    assert found.tornado.empty


def test_a_mix_of_scenarios_has_intervals_and_a_tornado_too(server):
    arch, _, mapping = server
    mix = [
        {"phase": "decode", "batch": 4, "weight": 3},
        {"phase": "prefill", "batch": 1, "prompt_tokens": 64},
    ]
    mixed = load_workload("olmoe", {"scenario": mix})
    found = uncertainty(arch, mixed, mapping, n_samples=64)
    assert found.nominal["tokens_per_s"] == pytest.approx(evaluate(arch, mixed, mapping).tokens_per_s, rel=1e-12)
    low, high = found.interval("energy_pj_per_token")
    assert low < found.nominal["energy_pj_per_token"] < high
    assert not found.tornado.empty


def test_the_ends_hold_the_interval_and_the_nominal_value(server):
    found = uncertainty(*server)
    for metric in METRICS:
        low, high = found.extremes[metric]
        assert low <= found.nominal[metric] <= high
        assert found.samples[metric].between(0, np.inf).all()


def test_an_input_that_another_hides_counts_where_the_other_may_be_off_too():
    # by hand: reading takes longer than computing, so computing alone at either end of its spread changes
    # nothing; with a memory a thousand times as fast it is what the step waits for
    launches = {"digital_units.gpu.launch_ns": 0, "digital_units.gpu.vector.launch_ns": 0}
    arch, workload = load_architecture("h200_fp8", launches), load_workload("olmoe_batch1")
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_digital", digital_fraction=1.0)
    compute, memory = "digital_units.gpu.peak_ops_per_ns.fp16", "memories.hbm.bandwidth_bytes_per_ns"
    one, both = (
        uncertainty(with_spreads(arch, spreads), workload, mapping, n_samples=256)
        for spreads in ({memory: 999.0}, {memory: 999.0, compute: 9.0})
    )
    assert [spread.path for spread in both.spreads] == [compute, memory]
    assert set(both.tornado[both.tornado["metric"] == "latency_ns_per_step"]["path"]) == {memory}
    fast_memory = evaluate(arch.with_values({memory: 4.8e6}), workload, mapping)
    all_fast = evaluate(arch.with_values({memory: 4.8e6, compute: 9.89e6}), workload, mapping)
    assert one.extremes["latency_ns_per_step"][0] == pytest.approx(fast_memory.latency_ns_per_step)
    assert both.extremes["latency_ns_per_step"][0] == pytest.approx(all_fast.latency_ns_per_step)
    assert all_fast.latency_ns_per_step < 0.5 * fast_memory.latency_ns_per_step


def test_samples_whose_values_contradict_each_other_are_left_out_and_counted():
    idle = {"on_mw": {"value": 0.2, "evidence": "assumed", "spread_fraction": 0.8}, "gated_mw": 0.1}
    gated = idle | {"gating": "per_layer", "wake_ns": 1, "wake_pj": 1}
    found = uncertainty(*design("server_pcm3d_lumped", overrides={"analog_cores.pcm.idle": gated}), n_samples=400)
    # by hand: ln(0.1/0.2) is 2.31 of ln(1.8)/1.96, so a share of 0.0104 of the samples is below what a tile draws off
    assert found.n_refused == 4
    assert len(found.samples) == 396
    assert "396 samples (4 more left out" in " ".join(uncertainty_text(found).split())
    for metric in METRICS:
        low, high = found.extremes[metric]
        assert low <= found.nominal[metric] <= high


def test_intervals_need_samples(server):
    with pytest.raises(SpecError, match=r"at least one sample \(got n_samples=0\)"):
        uncertainty(*server, n_samples=0)


def test_the_same_seed_draws_the_same_and_another_does_not(server):
    one, same, other = (uncertainty(*server, n_samples=64, seed=seed) for seed in (1, 1, 2))
    assert one.samples.equals(same.samples)
    assert not one.samples.equals(other.samples)


def test_the_tornado_is_one_input_at_a_time(server):
    arch, workload, mapping = server
    rows = uncertainty(arch, workload, mapping, n_samples=8).tornado
    row = rows[rows["metric"] == "energy_pj_per_token"].iloc[0]
    changed = evaluate(arch.with_values({row["path"]: float(row["input_high"])}), workload, mapping)
    assert changed.energy_pj_per_token == pytest.approx(row["at_high"], rel=1e-12)
    assert rows["change_fraction"].is_monotonic_decreasing


@pytest.fixture(scope="module")
def components():
    # serial: nothing hides the time of the tiles
    arch, workload, mapping = design("hermes_2d_components", "tiny_moe", 0.9, {"composition": "serial"})
    return with_spreads(arch, {}), workload, mapping


def test_the_bands_of_a_component_model_widen_energy_time_and_area(components):
    arch, workload, mapping = components
    found = uncertainty(arch, workload, mapping, n_samples=512)
    quantities = ("energy", "time", "area")
    assert [spread.path for spread in found.spreads] == [f"analog_cores.pcm.cost.{q}_factor" for q in quantities]
    for spread, quantity in zip(found.spreads, quantities, strict=True):
        assert spread.high == pytest.approx(1 / spread.low)
        assert spread.high == pytest.approx(float(band_factor(arch.core("pcm"), quantity)))
        assert spread.high > 1
    for metric in METRICS:
        low, high = found.extremes[metric]
        assert low < found.nominal[metric] < high


def test_a_factor_on_a_core_scales_its_own_parts_and_no_others(components):
    arch, workload, mapping = components
    base, *scaled = (
        evaluate(arch.with_values({f"analog_cores.pcm.cost.{name}_factor": value}), workload, mapping)
        for name, value in (("energy", 1.0), ("energy", 2.0), ("time", 2.0), ("area", 2.0))
    )
    tile = sum(tile_of(arch.core("pcm")).area_parts_mm2().values()) * arch.n_tiles(arch.core("pcm"))
    for part, energy in base.energy_parts_pj.items():
        is_tile = part.component in COMPONENTS
        assert scaled[0].energy_parts_pj[part] == pytest.approx(energy * (2 if is_tile else 1)), part
    assert scaled[1].critical_ns["pcm tile load"] == pytest.approx(2 * base.critical_ns["pcm tile load"], rel=1e-6)
    assert scaled[2].area_mm2 - base.area_mm2 == pytest.approx(float(tile))
    assert scaled[2].energy_pj_per_token == base.energy_pj_per_token


def test_what_no_calibration_point_states_has_the_band_of_an_uncalibrated_core():
    core = load_architecture("wan_nature_2022").core("rram")
    assert not any(point.area_mm2 for point in core.cost.calibration)
    assert band_factor(core, "area") == UNCALIBRATED["area"]
    assert band_factor(core, "time") == AT_A_POINT
    assert band_factor(core, "time", 128, 128) > AT_A_POINT


def test_a_spread_that_is_not_sampled_is_named():
    routing = {"routing.zipf_exponent": {"value": 0.8, "evidence": "assumed", "spread_fraction": 0.5}}
    arch, workload = load_architecture("server_pcm3d_lumped"), load_workload("olmoe_zipf", routing)
    found = uncertainty(arch, workload, design(workload="olmoe_zipf")[2], n_samples=8)
    assert found.not_sampled == ("routing.zipf_exponent",)
    said = " ".join(uncertainty_text(found).split())
    assert "held fixed although a spread is stated (`dse whatif --set` evaluates others): routing.zipf_exponent" in said


def test_inputs_that_name_no_evidence_are_held_fixed_and_named_too(server):
    arch, workload, mapping = server
    path = "memories.hbm.energy_pj_per_bit"
    changed = arch.with_values({path: 4.5})  # as --set does: another value, of no stated evidence or spread
    assert path not in uncertainty(arch, workload, mapping, n_samples=8).without_spread
    held = uncertainty(changed, workload, mapping, n_samples=8).without_spread
    assert path in held
    assert not any(entry.startswith("scenario.") or entry.endswith(("count", "tiles_per_die")) for entry in held)


def test_assumed_inputs_without_a_spread_are_named(server):
    found = uncertainty(*server, n_samples=8)
    assert "digital_units.npu.area_mm2" in found.without_spread
    assert "memories.hbm.energy_pj_per_bit" not in found.without_spread
