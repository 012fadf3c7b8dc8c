"""The options of every command but ``dse map``, a function each."""

from __future__ import annotations

import argparse
from typing import Final

from dse.commands.argument_types import chips, names, number, numbers, positive, whole
from dse.commands.shared_options import add_machine, add_measurement, add_output, add_pair, add_rules, add_sets

EXPLAINED: Final = (
    "energy_pj_per_token, latency_ns_per_step, contended_latency_ns_per_step, tokens_per_s, tokens_per_j, power_mw, "
    "area_mm2, bytes_per_token"
)
"""Metrics that ``dse explain`` opens."""


def check_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse check``."""
    sub.add_argument("spec", nargs="+", metavar="SPEC", help="file or shipped name")
    add_sets(sub)
    add_output(sub, "write the JSON document there")


def show_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse show``."""
    sub.add_argument("spec", metavar="SPEC", help="file or shipped name")
    sub.add_argument("--resolved", action="store_true", help="as one YAML file")
    add_sets(sub)
    add_output(sub, "write the resolved YAML there")


def schema_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse schema``."""
    kinds = ["arch", "architecture", "device", "workload", "space", "problem"]
    sub.add_argument("kind", choices=kinds, help="kind of spec (arch is short for architecture)")
    add_output(sub, "write the schema there")


def examples_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse examples``."""
    sub.add_argument("--copy", metavar="DIR", help="copy the specs to a folder to edit them there")
    sub.add_argument("--fits", action="store_true", help="which workload fits on which architecture")
    sub.add_argument("--machines", action="store_true", help="what each reference machine is and what holds it back")
    sub.add_argument("--force", action="store_true", help="overwrite files that are there")
    add_output(sub, "write the page of --fits or --machines there, as Markdown")


def doctor_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse doctor``."""
    add_output(sub, "write the JSON document there")


def core_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse core``."""
    sub.add_argument("architecture", metavar="ARCH", help="architecture file or shipped name")
    sub.add_argument("--core", metavar="NAME", help="core group (default: the first)")
    sub.add_argument("--rows-used", type=whole(1), metavar="R", help="rows driven in the product (default: all)")
    sub.add_argument("--cols-used", type=whole(1), metavar="K", help="columns read in the product (default: all)")
    add_sets(sub, "analog_cores.pcm.adc.bits=6")
    add_output(sub, "write the JSON document there")


def score_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse score``."""
    sub.add_argument("workload", metavar="WORKLOAD|DIR", help="workload file, shipped name or checkpoint folder")
    sub.add_argument("--rule", help="max_neuron_norm or random (default: the workload's)")
    sub.add_argument("--neuron-axis", choices=["output", "intermediate"], help="what a neuron is")
    sub.add_argument("--seed", type=whole(0), metavar="N", help="seed of the rule random (default: the workload's)")
    sub.add_argument("--top", type=whole(0), default=20, metavar="N", help="rows printed as text (default 20)")
    add_sets(sub)
    add_output(sub, "write the scores there, as CSV")


def export_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse export``."""
    sub.add_argument("what", choices=["mapping", "points", "trace"],
                     help="place of every slice; designs of a run; a step in time, for Perfetto")  # fmt: skip
    sub.add_argument("file", metavar="FILE|RUN",
                     help="mapping.json of `dse map -o`; the run folder; evaluation.json or RUN#POINT")  # fmt: skip
    sub.add_argument("--format", choices=["csv", "json"], help="form of the table (default csv)")
    add_output(sub, "write the table there")


def evaluate_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse evaluate``."""
    add_pair(sub)
    sub.add_argument("--mapping", metavar="FILE", help="mapping.json of `dse map -o`")
    sub.add_argument("--uncertainty", action="store_true", help="low, high and 95 %% interval from the stated spreads")
    add_rules(sub)
    add_output(sub, "write the JSON document there")


def explain_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse explain``."""
    sub.add_argument("result", metavar="RESULT", help="evaluation.json, RUN, RUN#POINT or (with --workload) ARCH")
    sub.add_argument("metric", metavar="METRIC", help=EXPLAINED)
    sub.add_argument("--workload", metavar="WORKLOAD", help="workload that the architecture RESULT runs")
    sub.add_argument("--depth", type=whole(1), metavar="N", help="levels printed as text (default: all)")
    add_sets(sub)
    add_rules(sub)
    sub.set_defaults(mapping=None)
    add_output(sub, "write the tree there as JSON")


