"""The public names of the package: sorted, all there, each documented."""

import inspect
import subprocess
import sys

import dse

EXPECTED = {
    "load_architecture", "load_workload", "load_device", "score_blocks", "cost_table", "option_scores",
    "solve_mapping", "evaluate", "design", "check_accuracy", "explore", "pareto_mask", "Study", "Mapping",
    "Evaluation", "AccuracyReport", "CostTable", "Architecture", "Device", "Workload", "Design",
}  # fmt: skip


def test_all_is_sorted_and_complete():
    assert dse.__all__ == sorted(dse.__all__)
    assert set(dse.__all__) == set(dse._HOMES)
    assert set(dse.__all__) >= EXPECTED


def test_every_public_name_resolves_and_has_a_docstring():
    for name in dse.__all__:
        value = getattr(dse, name)
        assert inspect.getdoc(value), name


def test_a_public_function_is_not_hidden_by_a_package_of_its_name():
    import dse.evaluation.run
    import dse.exploration.run

    assert all(callable(getattr(dse, name)) for name in dse.__all__)


def test_the_noise_package_is_there_without_an_import_of_its_own():
    code = "import sys, dse; assert 'dse.noise' not in sys.modules; dse.noise.simulate_linear"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_result_has_a_table_for_notebooks():
    arch, workload = dse.load_architecture("tiny_edge"), dse.load_workload("tiny_moe")
    design = dse.design(arch, workload)
    study = dse.explore(dse.Space(architecture=arch, workload=workload, axes={"scenario.batch": [1, 8]}))
    results = {
        "KV cache": design.evaluation, "energy_pj_per_token": design, "dsp": design.mapping,
        "2 ok": study, "fetch_ns_per_activation": dse.cost_table(arch, workload),
        "fixed": dse.explain(arch, workload, design.mapping, "area_mm2"),
        "tops_per_w": dse.core_datasheet(arch.core("pcm")),
        "interval_95_low": dse.uncertainty(arch, workload, design.mapping, n_samples=32),
    }  # fmt: skip
    for shown, result in results.items():
        assert "<table" in result._repr_html_()
        assert shown in result._repr_html_(), type(result).__name__
