"""The default toy architecture and workload."""

import pytest

from dse.spec.architecture import Architecture
from dse.workload.build import Workload

from .toy import make_arch, make_workload


@pytest.fixture
def arch() -> Architecture:
    return make_arch()


@pytest.fixture
def workload() -> Workload:
    return make_workload()
