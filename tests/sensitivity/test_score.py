"""Scores by rule and from files, option scores and shares."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dse.cost.option import Option
from dse.errors import SpecError
from dse.importers.tensors import read_matrix
from dse.mapping.model import Mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks
from dse.sensitivity.scores_file import read_scores, write_scores
from dse.sensitivity.share import sensitivity_share
from dse.spec.architecture import Architecture, Die, DigitalUnit, Memory, PerOperationEnergy, Utilisation
from dse.spec.model import Model
from dse.spec.scenario import Precisions, Routing, Scenario, Sensitivity
from dse.workload.build import Workload, load_workload


@pytest.fixture
def workload() -> Workload:
    model = Model(
        name="toy",
        d_model=8,
        n_layers=2,
        n_heads=2,
        n_kv_heads=2,
        head_dim=4,
        vocab_size=12,
        n_experts=3,
        top_k=2,
        d_expert=8,
    )
    return Workload(
        name="toy", model=model, counting="standard", scenario=Scenario(phase="decode", batch=4), routing=Routing(),
        sensitivity=Sensitivity(rule="random", seed=3),
    )  # fmt: skip


def test_the_workload_names_the_default_rule_and_seed(workload: Workload) -> None:
    scores = score_blocks(workload)
    assert list(scores.columns) == ["block", "layer", "kind", "expert", "score"]
    assert scores["block"].tolist() == [block.name for block in workload.blocks if block.kind == "expert"]
    assert scores["layer"].tolist() == [0, 0, 0, 1, 1, 1]
    # by definition: exp of standard normal draws of numpy's default generator at the workload's seed
    assert scores["score"].tolist() == np.exp(np.random.default_rng(3).standard_normal(6)).tolist()
    assert scores.attrs == {
        "rule": "random",
        "unit": "1",
        "additive": False,
        "status": "score_only",
        "options": {"seed": 3, "sigma": 1.0},
    }


def test_options_of_the_random_rule(workload: Workload) -> None:
    assert score_blocks(workload, "random", sigma=0.0)["score"].tolist() == [1.0] * 6
    assert not score_blocks(workload, "random", seed=1).equals(score_blocks(workload, "random", seed=2))


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("max_neuron_norm", {}, "rule max_neuron_norm reads weights and workload toy names none: give `checkpoint"),
        ("fisher", {}, r"unknown rule 'fisher' \(available: max_neuron_norm, router_norm, random; or a scores file\)"),
        ("randm", {}, r"unknown rule 'randm', did you mean 'random'\? \(available"),
        ("random", {"sed": 1}, r"random has no option 'sed', did you mean 'seed'\?"),
        ("random", {"seed": -1}, r"sensitivity.seed: expected a whole number >= 0 \(got -1\)"),
        ("random", {"seed": "x"}, r"sensitivity.seed: expected a whole number >= 0 \(got 'x'\)"),
    ],
)
def test_faulty_requests_are_refused(workload: Workload, rule: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        score_blocks(workload, rule, **options)


def test_a_file_gives_back_what_was_written(workload: Workload, tmp_path: Path) -> None:
    scores = score_blocks(workload)
    write_scores(scores, tmp_path / "scores.csv")
    again = score_blocks(dataclasses.replace(workload, scores_file=tmp_path / "scores.csv"))
    pd.testing.assert_frame_equal(again, scores, check_exact=True)
    assert again.attrs["rule"] == "random"
    assert again.attrs["status"] == "from_file"
    assert again.attrs["options"] == {"seed": "3", "sigma": "1.0"}


def test_a_file_may_score_dense_blocks_in_any_order(workload: Workload, tmp_path: Path) -> None:
    scores = score_blocks(workload)
    write_scores(scores.iloc[::-1], tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open("a") as stream:
        stream.write("layers.0.attention,0,attention,,2.5\nhead,,head,,1\n")
    again = read_scores(tmp_path / "scores.csv", workload)
    assert again["block"].tolist()[0] == "layers.0.attention"
    assert again["block"].tolist()[-1] == "head"
    assert again.set_index("block").loc["head", "score"] == 1


def test_a_file_may_state_nats(workload: Workload, tmp_path: Path) -> None:
    scores = score_blocks(workload)
    scores.attrs |= {"unit": "nats", "additive": True}
    write_scores(scores, tmp_path / "scores.csv")
    again = read_scores(tmp_path / "scores.csv", workload)
    assert (again.attrs["unit"], again.attrs["additive"]) == ("nats", True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "layers.0.experts.1,0,expert,1,",
            "layers.0.expert.1,0,expert,1,",
            r":8: unknown block 'layers.0.expert.1', did you",
        ),
        (
            "layers.0.experts.1,0,expert,1,",
            "layers.0.experts.1,1,expert,1,",
            r":8: layers.0.experts.1 is layer,kind,expert",
        ),
        ("layers.0.experts.1,0,expert,1,", "layers.0.experts.0,0,expert,0,", r":8: layers.0.experts.0 appears twice"),
        ("layers.0.experts.1,0,expert,1,", "embedding,,embedding,,", r":8: unknown block 'embedding'"),
        (
            "layers.0.experts.1,0,expert,1,",
            "layers.0.experts.1,0,expert,1,x",
            r":8: score of layers.0.experts.1 must be a number",
        ),
        ("layers.0.experts.1,0,expert,1,", "layers.0.experts.1,0,expert,1,-", r":8: score of .* finite number >= 0"),
        (
            "layers.0.experts.1,0,expert,1,",
            "layers.0.experts.1,0,expert,1,nan\n#",
            r":8: score of .* finite number >= 0",
        ),
        ("layers.0.experts.1,0,expert,1,", "layers.0.experts.1,0,expert,1,1,", r":8: expected 5 columns \(got 6\)"),
        ("layers.0.experts.1,0,expert,1,", "#", r"scores.csv: 1 experts of toy have no score: layers.0.experts.1"),
        ("block,layer,kind", "block,kind,layer", r":6: expected the columns block,layer,kind,expert,score"),
        ("# unit: 1", "# unit: bits", r":2: unit must be one of 1, nats \(got bits\)"),
        ("# additive: no", "# additive: maybe", r":3: additive must be yes or no \(got maybe\)"),
    ],
)
def test_faults_of_a_file_are_named_with_their_line(
    workload: Workload, tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = tmp_path / "scores.csv"
    write_scores(score_blocks(workload), file)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError, match=message):
        read_scores(file, workload)


def test_all_faults_of_a_file_are_named_at_once(workload: Workload, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    write_scores(score_blocks(workload), file)
    file.write_text(file.read_text().replace("layers.0.", "layers.9."))
    with pytest.raises(SpecError) as caught:
        read_scores(file, workload)
    assert [problem.line for problem in caught.value.problems] == [7, 8, 9]


def test_a_missing_file_names_the_command(workload: Workload, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such scores file; `dse score WORKLOAD -o FILE` writes one"):
        read_scores(tmp_path / "none.csv", workload)


def test_options_of_a_rule_do_not_go_with_a_file(workload: Workload, tmp_path: Path) -> None:
    write_scores(score_blocks(workload), tmp_path / "scores.csv")
    with pytest.raises(SpecError, match="options seed belong to a rule"):
        score_blocks(dataclasses.replace(workload, scores_file=tmp_path / "scores.csv"), seed=1)


def make_arch(*precisions: str) -> Architecture:
    unit = DigitalUnit(
        name="npu", die="d", units_per_die=1, peak_ops_per_ns={"fp16": 1.0}, launch_ns=0, precisions=precisions,
        utilisation=Utilisation(compute_fraction=1, bandwidth_fraction=1), memory="m", area_mm2=1,
        energy=PerOperationEnergy(model="per_operation", op_pj={"fp16": 1.0}, idle_mw=0),
    )  # fmt: skip
    return Architecture(
        name="toy", energy_boundary="package", composition="serial", digital_units=(unit,),
        dies=(Die(name="d", count=1, node_nm=5, fixed_area_mm2=0),),
        memories=(Memory(name="m", capacity_bytes=1, bandwidth_bytes_per_ns=1, energy_pj_per_bit=1),),
    )  # fmt: skip


def test_experts_get_the_wanted_format_unless_others_are_asked_for(workload: Workload) -> None:
    scores, arch = score_blocks(workload), make_arch("fp16", "int8", "int4")
    by_default = option_scores(scores, workload, arch)
    assert set(by_default["precision"]) == {"fp16"}
    wider = option_scores(scores, workload, arch, digital_precisions=("int8", "int4"))
    expert = wider["block"].str.contains("experts")
    assert set(wider[expert]["precision"]) == {"int8", "int4"}
    assert set(wider[~expert]["precision"]) == {"fp16"}
    assert (wider["score"] == 0).all()
    assert by_default.attrs["unscored"] == ["attention", "head", "router"]


def test_the_widest_format_stands_in_for_one_a_unit_lacks(workload: Workload) -> None:
    scenario = dataclasses.replace(workload.scenario, precision=Precisions(weights="fp16"))
    workload = dataclasses.replace(workload, scenario=scenario)
    assert set(option_scores(score_blocks(workload), workload, make_arch("int4", "fp8"))["precision"]) == {"fp8"}


def test_a_format_no_unit_stores_is_refused(workload: Workload) -> None:
    with pytest.raises(SpecError, match=r"no digital unit stores int4 \(units store fp16\)"):
        option_scores(score_blocks(workload), workload, make_arch("fp16"), digital_precisions=("int4",))


def test_the_share_is_that_of_the_analog_experts(workload: Workload) -> None:
    scores = score_blocks(workload)
    names = scores["block"].tolist()
    placement = {name: Option("a", "analog") if i < 2 else Option("d", "fp16") for i, name in enumerate(names)}
    mapping = Mapping(placement=placement, objective="x", value=0, bound=0, status="rule")
    # by hand: the first two of six scores
    assert sensitivity_share(scores, mapping) == pytest.approx(scores["score"][:2].sum() / scores["score"].sum())
    assert sensitivity_share(scores.assign(score=0.0), mapping) == 0


def test_the_router_norm_of_an_expert_is_that_of_its_row() -> None:
    workload = load_workload("tiny_moe")
    scores = score_blocks(workload, "router_norm")
    assert workload.checkpoint is not None
    router = read_matrix(workload.checkpoint, workload.model, "layers.2.router", "router")
    own = scores[scores["layer"] == 2].set_index("expert")["score"]
    assert own[7] == pytest.approx(float(np.sqrt((router[7].astype(float) ** 2).sum())))
    assert (scores.attrs["status"], scores.attrs["additive"]) == ("from_weights", False)
