import dataclasses
import json
import math
import re

import pytest

from dse import evaluate, explain, load_architecture, load_workload, rule_mapping, score_blocks
from dse.errors import SpecError
from dse.evaluation.explain import METRICS, explain_design, explanation_of_document
from dse.evaluation.formulas import UNKNOWN, energy_formula, time_formula
from dse.evaluation.influence import influence
from dse.evaluation.source import assumed_fraction, sourced_breakdown
from dse.report.explain_text import reasons
from dse.spec.architecture import Program
from dse.spec.provenance import stated_origin
from dse.spec.shipped import shipped_root
from dse.spec.values import flat_values

DESIGNS = [
    ("server_pcm3d", "olmoe", 0.25),
    ("server_pcm3d", "olmoe_zipf", 0.25),
    ("server_pcm3d", "olmoe_prefill", 0.0),
    ("chowdhury_arxiv_2026", "olmoe", 0.25),
    ("hermes_2d_components", "tiny_moe", 0.9),
    ("tiny_edge", "tiny_moe", 0.25),
    ("h200_fp8", "mixtral_8x7b", 1.0),
    ("dimc_hbm", "deepseek_moe_16b", 1.0),
]


def design(architecture, workload, fraction):
    arch, loaded = load_architecture(architecture), load_workload(workload)
    rule = "top_k_per_layer" if arch.analog_cores else "all_digital"
    return arch, loaded, rule_mapping(arch, loaded, score_blocks(loaded), rule=rule, digital_fraction=fraction)


@pytest.fixture(scope="module", params=DESIGNS, ids=lambda names: "-".join(names[:2]))
def explained(request):
    found = design(*request.param)
    return found, explain_design(*found)


def test_every_tree_adds_up_to_its_metric_and_every_node_to_its_parts(explained):
    (arch, workload, mapping), explanation = explained
    evaluation = evaluate(arch, workload, mapping)
    for metric in METRICS:
        tree = explanation.tree(metric)
        stated = (
            evaluation.bytes_per_token["bytes_per_token"].sum() if metric == "bytes_per_token"
            else getattr(evaluation, metric)
        )  # fmt: skip
        assert tree.value == pytest.approx(stated, rel=1e-12)
        for node in tree.nodes():
            assert node.recomputed == pytest.approx(node.value, rel=1e-9), node.name


def test_every_leaf_says_its_formula_and_what_it_rests_on(explained):
    (arch, workload, mapping), explanation = explained
    evaluation = evaluate(arch, workload, mapping)
    for part in evaluation.energy_parts_pj:
        assert energy_formula(part.component) != UNKNOWN, part.component
    for stage in evaluation.stages:
        for group in stage.groups.values():
            for resource in (*group.bound_by, *group.added):
                assert time_formula(resource) != UNKNOWN, resource
    for metric in ("energy_pj_per_token", "latency_ns_per_step", "area_mm2"):
        for leaf in explanation.tree(metric).leaves():
            assert leaf.formula, leaf.name
            assert leaf.terms, leaf.name
            assert leaf.inputs, leaf.name
            assert leaf.primary, leaf.name
    if explanation.waits.value:
        assert explanation.waits.formula
        assert explanation.waits.inputs
    for leaf in explanation.traffic.leaves():
        assert leaf.formula, leaf.name
        assert {"model"} < {entry.path for entry in leaf.inputs}, leaf.name


def test_every_input_of_a_leaf_says_its_value_and_its_place(explained):
    (arch, workload, _), explanation = explained
    stated = flat_values(arch) | {"model": workload.model.name, "routing.kind": workload.routing.kind}
    stated |= flat_values(workload, roots=("scenario",))
    for metric in METRICS:
        for leaf in explanation.tree(metric).leaves():
            for entry in leaf.inputs:
                assert entry.value == stated[entry.path], entry.path
                origin = stated_origin({**arch.provenance, **workload.provenance}, entry.path)
                if origin is None and entry.path != "model":
                    assert entry.origin.file == "default", entry.path
                    assert entry.origin.source or entry.path.startswith("scenario."), entry.path
                else:
                    assert entry.origin == origin or entry.path == "model", entry.path


def test_the_line_that_an_input_names_holds_its_value(explained):
    _, explanation = explained
    for metric in METRICS:
        for leaf in explanation.tree(metric).leaves():
            for entry in leaf.inputs:
                if entry.origin is None or entry.origin.line is None:
                    continue
                line = (
                    (shipped_root() / entry.origin.file).read_text(encoding="utf-8").splitlines()[entry.origin.line - 1]
                )
                said = line[entry.origin.column - 1 :]
                if isinstance(entry.value, str):
                    assert said.startswith(entry.value) or entry.path == "model", f"{entry.path}: {line}"
                else:
                    number = re.match(r"[-+]?\d[\d.]*(?:[eE][-+]?\d+)?", said)
                    assert number, f"{entry.path}: {line}"
                    assert float(number[0]) == entry.value, f"{entry.path}: {line}"


