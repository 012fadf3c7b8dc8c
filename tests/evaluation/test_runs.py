"""Whole requests and mixes of scenarios: their parts add up, and few contexts stand for many."""

import dataclasses
import json

import numpy as np
import pytest

from dse import cost_table, evaluate, load_architecture, load_workload, rule_mapping, score_blocks, solve_mapping
from dse.errors import InfeasibleError, SpecError
from dse.evaluation import growth
from dse.evaluation.points import evaluate_points
from dse.report.text import room_text
from dse.sensitivity.options import option_scores
from dse.spec.shipped import shipped_root
from dse.workload.steps import all_steps, at_context

MODEL = dict(name="small", d_model=64, n_layers=3, n_heads=4, n_kv_heads=4, head_dim=16, vocab_size=256, n_experts=8,
             top_k=2, d_expert=32)  # fmt: skip


def olmoe(**scenario):
    base = load_workload("olmoe")
    return dataclasses.replace(base, scenario=dataclasses.replace(base.scenario, **scenario))


def request(new_tokens, prompt_tokens=100, batch=8):
    return olmoe(phase="generate", prompt_tokens=prompt_tokens, new_tokens=new_tokens, batch=batch)


def machine(**overrides):
    return load_architecture("server_pcm3d", overrides)


@pytest.fixture(scope="module")
def mapping():
    workload = load_workload("olmoe")
    return rule_mapping(machine(), workload, score_blocks(workload), digital_fraction=0.25)


def token_by_token(arch, workload, mapping):
    """(Energy, time) of every decode step of a request, one by one."""
    scenario = workload.scenario
    contexts = scenario.prompt_tokens + np.arange(scenario.new_tokens, dtype=float)
    steps = evaluate_points(arch, at_context(workload, contexts), mapping)
    return np.asarray(steps.energy_pj_per_step), np.asarray(steps.latency_ns)


# at 30 operations/ns the host's attention is compute bound at first and memory bound later, or the other way round
SLOW = {"digital_units.npu.peak_ops_per_ns.fp16": 2400.0}


@pytest.mark.parametrize("new_tokens", [1, 2, 3, 17, 64, 300])
@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
@pytest.mark.parametrize("overrides", [{}, SLOW])
def test_a_request_is_its_prefill_and_all_decode_steps(mapping, new_tokens, composition, overrides):
    arch, workload = machine(composition=composition, micro_batches=2, **overrides), request(new_tokens)
    prefill = evaluate_points(arch, olmoe(phase="prefill", prompt_tokens=100, batch=8), mapping)
    energy, time = token_by_token(arch, workload, mapping)
    run = evaluate_points(arch, workload, mapping)
    assert run.latency_ns_per_step == pytest.approx(prefill.latency_ns_per_step + time.sum(), rel=1e-9)
    assert run.energy_pj_per_step == pytest.approx(prefill.energy_pj_per_step + energy.sum(), rel=1e-9)
    assert run.tokens_per_step == pytest.approx(8 * new_tokens)
    assert run.prefill_energy_pj == prefill.energy_pj_per_step
    assert run.prefill_latency_ns == prefill.latency_ns_per_step
    assert run.decode_latency_ns_per_token == pytest.approx(time.mean(), rel=1e-9)
    assert sum(float(v[0]) for v in run.critical_ns.values()) == pytest.approx(run.latency_ns_per_step, rel=1e-9)
    assert run.stage_frame()["time_ns_per_step"].sum() > 0


def test_waits_of_a_growing_pipeline_are_the_mean_of_its_steps_and_the_same_among_other_designs():
    arch = machine(composition="pipelined", micro_batches=4, **SLOW).with_values({"analog_cores.pcm.tiles_per_die": 64})
    workload = request(300, prompt_tokens=20)
    roomy = rule_mapping(machine(), workload, score_blocks(workload), digital_fraction=0.25)
    contexts = 20 + np.arange(300.0)
    steps = evaluate_points(arch, at_context(workload, contexts), roomy)
    alone = evaluate_points(arch, workload, roomy)
    waits, decode = steps.contended_latency_ns - steps.latency_ns, alone.part("decode")
    assert waits.min() > 0
    mean = decode.contended_latency_ns_per_step - decode.latency_ns_per_step
    assert mean == pytest.approx(waits.mean(), rel=1e-3)
    ops = np.array([2400.0, 300.0, 900.0, 10_000.0])
    many = evaluate_points(arch.with_values({next(iter(SLOW)): ops}), workload, roomy)
    assert many.contended_latency_ns[0] == pytest.approx(alone.contended_latency_ns_per_step, rel=1e-12)


