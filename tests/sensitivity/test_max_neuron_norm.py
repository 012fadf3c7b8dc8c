"""The maximum neuron norm: by hand, its invariances, and from a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from dse.errors import SpecError
from dse.sensitivity.max_neuron_norm import expert_scores, max_neuron_norm
from dse.spec.model import Model

Weights = dict[str, np.ndarray]


def make_weights(seed: int, d: int = 5, width: int = 7) -> Weights:
    random = np.random.default_rng(seed)
    return {
        "gate": random.normal(size=(width, d)),
        "up": random.normal(size=(width, d)),
        "down": random.normal(size=(d, width)),
    }


def test_a_small_expert_by_hand() -> None:
    weights = {
        "gate": np.array([[1.0, 0.0], [0.0, 2.0]]),
        "up": np.array([[3.0, 4.0], [1.0, 1.0]]),
        "down": np.array([[6.0, 8.0], [0.0, 1.0]]),
    }
    # by hand: rows of gate 1, 2; of up 5, sqrt 2; of down 10, 1 -> 2 · 5 · 10
    assert max_neuron_norm(weights) == pytest.approx(100.0)
    # by hand: columns of down 6, sqrt 65 -> 2 · 5 · sqrt 65
    assert max_neuron_norm(weights, neuron_axis="intermediate") == pytest.approx(10 * np.sqrt(65))


@pytest.mark.parametrize("axis", ["output", "intermediate"])
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100))
def test_moving_a_factor_from_down_to_up_changes_nothing(axis: str, seed: int, factor: float) -> None:
    weights = make_weights(seed)
    scaled = weights | {"up": weights["up"] * factor, "down": weights["down"] / factor}
    assert max_neuron_norm(scaled, neuron_axis=axis) == pytest.approx(max_neuron_norm(weights, neuron_axis=axis))  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", ["output", "intermediate"])
@given(seed=st.integers(0, 1000))
def test_reordering_neurons_changes_nothing(axis: str, seed: int) -> None:
    weights = make_weights(seed)
    inner, outer = np.random.default_rng(seed).permutation(7), np.random.default_rng(seed).permutation(5)
    moved = {
        "gate": weights["gate"][inner],
        "up": weights["up"][inner],
        "down": weights["down"][:, inner][outer],
    }
    assert max_neuron_norm(moved, neuron_axis=axis) == pytest.approx(max_neuron_norm(weights, neuron_axis=axis))  # type: ignore[arg-type]


@given(factor=st.floats(0.01, 100))
def test_the_score_grows_with_the_cube_of_all_weights(factor: float) -> None:
    weights = make_weights(0)
    scaled = {name: factor * weight for name, weight in weights.items()}
    assert max_neuron_norm(scaled) == pytest.approx(factor**3 * max_neuron_norm(weights))


def test_an_expert_of_two_matrices_has_no_gate() -> None:
    weights = make_weights(1)
    del weights["gate"]
    up, down = (np.linalg.norm(weights[name], axis=1).max() for name in ("up", "down"))
    assert max_neuron_norm(weights) == pytest.approx(up * down)


def write_checkpoint(folder: Path) -> tuple[Model, dict[str, Weights]]:
    model = Model(
        name="t",
        d_model=5,
        n_layers=2,
        n_heads=1,
        n_kv_heads=1,
        head_dim=5,
        vocab_size=9,
        n_experts=3,
        top_k=1,
        d_expert=7,
    )
    experts = {f"{layer}.{e}": make_weights(10 * layer + e) for layer in range(2) for e in range(3)}
    tensors = {
        f"model.layers.{key.split('.')[0]}.mlp.experts.{key.split('.')[1]}.{name}_proj.weight": weight.astype(
            np.float32
        )
        for key, weights in experts.items()
        for name, weight in weights.items()
    }
    save_file(tensors, folder / "model.safetensors")
    return model, experts


@pytest.mark.parametrize("axis", ["output", "intermediate"])
def test_scores_of_a_checkpoint_are_those_of_its_experts(tmp_path: Path, axis: str) -> None:
    model, experts = write_checkpoint(tmp_path)
    scores = expert_scores(tmp_path, model, neuron_axis=axis)
    assert list(scores) == [f"layers.{layer}.experts.{e}" for layer in range(2) for e in range(3)]
    for key, weights in experts.items():
        layer, expert = key.split(".")
        expected = max_neuron_norm(weights, neuron_axis=axis)  # type: ignore[arg-type]
        assert scores[f"layers.{layer}.experts.{expert}"] == pytest.approx(expected, rel=1e-6)


def test_an_unknown_axis_is_refused(tmp_path: Path) -> None:
    model, _ = write_checkpoint(tmp_path)
    with pytest.raises(SpecError, match="neuron_axis must be one of output, intermediate"):
        expert_scores(tmp_path, model, neuron_axis="rows")
