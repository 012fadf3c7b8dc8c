"""``dse import hf``: text, JSON, the workload it writes, and bad input."""

import dataclasses
import json

import pytest

from dse import load_workload
from dse.cli import main
from dse.spec.shipped import shipped_root

FOLDERS = ["deepseek_moe_16b", "deepseek_v3", "glm45_air", "gpt_oss_120b", "kimi_k2", "mixtral_8x7b", "olmoe_1b_7b",
           "qwen3_30b_a3b"]  # fmt: skip
PARAMETERS = {
    "total", "active_without_embedding_and_head", "active_with_head", "active_with_embedding_and_head",
    "attention_per_layer", "router_per_moe_layer", "shared_per_moe_layer", "one_expert", "routed_experts_all",
    "n_moe_layers", "n_dense_layers", "kv_cache_elements_per_token",
}  # fmt: skip
CROSSBARS = {
    "one_expert", "shared_per_moe_layer", "attention_per_layer", "router_per_moe_layer", "all_routed_experts",
    "active_per_token", "lm_head",
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(["import", "hf", *map(str, words)])
        return (code, *capsys.readouterr())

    return call


def config(name):
    return shipped_root() / "workloads" / name / "config.json"


@pytest.mark.parametrize("name", FOLDERS)
def test_json_has_every_count(name, run):
    code, out, _ = run(config(name), "--array", 512, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["parameters"].keys() >= PARAMETERS
    assert document["crossbars"].keys() >= CROSSBARS
    assert "crossbars" not in json.loads(run(config(name), "--json")[1])


def test_olmoe_has_the_known_figures(run):
    document = json.loads(run(config("olmoe_1b_7b").parent, "--array", 512, "--json")[1])
    # transformers 5.23: 6 919 161 856; paper: arXiv 2603.02633: 4 160 products per token
    assert document["parameters"]["total"] == 6_919_161_856
    assert document["crossbars"]["active_per_token"] == 4_160


@pytest.mark.parametrize("name", FOLDERS)
def test_text_fits_80_columns_and_shows_the_total(name, run):
    code, out, _ = run(config(name), "--array", 256)
    total = json.loads(run(config(name), "--json")[1])["parameters"]["total"]
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert f"{total:,}".replace(",", " ") in out
    assert "…" not in out


@pytest.mark.parametrize("name", FOLDERS)
def test_the_workload_it_writes_stands_on_its_own(name, run, tmp_path):
    code, _, err = run(config(name), "-o", "mine.yaml")
    assert code == 0
    assert "wrote mine.yaml" in err
    written = load_workload(tmp_path / "mine.yaml")
    shipped = next(w for w in map(load_workload, [name.removesuffix("_1b_7b")]))
    assert dataclasses.replace(written.model, name="") == dataclasses.replace(shipped.model, name="")
    assert written.scenario.batch == 32
    assert written.sensitivity.rule == "random"


def test_a_folder_gets_a_file_of_the_models_name(run, tmp_path):
    (tmp_path / "out").mkdir()
    run(config("kimi_k2"), "-o", "out")
    assert load_workload(tmp_path / "out" / "kimi_k2.yaml").model.n_experts == 384


def test_what_was_left_out_stands_on_stderr_and_in_the_document(run):
    _, out, err = run(config("deepseek_v3"), "--json")
    assert json.loads(out)["notes"] == ["the prediction module (num_nextn_predict_layers) is left out"]
    assert "note: the prediction module" in err
    assert "note" not in run(config("deepseek_v3"), "--json", "-q")[2]


def test_bad_input_is_exit_code_2_with_key_and_place(run, tmp_path):
    (tmp_path / "config.json").write_text('{\n  "model_type": "qwen3_next",\n  "num_experts": 512\n}')
    code, _, err = run(".")
    assert code == 2
    assert err.startswith("config.json:2:3: model_type: ")
    assert "nearest supported: qwen3_moe" in err
    code, out, _ = run("config.json", "--json")
    problem = json.loads(out)["problems"][0]
    assert (code, problem["line"], problem["path"]) == (2, 2, "model_type")


@pytest.mark.parametrize("words", [["nowhere"], ["config.json", "--array", "0"]])
def test_wrong_arguments_are_exit_code_2(words, run):
    assert run(*words)[0] == 2
