"""How times of core groups, stages and micro-batches add up, worked by hand on two layers with round numbers."""

import numpy as np
import pytest
from two_layers import first_expert_analog, machine_text, placed, workload_of_two_layers

from dse import evaluate, load_architecture, load_workload, rule_mapping, score_blocks
from dse.errors import SpecError
from dse.evaluation.limits import limit_uses
from dse.evaluation.points import evaluate_points


@pytest.fixture
def by_hand(tmp_path):
    """Evaluates two layers: expert 0 on analog tiles, all other blocks on the digital unit."""
    (tmp_path / "a.yaml").write_text(machine_text(top="composition: serial\nmicro_batches: 2"))

    def run(composition, batch=1, **changed):
        overrides = {"composition": composition} | {PATHS[name]: value for name, value in changed.items()}
        arch = load_architecture(tmp_path / "a.yaml", overrides)
        workload = workload_of_two_layers(tmp_path, overrides={"scenario.batch": batch})
        return evaluate(arch, workload, first_expert_analog(workload))

    return run


PATHS = {
    "mvm_ns": "analog_cores.pcm.cost.mvm.latency_ns",
    "tiles": "analog_cores.pcm.tiles_per_die",
    "tiers": "analog_cores.pcm.tiers_per_tile",
    "launch_ns": "digital_units.npu.launch_ns",
    "micro_batches": "micro_batches",
}
# by hand, n tokens, both experts visited, one analog and one digital in each layer, compute bound (2 op/ns):
# attention 4 matrices of 16 weights: 128 op + scores 2*2*4*(0+1) = 16 op -> 72 n ns; router 8 weights: 16 op -> 8 n ns
# digital expert 3 x 16 weights: 96 op -> 48 n ns; head 32 weights: 64 op -> 32 n ns
# analog expert, a tile per slice: 2 dependent products, tile load n products -> max(2, n) products
STEPS = [
    # n = 1, product 10 ns -> 20 ns: 2 (72 + 8 + 48 + 20) + 32
    ("serial", dict(batch=1), 328.0, "npu compute"),
    ("overlapped", dict(batch=1), 288.0, "npu compute"),  # 2 (72 + 8 + max(48, 20)) + 32
    ("serial", dict(batch=4), 1232.0, "npu compute"),  # n = 4 -> 40 ns: 2 (288 + 32 + 192 + 40) + 128
    ("overlapped", dict(batch=4), 1152.0, "npu compute"),  # 2 (288 + 32 + 192) + 128
    # two micro-batches of n = 2: path 2 (144 + 16 + max(96, 20)) + 64 = 576; npu 2 x 576 = 1152 binds
    ("pipelined", dict(batch=4), 1152.0, "npu compute"),
    # product 1000 ns, n = 2: path 2 (144 + 16 + 2000) + 64 = 4384 binds; npu 1152; tiles, own ones a layer: 4000
    ("pipelined", dict(batch=4, mvm_ns=1000), 4384.0, "pcm dependent products"),
    ("overlapped", dict(batch=4, mvm_ns=1000), 8768.0, "pcm tile load"),  # 2 (288 + 32 + 4000) + 128
    # one tile for all 6 slices, product 100 ns, n = 2: load 2 x 3 x 100 = 600 in each layer; path 2 (160 + 600) + 64 =
    # 1584; tile 2 micro-batches x 2 layers x 600 = 2400 binds
    ("pipelined", dict(batch=4, mvm_ns=100, tiles=1, tiers=6), 2400.0, "pcm tile load"),
    # four micro-batches of n = 1 with launches of 10 ns: attention 3, router 1, experts 2, head 1 -> 2 x 60 + 10 = 130
    # path 288 + 130 = 418; npu 4 x 418 = 1672 binds
    ("pipelined", dict(batch=4, micro_batches=4, launch_ns=10), 1672.0, "npu compute"),
]


@pytest.mark.parametrize(("composition", "changed", "expected_ns", "binding"), STEPS)
def test_step_time_of_two_layers_by_hand(by_hand, composition, changed, expected_ns, binding):
    evaluation = by_hand(composition, **changed)
    assert evaluation.latency_ns_per_step == pytest.approx(expected_ns, rel=1e-12)
    assert evaluation.binding == binding
    assert sum(float(v[0]) for v in evaluation.critical_ns.values()) == pytest.approx(expected_ns, rel=1e-12)


@pytest.mark.parametrize(("composition", "batch"), [("serial", 1), ("overlapped", 1), ("serial", 4), ("pipelined", 4)])
def test_energy_of_two_layers_by_hand(by_hand, composition, batch):
    # by hand, a token: 2 layers x 3 products x 3 pJ = 18 pJ; operations 2 (144 + 16 + 96) + 64 = 576 pJ, however split
    parts = dict(by_hand(composition, batch).by_component.itertuples(index=False, name=None))
    assert parts["analog MVM"] == pytest.approx(18.0, rel=1e-12)
    assert parts["digital compute"] + parts["attention scores"] == pytest.approx(576.0, rel=1e-12)


