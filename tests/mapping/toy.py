"""Small hand-made architectures, workloads and cost tables, and an energy formula written out in loops."""

import dataclasses
from collections.abc import Iterator
from itertools import product

import numpy as np

from dse.cost.attention import attention_cost
from dse.cost.option import Option, OptionCost
from dse.cost.table import CostTable
from dse.spec.architecture import (
    Adc,
    AnalogCore,
    Architecture,
    Dac,
    Die,
    DigitalUnit,
    Idle,
    LumpedCost,
    Memory,
    Mvm,
    PerOperationEnergy,
    Range,
    Utilisation,
)
from dse.spec.device import Device, Programming
from dse.spec.model import Model
from dse.spec.scenario import Routing, Scenario, Sensitivity
from dse.workload.build import Workload


def make_core(name: str, n_tiles: int) -> AnalogCore:
    programming = Programming(model="polynomial", coefficients=(0.1,))
    device = Device(
        name="pcm",
        g_max_usiemens=25,
        g_min_usiemens=0,
        pair="both_devices",
        scale_scope="matrix",
        programming=programming,
    )
    return AnalogCore(
        name=name, die="analog", tiles_per_die=n_tiles, tiers_per_tile=2, rows=4, cols=4, device=device,
        dac=Dac(bits=8, range=Range(mode="static", method="abs_max")),
        adc=Adc(bits=8, per_tile=4, range=Range(mode="static", method="abs_max")),
        cost=LumpedCost(model="lumped", mvm=Mvm(latency_ns=100, energy_pj=10), tile_area_mm2=1), idle=Idle(on_mw=1),
    )  # fmt: skip


def make_unit(name: str, memory: str) -> DigitalUnit:
    return DigitalUnit(
        name=name, die="digital", units_per_die=1, peak_ops_per_ns={"fp16": 100.0}, launch_ns=50, precisions=("fp16",),
        utilisation=Utilisation(compute_fraction=1, bandwidth_fraction=1), memory=memory, area_mm2=1,
        energy=PerOperationEnergy(model="per_operation", op_pj={"fp16": 1.0}, idle_mw=10),
    )  # fmt: skip


def make_arch(
    n_analog: int = 1, n_digital: int = 1, composition: str = "overlapped", n_tiles: int = 50
) -> Architecture:
    return Architecture(
        name="toy", energy_boundary="package", composition=composition, micro_batches=2,
        dies=tuple(Die(name=die, count=n, node_nm=9, fixed_area_mm2=0) for die, n in (("analog", 2), ("digital", 1))),
        analog_cores=tuple(make_core(f"a{i}", n_tiles) for i in range(n_analog)),
        digital_units=tuple(make_unit(f"d{i}", f"m{i}") for i in range(n_digital)),
        memories=tuple(
            Memory(name=f"m{i}", capacity_bytes=1e6, bandwidth_bytes_per_ns=10, energy_pj_per_bit=1)
            for i in range(n_digital)
        ),
        digest="arch",
    )  # fmt: skip


def make_workload(
    n_layers: int = 2, n_experts: int = 3, *, batch: int = 4, routing: Routing | None = None, n_shared: int = 0
) -> Workload:
    model = Model(
        name="toy", d_model=8, n_layers=n_layers, n_heads=2, n_kv_heads=2, head_dim=4, vocab_size=12,
        n_experts=n_experts, top_k=min(2, n_experts), d_expert=8, n_shared_experts=n_shared,
        d_shared_expert=4 * n_shared,
    )  # fmt: skip
    return Workload(
        name="toy", model=model, counting="standard", scenario=Scenario(phase="decode", batch=batch, context_tokens=3),
        routing=routing or Routing(), sensitivity=Sensitivity(rule="random"), digest="workload",
    )  # fmt: skip


def make_costs(
    arch: Architecture,
    workload: Workload,
    seed: int = 0,
    *,
    expert_units: float = 2.0,
    capacity: dict[str, float] | None = None,
    copies: bool = False,
    scale: dict[str, float] | None = None,
) -> CostTable:
    """Random costs; ``scale`` multiplies named tables, ``capacity`` sets resources, all others are ample."""
    random, scale = np.random.default_rng(seed), scale or {}
    options = [Option(core.name, "analog") for core in arch.analog_cores]
    options += [Option(core.name, "analog", 2) for core in arch.analog_cores if copies]
    options += [Option(unit.name, "fp16") for unit in arch.digital_units]
    analog = np.array([option.precision == "analog" for option in options])
    shape = (len(workload.classes), len(options))
    kinds = [block_class.kind for block_class in workload.classes]

    def table(name: str, only: np.ndarray | bool = True) -> np.ndarray:
        return random.uniform(0.2, 1.0, shape) * np.asarray(only) * scale.get(name, 1.0)

    units = np.ones(shape)
    units[kinds.index("expert")] = expert_units * np.array([option.copies for option in options])
    units[kinds.index("embedding")] = 0.0
    resource = {core.name: core.name for core in arch.analog_cores} | {
        unit.name: unit.memory for unit in arch.digital_units
    }
    visit, activation = table("visit"), table("activation", ~analog)
    tables = {
        "compute_ns_per_visit": table("compute"), "fetch_ns_per_activation": table("fetch", ~analog),
        "path_ns": table("path", analog), "fixed_ns": table("fixed"), "link_ns_per_visit": table("link", analog),
        "host_ns_per_visit": table("host", analog), "units": units, "bytes": table("bytes"),
    }  # fmt: skip
    entries = tuple(
        tuple(
            OptionCost(
                visit_parts_pj={"digital compute": float(visit[b, o])},
                activation_parts_pj={"weight memory": float(activation[b, o])},
                **{name: float(numbers[b, o]) for name, numbers in tables.items()},
            )
            for o in range(len(options))
        )
        for b in range(len(kinds))
    )
    return CostTable(
        classes=workload.classes, options=tuple(options),
        allowed=np.array([[kind != "embedding"] * len(options) for kind in kinds]),
        entries=entries, n_points=1, resource=resource,
        capacity_units={name: np.array([(capacity or {}).get(name, 1e6)]) for name in dict.fromkeys(resource.values())},
        is_analog={group: group.startswith("a") for group in resource}, host="d0", standing_power_mw=np.array([2.0]),
    )  # fmt: skip


