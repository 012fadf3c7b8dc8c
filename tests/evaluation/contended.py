"""Simulated times of the designs of the validation page; run it to write them anew into ``validation/contention``."""

import json
from itertools import islice

from event_driven import Machine, Network, Plan, block_names, kind_of, simulated_ns, slices_of

from dse.validation.contention import FOLDER, Design, tiles_of
from dse.validation.files import read_json, validation_file

FILE = f"{FOLDER}/simulated.json"
NETWORK = Network(n_layers=3, d_model=16, n_experts=16, top_k=4, d_expert=16, vocab=32)
SEEDS = range(8)


def machine(n_tiles):
    """The machine of ``validation/contention/machine.yaml``, in the few numbers that the simulation knows."""
    return Machine(
        rows=8, cols=8, n_tiles=n_tiles, product_ns=100, link_ns=10, ops_per_ns=100, bytes_per_ns=20, launch_ns=20
    )


def plan_of(design, composition):
    """Tile of every slice of every analog block."""
    few = round(design.analog_share * NETWORK.n_experts)
    experts = {f"layers.{i}.experts.{e}" for i in range(NETWORK.n_layers) for e in range(few)}
    names = [n for n in block_names(NETWORK) if n in experts or (design.all_blocks and kind_of(n) != "expert")]
    count = {name: len(slices_of(machine(design.n_tiles), NETWORK.matrices(kind_of(name)))) for name in names}
    flat = iter(tiles_of(design.packing, sum(count.values()), design.n_tiles).tolist())
    tiles = {name: list(islice(flat, n)) for name, n in count.items()}
    return Plan(tiles=tiles, composition=composition, micro_batches=design.micro_batches)


def simulated(design, composition, seeds=SEEDS, choose=None):
    """Times of a step, one per seed [ns]."""
    plan = plan_of(design, composition)
    return simulated_ns(
        machine(design.n_tiles), NETWORK, plan, batch=design.batch, context=7, seeds=seeds, choose=choose
    )


def write():
    """Simulates all designs of the file and writes the means."""
    content = read_json(FILE)
    for row in content["rows"]:
        times = simulated(Design(*row["design"]), row["composition"])
        row["simulated_ns"] = round(sum(times) / len(times), 3)
    rows = ",\n  ".join(json.dumps(row) for row in content["rows"])
    head = json.dumps({key: value for key, value in content.items() if key != "rows"}, indent=1)[:-2]
    validation_file(FILE).write_text(f'{head},\n "rows": [\n  {rows}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    write()
