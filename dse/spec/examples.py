"""Copies the shipped specs to a folder where a user edits them."""

from __future__ import annotations

import shutil
from pathlib import Path

from dse.errors import SpecError
from dse.spec.shipped import shipped_root

FOLDERS = ("arch_specs", "workloads", "schema")


def copy_shipped(folder: Path, *, force: bool = False) -> list[str]:
    """Copies all shipped specs with their data files; returns the copied paths, relative to the folder.

    Raises:
        SpecError: a file is there already and ``force`` is not given.
    """
    root = shipped_root()
    files = [path.relative_to(root) for name in FOLDERS for path in sorted((root / name).rglob("*")) if path.is_file()]
    taken = [str(file) for file in files if (folder / file).exists()]
    if taken and not force:
        raise SpecError(f"{folder / taken[0]} is there already ({len(taken)} files in all); give --force to overwrite")
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, folder / file)
    return [file.as_posix() for file in files]
