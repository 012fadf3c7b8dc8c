"""Groups that share a memory, or the network of a die, do not have all of it each; worked by hand."""

import pytest
from two_layers import indented, machine_text, workload_of_two_layers

from dse import evaluate, load_architecture
from dse.cost.option import Option
from dse.mapping.model import Mapping

SECOND_UNIT = """
name: dsp
die: soc
units_per_die: 1
peak_ops_per_ns: {fp16: 2}
utilisation: {compute_fraction: 1, bandwidth_fraction: 1}
launch_ns: 0
precisions: [fp16]
memory: %s
energy: {model: per_operation, op_pj: {fp16: 1}, idle_mw: 0}
area_mm2: 1
"""
MEMORY = "  - {name: %s, capacity_bytes: 1.0e+6, bandwidth_bytes_per_ns: 1, energy_pj_per_bit: 0}\n"
TREE = "links: [{within: soc, topology: tree, hop_ns: 0, bandwidth_bytes_per_ns: 0.1, energy_pj_per_bit_hop: 0}]"


def evaluated(folder, text, places, batch=1):
    """The two layers with expert e on ``places[e]``, all other blocks on the first unit."""
    (folder / "a.yaml").write_text(text)
    arch, workload = (
        load_architecture(folder / "a.yaml"),
        workload_of_two_layers(folder, overrides={"scenario.batch": batch}),
    )
    placement = {
        b.name: Option("npu", "fp16") if b.expert is None else places[b.expert]
        for b in workload.blocks
        if b.kind != "embedding"
    }
    return evaluate(arch, workload, Mapping(placement=placement, objective="hand", value=0, bound=0, status="rule"))


def two_units(memory, top):
    text = machine_text(top=top)
    head, memories = text.split("memories: ", 1)
    rest = memories.split("\n", 1)[1]
    second = "  -" + indented(SECOND_UNIT.strip() % memory, 4)[3:]
    names = dict.fromkeys(["dram", memory])
    return f"{head}{second}\nmemories:\n{''.join(MEMORY % name for name in names)}{rest}"


TWO_UNITS = [Option("npu", "fp16"), Option("dsp", "fp16")]
# by hand, a token, 2 bytes a weight at 1 byte/ns, each more than twice its compute time: attention 64 weights and 16
# bytes of keys and values: 144 ns; router 16 ns; an expert 96 ns; head 64 ns


def test_units_that_share_a_memory_read_from_it_one_after_the_other(tmp_path):
    shared = evaluated(tmp_path, two_units("dram", "composition: overlapped"), TWO_UNITS)
    assert shared.latency_ns_per_step == pytest.approx(2 * (144 + 16 + 2 * 96) + 64)
    assert shared.critical_ns["dram bandwidth"][0] == pytest.approx(shared.latency_ns_per_step)
    apart = evaluated(tmp_path, two_units("sram", "composition: overlapped"), TWO_UNITS)
    assert apart.latency_ns_per_step == pytest.approx(2 * (144 + 16 + 96) + 64)


def test_a_shared_memory_binds_a_pipeline_with_the_reads_of_all_units(tmp_path):
    # by hand: two micro-batches of a token, each of which reads 2 (144 + 16 + 192) + 64 bytes
    run = evaluated(tmp_path, two_units("dram", "composition: pipelined\nmicro_batches: 2"), TWO_UNITS, batch=2)
    assert run.latency_ns_per_step == pytest.approx(2 * 768)
    assert run.busiest == run.binding == "dram bandwidth"
    assert run.busy_ns["npu"][0] == pytest.approx(2 * (2 * (144 + 16 + 96) + 64))


def test_analog_groups_of_one_die_share_its_network(tmp_path):
    text = machine_text(tiles_per_die=16, top=f"composition: overlapped\n{TREE}")
    core = text[text.index("  - name: pcm") : text.index("digital_units:")]
    both = text.replace("digital_units:", f"{core.replace('name: pcm', 'name: rram')}digital_units:")
    run = evaluated(tmp_path, both, [Option("pcm", "analog"), Option("rram", "analog")])
    # by hand: 32 tiles, half of them behind the busiest link: 36 bytes a visit, 18 at 0.1 byte/ns are 180 ns for each
    # of two experts; a group alone takes 180 + 20 ns; attention 72, router 8, head 32 ns as without the network
    assert run.latency_ns_per_step == pytest.approx(2 * (72 + 8 + 2 * 180) + 32)
    assert run.critical_ns["soc link bandwidth"][0] == pytest.approx(4 * 180)
