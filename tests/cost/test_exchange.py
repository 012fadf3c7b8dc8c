"""What a digital group on several dies exchanges: bytes, time, energy, and what of it is refused."""

import dataclasses

import numpy as np
import pytest

from dse import cost_table, evaluate, load_architecture, load_workload, rule_mapping, score_blocks, solve_mapping
from dse.cost.exchange import all_reduce_bytes, all_to_all_bytes, exchange_cost
from dse.errors import SpecError
from dse.exploration.manifest import unmodelled
from dse.sensitivity.options import option_scores
from dse.spec.architecture import PerOperationEnergy

LINK = {"latency_ns": 1000, "bandwidth_bytes_per_ns": 100, "energy_pj_per_bit": 2, "from": "npu", "to": "npu"}


@pytest.fixture(scope="module")
def machine():
    """Four NPU dies that share the memory of server_pcm3d, without analog cores."""
    return load_architecture("dimc_hbm", {"dies.npu.count": 4, "links": [LINK]})


@pytest.fixture(scope="module")
def olmoe():
    return load_workload("olmoe")


def all_digital(arch, workload):
    return evaluate(arch, workload, rule_mapping(arch, workload, score_blocks(workload), rule="all_digital"))


def test_one_die_exchanges_nothing():
    assert all_reduce_bytes(n_dies=1, n_bytes=100) == 0
    assert all_to_all_bytes(n_dies=1, n_bytes=100) == 0


def test_formulas_take_arrays_of_dies():
    dies = np.array([1.0, 2.0, 8.0])
    assert all_reduce_bytes(n_dies=dies, n_bytes=8.0).tolist() == [0, 8, 14]  # by hand: 2 (D - 1) / D * 8


def test_exchange_of_a_step_is_worked_by_hand(machine, olmoe):
    # by hand: OLMoE, int8 activations, d = 2048 bytes a vector, D = 4, batch 32, 16 layers
    # all-reduce: each die sends 2 * 3/4 * 2048 = 3072 bytes a token
    # all-to-all: 2 * 3/16 * 2048 = 768 bytes a visit, 8 visits a token
    unit = machine.digital_units[0]
    kinds = {c.kind: exchange_cost(machine, olmoe, c, unit) for c in olmoe.classes}
    assert kinds["attention"].time_ns == pytest.approx(30.72)
    assert kinds["expert"].time_ns == pytest.approx(7.68)
    assert kinds["attention"].energy_pj == pytest.approx(4 * 3072 * 8 * 2)
    assert kinds["router"].time_ns == kinds["head"].time_ns == 0
    evaluation = all_digital(machine, olmoe)
    shares = {name: float(np.ravel(time)[0]) for name, time in evaluation.critical_ns.items()}
    assert shares["npu exchange bandwidth"] == pytest.approx(16 * 32 * (30.72 + 8 * 7.68))
    assert shares["npu exchange latency"] == pytest.approx(16 * 2 * 2 * 1000)  # two stages a layer, two crossings each
    assert sum(shares.values()) == pytest.approx(evaluation.latency_ns_per_step, rel=1e-12)
    parts = dict(evaluation.by_component.itertuples(index=False, name=None))
    assert parts["exchange"] == pytest.approx(16 * (4 * 3072 + 8 * 4 * 768) * 8 * 2)


def test_a_faster_link_between_the_dies_is_never_slower(machine, olmoe):
    faster = machine.with_values({"links.npu-npu.bandwidth_bytes_per_ns": 200.0})
    assert all_digital(faster, olmoe).latency_ns_per_step < all_digital(machine, olmoe).latency_ns_per_step


def test_flat_power_covers_the_exchange(olmoe):
    parts = dict(all_digital(load_architecture("h200x8_fp8"), olmoe).by_component.itertuples(index=False, name=None))
    assert list(parts) == ["flat power"]


def test_the_program_and_the_evaluation_agree(olmoe):
    arch = load_architecture("server_pcm3d", {"dies.npu.count": 2})
    link = dataclasses.replace(arch.links[0], from_="npu", to="npu", latency_ns=500.0)
    joined = dataclasses.replace(arch, links=(*arch.links, link))
    assert isinstance(joined.digital_units[0].energy, PerOperationEnergy)
    scores = option_scores(score_blocks(olmoe), olmoe, joined)
    limits = {"max_sensitivity_share": 0.5}
    mapping = solve_mapping(cost_table(joined, olmoe), scores, olmoe, joined, objective="energy", limits=limits)
    assert evaluate(joined, olmoe, mapping).energy_pj_per_token == pytest.approx(mapping.value, rel=1e-3)


def test_what_is_left_out_is_said():
    arch = load_architecture("dimc_hbm", {"dies.npu.count": 4})
    assert any("exchange between the dies of npu" in text for text in unmodelled(arch))
    assert not any("exchange" in text for text in unmodelled(load_architecture("h200x8_fp8")))


def test_a_link_from_a_kind_of_die_to_itself_needs_several_of_them_and_a_digital_unit():
    with pytest.raises(SpecError, match="there is one of it"):
        load_architecture("dimc_hbm", {"links": [LINK]})
    arch = load_architecture("server_pcm3d")
    link = dataclasses.replace(arch.links[0], from_="analog", to="analog")
    with pytest.raises(SpecError, match="no digital unit is on them"):
        dataclasses.replace(arch, links=(*arch.links, link)).with_values({"limits.power_mw": 1e6})
