"""Did-you-mean: the nearest known name, and help with units."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from dse.units import SUFFIXES, unit_of

_FACTORS: Final[dict[str, tuple[str, float]]] = {
    "fj": ("J", 1e-15), "pj": ("J", 1e-12), "nj": ("J", 1e-9), "uj": ("J", 1e-6), "mj": ("J", 1e-3), "j": ("J", 1.0),
    "ps": ("s", 1e-12), "ns": ("s", 1e-9), "us": ("s", 1e-6), "ms": ("s", 1e-3), "s": ("s", 1.0),
    "nw": ("W", 1e-9), "uw": ("W", 1e-6), "mw": ("W", 1e-3), "w": ("W", 1.0), "kw": ("W", 1e3),
    "um2": ("m2", 1e-12), "mm2": ("m2", 1e-6), "cm2": ("m2", 1e-4),
    "bits": ("B", 0.125), "bytes": ("B", 1.0), "b": ("B", 1.0), "kb": ("B", 1e3), "mb": ("B", 1e6), "gb": ("B", 1e9),
    "tb": ("B", 1e12), "kib": ("B", 2.0**10), "mib": ("B", 2.0**20), "gib": ("B", 2.0**30), "tib": ("B", 2.0**40),
    "bytes_per_ns": ("B/s", 1e9), "bytes_per_s": ("B/s", 1.0), "gb_per_s": ("B/s", 1e9), "tb_per_s": ("B/s", 1e12),
    "gb/s": ("B/s", 1e9), "tb/s": ("B/s", 1e12), "mb/s": ("B/s", 1e6), "bytes/ns": ("B/s", 1e9),
    "ops_per_ns": ("op/s", 1e9), "gops": ("op/s", 1e9), "tops": ("op/s", 1e12), "tflops": ("op/s", 1e12),
    "pj_per_bit": ("J/b", 1e-12), "fj_per_bit": ("J/b", 1e-15), "pj/bit": ("J/b", 1e-12), "fj/bit": ("J/b", 1e-15),
    "nsiemens": ("S", 1e-9), "usiemens": ("S", 1e-6), "msiemens": ("S", 1e-3), "siemens": ("S", 1.0),
    "ns_siemens": ("S", 1e-9), "microsiemens": ("S", 1e-6), "nm": ("m", 1e-9), "um": ("m", 1e-6),
    "af": ("F", 1e-18), "ff": ("F", 1e-15), "pf": ("F", 1e-12), "mv": ("V", 1e-3), "v": ("V", 1.0), "k": ("K", 1.0),
    "percent": ("1", 0.01), "%": ("1", 0.01), "fraction": ("1", 1.0),
}  # fmt: skip
"""Unit as keys and texts write it, in lower case → dimension and factor to its base unit."""

_WITH_UNIT: Final = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-zµ%][\w/²µ]*)\s*")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a typo most likely meant, or None.

    >>> nearest("energy_pjj", ["energy_pj", "latency_ns"])
    'energy_pj'
    """
    names = list(known)
    folded = {other.lower().replace("-", "_"): other for other in names}
    same = folded.get(name.lower().replace("-", "_"))
    if same is not None:
        return same
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if matches:
        return matches[0]
    inside = [other for other in names if len(name) > 3 and (name in other or other in name) and len(other) > 3]
    return min(inside, key=len, default=None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of a message: the nearest known name, or the known names where they are few."""
    names = sorted(known)
    found = nearest(name, names)
    if found is not None:
        return f", did you mean {found!r}?"
    if 0 < len(names) <= 8:
        return "; known: " + ", ".join(names)
    return ""


def stem(key: str) -> str:
    """A key without the unit it states.

    >>> stem("energy_pj"), stem("energy"), stem("bandwidth_gb_per_s")
    ('energy', 'energy', 'bandwidth')
    """
    tails = sorted((*(s.removeprefix("_") for s in SUFFIXES), *_FACTORS), key=len, reverse=True)
    return next((key.removesuffix(f"_{tail}") for tail in tails if key.endswith(f"_{tail}")), key)


def _suffix(key: str) -> str:
    return key.removeprefix(stem(key)).removeprefix("_")


def _converted(number: float, unit: str, key: str) -> float | None:
    """A number in the unit that a key states, or None where the units do not fit."""
    given = _FACTORS.get(unit.lower().replace("µ", "u").replace("²", "2"))
    wanted = _FACTORS.get(_suffix(key))
    if given is None or wanted is None or given[0] != wanted[0]:
        return None
    return number * given[1] / wanted[1]


def unit_text_help(text: str, key: str) -> str | None:
    """What to write instead of a number with a unit, or None.

    >>> unit_text_help("2.5 nJ", "energy_pj")
    'write 2500 (value is in pJ)'
    """
    match = _WITH_UNIT.fullmatch(text)
    if match is None or unit_of(key) is None:
        return None
    number = _converted(float(match[1]), match[2], key)
    return None if number is None else f"write {number:.12g} (value is in {unit_of(key)})"


def key_help(key: str, value: object, known: Iterable[str]) -> tuple[str, str | None]:
    """What is wrong with an unknown key, and the known key that was meant.

    >>> key_help("energy", 2.5, ["energy_pj", "latency_ns"])
    ("unknown key, did you mean 'energy_pj' [pJ]?", 'energy_pj')
    >>> key_help("energy_fj", 2500, ["energy_pj", "latency_ns"])
    ('unknown key, use energy_pj: 2.5', 'energy_pj')
    """
    if key == "<<":
        return "merge keys are not read; write the values out, or give 'extends' at the top of the file", None
    names = list(known)
    same_quantity = [name for name in names if stem(name) == stem(key) and name != stem(name)]
    for name in same_quantity:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        number = _converted(float(value), _suffix(key), name) if is_number else None  # type: ignore[arg-type]
        if number is not None:
            return f"unknown key, use {name}: {number:.12g}", name
    found = same_quantity[0] if same_quantity else nearest(key, names)
    if found is None:
        listed = "; known: " + ", ".join(sorted(names)) if 0 < len(names) <= 8 else ""
        return f"unknown key{listed}", None
    unit = unit_of(found)
    return f"unknown key, did you mean {found!r}{f' [{unit}]' if unit else ''}?", found
