from pathlib import Path

import pytest

from dse.errors import SpecError
from dse.spec.architecture import FlatPower
from dse.spec.kinds import file_kind, load_any
from dse.spec.load import load_architecture, load_device, load_workload_spec
from dse.spec.model import Model
from dse.spec.provenance import Provenance
from dse.spec.shipped import shipped_names
from dse.spec.values import value_at


def test_values_of_an_architecture_arrive(specs: Path) -> None:
    arch = load_architecture("good_arch.yaml")
    core = arch.core("pcm")
    assert (arch.name, core.rows, core.tiles_per_die, core.cost.mvm.energy_pj) == ("good", 256, 100, 2500)
    assert core.device.programming.coefficients == (0.2, 0.4)
    assert arch.n_crossbars(core) == 400  # by hand: 1 die x 100 tiles x 4 tiers
    assert isinstance(core.tiles_per_die, int)  # 1e2 in the file


def test_nearest_source_and_evidence_win(specs: Path) -> None:
    provenance = load_architecture("good_arch.yaml").provenance
    mvm = "analog_cores.pcm.cost.mvm"
    assert provenance[f"{mvm}.energy_pj"] == Provenance("table 2", "measured", 0.2, "good_arch.yaml", 25, 28)
    assert provenance[f"{mvm}.latency_ns"] == Provenance("a paper", "simulated", None, "good_arch.yaml", 24, 21)
    assert provenance["analog_cores.pcm.rows"] == Provenance("a paper", None, None, "good_arch.yaml", 14, 11)
    assert provenance["links.analog-npu.latency_ns"].line == 42


def test_origins_of_the_core_do_not_leak_into_the_device_file(specs: Path) -> None:
    provenance = load_architecture("good_arch.yaml").provenance
    coefficients = provenance["analog_cores.pcm.device.programming.coefficients"]
    assert coefficients == Provenance("invented for tests", "assumed", 0.1, "good_device.yaml", 11, 25)


def test_defaults_have_no_provenance(specs: Path) -> None:
    assert "analog_cores.pcm.device.programming.scale" not in load_architecture("good_arch.yaml").provenance


def test_extending_file_changes_what_it_gives(specs: Path) -> None:
    base, arch = load_architecture("good_arch.yaml"), load_architecture("good_extended.yaml")
    assert (arch.name, arch.core("pcm").adc.bits, arch.core("pcm").adc.per_tile) == ("extended", 6, 256)
    assert [die.name for die in arch.dies] == ["analog", "npu", "io"]
    assert arch.core("pcm").device.programming.scale == 2
    assert arch.core("pcm").device.g_max_usiemens == base.core("pcm").device.g_max_usiemens
    assert arch.unit("npu").precisions == ("fp16",)
    assert isinstance(arch.unit("npu").energy, FlatPower)  # another `model` replaces, it does not merge
    assert (arch.links[0].latency_ns, arch.links[0].bandwidth_bytes_per_ns) == (5, 100)


def test_places_follow_the_file_a_value_came_from(specs: Path) -> None:
    provenance = load_architecture("good_extended.yaml").provenance
    assert provenance["analog_cores.pcm.adc.bits"].file == "good_extended.yaml"
    assert provenance["analog_cores.pcm.adc.per_tile"].file == "good_arch.yaml"
    assert provenance["analog_cores.pcm.device.programming.coefficients"].file == "good_device.yaml"
    assert provenance["analog_cores.pcm.device.programming.scale"].file == "good_extended.yaml"


