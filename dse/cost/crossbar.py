"""One analog core group: energy and time of a visit from the totals of one matrix-vector product."""

from __future__ import annotations

from dse.units import Quantity


def products_energy_pj(*, n_crossbars: Quantity, mvm_energy_pj: Quantity) -> Quantity:
    """Energy of the crossbar products of one visit [pJ].

    ``E = n_crossbars · E_mvm``, whatever the fill of a crossbar (a lumped core).

    >>> products_energy_pj(n_crossbars=4160, mvm_energy_pj=10e3) / 1e6  # µJ
    41.6
    """
    return n_crossbars * mvm_energy_pj
