"""Packing: every slice has its own place, layers are spread, what does not fit is refused."""

import pytest

from dse.errors import InfeasibleError, SpecError
from dse.mapping.baseline import rule_mapping
from dse.mapping.model import Mapping, load_mapping
from dse.mapping.pack import largest_same_layer_share, pack
from dse.sensitivity.score import score_blocks
from dse.spec.architecture import Architecture
from dse.workload.build import Workload

from .toy import make_arch, make_costs, make_workload


def all_analog(arch: Architecture, workload: Workload) -> Mapping:
    return rule_mapping(
        arch, workload, score_blocks(workload, "random"), rule="all_analog", costs=make_costs(arch, workload)
    )


def test_every_slice_has_a_place_of_its_own(arch: Architecture, workload: Workload) -> None:
    slices = pack(all_analog(arch, workload), arch, workload).slices
    assert slices is not None
    # by hand: 8 x 8 matrices on 4 x 4 crossbars are 4 slices, 3 matrices, 6 experts
    assert len(slices) == 4 * 3 * 6
    assert not slices.duplicated(["group", "die", "tile", "tier"]).any()
    assert not slices.duplicated(["block", "matrix", "i", "j", "copy"]).any()
    assert slices["die"].between(0, 1).all()
    assert slices["tile"].between(0, 49).all()
    assert slices["tier"].between(0, 1).all()


def test_tiers_of_a_tile_hold_different_layers_where_tiles_suffice() -> None:
    arch, workload = make_arch(n_tiles=18), make_workload(2, 3)
    # by hand: 36 tiles in two dies, 36 slices a layer: one of each layer per tile
    mapping = pack(all_analog(arch, workload), arch, workload)
    assert largest_same_layer_share(mapping) == 1
    assert mapping.slices is not None
    assert mapping.slices["tier"].max() == 1


def test_a_layer_with_more_slices_than_tiles_shares_as_little_as_possible() -> None:
    arch, workload = make_arch(n_tiles=9), make_workload(1, 3)
    assert largest_same_layer_share(pack(all_analog(arch, workload), arch, workload)) == 2  # 36 slices, 18 tiles


def test_too_many_slices_are_refused() -> None:
    arch, workload = make_arch(n_tiles=8), make_workload(1, 3)
    with pytest.raises(InfeasibleError, match=r"capacity\[a0\]: need 36 crossbars, have 32 crossbars"):
        pack(all_analog(arch, workload), arch, workload)


def test_a_digital_mapping_has_no_slices(arch: Architecture, workload: Workload) -> None:
    costs, scores = make_costs(arch, workload), score_blocks(workload, "random")
    packed = pack(rule_mapping(arch, workload, scores, rule="all_digital", costs=costs), arch, workload)
    assert packed.slices is not None
    assert packed.slices.empty
    assert largest_same_layer_share(packed) == 0


def test_an_unpacked_mapping_names_the_remedy(arch: Architecture, workload: Workload) -> None:
    with pytest.raises(SpecError, match=r"pack\(mapping, arch, workload\) adds them"):
        largest_same_layer_share(all_analog(arch, workload))


def test_slices_survive_the_file(arch: Architecture, workload: Workload, tmp_path) -> None:  # type: ignore[no-untyped-def]
    packed = pack(all_analog(arch, workload), arch, workload)
    packed.save(str(tmp_path / "mapping.json"))
    loaded = load_mapping(tmp_path / "mapping.json")
    assert loaded.slices is not None
    assert loaded.slices.to_dict("list") == packed.slices.to_dict("list")  # type: ignore[union-attr]
    assert dict(loaded.placement) == dict(packed.placement)
