import os

import pytest
from hypothesis import settings

from dse.cli import main

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("repeatable", derandomize=True)
if "NEW_EXAMPLES" not in os.environ:
    settings.load_profile("repeatable")


@pytest.fixture
def dse_at(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run
