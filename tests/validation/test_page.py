"""The validation page is current, keeps its claims, and separates what was calibrated."""

import json
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from dse.cli import main
from dse.report.validation import validation_frame, validation_markdown
from dse.report.validation_figure import prepare
from dse.spec.shipped import shipped_root
from dse.validation.files import validation_file
from dse.validation.run import validate

REPORTS = shipped_root() / "reports"
FIGURE = "validation.svg"
HINT = "run: dse validate -o reports/"


@pytest.fixture(scope="module")
def comparisons():
    return validate()


def test_the_page_is_current(comparisons):
    assert (REPORTS / "validation.md").read_text(encoding="utf-8") == validation_markdown(comparisons, FIGURE), HINT


def test_the_table_of_all_rows_is_current(comparisons):
    kept, made = pd.read_csv(REPORTS / "validation.csv"), validation_frame(comparisons)
    assert list(kept.columns) == list(made.columns), HINT
    assert kept["case"].tolist() == made["case"].tolist(), HINT
    for column in ("stated", "found"):
        assert kept[column].to_numpy() == pytest.approx(made[column].to_numpy(dtype=float), rel=1e-6), HINT


def test_counts_stand_in_the_table_to_the_last_parameter():
    kept = pd.read_csv(REPORTS / "validation.csv").set_index(["comparison", "case", "quantity"])
    row = kept.sort_index().loc[("Parameters of released models", "allenai/OLMoE-1B-7B-0924", "total")]
    assert row["found"] == row["stated"] == 6_919_161_856


def test_the_page_comes_with_its_figure():
    assert f"({FIGURE})" in (REPORTS / "validation.md").read_text(encoding="utf-8")
    assert ET.parse(REPORTS / FIGURE).getroot().tag.endswith("svg"), HINT


def test_the_figure_shows_every_comparison_that_is_not_exact(comparisons):
    shown = pd.concat(panel.rows for panel in prepare(comparisons))
    drawn = [c for c in comparisons if any(abs(r.error_fraction) > 1e-5 for r in c.rows)]
    assert len(shown) == sum(r.stated > 0 and r.found > 0 for c in drawn for r in c.rows)
    assert shown["is_calibrated"].sum() == sum(len(c.with_role("calibrated")) for c in drawn)
    assert prepare([c for c in comparisons if c not in drawn]) == ()


def test_every_claim_is_kept(comparisons):
    assert [c.name for c in comparisons if c.is_kept is False] == []


def test_every_comparison_says_what_its_truth_is_and_gives_a_reason_for_what_it_leaves_out(comparisons):
    names = [c.name for c in comparisons]
    assert len(set(names)) == len(names)
    assert all(c.source and c.what.endswith(".") and c.rows for c in comparisons)
    assert all(e.reason for c in comparisons for e in c.excluded)


def test_every_file_of_stated_figures_says_what_it_holds():
    for path in validation_file("").glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["about"]


def test_the_command_writes_the_page_and_all_rows(tmp_path, capsys):
    assert main(["validate", "-q", "-o", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"name", "truth", "calibrated", "not_calibrated", "excluded"} <= set(document["comparisons"][0])
    assert (tmp_path / "validation.md").is_file()
    assert (tmp_path / "validation.svg").is_file()
    assert len(pd.read_csv(tmp_path / "validation.csv")) > 500


def test_the_command_prints_80_columns(capsys):
    assert main(["validate"]) == 0
    text = capsys.readouterr().out
    assert "claims are kept" in text
    assert max(map(len, text.splitlines())) <= 80
