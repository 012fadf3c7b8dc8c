from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from dse.errors import SpecError
from dse.report.run import read_run


def test_a_whole_run_is_read(make_run) -> None:
    run = read_run(make_run())
    assert len(run.points) == 192  # by hand: 6 x 4 x 2 x 4 values
    assert run.manifest.count("infeasible") == 8  # by hand: fraction 1, batch 64: 2 x 4 designs
    assert run.is_measured
    assert run.axes[0] == "mapping.digital_fraction"
    mapping = run.mapping("m1")
    assert mapping is not None
    assert sum("experts" in name for name in mapping.digital_blocks()) == 64  # by hand: 6.25 % of 1024


def test_a_run_without_accuracy_is_read(make_run) -> None:
    run = read_run(make_run(accuracy=False))
    assert not run.is_measured
    assert run.accuracy.empty


def test_points_as_text_serve_where_parquet_is_absent(make_run) -> None:
    folder = make_run()
    whole = read_run(folder).points
    (folder / "points.parquet").unlink()
    pd.testing.assert_frame_equal(read_run(folder).points, whole, check_dtype=False)


def test_an_interrupted_run_counts_from_its_points(make_run) -> None:
    folder = make_run()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["status_counts"], manifest["ceiling"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in ("breakdown.csv", "stages.csv", "area.csv", "traffic.csv", "accuracy.csv"):
        (folder / name).unlink()
    run = read_run(folder)
    assert run.manifest.count("failed") == 2
    assert run.breakdown.empty


def test_mapping_ids_stay_text(make_run) -> None:
    folder = make_run()
    frame = pd.read_csv(folder / "accuracy.csv").assign(mapping_id="007")
    frame.to_csv(folder / "accuracy.csv", index=False)
    assert set(read_run(folder).accuracy["mapping_id"]) == {"007"}


@pytest.mark.parametrize("missing", ["manifest.json", "points.parquet"])
def test_a_missing_file_is_named_with_the_command_that_writes_it(make_run, missing: str) -> None:
    folder: Path = make_run()
    (folder / "points.csv").unlink()
    (folder / missing).unlink()
    with pytest.raises(SpecError, match=rf"{re.escape(missing)}: no such file; `dse explore .* writes"):
        read_run(folder)


def test_a_missing_folder_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"manifest\.json: no such file"):
        read_run(tmp_path / "nothing")


def test_a_broken_manifest_is_named_with_its_place(make_run) -> None:
    folder = make_run()
    (folder / "manifest.json").write_text('{"schema_version": 1,\n oops}')
    with pytest.raises(SpecError, match=r"manifest\.json:2:2: not a JSON file"):
        read_run(folder)
    (folder / "manifest.json").write_text('{"schema_version": 9}')
    with pytest.raises(SpecError, match=r"schema_version 1 \(got 9\)"):
        read_run(folder)


def test_every_missing_column_is_named(make_run) -> None:
    folder = make_run()
    pd.read_csv(folder / "breakdown.csv").drop(columns=["evidence", "group"]).to_csv(
        folder / "breakdown.csv", index=False
    )
    with pytest.raises(SpecError) as caught:
        read_run(folder)
    assert [p.message.split(";")[0] for p in caught.value.problems] == [
        "column 'group' is missing", "column 'evidence' is missing",
    ]  # fmt: skip
