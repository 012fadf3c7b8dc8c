"""What a tile costs by the part of it that is used: input slices, weight slices, partly filled arrays, tables."""

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from dse import load_architecture, load_workload
from dse.cost.block_products import block_products
from dse.cost.datasheet import core_datasheet
from dse.cost.input_slices import conversion_steps, input_slices
from dse.cost.table import cost_table
from dse.cost.tile import mvm_cost, tile_of
from dse.errors import SpecError
from dse.spec.show import resolved_yaml
from dse.workload.blocks import BlockClass, Matrix

CORE = "analog_cores.pcm"


def of_matrix(tile, n_in, n_out):
    """Cost of a block of one matrix."""
    return block_products(tile, BlockClass("expert", (Matrix("m", n_in, n_out, 0),)))


@pytest.fixture(scope="module")
def arch():
    return load_architecture("hermes_2d_components")


@given(st.integers(1, 700), st.integers(1, 700))
def test_a_matrix_costs_the_sum_of_its_slices(arch, n_in, n_out):
    # by hand: every slice priced on its own; sizes along the input differ by at most one
    tile = tile_of(arch.core("pcm"))
    heights = [len(part) for part in np.array_split(np.arange(n_in), -(-n_in // 256))]
    widths = [min(256, n_out - start) for start in range(0, n_out, 256)]
    slices = [tile.mvm(float(r), float(k)) for r in heights for k in widths]
    whole = of_matrix(tile, n_in, n_out)
    assert whole.energy_pj == pytest.approx(sum(s.energy_pj for s in slices), rel=1e-12)
    assert whole.busy_ns == pytest.approx(sum(s.latency_ns for s in slices), rel=1e-12)
    assert whole.latency_ns == pytest.approx(max(s.latency_ns for s in slices), rel=1e-12)


def test_a_lumped_core_charges_whole_products():
    tile = tile_of(load_architecture("hermes_2d").core("pcm"))
    assert of_matrix(tile, 300, 100).energy_pj == 2 * 13_430
    assert tile.mvm(1.0, 1.0).energy_pj == 13_430


def test_a_narrow_matrix_costs_less_than_a_full_crossbar(arch):
    full, narrow = (of_matrix(tile_of(arch.core("pcm")), 256, n).energy_pj for n in (256, 64))
    assert narrow < full


def test_partly_filled_crossbars_are_priced_alike_alone_and_in_a_sweep(arch):
    workload = load_workload("tiny_moe")
    sizes = np.array([64.0, 100.0, 256.0])
    many = cost_table(arch.with_values({f"{CORE}.rows": sizes, f"{CORE}.cols": sizes}), workload)
    for i, size in enumerate(sizes):
        one = cost_table(arch.with_values({f"{CORE}.rows": size, f"{CORE}.cols": size}), workload)
        for number in (lambda cost: cost.energy_pj_per_visit, lambda cost: cost.path_ns):
            assert many.table(number, i) == pytest.approx(one.table(number), rel=1e-12)


def test_matrices_of_equal_depth_work_side_by_side(arch):
    expert = next(b.block_class for b in load_workload("tiny_moe").blocks if b.kind == "expert")
    products = block_products(tile_of(arch.core("pcm")), expert)
    assert products.latency_ns == pytest.approx(2 * mvm_cost(arch.core("pcm")).latency_ns)


@pytest.mark.parametrize(
    ("encoding", "bits", "together", "drives", "pulses", "segments"),
    [
        ("pulse_width", 8, None, 1, 1, 1),
        ("amplitude", 8, 4, 2, 2, 2),  # by hand: two slices of 4 bits
        ("bit_serial", 16, None, 16, 16, 16),
        ("bit_serial", 7, 2, 4, 4, 4),  # by hand: ceil(7 / 2)
        ("pulse_count", 4, 3, 3, 7, 1),  # by hand: 3 magnitude bits, 1 + 2 + 4 pulses
        ("pulse_count", 7, 3, 6, 14, 2),  # by hand: 6 magnitude bits as 3 + 3
        ("pulse_count", 1, 3, 1, 1, 1),
    ],
)
def test_events_of_an_input_by_its_encoding(encoding, bits, together, drives, pulses, segments):
    found = input_slices(encoding=encoding, bits=float(bits), bits_per_phase=together)
    assert (found.drives, found.pulses, found.segments) == (drives, pulses, segments)


def test_later_segments_need_fewer_conversion_steps():
    # by hand: 6 magnitude bits as 3 + 3, outputs of 9 bits: 9 steps, then 9 - 3
    slices = input_slices(encoding="pulse_count", bits=7.0, bits_per_phase=3.0)
    assert conversion_steps(slices=slices, bits=9.0) == 15


@pytest.mark.parametrize("quantity", ["mvm_energy_pj", "mvm_latency_ns"])
def test_each_bit_of_a_serial_input_is_converted_in_full(quantity):
    # published: efficiency and density of the Jia chip scale directly with the bits of the input (JSSC 55(9), abstract)
    one, four = (
        core_datasheet(load_architecture("jia_jssc_2020", {"analog_cores.sram.dac.bits": bits}).core("sram"))
        for bits in (1, 4)
    )
    assert getattr(four, quantity) == pytest.approx(4 * getattr(one, quantity), rel=1e-12)


def test_bit_serial_inputs_and_weight_slices_multiply_conversions(arch):
    free = {f"{CORE}.cost.calibration": []}
    base = mvm_cost(load_architecture("hermes_2d_components", free).core("pcm"))
    more = free | {f"{CORE}.dac.encoding": "bit_serial", f"{CORE}.weight.bit_slices": 2}
    sliced = mvm_cost(load_architecture("hermes_2d_components", more).core("pcm"))
    assert sliced.parts_pj["ADC"] == pytest.approx(8 * 2 * base.parts_pj["ADC"])  # by hand: 8 input bits, 2 slices
    assert sliced.latency_ns == pytest.approx(8 * 2 * base.latency_ns)  # 2 rounds, since columns double


def test_a_cell_conducts_in_every_pulse_of_its_input(arch):
    # by hand: 4 bits are 3 of magnitude, driven one after the other in 1 + 2 + 4 pulses
    found = {}
    for encoding in ("amplitude", "pulse_count"):
        own = {f"{CORE}.cost.calibration": [], f"{CORE}.dac.bits": 4, f"{CORE}.dac.encoding": encoding}
        found[encoding] = mvm_cost(load_architecture("hermes_2d_components", own).core("pcm")).parts_pj
    assert found["pulse_count"]["array"] == pytest.approx(7 * found["amplitude"]["array"])
    assert found["pulse_count"]["DAC"] == pytest.approx(3 * found["amplitude"]["DAC"])


def test_optional_parts_cost_what_the_file_says(arch):
    more = {
        f"{CORE}.cost.calibration": [],
        f"{CORE}.cost.shift_add": {"model": "fixed", "add_pj": 0.1, "area_mm2": 0.001},
        f"{CORE}.cost.buffer": {"model": "per_bit", "bit_pj": 0.01, "area_mm2": 0.5},
        f"{CORE}.cost.sample_pj": 0.2,
        f"{CORE}.cost.leak_mw": 2.0,
    }
    core = load_architecture("hermes_2d_components", more).core("pcm")
    cost = mvm_cost(core, 128, 64)
    assert cost.parts_pj["shift-add"] == pytest.approx(64 * 0.1)
    assert cost.parts_pj["buffers"] == pytest.approx((128 * 8 + 64 * 8) * 0.01)
    assert cost.parts_pj["sample and hold"] == pytest.approx(64 * 0.2)
    assert cost.parts_pj["leakage"] == pytest.approx(2.0 * cost.latency_ns)
    assert tile_of(core).area_parts_mm2()["fixed periphery"] == pytest.approx(0.5)


def test_conversion_after_the_pulse_takes_the_sum(arch):
    free = {f"{CORE}.cost.calibration": []}
    times = [
        mvm_cost(load_architecture("hermes_2d_components", free | {f"{CORE}.cost.overlap": v}).core("pcm")).latency_ns
        for v in (True, False)
    ]
    assert times == [128, 256]


TABLE = "rows_used,cols_used,energy_pj,time_ns\n64,64,100,10\n64,256,300,20\n256,64,200,10\n256,256,900,20\n"


@pytest.fixture
def tabled(tmp_path):
    (tmp_path / "points.csv").write_text("# measured\n" + TABLE, encoding="utf-8")
    path = tmp_path / "own.yaml"
    cost = "{model: table, file: points.csv, tile_area_mm2: 0.6}"
    path.write_text(
        f"extends: hermes_2d\nname: own\nanalog_cores:\n  - {{name: pcm, cost: {cost}}}\n", encoding="utf-8"
    )
    return load_architecture(path)


def test_a_table_is_met_at_its_points_and_linear_between_them(tabled):
    core = tabled.core("pcm")
    assert mvm_cost(core).energy_pj == 900
    assert mvm_cost(core, 64, 256).latency_ns == 20
    assert mvm_cost(core, 160, 160).energy_pj == pytest.approx((100 + 300 + 200 + 900) / 4)  # by hand: the middle
    assert tabled.provenance["analog_cores.pcm.cost.points[0].energy_pj"].line == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 512}, "rows_used = 512 lies outside the table, which has 64 to 256; add points"),
        ({"cost.points.3.cols_used": 200}, "the table lacks the combination"),
        ({"cost.points.0.supply_v": 0.8}, r"points\[1\]: states no supply_v, which other points state"),
        ({"cost.points.3.rows_used": [256, 128]}, "says what the point holds for, so it cannot be an axis"),
    ],
)
def test_a_table_is_not_stretched(tabled, values, message):
    with pytest.raises(SpecError, match=message):
        mvm_cost(tabled.with_values({f"{CORE}.{k}": v for k, v in values.items()}).core("pcm"))


