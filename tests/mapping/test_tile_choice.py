"""Loads of tiles: closed forms, bounds, and all packings of small cases."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.mapping.baseline import rule_mapping
from dse.mapping.pack import PackingError, pack, rank_within
from dse.mapping.tile_choice import all_tiles, full_bound, load_bound, stage_tiles
from dse.sensitivity.score import score_blocks
from dse.spec.load import load_architecture
from dse.workload.build import load_workload

from .toy import make_arch, make_costs, make_workload

Loads = st.lists(st.floats(0.0, 9.0, allow_subnormal=False), min_size=1, max_size=40)


def busiest(load: np.ndarray, tile: np.ndarray, n_tiles: int) -> float:
    return float(np.bincount(tile, load, n_tiles).max())


def test_heavy_slices_share_tiles_with_light_ones() -> None:
    load = np.array([8.0, 7.0, 6.0, 1.0, 2.0, 3.0])
    # by hand: 8 + 1, 7 + 2, 6 + 3
    assert busiest(load, stage_tiles(load, 3), 3) == pytest.approx(9.0)


@given(Loads, st.integers(1, 8))
def test_the_bound_is_below_every_choice_and_tiles_are_filled_evenly(values: list[float], n_tiles: int) -> None:
    load = np.array(values)
    n_tiers = -(-len(load) // n_tiles) + 1
    for tile in (stage_tiles(load, n_tiles), all_tiles(load, n_tiles, n_tiers)):
        counts = np.bincount(tile, minlength=n_tiles)
        assert counts.max() <= n_tiers
        assert load_bound(load, n_tiles) <= busiest(load, tile, n_tiles) * (1 + 1e-9) + 1e-12
        # round robin in the order of execution, which IBM's 3D-CiM simulator calls greedy in order
        assert busiest(load, tile, n_tiles) <= busiest(load, np.arange(len(load)) % n_tiles, n_tiles) + 1e-9


@given(st.lists(st.floats(0.1, 9.0, allow_subnormal=False), min_size=4, max_size=7), st.integers(2, 3))
def test_small_cases_are_close_to_the_best_of_all_even_packings(values: list[float], n_tiles: int) -> None:
    load = np.array(values)
    n_slots = -(-len(load) // n_tiles)
    best = min(
        busiest(load, np.array(tile), n_tiles)
        for tile in itertools.product(range(n_tiles), repeat=len(load))
        if np.bincount(tile, minlength=n_tiles).max() <= n_slots
    )
    found = busiest(load, stage_tiles(load, n_tiles), n_tiles)
    assert load_bound(load, n_tiles) <= best * (1 + 1e-9)
    assert found <= best * (4 / 3) + 1e-9  # Graham 1969: longest first is within 4/3


@given(Loads, st.integers(1, 8), st.integers(0, 2))
def test_few_free_tiers_bound_what_a_busy_slice_shares_its_tile_with(
    values: list[float], n_tiles: int, more: int
) -> None:
    load, n_tiers = np.array(values), -(-len(values) // n_tiles) + more
    tile = all_tiles(load, n_tiles, n_tiers)
    assert np.bincount(tile, minlength=n_tiles).max() <= n_tiers
    assert load_bound(load, n_tiles) <= full_bound(load, n_tiles, n_tiers) <= busiest(load, tile, n_tiles) + 1e-9


def test_without_free_tiers_the_busiest_slice_has_its_share_of_the_others() -> None:
    load = np.array([9.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    # by hand: 2 tiles of 3 tiers are full: 9 + 1 + 1; with one tier free 9 + 1, with two 9 alone
    assert full_bound(load, 2, 3) == busiest(load, all_tiles(load, 2, 3), 2) == 11.0
    assert full_bound(load[:5], 2, 3) == busiest(load[:5], all_tiles(load[:5], 2, 3), 2) == 10.0
    assert full_bound(load[:4], 2, 3) == busiest(load[:4], all_tiles(load[:4], 2, 3), 2) == 9.0


@given(st.lists(st.floats(0.1, 9.0), min_size=2, max_size=12), st.integers(2, 3), st.integers(2, 6), st.booleans())
def test_copies_never_share_a_tile(values: list[float], copies: int, more: int, is_stage: bool) -> None:
    load, piece = np.repeat(values, copies), np.repeat(np.arange(len(values)), copies)
    n_tiles = copies + more - 2
    n_tiers = -(-len(load) // n_tiles)
    tile = stage_tiles(load, n_tiles, piece) if is_stage else all_tiles(load, n_tiles, n_tiers, piece)
    assert len(set(zip(tile.tolist(), piece.tolist(), strict=True))) == len(load)


def test_tiers_count_the_slices_of_a_tile() -> None:
    assert rank_within(np.array([2, 0, 2, 2, 0])).tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize("composition", ["overlapped", "pipelined"])
def test_a_packed_mapping_says_how_well_it_is_packed(composition: str) -> None:
    arch, workload = make_arch(composition=composition, n_tiles=18), make_workload(2, 3)
    costs = make_costs(arch, workload)
    mapping = pack(
        rule_mapping(arch, workload, score_blocks(workload, "random"), rule="all_analog", costs=costs), arch, workload
    )
    (record,) = mapping.packing
    # by hand: 4 tokens, 2 of 3 experts each: 8/3 visits an expert; 36 slices a layer on 36 tiles, two layers
    assert record["busiest_visits"] == pytest.approx(2 * 8 / 3)
    assert record["gap"] == pytest.approx(0.0)
    if composition == "pipelined":
        assert record["peak_visits"] == record["busiest_visits"]
    else:
        # brute force over the 3**4 choices of 4 tokens, each of which leaves one of 3 experts out
        left_out = np.array(list(itertools.product(range(3), repeat=4)))
        most = [4 - np.bincount(row, minlength=3).min() for row in left_out]
        assert record["peak_visits"] == pytest.approx(2 * np.mean(most), rel=0.01)  # two layers
    assert (record["slices"], record["crossbars"], record["tiles_used"], record["dies_used"]) == (72, 72, 36, 2)


def test_what_does_not_fit_says_which_group_and_by_how_much() -> None:
    arch, workload = make_arch(n_tiles=8), make_workload(1, 3)
    mapping = rule_mapping(
        arch, workload, score_blocks(workload, "random"), rule="all_analog", costs=make_costs(arch, workload)
    )
    with pytest.raises(PackingError) as caught:
        pack(mapping, arch, workload)
    assert (caught.value.group, caught.value.need, caught.value.have) == ("a0", 36, 32)


def test_tiers_of_different_layers_keep_the_busiest_tile_of_olmoe_at_a_quarter() -> None:
    """Uniform OLMoE at batch 32: about 9 products on the busiest tile, about 40 where tiers hold one layer."""
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe", ["scenario.batch=32"])
    packed = pack(rule_mapping(arch, workload, score_blocks(workload), rule="all_analog"), arch, workload)
    assert packed.slices is not None
    first = packed.slices[packed.slices["block"].str.startswith("layers.0.")]
    expert = first["block"].str.rsplit(".", n=1).str[-1].astype(int).to_numpy()
    tile = pd_codes(first["die"].to_numpy() * 100_000 + first["tile"].to_numpy())
    random = np.random.default_rng(0)
    spread, stacked = [], []
    for _ in range(200):
        chosen = np.argsort(random.random((32, 64)), axis=1)[:, :8]  # every token its 8 of 64 experts
        visits = np.bincount(chosen.ravel(), minlength=64)
        spread.append(np.bincount(tile, visits[expert]).max())
        stacked.append(np.bincount(np.arange(64) // 8, visits).max())  # 8 tiers hold 8 experts of the layer
    assert np.mean(spread) == pytest.approx(9, abs=1)
    assert np.mean(stacked) == pytest.approx(40, abs=3)


def pd_codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]
