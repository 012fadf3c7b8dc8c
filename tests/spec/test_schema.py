import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dse.spec import schema
from dse.spec.architecture import ArchitectureSpec, Link
from dse.spec.document import kind_of_keys
from dse.spec.node import plain
from dse.spec.read import read_file
from dse.spec.schema import FILE_NAMES, SchemaKind, field_descriptions, json_schema

ROOT = Path(__file__).parents[2]
KINDS: tuple[SchemaKind, ...] = ("arch", "device", "workload", "space")
SHIPPED = {
    "arch": sorted((ROOT / "arch_specs").glob("*.yaml")),
    "device": sorted((ROOT / "arch_specs" / "devices").glob("*.yaml")),
    "workload": sorted((ROOT / "workloads").glob("*.yaml")),
    "space": sorted((ROOT / "arch_specs" / "spaces").glob("*.yaml")),
}


def tree(path: Path) -> Any:
    node = read_file(path, str(path), [])
    assert node is not None
    return plain(node)


def is_valid(kind: SchemaKind, value: Any) -> bool:
    validator: Any = jsonschema.Draft202012Validator(json_schema(kind))
    return bool(validator.is_valid(value))


@pytest.fixture
def arch(specs: Path) -> Any:
    return tree(specs / "good_arch.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_committed_schema_is_the_generated_one(kind: SchemaKind) -> None:
    committed = json.loads((ROOT / "schema" / FILE_NAMES[kind]).read_text(encoding="utf-8"))
    assert committed == json_schema(kind), "run: dse schema KIND -o schema/NAME.schema.json"


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_a_schema(kind: SchemaKind) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_good_examples_are_valid(kind: SchemaKind, specs: Path) -> None:
    for path in (specs / f"good_{kind}.yaml", *SHIPPED[kind]):
        assert is_valid(kind, tree(path)), path


def test_extending_file_need_not_be_complete(specs: Path, arch: Any) -> None:
    extended = tree(specs / "good_extended.yaml")
    assert is_valid("arch", extended)
    del extended["extends"]
    assert not is_valid("arch", extended)


def changed_once(value: Any) -> Iterator[Any]:
    """The same tree with one thing changed: each key left out, each value another one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: changed} for changed in changed_once(inner))
        yield {**value, "unknown": 1}
    elif isinstance(value, list):
        yield []
        yield from (
            [*value[:i], changed, *value[i + 1 :]] for i, inner in enumerate(value) for changed in changed_once(inner)
        )
    else:
        yield from (-1, 0, 1.5, "x", None, {"value": value, "source": "x"}, {"value": -1}, {"source": "x"})


@pytest.mark.parametrize("kind", KINDS)
def test_sharing_repeated_values_changes_no_verdict(
    kind: SchemaKind, specs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = json_schema(kind)
    monkeypatch.setattr(schema, "with_shared_values", lambda parts: parts)
    monkeypatch.setattr(schema, "demanding", lambda name, complete, partial: complete)
    plain = json_schema(kind)
    assert len(json.dumps(shared)) < 0.75 * len(json.dumps(plain))
    short, long = (fastened(full) for full in (shared, plain))
    cases = list(changed_once(tree(specs / f"good_{kind}.yaml")))[:: 5 if kind == "arch" else 1]
    verdicts = [(short(case), long(case)) for case in cases]
    assert all(mine == other for mine, other in verdicts)
    assert {mine for mine, _ in verdicts} == {True, False}


def fastened(full: Any) -> Callable[[Any], bool]:
    validator: Any = jsonschema.Draft202012Validator(full)
    return lambda case: bool(validator.is_valid(case))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("dies"),
        lambda t: t.update(colour="red"),
        lambda t: t.update(composition="parallel"),
        lambda t: t["analog_cores"][0].update(rows=0),
        lambda t: t["analog_cores"][0].update(rows=1.5),
        lambda t: t["analog_cores"][0].update(rows={"value": 0}),
        lambda t: t["analog_cores"][0].update(rows={"source": "no value"}),
        lambda t: t["analog_cores"][0].update(evidence="guessed"),
        lambda t: t["digital_units"][0].update(precisions=[]),
        lambda t: t["digital_units"][0]["peak_ops_per_ns"].update(fp17=1),
        lambda t: t["digital_units"][0]["energy"].update(power_mw=1),
    ],
)
def test_schema_refuses_what_the_reader_refuses(change: Callable[[Any], object], arch: Any) -> None:
    broken = copy.deepcopy(arch)
    change(broken)
    assert is_valid("arch", arch)
    assert not is_valid("arch", broken)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(source="a paper", evidence="assumed"),
        lambda t: t["analog_cores"][0].update(rows={"value": 5, "spread_fraction": 0.1}),
        lambda t: t["digital_units"][0]["peak_ops_per_ns"].update(source="a data sheet"),
        lambda t: t["digital_units"][0]["peak_ops_per_ns"].update(fp8={"value": 1, "evidence": "derived"}),
        lambda t: t["digital_units"][0].update(precisions={"value": ["fp16"], "source": "x"}),
        lambda t: t["limits"].update(area_mm2={"value": 5, "source": "x"}),
    ],
)
def test_origins_may_stand_everywhere(change: Callable[[Any], object], arch: Any) -> None:
    change(arch)
    assert is_valid("arch", arch)


def test_every_field_is_described() -> None:
    assert set(field_descriptions(ArchitectureSpec)) == set(ArchitectureSpec.__dataclass_fields__)
    assert field_descriptions(Link)["from_"] == "Die at one end."
    units = json_schema("arch")["$defs"]["PartialDigitalUnit"]["properties"]
    assert "operations/ns" in units["peak_ops_per_ns"]["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_told_apart_by_their_keys(kind: SchemaKind, specs: Path) -> None:
    found = kind_of_keys(tree(specs / f"good_{kind}.yaml"))
    assert found == ("architecture" if kind == "arch" else kind)


def test_shipped_files_name_their_schema() -> None:
    for kind, depth in (("arch", ".."), ("workload", "..")):
        for path in SHIPPED[kind]:
            first = path.read_text(encoding="utf-8").splitlines()[0]
            assert first == f"# yaml-language-server: $schema={depth}/schema/{FILE_NAMES[kind]}", path  # type: ignore[index]
