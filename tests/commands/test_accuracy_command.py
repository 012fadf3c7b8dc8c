import json
from concurrent.futures import BrokenExecutor

import pytest

from dse.noise import measure

DESIGN = ("accuracy", "tiny_edge", "tiny_moe", "--rule", "all_analog", "--draws", "4", "--tokens", "256")


@pytest.fixture
def stop_after(monkeypatch):
    """Lets the user press Ctrl-C after some chips."""
    evaluate = measure.evaluate_chip

    def stop(chips):
        begun = []

        def evaluated(job):
            begun.append(job)
            if len(begun) > chips:
                raise KeyboardInterrupt
            return evaluate(job)

        monkeypatch.setattr(measure, "evaluate_chip", evaluated)

    yield stop
    monkeypatch.setattr(measure, "evaluate_chip", evaluate)


def test_everything_that_was_asked_for_is_shown(dse_at):
    asked = ("--half-width-nats", "0.05", "--yield-limit-nats", "0.1", "--margin-nats", "0.1")
    code, text, _ = dse_at(*DESIGN, *asked)
    assert code == 0
    shown = " ".join(text.split())
    assert "the first 4 chips asked for" in shown
    assert "independent chips lose at most 0.100 nats" in shown
    assert "59 passing chips would show 95 %" in shown
    assert "equivalent to all-digital within" in shown
    assert "MoE layer tokens rerouted SNR" in shown
    code, out, _ = dse_at(*DESIGN, *asked, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["status"] == "complete"
    assert document["first_draws"] == 4
    assert document["planned_draws"] == len(document["draws"])
    assert document["chip_yield"]["limit_nats"] == document["equivalence"]["margin_nats"] == 0.1
    assert len(document["layers"]) == 4
    assert len(document["expert_loads"]) == 4 * 32


def test_the_age_of_the_weights_is_shown_and_costs_loss(dse_at):
    code, text, _ = dse_at(*DESIGN, "--time-s", "86400")
    assert code == 0
    assert "weights 86400 s old" in " ".join(text.split())
    fresh, aged = (json.loads(dse_at(*DESIGN, "--time-s", age, "--json")[1]) for age in ("0", "86400"))
    assert (fresh["time_s"], aged["time_s"]) == (0.0, 86400.0)
    assert aged["summary"][0]["increase"] > fresh["summary"][0]["increase"]


def test_a_wanted_width_that_the_most_chips_do_not_reach_is_said(dse_at):
    code, text, _ = dse_at(*DESIGN, "--half-width-nats", "1e-6", "--max-draws", "6")
    assert code == 0
    assert "most chips allowed: ± 1.00e-6 nats wanted" in text
    assert "give a larger --max-draws" in " ".join(text.split())


def test_an_interrupted_run_keeps_its_chips_and_goes_on(dse_at, stop_after, tmp_path):
    stop_after(3)
    code, out, err = dse_at(*DESIGN, "--json")
    assert code == 130
    assert json.loads(out)["chips"] == 3
    assert "interrupted: 3 of 4 chips kept in" in " ".join(err.split())
    assert "run the same command again to go on" in " ".join(err.split())
    stop_after(1)  # only one is missing
    code, out, _ = dse_at(*DESIGN, "--json")
    assert code == 0
    assert len(json.loads(out)["draws"]) == 4
    assert not list((tmp_path / "cache" / "dse" / "accuracy").iterdir())  # complete, so nothing is left


def test_chips_in_a_folder_of_ones_own_stay(dse_at, stop_after):
    first = dse_at(*DESIGN, "--keep", "chips", "--json")[1]
    stop_after(0)  # none is missing
    code, out, _ = dse_at(*DESIGN, "--keep", "chips", "--json")
    assert code == 0
    assert json.loads(out)["draws"] == json.loads(first)["draws"]
    code, _, err = dse_at(*DESIGN, "--keep", "chips", "--scale", "2")
    assert code == 2
    assert "chips: holds the chips of another study (other scale); give another folder" in err


def test_the_time_limit_ends_with_code_4_and_what_is_known(dse_at, monkeypatch):
    seconds, evaluate = [0.0], measure.evaluate_chip

    def ten_seconds(job):
        seconds[0] += 10
        return evaluate(job)

    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    monkeypatch.setattr(measure, "evaluate_chip", ten_seconds)
    words = (*DESIGN, "--draws", "8", "--json", "--time-limit-s")
    code, out, err = dse_at(*words, "25")
    assert code == 4
    assert json.loads(out)["status"] == "time_limit"
    assert "time is over after 3 of 8 chips; an interval needs two whole pairs; they are kept in" in err
    code, out, err = dse_at(*words, "15")  # three are known, two more are begun at 0 and 10 s
    document = json.loads(out)
    assert code == 4
    assert (document["status"], document["planned_draws"], len(document["draws"])) == ("time_limit", 8, 4)
    assert "time limit: 4 of 8 chips kept in" in " ".join(err.split())


def test_a_lost_worker_is_told_of_and_the_chips_are_kept(dse_at, monkeypatch):
    def lost(job):
        raise BrokenExecutor

    monkeypatch.setattr(measure, "evaluate_chip", lost)
    code, _, err = dse_at(*DESIGN, "--keep", "chips")
    assert code == 2
    assert "a worker process was ended from outside" in err
    assert "kept in chips; run the same command again to go on" in err


BAD = [
    (
        ("--set", "analog_cores.pcm.dac.bits=1"),
        "analog_cores.pcm.dac.bits: accuracy needs inputs of 2 bits or more (got 1)",
    ),
    (("--half-width-nats", "0"), "--half-width-nats: give a number > 0 (got 0)"),
    (("--margin-nats", "-1"), "--margin-nats: give a number >= 0 (got -1)"),
    (("--yield-limit-nats", "inf"), "--yield-limit-nats: give a number that is finite (got inf)"),
    (("--max-draws", "2"), "--max-draws: chips come in antithetic pairs: give an even number >= 4 (got 2)"),
    (("--draws", "1"), "--draws: chips come in antithetic pairs: give an even number >= 4 (got 1)"),
    (
        ("--draws", "8", "--half-width-nats", "1", "--max-draws", "4"),
        "max_draws: is below draws, the first stage (4 < 8)",
    ),
    (("--tasks", "a,"), "--tasks: give names separated by commas (got 'a,')"),
    (("--task-path", "."), "task_path: names a folder, but no task of it is asked for"),
    (("--tasks", "a", "--task-path", "none"), "task_path: no such folder of task files: none"),
    (("--jobs", "0"), "--jobs: give a whole number >= 1 (got 0)"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[" ".join(options) for options, _ in BAD])
def test_bad_input_is_named(dse_at, options, message):
    code, _, err = dse_at(*DESIGN, *options)
    assert code == 2
    assert message in err


def test_a_limit_on_a_workload_without_weights_is_refused(dse_at):
    code, _, err = dse_at("accuracy", "server_pcm3d", "olmoe", "--yield-limit-nats", "0.1")
    assert code == 2
    assert "checkpoint: no weights, so accuracy cannot be measured" in err
