"""The ``dse`` command: reads arguments, calls the library, prints; it holds no logic of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.errors import DseError, InfeasibleError, SpecError, TimeLimitError

if TYPE_CHECKING:
    from dse.exploration.space import Space
    from dse.mapping.model import Mapping
    from dse.spec.architecture import Architecture
    from dse.workload.build import Workload

SCHEMA_VERSION = 1
WORKLOAD_ROOTS = ("scenario", "routing", "sensitivity", "model", "counting", "checkpoint", "evaluation", "calibration")
Arguments = argparse.Namespace


def emit(arguments: Arguments, document: dict[str, Any], text: Callable[[], str]) -> None:
    """Prints the result: one JSON document, or text."""
    if arguments.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **document}, default=as_plain, allow_nan=True))
    elif not arguments.quiet:
        print(text())


def as_plain(value: Any) -> Any:
    """A JSON value of a NumPy number, a path or a tuple."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def tell(arguments: Arguments, message: str) -> None:
    """Progress and remarks, on stderr."""
    if not arguments.quiet:
        print(message, file=sys.stderr, flush=True)


def load_pair(arguments: Arguments) -> tuple[Architecture, Workload]:
    """Architecture and workload with the ``--set`` values applied to the file they belong to."""
    from dse.spec.load import load_architecture
    from dse.workload.build import load_workload

    sets = [text for text in arguments.set if not text.startswith("mapping.")]
    of_workload = [text for text in sets if text.split(".")[0].split("=")[0] in WORKLOAD_ROOTS]
    of_architecture = [text for text in sets if text not in of_workload]
    return (
        load_architecture(arguments.architecture, of_architecture),
        load_workload(arguments.workload, of_workload),
    )


def pins_of(arguments: Arguments) -> dict[str, str]:
    """``--pin KIND=GROUP`` texts as a mapping.

    Raises:
        SpecError: a text without ``=``, or two groups for one name.
    """
    pins: dict[str, str] = {}
    for text in arguments.pin:
        name, separator, group = text.partition("=")
        if not separator or not name or not group:
            raise SpecError(f"--pin {text}: expected BLOCK=GROUP, e.g. --pin attention=pcm")
        if pins.setdefault(name, group) != group:
            raise SpecError(f"--pin {name}: given twice, as {pins[name]} and {group}")
    return pins


def chosen_mapping(arguments: Arguments, arch: Architecture, workload: Workload) -> tuple[Mapping, str]:
    """The mapping that the arguments ask for, and how it came about in words."""
    from dse.cost.table import cost_table
    from dse.mapping.baseline import rule_mapping
    from dse.mapping.model import load_mapping
    from dse.mapping.solve import solve_mapping
    from dse.sensitivity.options import option_scores
    from dse.sensitivity.score import score_blocks

    if arguments.mapping is not None:
        return load_mapping(arguments.mapping), f"mapping from {arguments.mapping}"
    scores, pins = score_blocks(workload), pins_of(arguments)
    if arguments.rule is not None or arguments.digital_fraction is not None:
        rule, fraction = arguments.rule or "top_k_per_layer", arguments.digital_fraction or 0.0
        mapping = rule_mapping(
            arch, workload, scores, rule=rule, digital_fraction=fraction, pins=pins, seed=arguments.seed
        )
        return mapping, f"mapping by rule {rule}, {100 * fraction:g} % of the experts digital"
    mapping = solve_mapping(
        cost_table(arch, workload), option_scores(scores, workload, arch), workload, arch,
        objective="energy", pins=pins, time_limit_s=arguments.time_limit_s, seed=arguments.seed,
    )  # fmt: skip
    return mapping, "mapping: least energy under capacity, default pins, no accuracy limit (--mapping, --rule: others)"


