"""Expert map: score and placement of every expert, layer by layer, and the digital share of each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dse.mapping.model import Mapping as Placement
from dse.report.style import ANALOG, DIGITAL, UNASSIGNED, fixed_ticks, shades
from dse.report.tables import percent_text

ABSENT = -1
"""Code of a cell without an expert."""


class ExpertMapView(NamedTuple):
    """What the expert map shows; rows are layers, columns the experts of a layer by falling score."""

    table: pd.DataFrame
    """block, layer, rank, score, group, precision."""
    layers: tuple[int, ...]
    score: NDArray[np.float64]
    """(layers, ranks): score; NaN where there is no expert."""
    placed: NDArray[np.int64]
    """(layers, ranks): position in `options`, or `ABSENT`."""
    options: tuple[tuple[str, str], ...]
    """(group, precision), analog ones first."""
    fence: NDArray[np.bool_]
    """(layers, ranks): experts whose place changes with the samples of a robustness study."""
    digital_fraction: NDArray[np.float64]
    """(layers,): share of the experts of a layer that are digital."""


def prepare(scores: pd.DataFrame, mapping: Placement | None) -> ExpertMapView:
    """What the expert map shows.

    Args:
        scores: as in ``scores.csv``; rows of other kinds than ``expert`` are left out.
        mapping: the placement; without one all experts are unassigned.
    """
    experts = scores[scores["kind"] == "expert"].copy()
    placement = {} if mapping is None else {name: (o.group, o.precision) for name, o in mapping.placement.items()}
    experts["layer"] = experts["layer"].astype(int)
    experts["score"] = experts["score"].astype(float)
    experts["group"] = [placement.get(block, ("", ""))[0] for block in experts["block"]]
    experts["precision"] = [placement.get(block, ("", ""))[1] for block in experts["block"]]
    experts = experts.sort_values(["layer", "score", "block"], ascending=[True, False, True], kind="stable")
    experts["rank"] = experts.groupby("layer").cumcount()
    layers = tuple(int(layer) for layer in sorted(experts["layer"].unique()))
    pairs = set(zip(experts["group"], experts["precision"], strict=True))
    options = tuple(sorted(pairs, key=lambda o: (o[1] != "analog", o)))
    shape = (len(layers), int(experts["rank"].max()) + 1 if len(experts) else 0)
    score, placed = np.full(shape, np.nan), np.full(shape, ABSENT, dtype=np.int64)
    rows, columns = np.searchsorted(layers, experts["layer"]), experts["rank"].to_numpy()
    score[rows, columns] = experts["score"]
    placed[rows, columns] = [options.index(o) for o in zip(experts["group"], experts["precision"], strict=True)]
    fence = np.zeros(shape, dtype=bool)
    unsure = set() if mapping is None else set(mapping.robustness.get("fence", ()))
    fence[rows, columns] = experts["block"].isin(unsure)
    digital = np.isin(placed, [i for i, o in enumerate(options) if o[1] not in ("analog", "")])
    share = digital.sum(axis=1) / np.maximum((placed != ABSENT).sum(axis=1), 1)
    table = experts[["block", "layer", "rank", "score", "group", "precision"]].reset_index(drop=True)
    return ExpertMapView(table, layers, score, placed, options, fence, share)


def conclude(view: ExpertMapView) -> str:
    """The figure in one sentence."""
    if not view.layers:
        return "The run kept no expert scores."
    digital = ~view.table["precision"].isin(["analog", ""])
    if not digital.any():
        return f"All {len(view.table)} experts are on analog cores."
    if digital.all():
        return f"All {len(view.table)} experts are digital."
    total = view.table["score"].sum()
    held = float(view.table.loc[digital, "score"].sum() / total) if total > 0 else 0.0
    low, high = view.digital_fraction.min(), view.digital_fraction.max()
    spread = (
        f"{percent_text(low)} in every layer"
        if high - low < 0.005
        else f"from {percent_text(low)} to {percent_text(high)} of a layer"
    )
    return (
        f"{int(digital.sum())} of {len(view.table)} experts ({percent_text(digital.mean())}) are digital, {spread}; "
        f"they hold {percent_text(held)} of the summed score{fence_text(view)}."
    )


def fence_text(view: ExpertMapView) -> str:
    """How many experts are on the fence; nothing where none is known to be."""
    count = int(view.fence.sum())
    return f"; {count} (dots) are on the fence: their place changes with scores and costs within their spreads" * (
        count > 0
    )


def option_colours(options: tuple[tuple[str, str], ...]) -> Mapping[tuple[str, str], tuple[float, float, float]]:
    """(group, precision) → colour: shades of orange on analog cores, of blue on digital units, white if unplaced."""
    analog = [o for o in options if o[1] == "analog"]
    digital = [o for o in options if o[1] not in ("analog", "")]
    colours = dict(zip(analog, shades(ANALOG, len(analog)), strict=True))
    colours.update(zip(digital, shades(DIGITAL, len(digital)), strict=True))
    return {o: colours.get(o, to_rgb(UNASSIGNED)) for o in options}


def draw(view: ExpertMapView, figure: Figure) -> None:
    """Draws score, placement and digital share side by side."""
    axes = figure.subplots(1, 3, sharey=True, width_ratios=[5, 5, 1.4])
    n_layers, n_ranks = view.score.shape
    extent = (-0.5, n_ranks - 0.5, n_layers - 0.5, -0.5)
    positive = np.where(view.score > 0, view.score, np.nan)
    image = axes[0].imshow(np.log10(positive), cmap="viridis", aspect="auto", interpolation="none", extent=extent)
    bar = figure.colorbar(image, ax=axes[0], location="bottom", aspect=45, pad=0.01)
    bar.set_label("log₁₀ score")
    bar.locator = MaxNLocator(5)
    bar.outline.set_visible(False)
    colours = option_colours(view.options)
    cmap = ListedColormap([to_rgb(UNASSIGNED), *[colours[o] for o in view.options]])
    axes[1].imshow(
        view.placed + 1, cmap=cmap, vmin=0, vmax=len(view.options), aspect="auto", interpolation="none", extent=extent
    )
    axes[1].legend(
        handles=[Patch(facecolor=colours[o], edgecolor="#999999", lw=0.5, label=_option_text(o)) for o in view.options],
        loc="lower right", bbox_to_anchor=(1.02, 0.99), ncols=2, columnspacing=1.0, borderpad=0.1,
    )  # fmt: skip
    at_layer, at_rank = np.nonzero(view.fence)
    axes[1].plot(at_rank, at_layer, ".", color="black", markersize=2.5)
    axes[2].barh(np.arange(n_layers), view.digital_fraction * 100, height=0.8, color=DIGITAL)
    axes[2].set_xlim(0, max(10.0, float(view.digital_fraction.max(initial=0.0)) * 115))
    axes[2].set_xlabel("[%]")
    axes[2].xaxis.set_major_locator(MaxNLocator(2))
    for ax, title in zip(axes, ("Score", "Placement", "Digital"), strict=True):
        ax.set_title(title)
        ax.grid(visible=False)
        ax.tick_params(axis="y", left=ax is axes[0])
    for ax in axes[:2]:
        ax.set_xlabel("expert of the layer, by falling score")
    step = max(1, round(n_layers / 12))
    fixed_ticks(axes[0].yaxis, range(0, n_layers, step), [str(layer) for layer in view.layers[::step]])
    axes[0].set_ylabel("layer")


def _option_text(option: tuple[str, str]) -> str:
    group, precision = option
    return f"{group}, {precision}" if group else "unassigned"
