import re
from pathlib import Path

import pytest

from dse.errors import SpecError
from dse.spec.architecture import Architecture
from dse.spec.kinds import load_any
from dse.spec.load import load_architecture, load_workload_spec
from dse.spec.shipped import shipped_names
from dse.spec.show import resolved_yaml, show_text


def line_of(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [key])


def test_value_stands_with_unit_evidence_and_line(specs: Path) -> None:
    text = show_text(load_architecture("good_arch.yaml"))
    assert line_of(text, "energy_pj").split() == ["energy_pj", "2500", "pJ", "measured", "line", "25"]
    assert line_of(text, "g_max_usiemens").split() == [
        "g_max_usiemens",
        "20",
        "µS",
        "assumed",
        "line",
        "5",
        "of",
        "[1]",
    ]
    assert "# table 2" in text
    assert text.endswith("[0] good_arch.yaml\n[1] good_device.yaml\n")


def test_defaults_are_marked(specs: Path) -> None:
    text = show_text(load_architecture("good_arch.yaml"))
    assert line_of(text, "scale").split() == ["scale", "1", "default"]
    assert line_of(text, "clip").split() == ["clip", "none", "default"]


def test_source_is_said_once_for_neighbours(specs: Path) -> None:
    assert show_text(load_architecture("good_arch.yaml")).count("invented for tests") == 1


def test_changed_and_swept_values_are_shown(specs: Path) -> None:
    arch = load_architecture("good_arch.yaml").with_values(
        {"analog_cores.pcm.rows": [1, 2, 3], "composition": "overlapped"}
    )
    text = show_text(arch)
    assert "1 … 3 (3 points)" in line_of(text, "rows")
    assert line_of(text, "composition").split() == ["composition", "overlapped", "--set"]


@pytest.mark.parametrize("name", ["good_arch", "good_extended", "good_device", "good_workload", "good_space"])
def test_any_spec_can_be_shown(name: str, specs: Path) -> None:
    assert show_text(load_any(f"{name}.yaml"))


@pytest.mark.parametrize("name", ["good_arch", "good_extended", "good_device", "good_workload"])
def test_resolved_file_has_the_same_digest_and_origins(name: str, specs: Path, tmp_path: Path) -> None:
    loaded = load_any(f"{name}.yaml")
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(loaded), encoding="utf-8")
    again = load_any(path)
    assert again.digest == loaded.digest
    for key, origin in loaded.provenance.items():
        if isinstance(loaded, Architecture) and key.endswith("energy_pj"):
            assert (again.provenance[key].source, again.provenance[key].evidence) == (origin.source, origin.evidence)


@pytest.mark.parametrize("name", [*shipped_names("architecture"), *shipped_names("workload")])
def test_shipped_specs_survive_resolution(name: str, tmp_path: Path) -> None:
    loaded = load_any(name)
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(loaded), encoding="utf-8")
    assert load_any(path).digest == loaded.digest


def test_texts_that_look_like_numbers_stay_texts(specs: Path, tmp_path: Path) -> None:
    loaded = load_workload_spec("good_workload.yaml", {"name": "1e3", "notes.x": "true", "notes.y": "null"})
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(loaded), encoding="utf-8")
    assert load_workload_spec(path).digest == loaded.digest


def test_swept_values_fit_in_no_file(specs: Path) -> None:
    with pytest.raises(SpecError, match=r"analog_cores\.pcm\.rows: has one value per design point"):
        resolved_yaml(load_architecture("good_arch.yaml").with_values({"analog_cores.pcm.rows": [1, 2]}))


@pytest.mark.parametrize("name", ["server_pcm3d", "hermes_2d_components", "rack_pcm3d_1t"])
def test_lines_fit_in_80_columns_but_for_long_values(name: str) -> None:
    long = [line for line in show_text(load_any(name)).splitlines() if len(line) > 80]
    assert all(len(re.split(" {2,}", line.strip())[1]) > 16 for line in long)
