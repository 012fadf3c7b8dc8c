import dataclasses

import numpy as np
import pytest

from dse import evaluate, load_architecture, load_workload, rule_mapping, score_blocks, uncertainty
from dse.evaluation.uncertainty import METRICS


def design(architecture="server_pcm3d_lumped", workload="olmoe", fraction=0.25):
    arch, loaded = load_architecture(architecture), load_workload(workload)
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
    assert low == pytest.approx(340 + 3200 / 1.5, rel=0.01)
    assert high == pytest.approx(340 + 3200 * 1.5, rel=0.01)
    assert found.extremes["area_mm2"] == pytest.approx((340 + 3200 / 1.5, 340 + 3200 * 1.5))


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


def test_the_ends_hold_the_interval_and_the_nominal_value(server):
    found = uncertainty(*server)
    for metric in METRICS:
        low, high = found.extremes[metric]
        assert low <= found.nominal[metric] <= high
        assert found.samples[metric].between(0, np.inf).all()


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


def test_the_band_of_a_component_model_moves_the_energy_of_its_tiles_only():
    arch, workload, mapping = design("hermes_2d_components", "tiny_moe", 0.9)
    found = uncertainty(with_spreads(arch, {}), workload, mapping, n_samples=512)
    (band,) = [spread for spread in found.spreads if "band" in spread.path]
    assert band.high > 1
    low, high = found.extremes["energy_pj_per_token"]
    assert low < found.nominal["energy_pj_per_token"] < high
    assert found.extremes["latency_ns_per_step"] == pytest.approx((found.nominal["latency_ns_per_step"],) * 2)


def test_assumed_inputs_without_a_spread_are_named(server):
    found = uncertainty(*server, n_samples=8)
    assert "digital_units.npu.area_mm2" in found.without_spread
    assert "memories.hbm.energy_pj_per_bit" not in found.without_spread
