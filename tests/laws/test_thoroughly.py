"""The same laws on many more designs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_laws_hold_on_five_times_as_many_designs():
    here = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(here)]
    done = subprocess.run(command, env=os.environ | {"LAWS_TIMES": "5"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
