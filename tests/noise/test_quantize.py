import pytest
import torch

from dse.noise.quantize import quantize, step_size, top_code, usable

BOUND = torch.tensor(1.27)


@pytest.mark.parametrize(("bits", "top"), [(2, 1), (6, 31), (8, 127), (24, 8_388_607)])
def test_codes_run_symmetrically_over_two_to_the_b_minus_two_steps(bits, top):
    assert top_code(bits) == top  # by hand: (2**b - 2) / 2


def test_eight_bits_have_255_values_with_zero_and_both_ends():
    found = quantize(torch.linspace(-2, 2, 100_001), BOUND, 8).unique()
    assert len(found) == 255
    assert 0 in found
    assert found[0] == -BOUND
    assert found[-1] == BOUND


def test_step_is_two_bounds_over_254():
    assert step_size(BOUND, 8).item() == pytest.approx(2 * 1.27 / 254)


def test_quantisation_is_idempotent_and_antisymmetric():
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    once = quantize(x, BOUND, 8)
    assert torch.equal(quantize(once, BOUND, 8), once)
    assert torch.equal(quantize(-x, BOUND, 8), -once)


def test_error_is_at_most_half_a_step_inside_the_range():
    x = torch.linspace(-1.27, 1.27, 10_001)
    assert (quantize(x, BOUND, 8) - x).abs().max() <= 0.005 * (1 + 1e-4)


def test_a_range_that_was_never_used_takes_the_widest_of_its_row():
    found = usable(torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0]]))
    assert found.tolist() == [[2.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
