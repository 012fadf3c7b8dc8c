"""The data behind the figures; no pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.cost.option import Option
from dse.mapping.model import Mapping
from dse.report import breakdown, expert_map, loss_curve, pareto, slices
from dse.report.front import front_of, knee_of
from dse.report.run import read_run


def designs(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.insert(0, "point", range(len(frame)))
    return frame.assign(status=frame.get("status", "ok"), on_front=True)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=30))
def test_the_front_is_what_no_other_design_beats(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    mask = front_of(x, y)
    distinct = set(pairs)
    # brute force over all pairs
    best = {(a, b) for a, b in distinct if not any((c <= a and d <= b) and (c, d) != (a, b) for c, d in distinct)}
    assert {(int(a), int(b)) for a, b in zip(x[mask], y[mask], strict=True)} == best
    assert mask.sum() == len(best)  # of equal designs one


def test_the_knee_is_farthest_below_the_chord() -> None:
    # by hand: logs to base 10 scaled: (0, 1), (0.5, 0.25), (0.75, 0.24), (1, 0); 1-x-y: 0.25 at the second
    assert knee_of([1, 10**0.5, 10**0.75, 10], [10**4, 10, 10**0.96, 1]) == 1
    assert knee_of([1, 10], [10, 1]) is None
    assert knee_of([1, 10**0.5, 10], [10, 10**0.5, 1]) is None  # on the chord
    assert knee_of([0, 1, 2], [5, 1, 0.5]) is None  # no logarithm of zero


def test_throughput_is_better_where_it_is_larger() -> None:
    view = pareto.prepare(
        designs(tokens_per_s=[1.0, 8.0, 10.0, 5.0], tokens_per_j=[10.0, 8.0, 1.0, 5.0]),
        x="tokens_per_s",
        y="tokens_per_j",
    )
    assert view.line["point"].tolist() == [0, 1, 2]
    assert view.knee == 1
    assert "#1" in pareto.conclude(view)


def test_infeasible_designs_never_enter_the_line_and_are_counted(make_run) -> None:
    run = read_run(make_run())
    view = pareto.prepare(run.points, reference=run.manifest.reference_point)
    assert view.n_hidden == 10  # by hand: 8 infeasible and 2 failed, without metrics
    assert set(view.line["point"]) <= set(run.ok["point"])
    assert view.knee in set(view.line["point"])
    assert "than the reference." in pareto.conclude(view)
    points = designs(latency_ns_per_step=[1.0, 2.0], energy_pj_per_token=[1.0, 2.0], status=["infeasible", "ok"])
    view = pareto.prepare(points)
    assert view.line["point"].tolist() == [1]
    assert len(view.table) == 2


def test_a_front_in_the_loss_has_no_knee_within_noise() -> None:
    loss = {"loss_increase_nats": [0.01, 0.02, 0.3], "loss_increase_high": [0.02, 0.03, 0.4]}
    energy = [100.0, 10.0, 9.0]
    sure = designs(energy_pj_per_token=energy, loss_increase_low=[0.005, 0.01, 0.2], **loss)
    assert pareto.prepare(sure, x=pareto.LOSS).knee == 1
    assert "a loss increase of 0.0200 [0.0100, 0.0300] nats" in pareto.conclude(pareto.prepare(sure, x=pareto.LOSS))
    unsure = designs(energy_pj_per_token=energy, loss_increase_low=[-0.005, 0.01, 0.2], **loss)
    assert pareto.prepare(unsure, x=pareto.LOSS).knee is None


def test_without_any_answer_the_front_says_so() -> None:
    points = designs(latency_ns_per_step=[np.nan], energy_pj_per_token=[np.nan], status=["failed"])
    view = pareto.prepare(points)
    assert view.knee is None
    assert "no front" in pareto.conclude(view)


def parts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "point": [1, 1, 1, 2],
            "component": ["links", "analog MVM", "analog MVM", "links"],
            "energy_pj_per_token": [1.0, 2.0, 5.0, 4.0],
            "evidence": ["assumed", "measured", "assumed", "measured"],
        }
    )


def test_breakdown_adds_up_and_orders_by_the_leading_design() -> None:
    view = breakdown.prepare(parts(), [2, 1, 3], leading=1)
    assert view.points == (2, 1)  # 3 has no breakdown
    assert view.components == ("analog MVM", "links")
    assert view.total_pj(1) == pytest.approx(8.0)  # by hand: 1 + 2 + 5
    assert sum(view.share(1, c) for c in view.components) == pytest.approx(1.0)
    assert view.assumed_share(1) == pytest.approx(0.75)  # by hand: (1 + 5) / 8
    assert breakdown.conclude(view, 1).startswith("Analog MVM is 88\u00a0% of the energy of design #1")  # by hand: 7/8


def test_experts_are_sorted_by_score_within_their_layer() -> None:
    scores = pd.DataFrame(
        {
            "block": ["layers.0.experts.0", "layers.0.experts.1", "layers.1.experts.0", "layers.0.attention"],
            "layer": [0, 0, 1, 0],
            "kind": ["expert", "expert", "expert", "attention"],
            "expert": [0, 1, 0, -1],
            "score": [1.0, 3.0, 2.0, 9.0],
        }
    )
    placement = {"layers.0.experts.1": Option("npu", "int8"), "layers.0.experts.0": Option("pcm", "analog")}
    mapping = Mapping(placement=placement, objective="energy", value=1.0, bound=1.0, status="optimal")
    view = expert_map.prepare(scores, mapping)
    assert view.score[0].tolist() == [3.0, 1.0]
    assert np.isnan(view.score[1, 1])  # layer 1 has one expert
    assert view.options[view.placed[0, 0]] == ("npu", "int8")
    assert view.options[view.placed[1, 0]] == ("", "")  # not in the mapping
    assert view.placed[1, 1] == expert_map.ABSENT
    assert view.digital_fraction.tolist() == [0.5, 0.0]
    assert "1 of 3 experts" in expert_map.conclude(view)
    colours = expert_map.option_colours(view.options)
    assert colours["", ""] == (1.0, 1.0, 1.0)


def test_loss_curve_has_every_draw_as_increase_over_digital(make_run) -> None:
    run = read_run(make_run())
    view = loss_curve.prepare(run.accuracy_summary, run.accuracy)
    assert view.scales == (1.0, 2.0)
    assert len(view.means) == 12  # by hand: 6 fractions x 2 scales
    assert len(view.draws) == 120  # by hand: 12 x 5 pairs x 2 signs
    centre = view.draws.groupby(["scale", "digital_fraction"])["increase"].mean().to_numpy()
    assert centre == pytest.approx(view.means["increase"].to_numpy())
    assert "At 1× programming noise the loss rises by 0.4" in loss_curve.conclude(view)
    assert (
        loss_curve.conclude(loss_curve.prepare(run.accuracy_summary.head(0), run.accuracy))
        == "Accuracy was not measured."
    )


def test_settings_measured_under_one_mapping_stay_apart(make_run) -> None:
    run = read_run(make_run())
    summary = pd.concat([run.accuracy_summary.assign(point=p) for p in (1, 2)])
    draws = pd.concat([run.accuracy.assign(point=p) for p in (1, 2)])
    assert len(loss_curve.prepare(summary, draws).means) == 24


def test_slices_compare_values_at_equal_settings() -> None:
    # the costly setting b=2 is infeasible at a=2: without matching, a=2 would look as cheap as a=1
    points = pd.DataFrame(
        {
            "point": range(4),
            "a": [1, 1, 2, 2],
            "b": [1, 2, 1, 2],
            "energy_pj_per_token": [10.0, 90.0, 20.0, np.nan],
            "status": ["ok", "ok", "ok", "infeasible"],
        }
    )
    view = slices.prepare(points, ["a", "b"], ["energy_pj_per_token"], marked=2)
    assert view.medians("a", "energy_pj_per_token").tolist() == [10.0, 20.0]
    assert view.medians("b", "energy_pj_per_token").tolist() == [10.0, 90.0]
    assert view.axes == ("b", "a")  # the larger effect first
    assert view.marked["number"].tolist() == [20.0, 20.0]
    assert slices.conclude(view).startswith("Energy moves most with b ")


def test_an_axis_without_a_second_value_is_left_out() -> None:
    points = designs(a=[1, 1], b=["x", "y"], energy_pj_per_token=[1.0, 1.0])
    view = slices.prepare(points, ["a", "b"], ["energy_pj_per_token"])
    assert view.axes == ("b",)
    assert slices.conclude(view) == "No swept axis moves a metric."
