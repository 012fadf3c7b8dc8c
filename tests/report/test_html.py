from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from dse.errors import MissingExtraError
from dse.report import html
from dse.report.run import read_run
from dse.report.verdict import make_card, reasons

VOID = {"meta", "link", "br", "col", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects links, ids and text; checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href")]
        self.ids += [str(v) for k, v in attrs if k == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_the_page_needs_nothing_but_itself(report: Path) -> None:
    page = read_page(report)
    assert report.stat().st_size < 4e6
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not re.search(r"url\((?!#)", report.read_text(encoding="utf-8"))
    assert "https://example.com/npu" in page.text  # an address in a source stays, as text


def test_every_link_inside_the_page_has_one_target(report: Path) -> None:
    page = read_page(report)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_equal_runs_give_equal_bytes(report: Path, make_run) -> None:
    second = make_run()
    assert html.write_report(second).read_bytes() == report.read_bytes()
    figures = sorted((second / "figures").iterdir())
    assert [p.name for p in figures] == sorted(p.name for p in (report.parent / "figures").iterdir())
    assert all((report.parent / "figures" / p.name).read_bytes() == p.read_bytes() for p in figures)
    assert html.write_report(second).read_bytes() == report.read_bytes()  # written over itself


def test_page_and_figures_carry_no_date_and_no_folder(report: Path) -> None:
    texts = [p.read_text(encoding="utf-8") for p in (report, *(report.parent / "figures").glob("*.svg"))]
    assert not any(str(report.parents[1]) in t or re.search(r"20\d\d-\d\d-\d\d", t) for t in texts)


def test_every_figure_is_a_small_svg_with_its_data(report: Path) -> None:
    figures = sorted((report.parent / "figures").glob("*.svg"))
    assert [p.stem for p in figures] == ["breakdown", "expert_map", "loss_curve", "pareto", "pareto_loss", "slices"]
    for path in figures:
        assert path.stat().st_size < 300_000
        assert ET.parse(path).getroot().tag.endswith("svg")
        assert not pd.read_csv(path.with_suffix(".csv")).empty


def test_names_from_yaml_are_escaped(make_run) -> None:
    evil = "<script>alert(1)</script>&\"'"
    page = read_page(html.write_report(make_run(title=evil, core=evil.replace("/", "|"))))
    assert "script" not in page.tags
    assert evil in page.text


def test_dollar_signs_and_underscores_in_names_are_no_formulas(make_run) -> None:
    page = read_page(html.write_report(make_run(core="pcm_$x^2$")))
    assert "pcm_$x^2$, analog" in page.text


def test_the_page_says_when_accuracy_was_not_measured(report: Path, make_run) -> None:
    page = read_page(html.write_report(make_run(accuracy=False)))
    assert "No weights known: scores come from the rule “max_neuron_norm”." in page.text
    assert "Loss increase" not in page.text
    measured = read_page(report)
    assert "No weights known" not in measured.text
    assert "5 antithetic pairs" in measured.text


def test_reasons_are_counted_and_shown(report: Path) -> None:
    assert [(status, head, count) for status, head, count, _ in reasons(read_run(report.parent))] == [
        ("infeasible", "capacity[hbm]", 8), ("failed", "solver stopped", 2),
    ]  # fmt: skip
    text = read_page(report).text
    assert "182 ok, 8 infeasible, 2 failed" in text
    assert "contention on the links between dies" in text
    assert "mappings minimise energy; largest gap on the front 0.1 %" in text


def test_cards_compare_with_the_reference_and_state_the_proof(report: Path) -> None:
    run = read_run(report.parent)
    front = run.ok[run.ok["mapping_id"] == "m2"]
    card = make_card(run, "Lowest energy", int(front["point"].iloc[0]))
    design, reference = run.design(card.point), run.design(run.manifest.reference_point)
    assert design is not None
    assert reference is not None
    ratio = float(reference["energy_pj_per_token"] / design["energy_pj_per_token"])
    assert card.rows[0].versus == f"↓ {ratio:.3g}×"
    assert not card.is_proven  # m2 stopped by the time limit
    assert "at most 0.400 % from the optimum" in card.proof  # by hand: (1 - 0.996) / 1
    assert "batch 1 → " in make_card(run, "x", int(run.ok.loc[run.ok["scenario.batch"] == 4, "point"].iloc[0])).note
    assert make_card(run, "x", int(reference["point"])).note == "This is the reference design."


def test_a_run_in_which_nothing_works_still_has_a_report(make_run) -> None:
    folder = make_run(accuracy=False)
    points = pd.read_parquet(folder / "points.parquet").assign(status="infeasible", reason="power: need 2 W, have 1 W")
    metrics = [c for c in points if c.endswith(("_token", "_step", "_per_s", "_per_j", "_mm2", "_mw", "_share"))]
    points.assign(on_front=False, **dict.fromkeys(metrics, float("nan"))).to_parquet(folder / "points.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(reference_point=None, status_counts={"infeasible": len(points)})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = read_page(html.write_report(folder)).text
    assert "No design could be evaluated" in text
    assert "need 2 W, have 1 W" in text


@pytest.mark.parametrize(
    "left",
    [[], ["scores.csv"], ["breakdown.csv", "mappings"], ["accuracy_summary.csv"]],
    ids=["bare", "scores", "parts", "summary"],
)
def test_an_interrupted_run_still_has_a_report(make_run, left: list[str]) -> None:
    folder = make_run()
    kept = {"manifest.json", "points.parquet", *left}
    for path in folder.iterdir():
        if path.name not in kept and path.is_file():
            path.unlink()
        elif path.name not in kept:
            path.rename(folder.parent / path.name)
    manifest = json.loads((folder / "manifest.json").read_text())
    short = {k: manifest[k] for k in ("schema_version", "title", "axes", "accuracy_status")}
    (folder / "manifest.json").write_text(json.dumps(short))
    page = read_page(html.write_report(folder))
    assert "Lowest energy" in page.text
    assert "The run states no ceiling." in page.text


def test_without_jinja_the_missing_part_is_named(make_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"dse report needs the optional part \[html\]"):
        html.write_report(make_run())


def test_a_report_of_many_designs_stays_small(make_run) -> None:
    folder = make_run()
    points = pd.read_parquet(folder / "points.parquet")
    energy, front = points["energy_pj_per_token"], points["on_front"]
    copies = [points.assign(energy_pj_per_token=energy * (1 + 0.01 * i), on_front=front & (i == 0)) for i in range(60)]
    many = pd.concat(copies, ignore_index=True)
    many.assign(point=range(len(many))).to_parquet(folder / "points.parquet")
    assert html.write_report(folder).stat().st_size < 4e6
    assert (folder / "figures" / "pareto.svg").stat().st_size < 300_000


def test_writing_a_report_never_imports_torch() -> None:
    program = "import sys, dse.report.html; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
