"""An event-driven simulation of one decode step, independent of the package: what its times are checked against.

Products queue at tiles, which do one at a time; kernels queue at the digital unit; a token's second product waits for
all slices of its first. Tokens choose experts at random. A stage of a micro-batch begins when its last one is over.
"""

import heapq
import itertools
import random
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Machine:
    """The few numbers that the simulation knows; times in ns, work in operations and bytes."""

    rows: int
    cols: int
    n_tiles: int
    product_ns: float
    link_ns: float
    ops_per_ns: float
    bytes_per_ns: float
    launch_ns: float


@dataclass(frozen=True)
class Network:
    """Shape of a model with plain attention and gated experts."""

    n_layers: int
    d_model: int
    n_experts: int
    top_k: int
    d_expert: int
    vocab: int

    def matrices(self, kind):
        """(depth, inputs, outputs) of every matrix of a block."""
        d, f = self.d_model, self.d_expert
        return {
            "attention": [(0, d, d)] * 3 + [(1, d, d)],
            "router": [(0, d, self.n_experts)],
            "expert": [(0, d, f)] * 2 + [(1, f, d)],
            "head": [(0, d, self.vocab)],
        }[kind]


@dataclass(frozen=True)
class Plan:
    """Where blocks are: names of analog blocks → tile of each slice, in the order of ``slices_of``."""

    tiles: dict = field(default_factory=dict)
    composition: str = "serial"
    micro_batches: int = 1


KERNELS = {"attention": 3, "router": 1, "expert": 2, "head": 1}


