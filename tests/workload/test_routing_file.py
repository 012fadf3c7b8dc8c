"""Routing files: what is read, and what is refused with its line."""

import json

import numpy as np
import pytest

from dse import cost_table, evaluate, load_architecture, option_scores, score_blocks, solve_mapping
from dse.cli import main
from dse.errors import SpecError
from dse.spec.shipped import shipped_root
from dse.workload.batch import layer_routings
from dse.workload.build import load_workload
from dse.workload.routing import expert_visits

SPEC = """\
name: tiny
model: {{name: small, d_model: 8, n_layers: 2, n_heads: 2, n_kv_heads: 2, head_dim: 4, vocab_size: 16,
  n_experts: 4, top_k: 2, d_expert: 8}}
scenario: {{phase: decode, batch: 2, context_tokens: 4}}
routing: {routing}
sensitivity: {{rule: random}}
"""
VISITS = [(layer, e, p) for layer in (0, 1) for e, p in enumerate((0.9, 0.6, 0.3, 0.2))]
TRACE = [(t, layer, e) for t, pair in enumerate(((0, 1), (0, 2), (3, 1))) for layer in (0, 1) for e in pair]


def load(tmp_path, routing, lines=()):
    (tmp_path / "routing.csv").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "w.yaml").write_text(SPEC.format(routing=routing))
    return load_workload(tmp_path / "w.yaml")


def measured(tmp_path, rows, header="layer,expert,probability"):
    lines = ["# counted on three books", header, *(",".join(map(str, row)) for row in rows)]
    return load(tmp_path, "{kind: measured, file: routing.csv}", lines)


def trace(tmp_path, rows):
    lines = ["token,layer,expert", *(",".join(map(str, row)) for row in rows)]
    return load(tmp_path, "{kind: trace, file: routing.csv}", lines)


def test_a_file_with_a_byte_order_mark_as_spreadsheets_write_it_is_read(tmp_path):
    rows = ["layer,expert,probability", *(",".join(map(str, row)) for row in VISITS)]
    plain = load(tmp_path, "{kind: measured, file: routing.csv}", rows)
    marked = load(tmp_path, "{kind: measured, file: routing.csv}", ["\ufeff" + rows[0], *rows[1:]])
    assert np.array_equal(expert_visits(plain), expert_visits(marked))


def changed(rows, index, row):
    return [*rows[:index], row, *rows[index + 1 :]]


@pytest.mark.parametrize("factor", [1.0, 0.5, 1.0004])
def test_visits_that_add_up_to_top_k_or_to_one_are_scaled_to_top_k(tmp_path, factor):
    workload = measured(tmp_path, [(layer, e, p * factor) for layer, e, p in VISITS])
    assert expert_visits(workload) == pytest.approx(np.array([[0.9, 0.6, 0.3, 0.2]] * 2))


def test_a_trace_gives_loads(tmp_path):
    # by hand: of three tokens two choose expert 0, two expert 1, one expert 2, one expert 3
    assert expert_visits(trace(tmp_path, TRACE)) == pytest.approx(np.array([[2 / 3, 2 / 3, 1 / 3, 1 / 3]] * 2))


def test_the_file_is_part_of_the_identity(tmp_path):
    first = measured(tmp_path, VISITS).digest
    assert measured(tmp_path, [(0, 0, 0.8), (0, 1, 0.7), *VISITS[2:]]).digest != first


BAD_VISITS = [
    (changed(VISITS, 1, (0, 1, 0.7)), "routing.csv:6: layer 0: probabilities add up to 2.1; they must add up to top_k"),
    (changed(VISITS, 2, (0, 2, "nan")), "routing.csv:5: probability must be a number from 0 to 1 (got 'nan')"),
    (changed(VISITS, 2, (0, 2, -0.3)), "routing.csv:5: probability must be a number from 0 to 1 (got '-0.3')"),
    (changed(VISITS, 2, (0, 2, "many")), "routing.csv:5: probability must be a number from 0 to 1 (got 'many')"),
    (changed(VISITS, 4, (7, 0, 0.9)), "routing.csv:7: no layer with experts has this number (they are 0 to 1"),
    (changed(VISITS, 4, (1, 4, 0.9)), "routing.csv:7: no expert has this number (they are 0 to 3 in small)"),
    (changed(VISITS, 1, (0, 0, 0.6)), "routing.csv:4: layer 0, expert 0 appears twice"),
    (changed(VISITS, 1, (0, 1)), "routing.csv:4: expected 3 columns (got 2)"),
    (VISITS[:-1], "routing.csv:9: layer 1: no probability for experts 3; give every expert"),
    ([(0, 0, 0.8), (0, 1, 0.2), (0, 2, 0), (0, 3, 0), *VISITS[4:]], "routing.csv:6: layer 0: expert 0 gets 1.6 visits"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), BAD_VISITS)
