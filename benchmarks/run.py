"""Runs all benchmarks and prints one table; nothing here is asserted in a test.

python benchmarks/run.py [-o reports/bench.md]
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import accuracy
import cli
import exploration
import flat
import many
import mapping
import noise
import whole_model

MODULES = (accuracy, cli, exploration, flat, many, mapping, noise, whole_model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    lines = [f"# Benchmarks, Python {platform.python_version()}, one run", ""]
    for module in MODULES:
        lines += [f"## {(module.__doc__ or '').splitlines()[0]}", "", "| what | value | unit |", "|---|---|---|"]
        lines += [f"| {name} | {value:.3g} | {unit} |" for name, value, unit in module.rows()]
        lines.append("")
    text = "\n".join(lines)
    print(text)
    if output:
        output.write_text(text)


if __name__ == "__main__":
    main()
