"""The shipped specs load, state where their values come from, and fit as the committed table says."""

from pathlib import Path

import pytest

from dse import load_architecture, load_workload
from dse.cost.area import area_parts
from dse.exploration.fits import fits_markdown, fits_table
from dse.report.machines import COMMAND, machines_markdown
from dse.spec.examples import copy_shipped
from dse.spec.kinds import load_any
from dse.spec.shipped import shipped_names

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {"pj", "ns", "mw", "mm2", "bytes", "nm", "bit", "usiemens"}
ARCHITECTURES, WORKLOADS = shipped_names("architecture"), shipped_names("workload")


@pytest.mark.parametrize("name", [*ARCHITECTURES, *WORKLOADS, *shipped_names("device")])
def test_a_shipped_spec_loads_by_its_name(name):
    assert load_any(name)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_physical_number_of_an_architecture_states_its_evidence(name):
    arch = load_architecture(name)
    silent = [
        path
        for path, origin in arch.provenance.items()
        if origin.evidence is None and path.rsplit("_", 1)[-1] in SUFFIXES
    ]
    assert silent == []


def test_the_table_of_fits_is_current():
    table = fits_table([load_architecture(n) for n in ARCHITECTURES], [load_workload(n) for n in WORKLOADS])
    assert (ROOT / "reports" / "fits.md").read_text(encoding="utf-8") == fits_markdown(table), (
        "run: dse examples --fits -o reports/fits.md"
    )


@pytest.mark.slow
def test_the_page_of_the_reference_machines_is_current():
    assert (ROOT / "arch_specs" / "README.md").read_text(encoding="utf-8") == machines_markdown(), f"run: {COMMAND}"


def test_rack_pcm3d_1t_holds_the_experts_of_kimi_k2_on_dies_below_the_reticle_limit():
    # data: 3 870 720 crossbars of 512 x 512; a reticle is 858 mm²
    arch = load_architecture("rack_pcm3d_1t")
    row = fits_table([arch], [load_workload("kimi_k2")]).iloc[0]
    assert row["crossbars_needed"] == 3_870_720
    assert row["analog_experts_fraction"] == 1
    areas = {die.name: sum(p.area_mm2 for p in area_parts(arch) if p.die == die.name) / die.count for die in arch.dies}
    assert max(areas.values()) < 858


def test_edge_pcm3d_holds_a_quarter_of_the_experts_of_olmoe():
    row = fits_table([load_architecture("edge_pcm3d")], [load_workload("olmoe")]).iloc[0]
    assert row["analog_experts_fraction"] == 0.25


def test_server_pcm3d_is_96_percent_full_with_the_experts_of_olmoe():
    row = fits_table([load_architecture("server_pcm3d")], [load_workload("olmoe")]).iloc[0]
    assert (row["crossbars_needed"], row["crossbars_available"]) == (24_576, 25_600)


def test_the_accounting_architecture_holds_attention_router_and_head_too():
    # by hand: 24 576 experts + 1 024 attention + 64 router + 396 head
    arch = load_architecture("chowdhury_arxiv_2026")
    assert arch.n_crossbars(arch.core("pcm")) >= 24_576 + 1_024 + 64 + 396


def test_copied_examples_load_from_their_new_place(tmp_path):
    copied = copy_shipped(tmp_path)
    assert "schema/architecture.schema.json" in copied
    assert load_architecture(tmp_path / "arch_specs" / "tiny_edge.yaml").digest == load_architecture("tiny_edge").digest
    workload = load_workload(tmp_path / "workloads" / "tiny_moe.yaml")
    assert workload.checkpoint == tmp_path / "workloads" / "tiny_moe"
