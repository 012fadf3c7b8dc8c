"""Every number of every evaluation opens to parts that add up to it, down to leaves with a formula and their terms."""

import numpy as np
import pytest
from hypothesis import given

from dse.evaluation.explain import METRICS, explain_design
from dse.evaluation.spreads import METRICS as SAMPLED
from dse.evaluation.uncertainty import uncertainty

from .strategies import designs, law


def stated(result, metric):
    value = getattr(result, metric)
    return value["bytes_per_token"].sum() if metric == "bytes_per_token" else value


@law(25)
@given(designs())
def test_every_number_opens_to_parts_that_add_up_to_it(design):
    explanation = explain_design(design.arch, design.work, design.mapping)
    for metric in METRICS:
        tree = explanation.tree(metric)
        assert tree.value == pytest.approx(stated(design.result, metric), rel=1e-9)
        for node in tree.nodes():
            assert node.recomputed == pytest.approx(node.value, rel=1e-9), f"{metric}: {node.name}"
            assert 0 <= node.assumed_fraction <= 1
    for tree in (explanation.energy, explanation.latency, explanation.area):
        for leaf in tree.leaves() if tree.value else ():
            assert leaf.formula, leaf.name
            assert leaf.terms, leaf.name


@law(8)
@given(designs())
def test_the_stated_value_lies_between_low_and_high(design):
    found = uncertainty(design.arch, design.work, design.mapping, n_samples=64)
    for metric in SAMPLED:
        low, high = found.extremes[metric]
        nominal = found.nominal[metric]
        assert nominal == pytest.approx(getattr(design.result, metric), rel=1e-9)
        assert low <= nominal * (1 + 1e-9)
        assert high >= nominal * (1 - 1e-9)
        assert np.all(np.isfinite(found.samples[metric]))
