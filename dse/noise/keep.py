"""Chips of a study on disk, one file a chip, so that a study that was stopped goes on where it was."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from dse.errors import SpecError
from dse.noise.key import Sign
from dse.spec.architecture import AnalogCore
from dse.spec.digest import digest_of
from dse.spec.values import flat_values

COSTS: Final = ("name", "die", "cost.", "idle.", "program.", "tiles_per_die", "tiers_per_tile", "spare_fraction")
"""First words of the values of a core that no chip's computation depends on."""
SIMULATOR: Final = ("noise", "devices")
"""Packages whose source decides what a chip computes."""
STUDY_FILE: Final = "study.json"


class Place(NamedTuple):
    """Which chip of a study."""

    pair: int
    sign: Sign

    @property
    def file_name(self) -> str:
        """Name of the chip's file."""
        return f"chip_{self.pair:05d}_{'plus' if self.sign > 0 else 'minus'}.json"


Record = dict[str, Any]
"""What a chip did: ``metrics`` and ``layers``, as they stand in its file."""


class ChipStore:
    """The chips of one study in a folder; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, study: Mapping[str, Any]) -> None:
        """Opens the folder, or makes it.

        Args:
            folder: where chips are kept.
            study: everything that decides what chip (pair, sign) computes, by name.

        Raises:
            SpecError: the folder holds the chips of another study, or something else.
        """
        self.folder = folder
        self.key = digest_of(study)
        if folder is None:
            return
        require_same_study(folder, study)
        folder.mkdir(parents=True, exist_ok=True)
        write_at_once(folder / STUDY_FILE, dict(study))

    def get(self, place: Place) -> Record | None:
        """What a chip did, or None where it is not known."""
        if self.folder is None:
            return None
        try:
            found = json.loads((self.folder / place.file_name).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found["chip"] if isinstance(found, dict) and found.get("study") == self.key else None

    def put(self, place: Place, record: Record) -> None:
        """Keeps a chip; its file appears complete or not at all."""
        if self.folder is not None:
            write_at_once(self.folder / place.file_name, {"study": self.key, **place._asdict(), "chip": record})


def require_same_study(folder: Path, study: Mapping[str, Any]) -> None:
    """Refuses a folder of another study.

    Raises:
        SpecError: names what differs.
    """
    if folder.exists() and not folder.is_dir():
        raise SpecError(f"{folder}: is a file; chips are kept in a folder")
    try:
        kept = json.loads((folder / STUDY_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(folder.glob("*")):
            raise SpecError(
                f"{folder}: holds other files and no {STUDY_FILE}; give a folder for the chips alone"
            ) from None
        return
    except json.JSONDecodeError:
        raise SpecError(f"{folder / STUDY_FILE}: not a JSON file; give another folder") from None
    said = json.loads(json.dumps(dict(study)))
    differing = sorted(name for name in said.keys() | kept.keys() if said.get(name) != kept.get(name))
    if differing:
        raise SpecError(
            f"{folder}: holds the chips of another study (other {', '.join(differing)}); give another folder"
        )


def write_at_once(file: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON file under its final name in one step."""
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(file)


def noise_digest(cores: Mapping[str, AnalogCore]) -> str:
    """Digest of the cores of the analog blocks, without what only costs.

    Args:
        cores: analog block → its core group.
    """
    groups = {core.name: core for core in cores.values()}
    return digest_of(
        {
            name: {path: value for path, value in flat_values(core).items() if not path.startswith(COSTS)}
            for name, core in groups.items()
        }
    )


@functools.cache
def simulator_digest() -> str:
    """Digest of the source of the simulator: chips of another version are not taken for those of this one."""
    package = Path(__file__).parents[1]
    state = hashlib.sha256()
    for file in sorted(file for name in SIMULATOR for file in (package / name).glob("*.py")):
        state.update(file.name.encode() + file.read_bytes())
    return state.hexdigest()