def test_a_part_without_a_plain_factor_lists_what_moves_it_with_its_places():
    tree = explain(*design("server_pcm3d", "olmoe", 0.25), "energy_pj_per_token")
    (leaf,) = [leaf for leaf in tree.leaves() if leaf.name.startswith("calibrated remainder")]
    text = "\n".join(reasons(leaf, ""))
    # by hand: what is fitted goes with the square of the supply, and with the published total that it fills up
    assert "analog_cores.pcm.cost.supply_v = 0.8 V (1 % more: +2.00 %)" in text
    assert "cost.calibration.0.energy_pj = 13430 pJ" in text
    assert "HERMES, Le Gallo" in text
    assert leaf.primary == "analog_cores.pcm.cost.calibration.0.energy_pj"


def test_a_default_says_what_the_format_says_of_it():
    tree = explain(*design("hermes_2d_components", "tiny_moe", 0.9), "energy_pj_per_token")
    texts = [" ".join(line.split()) for leaf in tree.leaves() for line in ["\n".join(reasons(leaf, ""))]]
    (said,) = {text for text in texts if "dac.per_bit_ff" in text}
    assert "dac.per_bit_ff: default: Capacitance per bit [fF]; 50 fF is the fit of zigzag-imc to 28 nm macros." in said


def test_bytes_rest_on_the_model_and_on_what_is_run_and_on_no_assumption():
    tree = explain(*design("server_pcm3d", "olmoe", 0.25), "bytes_per_token")
    assert tree.assumed_fraction == 0
    said = {leaf.name.split(",")[0]: [entry.path for entry in leaf.inputs][:2] for leaf in tree.leaves()}
    assert said == {
        "KV cache": ["model", "scenario.precision.kv_cache"],
        "digital experts": ["model", "routing.kind"],
        "dense weights": ["model", "scenario.precision.weights"],
    }


def test_a_time_rests_on_the_least_supported_of_its_factors_and_not_on_how_many_there_are():
    # a bandwidth from a data sheet times a share that is assumed; the rate of one unit, not their number
    tree = explain(*design("server_pcm3d", "olmoe", 0.25), "latency_ns_per_step")
    rests_on = {leaf.name: leaf.primary for leaf in tree.leaves()}
    assert rests_on["hbm bandwidth"] == "digital_units.npu.utilisation.bandwidth_fraction"
    assert rests_on["npu vector work"] == "digital_units.npu.utilisation.compute_fraction"


def test_a_quotient_rests_on_assumed_values_as_far_as_the_worse_of_its_operands():
    explanation = explain_design(*design("server_pcm3d", "olmoe", 0.25))
    energy, time = explanation.energy.assumed_fraction, explanation.latency.assumed_fraction
    assert 0 < energy < time
    shares = {metric: explanation.tree(metric).assumed_fraction for metric in METRICS}
    assert (shares["power_mw"], shares["tokens_per_j"], shares["tokens_per_s"]) == (time, energy, time)


def test_a_value_that_another_was_put_in_for_says_so():
    arch, workload, mapping = design("server_pcm3d", "olmoe", 0.25)
    changed = workload.with_values({"scenario.batch": 8})
    leaves = explain(arch, changed, mapping, "bytes_per_token").leaves()
    found = [entry for leaf in leaves for entry in leaf.inputs if entry.path == "scenario.batch"]
    assert {(entry.value, entry.origin.file) for entry in found} == {(8, "--set")}


def test_the_bits_of_an_energy_are_the_bytes_of_the_traffic(explained):
    (arch, workload, mapping), explanation = explained
    table = evaluate(arch, workload, mapping).bytes_per_token.groupby("what")["bytes_per_token"].sum()
    bits = {"dense weights": 0.0, "digital experts": 0.0, "KV cache": 0.0}
    for leaf in explanation.energy.leaves():
        component, kind, _ = leaf.name.split(", ")
        if component in ("weight memory", "KV cache"):
            what = component if component == "KV cache" else "digital experts" if kind == "expert" else "dense weights"
            assert len(leaf.terms) == 1
            bits[what] += leaf.terms[0][0].value
    for what, count in bits.items():
        if count:
            assert count == pytest.approx(8 * table[what], rel=1e-9)


