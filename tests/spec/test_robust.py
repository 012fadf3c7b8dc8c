"""Whatever is wrong with a spec, the answer is a SpecError with a place, never a crash."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dse.errors import SpecError
from dse.spec import shipped
from dse.spec.kinds import load_any
from dse.spec.load import load_architecture, load_device, load_workload_spec
from dse.spec.node import plain
from dse.spec.read import CORE_RESOLVERS, read_value
from dse.spec.space import load_space

SPECS = Path(__file__).parents[1] / "specs"
LOADERS: dict[str, Any] = {
    "arch": load_architecture,
    "device": load_device,
    "workload": load_workload_spec,
    "space": load_space,
}
TREES: dict[str, Any] = {kind: plain(read_value((SPECS / f"good_{kind}.yaml").read_text(), kind)) for kind in LOADERS}
WORDS = ["", "x", "npu", "pcm", "2.5 nJ", "1e3", "serial", "lumped", "components", "good_device.yaml", "zipf", "4:1:2"]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([10**30, -1e308, 1e308, float("nan"), float("inf"), 0.5]),
    st.sampled_from(WORDS),
    st.sampled_from([[], {}, [1], [[]], [{}], {"value": 3}, {"value": {}}, {"name": "npu"}, {"model": "x"}, [None]]),
).map(copy.deepcopy)
KEYS = st.sampled_from(
    ["name", "value", "source", "evidence", "model", "extends", "within", "energy", "rows", "x.y", ""]
)


class Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = CORE_RESOLVERS


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or position) of a tree."""
    keys: Any = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from places(tree[key])


def says_what_is_wrong(load: Any, *given: Any) -> bool:
    """Whether the input is read, or refused with at least one problem."""
    try:
        load(*given)
    except SpecError as error:
        return bool(error.problems) and all(problem.message for problem in error.problems)
    return True


@pytest.mark.parametrize("kind", sorted(LOADERS))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_no_mutation_of_a_good_file_crashes(kind: str, draw: st.DataObject, specs: Path, tmp_path: Path) -> None:
    tree = copy.deepcopy(TREES[kind])
    for _ in range(draw.draw(st.integers(1, 3))):
        container, key = draw.draw(st.sampled_from(list(places(tree)) or [({}, "x")]))
        match draw.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = draw.draw(JUNK)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw.draw(KEYS)] = draw.draw(JUNK)
    for name in ("good_arch.yaml", "good_device.yaml", "good_workload.yaml"):
        (tmp_path / name).write_text((specs / name).read_text())
    path = tmp_path / "mutant.yaml"
    path.write_text(yaml.dump(tree, Dumper=Dumper))
    for load in (LOADERS[kind], load_any):
        assert says_what_is_wrong(load, path)


@given(
    st.dictionaries(
        st.sampled_from(["analog_cores.pcm.rows", "analog_cores", "limits", "x", "a..b", "", ".", "dies.npu"]), JUNK
    )
)
@settings(max_examples=100, deadline=None)
def test_no_override_crashes(overrides: dict[str, Any]) -> None:
    assert says_what_is_wrong(load_architecture, SPECS / "good_arch.yaml", overrides)


def test_shipped_specs_are_found_in_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "dse"
    folder = package / "_shipped" / "arch_specs"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("name: mine\n")
    monkeypatch.setattr(shipped, "__file__", str(package / "spec" / "shipped.py"))
    assert shipped.shipped_names("architecture") == ("mine",)
    found = shipped.find_file("mine", "architecture")
    assert isinstance(found, shipped.SpecFile)
    assert (found.path, found.shown) == (folder / "mine.yaml", "arch_specs/mine.yaml")


def test_local_file_goes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server_pcm3d").write_text("name: mine\n")
    found = shipped.find_file("server_pcm3d", "architecture")
    assert isinstance(found, shipped.SpecFile)
    assert found.path.resolve() == tmp_path / "server_pcm3d"
