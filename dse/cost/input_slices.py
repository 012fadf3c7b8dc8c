"""How the bits of an input reach the rows: how often rows are driven, pulses applied and columns converted."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from dse.units import Quantity

Encoding = Literal["pulse_width", "amplitude", "bit_serial", "pulse_count"]


class InputSlices(NamedTuple):
    """Events of one read phase."""

    drives: Quantity
    """Times each row is driven."""
    pulses: Quantity
    """Pulses of full length that follow each other."""
    segments: Quantity
    """Parts of an input that are converted apart from each other."""
    shorter_by: Quantity
    """Bits by which the conversion of a segment may be shorter than that of the one before."""


def input_slices(*, encoding: Encoding, bits: Quantity, bits_per_phase: Quantity | None) -> InputSlices:
    """Events that an input of some bits takes.

    One pulse or level for ``bits_per_phase`` bits (``n = ceil(b / b_phase)`` of everything), or, for ``pulse_count``,
    the magnitude of ``m = max(b - 1, 1)`` bits: each bit drives the row once, a segment of p bits takes 2^p - 1
    pulses, and ``ceil(m / b_phase)`` segments of nearly equal size are converted, a later one of smaller place value
    with as many bits less as the segment before holds. Pulses and levels are each converted in full.

    >>> float(input_slices(encoding="bit_serial", bits=16.0, bits_per_phase=None).drives)
    16.0
    >>> [float(x) for x in input_slices(encoding="pulse_count", bits=8.0, bits_per_phase=4.0)]
    [7.0, 22.0, 2.0, 4.0]
    """
    if encoding != "pulse_count":
        together = bits_per_phase if bits_per_phase is not None else (1.0 if encoding == "bit_serial" else bits)
        n = np.ceil(bits / together)
        return InputSlices(n, n, n, 0.0)
    magnitude = np.maximum(np.asarray(bits) - 1.0, 1.0)
    segments = np.ceil(magnitude / (magnitude if bits_per_phase is None else bits_per_phase))
    low = np.floor(magnitude / segments)
    longer = magnitude - low * segments
    pulses = longer * (2.0 ** (low + 1) - 1) + (segments - longer) * (2.0**low - 1)
    return InputSlices(magnitude, pulses, segments, np.ceil(magnitude / segments))


def conversion_steps(*, slices: InputSlices, bits: Quantity) -> Quantity:
    """Steps of a converter that works bit by bit, in one read phase [-].

    ``n·b - s·n·(n - 1)/2`` for n segments of which each is s bits shorter than the one before, at least one each.

    >>> s = input_slices(encoding="pulse_count", bits=8.0, bits_per_phase=4.0)
    >>> float(conversion_steps(slices=s, bits=10.0))
    16.0
    """
    saved = slices.shorter_by * slices.segments * (slices.segments - 1) / 2
    steps: Quantity = np.maximum(slices.segments * bits - saved, slices.segments)
    return steps
