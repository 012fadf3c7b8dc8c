"""Links between dies and networks within a die."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dse.spec.quantity import CONFIG, NonNegative, Number, Positive
from dse.units import Quantity


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Link:
    """A link between the die of the first digital unit and that of a core or another unit; bandwidth per pair of dies.

    From a kind of die to itself: the network over which a digital group on several of these dies exchanges activations
    (all-reduce, all-to-all); its bandwidth is that of one die in one direction.
    """

    __pydantic_config__ = CONFIG

    from_: Annotated[str, Field(alias="from")]
    """Die at one end."""
    to: str
    """Die at the other end."""
    latency_ns: NonNegative
    """Time of one crossing [ns]."""
    bandwidth_bytes_per_ns: Positive
    """Bandwidth of one pair of dies [byte/ns]."""
    energy_pj_per_bit: NonNegative
    """Energy of one transferred bit [pJ/bit]."""
    broadcast: bool = False
    """Whether a token's vector crosses once to each die with one of its experts, which hands it to all of them;
    else once for each of its experts."""
    reduce: Literal["host", "die"] = "host"
    """Where outputs are added: ``host``: every row slice's output crosses; ``die``: adders on the analog die add row
    slices, and the outputs of a token's experts on that die, before one sum crosses; needs ``add_pj``."""
    add_pj: NonNegative | None = None
    """Energy of one addition by the adders of the analog die [pJ]; they are taken to keep up with the link."""

    @property
    def name(self) -> str:
        """Name in paths: the two dies."""
        return f"{self.from_}-{self.to}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DieNetwork:
    """The network that joins the tiles of a die to its port, the place where its links begin."""

    __pydantic_config__ = CONFIG

    within: str
    """Die that the network is on."""
    topology: Literal["mesh", "tree"]
    """``mesh``: a near-square grid of tiles, the port at the router in the middle of one edge, routes along that edge
    first; ``tree``: tiles are the leaves, the port is the root."""
    hop_ns: NonNegative
    """Time from one router to the next [ns]."""
    bandwidth_bytes_per_ns: Positive
    """Bandwidth of one link between two routers [byte/ns]."""
    energy_pj_per_bit_hop: NonNegative
    """Energy of one bit over one hop, router and wire [pJ/bit]."""
    router_area_mm2: NonNegative = 0.0
    """Area of the router of one tile and its links [mm²]; left out: part of the tile's area."""
    radix: Annotated[Quantity, Number(ge=2, integer=True)] = 2
    """Branches at every node of a tree."""

    @property
    def name(self) -> str:
        """Name in paths: the die."""
        return self.within


def link_kind(given: Any) -> str:
    """Which of the two an entry of ``links`` means: one that says ``within`` is a network."""
    is_network = "within" in given if isinstance(given, MappingABC) else isinstance(given, DieNetwork)
    return "a network" if is_network else "a link"


AnyLink = Annotated[Annotated[Link, Tag("a link")] | Annotated[DieNetwork, Tag("a network")], Discriminator(link_kind)]
