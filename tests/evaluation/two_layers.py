"""Two layers with round numbers, whose costs can be worked by hand."""

import json

from dse import load_workload
from dse.cost.option import Option
from dse.mapping.model import Mapping

MODEL = dict(name="two layers", d_model=4, n_layers=2, n_heads=1, n_kv_heads=1, head_dim=4, vocab_size=8, n_experts=2,
             top_k=2, d_expert=4)  # fmt: skip
DECODE = {"phase": "decode", "batch": 1, "context_tokens": 0}


def machine_text(*, tiles_per_die=1000, core="idle: {on_mw: 0}", top="composition: serial"):
    """An architecture of one die with analog tiles and a digital unit, as YAML.

    Args:
        tiles_per_die: analog tiles, of one crossbar each.
        core: more lines of the analog core.
        top: more lines of the file.
    """
    return f"""
name: hand
energy_boundary: package
dies: [{{name: soc, count: 1, node_nm: 14, fixed_area_mm2: 1}}]
analog_cores:
  - name: pcm
    die: soc
    tiles_per_die: {tiles_per_die}
    tiers_per_tile: 1
    rows: 4
    cols: 4
    device: devices/pcm_generic.yaml
    weight: {{scheme: differential, devices: 2}}
    dac: {{bits: 8, range: {{mode: static, method: abs_max}}}}
    adc: {{bits: 8, per_tile: 4, range: {{mode: static, method: abs_max}}}}
    cost: {{model: lumped, mvm: {{latency_ns: 10, energy_pj: 3}}, tile_area_mm2: 0.01}}
{indented(core, 4)}
digital_units:
  - name: npu
    die: soc
    units_per_die: 1
    peak_ops_per_ns: {{fp16: 2}}
    utilisation: {{compute_fraction: 1, bandwidth_fraction: 1}}
    launch_ns: 0
    precisions: [fp16]
    memory: dram
    energy: {{model: per_operation, op_pj: {{fp16: 1}}, idle_mw: 0}}
    area_mm2: 1
memories: [{{name: dram, capacity_bytes: 1.0e+6, bandwidth_bytes_per_ns: 1000, energy_pj_per_bit: 0}}]
{top}
"""


def indented(text, spaces):
    return "\n".join(" " * spaces + line for line in text.splitlines())


def workload_of_two_layers(folder, scenario=DECODE, overrides=()):
    """The two layers under a scenario, through a file in a folder."""
    (folder / "w.yaml").write_text(json.dumps({"name": "w", "model": MODEL, "scenario": scenario}))
    return load_workload(folder / "w.yaml", overrides)


def first_expert_analog(workload):
    """The mapping whose expert 0 is on analog tiles in each layer, and all other blocks on the digital unit."""
    return placed(workload, lambda block: block.expert == 0)


def placed(workload, is_analog):
    """The mapping of the blocks that are analog; the others are on the digital unit."""
    pcm, npu = Option("pcm", "analog"), Option("npu", "fp16")
    placement = {b.name: pcm if is_analog(b) else npu for b in workload.blocks if b.kind != "embedding"}
    return Mapping(placement=placement, objective="by hand", value=0, bound=0, status="rule")