def test_each_micro_batch_reads_the_digital_weights(by_hand):
    # by hand: 2 layers x (64 attention + 8 router) + 32 head = 176 weights, experts 2 x 48 = 96, of 2 bytes; keys and
    # values 2 x 4 numbers of 2 bytes a layer and sequence, read by one micro-batch only
    once, twice, four = by_hand("overlapped", 4), by_hand("pipelined", 4), by_hand("pipelined", 4, micro_batches=4)
    for evaluation, reads in ((once, 1), (twice, 2), (four, 4)):
        found = evaluation.bytes_per_token.set_index("what")["bytes_per_token"] * 4
        expected = {"dense weights": reads * 352.0, "digital experts": reads * 192.0, "KV cache": 128.0}
        assert found.to_dict() == pytest.approx(expected, rel=1e-12)


def test_the_document_says_which_of_path_and_busiest_resource_binds(by_hand):
    pipeline = by_hand("pipelined", 4).to_dict()["pipeline"]
    assert pipeline == {"micro_batches": 2.0, "critical_path_ns": 576.0, "busiest_resource": "npu",
                        "busiest_resource_ns": 1152.0, "bound_by": "busiest resource"}  # fmt: skip
    assert by_hand("pipelined", 4, mvm_ns=1000).to_dict()["pipeline"]["bound_by"] == "critical path"
    assert by_hand("serial", 4).to_dict()["pipeline"] is None


def test_more_micro_batches_than_sequences_are_refused(by_hand):
    expected = (
        "--set: micro_batches: each micro-batch needs a sequence: 4 micro-batches of a batch of 3; raise "
        "scenario.batch, lower micro_batches, or write composition: overlapped"
    )
    with pytest.raises(SpecError) as caught:
        by_hand("pipelined", 3, micro_batches=4)
    assert str(caught.value) == expected


def olmoe_pair(composition, micro_batches=4.0, batch=32.0):
    arch = load_architecture("server_pcm3d_lumped", {"composition": composition, "micro_batches": 2})
    arch = arch.with_values({"micro_batches": micro_batches})
    return arch, load_workload("olmoe").with_values({"scenario.batch": batch})


def olmoe_mapping(fraction=0.25):
    arch, workload = load_architecture("server_pcm3d_lumped"), load_workload("olmoe")
    return rule_mapping(arch, workload, score_blocks(workload), digital_fraction=fraction)


def test_points_with_more_micro_batches_than_sequences_break_a_limit():
    arch, workload = olmoe_pair("pipelined", np.array([2.0, 8.0]), np.array([4.0, 4.0]))
    use = limit_uses(evaluate_points(arch, workload, olmoe_mapping()), arch)["micro_batches"]
    assert use.is_broken.tolist() == [False, True]


def test_a_head_on_tiles_runs_once_per_prompt_whatever_the_other_designs(tmp_path):
    (tmp_path / "a.yaml").write_text(
        machine_text(tiles_per_die=1, core="", top="composition: pipelined\nmicro_batches: 2")
    )
    arch = load_architecture(tmp_path / "a.yaml", {"analog_cores.pcm.tiers_per_tile": 9})
    scenario = {"phase": "prefill", "batch": 2, "prompt_tokens": 7}
    workload = workload_of_two_layers(tmp_path, scenario)
    mapping = placed(workload, lambda block: block.kind in ("router", "head"))
    lengths = np.array([7.0, 2.0])
    many = evaluate_points(arch, workload.with_values({"scenario.prompt_tokens": lengths}), mapping)
    # by hand: two prompts of p tokens: 2 crossbars of the head each, and one of the router per token in 2 layers, of
    # 10 ns: 2 (20 + 20 p)
    assert many.busy_ns["pcm tile"].tolist() == pytest.approx([320, 120])


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_a_pipelined_step_lies_between_its_path_and_the_serial_sum_of_its_micro_batches(fraction):
    batch, parts = np.array([8.0, 15.0, 64.0, 64.0, 256.0]), np.array([2.0, 3.0, 2.0, 64.0, 16.0])
    mapping = olmoe_mapping(fraction)
    pipelined = evaluate_points(*olmoe_pair("pipelined", parts, batch), mapping)
    one = evaluate_points(*olmoe_pair("serial", batch=batch / parts), mapping)
    assert np.all(pipelined.path_ns <= pipelined.latency_ns)
    assert np.all(pipelined.latency_ns <= parts * one.latency_ns * (1 + 1e-12))
    total = sum(pipelined.critical_ns.values())
    assert total == pytest.approx(pipelined.latency_ns, rel=1e-12)
    for name, busy in pipelined.busy_ns.items():
        assert np.all(busy <= pipelined.latency_ns * (1 + 1e-12)), name


@pytest.mark.parametrize(
    ("path", "direction"),
    [
        ("memories.hbm.bandwidth_bytes_per_ns", -1),
        ("analog_cores.pcm.cost.mvm.latency_ns", 1),
        ("digital_units.npu.peak_ops_per_ns.fp16", -1),
        ("links.analog-npu.bandwidth_bytes_per_ns", -1),
    ],
)
def test_no_pipeline_slows_down_when_a_resource_gets_faster(path, direction):
    values = np.geomspace(1, 1e4, 30)
    arch, workload = olmoe_pair("pipelined")
    latency = evaluate_points(arch.with_values({path: values}), workload, olmoe_mapping()).latency_ns
    assert np.all(direction * np.diff(latency) >= -1e-9 * latency[1:])
