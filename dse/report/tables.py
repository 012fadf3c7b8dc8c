"""Text tables and quantities for people: three significant digits, display prefixes, aligned columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

MISSING: Final = "–"
"""What stands where there is no number."""


class Prefix(NamedTuple):
    """A display unit: how many base units it holds, and its symbol."""

    factor: float
    symbol: str


def _steps(base: float, *symbols: str) -> tuple[Prefix, ...]:
    return tuple(Prefix(base * 1000.0**i, symbol) for i, symbol in enumerate(symbols))


PREFIXES: Final[dict[str, tuple[Prefix, ...]]] = {
    "pj": _steps(1.0, "pJ", "nJ", "µJ", "mJ", "J", "kJ"),
    "fj": _steps(1.0, "fJ", "pJ", "nJ", "µJ", "mJ", "J"),
    "nj": _steps(1.0, "nJ", "µJ", "mJ", "J", "kJ"),
    "ns": _steps(1e-3, "ps", "ns", "µs", "ms", "s"),
    "us": _steps(1e-3, "ns", "µs", "ms", "s"),
    "s": _steps(1e-9, "ns", "µs", "ms", "s"),
    "mw": _steps(1e-3, "µW", "mW", "W", "kW", "MW"),
    "mm2": (Prefix(1e-6, "µm²"), Prefix(1.0, "mm²")),
    "bytes": _steps(1.0, "B", "kB", "MB", "GB", "TB", "PB"),
    "bytes_per_ns": _steps(1e-3, "MB/s", "GB/s", "TB/s", "PB/s"),
    "ops_per_ns": _steps(1.0, "GOP/s", "TOP/s", "POP/s"),
    "tokens_per_s": _steps(1.0, "tokens/s", "k tokens/s", "M tokens/s"),
    "tokens_per_j": _steps(1.0, "tokens/J", "k tokens/J", "M tokens/J"),
    "pj_per_bit": (Prefix(1.0, "pJ/bit"),),
    "fraction": (Prefix(0.01, "%"),),
    "nats": (Prefix(1.0, "nats"),),
    "usiemens": (Prefix(1.0, "µS"),),
    "nm": (Prefix(1.0, "nm"),),
    "ff": (Prefix(1.0, "fF"),),
    "v": (Prefix(1.0, "V"),),
    "k": (Prefix(1.0, "K"),),
    "tokens": (Prefix(1.0, "tokens"),),
    "bits": (Prefix(1.0, "bit"),),
    "": (Prefix(1.0, ""),),
}
"""Unit as it ends a name (without the underscore) → display units, smallest first."""

_EXACT: Final = frozenset({"", "tokens", "bits"})
"""Counts: whole numbers are shown in full."""


def significant(value: float) -> str:
    """Three significant digits, with an exponent only below 0.001 and from a million.

    >>> significant(41.62), significant(0.04308), significant(12345), significant(4.2e-5)
    ('41.6', '0.0431', '12300', '4.20e-5')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    rounded = float(f"{abs(value):.2e}")
    if 1e-3 <= rounded < 1e6:
        text = f"{rounded:.{max(0, 2 - math.floor(math.log10(rounded)))}f}"
    else:
        mantissa, exponent = f"{rounded:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return f"−{text}" if value < 0 else text


def prefix_for(value: float, unit: str) -> Prefix:
    """The display unit in which a value has one to three digits before the point.

    Args:
        value: in the base unit.
        unit: a key of `PREFIXES`; any other text is shown as it stands.
    """
    steps = PREFIXES.get(unit, (Prefix(1.0, unit),))
    if not math.isfinite(value) or value == 0:
        return next((step for step in steps if step.factor == 1.0), steps[0])
    rounded = float(f"{abs(value):.2e}")
    chosen = max((step for step in steps if step.factor <= rounded), default=steps[0], key=lambda s: s.factor)
    return steps[-1] if unit == "mm2" and rounded >= 0.01 else chosen


def quantity_text(value: float, unit: str) -> str:
    """A quantity with its display unit.

    >>> quantity_text(41_600_000, "pj"), quantity_text(1.93e6, "ns"), quantity_text(612, "mm2")
    ('41.6 µJ', '1.93 ms', '612 mm²')
    >>> quantity_text(0.125, "fraction"), quantity_text(36e9, "bytes"), quantity_text(850, "mw")
    ('12.5 %', '36.0 GB', '850 mW')
    """
    if math.isnan(value):
        return MISSING
    factor, symbol = prefix_for(value, unit)
    if unit in _EXACT and float(value).is_integer() and abs(value) < 1e9:
        number = f"{int(value)}".replace("-", "−")
    else:
        number = significant(value / factor)
    return f"{number} {symbol}".rstrip()


