"""Cold times of the command line: a new process each, nothing cached but the file system."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 5
COMMANDS = {
    "dse --help": ["--help"],
    "dse check server_pcm3d": ["check", "server_pcm3d"],
    "dse evaluate server_pcm3d olmoe": ["evaluate", "server_pcm3d", "olmoe"],
    "dse evaluate server_pcm3d olmoe --rule top_k_per_layer": [
        "evaluate", "server_pcm3d", "olmoe", "--rule", "top_k_per_layer", "--digital-fraction", "0.25",
    ],
    "dse map server_pcm3d olmoe --objective sensitivity": [
        "map", "server_pcm3d", "olmoe", "--objective", "sensitivity", "--max-digital-experts", "256",
    ],
}  # fmt: skip


def seconds(arguments: list[str]) -> float:
    """Wall time of one command."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dse", *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


def rows() -> list[tuple[str, float, str]]:
    """Median time of each command."""
    return [(name, statistics.median(seconds(a) for _ in range(ROUNDS)), "s") for name, a in COMMANDS.items()]