def energy_by_hand(arch: Architecture, workload: Workload, costs: CostTable, placement: dict[str, Option]) -> float:
    """Energy per token of uniform decode, from the formulas in words: sums block by block, then stage by stage.

    Pipelined: two micro-batches, each of half the sequences.
    """
    parts = 2 if arch.composition == "pipelined" else 1
    tokens = float(workload.scenario.batch) / parts
    stages: dict[tuple[int | None, str], list[tuple[str, int, int, float, float]]] = {}
    energy = 0.0
    for block in workload.blocks:
        if block.kind == "embedding":
            continue
        b, o = costs.classes.index(block.block_class), costs.options.index(placement[block.name])
        chance = workload.model.top_k / workload.model.n_experts if block.kind == "expert" else 1.0
        visits, active = tokens * chance, 1 - (1 - chance) ** tokens
        energy += visits * costs.of(b, o).energy_pj_per_visit + active * costs.of(b, o).energy_pj_per_activation
        stage = {"expert": "experts", "shared": "experts"}.get(block.kind, block.kind)
        stages.setdefault((block.layer, stage), []).append((costs.options[o].group, b, o, visits, active))
    half = dataclasses.replace(workload.scenario, batch=tokens)
    attention, path_ns = attention_cost(arch, dataclasses.replace(workload, scenario=half)), 0.0
    busy = dict.fromkeys([*costs.is_analog, *(f"{group} link" for group in costs.is_analog)], 0.0)
    for (_, stage), placed in stages.items():
        times = []
        for group in costs.is_analog:
            own = [entry for entry in placed if entry[0] == group]
            path = max([costs.of(b, o).path_ns for _, b, o, _, _ in own], default=0.0)
            compute = sum(v * costs.of(b, o).compute_ns_per_visit for _, b, o, v, _ in own)
            fetch = sum(a * costs.of(b, o).fetch_ns_per_activation for _, b, o, _, a in own)
            fixed = max([costs.of(b, o).fixed_ns for _, b, o, _, _ in own], default=0.0)
            link = sum(v * costs.of(b, o).link_ns_per_visit for _, b, o, v, _ in own)
            if group == costs.host:
                compute += sum(v * costs.of(b, o).host_ns_per_visit for _, b, o, v, _ in placed)
                if stage == "attention":
                    compute, fetch = compute + attention.compute_ns, fetch + attention.fetch_ns
                    fixed = max(fixed, arch.unit(group).launch_ns)
            times.append(max(path, compute, fetch) + fixed + link)
            busy[group] += compute if costs.is_analog[group] else max(path, compute, fetch) + fixed
            busy[f"{group} link"] += link
        path_ns += max(times) if arch.composition != "serial" and stage == "experts" else sum(times)
    step_ns = max(path_ns, parts * max(busy.values())) if arch.composition == "pipelined" else path_ns
    energy += workload.model.n_layers * (attention.compute_pj + attention.memory_pj)
    return float((parts * energy + costs.standing_power_mw[0] * step_ns) / (parts * tokens))


def placements(arch: Architecture, workload: Workload, costs: CostTable) -> Iterator[dict[str, Option]]:
    """Every placement of the experts within capacity, dense blocks on the first digital unit."""
    experts = [block.name for block in workload.blocks if block.kind == "expert"]
    dense = {b.name: Option("d0", "fp16") for b in workload.blocks if b.kind not in ("expert", "embedding")}
    class_of = {block.name: costs.classes.index(block.block_class) for block in workload.blocks}
    for choice in product(costs.options, repeat=len(experts)):
        placement = dense | dict(zip(experts, choice, strict=True))
        used = dict.fromkeys(costs.capacity_units, 0.0)
        for name, option in placement.items():
            used[costs.resource[option.group]] += costs.of(class_of[name], costs.options.index(option)).units
        if all(used[name] <= costs.capacity_units[name][0] + 1e-9 for name in used):
            yield placement
