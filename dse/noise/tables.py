"""What chips did, as tables: one row a chip, one a chip and layer, one a chip, layer and expert."""

from __future__ import annotations

import pandas as pd

from dse.noise.measure import Chips
from dse.noise.trace import Trace


def draw_table(chips: Chips) -> pd.DataFrame:
    """pair, sign and the metrics of every chip, pair by pair, +1 first."""
    places = sorted(chips, key=lambda place: (place.pair, -place.sign))
    return pd.DataFrame([{**place._asdict(), **chips[place]["metrics"]} for place in places])


def layer_table(chips: Chips) -> pd.DataFrame:
    """pair, sign, layer, routing_changed_fraction, snr_db."""
    names = ("layer", "routing_changed_fraction", "snr_db")
    rows = [
        {**place._asdict(), **{name: layer[name] for name in names}}
        for place, chip in chips.items()
        for layer in chip["layers"]
    ]
    return pd.DataFrame(rows, columns=["pair", "sign", *names])


def load_table(chips: Chips, digital: Trace) -> pd.DataFrame:
    """pair, sign, layer, expert, digital, load: shares of tokens that choose an expert."""
    loads = {number: layer.load.tolist() for number, layer in digital.items()}
    rows = [
        {**place._asdict(), "layer": layer["layer"], "expert": expert, "digital": reference, "load": load}
        for place, chip in chips.items()
        for layer in chip["layers"]
        for expert, (reference, load) in enumerate(zip(loads[layer["layer"]], layer["load"], strict=True))
    ]
    return pd.DataFrame(rows, columns=["pair", "sign", "layer", "expert", "digital", "load"])
