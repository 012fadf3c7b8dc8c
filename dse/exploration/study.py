"""The result of an exploration: points, front, mappings, accuracy; saved to and loaded from a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from dse.errors import SpecError
from dse.mapping.model import Mapping, load_mapping

FRAMES = ("breakdown", "stages", "area", "traffic", "provenance", "accuracy", "accuracy_summary")
SCHEMA_VERSION: Final = 1
"""Version of the run folder."""
SCORES_FILE: Final = "scores.csv"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Study:
    """Points of a space with their metrics and status, and what is known of the best of them."""

    points: pd.DataFrame
    """One row per design: axes, metrics, binding, status (ok, infeasible), reason, on_front, mapping_id, and the
    measured loss increase where there is one."""
    manifest: MappingABC[str, Any]
    """Inputs, versions, seed, counts: what a reader needs to repeat the run."""
    mappings: MappingABC[str, Mapping]
    """Mapping id → mapping."""
    scores: pd.DataFrame
    """Scores of the experts."""
    frames: MappingABC[str, pd.DataFrame] = field(default_factory=dict)
    """breakdown, stages, area, traffic of the front and the reference; provenance; accuracy, accuracy_summary."""
    inputs: MappingABC[str, str] = field(default_factory=dict)
    """File name → text of the inputs: resolved YAML, and the routing file where there is one."""

    @property
    def front(self) -> pd.DataFrame:
        """Points that no other point dominates."""
        return self.points[self.points["on_front"]]

    def save(self, folder: str | Path) -> Path:
        """Writes the run folder and returns it."""
        folder = Path(folder)
        (folder / "mappings").mkdir(parents=True, exist_ok=True)
        (folder / "inputs").mkdir(exist_ok=True)
        for name, text in self.inputs.items():
            (folder / "inputs" / name).write_text(text, encoding="utf-8")
        points = self.points.reset_index()
        points.to_parquet(folder / "points.parquet", index=False)
        points.to_csv(folder / "points.csv", index=False)
        for name, frame in self.frames.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        header = "".join(f"# {key}: {json.dumps(value)}\n" for key, value in self.scores.attrs.items())
        (folder / SCORES_FILE).write_text(header + self.scores.to_csv(index=False), encoding="utf-8")
        for name, mapping in self.mappings.items():
            mapping.save(folder / "mappings" / f"{name}.json")
        (folder / "manifest.json").write_text(json.dumps(self.manifest, indent=1) + "\n", encoding="utf-8")
        return folder

    @staticmethod
    def load(folder: str | Path) -> Study:
        """Reads a run folder.

        Raises:
            SpecError: it is no run folder, or a file of it is missing.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            points = pd.read_parquet(folder / "points.parquet").set_index("point")
            scores = pd.read_csv(folder / SCORES_FILE, comment="#")
        except FileNotFoundError as error:
            raise SpecError(f"{folder}: not a complete run folder ({error.filename} is missing); "
                            "`dse explore ... -o FOLDER` writes one") from None  # fmt: skip
        except json.JSONDecodeError as error:
            raise SpecError(
                f"{folder / 'manifest.json'}:{error.lineno}:{error.colno}: not a JSON file: {error.msg}"
            ) from None
        version = manifest.get("schema_version") if isinstance(manifest, dict) else None
        if version != SCHEMA_VERSION:
            raise SpecError(f"{folder / 'manifest.json'}: a run folder of version {SCHEMA_VERSION} is expected (got "
                            f"{version!r}); run `dse explore` again")  # fmt: skip
        paths = {name: folder / f"{name}.csv" for name in FRAMES}
        inputs = sorted((folder / "inputs").glob("[!.]*"))
        return Study(
            points=points,
            manifest=manifest,
            mappings={path.stem: load_mapping(path) for path in sorted((folder / "mappings").glob("*.json"))},
            scores=scores,
            frames={name: pd.read_csv(path) for name, path in paths.items() if path.exists()},
            inputs={path.name: path.read_text(encoding="utf-8") for path in inputs},
        )

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.manifest["status_counts"].items())
        return f"<p>{len(self.points)} points: {counts}</p>" + str(self.front.head(20).to_html())
