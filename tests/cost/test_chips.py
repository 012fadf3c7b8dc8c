"""Shipped chips: calibrated on what their files state, held against operating points that were never used for that."""

import json
from pathlib import Path

import numpy as np
import pytest

from dse import load_architecture
from dse.cli import main
from dse.report.core import core_document

POINTS = json.loads((Path(__file__).parents[2] / "validation" / "chips.json").read_text(encoding="utf-8"))["chips"]


@pytest.fixture(scope="module")
def compared():
    rows = []
    for point in POINTS:
        arch = load_architecture(point["arch"], point["overrides"])
        found = core_document(arch, arch.core(point["core"]), point["rows_used"], point["cols_used"])
        ratio = found[point["quantity"]] / point["stated"]
        low, high = (found["band"][end].get(point["quantity"]) for end in ("low", "high"))
        inside = None if low is None else low <= point["stated"] <= high
        rows.append((point["role"], point["quantity"], ratio - 1, inside))
    return rows


def test_every_figure_that_a_chip_is_calibrated_on_is_met(compared):
    assert max(abs(error) for role, _, error, _ in compared if role == "calibrated") < 1e-3


def test_held_out_operating_points_are_predicted(compared):
    errors = [abs(error) for role, _, error, _ in compared if role == "held_out"]
    assert len(errors) >= 30
    assert np.mean(errors) <= 0.10
    assert max(errors) <= 0.25


@pytest.mark.parametrize("quantities", [("mvm_energy_pj", "power_mw", "tops_per_w"), ("mvm_latency_ns", "tops")])
def test_the_bands_hold_held_out_energies_and_times(compared, quantities):
    inside = [inside for role, quantity, _, inside in compared if role == "held_out" and quantity in quantities]
    assert len(inside) >= 8
    assert np.mean(inside) >= 0.85


def test_a_chip_without_a_digital_unit_runs_no_model(capsys):
    assert main(["evaluate", "wan_nature_2022", "tiny_moe"]) == 2
    said = capsys.readouterr().err
    assert "macro without a digital unit" in said
    assert "dse core" in said
