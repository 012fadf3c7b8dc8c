"""Links, networks, gating, programming, packages: formulas by hand and by brute force."""

import itertools
import math

import numpy as np
import pytest

from dse.cost.link import crossings_per_visit, distinct_dies, hand_off
from dse.cost.network import mesh_link_loads, mesh_paths, network_bytes_per_visit, tree_paths
from dse.cost.package import die_yield_fraction, dies_per_wafer
from dse.cost.programming import crossbar_ns, lifetime_s, programming_energy_pj
from dse.spec.die import Packaging
from dse.spec.link import Link
from dse.workload.build import load_workload


def link(**values):
    return Link(
        **{"from_": "a", "to": "b", "latency_ns": 1, "bandwidth_bytes_per_ns": 1, "energy_pj_per_bit": 1} | values
    )


def routes(n):
    """Links from the port to every tile of a mesh, walked one by one: along the first row, then up the column."""
    cols = math.ceil(math.sqrt(n))
    port = (cols - 1) // 2
    for tile in range(n):
        row, col = divmod(tile, cols)
        step = 1 if col > port else -1
        along = [("row 0", min(q, q + step)) for q in range(port, col, step)]
        yield tile, along + [(f"column {col}", r) for r in range(row)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 25, 60, 100])
def test_mesh_equals_every_route_walked_one_by_one(n):
    # brute force over all tiles of the mesh
    walked = dict(routes(n))
    hops = [len(path) for path in walked.values()]
    count = {}
    for step in itertools.chain.from_iterable(walked.values()):
        count[step] = count.get(step, 0) + 1
    paths = mesh_paths(n_tiles=n)
    assert paths.mean_hops == pytest.approx(sum(hops) / n, rel=1e-12)
    assert paths.worst_hops == max(hops)
    assert paths.worst_load_fraction == pytest.approx(max(count.values(), default=0) / n, rel=1e-12)


def test_mesh_loads_of_any_traffic_equal_the_routes_walked_one_by_one():
    traffic = np.random.default_rng(0).uniform(size=19)
    count = {}
    for tile, path in routes(19):
        for where, at in path:
            name = f"row 0, column {at}-{at + 1}" if where == "row 0" else f"{where}, row {at}-{at + 1}"
            count[name] = count.get(name, 0.0) + traffic[tile]
    loads = {name: load for name, load in mesh_link_loads(traffic).items() if load}
    assert loads == pytest.approx(count)


def test_a_tree_has_as_many_hops_as_levels_and_splits_its_load_at_the_root():
    paths = tree_paths(n_tiles=np.array([1, 2, 8, 9, 64]), radix=2)
    assert paths.mean_hops.tolist() == [0, 1, 3, 4, 6]
    assert paths.worst_load_fraction.tolist() == [0, 0.5, 0.5, 8 / 9, 0.5]  # by hand: 8 of 9 tiles below one child
    assert tree_paths(n_tiles=64, radix=4).worst_load_fraction == 0.25


def test_distinct_dies_equals_drawing_them():
    # other program: numpy draws of 6 experts over 4 dies, 200 000 tokens
    draws = np.random.default_rng(1).integers(4, size=(200_000, 6))
    drawn = np.mean([len(set(row)) for row in draws[:20_000].tolist()])
    assert distinct_dies(n_dies=4, choices=6) == pytest.approx(drawn, rel=0.01)
    assert distinct_dies(n_dies=1, choices=6) == 1


@pytest.fixture(scope="module")
def expert():
    return next(b for b in load_workload("olmoe").blocks if b.kind == "expert").block_class


def handed(expert, joint, sharing=0.25):
    return hand_off(expert, joint, rows=512, cols=512, activation_bits=16, adc_bits=8, sharing=sharing)


