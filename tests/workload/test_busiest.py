"""The busiest tile of a batch against sampling, and its laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.evaluation.tile_load import round_robin
from dse.workload.batch import LayerRouting, active_probability
from dse.workload.busiest import TileContents, busiest_tile
from dse.workload.routing import cap_at_one
from dse.workload.sampled_steps import fixed_size_choices, step_counts

SEEDS = range(8)


def sampled_counts(visits, tokens, draws, seed):
    """(draws, E): visits of each expert in steps of tokens that choose Σ λ different experts each."""
    generator = np.random.default_rng((seed, 77))
    if np.ptp(visits) > 0:
        return sum(fixed_size_choices(visits, 8 * draws, generator)[::8].astype(int) for _ in range(tokens))
    n_experts, top_k = len(visits), round(visits.sum())
    counts = np.zeros((draws, n_experts))
    chosen = generator.random((draws, tokens, n_experts)).argpartition(top_k - 1, axis=2)[:, :, :top_k]
    np.add.at(counts, (np.arange(draws)[:, None, None], chosen), 1)
    return counts


def separate(n_experts, n_here=None):
    here = np.arange(n_experts) < (n_experts if n_here is None else n_here)
    return TileContents(np.diag(here.astype(np.int64)), np.zeros(n_experts, np.int64))


def shared_tiles(n_experts, slices, n_tiles, always=0):
    held = round_robin(np.array([slices] * n_experts + [always] * (always > 0)), n_tiles)
    return TileContents(held[:, :n_experts], held[:, n_experts:].sum(axis=1))


def scattered(n_experts, slices, n_tiles):
    """Slices of every expert on tiles at random, two of one expert on a tile included."""
    held = np.zeros((n_tiles, n_experts), np.int64)
    expert = np.random.default_rng(4).permutation(np.repeat(np.arange(n_experts), slices))
    np.add.at(held, (np.arange(len(expert)) % n_tiles, expert), 1)
    return TileContents(held, np.zeros(n_tiles, np.int64))


GRID = [
    # experts, top_k, tokens, tiles: every expert on its own, some experts elsewhere, tiles that hold two or more
    (64, 8, 1, separate(64)),
    (64, 8, 4, separate(64)),
    (64, 8, 32, separate(64)),
    (64, 8, 32, separate(64, 48)),
    (16, 4, 8, separate(16)),
    (8, 2, 2, separate(8)),
    (8, 2, 64, separate(8)),
    (2, 1, 16, separate(2)),
    (64, 8, 8, shared_tiles(64, 24, 768)),
    (64, 8, 32, shared_tiles(64, 24, 768)),
    (16, 4, 16, shared_tiles(16, 4, 32, always=4)),
    # the same expert on several tiles
    (64, 8, 1, shared_tiles(64, 24, 700)),
    (64, 8, 2, shared_tiles(64, 24, 700)),
    (64, 8, 16, shared_tiles(64, 24, 700)),
    (64, 8, 1, shared_tiles(64, 3, 100)),
    (32, 4, 2, shared_tiles(32, 6, 100)),
    (32, 4, 16, shared_tiles(32, 6, 100)),
    (32, 4, 17, shared_tiles(32, 6, 100)),
    (32, 4, 64, shared_tiles(32, 6, 100)),
    (64, 8, 32, shared_tiles(64, 24, 10)),
    (64, 8, 1, scattered(64, 24, 200)),
    (64, 8, 2, scattered(64, 24, 768)),
    (64, 8, 8, scattered(64, 24, 768)),
    (64, 8, 32, scattered(64, 24, 768)),
]
SKEWED = [(1, separate(32)), (16, separate(32)), (1, shared_tiles(32, 6, 100)), (2, shared_tiles(32, 6, 100)),
          (16, shared_tiles(32, 6, 100)), (24, scattered(32, 6, 40))]  # fmt: skip


def agrees_with_sampling(visits, tokens, contents, draws):
    """Whether the mean is within 1 % of 8 seeds, beyond three standard errors of theirs; and the spread within 12 %."""
    per_seed = [sampled_counts(visits, tokens, draws, seed) for seed in SEEDS]
    loads = [(counts @ contents.held.T + tokens * contents.always).max(axis=1) for counts in per_seed]
    means = np.array([load.mean() for load in loads])
    found = busiest_tile(visits, tokens, contents)
    allowed = 0.01 * means.mean() + 3 * means.std(ddof=1) / np.sqrt(len(SEEDS))
    assert abs(found.mean - means.mean()) <= allowed
    assert found.std == pytest.approx(np.concatenate(loads).std(), rel=0.12, abs=0.02)


@pytest.mark.parametrize(("n_experts", "top_k", "tokens", "contents"), GRID)
def test_busiest_tile_agrees_with_sampling_within_one_per_cent(n_experts, top_k, tokens, contents):
    draws = max(60, 80_000 // (tokens * n_experts))
    agrees_with_sampling(np.full(n_experts, top_k / n_experts), tokens, contents, draws)


@pytest.mark.parametrize(("tokens", "contents"), SKEWED)
def test_skewed_popularity_agrees_with_sampling(tokens, contents):
    agrees_with_sampling(cap_at_one(np.arange(1, 33.0) ** -0.8, 4.0), tokens, contents, 600)


ARRANGEMENTS = [
    np.eye(6, dtype=np.int64),  # every expert on its own tile
    np.eye(6, dtype=np.int64)[:3],  # half of them elsewhere
    np.diag([1, 2, 1, 2, 1, 2]),  # several slices of one expert on a tile
    np.eye(2, dtype=np.int64)[[0, 1, 0, 1, 0, 1]].T,  # two tiles of three experts
    round_robin(np.full(6, 2), 7),
    round_robin(np.full(6, 3), 4),
]


@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("held", ARRANGEMENTS)
def test_busiest_of_one_and_two_tokens_by_brute_force(tokens, top_k, held):
    # brute force over all choices of all tokens, each equally likely
    choices = [np.isin(np.arange(6), chosen) for chosen in itertools.combinations(range(6), top_k)]
    steps = [np.sum(step, axis=0) for step in itertools.product(choices, repeat=tokens)]
    largest = (np.array(steps) @ held.T).max(axis=1)
    found = busiest_tile(np.full(6, top_k / 6), tokens, TileContents(held, np.zeros(len(held), np.int64)))
    assert found.mean == pytest.approx(largest.mean(), rel=0.01)
    assert found.std == pytest.approx(largest.std(), rel=0.03, abs=0.01)


@pytest.mark.parametrize("contents", [shared_tiles(12, 3, 20), scattered(12, 4, 7), shared_tiles(5, 1, 5)])
def test_numbering_the_experts_anew_changes_nothing(contents):
    visits = np.array([0.5, 0.5, *np.full(contents.held.shape[1] - 2, 0.25)])
    found = busiest_tile(visits, 3, contents)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(visits))
        assert busiest_tile(visits[order], 3, TileContents(contents.held[:, order], contents.always)) == found


def test_an_expert_that_every_token_uses_is_the_busiest():
    # by hand: expert 0 is used by each of n tokens, and no tile can be visited more often than n times
    visits = np.array([1.0, *np.full(31, 3 / 31)])
    for tokens in (1, 2, 7, 40):
        assert busiest_tile(visits, tokens, separate(32)) == pytest.approx((tokens, 0.0), abs=1e-6)


@pytest.mark.parametrize("tokens", [1, 3, 16, 17, 500])
def test_sampled_steps_have_the_visits_of_the_routing(tokens):
    visits = np.sort(cap_at_one(np.arange(1, 17.0) ** -0.7, 4.0))
    counts = step_counts(visits.tobytes(), tokens).astype(float)
    assert counts.mean(axis=0) == pytest.approx(tokens * visits, rel=0.05)
    assert counts.var(axis=0) == pytest.approx(tokens * visits * (1 - visits), rel=0.1)
    assert counts.sum(axis=1) == pytest.approx(4.0 * tokens, rel=1e-6 if tokens <= 16 else 0.05)
    assert counts.min() >= 0
    assert counts.max() <= tokens


def test_busiest_of_one_token_and_of_none():
    assert busiest_tile(np.full(16, 0.25), 1, separate(16)).mean == pytest.approx(1.0)
    assert busiest_tile(np.full(16, 1.0), 5, separate(16)) == (5.0, 0.0)
    assert busiest_tile(np.full(4, 0.5), 0, separate(4)) == (0.0, 0.0)


def test_two_experts_by_hand():
    # by hand: two tokens choose one of two experts each; both the same with probability 1/2: (2 + 1)/2
    assert busiest_tile(np.array([0.5, 0.5]), 2, separate(2)).mean == pytest.approx(1.5, rel=5e-3)


def test_a_tile_that_holds_all_experts_of_a_layer_does_not_vary():
    one = TileContents(np.ones((1, 8), np.int64), np.zeros(1, np.int64))
    assert busiest_tile(np.full(8, 0.25), 10, one) == (20.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 64), st.integers(1, 4), st.integers(1, 3000), st.integers(1, 3), st.data())
def test_busiest_lies_between_the_mean_load_and_all_tokens(n_experts, top_k, tokens, slices, data):
    top_k = min(top_k, n_experts)
    n_tiles = data.draw(st.integers(1, 2 * n_experts * slices))
    contents = shared_tiles(n_experts, slices, n_tiles)
    visits = np.full(n_experts, top_k / n_experts)
    found = busiest_tile(visits, tokens, contents)
    assert found.mean >= (tokens * (contents.held @ visits)).max() - 1e-6
    assert found.mean <= tokens * contents.held.sum(axis=1).max() + 1e-6
    assert found.std >= 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 64), st.integers(1, 400))
def test_more_tokens_never_make_the_busiest_tile_less_busy(n_experts, tokens):
    visits = np.full(n_experts, 2 / n_experts)
    times = [busiest_tile(visits, tokens + extra, separate(n_experts)).mean for extra in (0, 0.5, 1, 5)]
    assert np.all(np.diff(times) >= -1e-3 * times[0])


SCARCE = [
    # experts, top_k, exponent, experts here, tokens: few visits here, the other experts more or less popular
    (64, 1, 2.0, 32, 1),
    (64, 1, 2.0, 32, 3),
    (32, 4, 1.0, 4, 1),
    (128, 4, 0.5, 32, 1),
    (32, 4, 1.0, 8, 2),
    (40, 2, 1.0, 20, 5),
]


@pytest.mark.parametrize(("n_experts", "top_k", "exponent", "n_here", "tokens"), SCARCE)
def test_few_visits_of_unequal_experts_agree_with_sampling(n_experts, top_k, exponent, n_here, tokens):
    popularity = np.random.default_rng(1).permutation(np.arange(1, n_experts + 1.0) ** -exponent)
    agrees_with_sampling(cap_at_one(popularity, float(top_k)), tokens, separate(n_experts, n_here), 1000)


def test_one_token_with_one_choice_is_here_as_often_as_its_experts_by_hand():
    # by hand: the busiest tile has one visit if the token's expert is here, else none
    visits = cap_at_one(np.arange(1, 65.0)[::-1] ** -1.5, 1.0)
    assert busiest_tile(visits, 1, separate(64, 32)).mean == pytest.approx(visits[:32].sum(), rel=1e-3)


def correlated_loads(visits, tokens, contents, correlation):
    """(draws,): busiest tile of steps whose tokens follow one choice of the step with that probability."""
    generator = np.random.default_rng(5)
    counts = np.zeros((4000, len(visits)))
    one, *own = (fixed_size_choices(visits, 8 * len(counts), generator)[::8] for _ in range(tokens + 1))
    for each in own:
        counts += np.where(generator.random((len(counts), 1)) < correlation, one, each)
    return (counts @ contents.held.T + tokens * contents.always).max(axis=1), counts


CORRELATED = [
    # a shared expert on some of the tiles, experts elsewhere, several slices of an expert on a tile
    (16, 4, 0.0, 12, separate(16), 0.3),
    (16, 4, 0.0, 12, separate(16), 0.8),
    (64, 4, 0.0, 7, TileContents(np.eye(64, dtype=np.int64), (np.arange(64) % 10 == 0).astype(np.int64)), 1.0),
    (64, 2, 0.5, 7, separate(64, 32), 1.0),
    (16, 1, 1.5, 17, separate(16), 0.9),
    (8, 2, 1.0, 40, separate(8, 4), 0.3),
    (32, 4, 0.8, 16, scattered(32, 6, 40), 0.1),
    (16, 4, 0.8, 32, separate(16), 1e-9),  # a single likely number of followers, in a long step
]


@pytest.mark.parametrize(("n_experts", "top_k", "exponent", "tokens", "contents", "correlation"), CORRELATED)
def test_correlated_tokens_agree_with_sampling(n_experts, top_k, exponent, tokens, contents, correlation):
    popularity = np.random.default_rng(1).permutation(np.arange(1, n_experts + 1.0) ** -exponent)
    visits = cap_at_one(popularity, float(top_k))
    loads, counts = correlated_loads(visits, tokens, contents, correlation)
    routing = LayerRouting(visits, correlation, None)
    found = routing.busiest(tokens, contents)
    allowed = 0.01 * loads.mean() + 3 * loads.std() / np.sqrt(len(loads))
    assert abs(found.mean - loads.mean()) <= allowed
    assert found.std == pytest.approx(loads.std(), rel=0.1)
    active = routing.active(np.array([tokens]), np.arange(n_experts))
    assert active.sum() == pytest.approx((counts > 0).sum(axis=1).mean(), rel=0.01)


def test_fully_correlated_tokens_all_use_the_same_experts():
    routing = LayerRouting(np.full(64, 6 / 64), 1.0, None)
    assert routing.active(np.array([1.0, 16.0]), np.arange(64)).sum(axis=1) == pytest.approx([6.0, 6.0])
    assert routing.busiest(16, separate(64)).mean == pytest.approx(16.0)


def test_more_correlation_uses_fewer_experts_and_loads_tiles_more():
    routings = [LayerRouting(np.full(64, 0.125), c, None) for c in (0.0, 0.2, 0.5, 0.9, 1.0)]
    active = [r.active(np.array([16.0]), np.arange(64)).sum() for r in routings]
    loads = [r.busiest(16, separate(64)).mean for r in routings]
    assert np.all(np.diff(active) < 0)
    assert np.all(np.diff(loads) > 0)


def test_a_trace_is_cut_into_steps_of_consecutive_tokens():
    trace = np.array([[0, 1], [0, 2], [3, 1]])
    routing = LayerRouting(np.array([2, 2, 1, 1]) / 3, 0.0, trace)
    # by hand: steps of two tokens are 0 1 0 2 and 0 2 3 1; expert 0 is in both, 3 in one; 2 and 1 visits of the busiest
    assert routing.active(np.array([2.0]), np.arange(4)).tolist() == [[1.0, 1.0, 1.0, 0.5]]
    assert routing.busiest(2, separate(4)) == pytest.approx((1.5, 0.5))


def test_probability_of_use_by_hand():
    # by hand: 1 - (3/4)^2; all tokens alike: 1/4
    assert active_probability(np.array(0.25), np.array(2.0), 0.0) == pytest.approx(0.4375)
    assert active_probability(np.array(0.25), np.array(2.0), 1.0) == pytest.approx(0.25)


def test_slices_go_round_the_tiles():
    # by hand: three blocks of two slices on four tiles: 0 0 1 1 / 2 2 - -
    assert round_robin(np.array([2, 2, 2]), 4).tolist() == [[1, 0, 1], [0, 1, 0]]
