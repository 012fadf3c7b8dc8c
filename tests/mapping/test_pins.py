"""Default pins, their precedence, and what is refused."""

import pytest

from dse.errors import SpecError
from dse.mapping.pins import resolve_pins
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

from .toy import make_arch, make_workload


def test_dense_blocks_go_to_the_first_digital_unit() -> None:
    arch, workload = make_arch(2, 2), make_workload(n_shared=1)
    allowed = resolve_pins(arch, workload)
    assert "embedding" not in allowed
    for block in ("layers.0.attention", "layers.1.router", "layers.1.shared", "head"):
        assert allowed[block] == {"d0"}
    assert allowed["layers.1.experts.2"] == {"a0", "a1", "d0", "d1"}


def test_a_name_wins_over_a_pattern_and_a_pattern_over_a_kind() -> None:
    arch, workload = make_arch(2, 2), make_workload()
    pins = {"expert": "analog", "layers.0.experts.*": "d1", "layers.0.experts.2": "a1", "attention": "any"}
    allowed = resolve_pins(arch, workload, pins)
    assert allowed["layers.1.experts.2"] == {"a0", "a1"}
    assert allowed["layers.0.experts.1"] == {"d1"}
    assert allowed["layers.0.experts.2"] == {"a1"}
    assert allowed["layers.0.attention"] == {"a0", "a1", "d0", "d1"}


def test_patterns_that_agree_are_fine(arch: Architecture, workload: Workload) -> None:
    allowed = resolve_pins(arch, workload, {"layers.0.experts.*": "a0", "layers.*.experts.0": "a0"})
    assert allowed["layers.0.experts.0"] == {"a0"}


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"attention": "dd0"}, r"pins.attention: unknown group 'dd0', did you mean 'd0'\?"),
        ({"atention": "d0"}, r"pins.atention: no block or kind of that name, did you mean 'attention'\?"),
        ({"layers.0.experts.77": "d0"}, r"no block or kind of that name, did you mean 'layers.0.experts"),
        ({"layers.9.*": "d0"}, r"pins.layers.9.\*: no block or kind"),
        ({"embedding": "a0"}, "the embedding is a look-up"),
        ({"layers.0.experts.*": "a0", "layers.*.experts.0": "d0"}, "pins.layers.0.experts.0: .* says d0, .* says a0"),
    ],
)
def test_faulty_pins_are_refused(arch: Architecture, workload: Workload, pins: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve_pins(arch, workload, pins)


def test_all_faulty_pins_are_named_at_once(arch: Architecture, workload: Workload) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_pins(arch, workload, {"attention": "x", "y": "d0"})
    assert len(caught.value.problems) == 2


def test_a_technology_the_architecture_lacks_is_refused(workload: Workload) -> None:
    with pytest.raises(SpecError, match="toy has no analog group"):
        resolve_pins(make_arch(n_analog=0), workload, {"expert": "analog"})
