"""The stages of a step as a timeline in the JSON format that Perfetto opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from dse.evaluation.profile import STAGES

STEP: Final = "step"
"""Track of the stages; every core group has one of its own."""


class Span(NamedTuple):
    """Work on one track [ns], rounded to whole nanoseconds at both ends."""

    track: str
    name: str
    begin_ns: int
    end_ns: int


def chrome_trace(timeline: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    """The trace of a step; ``ts`` and ``dur`` are microseconds, as the format wants, whatever its display unit.

    Args:
        timeline: ``timeline`` of the document of an evaluation.
        title: name of the process.
    """
    spans = list(step_spans(timeline))
    tracks = list(dict.fromkeys(span.track for span in spans))
    named = [("process_name", 0, title), *(("thread_name", number, track) for number, track in enumerate(tracks))]
    about = [{"ph": "M", "pid": 0, "tid": tid, "name": what, "args": {"name": name}} for what, tid, name in named]
    events = [
        {
            "ph": "X", "pid": 0, "tid": tracks.index(span.track), "name": span.name,
            "ts": span.begin_ns / 1000, "dur": (span.end_ns - span.begin_ns) / 1000,
        }
        for span in spans
    ]  # fmt: skip
    return {"displayTimeUnit": "ns", "traceEvents": [*about, *events]}


def step_spans(timeline: Sequence[Mapping[str, Any]]) -> Iterator[Span]:
    """Every stage of every layer, one after the other, and the groups that work in it.

    Layers that are alike stand in a row and are counted through, whatever their numbers in the model.
    """
    begin, layer = 0.0, 0
    for profile in profiles(timeline):
        for _ in range(round(profile[0]["times_per_step"])):
            for row in profile:
                name = row["stage"] if row["stage"] == "head" else f"{row['stage']} {layer}"
                yield Span(STEP, name, round(begin), round(begin + row["time_ns"]))
                at = begin
                for group, time_ns in row["groups_ns"].items():
                    yield Span(group, name, round(at), round(at + time_ns))
                    at += 0.0 if row["side_by_side"] else time_ns
                begin += row["time_ns"]
            layer += 1


def profiles(timeline: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The rows of the layers that are alike: a new list where the stages begin again."""
    found: list[list[Mapping[str, Any]]] = []
    for row in timeline:
        if not found or STAGES.index(row["stage"]) <= STAGES.index(found[-1][-1]["stage"]) or row["stage"] == "head":
            found.append([])
        found[-1].append(row)
    return found
