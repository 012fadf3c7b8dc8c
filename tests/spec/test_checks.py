import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.spec.checks import lowest_sigma
from dse.spec.document import merged
from dse.spec.node import plain
from dse.spec.read import read_value


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_lowest_sigma_is_no_higher_than_on_a_grid(coefficients: list[float]) -> None:
    lowest, at = lowest_sigma(coefficients)
    grid = np.polynomial.Polynomial(coefficients)(np.linspace(0, 1, 501))
    assert lowest <= float(grid.min()) + 1e-6 * max(1.0, *map(abs, coefficients))
    assert math.isclose(float(np.polynomial.Polynomial(coefficients)(at)), lowest, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ("{a: 1, b: 2}", "{b: 3, c: 4}", {"a": 1, "b": 3, "c": 4}),
        ("{a: {b: 1, c: 2}}", "{a: {c: 3}}", {"a": {"b": 1, "c": 3}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: [{name: x, b: 1}]}", "{a: [{name: x, c: 2}]}", {"a": [{"name": "x", "b": 1, "c": 2}]}),
        ("{a: [{name: x}]}", "{a: [{name: y}]}", {"a": [{"name": "x"}, {"name": "y"}]}),
        ("{a: [{name: x}]}", "{a: []}", {"a": []}),
        ("{a: [{name: x}]}", "{a: [{b: 1}]}", {"a": [{"b": 1}]}),
        ("{a: [{from: x, to: y, b: 1}]}", "{a: [{from: x, to: y, b: 2}]}", {"a": [{"from": "x", "to": "y", "b": 2}]}),
        ("{a: [{name: x}]}", "{a: [{name: x, b: 1}, {name: x}]}", {"a": [{"name": "x", "b": 1}, {"name": "x"}]}),
        ("{a: {model: p, b: 1}}", "{a: {model: q, c: 2}}", {"a": {"model": "q", "c": 2}}),
        ("{a: {model: p, b: 1}}", "{a: {model: p, c: 2}}", {"a": {"model": "p", "b": 1, "c": 2}}),
        ("{model: p, b: 1}", "{model: q}", {"model": "q", "b": 1}),
        ("{a: 1}", "{a: {b: 2}}", {"a": {"b": 2}}),
    ],
)  # fmt: skip
def test_extending_merges_maps_and_named_lists(base: str, over: str, result: object) -> None:
    assert plain(merged(read_value(base, "base"), read_value(over, "over"))) == result


def test_reading_specs_imports_no_heavy_library() -> None:
    heavy = "{'pandas', 'scipy', 'torch', 'matplotlib', 'networkx', 'pulp', 'highspy'}"
    code = f"import sys, dse.spec.kinds, dse.spec.schema, dse.spec.show; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
