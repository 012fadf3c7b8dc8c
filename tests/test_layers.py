"""Packages import downwards only, and torch stays in the noise package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "dse"
BASE = {"errors", "units"}
MAY_IMPORT = {
    "errors": set(),
    "units": set(),
    "spec": set(),
    "importers": {"spec"},
    "workload": {"spec", "importers"},
    "devices": {"spec"},
    "cost": {"spec", "workload", "devices"},
    "mapping": {"spec", "workload", "cost"},
    "sensitivity": {"spec", "importers", "workload", "devices", "mapping"},
    "evaluation": {"spec", "workload", "cost", "mapping"},
    "noise": {"spec", "importers", "workload", "devices", "sensitivity", "mapping"},
}
ALL = {*MAY_IMPORT, "exploration", "validation", "report"}
MAY_IMPORT["exploration"] = ALL - {"validation", "report"}
MAY_IMPORT["validation"] = ALL - {"noise", "report"}
MAY_IMPORT["report"] = ALL
MAY_IMPORT["commands"] = ALL
MAY_IMPORT["cli"] = ALL | {"commands"}
MAY_IMPORT["__main__"] = {"cli"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


def imports_of(path):
    """(module, line is inside a function, line is for type checking only) of every import."""
    tree = ast.parse(path.read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        up, deferred, typing_only = node, False, False
        while up in parents:
            up = parents[up]
            deferred |= isinstance(up, ast.FunctionDef)
            typing_only |= isinstance(up, ast.If) and "TYPE_CHECKING" in ast.dump(up.test)
        for name in names:
            yield name, deferred, typing_only


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_layers_below(path):
    layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if layer == "__init__":
        return
    for name, _, typing_only in imports_of(path):
        parts = name.split(".")
        if parts[0] == "dse" and len(parts) > 1 and not typing_only:
            assert parts[1] in MAY_IMPORT[layer] | BASE | {layer}, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_noise_imports_torch_and_no_module_defers_imports(path):
    relative = path.relative_to(PACKAGE)
    for name, deferred, typing_only in imports_of(path):
        if name.split(".")[0] in {"torch", "transformers"} and not typing_only:
            assert relative.parts[0] == "noise", f"{path} imports {name}"
        assert not deferred, f"{path} defers {name}"


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import dse", ["torch", "matplotlib", "pandas", "pydantic", "numpy"]),
        ("import dse.cli; dse.cli.make_parser()", ["torch", "pandas", "scipy", "pulp", "numpy"]),
        ("from dse.spec.kinds import load_any; load_any('server_pcm3d')", ["torch", "pandas", "scipy", "pulp"]),
        ("import dse.noise", ["torch", "transformers"]),
        ("from dse import evaluate, explore, design, solve_mapping", ["torch", "matplotlib", "transformers"]),
        ("import dse.commands.check", ["torch", "pandas", "pulp", "scipy.optimize", "scipy.interpolate"]),
    ],
)
def test_importing_stays_light(statement, absent):
    code = f"import sys; {statement}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
