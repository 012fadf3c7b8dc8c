"""Reading config.json: exact counts of released models, every spelling, and what is refused, with its place."""

import copy
import dataclasses
import json

import pytest

from dse.errors import SpecError
from dse.importers.families import FAMILIES, REFUSED, SUPPORTED
from dse.importers.huggingface import import_config, read_config
from dse.spec.shipped import shipped_root
from dse.workload.parameters import crossbar_counts, parameter_counts

FACTS = json.loads((shipped_root() / "validation" / "released_models.json").read_text(encoding="utf-8"))
MODELS, EDITED = FACTS["models"], FACTS["edited"]
OLMOE, MIXTRAL = "allenai/OLMoE-1B-7B-0924", "mistralai/Mixtral-8x7B-v0.1"
QWEN3, QWEN2 = "Qwen/Qwen3-30B-A3B", "Qwen/Qwen1.5-MoE-A2.7B"
V3, KIMI, GLM = "deepseek-ai/DeepSeek-V3", "moonshotai/Kimi-K2-Instruct", "zai-org/GLM-4.5-Air"
OSS, PHI = "openai/gpt-oss-20b", "microsoft/Phi-3.5-MoE-instruct"
SCOUT, MAVERICK = "meta-llama/Llama-4-Scout-17B-16E", "meta-llama/Llama-4-Maverick-17B-128E"
GONE = object()


@pytest.fixture
def write(tmp_path):
    def to_file(config):
        path = tmp_path / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2), encoding="utf-8")
        return path

    return to_file


def config_of(model, changes=None):
    """A released configuration with other values; GONE takes a key out."""
    config = copy.deepcopy(MODELS[model]["config"])
    fields = config.get("text_config", config)
    for key, value in ({} if changes is None else changes).items():
        if value is GONE:
            del fields[key]
        else:
            fields[key] = value
    return config


def problems_of(path):
    with pytest.raises(SpecError) as caught:
        read_config(path)
    return caught.value.problems


def shape(model):
    return dataclasses.replace(model, name="")


@pytest.mark.parametrize("name", MODELS)
def test_every_released_model_is_exact_to_the_last_parameter(name, write):
    counts = dataclasses.asdict(parameter_counts(read_config(write(MODELS[name]["config"]))))
    expected = MODELS[name]["parameters"]
    assert {key: counts[key] for key in expected} == expected


@pytest.mark.parametrize("name", [name for name in MODELS if "crossbars" in MODELS[name]])
@pytest.mark.parametrize("array", [256, 512, 1024])
def test_every_released_model_fills_the_known_crossbars(name, array, write):
    counts = dataclasses.asdict(crossbar_counts(read_config(write(MODELS[name]["config"])), array))
    expected = MODELS[name]["crossbars"][str(array)]
    assert {key: counts[key] for key in expected} == expected


@pytest.mark.parametrize("name", [name for name in MODELS if "resaved" in MODELS[name]])
def test_a_model_saved_again_by_transformers_5_is_the_same_model(name, write):
    before = read_config(write(MODELS[name]["config"]))
    assert shape(read_config(write(MODELS[name]["resaved"]))) == shape(before)


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_configuration_has_the_parameters_of_the_class_built_from_it(name, write):
    # other program: transformers 5.23.0, the model class on the meta device
    edited = EDITED[name]
    config = config_of(edited["base"], edited["edit"].get("text_config", edited["edit"]))
    assert parameter_counts(read_config(write(config))).total == edited["total"]


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (QWEN3, {"num_experts": GONE, "num_local_experts": 128}),
        (QWEN3, {"num_experts": GONE, "n_routed_experts": 128}),
        (QWEN3, {"num_local_experts": 128}),
        (QWEN3, {"num_local_experts": None}),
        (QWEN3, {"rope_theta": GONE, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}),
        (QWEN3, {"torch_dtype": GONE, "dtype": "bfloat16"}),
        (QWEN3, {"dtype": "bfloat16"}),
        (QWEN3, {"mlp_only_layers": GONE}),
        (QWEN3, {"mlp_layer_types": ["sparse"] * 48}),
        (QWEN3, {"decoder_sparse_step": GONE, "mlp_layer_types": ["sparse"] * 48}),
        (QWEN3, {"hidden_size": 2048.0}),
        (OLMOE, {"head_dim": None}),
        (OLMOE, {"model_type": GONE}),
        (OLMOE, {"intermediate_size": GONE, "moe_intermediate_size": 1024}),
        (V3, {"head_dim": 64}),
        (V3, {"head_dim": 128, "qk_head_dim": 192}),
        (V3, {"num_key_value_heads": GONE}),
        (V3, {"moe_layer_freq": GONE}),
        (V3, {"first_k_dense_replace": GONE, "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 58}),
        (KIMI, {"model_type": "deepseek_v3"}),
        (OSS, {"experts_per_token": GONE}),
        (OSS, {"num_experts_per_tok": GONE}),
        (OSS, {"layer_types": ["sliding_attention", "full_attention"] * 12}),
        (QWEN2, {"qkv_bias": True}),
        (MAVERICK, {"moe_layers": list(range(1, 48, 2))}),
        (SCOUT, {"no_rope_layers": [1, 1, 1, 0] * 12}),
        (SCOUT, {"no_rope_layers": [], "no_rope_layer_interval": 4}),
        (SCOUT, {"model_type": GONE}),
    ],
)
def test_other_spellings_are_the_same_model(model, changes, write):
    assert shape(read_config(write(config_of(model, changes)))) == shape(read_config(write(config_of(model))))


