import dataclasses

import numpy as np
import pytest
import torch

from dse.cost.option import Option
from dse.errors import SpecError
from dse.noise.digital import WeightFormat, digital_formats, rounded_weight

from .small import make_architecture, make_mapping


def test_groups_of_inputs_have_scales_of_their_own():
    weight = torch.tensor([[7.0, 3.4, 0.7, -0.33, 0.0]])
    # by hand: groups [7, 3.4], [0.7, -0.33], [0]; scales 1, 0.1, none
    found = rounded_weight(weight, WeightFormat(4, group=2))
    torch.testing.assert_close(found, torch.tensor([[7.0, 3.0, 0.7, -0.3, 0.0]]))


@pytest.mark.parametrize(("bits", "levels"), [(8, 255), (4, 15)])
def test_every_weight_is_a_level_and_no_error_exceeds_half_a_step(bits, levels):
    weight = torch.randn(6, 4001, generator=torch.Generator().manual_seed(0))
    found = rounded_weight(weight, WeightFormat(bits))
    step = weight.abs().amax(dim=1, keepdim=True) / (levels // 2)
    assert ((found - weight).abs() <= step / 2 * (1 + 1e-5)).all()
    torch.testing.assert_close(found / step, (found / step).round(), atol=1e-4, rtol=0)
    assert len((found / step).round().unique()) <= levels


def test_rounding_is_odd_idempotent_and_follows_the_scale_of_a_row():
    weight = torch.randn(3, 40, generator=torch.Generator().manual_seed(1))
    form = WeightFormat(4, group=16)
    found = rounded_weight(weight, form)
    assert torch.equal(rounded_weight(-weight, form), -found)
    torch.testing.assert_close(rounded_weight(found, form), found)
    assert torch.equal(rounded_weight(4 * weight, form), 4 * found)
    assert torch.equal(rounded_weight(torch.zeros(2, 3), form), torch.zeros(2, 3))


def test_the_variance_of_int8_rounding_is_a_twelfth_of_the_squared_step():
    weight = torch.rand(1, 200_000, generator=torch.Generator().manual_seed(2)) * 2 - 1
    error = rounded_weight(weight, WeightFormat(8)) - weight
    assert error.square().mean().item() == pytest.approx((1 / 127) ** 2 / 12, rel=0.02)  # closed form


def test_smaller_groups_lose_less():
    weight = torch.randn(32, 1024, generator=torch.Generator().manual_seed(3))
    errors = [(rounded_weight(weight, WeightFormat(4, g)) - weight).norm() for g in (32, 128, None)]
    assert errors == sorted(errors)


def test_the_format_follows_the_mapping_and_the_group_of_the_unit():
    arch = make_architecture()
    unit = dataclasses.replace(arch.digital_units[0], int4_group=32)
    arch = dataclasses.replace(arch, digital_units=(unit,))
    mapping = make_mapping(())
    mapping.placement["head"] = Option("npu", "int4")
    mapping.placement["layers.0.router"] = Option("npu", "int8")
    assert digital_formats(mapping, arch) == {"head": WeightFormat(4, 32), "layers.0.router": WeightFormat(8)}


def test_unknown_units_and_several_groups_are_refused():
    arch, mapping = make_architecture(), make_mapping(())
    mapping.placement["head"] = Option("gpu", "int8")
    with pytest.raises(SpecError, match="head: on digital unit 'gpu', which 'test' does not have"):
        digital_formats(mapping, arch)
    unit = dataclasses.replace(arch.digital_units[0], int4_group=np.array([32.0, 64.0]))
    mapping.placement["head"] = Option("npu", "int4")
    with pytest.raises(SpecError, match=r"digital_units\.npu\.int4_group: has several values"):
        digital_formats(mapping, dataclasses.replace(arch, digital_units=(unit,)))
