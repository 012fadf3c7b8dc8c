"""Matrix products measured on GPUs against the roofline of a digital unit."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from dse.cost.digital import matmul_ns
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture
from dse.validation.comparison import Claim, Comparison, Role, Row
from dse.validation.files import read_csv

FILE = "gpu_matmul.csv"
ROLES: Final[dict[str, Role]] = {"calibrated": "calibrated", "held_out": "held out"}


def compare_matmul(device: str) -> Comparison:
    """The measured products of one GPU."""
    measured = [row for row in read_csv(FILE) if row["device"] == device]
    arch = gpu(device)
    unit = arch.digital_units[0]
    rows = [
        Row(
            case=f"{m} × {k} × {n}",
            quantity="time_ns",
            stated=float(row["measured_ns"]),
            found=float(matmul_ns(arch, unit, m=float(m), n=float(n), k=float(k), precision="fp16")),
            role=ROLES[row["role"]],
        )
        for row in measured
        for m, n, k in ((row["m"], row["n"], row["k"]),)
    ]
    return Comparison(
        name=f"Matrix products of {device}",
        what="Time of fp16 matrix products; two of them set the two utilisation factors of the roofline, the time of a "
        "launch is the published one.",
        truth="measured GPU",
        source=measured[0]["source"],
        rows=tuple(rows),
        claim=Claim(median_fraction=0.15),
    )


@lru_cache(maxsize=4)
def gpu(name: str) -> Architecture:
    """A shipped GPU."""
    return load_architecture(name)
