"""Models of converters and small periphery equal what was published of them."""

import numpy as np
import pytest

from dse import load_architecture
from dse.cost.converter import (
    capacitive_driver_pj,
    sar_column_pj,
    survey_adc_mm2,
    survey_adc_pj,
    switched_capacitor_adc_mm2,
    switched_capacitor_adc_ns,
    switched_capacitor_adc_pj,
)
from dse.cost.crossbar_components import mean_conductance_usiemens, resistive_cell_pj
from dse.cost.small_logic import adder_tree_full_adders, full_adder_pj, sram_mm2, sram_read_pj, sram_write_pj
from dse.cost.tile import mvm_cost, tile_area_mm2

FREE = "hermes_2d_components"
COST = "analog_cores.pcm.cost"


def core_with(adc, **values):
    overrides = {f"{COST}.calibration": [], f"{COST}.adc": adc} | {
        f"analog_cores.pcm.{k}": v for k, v in values.items()
    }
    return load_architecture(FREE, overrides).core("pcm")


@pytest.mark.parametrize(
    ("adc", "bits", "formula"),
    [
        (
            {"model": "survey", "conversion_ns": 100, "steps": "raw"},
            7,
            survey_adc_pj(bits=7.0, node_nm=14.0, conversion_ns=100.0, is_raw=True),
        ),
        (
            {"model": "sar_column", "column_ohm": 1e4, "area_mm2": 0},
            6,
            sar_column_pj(bits=6.0, node_nm=14.0, column_ohm=1e4, temperature_k=300.0),
        ),
        # by hand: (100 fF x 8 + 0.001 fF x 4^8) x 0.8 V squared
        ({"model": "switched_capacitor"}, 8, (800 + 0.001 * 65_536) * 0.64e-3),
        ({"model": "fixed", "conversion_pj": 1.667, "conversion_ns": 1, "area_mm2": 0}, 8, 1.667),
        # by hand: 8 steps of 0.3 pJ
        ({"model": "per_step", "step_pj": 0.3, "step_ns": 1, "area_mm2": 0}, 8, 2.4),
        # by hand: halfway between the two points
        (
            {
                "model": "table",
                "points": [
                    {"bits": 4, "conversion_pj": 1, "conversion_ns": 1, "area_mm2": 0},
                    {"bits": 8, "conversion_pj": 3, "conversion_ns": 1, "area_mm2": 0},
                ],
            },
            6,
            2.0,
        ),
    ],
)
def test_each_model_of_a_converter_spends_its_formula_in_a_tile(adc, bits, formula):
    core = core_with(adc, **{"adc.bits": bits})
    assert mvm_cost(core).parts_pj["ADC"] == pytest.approx(256 * formula, rel=1e-6)


def test_switched_capacitor_converter_equals_the_published_numbers():
    # other program: zigzag-imc, 8 bits, 0.9 V, 28 nm: 0.701 pJ, 2084 um2
    energy = switched_capacitor_adc_pj(bits=8.0, per_bit_ff=100.0, per_level_ff=0.001, supply_v=0.9)
    assert energy == pytest.approx(0.701084, rel=1e-6)
    assert switched_capacitor_adc_mm2(bits=8.0) == pytest.approx(2084e-6, rel=1e-3)
    # by hand: 8 x (0.00653 x 256 + 0.640)
    assert switched_capacitor_adc_ns(bits=8.0, rows=256.0) == pytest.approx(18.49344, rel=1e-6)


def test_survey_area_equals_the_coded_regression():
    # by hand at 14 nm, 10 MS/s, 0.362 pJ
    expected = np.exp(1.346192 + 0.9932795 * np.log(14) + 0.1807154 * np.log(1e7) + 0.2991243 * np.log(0.362)) * 1e-6
    assert survey_adc_mm2(node_nm=14.0, conversion_ns=100.0, energy_pj=0.362) == pytest.approx(expected, rel=1e-6)


