import numpy as np
import pytest

from dse.devices.ir_drop import Sides, column_transfer, ladder_transfer, row_transfer, with_ir_drop
from dse.spec.array_effects import LinearNetwork

G_MAX = 25.0


def network(column=1.0, row=0.0, columns="separate"):
    return LinearNetwork(model="linear_network", column_ohm=column, row_ohm=row, columns=columns)


def pair(weight):
    largest = np.abs(weight).max()
    return Sides(np.maximum(weight, 0) / largest, np.maximum(-weight, 0) / largest), largest


def products(weight, x, **wires):
    sides, largest = pair(weight)
    found = with_ir_drop(sides, network(**wires), g_max_usiemens=G_MAX)
    return x @ ((found.plus - found.minus) * largest).T


def test_without_resistance_every_node_has_the_full_voltage():
    assert np.array_equal(ladder_transfer(np.random.default_rng(0).random((7, 3)), 0.0), np.ones((7, 3)))


def test_a_column_of_two_cells_by_hand():
    # by hand: ρ = 1, d = 1: node 1 sees 1 beyond one segment, so H_1 = 1, H_2 = 1 + 1/2;
    # u_2 = 1 / (1 + 3/2) = 0.4, u_1 = u_2 / (1 + 1) = 0.2
    np.testing.assert_allclose(ladder_transfer(np.ones((2, 1)), 1.0)[:, 0], [0.2, 0.4])


@pytest.mark.parametrize("resistance", [1e-5, 1e-2, 3.0])
def test_the_ladder_solves_the_nodal_equations(resistance):
    load = np.random.default_rng(1).random((40, 5))
    found = ladder_transfer(load, resistance)
    for wire in range(5):
        matrix = np.diag(load[:, wire] * resistance)  # brute force: dense nodal matrix times ρ
        matrix += np.diag([1.0, *[2.0] * 39]) - np.eye(40, k=1) - np.eye(40, k=-1)
        exact = np.linalg.solve(matrix, np.eye(40)[:, -1])
        np.testing.assert_allclose(found[:, wire], exact, rtol=1e-10)


def test_single_precision_is_good_to_five_digits():
    load = np.random.default_rng(1).random((512, 8))
    found = ladder_transfer(load.astype(np.float32), 1e-4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ladder_transfer(load, 1e-4), rtol=1e-5)


def test_every_effective_conductance_is_smaller_and_falls_with_the_resistance():
    sides, _ = pair(np.random.default_rng(2).standard_normal((30, 20)))
    before = sides
    for ohm in (10.0, 100.0, 1000.0):
        now = with_ir_drop(sides, network(ohm, ohm), g_max_usiemens=G_MAX)
        assert all(np.all(b <= a) for a, b in zip(before, now, strict=True))
        before = now
    assert np.all(before.plus[sides.plus > 0] > 0)


def test_the_converter_stands_at_the_last_input_and_the_driver_at_the_first_output():
    g = np.full((6, 9), 0.5)
    assert np.all(np.diff(column_transfer([g], 0.01)[0], axis=1) > 0)
    assert np.all(np.diff(row_transfer([g], 0.01)[0], axis=0) < 0)


def test_interleaved_columns_lose_what_one_column_with_both_devices_loses():
    g = np.random.default_rng(3).random((4, 5)) / 2
    both = with_ir_drop(Sides(g, g), network(1000, columns="interleaved"), g_max_usiemens=G_MAX)
    doubled = with_ir_drop(Sides(2 * g, None), network(1000), g_max_usiemens=G_MAX)
    np.testing.assert_allclose(2 * both.plus, doubled.plus)
    assert doubled.minus is None


CROSSSIM = {  # other program: CrossSim at 0a2eb1e (nodal solver, threshold 2e-5), 25 uS, the arrays of the test below
    (128, 1.0, "column", "separate", "normal"): 0.015203,
    (128, 1.0, "both", "separate", "normal"): 0.028161,
    (128, 1.0, "column", "interleaved", "normal"): 0.028966,
    (128, 1.0, "both", "interleaved", "normal"): 0.041387,
    (256, 1.0, "column", "separate", "normal"): 0.051353,
    (256, 1.0, "both", "separate", "normal"): 0.096622,
    (256, 1.0, "column", "interleaved", "normal"): 0.096357,
    (256, 1.0, "both", "interleaved", "normal"): 0.138306,
    (256, 4.0, "both", "separate", "normal"): 0.308930,
    (256, 4.0, "both", "interleaved", "normal"): 0.403610,
    (256, 4.0, "both", "separate", "t4"): 0.074343,
    (512, 0.35, "both", "separate", "normal"): 0.116360,
    (512, 0.35, "both", "interleaved", "normal"): 0.165913,
    (512, 1.0, "both", "separate", "normal"): 0.280183,
    (512, 1.0, "both", "interleaved", "normal"): 0.371522,
}


@pytest.mark.parametrize(("case", "expected"), CROSSSIM.items(), ids=str)
def test_the_error_of_products_is_that_of_an_iterative_solver(case, expected):
    n, ohm, wires, columns, law = case
    rng = np.random.default_rng(20260)
    weight = 0.02 * (rng.standard_normal((n, n)) if law == "normal" else rng.standard_t(4, (n, n)))
    x = rng.standard_normal((4, n))
    exact = x @ weight.T
    found = products(weight, x, column=ohm, row=ohm if wires == "both" else 0.0, columns=columns)
    assert np.linalg.norm(found - exact) / np.linalg.norm(exact) == pytest.approx(expected, rel=0.005)