def test_a_time_of_two_terms_has_the_values_of_each():
    # by hand: operations / (rate · share · units) + launches · time of one
    arch, workload, mapping = design("a100_80g", "tiny_moe", 1.0)
    leaves = explain(arch, workload, mapping, "latency_ns_per_step").leaves()
    (leaf,) = [leaf for leaf in leaves if leaf.name.endswith("vector work")][:1]
    values = [{factor.name.rsplit(".", 1)[-1]: factor.exponent for factor in term[1:]} for term in leaf.terms]
    assert sorted(values, key=len)[0] == {"launch_ns": 1}
    assert sorted(values, key=len)[1] == {
        "compute_fraction": -1, "peak_ops_per_ns": -1, "units_per_die": -1, "count": -1,
    }  # fmt: skip


def test_time_lost_to_drift_refresh_is_in_the_throughput():
    arch, workload, mapping = design("tiny_edge", "tiny_moe", 0.25)
    program = Program(
        pulse_ns=1e6, energy_pj_per_cell=10.0, iterations=30.0, parallel_rows=1.0, refresh_interval_s=60.0
    )
    cores = tuple(dataclasses.replace(core, program=program) for core in arch.analog_cores)
    refreshed = dataclasses.replace(arch, analog_cores=cores)
    evaluation = evaluate(refreshed, workload, mapping)
    assert 0.01 < evaluation.time_lost_fraction < 0.99
    tree = explain(refreshed, workload, mapping, "tokens_per_s")
    assert tree.value == pytest.approx(evaluation.tokens_per_s, rel=1e-12)


def test_inputs_that_contradict_others_when_they_change_are_found_by_halving():
    arch, workload, mapping = design("hermes_2d_components", "tiny_moe", 0.9)
    changed = {change.path: change.factor for change in influence(arch, workload, mapping).changes}
    assert "analog_cores.pcm.cost.calibration.0.energy_pj" in changed
    assert not [path for path in changed if path.endswith(("rows_driven", "cols_used"))]  # settings of a publication


def test_a_crossbar_product_is_counted_as_such():
    # by hand: OLMoE, 75 % of 8 experts a token and layer on tiles, 12 crossbars each: 16 · 6 · 24 / ... = 2 304
    arch, workload, mapping = design("server_pcm3d_lumped", "olmoe", 0.25)
    tree = explain(arch, workload, mapping, "energy_pj_per_token")
    (leaf,) = [leaf for leaf in tree.leaves() if leaf.name.startswith("analog MVM")]
    products, price = leaf.terms[0]
    assert products.value == pytest.approx(16 * 8 * 0.75 * 24)
    assert (price.name, price.value) == ("analog_cores.pcm.cost.mvm.energy_pj", 10000)
    assert price.origin.line == arch.provenance[price.name].line
    assert price.origin.evidence == "simulated"


def test_the_share_on_assumed_values_is_that_of_the_breakdown():
    found = design("server_pcm3d", "olmoe", 0.25)
    breakdown = sourced_breakdown(found[0], evaluate(*found))
    assert explain(*found, "energy_pj_per_token").assumed_fraction == pytest.approx(assumed_fraction(breakdown))


def test_a_group_that_is_not_waited_for_is_listed_and_does_not_count():
    tree = explain(*design("server_pcm3d", "olmoe", 0.25), "latency_ns_per_step")
    (experts,) = [child for child in tree.children if child.name == "experts stage"]
    assert "pcm tile load" in {node.name for node in experts.hidden}
    assert experts.value == pytest.approx(math.fsum(child.value for child in experts.children))


def test_an_explanation_is_read_back_as_it_was_written(explained):
    _, explanation = explained
    again = explanation_of_document(json.loads(json.dumps(explanation.to_dict())))
    assert again.to_dict() == explanation.to_dict()


def test_an_unknown_metric_is_named_with_the_one_that_was_meant():
    found = design("tiny_edge", "tiny_moe", 0.25)
    with pytest.raises(SpecError, match=r"unknown metric 'energy_per_token', did you mean 'energy_pj_per_token'"):
        explain(*found, "energy_per_token")
    with pytest.raises(SpecError, match=r"unknown metric 'x'; known: area_mm2, .*, tokens_per_s$"):
        explain(*found, "x")


def test_several_designs_are_not_explained_at_once():
    arch, workload, mapping = design("tiny_edge", "tiny_moe", 0.25)
    with pytest.raises(SpecError, match="one design is explained at a time"):
        explain(arch.with_values({"analog_cores.pcm.adc.bits": [6, 8]}), workload, mapping, "area_mm2")
