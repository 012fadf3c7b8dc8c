import pytest

from dse.noise import check_accuracy
from dse.noise.effects import effects_of
from dse.spec.array_effects import DriftCompensation, LinearNetwork, VOffset
from dse.spec.device import Faults
from dse.spec.load import load_device

from .small import CONTEXT, make_architecture, make_core, make_device, make_mapping, make_workload

FEW = {"draws": 4, "n_tokens": 10 * CONTEXT}
ALL = make_mapping(lambda block: True)


def test_effects_are_those_that_the_files_state():
    plain = effects_of([make_core()], time_s=0.0)
    assert plain.simulated[0] == "programming noise"
    assert {"conductance drift", "read noise", "stuck devices", "IR drop"} <= set(plain.left_out)
    device = make_device(read_noise=load_device("pcm_generic_read_noise").read_noise, faults=Faults())
    core = make_core(
        device,
        ir_drop=LinearNetwork(model="linear_network"),
        v_offset=VOffset(std_fraction=0.1),
        drift_compensation=DriftCompensation(scope="tile"),
    )
    full = effects_of([make_core(), core], time_s=1.0)
    assert {"conductance drift", "read noise", "stuck devices", "IR drop", "offset voltages"} <= set(full.simulated)
    assert "drift compensation" in full.simulated
    assert not set(full.simulated) & set(full.left_out)
    assert effects_of([], time_s=0.0).simulated == ()


@pytest.fixture(scope="module")
def reports(checkpoint):
    """Accuracy right after programming and, without and with compensation, a month later."""
    workload, device = make_workload(checkpoint), load_device("pcm_generic")
    plain = make_architecture(make_core(device))
    compensated = make_architecture(make_core(device, drift_compensation=DriftCompensation(scope="column")))
    cases = ((plain, 0.0), (plain, 2.6e6), (compensated, 2.6e6))
    return [check_accuracy(arch, workload, ALL, time_s=time_s, **FEW) for arch, time_s in cases]


def test_old_weights_are_measured_and_named(reports):
    fresh, old, compensated = reports
    losses = [report.draws["loss_nats"].to_numpy() for report in reports]
    assert (losses[0] != losses[1]).all()
    assert (losses[1] != losses[2]).all()
    assert "conductance drift" in fresh.unmodelled
    assert "conductance drift" in old.effects
    assert "drift compensation" in compensated.effects


def test_the_layers_of_old_weights_are_worse_and_compensation_helps(reports):
    fresh, old, compensated = (report.layers["snr_db"].to_numpy() for report in reports)
    assert (old < compensated).all()
    assert (compensated < fresh).all()
