"""Real tasks, offline: questions in a local file, asked of the shipped trained model by the evaluation harness."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("lm_eval")

from dse import check_accuracy, load_architecture, load_workload
from dse.errors import SpecError
from dse.mapping.baseline import rule_mapping
from dse.noise import evaluate_tasks, load_tokenizer
from dse.noise.bench import bench_key, load_bench
from dse.noise.metrics import multiple_choice_fraction
from dse.noise.tasks import HarnessModel, metrics_of
from dse.sensitivity.score import score_blocks

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the harness and its data library warn of their own future
    pytest.mark.slow,
]
ITEMS = 40

CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: {kind}
test_split: test
doc_to_text: "{{{{context}}}}"
doc_to_target: {target}
{choice}target_delimiter: ""
metric_list:
{metrics}
metadata: {{version: 1.0}}
"""
METRIC = "  - {{metric: {}, aggregation: {}, higher_is_better: true}}"


@pytest.fixture(scope="module")
def workload():
    return load_workload("tiny_moe")


@pytest.fixture(scope="module")
def folder(workload, tmp_path_factory):
    """The questions of the shipped file, as the harness reads tasks."""
    folder = tmp_path_factory.mktemp("tasks")
    lines = workload.multiple_choice.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    rows = [{name: r[name] for name in ("context", "choices", "answer")} for r in records]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def write(name, kind, target, metrics, choice=""):
        text = CHOICE.format(
            name=name, kind=kind, target=target, choice=choice, file=folder / "items.jsonl",
            metrics="\n".join(METRIC.format(*metric) for metric in metrics),
        )  # fmt: skip
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    accuracy = [("acc", "mean"), ("acc_norm", "mean")]
    write("go_on", "multiple_choice", "answer", accuracy, "doc_to_choice: choices\n")
    write("go_on_again", "multiple_choice", "answer", accuracy[:1], "doc_to_choice: choices\n")
    write("fluency", "loglikelihood_rolling", '"{{context}}"', [("byte_perplexity", "weighted_perplexity")])
    write("write_on", "generate_until", '"{{context}}"', [("exact_match", "mean")])
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Data comes from the file or not at all; nothing is left in the user's cache."""
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture(scope="module")
def bench(workload):
    return load_bench(bench_key(workload, n_tokens=256, n_items=ITEMS, needs_ranges=False))


@pytest.fixture(scope="module")
def tokenizer(workload):
    return load_tokenizer(workload.checkpoint)


def test_the_harness_and_our_own_metric_agree_on_the_same_questions(bench, tokenizer, folder, workload):
    found = evaluate_tasks(bench.model, tokenizer, ["go_on"], task_path=folder, n_items=ITEMS)
    assert set(found) == {"go_on.acc", "go_on.acc_norm"}
    assert found["go_on.acc"] == multiple_choice_fraction(bench.model, bench.items)
    assert found["go_on.acc"] > 0.5  # chance 0.25


def test_several_tasks_have_a_mean(bench, tokenizer, folder):
    found = evaluate_tasks(bench.model, tokenizer, ["go_on", "go_on_again"], task_path=folder, n_items=8)
    assert found["tasks.acc"] == found["go_on.acc"] == found["go_on_again.acc"]


def test_whole_texts_are_scored_by_their_probability(bench, tokenizer, folder):
    found = evaluate_tasks(bench.model, tokenizer, ["fluency"], task_path=folder, n_items=8)
    harness = HarnessModel(bench.model, tokenizer)
    texts = [json.loads(line)["context"] for line in (folder / "items.jsonl").read_text().splitlines()[:8]]
    nats = sum(harness.rolling(text) for text in texts)
    n_bytes = sum(len(text.encode()) for text in texts)
    assert found["fluency.byte_perplexity"] == pytest.approx(math.exp(-nats / n_bytes))
    assert 1.5 < found["fluency.byte_perplexity"] < 8


def test_what_is_longer_than_the_context_loses_its_beginning(bench, tokenizer):
    harness = HarnessModel(bench.model, tokenizer)
    text = list(np.random.default_rng(0).integers(1, 1000, 400))
    cut = harness._loglikelihood_tokens([(None, text[:390], text[390:])])
    # by hand: 256 + 1 tokens fit, the last of which is only predicted
    assert cut == harness._loglikelihood_tokens([(None, text[-257:-10], text[-10:])])


def test_noisy_chips_answer_tasks_with_an_interval(workload, folder):
    arch = load_architecture("tiny_edge")
    mapping = rule_mapping(arch, workload, score_blocks(workload), rule="all_analog")
    report = check_accuracy(arch, workload, mapping, draws=4, scale=4.0, n_tokens=256,
                            tasks=["go_on"], task_path=folder, task_items=ITEMS)  # fmt: skip
    row = report.metric("go_on.acc")
    assert report.digital["go_on.acc"] == row["digital"]
    assert report.draws["go_on.acc"].nunique() > 1
    assert row["increase_low"] < row["increase"] < row["increase_high"]
    assert any(name.startswith("task file go_on.yaml") for name in report.digests)


BAD = [
    (["nothing"], r"tasks: nothing: no task of the evaluation harness and not in "),
    (["write_on"], "write_on: needs generated text; only tasks scored by probability are supported"),
    (["broken"], r"tasks broken: their data cannot be read \("),
    ([], "tasks: name at least one"),
]


@pytest.mark.parametrize(("names", "message"), BAD)
def test_tasks_that_cannot_be_asked_are_named(bench, tokenizer, folder, names, message):
    text = (
        (folder / "go_on.yaml").read_text().replace("task: go_on", "task: broken").replace("items.jsonl", "none.jsonl")
    )
    (folder / "broken.yaml").write_text(text)
    with pytest.raises(SpecError, match=message):
        evaluate_tasks(bench.model, tokenizer, names, task_path=folder)


def test_a_checkpoint_without_tokenizer_is_named(tmp_path):
    with pytest.raises(SpecError, match="no tokenizer that transformers can load"):
        load_tokenizer(tmp_path)


def test_a_name_that_stands_for_several_tasks_gives_all_of_them():
    results = {"x1": {"acc,none": 0.2, "alias": "x1"}, "x2": {"acc,none": 0.4, "acc_stderr,none": 0.1}}
    assert metrics_of(results, ["x"]) == pytest.approx({"x1.acc": 0.2, "x2.acc": 0.4, "tasks.acc": 0.3})
