"""Random valid architectures, models, scenarios and placements, read by the loader like any user's file."""

import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dse import Mapping, load_architecture, load_workload
from dse.cost.option import is_allowed, list_options
from dse.evaluation.points import design_with, evaluate_points

FOLDER = tempfile.TemporaryDirectory(prefix="laws")
TIMES = int(os.environ.get("LAWS_TIMES", "1"))
"""Times as many designs: `LAWS_TIMES=10 NEW_EXAMPLES=1 pytest tests/laws` draws them anew."""
RANGE = {"mode": "static", "method": "abs_max"}


def law(max_examples=20):
    """How many random designs a law is held against."""
    return settings(
        max_examples=TIMES * max_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def number(low, high):
    """A number between bounds with three digits; 0 or at least 1e-6."""
    return st.floats(low, high).map(lambda x: max(low, float(f"{x:.3g}") if x >= 1e-6 else 0.0))


@dataclass(frozen=True)
class Design:
    """A random design: what its two files say, and a seed of where its blocks are."""

    architecture: dict
    workload: dict
    seed: int

    @cached_property
    def arch(self):
        return load(load_architecture, "architecture", self.architecture)

    @cached_property
    def work(self):
        return load(load_workload, "workload", self.workload)

    @cached_property
    def mapping(self):
        return random_mapping(self.arch, self.work, self.seed)

    @cached_property
    def result(self):
        return evaluate_points(self.arch, self.work, self.mapping)

    def changed(self, values):
        """The same mapping where values at dotted paths differ; an array is one value per design point."""
        arch, work = design_with(self.arch, self.work, values)
        return evaluate_points(arch, work, self.mapping)


def load(reader, kind, document):
    path = Path(FOLDER.name) / f"{kind}.json.yaml"
    path.write_text(json.dumps(document))
    return reader(path)


def random_mapping(arch, workload, seed):
    """Every block anywhere it may be; whether it fits is not asked."""
    random, options = np.random.default_rng(seed), list_options(arch)
    share = random.uniform(size=len(options)) + 1e-3
    allowed = {
        c: np.array([is_allowed(arch, workload, c, o) and o.copies == 1 for o in options]) for c in workload.classes
    }
    placement = {
        block.name: options[random.choice(len(options), p=share * mask / (share * mask).sum())]
        for block in workload.blocks
        for mask in (allowed[block.block_class],)
        if block.kind != "embedding"
    }
    return Mapping(placement=placement, objective="random", value=0, bound=0, status="rule")


@st.composite
def lumped_cost(draw):
    mvm = {"latency_ns": draw(number(1, 1000)), "energy_pj": draw(number(0, 1e5))}
    return {"model": "lumped", "mvm": mvm, "tile_area_mm2": draw(number(0.01, 5))}


@st.composite
def components_cost(draw):
    adc = draw(
        st.one_of(
            st.fixed_dictionaries({"model": st.just("survey"), "conversion_ns": number(1, 1000)}),
            st.fixed_dictionaries(
                {"model": st.just("sar_column"), "column_ohm": number(1e3, 1e6), "area_mm2": number(0, 0.01)}
            ),
            st.fixed_dictionaries(
                {"model": st.just("fixed"), "conversion_pj": number(0, 10), "conversion_ns": number(0, 100),
                 "area_mm2": number(0, 0.01)}
            ),
        )
    )  # fmt: skip
    dac = draw(
        st.one_of(
            st.fixed_dictionaries({"model": st.just("fixed"), "drive_pj": number(0, 10), "area_mm2": number(0, 0.001)}),
            st.fixed_dictionaries({"model": st.just("capacitive"), "area_mm2": number(0, 0.001)}),
        )
    )
    cell = draw(
        st.one_of(
            st.fixed_dictionaries({"model": st.just("fixed"), "read_pj": number(0, 1), "area_mm2": number(1e-6, 1e-4)}),
            st.fixed_dictionaries(
                {"model": st.just("resistive"), "read_v": number(0.05, 1), "mean_conductance_usiemens": number(0, 50),
                 "area_mm2": number(1e-6, 1e-4)}
            ),
        )
    )  # fmt: skip
    return {
        "model": "components", "node_nm": draw(st.sampled_from([7, 14, 22])), "supply_v": draw(number(0.75, 0.85)),
        "dac": dac, "cell": cell, "adc": adc, "row_pj": draw(number(0, 5)), "column_pj": draw(number(0, 5)),
        "post_pj": draw(number(0, 5)), "fixed_pj": draw(number(0, 500)), "settle_ns": draw(number(0.1, 50)),
    }  # fmt: skip


def maybe(entries):
    """Some of the entries of a mapping that a file may leave out."""
    return st.fixed_dictionaries({}, optional=entries)


@st.composite
def idle_power(draw):
    """Idle power, of tiles that stay on or are switched off."""
    on_mw = draw(number(0, 5))
    gating = {
        "gating": "per_layer", "gated_mw": draw(number(0, 1)) * on_mw, "wake_pj": draw(number(0, 1000)),
        "wake_ns": draw(number(0, 100)), "wake": draw(st.sampled_from(["hidden", "exposed"])),
    }  # fmt: skip
    return {"on_mw": on_mw} | (gating if draw(st.booleans()) else {})


@st.composite
def program(draw):
    """How weights are written, refreshed or not."""
    return {
        "pulse_ns": draw(number(1, 1000)), "energy_pj_per_cell": draw(number(0, 100)),
        "iterations": draw(st.integers(1, 30)), "parallel_rows": draw(st.integers(1, 40)),
        **draw(maybe({"power_mw": number(1, 1e4), "refresh_interval_s": number(0.1, 1e5),
                      "endurance_cycles": number(1e3, 1e9)})),
    }  # fmt: skip


@st.composite
def network(draw, die):
    """A mesh or a tree of the tiles of a die."""
    return {
        "within": die, "topology": draw(st.sampled_from(["mesh", "tree"])), "hop_ns": draw(number(0, 10)),
        "bandwidth_bytes_per_ns": draw(number(0.1, 100)), "energy_pj_per_bit_hop": draw(number(0, 1)),
    }  # fmt: skip


@st.composite
def analog_core(draw, index, die):
    size = st.sampled_from([4, 8, 16, 32])
    return {
        "name": f"a{index}", "die": die, "tiles_per_die": draw(st.integers(1, 400)),
        "tiers_per_tile": draw(st.integers(1, 4)), "rows": draw(size), "cols": draw(size),
        "device": "pcm_generic", "read": {"phases": draw(st.integers(1, 4)), "pulse_ns": draw(number(1, 200))},
        "dac": {"bits": draw(st.integers(4, 10)), "range": RANGE},
        "adc": {"bits": draw(st.integers(4, 12)), "per_tile": draw(st.integers(1, 32)), "range": RANGE},
        "cost": draw(st.one_of(lumped_cost(), components_cost())),
        "weight": {"scheme": "differential", "devices": draw(st.integers(1, 4))},
        **draw(maybe({"idle": idle_power(), "program": program()})),
    }  # fmt: skip


@st.composite
def digital_unit(draw, index, die):
    kinds = draw(st.sampled_from([("fp16",), ("fp16", "int8"), ("fp16", "fp8"), ("fp32", "int8", "int4")]))
    peaks = {kind: draw(number(1, 1e4)) for kind in kinds}
    energy = draw(
        st.one_of(
            st.fixed_dictionaries({"model": st.just("flat_power"), "power_mw": number(1, 1e4)}),
            st.fixed_dictionaries(
                {"model": st.just("per_operation"), "op_pj": st.fixed_dictionaries({k: number(0, 5) for k in kinds}),
                 "idle_mw": number(0, 1e3)}
            ),
        )
    )  # fmt: skip
    share = st.sampled_from([0.3, 0.7, 1.0])
    return {
        "name": f"d{index}", "die": die, "units_per_die": draw(st.integers(1, 3)), "peak_ops_per_ns": peaks,
        "utilisation": {"compute_fraction": draw(share), "bandwidth_fraction": draw(share)},
        "launch_ns": draw(number(0, 500)), "precisions": list(kinds), "memory": f"m{index}", "energy": energy,
        "area_mm2": draw(number(0, 100)),
    }  # fmt: skip


@st.composite
def architectures(draw):
    n_analog, n_digital = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    is_apart = n_analog > 0 and draw(st.booleans())
    home = "analog" if is_apart else "digital"
    dies = [("digital", 1), *([("analog", draw(st.integers(1, 3)))] if is_apart else [])]
    link = {
        "from": "analog", "to": "digital", "latency_ns": draw(number(0, 100)),
        "bandwidth_bytes_per_ns": draw(number(0.1, 1000)), "energy_pj_per_bit": draw(number(0, 5)),
        "broadcast": draw(st.booleans()),
        **draw(st.sampled_from([{}, {"reduce": "die", "add_pj": 0.5}])),
    }  # fmt: skip
    networks = [draw(network(home))] if n_analog and draw(st.booleans()) else []
    return {
        "name": "random", "energy_boundary": "package",
        "composition": draw(st.sampled_from(["serial", "overlapped"])),
        "dies": [
            {"name": name, "count": count, "node_nm": 14, "fixed_area_mm2": draw(number(0, 50))}
            for name, count in dies
        ],
        "analog_cores": [draw(analog_core(i, home)) for i in range(n_analog)],
        "digital_units": [draw(digital_unit(i, "digital")) for i in range(n_digital)],
        "memories": [
            {"name": f"m{i}", "capacity_bytes": 1e9, "bandwidth_bytes_per_ns": draw(number(0.1, 1000)),
             "energy_pj_per_bit": draw(number(0, 20))}
            for i in range(n_digital)
        ],
        "links": [*([link] if is_apart else []), *networks],
    }  # fmt: skip


@st.composite
def models(draw):
    n_layers, n_experts = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    n_kv, groups, n_shared = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    size = st.integers(1, 40)
    found = {
        "name": "random", "d_model": draw(size), "n_layers": n_layers, "vocab_size": draw(size),
        "n_heads": n_kv * groups, "n_kv_heads": n_kv, "head_dim": draw(st.integers(1, 8)),
        "n_experts": n_experts, "top_k": draw(st.integers(1, n_experts)), "d_expert": draw(size),
        "n_shared_experts": n_shared, "d_shared_expert": n_shared * draw(size),
        "n_dense_layers": draw(st.integers(0, n_layers - 1)), "d_dense_ffn": draw(size),
        "ffn": draw(st.sampled_from(["gated", "two_matrix"])), "tied_head": draw(st.booleans()),
    }  # fmt: skip
    if draw(st.booleans()):
        nope, rope = draw(st.integers(1, 6)), draw(st.integers(0, 4))
        found |= {
            "attention": "mla", "q_lora_rank": draw(st.integers(0, 8)), "kv_lora_rank": draw(st.integers(1, 8)),
            "qk_nope_head_dim": nope, "qk_rope_head_dim": rope, "v_head_dim": draw(st.integers(1, 8)),
            "head_dim": nope + rope,
        }  # fmt: skip
    if draw(st.booleans()):
        found |= {"n_windowed_layers": draw(st.integers(1, n_layers)), "window_tokens": draw(st.integers(1, 100))}
    return found


@st.composite
def scenarios(draw):
    phase = draw(st.sampled_from(["decode", "prefill"]))
    lengths = (
        {"context_tokens": draw(st.integers(0, 3000))}
        if phase == "decode"
        else {"prompt_tokens": draw(st.integers(1, 300))}
    )
    precision = {
        "weights": "fp16", "activations": draw(st.sampled_from(["fp16", "int8"])),
        "kv_cache": draw(st.sampled_from(["fp16", "fp8"])),
    }  # fmt: skip
    return {"phase": phase, "batch": draw(st.integers(1, 64)), **lengths, "precision": precision}


@st.composite
def workloads(draw, uniform=False):
    routing = {"kind": "uniform", "correlation": draw(st.sampled_from([0, 0, 0.3, 1.0]))}
    if not uniform and draw(st.booleans()):
        routing = {"kind": "zipf", "zipf_exponent": draw(number(0.1, 2)), "seed": draw(st.integers(0, 3))}
    return {
        "name": "random", "model": draw(models()), "scenario": draw(scenarios()), "routing": routing,
        "sensitivity": {"rule": "random"},
    }  # fmt: skip


@st.composite
def component_cores(draw):
    """A core whose cost is the sum of its components."""
    core = draw(analog_core(0, "digital")) | {"cost": draw(components_cost())}
    document = draw(architectures())
    home = document["dies"][0]["name"]
    document["links"] = []
    return load(load_architecture, "architecture", document | {"analog_cores": [core | {"die": home}]})


@st.composite
def designs(draw, uniform=False):
    return Design(draw(architectures()), draw(workloads(uniform=uniform)), draw(st.integers(0, 10_000)))
