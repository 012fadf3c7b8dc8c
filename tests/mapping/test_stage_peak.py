"""The busiest tile of a step: what packing promises, what sampling and evaluation find, what other packings give."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.cost.option import Option
from dse.cost.table import cost_table
from dse.evaluation.packed import packed_visits
from dse.evaluation.profile import STAGE_OF, layer_profiles
from dse.evaluation.run import evaluate
from dse.evaluation.tile_load import mean_product_ns, tile_loads
from dse.evaluation.tile_work import work_per_token
from dse.mapping.baseline import rule_mapping
from dse.mapping.die_rings import DieRings, expected_dies
from dse.mapping.model import Mapping, load_mapping
from dse.mapping.pack import pack
from dse.mapping.pack_slices import GroupSlices, group_slices
from dse.mapping.pack_stages import serial_tiles
from dse.mapping.sampled_tiles import parted
from dse.mapping.stage_peak import StepKind, busiest, stage_peak, step_kinds
from dse.sensitivity.score import score_blocks
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.spec.scenario import Routing
from dse.workload.batch import LayerRouting
from dse.workload.blocks import make_blocks
from dse.workload.build import Workload, load_workload

from .toy import make_arch, make_workload


def analog(workload: Workload, kinds: tuple[str, ...] = ("expert",), copies: int = 1) -> Mapping:
    placement = {
        b.name: Option("a0", "analog", copies) if b.kind in kinds else Option("d0", "fp16")
        for b in workload.blocks
        if b.kind != "embedding"
    }
    return Mapping(placement=placement, objective="", value=0, bound=0, status="rule")


def slices_of(arch: Architecture, workload: Workload) -> tuple[GroupSlices, tuple[StepKind, ...]]:
    steps, blocks = step_kinds(workload), [b for b in workload.blocks if b.kind == "expert"]
    load = {b.name: sum(s.weight * s.tokens * s.visits_per_token[b.name] for s in steps) for b in blocks}
    return group_slices(arch.analog_cores[0], blocks, [1] * len(blocks), load), steps


@pytest.mark.parametrize(
    ("changes", "dense"),
    [({}, ()), ({"n_tiles": 9}, ()), ({"n_tiles": 7}, ("shared", "attention", "router", "head"))],
)
def test_evaluation_finds_the_load_that_packing_states(changes: dict[str, int], dense: tuple[str, ...]) -> None:
    arch = make_arch(composition="serial", **{"n_tiles": 18} | changes)
    arch = dataclasses.replace(
        arch, analog_cores=tuple(dataclasses.replace(c, tiers_per_tile=16) for c in arch.analog_cores)
    )
    workload = make_workload(2, 3, n_shared=1, routing=Routing(kind="zipf", zipf_exponent=0.7))
    packed = pack(analog(workload, ("expert", *dense)), arch, workload)
    costs = cost_table(arch, workload)
    total = 0.0
    for profile in layer_profiles(workload, packed, costs):
        for stage, entries in profile.entries.items():
            own = [e for e in entries if costs.options[e.option_index].group == "a0"]
            tiles = {group: held for (name, group), held in profile.packed.items() if name == stage}
            loads = tile_loads(arch, workload, costs, entries, packed=tiles, tokens=np.array([4.0]))
            if own:
                product_ns = mean_product_ns(arch, arch.core("a0"), costs.of(*own[0].at))
                total += profile.multiplicity * loads["a0"].mean[0] / product_ns
    assert packed.packing[0]["peak_visits"] == pytest.approx(total)


def test_evaluation_of_a_pipeline_uses_the_packed_tiles() -> None:
    """Zipf loads: longest first beats round robin, and the evaluation says so."""
    arch = load_architecture("server_pcm3d", {"composition": "pipelined", "micro_batches": 8})
    workload = load_workload("olmoe_zipf", ["scenario.batch=256"])
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    packed = pack(mapping, arch, workload)
    costs, profiles = cost_table(arch, workload), layer_profiles(workload, packed, cost_table(arch, workload))
    entry = next(e for p in profiles for e in p.entries["experts"] if costs.options[e.option_index].group == "pcm")
    product = mean_product_ns(arch, arch.core("pcm"), costs.of(*entry.at))
    core, of_slices = arch.core("pcm"), packed_visits(workload, packed, STAGE_OF)["pcm"]
    work = 256 * work_per_token(arch, core, costs, profiles, packed=of_slices, head_visits=1.0)[0][0]
    unpacked = 256 * work_per_token(arch, core, costs, profiles, packed=None, head_visits=1.0)[0][0]
    assert work == pytest.approx(packed.packing[0]["busiest_visits"] * product)
    assert work < 0.95 * unpacked
    busy, before = (evaluate(arch, workload, m).busy_ns["pcm tile"][0] for m in (packed, mapping))
    # the busiest stage of a micro-batch is below the work of its fullest tile
    assert busy == pytest.approx(packed.packing[0]["busiest_visits"] * product)
    assert busy < before


def test_the_peak_of_olmoe_is_what_sampled_routings_give() -> None:
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe", ["scenario.batch=32"])
    packed = pack(rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"), arch, workload)
    (record,) = packed.packing
    random, most = np.random.default_rng(1), []
    for _ in range(2000):
        chosen = np.argsort(random.random((32, 64)), axis=1)[:, :8]  # every token its 8 of 64 experts
        most.append(np.bincount(chosen.ravel(), minlength=64).max())
    error = np.std(most) / np.sqrt(len(most))
    # 16 equal layers; the distribution of the busiest tile is good to 1 %
    assert record["peak_visits"] / 16 == pytest.approx(np.mean(most), abs=4 * error + 0.01 * np.mean(most))
    assert [row["peak_visits"] for row in record["stages"]] == pytest.approx([record["peak_visits"] / 16] * 16)
    assert record["gap"] == 0  # one slice of a layer on a tile: no packing is better
    assert record["dies_per_block"] == 1.0


Shapes = st.tuples(st.integers(1, 2), st.integers(2, 5), st.integers(3, 20), st.integers(1, 9), st.floats(0.0, 1.5))


@settings(max_examples=25, deadline=None)
@given(Shapes)
def test_packing_is_never_worse_than_the_strategies_of_the_simulator(shape: tuple[int, int, int, int, float]) -> None:
    """IBM's 3D-CiM simulator: slices in the order of execution round the tiles, or tile after tile."""
    layers, experts, n_tiles, batch, exponent = shape
    workload = make_workload(
        layers, experts, batch=batch, routing=Routing(kind="zipf", zipf_exponent=exponent or 0.1, seed=experts)
    )
    slices, steps = slices_of(make_arch(n_tiles=n_tiles), workload)
    n_tiles *= 2
    n_tiers = -(-len(slices.block) // n_tiles) + 1
    tile = serial_tiles(slices, steps, n_tiles=n_tiles, n_tiers=n_tiers, per_die=n_tiles // 2, seed=0)
    assert np.bincount(tile, minlength=n_tiles).max() <= n_tiers
    at = np.arange(len(tile))
    for own in slices.in_stages():
        found = stage_peak(steps, slices, own, tile[own], n_tiles)
        assert found.bound <= found.visits
        for other in (at % n_tiles, at // n_tiers):
            assert found.visits <= stage_peak(steps, slices, own, other[own], n_tiles).visits * (1 + 1e-9)


def test_a_small_stage_is_as_good_as_the_best_of_all_packings() -> None:
    """4 experts of one slice on 2 tiles, brute force over all 16 packings that fit two tiers."""
    routing = LayerRouting(np.array([0.9, 0.6, 0.3, 0.2]), 0.0, None)
    random = np.random.default_rng(0)
    samples = np.stack([random.binomial(6, routing.visits) for _ in range(128)]).astype(float)

    def peak(tile: np.ndarray) -> float:
        held = np.stack([tile == t for t in range(2)]).astype(np.int64)
        return busiest(routing, 6.0, held, np.arange(4))

    choices = [np.array(c) for c in itertools.product(range(2), repeat=4) if sum(c) == 2]
    best = min(peak(choice) for choice in choices)
    for start in choices:
        assert peak(parted(samples, np.arange(4), start, 2)) == pytest.approx(best, rel=0.01)


def test_experts_that_fire_together_go_to_different_tiles() -> None:
    # by hand: experts 0 and 1 are used in the even steps, 2 and 3 in the odd ones; {0, 2} and {1, 3} do one each
    samples = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]] * 4)
    tile = parted(samples, np.arange(4), np.array([0, 0, 1, 1]), 2)
    assert tile[0] != tile[1]
    assert tile[2] != tile[3]


