"""Which tasks of the evaluation harness are run; imports without the harness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dse.errors import Problem
from dse.spec.digest import file_digest

MEAN_ACCURACY: Final = "tasks.acc"
"""Metric: mean over the tasks of their ``acc``."""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """Tasks by name, with a folder of own ones."""

    names: tuple[str, ...] = ()
    folder: Path | None = None
    """YAML files of own tasks, looked up before the harness's own."""
    n_items: int | None = None
    """Most items of each task; None: all."""

    def problems(self) -> list[Problem]:
        """What is wrong with it, before the harness is asked."""
        found = []
        if self.folder is not None and not self.folder.is_dir():
            found.append(Problem(f"no such folder of task files: {self.folder}", "task_path"))
        if self.folder is not None and not self.names:
            found.append(Problem("names a folder, but no task of it is asked for", "task_path"))
        if self.n_items is not None and self.n_items < 1:
            found.append(Problem(f"expected a number >= 1, or None for all (got {self.n_items})", "task_items"))
        if len(set(self.names)) < len(self.names):
            found.append(Problem(f"a task is named twice: {', '.join(self.names)}", "tasks"))
        return found

    def digests(self) -> dict[str, str]:
        """Digest of every file in the folder, by name."""
        if self.folder is None:
            return {}
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        return {f"task file {file.relative_to(self.folder).as_posix()}": file_digest(file) for file in files}


NO_TASKS: Final = TaskPlan()
