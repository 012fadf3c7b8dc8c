from pathlib import Path

import pytest

from dse.errors import SpecError
from dse.spec.space import load_space


def test_axes_are_spelled_out_in_their_order(specs: Path) -> None:
    space = load_space("good_space.yaml")
    assert list(space.axes.items()) == [
        ("analog_cores.pcm.adc.bits", (6, 7, 8)),
        ("scenario.batch", (1, 8)),
        ("composition", ("serial", "overlapped")),
        ("mapping.digital_fraction", (0.0, 0.25, 0.5)),
    ]


def test_base_files_start_at_the_space_file(specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = load_space(specs / "good_space.yaml")
    assert space.architecture == specs / "good_arch.yaml"
    assert space.workload.is_file()


def test_base_may_be_a_shipped_name(specs: Path, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    text = (specs / "good_space.yaml").read_text().replace("good_arch.yaml", "server_pcm3d")
    path.write_text(text.replace("good_workload.yaml", "olmoe"))
    assert load_space(path).architecture.name == "server_pcm3d.yaml"


def test_text_and_list_of_an_axis_are_not_one_digest_by_chance(specs: Path, tmp_path: Path) -> None:
    text = (specs / "good_space.yaml").read_text().replace(": good_", f": {specs}/good_")
    digests = []
    for bits in ("6:8:1", "6:9:1"):
        path = tmp_path / "space.yaml"
        path.write_text(text.replace("6:8:1", bits))
        digests.append(load_space(path).digest)
    assert digests[0] != digests[1]


def test_all_problems_of_a_space_come_at_once(specs: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_space("bad_space_axes.yaml")
    assert len(caught.value.problems) == 5
