"""``dse export mapping``: every piece of every matrix once."""

import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from dse.cli import main
from dse.workload.build import load_workload


@pytest.fixture(scope="module")
def mapping_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "mapping.json"
    assert main(["map", "tiny_edge", "tiny_moe", "--digital-fraction", "0.25", "-q", "-o", str(path)]) == 0
    return path


def test_the_table_holds_every_block_and_every_slice_once(
    mapping_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["export", "mapping", str(mapping_file)]) == 0
    table = pd.read_csv(StringIO(capsys.readouterr().out))
    blocks = [block.name for block in load_workload("tiny_moe").blocks if block.kind != "embedding"]
    assert set(table["block"]) == set(blocks)
    placed = table.dropna(subset="tile")
    assert not placed.duplicated(["block", "matrix", "i", "j", "copy"]).any()
    assert not placed.duplicated(["group", "die", "tile", "tier"]).any()
    assert set(placed["precision"]) == {"analog"}
    assert (placed.groupby("block").size() == 3).all()  # by hand: gate, up and down fit one crossbar each


def test_the_document_says_the_same_as_the_table(mapping_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["export", "mapping", str(mapping_file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    saved = json.loads(mapping_file.read_text())
    assert document["digests"] == saved["digests"]
    group_of = {name: option["group"] for name, option in saved["placement"].items()}
    assert all(piece["group"] == group_of[piece["block"]] for piece in document["pieces"])
    assert {piece["block"] for piece in document["pieces"]} == set(group_of)


def test_a_mapping_without_tiles_says_so(
    mapping_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(mapping_file.read_text()) | {"slices": None}
    (tmp_path / "m.json").write_text(json.dumps(record))
    assert main(["export", "mapping", str(tmp_path / "m.json"), "-o", str(tmp_path / "out.csv")]) == 0
    assert "not packed" in capsys.readouterr().err
    assert pd.read_csv(tmp_path / "out.csv")["tile"].isna().all()


def test_two_forms_at_once_are_refused(mapping_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "mapping", str(mapping_file), "--json", "--format", "csv"]) == 2
    assert "drop one" in capsys.readouterr().out
