from pathlib import Path

import pytest
import torch
from transformers.models.olmoe.modeling_olmoe import OlmoeForCausalLM

from .small import CONTEXT, VOCABULARY, make_model, write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def model() -> OlmoeForCausalLM:
    return make_model()


@pytest.fixture(scope="session")
def text() -> torch.Tensor:
    """Windows of tokens [8, CONTEXT + 1]."""
    return torch.randint(0, VOCABULARY, (8, CONTEXT + 1), generator=torch.Generator().manual_seed(7))