def test_source_of_the_base_is_not_claimed_for_a_new_value(specs: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(f"extends: {specs / 'good_arch.yaml'}\nanalog_cores: [{{name: pcm, rows: 128}}]\n")
    assert load_architecture(path).provenance["analog_cores.pcm.rows"].source is None


def test_device_may_be_written_in_place(specs: Path, tmp_path: Path) -> None:
    device = "\n".join(f"      {line}" for line in (specs / "good_device.yaml").read_text().splitlines())
    text = (specs / "good_arch.yaml").read_text().replace("device: good_device.yaml", f"device:\n{device}")
    path = tmp_path / "arch.yaml"
    path.write_text(text)
    assert load_architecture(path).digest == load_architecture("good_arch.yaml").digest


def test_overrides_replace_values_before_they_are_checked(specs: Path) -> None:
    arch = load_architecture("good_arch.yaml", ["analog_cores.pcm.adc.bits=6", "limits.area_mm2=1e2"])
    assert (arch.core("pcm").adc.bits, arch.limits.area_mm2) == (6, 100)
    assert str(arch.provenance["analog_cores.pcm.adc.bits"]) == "--set"
    same = load_architecture("good_arch.yaml", {"analog_cores.pcm.adc.bits": 6, "limits.area_mm2": 100})
    assert same.digest == arch.digest != load_architecture("good_arch.yaml").digest


def test_override_may_state_its_source(specs: Path) -> None:
    arch = load_architecture("good_arch.yaml", ["analog_cores.pcm.rows={value: 128, source: mine, evidence: assumed}"])
    origin = arch.provenance["analog_cores.pcm.rows"]
    assert (arch.core("pcm").rows, origin.source, origin.evidence) == (128, "mine", "assumed")


def test_override_exchanges_the_device(specs: Path) -> None:
    values = {"analog_cores.pcm.device.programming.scale": 3, "analog_cores.pcm.device": "pcm_generic"}
    device = load_architecture("good_arch.yaml", values).core("pcm").device
    assert (device.name, device.programming.scale) == (load_device("pcm_generic").name, 3)


def test_entry_without_a_name_is_overridden_by_its_position() -> None:
    path = "analog_cores.pcm.cost.calibration.0.energy_pj"  # as `dse explain` and --tornado write it
    arch = load_architecture("server_pcm3d", [f"{path}=20000"])
    assert value_at(arch, path) == 20000
    assert arch.provenance[path.replace(".0", "[0]")].file == "--set"
    with pytest.raises(SpecError, match="nothing is named '2'"):
        load_architecture("server_pcm3d", [path.replace(".0", ".2") + "=1"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("analog_cores.pcn.rows=3", "nothing is named 'pcn', did you mean 'pcm'?"),
        ("adc.bits=6", "unknown path, did you mean 'analog_cores.pcm.adc.bits'?"),
        ("analog_cores.pcm.adc.bit=6", "unknown key, did you mean 'bits'?"),
        ("composition.kind=serial", "'composition' is a single value"),
        ("analog_cores.pcm.rows=0", "--set: analog_cores.pcm.rows: must be greater than 0 (got 0)"),
        ("analog_cores.pcm.rows", "write path=value"),
        ("analog_cores.pcm.rows=", "write path=value"),
        ("analog_cores.pcm.rows=[", "not valid YAML"),
        ("analog_cores.pcm.device=nowhere.yaml", "no such device file: 'nowhere.yaml'"),
        ("composition=pipelined", "pipelined needs micro_batches: 2 or more"),
    ],
)
def test_wrong_override_is_explained(override: str, message: str, specs: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_architecture("good_arch.yaml", [override])
    assert message in str(caught.value)
    assert "--set" in str(caught.value)


def test_override_given_twice_is_refused(specs: Path) -> None:
    with pytest.raises(SpecError, match="given twice"):
        load_architecture("good_arch.yaml", ["composition=serial", "composition=overlapped"])


def test_workload_gives_spec_and_places(specs: Path) -> None:
    loaded = load_workload_spec("good_workload.yaml", ["scenario.batch=8"])
    assert isinstance(loaded.spec.model, Model)
    assert (loaded.spec.model.top_k, loaded.spec.scenario.batch, loaded.spec.routing.zipf_exponent) == (2, 8, 0.8)
    assert loaded.provenance["routing.zipf_exponent"].source == "a typical skew"
    assert loaded.spec.notes == {"source": "an ordinary remark"}


def test_data_paths_start_at_the_file_that_gives_them(specs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokens.npy").write_text("")
    (folder / "base.yaml").write_text("name: x\nmodel: config.json\nscenario: {phase: decode, batch: 1}\n")
    (tmp_path / "w.yaml").write_text("extends: base/base.yaml\nevaluation: {tokens: base/tokens.npy}\n")
    loaded = load_workload_spec(tmp_path / "w.yaml")
    assert loaded.path_of("config.json", "model") == folder / "config.json"
    assert loaded.path_of("base/tokens.npy", "evaluation.tokens") == folder / "tokens.npy"


def test_missing_data_file_is_reported_where_it_is_named(specs: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    path = tmp_path / "w.yaml"
    path.write_text("name: x\nmodel: confg.json\nscenario: {phase: decode, batch: 1}\n")
    with pytest.raises(SpecError) as caught:
        load_workload_spec(path).path_of("confg.json", "model")
    problem = caught.value.problems[0]
    assert (problem.path, problem.line, problem.column) == ("model", 2, 8)
    assert "did you mean 'config.json'?" in problem.message


def test_digest_depends_on_values_only(specs: Path, tmp_path: Path) -> None:
    text = (specs / "good_arch.yaml").read_text().replace("good_device.yaml", str(specs / "good_device.yaml"))
    path = tmp_path / "copy.yaml"
    path.write_text("\n# a remark\n" + text.replace('source: "a paper"', 'source: "another"'))
    digest = load_architecture("good_arch.yaml").digest
    assert load_architecture(path).digest == digest
    path.write_text(text.replace("rows: 256", "rows: 257"))
    assert load_architecture(path).digest != digest


@pytest.mark.parametrize("name", shipped_names("architecture"))
def test_shipped_architectures_load_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arch = load_architecture(name)
    assert arch.name == name
    assert all(not Path(origin.file).is_absolute() for origin in arch.provenance.values())


@pytest.mark.parametrize("name", shipped_names("workload"))
def test_shipped_workloads_load_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_workload_spec(name)
    if isinstance(loaded.spec.model, str):
        assert loaded.path_of(loaded.spec.model, "model").is_file()


@pytest.mark.parametrize("name", shipped_names("device"))
def test_shipped_devices_load_by_name(name: str) -> None:
    assert load_device(name).name == load_device(f"devices/{name}.yaml").name


@pytest.mark.parametrize("kind", ["arch", "device", "workload", "space"])
def test_kind_of_a_file_is_told_by_its_keys(kind: str, specs: Path) -> None:
    expected = "architecture" if kind == "arch" else kind
    assert file_kind(f"good_{kind}.yaml") == expected
    assert load_any(f"good_{kind}.yaml").digest


def test_kind_of_an_extending_file_is_that_of_its_base(specs: Path) -> None:
    assert file_kind("good_extended.yaml") == "architecture"


@pytest.mark.parametrize(("name", "message"), [("server_pcm", "did you mean 'server_pcm3d'"), ("zzzzzz", "no such")])
def test_kind_of_a_missing_file_is_an_error(name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        file_kind(name)


def test_file_of_no_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("colour: red\n")
    with pytest.raises(SpecError, match="holds no spec"):
        load_any(path)
