"""``dse doctor``: versions, and which optional parts are installed."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import platform
from typing import Final

from dse.commands.output import emit, result_file, write_document

PACKAGES: Final = ("numpy", "scipy", "pandas", "pydantic", "pulp", "highspy", "matplotlib", "jinja2", "torch",
                   "transformers", "lm_eval")  # fmt: skip
EXTRAS: Final = {"torch": "noise", "transformers": "hf", "jinja2": "html", "lm_eval": "tasks"}
"""Optional package → the part that brings it."""


def run(arguments: argparse.Namespace) -> int:
    """Prints what is installed."""
    file = result_file(arguments.output, "doctor.json")
    found = {n: importlib.metadata.version(n) if importlib.util.find_spec(n) else None for n in PACKAGES}
    document = {"python": platform.python_version(), "dse": importlib.metadata.version("dse-moe"), "packages": found}
    lines = [f"dse {document['dse']} on Python {document['python']}"]
    for name, version in found.items():
        part = f"dse-moe[{EXTRAS[name]}]" if name in EXTRAS else "dse-moe"
        lines.append(f"  {name:13} {version or f'not installed: pip install {part!r}'}")
    write_document(arguments, file, document)
    emit(arguments, document, lambda: "\n".join(lines))
    return 0
