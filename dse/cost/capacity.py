"""What there is to hold blocks: crossbars of analog groups, bytes of memories after what lives there anyway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dse.cost.buffer import live_activation_bytes
from dse.cost.option import dense_precision, host_unit
from dse.spec.architecture import Architecture
from dse.spec.scenario import Scenario
from dse.units import BITS, BITS_PER_BYTE, Quantity
from dse.workload.build import Workload, kv_cache_bytes


def capacity_units(arch: Architecture, workload: Workload) -> dict[str, Quantity]:
    """Resource → capacity for blocks: crossbars, or bytes; never below 0 is not promised, it shows a misfit."""
    capacity: dict[str, Quantity] = {c.name: arch.n_crossbars(c) for c in arch.analog_cores}
    for memory in arch.memories:
        capacity[memory.name] = memory.capacity_bytes
    host_memory = host_unit(arch).memory
    for n_bytes in resident_bytes(arch, workload).values():
        capacity[host_memory] = capacity[host_memory] - n_bytes
    return capacity


def resident_bytes(arch: Architecture, workload: Workload) -> dict[str, Quantity]:
    """What lives in the host's memory besides blocks [byte]: KV cache, activations, embedding."""
    model, scenario = workload.model, workload.scenario
    kv_bytes = kv_cache_bytes(model, tokens=cached_tokens(scenario), bits=BITS[scenario.precision.kv_cache])
    embedding_bits = BITS[dense_precision(host_unit(arch), workload)]
    return {
        "KV cache": scenario.batch * kv_bytes,
        "activations": live_activation_bytes(workload),
        "embedding": 0.0 if model.tied_head else model.vocab_size * model.d_model * embedding_bits / BITS_PER_BYTE,
    }


def cached_tokens(scenario: Scenario) -> Quantity:
    """Tokens of one sequence that are in the cache at the end of a step."""
    match scenario.phase:
        case "prefill":
            return scenario.prompt_tokens
        case "generate":
            return scenario.prompt_tokens + scenario.new_tokens
        case _:
            return scenario.context_tokens + 1


BITS_OF_A_COUNT: Final = 48
"""Largest batch or length that is looked for: 2^48 − 1; above it memory is no limit."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MemoryRoom:
    """The host's memory without the blocks placed there: how far batch and length may grow into it."""

    arch: Architecture
    workload: Workload
    free_bytes: Quantity
    """Capacity less the placed blocks [byte]; KV cache, activations and embedding must fit into it."""

    @property
    def memory(self) -> str:
        """Name of the host's memory."""
        return host_unit(self.arch).memory

    @property
    def max_batch(self) -> NDArray[np.float64]:
        """Largest batch at the scenario's length; 0: not even one sequence fits, inf: memory is no limit."""
        return self._largest(lambda scenario, count: dataclasses.replace(scenario, batch=count))

    @property
    def max_context_tokens(self) -> NDArray[np.float64]:
        """Largest context (``prefill``: prompt) at the scenario's batch [tokens]; inf: memory is no limit."""
        return self._largest(with_length)

    def _largest(self, changed: Callable[[Scenario, NDArray[np.float64]], Scenario]) -> NDArray[np.float64]:
        def fits(count: NDArray[np.float64]) -> NDArray[np.bool_]:
            scenario = changed(self.workload.scenario, count)
            needed = resident_bytes(self.arch, dataclasses.replace(self.workload, scenario=scenario))
            return np.asarray(sum(needed.values()) <= self.free_bytes)

        return largest_count(fits, np.shape(self.free_bytes))


def with_length(scenario: Scenario, tokens: Quantity) -> Scenario:
    """The scenario with another context (decode) or prompt (prefill)."""
    if scenario.phase == "decode":
        return dataclasses.replace(scenario, context_tokens=tokens)
    return dataclasses.replace(scenario, prompt_tokens=tokens)


def largest_count(
    fits: Callable[[NDArray[np.float64]], NDArray[np.bool_]], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Largest whole number that fits, bit by bit from the highest; what fits must be all numbers up to some limit.

    >>> float(largest_count(lambda n: 3 * n <= 1000, ()))
    333.0
    """
    count = np.zeros(shape)
    for bit in reversed(range(BITS_OF_A_COUNT)):
        count = np.where(fits(count + 2.0**bit), count + 2.0**bit, count)
    return np.where(count >= 2.0**BITS_OF_A_COUNT - 1, np.inf, count)
