"""Reads specs: YAML file or shipped name → frozen, checked values; every problem at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dse.errors import Problem, SpecError
from dse.spec.architecture import Architecture, ArchitectureSpec, spec_fields
from dse.spec.checks import architecture_violations, workload_violations
from dse.spec.device_file import load_device, report
from dse.spec.digest import digest_of
from dse.spec.document import Document, read_document, with_devices
from dse.spec.findings import Findings
from dse.spec.node import Node, provenance_of
from dse.spec.overrides import Overrides, apply_overrides, as_mapping
from dse.spec.provenance import Provenance
from dse.spec.scenario import WorkloadSpec
from dse.spec.scenario_names import with_scenario_names
from dse.spec.shipped import SpecFile
from dse.spec.suggest import did_you_mean
from dse.spec.table_file import with_tables
from dse.spec.translate import validated
from dse.spec.unmodelled import find_unmodelled

__all__ = ["LoadedWorkload", "load_architecture", "load_device", "load_workload_spec"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWorkload:
    """What a workload file says, with the origin of each value and the folders its data paths start from."""

    spec: WorkloadSpec
    provenance: Mapping[str, Provenance]
    digest: str
    file: str
    """How messages call the file."""
    files: Mapping[str, SpecFile] = field(default_factory=dict, repr=False)
    """How messages call a file → the file."""

    def path_of(self, name: str, key: str) -> Path:
        """The data file or folder that a key names; relative paths start at the file that gives the key.

        Args:
            name: the path as the file gives it.
            key: dotted path of the key, e.g. ``evaluation.tokens``.

        Raises:
            SpecError: there is no such file or folder.
        """
        said = self.provenance.get(key, Provenance(file=self.file))
        bases = [self.files[said.file].path.parent] if said.file in self.files else []
        if said.file not in self.files:
            bases = [Path(), *(file.path.parent for file in self.files.values())]
        for base in bases:
            path = base / Path(name).expanduser()
            if path.exists():
                return path
        folder = (bases[0] / name).parent
        nearby = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        hint = did_you_mean(Path(name).name, nearby)
        message = f"no such file or folder: {name!r}{hint}"
        raise SpecError([Problem(message, path=key, file=said.file, line=said.line, column=said.column)])


def load_architecture(path: str | Path, overrides: Overrides = ()) -> Architecture:
    """Reads an architecture file (or the name of a shipped one).

    Args:
        path: YAML file, or name of a shipped architecture.
        overrides: other values by dotted path, as a mapping or as texts ``path=value``.

    Raises:
        SpecError: every problem of the file and of the device files it names.
    """
    findings = Findings()
    document = read_document(path, "architecture", findings)
    root = with_tables(_overridden(document, overrides, findings), findings, document)
    find_unmodelled(root, "architecture", findings)
    spec = validated(root, ArchitectureSpec, findings)
    report(architecture_violations(spec), root, findings)
    findings.raise_if_any()
    return Architecture(**spec_fields(spec), provenance=provenance_of(root), digest=digest_of(spec))  # type: ignore[arg-type]


def load_workload_spec(path: str | Path, overrides: Overrides = ()) -> LoadedWorkload:
    """Reads a workload file (or the name of a shipped one) without the data files it names.

    Raises:
        SpecError: every problem of the file.
    """
    findings = Findings()
    document = read_document(path, "workload", findings)
    named = with_scenario_names(document.root)
    root = with_scenario_names(apply_overrides(named, as_mapping(overrides), WorkloadSpec, findings))
    find_unmodelled(root, "workload", findings)
    spec = validated(root, WorkloadSpec, findings)
    provenance = provenance_of(root)
    report(workload_violations(spec, provenance), root, findings)
    findings.raise_if_any()
    return LoadedWorkload(spec, provenance, digest_of(spec), document.file.shown, document.files)


def _overridden(document: Document, overrides: Overrides, findings: Findings) -> Node:
    """The tree with other values; a device is exchanged before values inside it change."""
    values = as_mapping(overrides)
    devices = {path: value for path, value in values.items() if path.endswith(".device")}
    others = {path: value for path, value in values.items() if path not in devices}
    root = apply_overrides(document.root, devices, ArchitectureSpec, findings)
    if devices:
        root = with_devices(root, findings, document, None)
    return apply_overrides(root, others, ArchitectureSpec, findings)