def test_points_of_a_table_that_contradict_are_shown_in_their_file(tabled, tmp_path):
    own = tmp_path / "own.yaml"
    (tmp_path / "points.csv").write_text(TABLE + "256,256,901,20\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_architecture(own)
    (said,) = str(caught.value).splitlines()
    assert said.startswith(
        f"{tmp_path / 'points.csv'}:6:1: analog_cores.pcm.cost.points[4]: has the settings of point 3"
    )
    (tmp_path / "points.csv").write_text(TABLE + "256,256,900,20\n", encoding="utf-8")
    assert mvm_cost(load_architecture(own).core("pcm")).energy_pj == 900


def test_converters_of_a_table_that_contradict_are_refused():
    points = [{"bits": 8, "conversion_pj": pj, "conversion_ns": 1, "area_mm2": 0.001} for pj in (1, 2)]
    overrides = {f"{CORE}.cost.calibration": [], f"{CORE}.cost.adc": {"model": "table", "points": points}}
    with pytest.raises(SpecError, match=r"cost\.adc\.points\[1\]: has the settings of point 0 and other figures"):
        load_architecture("hermes_2d_components", overrides)


def test_a_table_core_can_be_written_as_one_file(tabled, tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text(resolved_yaml(tabled), encoding="utf-8")
    (tmp_path / "points.csv").unlink()
    assert load_architecture(path).digest == tabled.digest


def test_between_its_points_a_table_reads_as_scipy_reads_it(tabled):
    rows, cols = np.random.default_rng(0).uniform(64, 256, (2, 50))
    grid = scipy.interpolate.RegularGridInterpolator(([64, 256], [64, 256]), [[100.0, 300.0], [200.0, 900.0]])
    found = mvm_cost(tabled.core("pcm"), rows, cols).energy_pj
    assert found == pytest.approx(grid(np.stack([rows, cols], axis=-1)))  # other program: scipy


def test_each_design_reads_its_own_table(tabled):
    values = [900.0, 1200.0, 300.0]
    many = tabled.with_values({f"{CORE}.cost.points.3.energy_pj": values})
    found = mvm_cost(many.core("pcm"), 160, 200).energy_pj
    for one, value in zip(found, values, strict=True):
        alone = tabled.with_values({f"{CORE}.cost.points.3.energy_pj": value})
        assert one == pytest.approx(mvm_cost(alone.core("pcm"), 160, 200).energy_pj, rel=1e-12)


def test_a_model_on_a_table_core_is_priced_slice_by_slice(tabled):
    tile = tile_of(tabled.core("pcm"))
    found = of_matrix(tile, 500, 400)  # by hand: rows 250 + 250, columns 256 + 144
    expected = 2 * tile.mvm(250.0, 256.0).energy_pj + 2 * tile.mvm(250.0, 144.0).energy_pj
    assert found.energy_pj == pytest.approx(expected)


def test_a_calibration_alone_is_enough():
    # by hand: row and fixed energy through both points; nothing else is stated
    cost = {
        "model": "components",
        "calibration": [
            {"rows_driven": 64, "energy_pj": 1640, "time_ns": 100},
            {"rows_driven": 256, "energy_pj": 3560, "time_ns": 100},
        ],
    }
    core = load_architecture("hermes_2d", {f"{CORE}.cost": cost, f"{CORE}.read.pulse_ns": 10}).core("pcm")
    assert mvm_cost(core, 128, 256).energy_pj == pytest.approx(1000 + 128 * 10)
    assert mvm_cost(core).latency_ns == pytest.approx(100)


def test_energy_and_time_follow_voltage_and_node():
    core = "analog_cores.sram.cost"
    chip = load_architecture("wang_vlsi_2022")
    low = chip.with_values({f"{core}.supply_v": 0.7})
    # by hand: all but 4 % goes with the square, time with the power 1.1
    ratio = mvm_cost(low.core("sram")).energy_pj / mvm_cost(chip.core("sram")).energy_pj
    assert ratio == pytest.approx(0.49, abs=0.01)
    times = [mvm_cost(a.core("sram")).latency_ns for a in (low, chip)]
    assert times[0] / times[1] == pytest.approx((1 / 0.7) ** 1.1)
    smaller = chip.with_values({f"{core}.node_nm": 14})
    parts, base = mvm_cost(smaller.core("sram")).parts_pj, mvm_cost(chip.core("sram")).parts_pj
    assert parts["fixed periphery"] < base["fixed periphery"]  # logic
    assert (parts["ADC"], parts["array"]) == (base["ADC"], base["array"])  # neither noise-limited parts nor cells
