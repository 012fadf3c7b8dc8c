"""The search of one program, on small programs written by hand."""

from pathlib import Path

import pulp
import pytest

from dse.mapping.highs_model import loaded_model
from dse.mapping.highs_search import Search
from dse.mapping.worker import Task


def alike(folder: Path, *, sums: list[list[str]], limit: float) -> Search:
    """Counts of alike blocks in three layers with rising costs of the last ones; at most ``limit`` together."""
    model = pulp.LpProblem("alike", pulp.LpMinimize)
    counts, shares = [], []
    for layer, worth in enumerate((1.0, 1.1, 1.2)):
        count = model.add_variable(f"k{layer}", 0, 8, pulp.LpInteger)
        own = [model.add_variable(f"x{layer}_{i}", 0, 1) for i in range(8)]
        model.addConstraint(pulp.lpSum(own) == count)
        counts.append(count)
        shares += [-worth * (8 - i) * x for i, x in enumerate(own)]
    model.setObjective(pulp.lpSum(shares))
    model.addConstraint(pulp.lpSum([3 * c for c in counts]) <= limit, "limit")
    model.writeMPS(str(folder / "m.mps"))
    task = Task(model=str(folder / "m.mps"), start={}, sums=sums, time_limit_s=5, gap=1e-9, seed=0)
    return Search(task, loaded_model(task), 5.0)


def test_the_sum_of_counts_is_rounded_before_branch_and_bound(tmp_path: Path) -> None:
    # by hand: 16.5 / 3 = 5.5, so five blocks: 9.6 + 8.8 + 8.4 + 8 + 7.7; the relaxation takes half of the sixth, 7.2
    plain = alike(tmp_path, sums=[], limit=16.5)
    assert plain.relax() == "optimal"
    assert plain.bound == pytest.approx(-(9.6 + 8.8 + 8.4 + 8 + 7.7 + 0.5 * 7.2))
    rounded = alike(tmp_path, sums=[["k0", "k1", "k2"]], limit=16.5)
    assert rounded.relax() == "optimal"
    assert rounded.bound == rounded.least == pytest.approx(-(9.6 + 8.8 + 8.4 + 8 + 7.7))
    assert rounded.run("optimal") == "optimal"
    assert rounded.value == pytest.approx(rounded.bound)


def test_a_rounded_sum_is_free_again_when_a_side_changes(tmp_path: Path) -> None:
    search = alike(tmp_path, sums=[["k0", "k1", "k2"]], limit=16.5)
    search.relax()
    search.model.change_rows({"limit": (None, 19.0)})
    again = Search(search.task, search.model, 5.0)
    again.relax()
    assert again.bound == pytest.approx(-(9.6 + 8.8 + 8.4 + 8 + 7.7 + 7.2))  # by hand: six blocks, 18 of 19


def test_the_time_of_earlier_relaxations_does_not_count(tmp_path: Path) -> None:
    search = alike(tmp_path, sums=[["k0", "k1", "k2"]], limit=16.5)
    limit_s, limit = 0.05, 3.5
    while search.model.relaxation.getRunTime() < 1.5 * limit_s:
        search.model.change_rows({"limit": (None, limit)})
        assert Search(search.task, search.model, limit_s).relax() == "optimal"
        limit = limit + 3 if limit < 70 else 3.5
