import pytest

from dse import load_workload, score_blocks
from dse.errors import SpecError
from dse.spec.shipped import shipped_root
from dse.workload.checkpoint import checkpoint_workload


def test_a_checkpoint_folder_scores_like_the_workload_that_names_it():
    workload = load_workload("tiny_moe")
    alone = checkpoint_workload(shipped_root() / "workloads" / "tiny_moe")
    assert score_blocks(alone).equals(score_blocks(workload))


def test_a_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"config\.json: no such file"):
        checkpoint_workload(tmp_path)