def test_the_text_part_of_llama_4_may_stand_alone(write):
    whole = read_config(write(config_of(MAVERICK)))
    assert shape(read_config(write(config_of(MAVERICK)["text_config"]))) == shape(whole)


@pytest.mark.parametrize("inner", ["kimi_k2", "deepseek_v3", None])
def test_kimi_k2_inside_a_model_that_sees_is_kimi_k2(inner, write):
    config = {
        "model_type": "kimi_k25",
        "architectures": ["KimiK25ForConditionalGeneration"],
        "tie_word_embeddings": False,
        "vision_config": {"hidden_size": 1152},
        "text_config": config_of(KIMI, {"model_type": inner}),
    }
    model, notes = import_config(write(config))
    assert shape(model) == shape(read_config(write(config_of(KIMI))))
    assert any("vision tower" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "changes", "key", "said"),
    [
        (QWEN3, {"num_local_experts": 64}, "num_local_experts", "64 contradicts num_experts = 128"),
        (OSS, {"experts_per_token": 8}, "experts_per_token", "8 contradicts num_experts_per_tok = 4"),
        (OLMOE, {"moe_intermediate_size": 2048}, "moe_intermediate_size", "2048 contradicts intermediate_size = 1024"),
        (OLMOE, {"dtype": "float16"}, "dtype", 'contradicts torch_dtype = "bfloat16"'),
        (OLMOE, {"rope_parameters": {"rope_theta": 5e5}}, "rope_theta", "contradicts rope_parameters.rope_theta"),
        (V3, {"qk_head_dim": 128}, "qk_head_dim", "contradicts qk_nope_head_dim + qk_rope_head_dim = 192"),
        (V3, {"mlp_layer_types": ["sparse"] * 61}, "mlp_layer_types", "contradicts first_k_dense_replace = 3"),
        (QWEN3, {"mlp_layer_types": ["dense"] + ["sparse"] * 47}, "mlp_layer_types", "decoder_sparse_step = 1"),
        (OLMOE, {"architectures": ["MixtralForCausalLM"]}, "architectures", "contradicts model_type = 'olmoe'"),
        (OLMOE, {"architectures": "MixtralForCausalLM"}, "architectures", "contradicts model_type = 'olmoe'"),
        (QWEN3, {"num_local_experts": 64, "dtype": "float16"}, "num_local_experts", "contradicts"),
    ],
)
def test_fields_that_contradict_each_other_are_both_named(model, changes, key, said, write):
    path = write(config_of(model, changes))
    problem = next(p for p in problems_of(path) if p.path == key)
    assert said in problem.message
    assert f'"{key}"' in path.read_text().splitlines()[problem.line - 1][problem.column - 1 :]


COUNTS = {
    OLMOE: ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads",
            "vocab_size", "num_experts_per_tok"),
    V3: ("moe_intermediate_size", "intermediate_size", "first_k_dense_replace", "n_shared_experts", "kv_lora_rank",
         "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
    QWEN3: ("head_dim", "decoder_sparse_step", "moe_intermediate_size"),
    QWEN2: ("shared_expert_intermediate_size",),
    OSS: ("head_dim", "attention_bias"),
    GLM: ("head_dim", "first_k_dense_replace"),
    PHI: ("attention_bias", "lm_head_bias"),
}  # fmt: skip


