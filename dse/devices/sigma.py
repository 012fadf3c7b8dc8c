"""Standard deviation of the programming error of one device."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dse.spec.device import Device, sigma_coefficients


def sigma_usiemens(r: ArrayLike, device: Device) -> NDArray[np.float64]:
    """Standard deviation of the programmed conductance [µS] at target r = g / g_max in [0, 1].

    ``sigma = scale · max(0, Σ coefficients[i] · r^i)``

    Valid for: 0 ≤ r ≤ 1; the polynomials are fits to measured distributions within that range.
    """
    return sigma_share(r, device) * np.float64(device.g_max_usiemens)


def sigma_share(r: ArrayLike, device: Device) -> NDArray[np.float64]:
    """The same as a share of g_max [-]."""
    return np.maximum(np.polynomial.polynomial.polyval(np.asarray(r, np.float64), sigma_coefficients(device)), 0.0)


def off_state_share(device: Device) -> float:
    """Conductance of a zero weight as a share of g_max [-]."""
    return float(device.g_min_usiemens / device.g_max_usiemens)
