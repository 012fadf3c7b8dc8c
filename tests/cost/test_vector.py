"""Vector work and launches: operation counts by hand, and the evaluation and the mapping program agree on them."""

import dataclasses

import numpy as np
import pytest

from dse import cost_table, evaluate, load_architecture, load_workload, option_scores, score_blocks, solve_mapping
from dse.cost.vector import vector_costs, vector_ops, vector_stage
from dse.evaluation.all_digital import all_digital_mapping
from dse.evaluation.points import evaluate_points
from dse.spec.architecture import VectorUnit

VECTOR = VectorUnit(peak_ops_per_ns=2.0, op_pj=3.0, launch_ns=50.0)


def with_unit(arch, **changes):
    """The architecture with other fields of its first digital unit."""
    first, *rest = arch.digital_units
    return dataclasses.replace(arch, digital_units=(dataclasses.replace(first, **changes), *rest))


def with_model(workload, **changes):
    return dataclasses.replace(workload, model=dataclasses.replace(workload.model, **changes), checkpoint=None)


@pytest.fixture
def tiny():
    """The edge machine without vector lanes, and its workload in decode."""
    return with_unit(load_architecture("tiny_edge"), vector=None), load_workload("tiny_moe")


def small(workload, **changes):
    return with_model(
        workload, d_model=8, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=2, n_experts=6, top_k=2, d_expert=5,
        n_shared_experts=1, d_shared_expert=3,
        **({"qk_norm_parameters_per_layer": 0} | changes),
    )  # fmt: skip


def test_operations_of_a_gated_layer(tiny):
    workload = small(tiny[1].with_values({"scenario.batch": 3, "scenario.context_tokens": 9}))
    # by hand: per token norm 4 x 8, rotary 3 x (4 + 2) heads x 2, residual 8; softmax 5 x 4 heads x 3 sequences x 10
    # positions; norm 32 + softmax over 6 experts 30 + two passes 12 + weights 4; SiLU times up 5 x (2 x 5 + 3);
    # combine weighs 2, adds 1, the shared expert and the residual: 5 x 8; last norm 32
    assert vector_ops(workload) == {
        "attention": 3 * (32 + 36 + 8) + 5 * 4 * 3 * 10, "router": 3 * (32 + 30 + 12 + 4), "experts": 3 * 65,
        "combine": 3 * 40, "ffn": 3 * (32 + 8), "head": 3 * 32,
    }  # fmt: skip


def test_operations_of_layer_norm_gelu_and_a_dense_layer(tiny):
    workload = small(
        tiny[1].with_values({"scenario.batch": 1}), norm="layer_norm", ffn="two_matrix", n_dense_layers=1, d_dense_ffn=7
    )
    # by hand: a norm 7 x 8, GELU 8 per inner element, residual 8
    assert vector_ops(workload)["ffn"] == 56 + 8 * 7 + 8
    assert vector_ops(workload)["experts"] == 8 * (2 * 5 + 3)


def test_a_model_without_router_weighs_nothing(tiny):
    workload = small(tiny[1].with_values({"scenario.batch": 1}), router="none")
    # by hand: the norm 32 moves to the experts; one sum of two, the shared expert, the residual
    assert vector_ops(workload)["experts"] == 65 + 32
    assert vector_ops(workload)["combine"] == (1 + 1 + 1) * 8


def test_norms_of_queries_keys_and_latents_count(tiny):
    plain = vector_ops(small(tiny[1]))["attention"]
    normed = vector_ops(small(tiny[1], qk_norm_parameters_per_layer=4))["attention"]
    tokens = tiny[1].scenario.batch
    assert normed - plain == tokens * 4 * (4 + 2) * 2  # by hand: 4 operations x 6 heads x 2 elements
    latent = small(
        tiny[1], attention="mla", q_lora_rank=6, kv_lora_rank=7, qk_nope_head_dim=1, qk_rope_head_dim=1, v_head_dim=2
    )
    # by hand: per token norm 4 x (8 + 6 + 7), rotary 3 x (4 queries + 1 key), residual 8
    scores = 5 * 4 * tokens * (tiny[1].scenario.context_tokens + 1)
    assert vector_ops(latent)["attention"] == tokens * (84 + 15 + 8) + scores


def test_softmax_of_a_prompt_is_quadratic_and_everything_else_linear(tiny):
    def ops(prompt):
        return vector_ops(
            tiny[1].with_values(
                {"scenario.phase": "prefill", "scenario.batch": 1, "scenario.prompt_tokens": float(prompt)}
            )
        )

    one, two, four = ops(1), ops(2), ops(4)
    heads = tiny[1].model.n_heads
    # by hand: 1, 3 and 10 causal pairs
    assert two["attention"] - 2 * one["attention"] == 5 * heads * (3 - 2 * 1)
    assert four["attention"] - 4 * one["attention"] == 5 * heads * (10 - 4 * 1)
    assert four["router"] == 4 * one["router"]
    assert four["head"] == one["head"]


def test_the_dense_ffn_of_a_layer_is_the_vector_work_of_its_experts_stage():
    assert vector_stage("experts", has_experts=False) == "ffn"
    assert vector_stage("experts", has_experts=True) == "experts"