@pytest.mark.parametrize(("model", "key"), [(model, key) for model, keys in COUNTS.items() for key in keys])
def test_no_default_of_a_class_stands_in_for_a_missing_count(model, key, write):
    problems = problems_of(write(config_of(model, {key: GONE})))
    assert [p.path for p in problems] == [key]
    assert "missing" in problems[0].message


def test_a_width_of_dense_layers_is_asked_for_only_where_there_are_some(write):
    assert read_config(write(config_of(QWEN3, {"intermediate_size": GONE}))).d_dense_ffn == 0
    problems = problems_of(write(config_of(QWEN3, {"intermediate_size": GONE, "mlp_only_layers": [3]})))
    assert [p.path for p in problems] == ["intermediate_size"]


def test_a_missing_flag_is_false_and_said(write):
    model, notes = import_config(write(config_of(MIXTRAL, {"tie_word_embeddings": GONE})))
    assert not model.tied_head
    assert notes == ("tie_word_embeddings is not given: taken as false",)


@pytest.mark.parametrize("kind", REFUSED)
def test_models_with_other_layers_are_refused_by_name_with_the_nearest(kind, write):
    problems = problems_of(write(config_of(V3, {"model_type": kind})))
    assert [p.path for p in problems] == ["model_type"]
    assert kind in problems[0].message
    assert any(f"nearest supported: {near} " in problems[0].message for near in SUPPORTED)


@pytest.mark.parametrize(
    ("kind", "near"),
    [("kimi_k3", "kimi_k2"), ("qwen4_moe", "qwen3_moe"), ("mixtrall", "mixtral"), ("dbrx", ""), ("Olmoe", "olmoe")],
)
def test_an_unknown_model_type_is_refused_with_the_nearest_supported_one(kind, near, write):
    problem = problems_of(write(config_of(OLMOE, {"model_type": kind})))[0]
    assert repr(kind) in problem.message
    assert f"nearest supported: {near}" in problem.message


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008}, "model_type"),
        (config_of(MIXTRAL, {"num_local_experts": GONE}), "num_experts"),
        (config_of(V3, {"n_routed_experts": None}), "n_routed_experts"),
        (config_of(OLMOE, {"num_experts": 0}), "num_experts"),
        (config_of(V3, {"first_k_dense_replace": 61}), "first_k_dense_replace"),
        (config_of(QWEN3, {"decoder_sparse_step": 49}), "decoder_sparse_step"),
        (config_of(SCOUT, {"moe_layers": []}), "text_config.moe_layers"),
    ],
)
def test_a_dense_model_is_not_an_moe(config, key, write):
    problems = problems_of(write(config))
    assert [p.path for p in problems] == [key]
    assert "not an MoE" in problems[0].message


@pytest.mark.parametrize(
    ("model", "changes", "key"),
    [
        (OLMOE, {"num_experts_per_tok": 65}, "num_experts_per_tok"),
        (OLMOE, {"hidden_size": 2050}, "hidden_size"),
        (OLMOE, {"hidden_size": True}, "hidden_size"),
        (OLMOE, {"hidden_size": float("nan")}, "hidden_size"),
        (OLMOE, {"num_hidden_layers": 10**9}, "num_hidden_layers"),
        (OLMOE, {"vocab_size": "50304"}, "vocab_size"),
        (OLMOE, {"num_hidden_layers": 0}, "num_hidden_layers"),
        (OLMOE, {"num_key_value_heads": 3}, "num_key_value_heads"),
        (OLMOE, {"mlp_layer_types": ["dense"] + ["sparse"] * 15}, "mlp_layer_types"),
        (OLMOE, {"tie_word_embeddings": "no"}, "tie_word_embeddings"),
        (OLMOE, {"mlp_bias": True}, "mlp_bias"),
        (V3, {"index_topk": 2048}, "index_topk"),
        (V3, {"moe_layer_freq": 2}, "moe_layer_freq"),
        (V3, {"first_k_dense_replace": 62}, "first_k_dense_replace"),
        (V3, {"linear_attn_config": {"x": 1}}, "linear_attn_config"),
        (QWEN3, {"mlp_only_layers": [48]}, "mlp_only_layers"),
        (QWEN3, {"mlp_only_layers": 3}, "mlp_only_layers"),
        (QWEN3, {"layer_types": ["linear_attention"] * 48}, "layer_types"),
        (QWEN3, {"use_sliding_window": True, "sliding_window": 4096}, "use_sliding_window"),
        (OSS, {"layer_types": ["full_attention"] * 23}, "layer_types"),
        (SCOUT, {"moe_layers": [0, 48]}, "text_config.moe_layers"),
        (SCOUT, {"no_rope_layers": [1, 1, 1, 0]}, "text_config.no_rope_layers"),
        (SCOUT, {"no_rope_layer_interval": 0}, "text_config.no_rope_layer_interval"),
        (SCOUT, {"tie_word_embeddings": True}, "text_config.tie_word_embeddings"),
    ],
)
def test_an_impossible_value_is_named_with_its_key_and_place(model, changes, key, write):
    path = write(config_of(model, changes))
    problems = problems_of(path)
    assert [p.path for p in problems] == [key]
    line = path.read_text().splitlines()[problems[0].line - 1]
    assert line[problems[0].column - 1 :].startswith(f'"{key.split(".")[-1]}"')


