"""The README, changelog and project files tell the truth about each other."""

import re
import tomllib
from pathlib import Path

import pytest

from dse.cli import make_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def commands():
    choices = next(a.choices for a in make_parser()._actions if a.dest == "command")
    return sorted(choices)


def test_the_readme_names_every_command():
    assert [c for c in commands() if f"`{c}`" not in README] == []


def test_every_relative_link_of_the_readme_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("line", [m for m in re.findall(r"^\$ \.venv/bin/dse (.+)$", README, re.M)])
def test_the_commands_of_the_readme_parse(line):
    assert make_parser().parse_args(line.split()).command in commands()


def test_the_python_of_the_readme_runs():
    import dse

    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    names = set(re.findall(r"dse\.(\w+)", code))
    assert names <= set(dse.__all__)
    compile(code, "README.md", "exec")


def test_version_and_changelog_agree():
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_torch_stays_in_the_range_without_gpu_packages():
    assert "torch>=2.8,<2.14" in PROJECT["project"]["optional-dependencies"]["noise"]