def test_vector_work_adds_its_energy_and_time_and_nothing_else(tiny):
    arch, workload = tiny
    mapping = all_digital_mapping(arch, workload)
    with_lanes = with_unit(arch, vector=VECTOR)
    before, after = evaluate(arch, workload, mapping), evaluate(with_lanes, workload, mapping)
    layers, costs = workload.model.n_layers, vector_costs(with_lanes, workload)
    per_layer = [costs[stage] for stage in ("attention", "router", "experts", "combine")]
    added_ns = layers * sum(c.ns for c in per_layer) + costs["head"].ns
    added_pj = layers * sum(c.pj for c in per_layer) + costs["head"].pj
    standing_mw = float((before.energy_parts_pj[("idle", "all", "dsp")] / before.latency_ns)[0])
    tiles_mw = float((before.energy_parts_pj[("idle", "all", "pcm")] / before.latency_ns)[0])
    assert after.latency_ns_per_step - before.latency_ns_per_step == pytest.approx(added_ns)
    gained = after.energy_pj_per_step - before.energy_pj_per_step
    assert gained == pytest.approx(added_pj + (standing_mw + tiles_mw) * added_ns)
    assert sum(after.critical_ns.values())[0] == pytest.approx(after.latency_ns_per_step)
    assert "combine" in set(after.stage_frame()["stage"])
    assert "combine" not in set(before.stage_frame()["stage"])


def test_one_operation_takes_its_energy_and_its_share_of_the_rate(tiny):
    arch = with_unit(tiny[0], vector=VECTOR)
    cost, unit = vector_costs(arch, tiny[1])["combine"], arch.digital_units[0]
    assert cost.pj == cost.ops * 3.0
    # by hand: one kernel of 50 ns, then 2 operations/ns at the reached share
    assert cost.ns == pytest.approx(50 + cost.ops / (2.0 * unit.utilisation.compute_fraction))


def test_power_of_a_flat_unit_covers_its_lanes():
    arch, workload = with_unit(load_architecture("h200_fp8"), vector=VECTOR), load_workload("olmoe")
    assert {cost.pj for cost in vector_costs(arch, workload).values()} == {0.0}
    assert all(cost.ns > 0 for cost in vector_costs(arch, workload).values())


def test_partial_sums_run_on_the_vector_lanes_where_there_are_some(tiny):
    arch, workload = tiny
    expert = [c.kind for c in workload.classes].index("expert")
    core, unit = arch.analog_cores[0], arch.digital_units[0]
    costs = cost_table(with_unit(arch, vector=VECTOR), workload)
    ops = workload.classes[expert].n_partial_sums(rows=core.rows, cols=core.cols) * core.cols
    assert costs.of(expert, 0).visit_parts_pj["partial sums"] == pytest.approx(3.0 * ops)
    expected = ops / (2.0 * unit.utilisation.compute_fraction)
    assert costs.of(expert, 0).host_ns_per_visit == pytest.approx(expected)


@pytest.mark.parametrize("changes", [{"vector": VECTOR}, {"kernels": "per_expert"}])
@pytest.mark.parametrize("composition", ["serial", "overlapped", "pipelined"])
def test_the_program_and_the_evaluation_agree(tiny, changes, composition):
    arch, workload = (
        dataclasses.replace(
            with_unit(tiny[0], **changes),
            composition=composition,
            micro_batches=2 if composition == "pipelined" else None,
        ),
        tiny[1],
    )
    workload = dataclasses.replace(with_model(workload, moe_layers=(0, 2), d_dense_ffn=64))
    scores = option_scores(score_blocks(workload, "random"), workload, arch)
    costs = cost_table(arch, workload)
    mapping = solve_mapping(
        costs, scores, workload, arch, objective="energy", limits={"max_sensitivity_share": 0.5}
    )  # fmt: skip
    assert mapping.bound <= mapping.value * (1 + 1e-9)
    assert evaluate(arch, workload, mapping).energy_pj_per_token == pytest.approx(
        mapping.value, rel=1e-2 if composition == "pipelined" else 1e-3
    )


def test_grouped_experts_share_a_launch_and_apart_each_active_one_has_its_own(tiny):
    arch, workload = tiny
    mapping = all_digital_mapping(arch, workload)
    grouped = evaluate(arch, workload, mapping).latency_ns_per_step
    apart = evaluate(with_unit(arch, kernels="per_expert"), workload, mapping).latency_ns_per_step
    model, batch, launch = workload.model, workload.scenario.batch, arch.digital_units[0].launch_ns
    active = model.n_experts * (1 - (1 - model.top_k / model.n_experts) ** batch)
    # by hand: two kernels for each distinct active expert of each layer instead of two per layer
    assert apart - grouped == pytest.approx(model.n_layers * 2 * launch * (active - 1))


def test_vector_work_passes_arrays(tiny):
    arch = with_unit(tiny[0], vector=VECTOR)
    batches = np.array([1.0, 4.0, 9.0])
    many = evaluate_points(arch, tiny[1].with_values({"scenario.batch": batches}), all_digital_mapping(arch, tiny[1]))
    alone = [
        evaluate(arch, tiny[1].with_values({"scenario.batch": b}), all_digital_mapping(arch, tiny[1])) for b in batches
    ]
    assert many.latency_ns_per_step == pytest.approx([e.latency_ns_per_step for e in alone], rel=1e-12)
    assert many.energy_pj_per_token == pytest.approx([e.energy_pj_per_token for e in alone], rel=1e-12)
