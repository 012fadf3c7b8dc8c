"""The roofline of a digital unit against closed forms and against matrix products measured on two GPUs."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dse import cost_table, load_architecture, load_workload
from dse.cost.digital import matmul_ns

FILE = Path(__file__).parents[2] / "validation" / "gpu_matmul.csv"
NUMBERS = ("m", "n", "k", "measured_ns")
ROWS = [
    row | {name: float(row[name]) for name in NUMBERS}
    for row in csv.DictReader(FILE.read_text(encoding="utf-8").splitlines())
]
"""measured: LLMCompass (Zhang, ISCA 2024), figure 5a and 5b."""
DEVICES = ("a100_80g", "mi210_64g")


def rows_of(device, role):
    return [row for row in ROWS if row["device"] == device and row["role"] == role]


def errors(device, role):
    arch = load_architecture(device)
    found = []
    for row in rows_of(device, role):
        predicted = matmul_ns(arch, arch.digital_units[0], m=row["m"], n=row["n"], k=row["k"], precision="fp16")
        found.append(abs(predicted / row["measured_ns"] - 1))
    return np.array(found)


@pytest.mark.parametrize("device", DEVICES)
def test_utilisation_factors_are_those_of_two_measured_products(device):
    arch = load_architecture(device)
    unit, memory = arch.digital_units[0], arch.memories[0]
    short, long = sorted(rows_of(device, "calibrated"), key=lambda row: row["m"])
    m, n, k = short["m"], short["n"], short["k"]
    moved = 2 * (m * k + k * n + m * n) / memory.bandwidth_bytes_per_ns
    assert unit.utilisation.bandwidth_fraction == pytest.approx(
        moved / (short["measured_ns"] - unit.launch_ns), rel=2e-4
    )
    arithmetic = 2 * long["m"] * long["n"] * long["k"] / unit.peak_ops_per_ns["fp16"]
    assert unit.utilisation.compute_fraction == pytest.approx(
        arithmetic / (long["measured_ns"] - unit.launch_ns), rel=2e-4
    )


@pytest.mark.parametrize("device", DEVICES)
def test_held_out_products_are_predicted_within_fifteen_percent_median(device):
    held_out = errors(device, "held_out")
    assert len(held_out) >= 18
    assert np.median(held_out) < 0.15
    assert errors(device, "calibrated").max() < 1e-3


def test_a_product_waits_for_arithmetic_or_for_memory():
    arch = load_architecture("a100_80g")
    unit = arch.digital_units[0]
    # by hand: 2 x 8192^3 operations at 312e3 x 0.8955 per ns, 21 us launch
    large = matmul_ns(arch, unit, m=8192, n=8192, k=8192, precision="fp16")
    assert large == pytest.approx(2 * 8192**3 / (312e3 * 0.8955) + 21000)
    # by hand: one row: (4096 + 4096^2 + 4096) x 2 bytes at 2039 x 0.8855 byte/ns
    row = matmul_ns(arch, unit, m=1, n=4096, k=4096, precision="fp16")
    assert row == pytest.approx((2 * 4096 + 4096**2) * 2 / (2039 * 0.8855) + 21000)
    both = matmul_ns(arch, unit, m=np.array([1.0, 8192.0]), n=4096, k=4096, precision="fp16")
    assert both[0] == row


def test_a_block_in_a_step_has_the_terms_of_a_product():
    arch, workload = load_architecture("a100_80g"), load_workload("olmoe", ["scenario.precision.weights=fp16"])
    unit, costs = arch.digital_units[0], cost_table(arch, workload)
    head = [c.kind for c in costs.classes].index("head")
    own = costs.of(head, [o.precision for o in costs.options].index("fp16"))
    d, vocabulary = workload.model.d_model, workload.model.vocab_size
    many = matmul_ns(arch, unit, m=1e6, n=vocabulary, k=d, precision="fp16")
    assert 1e6 * own.compute_ns_per_visit + own.fixed_ns == pytest.approx(many)
    one = matmul_ns(arch, unit, m=1, n=vocabulary, k=d, precision="fp16")
    assert own.fetch_ns_per_activation + own.fixed_ns == pytest.approx(one, rel=1e-3)  # but for activations


@pytest.mark.parametrize(
    ("weights", "activations", "used", "n_bytes"),
    # by hand: bytes of a weight by its own format, arithmetic in the narrowest format that holds both numbers
    [
        ("fp16", "fp16", "fp16", 2.0), ("int8", "fp16", "fp16", 1.0), ("int4", "fp16", "fp16", 0.5),
        ("int8", "int8", "int8", 1.0), ("int4", "int8", "int8", 0.5),
    ],
)  # fmt: skip
def test_narrow_weights_save_bytes_and_compute_as_wide_as_activations(weights, activations, used, n_bytes):
    arch = load_architecture("a100_80g")
    workload = load_workload("olmoe", [f"scenario.precision.activations={activations}"])
    costs = cost_table(arch, workload)
    expert = [c.kind for c in costs.classes].index("expert")
    own = costs.of(expert, [o.precision for o in costs.options].index(weights))
    n_weights = 3 * 2048 * 1024
    assert own.bytes == n_weights * n_bytes
    assert own.fetch_ns_per_activation == pytest.approx(n_weights * n_bytes / (2039 * 0.8855))
    peak = arch.digital_units[0].peak_ops_per_ns[used]
    assert own.compute_ns_per_visit == pytest.approx(2 * n_weights / (peak * 0.8955))
