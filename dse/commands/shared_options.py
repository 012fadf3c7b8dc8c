"""Options that several commands take."""

from __future__ import annotations

import argparse

from dse.commands.argument_types import chips, number, whole


def add_pair(sub: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    """Architecture and workload."""
    count = "?" if is_optional else None
    sub.add_argument("architecture", nargs=count, metavar="ARCH", help="architecture file or shipped name")
    sub.add_argument("workload", nargs=count, metavar="WORKLOAD", help="workload file or shipped name")
    add_sets(sub)


def add_sets(sub: argparse.ArgumentParser, example: str = "scenario.batch=8") -> None:
    """Other values."""
    sub.add_argument("--set", action="append", default=[], metavar="PATH=VALUE",
                     help=f"another value, e.g. {example}")  # fmt: skip


def add_output(sub: argparse.ArgumentParser, text: str) -> None:
    """Where the result is written."""
    sub.add_argument("-o", "--output", metavar="PATH", help=text)


def add_rules(sub: argparse.ArgumentParser, *, limited: str = "the solver", default_s: float | None = 60.0) -> None:
    """Options of rules, pins and the solver."""
    sub.add_argument("--rule", help="a rule instead of the best mapping: top_k_per_layer, all_digital, all_analog, … "
                                    "(`dse map --compare` lists them)")  # fmt: skip
    sub.add_argument("--digital-fraction", type=number(0.0, 1.0), metavar="F",
                     help="share of the routed experts that is digital")  # fmt: skip
    sub.add_argument("--pin", action="append", default=[], metavar="BLOCK=GROUP",
                     help="fix a block kind, name or pattern to a core group, e.g. attention=pcm")  # fmt: skip
    said = "none" if default_s is None else f"{default_s:g}"
    sub.add_argument("--time-limit-s", type=number(1e-3), default=default_s, metavar="X",
                     help=f"limit of {limited} [s] (default {said})")  # fmt: skip
    sub.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything drawn (default 0)")


def add_measurement(sub: argparse.ArgumentParser, *, draws: int) -> None:
    """How much accuracy is measured."""
    sub.add_argument("--draws", type=chips, default=draws, metavar="N",
                     help=f"chips, in antithetic pairs (default {draws})")  # fmt: skip
    sub.add_argument("--tokens", type=whole(1), default=8192, metavar="N", help="held-out tokens (default 8192)")
    sub.add_argument("--items", type=whole(0), default=0, metavar="N", help="multiple-choice items (default 0)")


def add_machine(sub: argparse.ArgumentParser) -> None:
    """What accuracy is measured on."""
    sub.add_argument("--jobs", type=whole(1), default=1, metavar="N", help="processes that measure (default 1)")
    sub.add_argument("--torch-device", default="cpu", metavar="NAME",
                     help="where models compute: cpu, cuda, cuda:N (default cpu); the chips are the same")  # fmt: skip