def test_a_trace_parts_experts_that_mean_loads_cannot_tell_apart() -> None:
    """Tokens choose {0, 1} or {2, 3} in turn, so that all experts have equal loads."""
    arch, workload = make_arch(n_tiles=12), make_workload(1, 4, batch=1)
    slices, steps = slices_of(arch, workload)
    trace = np.array([[0, 1], [2, 3]] * 32)
    routing = LayerRouting(np.full(4, 0.5), 0.0, trace)
    steps = (dataclasses.replace(steps[0], routings={0: routing}),)
    own, n_tiles = np.arange(len(slices.block)), 24
    tile = serial_tiles(slices, steps, n_tiles=n_tiles, n_tiers=2, per_die=12, seed=0)
    # by hand: 48 slices, two on each of 24 tiles; 0 with 2 and 1 with 3: one product at a time, which is the bound
    assert stage_peak(steps, slices, own, tile, n_tiles) == (1.0, 1.0)


def test_equal_seeds_give_equal_packings() -> None:
    arch, workload = make_arch(n_tiles=9), make_workload(1, 3)
    first, second = (pack(analog(workload), arch, workload, seed=3).slices for _ in range(2))
    assert first is not None
    assert first.equals(second)


def test_blocks_stay_on_one_die_while_tiers_are_free() -> None:
    arch, workload = make_arch(n_tiles=16), make_workload(1, 2)
    # by hand: 12 slices an expert, dies of 16 tiles: the second one would be cut after 4
    (record,) = pack(analog(workload), arch, workload).packing
    assert (record["dies_per_block"], record["dies_used"]) == (1.0, 2)
    assert record["dies_per_token"] == pytest.approx(2.0)  # 2 of 2 experts, one on each die