def test_an_eight_bit_driver_spends_a_fraction_of_a_picojoule_not_a_thousand_times_more():
    # by hand: 50 fF x 8 x 0.81 V2 = 0.324 pJ; a public model lacks the milli of its DAC power and gives 1000 times more
    assert capacitive_driver_pj(bits=8.0, per_bit_ff=50.0, supply_v=0.9) == pytest.approx(0.324, rel=1e-6)
    # by hand: the row line of 512 columns at 0.35 fF on top, and nothing per bit for one bit
    line = capacitive_driver_pj(bits=1.0, per_bit_ff=50.0, supply_v=0.9, line_ff=0.35 * 512)
    assert line == pytest.approx(0.145152, rel=1e-6)


def test_small_logic_equals_the_published_numbers():
    # other program: zigzag-imc, 28 nm at 0.9 V: 3.40 fJ a full adder; by hand: 8 inputs of 8 bits: 72 - 12 adders
    assert full_adder_pj(supply_v=0.9) == pytest.approx(3.402e-3, rel=1e-6)
    assert adder_tree_full_adders(n_inputs=8.0, bits=8.0) == pytest.approx(60)


@pytest.mark.parametrize(
    ("kb", "bits", "read", "write", "area"),
    [(2, 64, 3.67, 4.32, 0.026), (16, 64, 11.4, 10.5, 0.122), (64, 256, 61.8, 67.1, 0.572), (256, 256, 138, 127, 1.68)],
)
def test_sram_fits_stay_within_their_stated_scatter(kb, bits, read, write, area):
    # other program: CACTI points of MNSIM's table, 45 nm; within 2.5 times the mean error of each fit
    size = {"capacity_kb": float(kb), "width_bits": float(bits), "node_nm": 45.0}
    assert sram_read_pj(**size) == pytest.approx(read, rel=2.5 * 0.19)
    assert sram_write_pj(**size) == pytest.approx(write, rel=2.5 * 0.125)
    assert sram_mm2(**size) == pytest.approx(area, rel=2.5 * 0.28)


def test_a_cell_expected_from_statistics_is_the_mean_over_inputs_and_weights():
    # by hand: Monte-Carlo of V2 x G x t with independent inputs and differential pairs, 25 uS, floor of 1 uS
    draw = np.random.default_rng(0)
    pulse, weight = draw.uniform(0, 1, 200_000), np.abs(draw.uniform(-1, 1, 200_000))
    conductance = (1 + 24 * weight) + 1
    sampled = np.mean(0.2**2 * conductance * 128 * pulse * 1e-3)
    expected = resistive_cell_pj(
        read_v=0.2,
        conductance_usiemens=mean_conductance_usiemens(
            g_max_usiemens=25.0, g_min_usiemens=1.0, weight_mean_abs_fraction=0.5, devices=2.0
        ),
        pulse_ns=128.0,
        pulse_fraction=0.5,
    )
    assert expected == pytest.approx(sampled, rel=0.01)


def test_isaac_keeps_the_published_parts_and_efficiency():
    # paper: Shafiee ISCA'16: tile 329.8 mW and 0.372 mm2 for 96 crossbars; 16 cycles of 100 ns; chip 41.3 TOPS
    arch = load_architecture("shafiee_isca_2016")
    core = arch.core("rram")
    cost = mvm_cost(core)
    assert cost.latency_ns == pytest.approx(1600)
    assert 96 * cost.energy_pj / cost.latency_ns == pytest.approx(329.8, rel=1e-3)
    assert 96 * tile_area_mm2(core) == pytest.approx(0.372, rel=1e-6)
    # by hand: 16 input bits x 128 columns of cells x 1.667 pJ
    assert cost.parts_pj["ADC"] == pytest.approx(16 * 128 * 1.667, rel=1e-6)
    # paper: 627.5 GOPS/W of the chip of 168 tiles and 65.8 W
    assert arch.n_tiles(core) * 2 * 128 * 16 / 1600 / 65.8 == pytest.approx(627.5, rel=1e-3)