def slices_of(machine, matrices):
    """(matrix, row slice, column slice, depth) of every crossbar of a block, matrix by matrix."""
    return [
        (m, i, j, depth)
        for m, (depth, n_in, n_out) in enumerate(matrices)
        for i in range(-(-n_in // machine.rows))
        for j in range(-(-n_out // machine.cols))
    ]


def block_names(network):
    """Blocks in the order of execution."""
    layers = [
        [f"layers.{i}.attention", f"layers.{i}.router", *(f"layers.{i}.experts.{e}" for e in range(network.n_experts))]
        for i in range(network.n_layers)
    ]
    return [*itertools.chain(*layers), "head"]


def kind_of(name):
    """Kind of a block by its name."""
    return "expert" if ".experts." in name else name.split(".")[-1]


class Engine:
    """Jobs with predecessors on resources that serve one at a time, the oldest ready job first."""

    def __init__(self):
        self.jobs, self.waiting, self.after = [], [], []

    def job(self, resource, duration, before=()):
        """A job that begins when all of ``before`` are over; without a resource it only takes time."""
        number = len(self.jobs)
        self.jobs.append((resource, duration))
        self.waiting.append(len(before))
        self.after.append([])
        for other in before:
            self.after[other].append(number)
        return number

    def run(self):
        """Time at which the last job is over."""
        ready, busy, events, now = defaultdict(list), set(), [], 0.0

        def arrive(number):
            resource, duration = self.jobs[number]
            if resource is None:
                heapq.heappush(events, (now + duration, number))
            else:
                heapq.heappush(ready[resource], number)

        def start(resource):
            if resource is not None and resource not in busy and ready[resource]:
                number = heapq.heappop(ready[resource])
                busy.add(resource)
                heapq.heappush(events, (now + self.jobs[number][1], number))

        for number in [n for n, count in enumerate(self.waiting) if count == 0]:
            arrive(number)
        for resource in list(ready):
            start(resource)
        while events:
            now, done = heapq.heappop(events)
            over = [done]
            while events and events[0][0] <= now:
                over.append(heapq.heappop(events)[1])
            touched = [self.jobs[number][0] for number in over]
            busy.difference_update(touched)
            for other in (o for number in over for o in self.after[number]):
                self.waiting[other] -= 1
                if self.waiting[other] == 0:
                    arrive(other)
                    touched.append(self.jobs[other][0])
            for resource in touched:
                start(resource)
        return now


class Step:
    """Builds the jobs of one step and runs them."""

    def __init__(self, machine, network, plan, *, batch, context, generator, choose=None):
        self.machine, self.network, self.plan = machine, network, plan
        self.batch, self.context, self.generator = batch, context, generator
        self.choose = choose or (lambda: generator.sample(range(network.n_experts), network.top_k))
        self.engine = Engine()

    def run(self, steps=1):
        """Time of some steps, one after the other for each micro-batch [ns]."""
        last = [()] * self.plan.micro_batches
        for _, part in itertools.product(range(steps), range(self.plan.micro_batches)):
            last[part] = self.one_step(last[part], self.batch // self.plan.micro_batches)
        return self.engine.run()

    def one_step(self, last, n_tokens):
        """Jobs of one step of some tokens; returns the job that ends it."""
        for layer in range(self.network.n_layers):
            prefix = f"layers.{layer}."
            last = self.stage([(prefix + "attention", n_tokens)], n_tokens, last, scores=True)
            last = self.stage([(prefix + "router", n_tokens)], n_tokens, last)
            choices = [self.choose() for _ in range(n_tokens)]
            used = [(f"{prefix}experts.{e}", sum(e in c for c in choices)) for e in range(self.network.n_experts)]
            last = self.stage([(n, v) for n, v in used if v], n_tokens, last, tokens=choices, prefix=prefix)
        return self.stage([("head", n_tokens)], n_tokens, last)

    def stage(self, blocks, n_tokens, before, *, scores=False, tokens=None, prefix=""):
        """Jobs of one stage; returns the job that ends it."""
        analog = {name for name, _ in blocks if name in self.plan.tiles}
        digital = [(name, visits) for name, visits in blocks if name not in analog]
        ends, host_ops = [], 0.0
        side_by_side = self.plan.composition != "serial" and tokens is not None
        if analog:
            for token in range(n_tokens):
                names = [blocks[0][0]] if tokens is None else [f"{prefix}experts.{e}" for e in sorted(tokens[token])]
                for name in names:
                    if name in analog:
                        end, ops = self.products(name, before)
                        ends.append(end)
                        host_ops += ops
        after = tuple(before) if side_by_side else (tuple(ends) or tuple(before))
        kernel = self.kernel_ns(digital, n_tokens if scores else 0)
        jobs = []
        if kernel:
            jobs.append(self.engine.job("host", kernel, after))
        if host_ops:
            jobs.append(self.engine.job("host", host_ops / self.machine.ops_per_ns, tuple(ends)))
        return (self.engine.job(None, 0.0, (*ends, *jobs)),)

    def products(self, name, before):
        """Products of one token in one block; the job that ends them and the additions that the host makes."""
        matrices = self.network.matrices(kind_of(name))
        slices, machine = slices_of(self.machine, matrices), self.machine
        for depth in range(1 + max(m[0] for m in matrices)):
            arrived = self.engine.job(None, machine.link_ns, before)
            own = [
                self.engine.job(tile, machine.product_ns, (arrived,))
                for tile, (_, _, _, d) in zip(self.plan.tiles[name], slices, strict=True)
                if d == depth
            ]
            before = (self.engine.job(None, machine.link_ns, tuple(own)),)
        additions = sum(
            (-(-n_in // machine.rows) - 1) * -(-n_out // machine.cols) * machine.cols for _, n_in, n_out in matrices
        )
        return before[0], additions

    def kernel_ns(self, blocks, scored_tokens):
        """Time of the digital unit for some blocks (name, visits) and the attention scores of some tokens."""
        ops = n_bytes = 0.0
        launches = 0
        for name, visits in blocks:
            weights = sum(n_in * n_out for _, n_in, n_out in self.network.matrices(kind_of(name)))
            ops, n_bytes = ops + 2.0 * weights * visits, n_bytes + 2.0 * weights
            launches = max(launches, KERNELS[kind_of(name)])
        if scored_tokens:
            positions = self.context + 1
            ops += scored_tokens * positions * 2 * 2 * self.network.d_model
            n_bytes += scored_tokens * positions * 2 * self.network.d_model * 2.0
            launches = max(launches, 1)
        return (
            max(ops / self.machine.ops_per_ns, n_bytes / self.machine.bytes_per_ns) + launches * self.machine.launch_ns
        )


WARM_UP, LONG = 2, 6
"""Steps after which a pipeline runs evenly, and steps that its period is taken from."""


def simulated_ns(machine, network, plan, *, batch, context, seeds, choose=None):
    """Times of one step for each seed [ns]; of a pipeline the period once it runs evenly."""

    def time(seed, steps):
        step = Step(machine, network, plan, batch=batch, context=context, generator=random.Random(seed), choose=choose)
        return step.run(steps)

    if plan.micro_batches == 1:
        return [time(seed, 1) for seed in seeds]
    return [(time(seed, LONG) - time(seed, WARM_UP)) / (LONG - WARM_UP) for seed in seeds]
