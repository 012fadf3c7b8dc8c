"""The data files of the validation page: figures stated elsewhere, each with its source."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from dse.spec.shipped import shipped_root

FOLDER = "validation"


def validation_file(name: str) -> Path:
    """Where a data file lies."""
    return shipped_root() / FOLDER / name


def read_json(name: str) -> dict[str, Any]:
    """A JSON file of figures; its keys say what they are."""
    found: dict[str, Any] = json.loads(validation_file(name).read_text(encoding="utf-8"))
    return found


def read_csv(name: str) -> list[dict[str, str]]:
    """A CSV file of figures, one row a figure; lines that begin with # are remarks."""
    lines = validation_file(name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
