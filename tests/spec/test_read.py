import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dse.errors import Problem, SpecError
from dse.spec.node import Plain, plain
from dse.spec.read import CORE_RESOLVERS, read_file, read_text, read_value


def read(text: str) -> Plain:
    problems: list[Problem] = []
    node = read_text(text, "x.yaml", problems)
    assert not problems
    assert node is not None
    return plain(node)


@pytest.mark.parametrize(
    ("text", "value"),
    [  # YAML 1.2 core schema, section 10.3.2
        ("1e3", 1000.0),
        ("1.0e3", 1000.0),
        ("2e-1", 0.2),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("+3", 3),
        ("007", 7),
        ("0o17", 15),
        ("0xff", 255),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("12:30:00", "12:30:00"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'1e3'", "1e3"),
        ("1e", "1e"),
        ("e3", "e3"),
        (".", "."),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_nan_is_a_number() -> None:
    found = plain(read_value(".nan", "--set"))
    assert isinstance(found, float)
    assert math.isnan(found)


def test_places_are_those_of_keys_and_values() -> None:
    node = read_text("a:\n  bb: [1, {c: 2}]\n", "x.yaml", [])
    assert node is not None
    assert isinstance(node.value, dict)
    inner = node.value["a"].value
    assert isinstance(inner, dict)
    entries = inner["bb"].value
    assert isinstance(entries, list)
    assert (inner["bb"].key_place.line, inner["bb"].key_place.column) == (2, 3)
    assert (inner["bb"].place.line, inner["bb"].place.column) == (2, 7)
    assert (entries[0].place.line, entries[0].place.column) == (2, 8)


def test_anchors_give_equal_values() -> None:
    assert read("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_merge_keys_are_plain_keys() -> None:
    assert read("a: &x {b: 1}\nc: {'<<': *x}\n") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    node = read_file(path, "bom.yaml", [])
    assert node is not None
    assert plain(node) == {"name": "x"}


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "a: \x07", "a: *nowhere", "a:\n\t- b", "%", "a: b: c"])
def test_broken_text_is_a_problem_not_a_crash(text: str) -> None:
    problems: list[Problem] = []
    assert read_text(text, "x.yaml", problems) is None
    assert len(problems) == 1
    assert "not valid YAML" in problems[0].message


def test_not_a_number_behind_a_tag_is_a_problem() -> None:
    with pytest.raises(SpecError, match="'many' is not a number"):
        read_value("!!int many", "--set")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


class Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = CORE_RESOLVERS


@given(st.dictionaries(st.text(), trees, min_size=1, max_size=4))
def test_what_is_written_is_read_back(tree: dict[str, Plain]) -> None:
    assert read(yaml.dump(tree, Dumper=Dumper, allow_unicode=False)) == tree