@pytest.mark.parametrize("composition", ["overlapped", "pipelined"])
@pytest.mark.parametrize("ops", [300.0, 1000.0, 2400.0, 10_000.0])
def test_ten_thousand_tokens_need_few_contexts(mapping, monkeypatch, composition, ops):
    arch = machine(**{"composition": composition, "micro_batches": 4, **SLOW} | {next(iter(SLOW)): ops})
    workload = request(10_000, prompt_tokens=20)
    contexts = []
    monkeypatch.setattr("dse.evaluation.points.at_context", lambda w, c: (contexts.append(c), at_context(w, c))[1])
    run = evaluate_points(arch, workload, mapping)
    energy, time = token_by_token(arch, workload, mapping)
    assert len(contexts) <= growth.MOST_EVALUATIONS
    assert run.decode_latency_ns_per_token == pytest.approx(time.mean(), rel=1e-9)
    assert run.part("decode").energy_pj_per_step == pytest.approx(energy.mean(), rel=1e-9)


def test_a_window_that_fills_up_on_the_way_is_met_exactly():
    workload = load_workload("gpt_oss_120b")
    scenario = dataclasses.replace(workload.scenario, phase="generate", prompt_tokens=100, new_tokens=200, batch=2)
    workload = dataclasses.replace(workload, scenario=scenario)
    arch = machine()
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_digital", costs=roomy(arch, workload))
    energy, time = token_by_token(arch, workload, mapping)
    run = evaluate_points(arch, workload, mapping).part("decode")
    assert (run.energy_pj_per_step, run.latency_ns_per_step) == pytest.approx((energy.mean(), time.mean()), rel=1e-9)


def roomy(arch, workload):
    costs = cost_table(arch, workload)
    return dataclasses.replace(costs, capacity_units={name: np.array([1e15]) for name in costs.capacity_units})


def test_requests_vary_in_all_lengths_at_once(mapping):
    prompts, news = np.array([5.0, 100.0, 700.0, 5.0]), np.array([3.0, 64.0, 200.0, 1.0])
    arch = machine().with_values({"digital_units.npu.peak_ops_per_ns.fp16": np.array([300.0, 2400.0, 800.0, 1e5])})
    many = evaluate_points(arch, request(news, prompts), mapping)
    for i in range(4):
        alone = machine(**{"digital_units.npu.peak_ops_per_ns.fp16": float([300, 2400, 800, 1e5][i])})
        one = evaluate_points(alone, request(news[i], prompts[i]), mapping)
        for name in ("energy_pj_per_token", "latency_ns_per_step", "tokens_per_s", "decode_latency_ns_per_token"):
            assert getattr(many, name)[i] == pytest.approx(getattr(one, name), rel=1e-9), name


def test_the_cache_must_hold_a_request_at_its_end(mapping):
    # by hand: 16 layers x 2 x 16 heads x 128 x 2 bytes = 131 072 bytes a token; 8 sequences of 100 + 1000 tokens
    found = evaluate_points(machine(), request(1000), mapping)
    assert found.resident_bytes["KV cache"] == 8 * 1100 * 131_072
    step = evaluate_points(machine(), olmoe(batch=8, context_tokens=1099), mapping)
    assert found.units_available["hbm"] == pytest.approx(step.units_available["hbm"], rel=1e-3)
    with pytest.raises(InfeasibleError, match="capacity of hbm"):
        evaluate(machine(), request(40_000), mapping)


MIX = [
    {"name": "chat", "weight": 3, "phase": "generate", "batch": 4, "prompt_tokens": 20, "new_tokens": 30},
    {"name": "bulk", "phase": "decode", "batch": 16, "context_tokens": 64},
]


@pytest.fixture
def mixed(tmp_path):
    (tmp_path / "w.yaml").write_text(json.dumps({"name": "w", "model": MODEL, "scenario": MIX}))
    for entry in MIX:
        own = {key: value for key, value in entry.items() if key not in ("name", "weight")}
        (tmp_path / f"{entry['name']}.yaml").write_text(json.dumps({"name": "w", "model": MODEL, "scenario": own}))
    return lambda name: load_workload(tmp_path / f"{name}.yaml")


def test_a_mix_is_the_weighted_mean_of_its_scenarios(mixed):
    # by hand: of four steps three are requests of 4 x 30 new tokens and one makes 16: (3 x 120 + 16) / 4 = 94 tokens
    arch, workload = machine(), mixed("w")
    mapping = rule_mapping(arch, workload, score_blocks(workload), digital_fraction=0.25)
    mix, chat, bulk = (evaluate(arch, mixed(name), mapping) for name in ("w", "chat", "bulk"))
    assert mix.tokens_per_step.tolist() == [94.0]
    for name in ("latency_ns_per_step", "energy_pj_per_step"):
        assert getattr(mix, name) == pytest.approx(0.75 * getattr(chat, name) + 0.25 * getattr(bulk, name), rel=1e-12)
    assert mix.energy_pj_per_token == pytest.approx(mix.energy_pj_per_step / 94, rel=1e-12)
    assert mix.tokens_per_s == pytest.approx(94 / mix.latency_ns_per_step * 1e9, rel=1e-12)
    assert mix.part("chat").energy_pj_per_token == pytest.approx(chat.energy_pj_per_token, rel=1e-12)
    assert mix.part("bulk").latency_ns_per_step == bulk.latency_ns_per_step
    assert mix.breakdown()["energy_pj_per_token"].sum() == pytest.approx(mix.energy_pj_per_token, rel=1e-12)
    for name, have in mix.units_available.items():
        assert have == np.minimum(chat.units_available[name], bulk.units_available[name])


