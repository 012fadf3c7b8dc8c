"""Components of a tile: published regressions, laws, calibration, a held-out point of a chip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse import load_architecture
from dse.cli import main
from dse.cost.band import AT_A_POINT, band_factor, figure_factor
from dse.cost.calibration import residuals
from dse.cost.converter import SAR_COLUMN, sar_column_pj, survey_adc_pj
from dse.cost.crossbar_components import COMPONENTS, REMAINDER
from dse.cost.datasheet import core_datasheet
from dse.cost.technology import logic_area_factor, logic_energy_factor
from dse.cost.tile import mvm_cost, tile_area_mm2
from dse.errors import SpecError
from dse.spec.show import resolved_yaml

COST = "analog_cores.pcm.cost"


@pytest.fixture(scope="module")
def arch():
    return load_architecture("hermes_2d_components")


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize(
    ("node_nm", "energies"),
    [(14.0, (0.195, 0.225, 0.362, 0.700, 1.516)), (28.0, (0.719, 0.829, 1.333, 2.575, 5.582))],
)
def test_survey_equals_the_published_regression(node_nm, energies, is_raw):
    # other program: Accelergy's ADC plug-in, 4, 6, 8, 10, 12 bits at 10 MS/s
    bits = np.array([4.0, 6.0, 8.0, 10.0, 12.0])
    found = survey_adc_pj(bits=bits, node_nm=node_nm, conversion_ns=100.0, is_raw=is_raw)
    assert found == pytest.approx(energies, abs=0.0005)


def test_survey_constants_are_exact():
    # by hand at 8 bits, 28 nm, 1 MS/s: SNDR 49.9257 dB, FOM 154.070892 dB
    scale = np.exp(26.04962 + 1.880037 * np.log(28) - 2.829126 * np.log(8) - 1.470202)
    found = survey_adc_pj(bits=8.0, node_nm=28.0, conversion_ns=1000.0, is_raw=True)
    assert found == pytest.approx(0.5 * 10 ** ((49.9257 - 154.070892) / 10) * scale, rel=1e-6)


@pytest.mark.parametrize("node_nm", SAR_COLUMN)
def test_column_converter_is_power_times_time(node_nm):
    # by hand: 8 bits at 1 kohm and 300 K: d exp(-3 k) W over 9 cycles of 1 ns
    a, c, d, k = SAR_COLUMN[node_nm]
    by_hand = ((a * 8 + c) * 1e-6 + d * np.exp(-3 * k)) * 9e-9 * 1e12
    found = sar_column_pj(bits=8.0, node_nm=node_nm, column_ohm=1000.0, temperature_k=300.0)
    assert found == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "energy", "area"), [(65, 14, 0.112, 0.12), (32, 14, 0.211, 0.38), (14, 7, 0.679, 0.34)]
)
def test_logic_scaling_equals_the_coded_tables(start, end, energy, area):
    # other program: hwcomponents' scaling, energies to 3 digits, areas to 2
    found = logic_energy_factor(from_nm=float(start), to_nm=float(end), from_v=0.8, to_v=0.8)
    assert found == pytest.approx(energy, abs=0.0006)
    assert logic_area_factor(from_nm=float(start), to_nm=float(end)) == pytest.approx(area, rel=0.06)


def test_the_calibrated_point_is_met_exactly(arch):
    core = arch.core("pcm")
    assert {r.quantity for r in residuals(core, core.cost)} == {"energy_pj", "time_ns", "area_mm2"}
    assert all(r.error_fraction == pytest.approx(0, abs=1e-9) for r in residuals(core, core.cost))


def test_the_four_phase_read_is_predicted_within_ten_per_cent(arch):
    # measured, not used in calibration: 16.1 TOPS and 2.48 TOPS/W of 64 cores, so 521 ns and 52.9 nJ a product
    four = mvm_cost(arch.with_values({"analog_cores.pcm.read.phases": 4}).core("pcm"))
    assert four.energy_pj == pytest.approx(131_072 / 2.48, rel=0.1)
    assert four.latency_ns == pytest.approx(64 * 131_072 / 16.1e3, rel=0.1)


def test_an_axis_moves_away_from_the_calibrated_point_through_the_formula(arch):
    moved = mvm_cost(arch.with_values({"analog_cores.pcm.adc.bits": [8, 10]}).core("pcm")).energy_pj
    assert moved[0] == pytest.approx(13_430)
    survey = [survey_adc_pj(bits=b, node_nm=14.0, conversion_ns=128.0, is_raw=False) for b in (8.0, 10.0)]
    assert moved[1] - moved[0] == pytest.approx(256 * (survey[1] - survey[0]))


def cost_with(arch, **values):
    core = {"adc_bits": "adc.bits", "adc_per_tile": "adc.per_tile", "rows": "rows", "phases": "read.phases"}
    paths = {f"analog_cores.pcm.{core[k]}" if k in core else f"{COST}.{k}": v for k, v in values.items()}
    return arch.with_values(paths).core("pcm")


@given(
    adc_bits=st.integers(4, 14), adc_per_tile=st.integers(1, 512), rows=st.integers(1, 1024), phases=st.integers(1, 8)
)
def test_laws_of_one_product(arch, adc_bits, adc_per_tile, rows, phases):
    at = {"adc_bits": adc_bits, "adc_per_tile": adc_per_tile, "rows": rows, "phases": phases}
    core = cost_with(arch, **at)
    cost = mvm_cost(core)
    assert set(cost.parts_pj) <= set(COMPONENTS)
    assert all(value >= 0 for value in cost.parts_pj.values())
    assert sum(cost.parts_pj.values()) == cost.energy_pj
    assert mvm_cost(cost_with(arch, **{**at, "adc_bits": adc_bits + 1})).energy_pj > cost.energy_pj
    assert mvm_cost(cost_with(arch, **{**at, "rows": rows + 1})).energy_pj > cost.energy_pj
    assert mvm_cost(cost_with(arch, **{**at, "adc_per_tile": (adc_per_tile + 1) // 2})).latency_ns >= cost.latency_ns
    both = cost_with(arch, **{key: [value, value + 1] for key, value in at.items()})
    assert mvm_cost(both).energy_pj[0] == pytest.approx(cost.energy_pj, rel=1e-12)
    assert mvm_cost(both).latency_ns[0] == pytest.approx(cost.latency_ns, rel=1e-12)
    assert np.broadcast_to(tile_area_mm2(both), 2)[0] == pytest.approx(tile_area_mm2(core), rel=1e-12)


def test_energy_rises_with_voltage_where_nothing_is_calibrated(arch):
    free = load_architecture("hermes_2d_components", {f"{COST}.calibration": []})
    for path in (f"{COST}.supply_v", f"{COST}.cell.read_v"):
        energy = mvm_cost(free.with_values({path: [0.4, 0.6, 0.8]}).core("pcm")).energy_pj
        assert np.all(np.diff(energy) > 0)
    assert arch.digest != free.digest


POINT = {"energy_pj": 13430, "time_ns": 132.9}


def test_two_points_give_row_and_fixed_energy():
    # by hand: a second point made from the same line has no residual
    points = [POINT, {"phases": 4, "energy_pj": 4 * 13_430 - 3 * 500, "time_ns": 531.6}]
    overrides = {f"{COST}.calibration": points, f"{COST}.free": {"energy": ["row", "fixed"], "time": ["conversion"]}}
    core = load_architecture("hermes_2d_components", overrides).core("pcm")
    alone = load_architecture("hermes_2d_components", {f"{COST}.calibration": []}).core("pcm")
    explained = mvm_cost(alone).energy_pj
    assert mvm_cost(core).parts_pj[REMAINDER] == pytest.approx(13_430 - explained)
    assert mvm_cost(core, 128).parts_pj[REMAINDER] == pytest.approx((13_430 - 500 - explained) / 2 + 500)
    assert all(r.error_fraction == pytest.approx(0, abs=1e-9) for r in residuals(core, core.cost))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"cost.free.energy": ["row", "fixed"]}, "fewer than the 2 free parameters row, fixed"),
        ({"cost.calibration": [POINT, POINT | {"energy_pj": 2}]}, "has the settings of point 0"),
        ({"cost.calibration": [POINT | {"rows_driven": 300}]}, "exceeds rows = 256 of its array .got 300."),
        ({"adc.bits": 3}, "begins at 4 bits"),
        ({"cost.adc": {"model": "sar_column", "column_ohm": 1e4, "area_mm2": 0}, "cost.node_nm": 28}, "7, 14 and 22"),
        ({"cost.scaled_from": {"node_nm": 180, "supply_v": 0.8}}, "from 7 to 130 nm"),
        ({"cost.supply_v": 0.3}, "holds from 0.4 to 1.2 V"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_with_a_remedy(overrides, message):
    with pytest.raises(SpecError, match=message) as caught:
        load_architecture("hermes_2d_components", {f"analog_cores.pcm.{k}": v for k, v in overrides.items()})
    assert all(problem.path.startswith("analog_cores.pcm.") for problem in caught.value.problems)


@pytest.mark.parametrize("values", [{f"{COST}.cell.read_v": 2.0}, {f"{COST}.adc.conversion_ns": 140.0}])
def test_formulas_above_the_published_total_are_refused(arch, values):
    with pytest.raises(SpecError, match=r"more \w+ than this published figure; lower them"):
        mvm_cost(arch.with_values(values).core("pcm"))


def test_points_that_do_not_determine_what_is_free_are_refused():
    points = [POINT, POINT | {"cols_used": 128, "energy_pj": 9000}]
    overrides = {f"{COST}.calibration": points, f"{COST}.free.energy": ["row", "fixed"]}
    with pytest.raises(SpecError, match="2 points with energy_pj cannot determine row_pj, fixed_pj; add points"):
        mvm_cost(load_architecture("hermes_2d_components", overrides).core("pcm"))


@pytest.mark.parametrize("words", [("check",), ("core",), ("evaluate", "tiny_moe")])
def test_a_calibration_that_is_not_determined_is_shown_in_its_file(tmp_path, capsys, words):
    points = [POINT, POINT | {"cols_used": 128, "energy_pj": 9000}]
    overrides = {f"{COST}.calibration": points, f"{COST}.free.energy": ["row", "fixed"]}
    file = tmp_path / "own.yaml"
    file.write_text(resolved_yaml(load_architecture("hermes_2d_components", overrides)))
    command, *others = words
    assert main([command, str(file), *others]) == 2
    place, _, said = capsys.readouterr().err.partition(": analog_cores.pcm.cost.free.energy: ")
    assert "cannot determine row_pj, fixed_pj; add points" in said
    name, line, column = place.rsplit(":", 2)
    assert name == str(file)
    assert file.read_text().splitlines()[int(line) - 1][int(column) - 1 :].startswith(("[row, fixed]", "row, fixed]"))


def test_a_published_figure_below_the_formulas_is_shown_at_its_place(tmp_path, capsys):
    file = tmp_path / "own.yaml"
    text = resolved_yaml(load_architecture("hermes_2d_components"))
    file.write_text(text.replace("energy_pj: {value: 13430.0", "energy_pj: {value: 3.0"))
    assert main(["core", str(file)]) == 2
    place, _, said = capsys.readouterr().err.partition(": analog_cores.pcm.cost.calibration[0].energy_pj: ")
    assert "than this published figure; lower them" in said
    line, column = (int(number) for number in place.rsplit(":", 2)[1:])
    assert file.read_text().splitlines()[line - 1][column - 1 :].startswith(("3.0", "{value: 3.0"))


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("legallo_natelectron_2023", "pcm"), ("wan_nature_2022", "rram"), ("yao_esserc_2024", "rram"),
        ("li_asscc_2025", "rram"), ("shafiee_isca_2016", "rram"), ("ankit_asplos_2019", "rram"),
    ],
)  # fmt: skip
def test_the_band_of_formulas_alone_holds_what_is_published(name, core):
    # known: calibrated, the files meet the published energy and area
    known = core_datasheet(load_architecture(name).core(core))
    alone = load_architecture(name, {f"analog_cores.{core}.cost.calibration": []}).core(core)
    for figure in ("mvm_energy_pj", "area_mm2"):
        found, band = getattr(core_datasheet(alone), figure), figure_factor(alone, figure)
        assert found / band <= getattr(known, figure) <= found * band


def test_points_that_no_formula_can_follow_widen_the_band():
    # by hand: energies that fall with the rows driven leave one constant x for 150 and 100; least squares of x/150 - 1
    # and x/100 - 1 give x = (1/150 + 1/100) / (1/150**2 + 1/100**2) = 115.38, off by a factor 1.3 at the first point
    power = [{"rows_driven": r, "power_mw": p, "time_ns": 23.08} for r, p in ((128, 150), (512, 100))]
    path = "analog_cores.rram.cost"
    arch = load_architecture("yao_esserc_2024", {f"{path}.calibration": power, f"{path}.adc.step_pj": 0})
    core = arch.core("rram")
    assert band_factor(core, "energy") == pytest.approx(1.3)
    assert band_factor(core, "energy", 512, 32) > 1.3
    assert band_factor(core, "time") == AT_A_POINT


def test_the_area_of_a_tile_is_as_sure_at_any_fill():
    core = load_architecture("sinangil_jssc_2021").core("sram")
    assert band_factor(core, "area", 8, 4) == AT_A_POINT < band_factor(core, "energy", 8, 4)
    density = figure_factor(core, "tops_per_mm2", 8, 4)
    assert density == pytest.approx(float(band_factor(core, "time", 8, 4) * AT_A_POINT))


def test_what_a_core_was_calibrated_on_is_said(capsys):
    assert main(["core", "yao_esserc_2024"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for index, rows in enumerate((128, 512)):  # paper: Yao 2024, Figs. 9, 10
        point = f"point {index}: {rows} rows x 64 columns, read phases 1, bits 4 in, 8 out, 0.9 V; [measured] Yao 2024"
        assert point in said


def test_settings_that_move_nothing_are_named(capsys):
    # known: the file of this chip states no energy of drivers and converters, that of HERMES does
    for name, is_said in (("sinangil_jssc_2021", True), ("legallo_natelectron_2023", False)):
        assert main(["core", name]) == 0
        assert ("follows dac.bits, adc.bits" in capsys.readouterr().out) is is_said


def test_how_long_a_pulse_lasts_and_what_sets_the_time_is_said(capsys):
    assert main(["core", "legallo_natelectron_2023"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "its time: the longer of input pulses and settling + conversion" in said
    assert "read.pulse_ns = 128 ns at any dac.bits, now 1.01 ns a level" in said  # by hand: 128 / (2**7 - 1)
    assert main(["core", "wan_nature_2022"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "its time: the sum" in said
    assert "a level" not in said


def test_core_command_prints_parts_and_calibration(capsys):
    assert main(["core", "hermes_2d_components", "--rows-used", "128", "--cols-used", "64"]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in ("DAC", "array", "ADC", "calibrated (energy: row", "128 rows x 64 columns"))
    assert max(len(line) for line in text.splitlines()) <= 80