def test_dies_are_equally_busy_in_every_layer() -> None:
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe_prefill")
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    packed = pack(mapping, arch, workload)
    slices = packed.slices
    assert slices is not None
    layer = slices["block"].str.split(".").str[1]
    # by hand: 64 experts of 24 crossbars on four dies: 16 x 24 on each
    assert (slices.groupby([layer, "die"]).size() == 384).all()
    # then the links wait no longer than for equal traffic to all dies, which an unpacked mapping is taken to have
    placed, free = (evaluate(arch, workload, m).latency_ns_per_step for m in (packed, mapping))
    assert placed == pytest.approx(free, rel=1e-3)


def test_a_die_without_room_for_a_block_is_passed_over() -> None:
    rings = DieRings(2, 4, 1)
    assert rings.stage([3, 3], [1.0, 1.0]) is not None
    assert rings.stage([2], [1.0]) is None  # by hand: one tile is left on each
    assert DieRings(1, 4, 3).stage([3, 3], [1.0, 1.0]) is None  # by hand: a tile would hold two slices of the stage


def test_where_blocks_do_not_fit_whole_they_are_cut() -> None:
    # by hand: 12 slices an expert, two dies of 9 tiles with 2 tiers: one expert on each, the third has 12 of 12 left
    arch, workload = make_arch(n_tiles=9), make_workload(1, 3)
    (record,) = pack(analog(workload), arch, workload).packing
    assert record["dies_per_block"] > 1
    assert record["slices"] == 36


def test_equal_dies_share_the_experts_of_a_token_by_symmetry() -> None:
    # closed form: 8 dies of 8 of 64 experts, 8 chosen: 8 (1 - C(56, 8) / C(64, 8))
    assert expected_dies([[0.125] * 8] * 8, 64, 8) == pytest.approx(8 * (1 - 1420494075 / 4426165368))


def test_the_packing_survives_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    arch, workload = make_arch(n_tiles=9), make_workload(1, 3)
    packed = pack(analog(workload), arch, workload)
    packed.save(tmp_path / "mapping.json")
    assert load_mapping(tmp_path / "mapping.json").packing == packed.packing


def test_copies_of_blocks_that_share_tiles_are_apart() -> None:
    arch, workload = make_arch(n_tiles=6), make_workload(1, 2)
    arch = dataclasses.replace(
        arch, analog_cores=(dataclasses.replace(arch.analog_cores[0], tiers_per_tile=8, copies=(1, 2)),)
    )
    slices = pack(analog(workload, copies=2), arch, workload).slices
    assert slices is not None
    # by hand: 12 slices of an expert on 12 tiles, so that the second copy round the tiles meets the first
    assert not slices.duplicated(["block", "matrix", "i", "j", "die", "tile"]).any()


def test_visits_of_tiles_do_not_depend_on_other_models_in_use() -> None:
    arch, workload = load_architecture("tiny_edge"), load_workload("tiny_moe")
    packed = pack(rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"), arch, workload)
    before = packed_visits(workload, packed, STAGE_OF)["pcm"].n_slices
    make_blocks.cache_clear()  # as many other models do
    assert packed_visits(load_workload("tiny_moe"), packed, STAGE_OF)["pcm"].n_slices == before
