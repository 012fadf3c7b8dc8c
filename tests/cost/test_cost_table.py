"""The table of unit costs as arrays of designs, block classes and options."""

import numpy as np
import pytest

from dse import cost_table, load_architecture, load_workload

NAMES = (
    "energy_pj_per_visit", "energy_pj_per_activation", "compute_ns_per_visit", "fetch_ns_per_activation", "units",
    "bytes",
)  # fmt: skip


def test_named_arrays_have_designs_classes_and_options() -> None:
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    bits = np.array([6.0, 8.0, 10.0])
    costs = cost_table(arch.with_values({"analog_cores.pcm.adc.bits": bits}), workload)
    for name in NAMES:
        array = getattr(costs, name)
        assert array.shape == (3, len(costs.classes), len(costs.options)), name
        for point, value in enumerate(bits):
            alone = cost_table(arch.with_values({"analog_cores.pcm.adc.bits": float(value)}), workload)
            np.testing.assert_allclose(array[point], getattr(alone, name)[0], rtol=1e-12)
            frame = costs.frame(point)
            np.testing.assert_allclose(frame[name], array[point][costs.allowed], rtol=1e-12)


def test_the_arrays_of_an_expert_by_hand() -> None:
    arch, workload = load_architecture("server_pcm3d"), load_workload("olmoe")
    costs = cost_table(arch, workload)
    expert = next(i for i, c in enumerate(costs.classes) if c.kind == "expert")
    analog, fp16 = ([o.precision for o in costs.options].index(p) for p in ("analog", "fp16"))
    # by hand: 3 matrices of 2048 x 1024 weights on crossbars of 512 x 512: 3 x 4 x 2; in fp16 two bytes a weight
    assert costs.units[0, expert, analog] == 24
    assert costs.units[0, expert, fp16] == costs.bytes[0, expert, fp16] == 3 * 2048 * 1024 * 2
    assert costs.bytes[0, expert, analog] == costs.fetch_ns_per_activation[0, expert, analog] == 0
    parts = costs.of(expert, analog).visit_parts_pj
    assert costs.energy_pj_per_visit[0, expert, analog] == pytest.approx(sum(parts.values()), rel=1e-12)