def test_broadcast_shares_the_input_of_a_token_only(expert):
    # by hand, bytes: inputs 2 x 2048 and 2 x 1024; outputs, 4 row slices of gate and up, 2 of down
    apart = 2 * 2048 + 2 * 1024 + 2 * 4 * 1024 + 2 * 2048
    assert handed(expert, link()).n_bytes == apart
    assert handed(expert, link(broadcast=True)).n_bytes == apart - 0.75 * 2 * 2048


def test_adders_on_the_die_send_one_sum_per_output(expert):
    found = handed(expert, link(reduce="die", add_pj=1))
    # by hand: gate and up return 1024 sums of 2 bytes each; down's 2048 sums cross once for a quarter of the experts
    assert found.n_bytes == 2 * 2048 + 2 * 1024 + 2 * 1024 * 2 + 2 * 2048 * 0.25
    # by hand: 3 of 4 row slices added over 2 x 1024 columns, 1 of 2 over 2048, and 3 of 4 experts' outputs joined
    assert (found.host_additions, found.die_additions) == (0, 3 * 2 * 1024 + 2048 + 0.75 * 2048)
    assert handed(expert, link()).host_additions == 3 * 2 * 1024 + 2048


def test_only_experts_share_dies(expert):
    attention = next(b for b in load_workload("olmoe").blocks if b.kind == "attention").block_class
    assert crossings_per_visit(attention, n_dies=4, top_k=8) == 1
    assert crossings_per_visit(expert, n_dies=1, top_k=8) == pytest.approx(1 / 8)
    # law: with far more dies than experts nothing is shared
    assert crossings_per_visit(expert, n_dies=1e6, top_k=8) == pytest.approx(1, rel=1e-5)


def test_every_crossbar_gets_its_own_copy_of_the_input(expert):
    found = network_bytes_per_visit(expert, rows=512, cols=512, activation_bits=16, adc_bits=8)
    # by hand: gate and up 2048 inputs to 2 column slices, down 1024 to 4; outputs as on the link
    assert found == 2 * (2 * 2048 * 2 + 1024 * 4) + 2 * 4 * 1024 + 2 * 2048


def test_programming_of_a_hermes_like_array_by_hand():
    # by hand: 256 rows x 30 iterations x 1 us = 7.68 ms, four rows at a time a quarter of it
    assert crossbar_ns(rows=256, parallel_rows=1, iterations=30, pulse_ns=1e3) == 7.68e6
    assert crossbar_ns(rows=256, parallel_rows=4, iterations=30, pulse_ns=1e3) == 1.92e6
    # by hand: 65 536 weights x 4 devices x 30 pulses x 10 pJ = 78.6 uJ
    assert programming_energy_pj(n_weights=65536, devices=4, iterations=30, energy_pj_per_cell=10) == 78_643_200
    # by hand: a day times 1e6 / 30 programmings = 91.3 years
    assert lifetime_s(refresh_interval_s=86400, endurance_fraction=30 / 1e6) == pytest.approx(86400 * 1e6 / 30)


def test_dies_of_a_wafer_and_their_yield_by_hand():
    # by hand: 70 685.8 / 100 - 942.48 / 14.142 = 706.86 - 66.64 = 640.2
    assert dies_per_wafer(die_area_mm2=100, wafer_diameter_mm=300) == 640
    assert dies_per_wafer(die_area_mm2=1e6, wafer_diameter_mm=300) == 0
    # by hand: A D = 8 cm2 x 0.1 = 0.8; exp(-0.8) = 0.449; ((1 - 0.449) / 0.8)^2 = 0.474
    poisson = Packaging(defects_per_cm2=0.1, yield_model="poisson")
    assert die_yield_fraction(die_area_mm2=800, packaging=poisson) == pytest.approx(0.449, abs=5e-4)
    murphy = Packaging(defects_per_cm2=0.1)
    assert die_yield_fraction(die_area_mm2=800, packaging=murphy) == pytest.approx(0.474, abs=5e-4)
    assert die_yield_fraction(die_area_mm2=800, packaging=Packaging(defects_per_cm2=0)) == 1
    assert die_yield_fraction(die_area_mm2=800, packaging=Packaging()) == 1
