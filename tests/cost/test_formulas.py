import numpy as np
import pytest

from dse.cost.attention import attention_ops, kv_traffic_bytes
from dse.cost.datasheet import core_datasheet
from dse.cost.digital import compute_precision
from dse.cost.link import crossings, hand_off
from dse.errors import SpecError
from dse.spec.load import load_architecture
from dse.workload.build import load_workload


def test_hermes_throughput_and_efficiency_follow_from_one_product():
    # measured: Le Gallo, Nat. Electron. 2023: 63.1 TOPS, 9.76 TOPS/W, 1.55 TOPS/mm2 for 64 cores, 1-phase read
    arch = load_architecture("hermes_2d")
    core = arch.core("pcm")
    sheet = core_datasheet(core)
    assert arch.n_tiles(core) * sheet.tops == pytest.approx(63.1, rel=1e-3)
    assert sheet.tops_per_w == pytest.approx(9.76, rel=1e-3)
    assert sheet.tops_per_mm2 == pytest.approx(1.55, rel=3e-3)


def test_attention_work_is_quadratic_in_prefill_and_linear_in_decode():
    decode, prefill = load_workload("olmoe").scenario, load_workload("olmoe_prefill").scenario
    model = load_workload("olmoe").model
    # by hand: 2 products x 2 operations x 2048 x 32 sequences x 1025 positions
    assert attention_ops(model, decode) == 4 * 2048 * 32 * 1025
    assert attention_ops(model, prefill) == 4 * 2048 * 8 * (512 * 513 // 2)
    assert kv_traffic_bytes(model, decode) == 32 * 1025 * 2 * 2048 * 2


@pytest.mark.parametrize("used", [{"rows_used": 513}, {"cols_used": 0}, {"cols_used": np.array([1.0, 600.0])}])
def test_a_datasheet_of_more_than_the_array_has_is_refused(used):
    with pytest.raises(SpecError, match=r"_used: the array has 1 to 512 (rows|cols) \(got"):
        core_datasheet(load_architecture("server_pcm3d").core("pcm"), **used)


def test_compute_runs_at_the_narrowest_listed_precision_that_is_wide_enough():
    unit = load_architecture("server_pcm3d").unit("npu")  # lists fp16 and int8
    assert compute_precision(unit, weights="int4", activations="int8") == "int8"
    assert compute_precision(unit, weights="int4", activations="fp16") == "fp16"
    with pytest.raises(SpecError, match=r"peak_ops_per_ns: lists no precision of 32 bits .* add one, e\.g\. fp32"):
        compute_precision(unit, weights="fp32", activations="fp16")


def test_an_expert_on_the_die_of_the_host_hands_sums_over_but_no_bytes():
    expert = next(b for b in load_workload("olmoe").blocks if b.kind == "expert").block_class
    found = hand_off(expert, None, rows=512, cols=512, activation_bits=8, adc_bits=8, sharing=1.0)
    # by hand: 3 of 4 row slices added over 2 x 1024 columns, 1 of 2 over 2048
    assert found == (0, 3 * 2 * 1024 + 2048, 0)
    assert crossings(expert) == 4  # there and back for gate/up, there and back for down


def test_formulas_take_arrays():
    expert = next(b for b in load_workload("olmoe").blocks if b.kind == "expert").block_class
    rows = np.array([256.0, 512.0, 1024.0])
    assert expert.n_crossbars(rows=rows, cols=rows).tolist() == [96.0, 24.0, 6.0]