def cmd_check(arguments: Arguments) -> int:
    """Validates specs and prints every problem."""
    from dse.spec.kinds import file_kind, load_any

    results: list[dict[str, Any]] = []
    for name in arguments.spec:
        try:
            kind = file_kind(name)
            load_any(name)
            results.append({"file": name, "kind": kind, "ok": True, "problems": []})
        except SpecError as error:
            problems = [{"file": p.file, "line": p.line, "column": p.column, "path": p.path, "message": p.message,
                         "text": str(p)} for p in error.problems]  # fmt: skip
            results.append({"file": name, "kind": None, "ok": False, "problems": problems})
    if arguments.json:
        emit(arguments, {"specs": results, "ok": all(r["ok"] for r in results)}, str)
    for result in [] if arguments.json else results:
        if result["ok"]:
            emit(arguments, {}, lambda r=result: f"{r['file']}: {r['kind']}, no problems")
        for problem in result["problems"]:
            print(problem["text"], file=sys.stderr)
    return 0 if all(result["ok"] for result in results) else 2


def cmd_show(arguments: Arguments) -> int:
    """Prints what was read: every value with unit, evidence, source and line."""
    from dse.spec.kinds import load_any
    from dse.spec.load import load_architecture, load_workload_spec
    from dse.spec.show import resolved_yaml, show_text

    loaded = load_any(arguments.spec)
    if arguments.set:
        load = load_workload_spec if type(loaded).__name__ == "LoadedWorkload" else load_architecture
        loaded = load(arguments.spec, arguments.set)
    resolved = resolved_yaml(loaded)
    emit(arguments, {"resolved_yaml": resolved}, lambda: resolved if arguments.resolved else show_text(loaded))
    return 0


def cmd_schema(arguments: Arguments) -> int:
    """Prints the JSON Schema of a kind of spec."""
    from dse.spec.schema import json_schema

    text = json.dumps(json_schema(arguments.kind), indent=2)
    if arguments.output:
        Path(arguments.output).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def cmd_examples(arguments: Arguments) -> int:
    """Lists the shipped specs, copies them, or says which workload fits on which architecture."""
    from dse.spec.examples import copy_shipped
    from dse.spec.shipped import shipped_names

    if arguments.fits:
        return print_fits(arguments)
    if arguments.copy:
        copied = copy_shipped(Path(arguments.copy), force=arguments.force)
        emit(arguments, {"copied": copied}, lambda: f"{len(copied)} files in {arguments.copy}")
        return 0
    names = {kind: list(shipped_names(kind)) for kind in ("architecture", "device", "workload")}
    emit(arguments, names, lambda: "\n".join(f"{kind:13} {', '.join(found)}" for kind, found in names.items()))
    return 0


def print_fits(arguments: Arguments) -> int:
    """Prints or writes the table of fits of all shipped specs."""
    from dse.exploration.fits import fits_markdown, fits_table
    from dse.spec.load import load_architecture
    from dse.spec.shipped import shipped_names
    from dse.workload.build import load_workload

    table = fits_table(
        [load_architecture(name) for name in shipped_names("architecture")],
        [load_workload(name) for name in shipped_names("workload")],
    )
    if arguments.output:
        Path(arguments.output).write_text(fits_markdown(table), encoding="utf-8")
        tell(arguments, f"wrote {arguments.output}")
    emit(arguments, {"fits": table.to_dict(orient="records")}, lambda: fits_markdown(table))
    return 0


def cmd_doctor(arguments: Arguments) -> int:
    """Prints versions, and which optional parts are installed."""
    import importlib.metadata
    import importlib.util
    import platform

    names = ("numpy", "scipy", "pandas", "pydantic", "pulp", "highspy", "matplotlib", "jinja2", "torch", "transformers")
    found = {n: importlib.metadata.version(n) if importlib.util.find_spec(n) else None for n in names}
    document = {"python": platform.python_version(), "dse": importlib.metadata.version("dse-moe"), "packages": found}
    extras = {"torch": "noise", "transformers": "hf", "jinja2": "html"}
    lines = [f"dse {document['dse']} on Python {document['python']}"]
    for name, version in found.items():
        lines.append(f"  {name:13} {version or f'not installed: pip install dse-moe[{extras.get(name, name)}]'}")
    emit(arguments, document, lambda: "\n".join(lines))
    return 0


