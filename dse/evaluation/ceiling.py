"""The ceiling of a design: what could be gained at most if the analog experts cost nothing."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from dse.cost.table import CostTable
from dse.evaluation.points import evaluate_points
from dse.evaluation.result import Evaluation
from dse.mapping.model import Mapping
from dse.spec.architecture import Architecture
from dse.units import NS_PER_S, PJ_PER_J, at_point, ratio
from dse.workload.build import Workload


def ceiling(
    arch: Architecture,
    workload: Workload,
    mapping: Mapping,
    evaluation: Evaluation,
    costs: CostTable,
    *,
    digital: Evaluation,
) -> dict[str, float]:
    """Bounds on what analog experts can bring on this machine (first design point).

    ``speedup_limit = T(all digital) / T(experts free)`` (Amdahl): the free run keeps dense weights where the mapping
    has them, attention scores and the KV cache, and takes out the routed experts and what tiles draw without working.
    ``digital`` is the run of ``all_digital_mapping``; where it does not fit, its figures are those of a memory that is
    large enough.
    """
    tokens = np.asarray(evaluation.tokens_per_step)
    free = evaluate_points(arch, workload, mapping, costs, leave_out={"expert"})
    free_ns, parts = float(free.latency_ns[0]), free.energy_parts_pj
    tiles = {core.name for core in arch.analog_cores}
    free_pj = float(sum(v[0] for part, v in parts.items() if part.block_kind != "all" or part.group not in tiles))
    base_pj = float(sum(v[0] for part, v in digital.energy_parts_pj.items() if part.group not in tiles))
    n_tokens = float(tokens[0])
    traffic: dict[str, float] = defaultdict(float)
    for (_, what), moved in digital.traffic_bytes.items():
        traffic[what] += at_point(moved) / n_tokens
    base_ns, own_ns, own_pj = (
        float(digital.latency_ns[0]),
        float(evaluation.latency_ns[0]),
        float(evaluation.energy_pj_per_step),
    )
    fits = all(np.all(need[:1] <= digital.units_available[name][:1]) for name, need in digital.units_needed.items())
    return {
        "all_digital_fits": float(fits),
        "all_digital_tokens_per_s": n_tokens / base_ns * NS_PER_S,
        "all_digital_tokens_per_j": ratio(n_tokens, base_pj) * PJ_PER_J,
        "experts_free_tokens_per_s": n_tokens / free_ns * NS_PER_S,
        "experts_free_tokens_per_j": ratio(n_tokens, free_pj) * PJ_PER_J,
        "speedup": base_ns / own_ns,
        "speedup_limit": base_ns / free_ns,
        "energy_gain": ratio(base_pj, own_pj),
        "energy_gain_limit": ratio(base_pj, free_pj),
        "bytes_per_token_all_digital": sum(traffic.values()),
        "bytes_per_token_dense": traffic["dense weights"],
        "bytes_per_token_experts": traffic["digital experts"],
        "bytes_per_token_kv": traffic["KV cache"],
    }
