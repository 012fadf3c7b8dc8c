from pathlib import Path

import pytest


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of example specs, which is made the current one so that messages are the same everywhere."""
    folder = Path(__file__).parents[1] / "specs"
    monkeypatch.chdir(folder)
    return folder