def test_the_document_shows_requests_and_scenarios_apart(mixed):
    arch, workload = machine(), mixed("w")
    document = evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload))).to_dict()
    assert document["prefill_energy_pj"] is None
    assert [part["name"] for part in document["parts"]] == ["chat", "bulk"]
    chat = document["parts"][0]
    assert (chat["weight"], [part["name"] for part in chat["parts"]]) == (0.75, ["prefill", "decode"])
    assert chat["prefill_energy_pj"] == chat["parts"][0]["energy_pj_per_step"]
    assert chat["decode_latency_ns_per_token"] == chat["parts"][1]["latency_ns_per_step"]
    json.dumps(document, allow_nan=False)


def test_the_room_of_a_mix_is_that_of_its_scenario_with_least(mixed):
    arch, workload = machine(), mixed("w")
    evaluation = evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload)))
    # by hand: bulk keeps 16 x 65 tokens, chat 4 x 50
    assert " ".join(room_text(evaluation).split()).endswith("at this batch of bulk")


def test_a_scenario_of_a_mix_varies_under_its_name(mixed):
    arch, batches = machine(), np.array([4.0, 8.0])
    workload = mixed("w")
    mapping = rule_mapping(arch, workload, score_blocks(workload))
    many = evaluate_points(arch, workload.with_values({"scenario.bulk.batch": batches}), mapping)
    for i, batch in enumerate(batches):
        one = evaluate_points(arch, workload.with_values({"scenario.bulk.batch": batch}), mapping)
        assert many.energy_pj_per_token[i] == pytest.approx(one.energy_pj_per_token, rel=1e-12)


def test_all_steps_of_a_mix_of_requests_have_their_weights(mixed):
    found = {step.name: step.weight for step in all_steps(mixed("w"))}
    assert found == {"chat prefill": 0.75, "chat decode": 22.5, "bulk decode": 0.25}


@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
@pytest.mark.parametrize("name", ["w", "chat"])
def test_the_mapping_counts_the_energy_of_the_whole_run(mixed, composition, name):
    # the program shares the load of a group evenly, the evaluation waits for the busiest tile
    arch, workload = machine(composition=composition, micro_batches=2), mixed(name)
    options = option_scores(score_blocks(workload), workload, arch)
    mapping = solve_mapping(cost_table(arch, workload), options, workload, arch, objective="energy")
    full = evaluate(arch, workload, mapping).energy_pj_per_token
    assert mapping.status == "optimal"
    assert mapping.value <= full * (1 + 1e-9)
    assert mapping.value == pytest.approx(full, rel=0.02)


def test_scenarios_of_a_mix_without_names_are_called_by_their_phase(tmp_path):
    text = (shipped_root() / "workloads" / "olmoe.yaml").read_text()
    head = text[: text.index("scenario:")]
    entries = "".join(
        f"  - {{weight: {w}, phase: decode, batch: {b}, precision: {{activations: int8}}}}\n"
        for w, b in ((1, 4), (3, 8))
    )
    model = f"model: {shipped_root() / 'workloads' / 'olmoe_1b_7b' / 'config.json'}\n"
    kept = "".join(line for line in head.splitlines(keepends=True) if not line.startswith("model:"))
    (tmp_path / "mix.yaml").write_text(f"{kept}{model}scenario:\n{entries}sensitivity: {{rule: random}}\n")
    workload = load_workload(tmp_path / "mix.yaml", {"scenario.decode2.batch": 16})
    assert [(entry.name, entry.batch, entry.weight) for entry in workload.mix] == [("decode", 4, 1), ("decode2", 16, 3)]


def test_scenarios_of_a_mix_that_is_given_as_a_value_are_named_too():
    mix = [{"phase": "decode", "batch": 4}, {"phase": "prefill", "batch": 1, "prompt_tokens": 8}]
    assert [entry.name for entry in load_workload("olmoe", {"scenario": mix}).mix] == ["decode", "prefill"]
    mix[1]["precision"] = {"weights": "int8"}
    with pytest.raises(SpecError, match=r"scenario\.prefill\.precision: differs from that of 'decode'"):
        load_workload("olmoe", {"scenario": mix})
