"""``explore``: every point of a space, the front, accuracy of the candidates, kept when interrupted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd

import dse.noise
from dse.errors import SpecError, TimeLimitError
from dse.exploration.accuracy import Bench, attach, measure
from dse.exploration.certify import Certified, certify, proof_remark
from dse.exploration.detail import detail_frames, detailed_points, provenance_frame
from dse.exploration.effect import require_effects
from dse.exploration.inputs import input_files
from dse.exploration.manifest import reference_point, space_manifest
from dse.exploration.mappings import ranked_mappings
from dse.exploration.metrics import METRICS
from dse.exploration.optimal import OptimalMappings, optimal_mappings
from dse.exploration.pareto import front_mask
from dse.exploration.points import grid, plain_values
from dse.exploration.space import AccuracyPlan, Space, placing, require_metrics
from dse.exploration.study import Study
from dse.exploration.sweep import Chunk, Mapper, chunks
from dse.sensitivity.score import score_blocks
from dse.spec.digest import digest_of
from dse.workload.build import Workload

Progress = Callable[[str, int, int], None]


class ExplorationInterrupted(KeyboardInterrupt):
    """An exploration was stopped by the user, or by its time limit; ``study`` holds the finished points."""

    def __init__(self, study: Study, *, is_late: bool = False) -> None:
        super().__init__("time limit" if is_late else "interrupted")
        self.study, self.is_late = study, is_late


def explore(
    space: Space,
    *,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
    torch_device: str = "cpu",
    time_limit_s: float = math.inf,
) -> Study:
    """Evaluates all points of a space, finds the front, measures accuracy of its candidates.

    Args:
        space: what varies, and what counts.
        folder: each finished chunk is written there at once; calling again with the same space goes on from it.
        progress: told after every chunk and candidate.
        executor: simulates the chips; default one after the other in this process. The results are the same.
        torch_device: where models compute: cpu, cuda or cuda:N.
        time_limit_s: no chunk of points and no chip is begun later.

    Raises:
        SpecError: a path or value of an axis is not allowed.
        ExplorationInterrupted: the user or the time limit stopped it; the finished points are in its ``study`` (and
            in ``folder``).
    """
    tell, begin = progress or (lambda stage, done, total: None), time.time()
    deadline = time.monotonic() + time_limit_s
    require_metrics(space.metrics, space.limits)
    if space.accuracy is not None:
        require_accuracy(space.workload, space.accuracy, torch_device)
    scores = score_blocks(space.workload)
    axes = {path: plain_values(values) for path, values in space.axes.items()}
    space = dataclasses.replace(space, axes=axes, workload=space.workload.with_score_order(scores))
    with placing(space.axis_places):
        points = grid(space.axes)
        is_optimal = space.mapping.policy == "optimal"
        mapper: Mapper = optimal_mappings(space, scores) if is_optimal else ranked_mappings(space, scores)
        remarks = require_effects(space, mapper)
    parts = ChunkStore(space, folder)
    finished: list[pd.DataFrame] = []

    def study_so_far(certified: Certified | None = None) -> Study:
        found = pd.concat(finished).sort_index() if finished else None
        return assemble(space, found, scores, mapper, certified, n_points=len(points), remarks=remarks)

    try:
        for chunk in chunks(space, points):
            frame = parts.get(chunk)
            if frame is None:
                require_time(deadline)
                frame = mapper.evaluated(chunk)
                parts.put(chunk, frame)
            finished.append(frame)
            tell("points", sum(map(len, finished)), len(points))
        certified = None
        if isinstance(mapper, OptimalMappings):
            certified = certify(mapper, pd.concat(finished).sort_index(), tell)
        study = study_so_far(certified)
        if space.accuracy is not None:
            bench = Bench(parts.chips, executor, torch_device, deadline)
            study = with_accuracy(space, study, tell, bench)
    except (KeyboardInterrupt, TimeLimitError) as stopped:
        study, is_late = study_so_far(), isinstance(stopped, TimeLimitError)
        if folder is not None:
            log_run(study.save(folder), "time limit" if is_late else "interrupted", begin)
        raise ExplorationInterrupted(study, is_late=is_late) from None
    if folder is not None:
        log_run(study.save(folder), "finished", begin)
        parts.clear()
    return study


def require_time(deadline: float) -> None:
    """Raises TimeLimitError when a time of ``time.monotonic`` has passed."""
    if time.monotonic() >= deadline:
        raise TimeLimitError("time is over")


def log_run(folder: Path, event: str, begin: float) -> None:
    """Adds one line to ``log.jsonl``: what may differ between equal runs."""
    entry = {
        "event": event,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - begin, 3),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")


def require_accuracy(workload: Workload, plan: AccuracyPlan, torch_device: str) -> None:
    """Refuses a plan that cannot be measured on a workload, before any design is evaluated."""
    if not plan.scales or plan.candidates < 1:
        raise SpecError("accuracy needs at least one noise scale and one candidate")
    for scale in plan.scales:
        settings = dse.noise.Plan(
            draws=plan.draws, scale=scale, n_tokens=plan.n_tokens, n_items=plan.n_items, torch_device=torch_device
        )
        dse.noise.require_measurable(workload, settings)


def assemble(
    space: Space,
    found: pd.DataFrame | None,
    scores: pd.DataFrame,
    mapper: Mapper,
    certified: Certified | None,
    *,
    n_points: int,
    remarks: list[str],
) -> Study:
    """The study of the finished points, after those that were certified."""
    points = grid(space.axes).iloc[:0] if found is None else found if certified is None else certified.points
    if "status" not in points:
        points = points.assign(**{m: np.nan for m in METRICS}, binding="", status="", reason="", mapping_id="")
    points = points.assign(on_front=front_mask(points, space.metrics), binding=points["binding"].astype(str))
    shown = {*points.index[points["on_front"]], *detailed_points(points, reference_point(points))}
    mappings = {} if found is None else mapper.kept(points.loc[sorted(shown)])
    if certified is not None:
        mappings = {**mappings, **certified.mappings}
        remarks = [*remarks, proof_remark(certified.summary)]
    for name in ("loss_increase_nats", "loss_increase_low", "loss_increase_high"):
        points[name] = np.nan
    manifest = {**space_manifest(space, points, scores, n_points, mappings), "remarks": remarks}
    if certified is not None:
        manifest["mapping_proof"] = certified.summary
    return Study(
        points=points,
        manifest=manifest,
        mappings=mappings,
        scores=scores,
        frames={**detail_frames(space, points, mappings, manifest), "provenance": provenance_frame(space)},
        inputs=input_files(space),
    )


def with_accuracy(space: Space, study: Study, tell: Progress, bench: Bench) -> Study:
    """The study with the accuracy of its candidates measured; chips are kept in a folder meanwhile.

    Raises:
        TimeLimitError: not all candidates were measured in time.
    """
    assert space.accuracy is not None
    if not study.points["on_front"].any():
        return study
    measured = measure(space, study.points, study.mappings, space.accuracy, tell, bench=bench)
    return dataclasses.replace(
        study,
        points=attach(space, study.points, measured, space.accuracy),
        manifest={**study.manifest, "accuracy_status": "measured"},
        frames={**study.frames, "accuracy": measured.draws, "accuracy_summary": measured.summary},
    )


class ChunkStore:
    """Finished chunks and chips of a run on disk, so that an interrupted run continues where it stopped."""

    def __init__(self, space: Space, folder: str | Path | None) -> None:
        identity = [
            space.architecture.digest,
            space.workload.digest,
            dict(space.axes),
            digest_of(space.mapping),
            dict(space.limits),
        ]
        digest = hashlib.sha256(json.dumps(identity, default=float, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = None if folder is None else Path(folder) / "parts" / digest
        self.chips = None if folder is None else Path(folder) / "parts" / "chips"
        """Simulated chips of the candidates, one folder each."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, chunk: Chunk) -> pd.DataFrame | None:
        """The stored result of a chunk, or None."""
        path = None if self.folder is None else self.folder / f"{chunk.number:06d}.parquet"
        return pd.read_parquet(path) if path is not None and path.exists() else None

    def put(self, chunk: Chunk, frame: pd.DataFrame) -> None:
        """Stores the result of a chunk under its final name at once."""
        if self.folder is not None:
            partial = self.folder / f"{chunk.number:06d}.part"
            frame.to_parquet(partial)
            partial.replace(self.folder / f"{chunk.number:06d}.parquet")

    def clear(self) -> None:
        """Removes the chunks and chips of a run that is complete."""
        if self.chips is not None:
            shutil.rmtree(self.chips, ignore_errors=True)
        if self.folder is not None:
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()
            if not any(self.folder.parent.iterdir()):
                self.folder.parent.rmdir()
