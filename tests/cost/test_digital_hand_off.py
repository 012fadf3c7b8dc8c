"""Hand-off to a digital unit on a die of its own: bytes, time, energy, the link named, and what of it is said."""

import json

import pytest

from dse import cost_table, evaluate, load_architecture, load_workload, solve_mapping
from dse.cost.digital_hand_off import crossings, vector_elements
from dse.cost.option import Option
from dse.errors import SpecError
from dse.evaluation.source import sourced_breakdown
from dse.exploration.manifest import unmodelled
from dse.mapping.model import Mapping
from dse.sensitivity.options import option_scores
from dse.sensitivity.score import score_blocks

LINK = {"from": "npu", "to": "far", "latency_ns": 5, "bandwidth_bytes_per_ns": 4, "energy_pj_per_bit": 0.5}
MODEL = dict(name="two layers", d_model=4, n_layers=2, n_heads=1, n_kv_heads=1, head_dim=4, vocab_size=8, n_experts=2,
             top_k=1, d_expert=6)  # fmt: skip


def unit(name, die, op_pj=1):
    return {
        "name": name, "die": die, "units_per_die": 1, "peak_ops_per_ns": {"fp16": 2},
        "utilisation": {"compute_fraction": 1, "bandwidth_fraction": 1}, "launch_ns": 3, "precisions": ["fp16"],
        "memory": f"{name}_memory", "area_mm2": 1,
        "energy": {"model": "per_operation", "op_pj": {"fp16": op_pj}, "idle_mw": 0},
    }  # fmt: skip


@pytest.fixture
def design(tmp_path):
    """Evaluates three tokens through two layers, some kinds of blocks on a unit of another die."""

    def run(kinds, links=(LINK,), n_far=1, far_op_pj=1, third=False):
        memory = {"capacity_bytes": 1e6, "bandwidth_bytes_per_ns": 1000, "energy_pj_per_bit": 0}
        dies = [{"name": n, "count": c, "node_nm": 5, "fixed_area_mm2": 1} for n, c in (("npu", 1), ("far", n_far))]
        units = [unit("host", "npu"), unit("other", "far", op_pj=far_op_pj)]
        if third:
            dies, units = [*dies, {**dies[0], "name": "third"}], [*units, {**units[1], "name": "last", "die": "third"}]
        text = {
            "name": "x", "energy_boundary": "package", "composition": "serial", "dies": dies, "links": list(links),
            "digital_units": units,
            "memories": [{"name": f"{n}_memory", **memory} for n in ("host", "other")],
        }  # fmt: skip
        (tmp_path / "a.yaml").write_text(json.dumps(text))
        scenario = {"phase": "decode", "batch": 3, "context_tokens": 0}
        (tmp_path / "w.yaml").write_text(json.dumps({"name": "w", "model": MODEL, "scenario": scenario}))
        arch, workload = load_architecture(tmp_path / "a.yaml"), load_workload(tmp_path / "w.yaml")
        placement = {
            b.name: Option("other" if b.kind in kinds else "host", "fp16")
            for b in workload.blocks
            if b.kind != "embedding"
        }
        mapping = Mapping(placement=placement, objective="by hand", value=0, bound=0, status="rule")
        return arch, workload, evaluate(arch, workload, mapping)

    return run


def test_experts_on_another_die_by_hand(design):
    # by hand: a vector of 4 numbers of 2 bytes in and one out: 16 bytes a visit, 3 tokens of one expert in 2 layers,
    # 96 bytes at 4 byte/ns; 5 ns each way in 2 stages
    (arch, _, far), (_, _, free) = design({"expert"}), design({"expert"}, links=())
    assert far.latency_ns_per_step - free.latency_ns_per_step == pytest.approx(2 * 2 * 5 + 96 / 4)
    assert far.energy_pj_per_step - free.energy_pj_per_step == pytest.approx(96 * 8 * 0.5)
    assert far.critical_ns["other exchange latency"][0] == pytest.approx(20)
    assert far.critical_ns["other exchange bandwidth"][0] == pytest.approx(24)
    worst = far.machine.worst_link
    assert (worst.name, worst.busy_ns) == ("links.npu-far", pytest.approx(24))
    rows = sourced_breakdown(arch, far)
    assert rows.loc[rows["component"] == "links", "path"].tolist() == ["links.npu-far.energy_pj_per_bit"]


def test_attention_crosses_once_more_for_its_scores(design):
    # by hand: 4 in; q, k, v out: 12; scores' output back: 4; output out: 4 = 24 numbers of 2 bytes, 4 crossings
    (_, _, far), (_, _, free) = design({"attention"}), design({"attention"}, links=())
    assert far.latency_ns_per_step - free.latency_ns_per_step == pytest.approx(2 * (4 * 5 + 3 * 48 / 4))


def test_every_pair_of_dies_brings_its_bandwidth(design):
    _, workload, one = design({"expert"})
    _, _, four = design({"expert"}, n_far=4)
    assert four.critical_ns["other exchange bandwidth"][0] == pytest.approx(24 / 4)
    kinds = {c.kind: c for c in workload.classes}
    assert (vector_elements(kinds["router"]), crossings(kinds["router"])) == (4 + 2, 2)
    assert one.bytes_per_token.equals(four.bytes_per_token)


@pytest.mark.parametrize(("far_op_pj", "group"), [(0.01, "other"), (0.7, "host")])
def test_the_program_counts_the_hand_off_as_the_evaluation_does(design, far_op_pj, group):
    # by hand: an expert's visit has 144 operations, 144 pJ on the host; elsewhere 1.44 or 100.8 pJ, and 64 pJ to cross
    arch, workload, _ = design({"expert"}, far_op_pj=far_op_pj)
    scores = option_scores(score_blocks(workload, "random"), workload, arch)
    mapping = solve_mapping(cost_table(arch, workload), scores, workload, arch, objective="energy")
    assert {mapping.placement[b.name].group for b in workload.blocks if b.kind == "expert"} == {group}
    assert mapping.value == pytest.approx(evaluate(arch, workload, mapping).energy_pj_per_token, rel=1e-9)


def test_ways_of_sharing_vectors_that_only_analog_dies_know_are_refused(design):
    with pytest.raises(
        SpecError, match=r"links\.npu-far\.broadcast: is modelled for dies with analog cores only"
    ) as caught:
        design({"expert"}, links=[{**LINK, "broadcast": True, "reduce": "die", "add_pj": 1}])
    assert [problem.path for problem in caught.value.problems] == ["links.npu-far.broadcast", "links.npu-far.reduce"]


def test_a_link_between_groups_that_hand_nothing_to_each_other_is_refused(design):
    expected = r"links\.third-far: carries nothing: all vectors come from and go to die 'npu' of the first digital unit"
    with pytest.raises(SpecError, match=expected):
        design({"expert"}, links=[LINK, {**LINK, "from": "third"}], third=True)


def test_a_hand_off_without_a_link_is_said_to_be_left_out(design):
    said = "hand-off to other (no link joins far to npu)"
    assert said in unmodelled(design({"expert"}, links=())[0])
    assert said not in unmodelled(design({"expert"})[0])
