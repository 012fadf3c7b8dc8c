"""Blocks in several copies: what they cost, what they save, and that a mapping chooses them where noise is dear."""

import numpy as np
import pytest

from dse.cost.table import cost_table
from dse.evaluation.run import evaluate
from dse.mapping.model import Mapping
from dse.mapping.pack import pack
from dse.mapping.solve import solve_mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.workload.build import Workload, load_workload


@pytest.fixture(scope="module")
def arch() -> Architecture:
    return load_architecture("tiny_edge", {"analog_cores.pcm.copies": [1, 2], "analog_cores.pcm.tiles_per_die": 250})


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload("tiny_moe")


def solve(arch: Architecture, workload: Workload, **limits: float) -> Mapping:
    costs, options = cost_table(arch, workload), option_scores(score_blocks(workload), workload, arch)
    return solve_mapping(costs, options, workload, arch, objective="energy", limits=limits)


def test_two_copies_take_twice_the_crossbars_and_tile_energy_and_leave_half_the_score(
    arch: Architecture, workload: Workload
) -> None:
    frame = cost_table(arch, workload).frame()
    expert = frame[(frame["kind"] == "expert") & (frame["precision"] == "analog")].set_index("copies")
    assert expert.loc[2, "units"] == 2 * expert.loc[1, "units"]
    assert expert.loc[2, "compute_ns_per_visit"] == pytest.approx(2 * expert.loc[1, "compute_ns_per_visit"])
    assert expert.loc[2, "path_ns"] == expert.loc[1, "path_ns"]  # copies work side by side
    # the host adds the outputs of both copies, so that energy more than doubles
    assert expert.loc[2, "energy_pj_per_visit"] > 2 * expert.loc[1, "energy_pj_per_visit"]
    scores = option_scores(score_blocks(workload), workload, arch)
    own = scores[(scores["block"] == "layers.0.experts.0") & (scores["precision"] == "analog")].set_index("copies")
    assert own.loc[2, "score"] == pytest.approx(own.loc[1, "score"] / 2)


def test_a_tight_limit_on_sensitivity_uses_copies_where_digital_experts_are_few(
    arch: Architecture, workload: Workload
) -> None:
    mapping = solve(arch, workload, max_sensitivity_share=0.6, max_digital_experts=4)
    copies = np.array([option.copies for option in mapping.placement.values()])
    assert (copies == 2).any()
    assert sensitivity_share(score_blocks(workload), mapping) <= 0.6 * (1 + 1e-6)
    assert {option.copies for name, option in mapping.placement.items() if option.precision != "analog"} == {1}


def test_evaluation_and_program_agree_on_mappings_with_copies(arch: Architecture, workload: Workload) -> None:
    mapping = solve(arch, workload, max_sensitivity_share=0.6, max_digital_experts=4)
    full = float(np.ravel(evaluate(arch, workload, mapping).energy_pj_per_token)[0])
    assert mapping.value <= full * (1 + 1e-9)
    assert mapping.value == pytest.approx(full, rel=0.02)


def test_copies_are_packed_on_different_tiles(arch: Architecture, workload: Workload) -> None:
    mapping = pack(solve(arch, workload, max_sensitivity_share=0.6, max_digital_experts=4), arch, workload)
    assert mapping.slices is not None
    twice = mapping.slices[mapping.slices["copy"] == 1]
    assert len(twice) > 0
    places = mapping.slices.groupby(["block", "matrix", "i", "j"])
    assert (places["copy"].size() == places[["die", "tile"]].apply(lambda own: len(own.drop_duplicates()))).all()
    evaluate(arch, workload, mapping)


def test_one_copy_is_the_default() -> None:
    options = cost_table(load_architecture("tiny_edge"), load_workload("tiny_moe")).options
    assert {option.copies for option in options} == {1}