def cmd_core(arguments: Arguments) -> int:
    """Prints the datasheet of one analog core."""
    import dataclasses

    from dse.cost.datasheet import core_datasheet
    from dse.report.text import datasheet_text
    from dse.spec.load import load_architecture

    arch = load_architecture(arguments.architecture, arguments.set)
    cores = [c for c in arch.analog_cores if arguments.core in (None, c.name)]
    if not cores:
        known = ", ".join(c.name for c in arch.analog_cores) or "none"
        raise SpecError(f"{arch.name} has no analog core {arguments.core or ''} (analog cores: {known})")
    core = cores[0]
    sheet = core_datasheet(core)
    emit(arguments, {"core": core.name, **dataclasses.asdict(sheet)}, lambda: datasheet_text(core, sheet))
    return 0


def cmd_score(arguments: Arguments) -> int:
    """Prints or writes the scores of all experts."""
    from dse.sensitivity.score import score_blocks
    from dse.sensitivity.scores_file import write_scores
    from dse.workload.build import load_workload

    workload = load_workload(arguments.workload, arguments.set)
    options = {"neuron_axis": arguments.neuron_axis} if arguments.neuron_axis else {}
    scores = score_blocks(workload, arguments.rule, **options)
    if arguments.output:
        write_scores(scores, Path(arguments.output))
        tell(arguments, f"wrote {arguments.output}")
    document = {"attrs": dict(scores.attrs), "scores": scores.to_dict(orient="records")}
    head = f"rule {scores.attrs['rule']}, unit {scores.attrs['unit']}, {scores.attrs['status']}"
    top = scores.sort_values("score", ascending=False).head(arguments.top)
    emit(arguments, document, lambda: f"{head}; the {len(top)} highest of {len(scores)}\n{top.to_string(index=False)}")
    return 0


def cmd_map(arguments: Arguments) -> int:
    """Solves the placement, prints status, objective, bound and gap."""
    from dse.cost.table import cost_table
    from dse.mapping.baseline import rule_mapping
    from dse.mapping.pack import pack
    from dse.mapping.solve import solve_mapping
    from dse.report.text import mapping_text
    from dse.sensitivity.options import option_scores
    from dse.sensitivity.score import score_blocks
    from dse.sensitivity.share import sensitivity_share

    arch, workload = load_pair(arguments)
    scores, pins = score_blocks(workload), pins_of(arguments)
    if arguments.rule is not None:
        mapping = rule_mapping(
            arch, workload, scores, rule=arguments.rule, digital_fraction=arguments.digital_fraction or 0.0,
            pins=pins, seed=arguments.seed,
        )  # fmt: skip
    else:
        names = ("max_sensitivity", "max_sensitivity_share", "max_energy_pj_per_token", "max_digital_experts",
                 "max_digital_experts_per_layer", "digital_fraction")  # fmt: skip
        limits = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
        mapping = solve_mapping(
            cost_table(arch, workload), option_scores(scores, workload, arch), workload, arch,
            objective=arguments.objective, limits=limits, pins=pins, time_limit_s=arguments.time_limit_s,
            seed=arguments.seed,
        )  # fmt: skip
    share = sensitivity_share(scores, mapping)
    if arguments.output:
        pack(mapping, arch, workload).save(Path(arguments.output))
        tell(arguments, f"wrote {arguments.output}")
    document = {**mapping.to_dict(), "sensitivity_share": share, "score": dict(scores.attrs)}
    emit(arguments, document, lambda: mapping_text(mapping, workload, share))
    return 4 if mapping.status == "time_limit" else 0


