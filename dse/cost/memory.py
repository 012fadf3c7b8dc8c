"""Memory traffic: time and energy of bytes, KV cache and activation footprints."""

from __future__ import annotations

from dse.units import BITS_PER_BYTE, Quantity


def transfer_ns(*, n_bytes: Quantity, bandwidth_bytes_per_ns: Quantity, bandwidth_fraction: Quantity = 1.0) -> Quantity:
    """Time to move bytes at the reached share of the bandwidth [ns].

    >>> transfer_ns(n_bytes=850.0, bandwidth_bytes_per_ns=100.0, bandwidth_fraction=0.85)
    10.0
    """
    return n_bytes / (bandwidth_bytes_per_ns * bandwidth_fraction)


def transfer_pj(*, n_bytes: Quantity, energy_pj_per_bit: Quantity) -> Quantity:
    """Energy of moving bytes [pJ].

    >>> transfer_pj(n_bytes=10.0, energy_pj_per_bit=4.0)
    320.0
    """
    return n_bytes * BITS_PER_BYTE * energy_pj_per_bit


def activation_bytes(*, tokens: Quantity, d_model: int, top_k: int, inner_width: int, activation_bits: int) -> Quantity:
    """Bytes of live activations of one layer [byte]: residual and normed input, and the inner vectors of k experts."""
    return tokens * (2 * d_model + top_k * inner_width) * activation_bits / BITS_PER_BYTE
