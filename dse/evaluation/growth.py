"""Mean of many decode steps whose context grows by one token each, from few of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.evaluation.result import Evaluation, RunPart
from dse.units import Quantity
from dse.workload.steps import Span

# P design points

Array = NDArray[np.float64]
MOST_EVALUATIONS: Final = 64
"""Contexts that are evaluated at most."""
EXACT: Final = 1e-12
"""Relative difference that counts as rounding."""


class Piece(NamedTuple):
    """Consecutive contexts with the evaluation at their mean; an upper and a lower bound of their summed time."""

    span: Span
    middle: Evaluation
    ends_ns: tuple[Array, Array]
    """Step time half a token before the first and after the last context [ns]."""

    @property
    def excess_ns(self) -> Array:
        """Largest amount by which the true sum may exceed ``count · T(mean)`` [ns], (P,)."""
        chord = (self.ends_ns[0] + self.ends_ns[1]) / 2 - self.middle.latency_ns
        rounding = EXACT * np.abs(self.middle.latency_ns)
        is_sum = np.asarray(self.span.length, np.float64) <= 1
        return np.where(is_sum | (chord <= rounding), 0.0, self.span.length * chord)


class Growth(NamedTuple):
    """A growing context by few evaluations."""

    parts: tuple[RunPart, ...]
    """Contexts with their shares of all steps."""
    wait_ns: Array
    """Mean of what waits on shared tiles add to a step, (P,) [ns]."""


def growing(evaluate_at: Callable[[Quantity], Evaluation], spans: Sequence[Span]) -> Growth:
    """Contexts of a growing cache with their shares of all steps, few enough to evaluate.

    Within a span the time of a step is a sum of maxima of lines that rise with the context: convex, so that
    ``count · T(mean) <= Σ T <= count · (T(first − ½) + T(last + ½)) / 2``. A piece whose bounds meet is exact; the one
    whose bounds differ most is halved until all meet, or MOST_EVALUATIONS contexts are evaluated. Every other quantity
    is linear in the context or follows the time; but the waits of a pipeline, which are smooth: their mean is taken by
    Simpson's rule over each span, so that it does not depend on which pieces other designs need.
    """
    evaluated: dict[bytes, Evaluation] = {}

    def at(context: Quantity) -> Evaluation:
        key = np.asarray(context, np.float64).tobytes()
        if key not in evaluated:
            evaluated[key] = evaluate_at(context)
        return evaluated[key]

    def piece(span: Span) -> Piece:
        ends = at(span.first - 0.5).latency_ns, at(span.first + span.length - 0.5).latency_ns
        return Piece(span, at(span.mean), ends)

    pieces = [piece(span) for span in spans if np.any(np.asarray(span.length) > 0)]
    while len(evaluated) <= MOST_EVALUATIONS - 3:
        worst = max(range(len(pieces)), key=lambda i: float(pieces[i].excess_ns.max()))
        if not np.any(pieces[worst].excess_ns > 0):
            break
        pieces[worst : worst + 1] = [piece(half) for half in halves(pieces[worst].span)]
    whole = sum(np.asarray(span.length, np.float64) for span in spans)
    parts = tuple(RunPart(f"context {np.ravel(p.span.mean)[0]:g}", p.span.length / whole, p.middle) for p in pieces)

    def wait_ns(context: Quantity) -> Array:
        return at(context).contended_latency_ns - at(context).latency_ns

    waits = [
        span.length / whole / 6
        * (wait_ns(span.first - 0.5) + 4 * wait_ns(span.mean) + wait_ns(span.first + span.length - 0.5))
        for span in spans if np.any(np.asarray(span.length) > 0)
    ]  # fmt: skip
    return Growth(parts, np.asarray(sum(waits)))


def halves(span: Span) -> tuple[Span, Span]:
    """A span in two, of which the first is at most one token shorter."""
    before = np.floor(np.asarray(span.length, np.float64) / 2)
    return Span(span.first, before), Span(span.first + before, span.length - before)