def test_wrong_visits_are_refused_with_their_line(tmp_path, rows, message):
    with pytest.raises(SpecError) as caught:
        measured(tmp_path, rows)
    assert message in str(caught.value)


BAD_TRACES = [
    (changed(TRACE, 1, (0, 0, 0)), "routing.csv:3: token 0 chooses expert 0 of layer 0 twice"),
    (changed(TRACE, 1, (-1, 0, 0)), "routing.csv:3: token must be a whole number >= 0 (got '-1')"),
    (TRACE[:-1], "token 2 has 1 choices in layer 1; the model chooses 2 experts"),
    (TRACE[:8] + [(5, *row[1:]) for row in TRACE[8:]], "token 2 has 0 choices in layer 0"),
    ([], "the trace has no token"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_TRACES)
def test_wrong_traces_are_refused(tmp_path, rows, message):
    with pytest.raises(SpecError) as caught:
        trace(tmp_path, rows)
    assert message in str(caught.value)


def test_a_missing_file_and_a_wrong_header_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"w\.yaml:5:.*file"):
        load(tmp_path, "{kind: measured, file: nowhere.csv}")
    with pytest.raises(SpecError, match=r"routing\.csv:2: expected the columns layer,expert,probability"):
        measured(tmp_path, VISITS, header="layer,expert,p")


BAD_SPECS = [
    ("{kind: measured}", "routing.kind: measured needs a file; add file: routing.csv with columns layer,"),
    ("{kind: trace}", "routing.kind: trace needs a file; add file: routing.csv with columns token,layer,expert"),
    ("{kind: zipf}", "routing.kind: zipf needs a zipf_exponent"),
    ("{kind: uniform, file: routing.csv}", "routing.file: has no meaning with kind: uniform"),
    ("{correlation: 1.5}", "routing.correlation"),
    ("{correlation: -0.1}", "routing.correlation"),
    ("{norm_load_rank_correlation: -1.1}", "routing.norm_load_rank_correlation"),
    ("{norm_load_rank_correlation: 0.5}", "has no meaning with kind: uniform, all experts are equally busy"),
    ("{kind: trace, file: routing.csv, correlation: 0.5}", "routing.correlation: has no meaning with kind: trace"),
    ("{kind: measured, file: routing.csv, zipf_exponent: 1}", "zipf_exponent: has no meaning with kind: measured"),
]  # fmt: skip


@pytest.mark.parametrize(("routing", "message"), BAD_SPECS)
def test_wrong_routing_values_are_refused(tmp_path, routing, message):
    with pytest.raises(SpecError) as caught:
        load(tmp_path, routing)
    assert message in str(caught.value)
    assert "w.yaml:5:" in str(caught.value)


@pytest.mark.parametrize(("kind", "file"), [("measured", "routing.csv"), ("trace", "trace.csv")])
def test_the_shipped_model_comes_with_its_measured_routing(kind, file):
    workload = load_workload("tiny_moe", [f"routing.kind={kind}", f"routing.file=tiny_moe/{file}"])
    visits = expert_visits(workload)
    assert visits.shape == (4, 32)
    assert visits.sum(axis=1) == pytest.approx(4.0)
    assert visits.max() < 0.5


def test_a_step_longer_than_the_trace_is_refused(tmp_path):
    routing = layer_routings(trace(tmp_path, TRACE))[0]
    with pytest.raises(SpecError, match="a step of 4 tokens is longer than the trace, which has 3"):
        routing.active(np.array([4.0]), np.arange(4))


@pytest.mark.parametrize("routing", ["correlation=0.4", "kind=trace"])
def test_the_mapping_and_the_evaluation_agree_on_the_experts_a_batch_uses(routing):
    arch = load_architecture("tiny_edge")
    more = ["routing.file=tiny_moe/trace.csv"] if routing == "kind=trace" else []
    workload = load_workload("tiny_moe", [f"routing.{routing}", *more])
    costs, options = cost_table(arch, workload), option_scores(score_blocks(workload), workload, arch)
    mapping = solve_mapping(costs, options, workload, arch, objective="energy", limits={"max_sensitivity_share": 0.3})
    full = evaluate(arch, workload, mapping).energy_pj_per_token
    assert mapping.value <= full * (1 + 1e-9)
    # the program shares the load of a group evenly, the evaluation waits for the busiest tile
    assert mapping.value == pytest.approx(full, rel=0.01)


def test_check_reads_the_routing_file_behind_a_workload(tmp_path, capsys):
    model = json.loads((shipped_root() / "workloads" / "tiny_moe" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(model))
    (tmp_path / "routing.csv").write_text("layer,expert,probability\n0,0,nan\n")
    (tmp_path / "w.yaml").write_text(
        "name: w\nmodel: config.json\nscenario: {phase: decode, batch: 1}\n"
        "routing: {kind: measured, file: routing.csv}\nsensitivity: {rule: random}\n"
    )
    assert main(["check", str(tmp_path / "w.yaml")]) == 2
    assert "routing.csv:2" in capsys.readouterr().err
