"""Placements under drawn scores and costs."""

import pytest

from dse.cost.table import cost_table
from dse.errors import SpecError
from dse.evaluation.robustness import Robustness, choice_robustness
from dse.mapping.goal import single
from dse.mapping.limits import MappingLimits
from dse.mapping.model import Mapping
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload

LIMITS = MappingLimits(max_digital_experts_per_layer=8)


@pytest.fixture(scope="module")
def arch() -> Architecture:
    return load_architecture("tiny_edge")


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload("tiny_moe")


@pytest.fixture(scope="module")
def mapping(arch: Architecture, workload: Workload) -> Mapping:
    options = option_scores(score_blocks(workload), workload, arch)
    return solve_mapping(cost_table(arch, workload), options, workload, arch, objective="sensitivity", limits=LIMITS)


def robust(arch: Architecture, workload: Workload, mapping: Mapping, spread: float, **options: int) -> Robustness:
    scores = option_scores(score_blocks(workload), workload, arch)
    return choice_robustness(
        arch, workload, mapping, scores, goal=single("sensitivity"), limits=LIMITS, score_spread=spread, **options
    )


def test_without_spread_of_scores_the_most_sensitive_stay(
    arch: Architecture, workload: Workload, mapping: Mapping
) -> None:
    found = robust(arch, workload, mapping, 0.0, n_samples=3)
    # sensitivity sees scores alone: costs may be off, the choice is the same in every sample
    assert (found.agreement, found.fence, found.n_infeasible) == (1.0, (), 0)
    own = mapping.digital_blocks()
    assert {name for name, share in found.digital_share.items() if share == 1} == {n for n in own if "experts" in n}


def test_blocks_near_the_threshold_are_on_the_fence(arch: Architecture, workload: Workload, mapping: Mapping) -> None:
    found = robust(arch, workload, mapping, 0.1, n_samples=12)
    wide = robust(arch, workload, mapping, 0.5, n_samples=12)
    assert 0 < len(found.fence) < len(wide.fence) < 128
    # 8 of 32 experts a layer are digital in every sample
    assert sum(found.digital_share.values()) == pytest.approx(4 * 8)
    scores = score_blocks(workload).set_index("block")
    for layer in range(4):
        own = scores[scores["layer"] == layer]["score"].sort_values(ascending=False)
        ranks = [own.index.get_loc(name) for name in found.fence if name in own.index]
        assert all(2 <= rank <= 16 for rank in ranks)  # by rank 8 of 32 the choice ends


def test_equal_seeds_give_equal_samples(arch: Architecture, workload: Workload, mapping: Mapping) -> None:
    once, again = (robust(arch, workload, mapping, 0.3, n_samples=4, seed=5) for _ in range(2))
    assert once.digital_share == again.digital_share


def test_samples_without_a_mapping_are_counted(arch: Architecture, workload: Workload, mapping: Mapping) -> None:
    scores = option_scores(score_blocks(workload), workload, arch)
    total = float(score_blocks(workload)["score"].sum())
    tight = MappingLimits(max_digital_experts=0, max_sensitivity=1.0216 * total)
    found = choice_robustness(
        arch, workload, mapping, scores, goal=single("energy"), limits=tight, score_spread=0.5, n_samples=5
    )
    # by hand: drawn factors have the mean exp(sigma²/2) = 1.0216, sigma = ln(1.5) / 1.96: a coin toss
    assert 0 < found.n_infeasible < 5


def test_one_sample_is_refused(arch: Architecture, workload: Workload, mapping: Mapping) -> None:
    with pytest.raises(SpecError, match="2 or more samples"):
        robust(arch, workload, mapping, 0.1, n_samples=1)
