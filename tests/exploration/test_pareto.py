import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dse import pareto_mask


def by_definition(values, signs):
    table = np.asarray(values, float) * signs
    mask = []
    for row in table:
        if np.isnan(row).any():
            mask.append(False)
            continue
        better = np.all(table <= row, axis=1) & np.any(table < row, axis=1)
        mask.append(not better.any())
    return mask


@given(st.integers(1, 4).flatmap(lambda d: arrays(float, st.tuples(st.integers(1, 60), st.just(d)),
                                                  elements=st.integers(0, 6).map(float))))  # fmt: skip
def test_mask_is_the_definition_of_dominance(values):
    directions = ["min", "max", "min", "max"][: values.shape[1]]
    signs = [1 if d == "min" else -1 for d in directions]
    assert pareto_mask(values, directions).tolist() == by_definition(values, signs)


def test_rows_with_nan_are_never_on_the_front():
    assert pareto_mask([[1.0, np.nan], [2.0, 2.0]], ["min", "min"]).tolist() == [False, True]


def test_another_word_for_a_direction_is_refused():
    with pytest.raises(ValueError, match="a direction is 'min' or 'max' \\(got 'minimize'\\)"):
        pareto_mask([[1, 2]], ["minimize", "max"])


def test_wrong_number_of_directions_is_refused():
    with pytest.raises(ValueError, match="one column per direction"):
        pareto_mask([[1, 2]], ["min"])
