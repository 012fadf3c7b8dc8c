from collections.abc import Callable
from typing import Any

import pytest

from dse.spec.device import Device, Programming

HERMES = (0.16603222, 4.71806468, -8.48101252, 4.68961419)


def make_device(
    coefficients: tuple[float, ...] = HERMES, *, noise: float = 1.0, g_max_usiemens: float = 20.7, **fields: Any
) -> Device:
    return Device(
        name="test device",
        g_max_usiemens=g_max_usiemens,
        programming=Programming(model="polynomial", coefficients=coefficients, scale=noise),
        **{"g_min_usiemens": 0.0, "pair": "both_devices", "scale_scope": "row"} | fields,
    )


@pytest.fixture(scope="session")
def device() -> Callable[..., Device]:
    """Makes a device: HERMES PCM, two devices, unless told otherwise."""
    return make_device
