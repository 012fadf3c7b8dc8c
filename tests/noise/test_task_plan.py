import sys

import pytest

from dse.errors import MissingExtraError
from dse.noise import check_accuracy

from .small import make_architecture, make_mapping, make_workload


def test_tasks_without_the_harness_name_what_is_missing(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "dse.noise.tasks", raising=False)
    with pytest.raises(MissingExtraError, match=r"real tasks needs the optional part \[tasks\]"):
        check_accuracy(make_architecture(), make_workload(checkpoint), make_mapping(()), tasks=["piqa"])
