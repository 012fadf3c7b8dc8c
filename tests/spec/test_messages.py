"""Every broken example gives exactly the problems that tests/specs/bad_messages.txt lists for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dse.errors import SpecError
from dse.spec.kinds import file_kind
from dse.spec.load import load_architecture, load_device, load_workload_spec
from dse.spec.shipped import shipped_root
from dse.spec.space import load_space

SPECS = Path(__file__).parents[1] / "specs"
LOADERS: dict[str, Callable[[str], object]] = {
    "arch": load_architecture,
    "device": load_device,
    "workload": load_workload_spec,
    "space": load_space,
}


def read_table() -> dict[str, str]:
    sections = (SPECS / "bad_messages.txt").read_text(encoding="utf-8").split("## ")[1:]
    return {name: text.strip() for name, _, text in (section.partition("\n") for section in sections)}


TABLE = read_table()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_broken_example_gives_the_listed_problems(name: str, specs: Path) -> None:
    with pytest.raises(SpecError) as caught:
        LOADERS[name.split("_")[1]](name)
    assert str(caught.value) == TABLE[name]


def test_every_broken_example_is_in_the_table() -> None:
    assert {path.name for path in SPECS.glob("bad_*.yaml")} == set(TABLE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope/there.yaml", "no such architecture file: 'nope/there.yaml'"),
        ("good_arc.yaml", "did you mean 'good_arch.yaml'?"),
        ("server_pcm", "did you mean 'server_pcm3d'?"),
        ("server_pcm3d/", "no such architecture file"),
        (".", "is a folder, not a YAML file"),
        ("", "is empty"),
    ],
)
def test_missing_file_names_the_nearest(name: str, message: str, specs: Path) -> None:
    with pytest.raises(SpecError, match="file") as caught:
        load_architecture(name)
    assert message in str(caught.value)


def test_what_a_calibration_point_takes_over_from_its_core_is_wrong_once(tmp_path: Path) -> None:
    folder = shipped_root() / "arch_specs"
    text = (folder / "server_pcm3d.yaml").read_text(encoding="utf-8").replace("devices/", f"{folder}/devices/")
    (tmp_path / "chip.yaml").write_text(text.replace("    rows: 512\n", "    rows: true\n", 1), encoding="utf-8")
    with pytest.raises(SpecError, match="must be a whole number") as caught:
        load_architecture(tmp_path / "chip.yaml")
    assert [problem.path for problem in caught.value.problems] == ["analog_cores.pcm.rows"]


def test_a_file_that_extends_itself_is_no_spec_of_any_kind_either(specs: Path) -> None:
    assert file_kind("bad_arch_extends_itself.yaml") == "architecture"


def test_problems_of_all_files_come_at_once(specs: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_architecture("bad_arch_device_broken.yaml", ["links.analog-npu.latency_ns=-1"])
    assert [problem.file for problem in caught.value.problems] == [
        "bad_arch_device_broken.yaml",
        "bad_device_values.yaml",
        "bad_device_values.yaml",
        "bad_device_values.yaml",
        "--set",
    ]