def cmd_evaluate(arguments: Arguments) -> int:
    """Prints energy, latency, area and traffic of one design."""
    from dse.evaluation.run import evaluate
    from dse.evaluation.source import assumed_fraction, sourced_breakdown
    from dse.exploration.manifest import UNMODELLED
    from dse.report.text import evaluation_text, wrapped

    arch, workload = load_pair(arguments)
    mapping, how = chosen_mapping(arguments, arch, workload)
    evaluation = evaluate(arch, workload, mapping)
    breakdown = sourced_breakdown(arch, evaluation)
    document = {
        "mapping": how,
        **evaluation.to_dict(),
        "breakdown": breakdown.to_dict(orient="records"),
        "assumed_fraction": assumed_fraction(breakdown),
        "unmodelled": list(UNMODELLED),
    }
    emit(
        arguments,
        document,
        lambda: "\n".join(
            [
                wrapped(how),
                evaluation_text(arch, workload, mapping, evaluation),
                wrapped("not modelled: " + "; ".join(UNMODELLED)),
            ]
        ),
    )
    return 0


def cmd_accuracy(arguments: Arguments) -> int:
    """Measures accuracy under device noise."""
    import dse.noise
    from dse.report.text import accuracy_text

    arch, workload = load_pair(arguments)
    mapping, how = chosen_mapping(arguments, arch, workload)
    tell(arguments, how)
    report = dse.noise.check_accuracy(
        arch, workload, mapping, draws=arguments.draws, seed=arguments.seed, time_s=arguments.time_s,
        scale=arguments.scale, n_tokens=arguments.tokens, n_items=arguments.items,
        progress=progress_line(arguments, "chips"),
    )  # fmt: skip
    emit(arguments, {"mapping": how, **report.to_dict()}, lambda: accuracy_text(report))
    return 0


