"""The voltage lost in the column wires in the static approximation of the aihwkit library."""

from __future__ import annotations

import torch
from torch import Tensor

from dse.devices.ir_drop import static_drop_gain, static_drop_weights
from dse.spec.array_effects import AihwkitStatic

# T tokens, O outputs, I inputs of one slice


def static_drop(x: Tensor, weight: Tensor, network: AihwkitStatic) -> Tensor:
    """What the outputs of a slice lose (T, O), to be subtracted before the converter.

    ``a_i = n R g_max Σ_j |w_ij x_j|``, ``c = 0.5 a − 0.2 a² + 0.05 a³``,
    ``loss_i = scale · c_i · Σ_j w_ij x_j (1 − (1 − j/n)²)``, j = 0 farthest from the converter.

    Args:
        x: inputs as shares of the input range (T, I).
        weight: weights as shares of their scale (O, I).
        network: resistance, conductance and scale.

    Valid for: comparison with aihwkit. The loss grows with the square of the input, that of a linear network does not.

    Source: aihwkit rpu_forward_backward_pass.cpp, applyIrDrop.
    """
    inputs = weight.shape[1]
    a = (x.abs() @ weight.abs().T).mul_(static_drop_gain(network, inputs))  # (T, O)
    share = a * (0.5 + a * (-0.2 + 0.05 * a))
    near = torch.from_numpy(static_drop_weights(inputs)).to(x)  # (I,)
    return ((x * near) @ weight.T).mul_(share).mul_(float(network.scale))