def interval_text(value: float, low: float, high: float, unit: str) -> str:
    """A mean with its interval, in one display unit.

    >>> interval_text(0.0431, 0.0312, 0.055, "nats")
    '0.0431 [0.0312, 0.0550] nats'
    """
    if math.isnan(value):
        return MISSING
    factor, symbol = prefix_for(value, unit)
    if math.isnan(low) or math.isnan(high) or low == value == high:
        return f"{significant(value / factor)} {symbol}".rstrip()
    parts = [significant(x / factor) for x in (value, low, high)]
    return f"{parts[0]} [{parts[1]}, {parts[2]}] {symbol}".rstrip()


def percent_text(share: float) -> str:
    r"""A share as whole per cent, for running text.

    >>> percent_text(0.334)
    '33\xa0%'
    """
    return f"{share * 100:.0f}\u00a0%"


def versus_text(value: float, reference: float) -> str:
    """How a value compares to a reference: a factor from 10 % on, else per cent.

    >>> versus_text(20.0, 54.0), versus_text(54.0, 20.0), versus_text(104.0, 100.0), versus_text(1.0, 1.0)
    ('2.70× lower', '2.70× higher', '4.0 % higher', 'same')
    """
    if not (math.isfinite(value) and math.isfinite(reference)) or value <= 0 or reference <= 0:
        return ""
    ratio, word = (value / reference, "higher") if value > reference else (reference / value, "lower")
    if ratio < 1.0005:
        return "same"
    if ratio < 1.1:
        return f"{abs(value / reference - 1) * 100:.1f} % {word}"
    return f"{significant(ratio)}× {word}"


def arrow_text(value: float, reference: float) -> str:
    """The same in a few characters, for narrow columns.

    >>> arrow_text(20.0, 54.0), arrow_text(104.0, 100.0), arrow_text(1.0, 1.0)
    ('↓ 2.70×', '↑ 4.0 %', '=')
    """
    text = versus_text(value, reference)
    size, _, word = text.rpartition(" ")
    return {"higher": f"↑ {size}", "lower": f"↓ {size}", "same": "="}.get(word, text)


def align(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = (),
    right: Collection[int] | None = None,
    *,
    width: int = 80,
    indent: int = 2,
) -> str:
    """A table as text: columns aligned, no line wider than `width`.

    Args:
        rows: cells as text.
        header: column titles; none where empty.
        right: positions of the columns flushed right; by default those whose cells all begin like numbers.
        width: most characters a line may have; the widest left-flushed column is cut with ``…``.
        indent: spaces before each line.

    >>> print(align([("ADC", "18.4 µJ"), ("digital experts", "9.02 µJ")], ("component", "energy")))
      component         energy
      ADC              18.4 µJ
      digital experts  9.02 µJ
    """
    lines = [tuple(header), *rows] if header else list(rows)
    if not lines:
        return ""
    n_columns = max(len(line) for line in lines)
    cells = [[*line, *[""] * (n_columns - len(line))] for line in lines]
    if right is None:
        body = cells[1:] if header else cells
        right = {i for i in range(n_columns) if _is_numeric([row[i] for row in body])}
    widths = [max(len(row[i]) for row in cells) for i in range(n_columns)]
    _shrink(widths, right=right, room=width - indent - 2 * (n_columns - 1))
    return "\n".join(
        (
            " " * indent
            + "  ".join(
                _cut(text, size).rjust(size) if i in right else _cut(text, size).ljust(size)
                for i, (text, size) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in cells
    )


def _is_numeric(column: Sequence[str]) -> bool:
    filled = [text for text in column if text not in ("", MISSING)]
    return bool(filled) and all(text.lstrip("-−+<≤>≥×÷±")[:1].isdigit() or text in ("∞", "−∞") for text in filled)


def _shrink(widths: list[int], *, right: Collection[int], room: int) -> None:
    """Narrows the widest left-flushed columns in place, down to eight characters, until the line fits."""
    loose = [i for i in range(len(widths)) if i not in right]
    while sum(widths) > room and loose:
        widest = max(loose, key=lambda i: widths[i])
        if widths[widest] <= 8:
            return
        widths[widest] -= 1


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