def progress_line(arguments: Arguments, what: str) -> Callable[[int, int], None]:
    """A progress bar on stderr, or nothing."""
    from tqdm import tqdm

    bar = tqdm(disable=arguments.quiet or arguments.no_progress, unit=f" {what}", file=sys.stderr, leave=False)

    def step(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return step


def space_of(arguments: Arguments) -> Space:
    """The space that the arguments describe: a space file, or architecture, workload and ``--set`` axes."""
    from dse.exploration.space import AccuracyPlan, Space, load_space_file
    from dse.spec.axis import parse_axis

    accuracy = None
    if arguments.accuracy:
        scales = [float(scale) for scale in arguments.scales.split(",")]
        accuracy = AccuracyPlan(draws=arguments.draws, candidates=arguments.candidates, scales=scales,
                                n_tokens=arguments.tokens, n_items=arguments.items)  # fmt: skip
    if arguments.workload is None:
        return load_space_file(arguments.architecture, accuracy=accuracy)
    axes = dict(parse_axis(text) for text in arguments.set)
    limits = {}
    for text in arguments.limit:
        name, _, value = text.partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            raise SpecError(f"--limit {text}: expected max_METRIC=NUMBER or min_METRIC=NUMBER") from None
    arguments.set = []
    arch, workload = load_pair(arguments)
    return Space(architecture=arch, workload=workload, axes=axes, ranking=arguments.ranking, limits=limits,
                 accuracy=accuracy, seed=arguments.seed, title=arguments.title)  # fmt: skip


def cmd_explore(arguments: Arguments) -> int:
    """Evaluates a space, writes a run folder."""
    from dse.exploration.run import ExplorationInterrupted, explore
    from dse.report.text import study_text

    space = space_of(arguments)
    folder = Path(arguments.output or Path("reports") / f"{space.architecture.name}_{space.workload.name}")
    bars: dict[str, Callable[[int, int], None]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress_line(arguments, stage)
        bars[stage](done, total)

    try:
        study = explore(space, folder=folder, progress=progress)
    except ExplorationInterrupted as stopped:
        tell(arguments, f"\ninterrupted: {len(stopped.study.points)} finished points kept in {folder}; "
                        "run the same command again to go on")  # fmt: skip
        return 130
    document = {**study.manifest, "folder": str(folder), "front": study.front.reset_index().to_dict(orient="records")}
    emit(arguments, document, lambda: study_text(study))
    tell(arguments, f"run folder: {folder}; `dse report {folder}` writes the report")
    return 0


def cmd_report(arguments: Arguments) -> int:
    """Writes the HTML report of a run folder."""
    from dse.report.html import write_report

    path = write_report(Path(arguments.run_folder))
    emit(arguments, {"report": str(path)}, lambda: f"report: {path}")
    return 0


def common_options() -> argparse.ArgumentParser:
    """Options of every command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("-q", "--quiet", action="store_true", help="no progress, no remarks")
    common.add_argument("-v", "--verbose", action="store_true", help="tracebacks of bad input too")
    common.add_argument("--no-progress", action="store_true", help="no progress bars")
    common.add_argument("-o", "--output", metavar="PATH", help="where to write the result")
    common.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default 0)")
    return common


def add_mapping_options(parser: argparse.ArgumentParser) -> None:
    """Options that choose a mapping."""
    parser.add_argument("--mapping", metavar="FILE", help="mapping.json of `dse map -o`")
    add_rule_options(parser)


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Options of rules, pins and the solver."""
    parser.add_argument(
        "--rule", help="top_k_per_layer, top_k_global, inverse, random, whole_layer, all_digital, all_analog"
    )
    parser.add_argument(
        "--digital-fraction", type=float, metavar="F", help="share of the routed experts that is digital"
    )
    parser.add_argument("--pin", action="append", default=[], metavar="BLOCK=GROUP",
                        help="fix a block kind, name or pattern to a core group, e.g. attention=pcm")  # fmt: skip
    parser.add_argument("--time-limit-s", type=float, default=60.0, help="limit of the solver [s] (default 60)")


def add_accuracy_options(parser: argparse.ArgumentParser, draws: int) -> None:
    """Options of accuracy measurements."""
    parser.add_argument("--draws", type=int, default=draws, help=f"chips, in antithetic pairs (default {draws})")
    parser.add_argument("--tokens", type=int, default=8192, help="held-out tokens (default 8192)")
    parser.add_argument("--items", type=int, default=0, help="multiple-choice items (default 0)")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="dse",
        description="Design analog-digital accelerators for Mixture-of-Experts language models.",
        epilog="Names without a path are looked up among the shipped specs (dse examples). "
        "Exit codes: 0 done, 1 defect, 2 bad input, 3 infeasible, 4 time limit, 130 interrupted.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = common_options()

    def add(name: str, run: Callable[[Arguments], int], text: str, *, pair: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[common])
        sub.set_defaults(run=run, set=[])
        if pair:
            sub.add_argument("architecture", metavar="ARCH", help="architecture file or shipped name")
            sub.add_argument("workload", metavar="WORKLOAD", help="workload file or shipped name")
            sub.add_argument(
                "--set", action="append", metavar="PATH=VALUE", help="another value, e.g. scenario.batch=8"
            )
        return sub

    add("check", cmd_check, "validate specs; print every problem").add_argument("spec", nargs="+", metavar="SPEC")
    sub = add("show", cmd_show, "print a spec with unit, source and line of each value")
    sub.add_argument("spec", metavar="SPEC")
    sub.add_argument("--resolved", action="store_true", help="as one YAML file")
    sub.add_argument("--set", action="append", metavar="PATH=VALUE")
    sub = add("schema", cmd_schema, "print the JSON Schema of a kind of spec")
    sub.add_argument("kind", choices=["arch", "device", "workload", "space"])
    sub = add("examples", cmd_examples, "list the shipped specs, or copy them")
    sub.add_argument("--copy", metavar="DIR", help="copy the specs to a folder to edit them there")
    sub.add_argument("--fits", action="store_true", help="which workload fits on which architecture")
    sub.add_argument("--force", action="store_true", help="overwrite files that are there")
    add("doctor", cmd_doctor, "print versions and what is installed")
    sub = add("core", cmd_core, "datasheet of one analog core")
    sub.add_argument("architecture", metavar="ARCH")
    sub.add_argument("--core", metavar="NAME")
    sub.add_argument("--set", action="append", metavar="PATH=VALUE")
    sub = add("score", cmd_score, "sensitivity scores of the experts")
    sub.add_argument("workload", metavar="WORKLOAD")
    sub.add_argument("--rule", help="max_neuron_norm or random (default: the workload's)")
    sub.add_argument("--neuron-axis", choices=["output", "intermediate"])
    sub.add_argument("--top", type=int, default=20, help="rows printed as text (default 20)")
    sub.add_argument("--set", action="append", metavar="PATH=VALUE")
    sub = add("map", cmd_map, "place experts: optimal under limits, with bound and gap, or by a rule", pair=True)
    sub.add_argument("--objective", choices=["energy", "sensitivity"], default="energy")
    for limit, text in (
        ("max-sensitivity", "largest sum of scores on analog cores"),
        ("max-sensitivity-share", "largest share of the scores on analog cores"),
        ("max-energy-pj-per-token", "largest energy per token [pJ]"),
        ("max-digital-experts", "most digital experts"),
        ("max-digital-experts-per-layer", "most digital experts of a layer"),
    ):
        sub.add_argument(f"--{limit}", type=float, metavar="X", help=text)
    add_rule_options(sub)
    sub = add("evaluate", cmd_evaluate, "energy, latency, area and traffic of one design", pair=True)
    add_mapping_options(sub)
    sub = add("accuracy", cmd_accuracy, "accuracy of a mapping under device noise", pair=True)
    add_mapping_options(sub)
    add_accuracy_options(sub, draws=12)
    sub.add_argument("--scale", type=float, default=1.0, help="factor on the programming noise (default 1)")
    sub.add_argument("--time-s", type=float, default=0.0, help="age of the weights [s]; 0 only in this version")
    sub = add("explore", cmd_explore, "evaluate a space of designs; write a run folder")
    sub.add_argument("architecture", metavar="ARCH|SPACE", help="architecture and workload, or one space file")
    sub.add_argument("workload", metavar="WORKLOAD", nargs="?")
    sub.add_argument(
        "--set", action="append", metavar="PATH=VALUES", help="an axis: 6,7,8 or 4:10:2 or 0:1:lin5 or 1:100:log3"
    )
    sub.add_argument("--ranking", choices=["per_layer", "global"], default="per_layer")
    sub.add_argument("--limit", action="append", default=[], metavar="max_METRIC=X")
    sub.add_argument("--accuracy", action="store_true", help="measure accuracy of the candidates")
    sub.add_argument("--candidates", type=int, default=8, help="most mappings that are measured (default 8)")
    sub.add_argument("--scales", default="1", help="factors on the programming noise, e.g. 1,2.5")
    sub.add_argument("--title", default="")
    add_accuracy_options(sub, draws=8)
    sub = add("report", cmd_report, "write the HTML report of a run folder")
    sub.add_argument("run_folder", metavar="RUN")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except InfeasibleError as error:
        document = {"status": "infeasible", "causes": [cause_dict(cause) for cause in error.causes]}
        emit(arguments, document, lambda: str(error))
        return 3
    except TimeLimitError as error:
        print(f"dse: {error}", file=sys.stderr)
        return 4
    except DseError as error:
        if arguments.verbose:
            traceback.print_exc()
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dse: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        print("dse: this is a defect of dse; please report it with the command and the text above", file=sys.stderr)
        return 1


def cause_dict(cause: Any) -> dict[str, Any]:
    """A cause of infeasibility as a JSON object."""
    names = ("limit", "need", "have", "short_by", "unit", "blocks", "least_relaxation")
    return {name: getattr(cause, name) for name in names}


if __name__ == "__main__":
    sys.exit(main())