def whatif_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse whatif``."""
    sub.add_argument("architecture", metavar="ARCH", help="architecture file or shipped name")
    sub.add_argument("workload", metavar="WORKLOAD", help="workload file or shipped name")
    sub.add_argument("--set", action="append", default=[], metavar="PATH=VALUES",
                     help="values that are tried one at a time: 6,7,8 or 4:10:2 or 1:100:log3")  # fmt: skip
    sub.add_argument("--keep-mapping", action="store_true", help="hold the mapping of the base design")
    sub.add_argument("--mapping", metavar="FILE", help="mapping.json of `dse map -o`, held for every change")
    sub.add_argument("--target", metavar="METRIC=X", help=argparse.SUPPRESS)
    sub.add_argument("--tornado", action="store_true", help="which stated spreads move the metric most")
    sub.add_argument("--metric", default="energy_pj_per_token", metavar="METRIC",
                     help="metric of --tornado (default energy_pj_per_token)")  # fmt: skip
    add_rules(sub)
    add_output(sub, "write the tables there as CSV, and the figure of --tornado (a folder)")


def accuracy_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse accuracy``."""
    add_pair(sub)
    sub.add_argument("--mapping", metavar="FILE", help="mapping.json of `dse map -o`")
    add_rules(sub, limited="solver and measurement; no chip is begun later", default_s=None)
    add_output(sub, "write the JSON document there")
    add_measurement(sub, draws=12)
    sub.add_argument("--scale", type=number(0.0), default=1.0, metavar="X",
                     help="factor on the programming noise (default 1)")  # fmt: skip
    sub.add_argument("--time-s", type=number(0.0), metavar="X",
                     help="time since programming [s], which needs a device with drift (default: the scenario's "
                          "time_since_programming_s)")  # fmt: skip
    sub.add_argument("--half-width-nats", type=positive, metavar="X",
                     help="measure until the 95 %% interval of the loss increase is ± X")  # fmt: skip
    sub.add_argument("--max-draws", type=chips, default=400, metavar="N",
                     help="most chips for --half-width-nats (default 400)")  # fmt: skip
    sub.add_argument("--yield-limit-nats", type=number(), metavar="X",
                     help="share of chips whose loss increases by at most X, with its exact bound")  # fmt: skip
    sub.add_argument("--margin-nats", type=positive, metavar="X",
                     help="test whether the mapping is equivalent to all-digital within ± X")  # fmt: skip
    add_tasks(sub)
    sub.add_argument("--keep", metavar="DIR", help="keep every chip there; the same command goes on from them")
    add_machine(sub)


def add_tasks(sub: argparse.ArgumentParser) -> None:
    """Tasks of the evaluation harness."""
    sub.add_argument("--tasks", type=names, default=(), metavar="A,…",
                     help="tasks of lm-evaluation-harness, e.g. piqa,arc_easy")  # fmt: skip
    sub.add_argument("--task-path", metavar="DIR", help="folder with YAML files of own tasks")
    sub.add_argument("--task-items", type=whole(1), metavar="N", help="most items of each task (default all)")


def compare_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse compare``."""
    sub.add_argument("before", metavar="A", help="evaluation.json, RUN, RUN#POINT or (with --workload) ARCH")
    sub.add_argument("after", metavar="B", help="the same; the mapping of an architecture is as in `dse evaluate`")
    sub.add_argument("--workload", metavar="WORKLOAD", help="workload that the architectures A and B run")
    sub.add_argument("--anyway", action="store_true",
                     help="also where energy boundaries or tasks differ")  # fmt: skip
    add_sets(sub)
    add_rules(sub)
    sub.set_defaults(mapping=None)
    add_output(sub, "write the comparison there as JSON")


def explore_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse explore``."""
    sub.add_argument("architecture", metavar="ARCH|SPACE", help="architecture and workload, or one space file")
    sub.add_argument("workload", metavar="WORKLOAD", nargs="?", help="workload file or shipped name")
    sub.add_argument("--set", action="append", default=[], metavar="PATH=VALUES",
                     help="an axis: 6,7,8 or 4:10:2 or 0:1:lin5 or 1:100:log3 or serial,overlapped")  # fmt: skip
    sub.add_argument("--policy", choices=["ranking", "optimal"],
                     help="mappings: by the score of the experts, or the best of every point with a gap")  # fmt: skip
    sub.add_argument("--ranking", choices=["per_layer", "global"], help="how digital experts are chosen by score")
    sub.add_argument("--objective", choices=["energy", "sensitivity"],
                     help="what --policy optimal minimises (default energy)")  # fmt: skip
    sub.add_argument("--mapping-limit", action="append", default=[], metavar="NAME=X",
                     help="a limit of the mappings of --policy optimal, e.g. max_sensitivity_share=0.3")  # fmt: skip
    sub.add_argument("--certify", type=whole(0), metavar="N",
                     help="most points of the front that are mapped with the solver too (default 4)")  # fmt: skip
    sub.add_argument("--limit", action="append", default=[], metavar="max_METRIC=X",
                     help="points beyond are infeasible; also min_METRIC=X")  # fmt: skip
    sub.add_argument("--accuracy", action="store_true", help="measure accuracy of the candidates")
    sub.add_argument("--candidates", type=whole(1), default=8, metavar="N",
                     help="most mappings that are measured (default 8)")  # fmt: skip
    sub.add_argument("--scales", type=numbers, default=[1.0], metavar="X,…",
                     help="factors on the programming noise, e.g. 1,2.5 (default 1)")  # fmt: skip
    sub.add_argument("--title", default="", help="title of the report")
    add_measurement(sub, draws=8)
    add_machine(sub)
    sub.add_argument("--time-limit-s", type=number(1e-3), metavar="X",
                     help="time after which no points and no chips are begun [s] (default none)")  # fmt: skip
    sub.add_argument("--seed", type=whole(0), metavar="N", help="seed of everything drawn (default 0)")
    add_output(sub, "run folder (default reports/ARCH_WORKLOAD)")


def report_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse report``."""
    sub.add_argument("run_folder", metavar="RUN", help="folder that `dse explore` wrote")
    add_output(sub, "write a copy of the page there")


def validate_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse validate``."""
    add_output(sub, "write the page there as Markdown, its figure and all rows (CSV) beside it")


def import_options(sub: argparse.ArgumentParser) -> None:
    """Options of ``dse import``."""
    sub.set_defaults(module="import_hf")
    sub.add_argument("format", choices=["hf"], help="hf: Hugging Face")
    sub.add_argument("config", metavar="CONFIG_OR_DIR", help="config.json, or the folder that holds it")
    sub.add_argument("--array", type=whole(1), metavar="S", help="count crossbars of S x S weights too")
    add_output(sub, "write a workload file there: decode, batch 32, random scores")
