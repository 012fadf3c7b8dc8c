import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.errors import SpecError
from dse.spec.architecture import Architecture
from dse.spec.load import load_architecture, load_device, load_workload_spec
from dse.spec.scenario import Routing, Scenario, WorkloadSpec
from dse.spec.values import axis_paths, changed_digest, n_points, value_at, with_values

BITS = "analog_cores.pcm.adc.bits"


@pytest.fixture
def arch(specs: Path) -> Architecture:
    return load_architecture("good_arch.yaml")


@dataclasses.dataclass(frozen=True, eq=False)
class Holder:
    """A plain dataclass around spec classes, as the workload is."""

    scenario: Scenario
    routing: Routing
    remarks: Mapping[str, int] = dataclasses.field(default_factory=dict)


HOLDER = Holder(Scenario(phase="decode", batch=1), Routing())


def test_scalar_is_replaced_and_the_rest_is_kept(arch: Architecture) -> None:
    changed = arch.with_values({BITS: 6})
    assert (changed.core("pcm").adc.bits, arch.core("pcm").adc.bits) == (6, 8)
    assert changed.memories is arch.memories
    assert value_at(changed, BITS) == 6


def test_changing_back_gives_the_same_digest(arch: Architecture) -> None:
    assert arch.with_values({BITS: 6}).digest != arch.digest
    assert arch.with_values({BITS: 6}).with_values({BITS: 8}).digest == arch.digest


def test_changed_value_and_changed_file_have_one_digest(arch: Architecture) -> None:
    values = {BITS: 6, "limits.area_mm2": 100, "links.analog-npu.latency_ns": 3, "composition": "overlapped"}
    assert arch.with_values(values).digest == load_architecture("good_arch.yaml", values).digest


def test_arrays_give_one_entry_per_design_point(arch: Architecture) -> None:
    changed = arch.with_values({BITS: [6, 7, 8], "digital_units.npu.energy.op_pj.fp16": np.array([1.0, 2.0, 3.0])})
    assert np.array_equal(changed.core("pcm").adc.bits, [6, 7, 8])
    assert np.asarray(changed.core("pcm").adc.bits).dtype == np.float64
    assert n_points(changed) == 3
    assert n_points(arch) == 1


def test_hundred_thousand_points_pass_the_checks(arch: Architecture) -> None:
    rows = np.arange(1, 100_001)
    assert n_points(arch.with_values({"analog_cores.pcm.rows": rows})) == 100_000


def test_device_is_exchanged_by_name_or_object(arch: Architecture) -> None:
    path = "analog_cores.pcm.device"
    by_name = arch.with_values({path: "pcm_generic"})
    assert by_name.core("pcm").device.name == load_device("pcm_generic").name
    assert arch.with_values({path: load_device("pcm_generic")}).digest == by_name.digest
    assert by_name.digest == load_architecture("good_arch.yaml", {path: "pcm_generic"}).digest


def test_device_comes_before_values_inside_it(arch: Architecture) -> None:
    path = "analog_cores.pcm.device"
    changed = arch.with_values({f"{path}.programming.scale": 2, path: "pcm_generic"})
    assert changed.core("pcm").device.programming.scale == 2


def test_texts_and_lists_of_texts_are_replaced(arch: Architecture) -> None:
    changed = arch.with_values({"composition": "overlapped", "digital_units.npu.precisions": ["int8", "int4"]})
    assert changed.composition == "overlapped"
    assert changed.unit("npu").precisions == ("int8", "int4")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({BITS: 1}, "must be at least 2 (got 1)"),
        ({BITS: [6, 7, 30, 31]}, "must be at most 24 (got 30)"),
        ({BITS: [6, 7.5]}, "must be whole numbers (got 7.5)"),
        ({BITS: [6, float("nan")]}, "must be finite (got nan)"),
        ({BITS: True}, "must be a number (got True)"),
        ({BITS: "8"}, "must be a number (got '8')"),
        ({BITS: [[6, 7]]}, "one per design point"),
        ({BITS: []}, "one per design point"),
        ({BITS: [6, 7], "analog_cores.pcm.rows": [1, 2, 3]}, "arrays must have one length"),
        ({"analog_cores.pcm.adc.bit": 6}, "unknown path, did you mean 'analog_cores.pcm.adc.bits'?"),
        ({"adc.bits": 6}, "unknown path, did you mean 'analog_cores.pcm.adc.bits'?"),
        ({"analog_cores.pcn.rows": 6}, "did you mean 'analog_cores.pcm.rows'?"),
        ({"analog_cores.pcm.adc": 6}, "is not a single value; choose one below it, such as"),
        ({"composition": "parallel"}, "must be one of serial, overlapped, pipelined (got 'parallel')"),
        ({"composition": 3}, "must be text (got 3)"),
        ({"digital_units.npu.memory": "drum"}, "no memory is named 'drum', did you mean 'dram'?"),
        ({"analog_cores.pcm.die": "npu", "digital_units.npu.die": "analog"}, None),
        ({"analog_cores.pcm.device.g_min_usiemens": [1, 30]}, "must be less than g_max_usiemens = 20 (got 30)"),
        ({"analog_cores.pcm.device": "nothing"}, "no such device file"),
        ({"digest": "x"}, "unknown path"),
        ({"digital_units.npu.energy.op_pj.int4": -1}, "must be at least 0"),
        ({"digital_units.npu.precisions": ["int9"]}, "must be one of"),
    ],
)
def test_wrong_value_is_explained(arch: Architecture, values: dict[str, object], message: str | None) -> None:
    if message is None:
        arch.with_values(values)  # type: ignore[arg-type]
        return
    with pytest.raises(SpecError) as caught:
        arch.with_values(values)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_all_problems_come_at_once(arch: Architecture) -> None:
    with pytest.raises(SpecError) as caught:
        arch.with_values({BITS: 0, "analog_cores.pcm.rows": 0, "nothing": 1})
    assert len(caught.value.problems) == 3


