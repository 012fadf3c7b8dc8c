"""A run folder like those of `dse explore`, made from simple closed forms: OLMoE on PCM tiles beside an NPU."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dse.cost.option import Option
from dse.mapping.model import Mapping
from dse.report.html import write_report

LAYERS, EXPERTS, TOP_K = 16, 64, 8
EXPERT_BYTES, DENSE_BYTES, KV_BYTES = 6.29e6, 3.7e8, 1.34e8
FRACTIONS = (0.0, 0.0625, 0.125, 0.25, 0.5, 1.0)
AXES: dict[str, list[float]] = {
    "mapping.digital_fraction": list(FRACTIONS),
    "scenario.batch": [1, 4, 16, 64],
    "analog_cores.pcm.cost.mvm.energy_pj": [6000, 13430],
    "memories.hbm.bandwidth_bytes_per_ns": [600, 1200, 2400, 4800],
}
RunMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a whole run; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder)
    return write_report(folder)


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    def make(name: str = "run", **options: object) -> Path:
        folder = tmp_path / name
        write_run(folder, **options)  # type: ignore[arg-type]
        return folder

    return make


def write_run(folder: Path, *, accuracy: bool = True, title: str = "OLMoE on PCM tiles", core: str = "pcm") -> None:
    (folder / "mappings").mkdir(parents=True)
    rng = np.random.default_rng(7)
    scores = _write_scores(folder, rng)
    _write_mappings(folder, scores, core)
    points = _points(rng, accuracy=accuracy)
    points.to_parquet(folder / "points.parquet", index=False)
    points.to_csv(folder / "points.csv", index=False)
    _write_details(folder, points, core)
    if accuracy:
        _write_accuracy(folder, rng)
    _write_inputs(folder, core)
    _write_manifest(folder, points, title=title, accuracy=accuracy)


def _parts(fraction: float, batch: float, mvm_pj: float) -> dict[str, float]:
    """Energy of a token by component [pJ]."""
    visits = LAYERS * TOP_K
    active = LAYERS * EXPERTS * fraction * (1 - (1 - TOP_K / EXPERTS) ** batch) / batch
    return {
        "analog MVM": visits * (1 - fraction) * 24 * mvm_pj * 6,
        "partial sums": visits * (1 - fraction) * 2.1e6,
        "links": visits * (1 - fraction) * 4.4e6,
        "digital compute": 2 * (visits * fraction * EXPERT_BYTES + DENSE_BYTES) * 0.7,
        "weight memory": (active * EXPERT_BYTES + DENSE_BYTES / batch) * 8 * 3.9,
        "KV cache": KV_BYTES * 8 * 3.9,
    }


def _latency_ns(fraction: float, batch: float, bandwidth: float) -> dict[str, float]:
    active = LAYERS * EXPERTS * fraction * (1 - (1 - TOP_K / EXPERTS) ** batch)
    return {
        "attention": (DENSE_BYTES * 0.7 + KV_BYTES * batch) / bandwidth / 0.85,
        "router": 16 * 2000.0,
        "experts": max(active * EXPERT_BYTES / bandwidth / 0.85, 16 * 133.0 * 14 * batch**0.6 * (1 - fraction)),
        "combine": 16 * 500.0 * batch**0.3,
        "head": DENSE_BYTES * 0.3 / bandwidth / 0.85,
    }


def _points(rng: np.random.Generator, *, accuracy: bool) -> pd.DataFrame:
    rows = []
    for point, (fraction, batch, mvm_pj, bandwidth) in enumerate(itertools.product(*AXES.values())):
        parts, stages = _parts(fraction, batch, mvm_pj), _latency_ns(fraction, batch, bandwidth)
        latency = sum(stages.values())
        energy = (sum(parts.values()) + (20000 + 6 * bandwidth) * latency / batch) * rng.uniform(0.99, 1.01)
        loss = 0.42 * (1 - fraction) ** 3
        status, reason = "ok", ""
        if fraction == 1.0 and batch == 64:
            status = "infeasible"
            reason = (
                f"capacity[hbm]: need {3.6e10 + point:.4g} bytes, have 3.6e+10 bytes for 1024 experts; raise it by 2 %"
            )
        if point in (17, 90):
            status, reason = "failed", "solver stopped: out of memory"
        ok = status == "ok"
        rows.append(
            {
                "point": point,
                **dict(zip(AXES, (fraction, batch, mvm_pj, bandwidth), strict=True)),
                "energy_pj_per_token": energy if ok else np.nan,
                "latency_ns_per_step": latency if ok else np.nan,
                "tokens_per_s": batch / latency * 1e9 if ok else np.nan,
                "tokens_per_j": 1e12 / energy if ok else np.nan,
                "area_mm2": 2292.0 if ok else np.nan,
                "power_mw": energy * batch / latency if ok else np.nan,
                "sensitivity_share": (1 - fraction) ** 1.6 if ok else np.nan,
                "binding": "bandwidth[hbm]",
                "status": status,
                "reason": reason,
                "mapping_id": f"m{FRACTIONS.index(fraction)}" if ok else None,
                "loss_increase_nats": loss if ok and accuracy else np.nan,
                "loss_increase_low": loss * 0.85 if ok and accuracy else np.nan,
                "loss_increase_high": loss * 1.15 if ok and accuracy else np.nan,
            }
        )
    points = pd.DataFrame(rows)
    ok = points[points["status"] == "ok"]
    costs = ok[["energy_pj_per_token", "latency_ns_per_step", "sensitivity_share"]].to_numpy()
    beaten = [bool(((costs <= c).all(axis=1) & (costs < c).any(axis=1)).any()) for c in costs]
    points["on_front"] = False
    points.loc[ok.index, "on_front"] = ~np.array(beaten)
    return points


def _write_scores(folder: Path, rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (f"layers.{layer}.experts.{e}", layer, "expert", e, float(rng.lognormal(0.3 + 0.05 * layer, 0.5)))
        for layer in range(LAYERS)
        for e in range(EXPERTS)
    ]
    rows += [(f"layers.{layer}.attention", layer, "attention", -1, 0.0) for layer in range(LAYERS)]
    scores = pd.DataFrame(rows, columns=["block", "layer", "kind", "expert", "score"])
    text = "# rule: max_neuron_norm\n# unit: 1\n" + scores.to_csv(index=False)
    (folder / "scores.csv").write_text(text)
    return scores


def _write_mappings(folder: Path, scores: pd.DataFrame, core: str) -> None:
    experts = scores[scores["kind"] == "expert"].sort_values("score", ascending=False)["block"].tolist()
    for i, fraction in enumerate(FRACTIONS):
        digital = set(experts[: round(fraction * len(experts))])
        placement = {block: Option("npu", "int8") if block in digital else Option(core, "analog") for block in experts}
        placement |= {f"layers.{layer}.attention": Option("npu", "int8") for layer in range(LAYERS)}
        status = ("optimal", "within_gap", "time_limit", "optimal", "rule", "optimal")[i]
        Mapping(
            placement=placement, objective="energy", value=1.0, bound=float("-inf") if status == "rule" else 0.996,
            status=status,  # type: ignore[arg-type]
        ).save(folder / "mappings" / f"m{i}.json")  # fmt: skip


def _write_details(folder: Path, points: pd.DataFrame, core: str) -> None:
    ok = points[points["status"] == "ok"]
    kept = ok[ok["on_front"] | (ok["point"] == REFERENCE)]
    energy, stages, traffic = [], [], []
    for row in kept.to_dict("records"):
        fraction, batch, mvm, bandwidth = (float(row[axis]) for axis in AXES)
        parts = _parts(fraction, batch, mvm)
        parts["idle"] = float(row["energy_pj_per_token"]) - sum(parts.values())
        for name, pj in parts.items():
            group = core if name == "analog MVM" else "npu"
            evidence = {"analog MVM": "measured", "idle": "assumed", "links": "assumed"}.get(name, "derived")
            energy.append((row["point"], name, "expert", group, pj, evidence))
        stages += [(row["point"], s, "npu", ns, True) for s, ns in _latency_ns(fraction, batch, bandwidth).items()]
        stages.append((row["point"], "experts", core, 9000.0, False))
        whole = LAYERS * TOP_K * EXPERT_BYTES
        traffic += [
            (row["point"], "hbm", "dense weights", DENSE_BYTES / batch, DENSE_BYTES / batch),
            (row["point"], "hbm", "digital experts", fraction * whole, whole),
            (row["point"], "hbm", "KV cache", KV_BYTES, KV_BYTES),
        ]
    silicon = ((f"{core} tiles", "analog", 2032.0), ("npu", "npu", 200.0), ("fixed", "npu", 60.0))
    area = [(point, *part) for point in kept["point"] for part in silicon]
    for name, rows, columns in (
        ("breakdown", energy, "point component block_kind group energy_pj_per_token evidence"),
        ("stages", stages, "point stage group time_ns_per_step on_critical_path"),
        ("area", area, "point part die area_mm2"),
        ("traffic", traffic, "point memory what bytes_per_token all_digital_bytes_per_token"),
    ):
        _write_csv(folder / f"{name}.csv", rows, columns)


def _write_accuracy(folder: Path, rng: np.random.Generator) -> None:
    draws, summary = [], []
    for (i, fraction), scale in itertools.product(enumerate(FRACTIONS), (1.0, 2.0)):
        mean = 0.42 * (1 - fraction) ** 3 * scale**1.4
        pairs = mean * (1 + 0.12 * rng.standard_normal(5))
        for pair, centre in enumerate(pairs):
            for sign in (1, -1):
                loss = 3.1 + centre * (1 + 0.1 * sign)
                draws.append((f"m{i}", fraction, scale, pair, sign, loss, np.exp(loss), 0.41 - 0.05 * centre))
        half = 2.776 * pairs.std(ddof=1) / np.sqrt(5)  # Student t, 4 degrees of freedom, 97.5 %
        for metric, digital, change in (("loss_nats", 3.1, 1.0), ("top1_fraction", 0.41, -0.05)):
            low, high = sorted((change * (pairs.mean() - half), change * (pairs.mean() + half)))
            rise = change * pairs.mean()
            summary.append(
                (
                    f"m{i}",
                    fraction,
                    scale,
                    metric,
                    digital,
                    digital + rise,
                    digital + low,
                    digital + high,
                    rise,
                    low,
                    high,
                    5,
                )
            )
    header = "mapping_id digital_fraction scale pair sign loss_nats perplexity top1_fraction"
    _write_csv(folder / "accuracy.csv", draws, header)
    header = (
        "mapping_id digital_fraction scale metric digital mean low high increase increase_low increase_high n_pairs"
    )
    _write_csv(folder / "accuracy_summary.csv", summary, header)


def _write_inputs(folder: Path, core: str) -> None:
    (folder / "inputs").mkdir()
    for name in ("architecture", "workload"):
        (folder / "inputs" / f"{name}.yaml").write_text(f"name: {name}\n")
    rows = [
        (f"analog_cores.{core}.rows", 512, "", "chosen", "assumed", "arch_specs/server_pcm3d.yaml", 14),
        (f"analog_cores.{core}.cost.mvm.energy_pj", 13430, "pJ", "Le Gallo, Nat. Electron. 6, 680 (2023)", "measured",
         "arch_specs/server_pcm3d.yaml", 31),
        (f"analog_cores.{core}.cost.mvm.latency_ns", 132.9, "ns", "Le Gallo, Nat. Electron. 6, 680 (2023)", "measured",
         "arch_specs/server_pcm3d.yaml", 32),
        (f"analog_cores.{core}.idle.on_mw", 0.2, "mW", "", "assumed", "arch_specs/server_pcm3d.yaml", 40),
        ("digital_units.npu.peak_ops_per_ns.int8", 400000, "operations/ns", "vendor sheet, https://example.com/npu",
         "derived", "arch_specs/server_pcm3d.yaml", 52),
        ("memories.hbm.energy_pj_per_bit", 3.9, "pJ/bit", "O'Connor, MICRO 2017, table 2", "simulated",
         "arch_specs/server_pcm3d.yaml", 66),
        ("links.analog.npu.energy_pj_per_bit", 0.5, "pJ/bit", "", "assumed", "arch_specs/server_pcm3d.yaml", 70),
        ("scenario.context_tokens", 2048, "tokens", "", "assumed", "workloads/olmoe.yaml", np.nan),
    ]  # fmt: skip
    _write_csv(folder / "provenance.csv", rows, "path value unit source evidence file line")


def _write_csv(path: Path, rows: Sequence[tuple[object, ...]], header: str) -> None:
    pd.DataFrame(rows, columns=header.split()).to_csv(path, index=False)


REFERENCE = 5 * 32 + 2  # digital fraction 1, batch 1, 6000 pJ, 2400 byte/ns


def _write_manifest(folder: Path, points: pd.DataFrame, *, title: str, accuracy: bool) -> None:
    manifest = {
        "schema_version": 1,
        "title": title,
        "command": "dse explore server_pcm3d olmoe --set mapping.digital_fraction=0,0.0625,0.125,0.25,0.5,1 "
        "--set scenario.batch=1,4,16,64 --set memories.hbm.bandwidth_bytes_per_ns=600,1200,2400,4800 --seed 0 -o run",
        "dse_version": "0.1.0",
        "versions": {"numpy": "2.4.6", "highspy": "1.16.0"},
        "seed": 0,
        "architecture": {"name": "server_pcm3d", "digest": "3f9a21c07be4", "composition": "overlapped",
                         "energy_boundary": "package"},
        "workload": {"name": "OLMoE-1B-7B", "digest": "88ac01d2f0aa", "phase": "decode", "batch": 1,
                     "context_tokens": 2048},
        "axes": AXES,
        "metrics": {"energy_pj_per_token": "min", "latency_ns_per_step": "min", "sensitivity_share": "min"},
        "n_points": len(points),
        "status_counts": {str(k): int(v) for k, v in points["status"].value_counts().items()},
        "accuracy_status": "measured" if accuracy else "score_only",
        "score": {"rule": "max_neuron_norm", "unit": "1", "status": "score_only", "options": {}},
        "energy_accounting": "per operation: each component is charged by its operations, idle power over the step.",
        "unmodelled": ["contention on the links between dies", "temperature", "cost of programming the tiles"],
        "remarks": ["mappings minimise energy; largest gap on the front 0.1 %"],
        "reference_point": REFERENCE,
        "ceiling": {
            "all_digital_tokens_per_s": 1290.0, "experts_free_tokens_per_s": 3170.0, "all_digital_tokens_per_j": 22.4,
            "speedup_limit": 2.46, "energy_gain_limit": 2.61, "bytes_per_token_all_digital": 1.31e9,
            "bytes_per_token_dense": DENSE_BYTES, "bytes_per_token_kv": KV_BYTES,
        },
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