def test_every_problem_is_reported_at_once(write):
    changes = {"hidden_size": -1, "vocab_size": GONE, "num_local_experts": 4, "num_experts_per_tok": 0}
    keys = {p.path for p in problems_of(write(config_of(OLMOE, changes)))}
    assert keys == {"hidden_size", "vocab_size", "num_local_experts", "num_experts_per_tok"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[1]", "expected a JSON object"),
        ("[" * 100_000, "not"),
        ('{"model_type": 1' + "0" * 5000 + "}", "not JSON"),
        ('{"model_type": "olmoe", "num_experts": 64,\n "num_experts": 32}', "2:2: num_experts: given twice"),
        ('{"model_type": "llama4"}', "text_config: missing"),
        ('{"model_type": "llama4", "text_config": [1]}', "text_config: not an object"),
        ("{}", "model_type: missing"),
        ('{"model_type": ["olmoe"]}', "model_type"),
    ],
)
def test_what_is_no_configuration_is_said(text, said, write):
    path = write(text)
    with pytest.raises(SpecError, match=said) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_without_one_are_said(tmp_path):
    for path in (tmp_path, tmp_path / "config.json", tmp_path / "other" / "config.json"):
        with pytest.raises(SpecError, match=r"config.json: no such file"):
            read_config(path)


def test_windows_are_recorded(write):
    # released: every other layer of gpt-oss sees 128 tokens, three of four layers of Llama 4 see 8192
    found = {name: read_config(write(config_of(name))) for name in (OSS, SCOUT, QWEN2, MIXTRAL, QWEN3)}
    windows = {name: (model.n_windowed_layers, model.window_tokens) for name, model in found.items()}
    assert windows == {OSS: (12, 128), SCOUT: (36, 8192), QWEN2: (0, 0), MIXTRAL: (0, 0), QWEN3: (0, 0)}
    mixtral = read_config(write(config_of(MIXTRAL, {"sliding_window": 4096})))
    assert (mixtral.n_windowed_layers, mixtral.window_tokens) == (32, 4096)
    # by hand: every second layer without rotary positions leaves 24 of 48 with a window
    assert read_config(write(config_of(SCOUT, {"no_rope_layer_interval": 2}))).n_windowed_layers == 24


def test_interleaved_layers_are_listed_and_first_dense_ones_counted(write):
    maverick, v3 = read_config(write(config_of(MAVERICK))), read_config(write(config_of(V3)))
    assert maverick.moe_layers == tuple(range(1, 48, 2))
    assert (v3.moe_layers, v3.n_dense_layers, v3.expert_layers[0]) == (None, 3, 3)


def test_listed_layers_of_llama_4_come_before_the_step_and_that_is_said(write):
    model, notes = import_config(write(config_of(SCOUT, {"moe_layers": [0, 47]})))
    assert model.expert_layers == (0, 47)
    assert any("interleave_moe_layer_step = 1 is not used" in note for note in notes)


def test_what_is_left_out_is_said(write):
    _, notes = import_config(write(config_of(V3)))
    assert notes == ("the prediction module (num_nextn_predict_layers) is left out",)
    _, notes = import_config(write(config_of(OSS, {"quantization_config": {"quant_method": "mxfp4"}})))
    assert notes == ("quantization_config is not read: scenario.precision says how the weights are stored",)


def test_every_model_type_belongs_to_one_family():
    kinds = [kind for family in FAMILIES for kind in family.model_types]
    assert len(kinds) == len(set(kinds))
    assert not set(kinds) & set(REFUSED)