def test_arrays_of_two_calls_must_fit(arch: Architecture) -> None:
    with pytest.raises(SpecError, match="one length"):
        arch.with_values({BITS: [6, 7]}).with_values({"analog_cores.pcm.rows": [1, 2, 3]})


def test_absent_values_can_be_given_and_taken_back(arch: Architecture) -> None:
    changed = arch.with_values({"limits.area_mm2": 5.0})
    assert changed.limits.area_mm2 == 5
    back = with_values(changed, {"limits.area_mm2": None})
    assert back.limits.area_mm2 is None


def test_plain_dataclasses_are_walked_too() -> None:
    changed = with_values(HOLDER, {"scenario.batch": [1, 2]}, roots=("scenario",))
    assert np.array_equal(changed.scenario.batch, [1, 2])


def test_digest_follows_the_old_one_and_every_value() -> None:
    digest = changed_digest("old", {"scenario.batch": [1, 2]})
    assert digest == changed_digest("old", {"scenario.batch": np.array([1.0, 2.0])})
    assert digest != changed_digest("old", {"scenario.batch": [1, 3]})
    assert digest != changed_digest("other", {"scenario.batch": [1, 2]})


def test_roots_limit_what_may_change() -> None:
    with pytest.raises(SpecError, match="unknown path"):
        with_values(HOLDER, {"routing.zipf_exponent": 1.0}, roots=("scenario",))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("analog_cores.pcm.rows", 10**20, "must be at most 1e+15"),
        ("memories.hbm.bandwidth_bytes_per_ns", 1e-320, "must be at least 1e-30"),
        ("memories.hbm.energy_pj_per_bit", 1e-40, "must be 0 or at least 1e-30 in size"),
        ("memories.hbm.capacity_bytes", 1e31, "must be at most 1e+30"),
    ],
)
def test_numbers_out_of_reach_of_the_formulas_are_refused_in_files_and_axes(path: str, value: float, said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"--set: {path}: {said} (got ")):
        load_architecture("server_pcm3d", {path: value})
    with pytest.raises(SpecError, match=re.escape(f"{path}: {said}")):
        load_architecture("server_pcm3d").with_values({path: [1.0, float(value)]})


def test_value_that_is_not_swept_takes_no_array() -> None:
    with pytest.raises(SpecError, match="one value for all design points"):
        with_values(HOLDER, {"routing.seed": [1, 2]})


def test_weights_are_not_younger_than_their_programming() -> None:
    with pytest.raises(SpecError, match="must be at least 0"):
        with_values(HOLDER, {"scenario.time_since_programming_s": -1.0})


def test_unknown_path_cannot_be_read() -> None:
    with pytest.raises(SpecError, match="did you mean"):
        value_at(HOLDER, "scenario.batsh")


def test_axis_paths_are_those_that_can_be_read_and_set(arch: Architecture) -> None:
    paths = axis_paths(arch)
    assert {BITS, "links.analog-npu.latency_ns", "analog_cores.pcm.device.programming.scale"} <= set(paths)
    for path in paths:
        value = value_at(arch, path)
        if value is not None:
            with_values(arch, {path: value})
    of_routing = {"routing.kind", "routing.zipf_exponent", "routing.seed", "routing.correlation"}
    assert of_routing <= set(axis_paths(HOLDER, ("routing",)))


def test_flag_takes_true_and_false_only(specs: Path) -> None:
    spec: WorkloadSpec = load_workload_spec("good_workload.yaml").spec
    assert value_at(with_values(spec, {"model.tied_head": True}), "model.tied_head") is True
    with pytest.raises(SpecError, match="true or false"):
        with_values(spec, {"model.tied_head": 1})


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_allowed_arrays_come_back_unchanged(batches: list[int]) -> None:
    changed = with_values(HOLDER, {"scenario.batch": batches})
    assert np.array_equal(value_at(changed, "scenario.batch"), batches)
