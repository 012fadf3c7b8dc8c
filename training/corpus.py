"""Builds the text of the tiny model: files, split, near-duplicate audit, tokenizer, token arrays.

Run inside an environment that holds the packages of ``SOURCES``::

    python training/corpus.py --work DIR

Writes to DIR: ``corpus.json`` (every file with its sha256 and split), ``tokenizer.json``, and
``train.npy``, ``valid.npy``, ``heldout.npy`` (uint16 tokens) with ``*_documents.json`` (offsets).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 1024
MAX_FILE_BYTES = 200_000
SKIPPED_FOLDERS = frozenset(
    [
        *("test", "tests", "testing", "idle_test", "site-packages", "__pycache__", "_vendor", "_vendored_packages"),
        *("lib2to3", "idlelib", "turtledemo", "config-3.11-x86_64-linux-gnu"),
    ]
)
END_OF_TEXT = "<|endoftext|>"
WINDOW_LINES = 4
"""Files are compared by windows of this many consecutive non-blank lines."""
MAX_SHARED_FRACTION = 0.10
"""A held-out file that shares more of its windows than this with training text is dropped."""


@dataclass(frozen=True, slots=True)
class Source:
    """One body of permissively licensed Python source text."""

    name: str
    licence: str
    keep_fraction: float


SOURCES = (
    Source("stdlib", "PSF-2.0", 1.0),
    Source("numpy", "BSD-3-Clause", 1.0),
    Source("scipy", "BSD-3-Clause", 1.0),
    Source("pandas", "BSD-3-Clause", 1.0),
    Source("networkx", "BSD-3-Clause", 1.0),
    Source("sympy", "BSD-3-Clause", 0.5),
    Source("torch", "BSD-3-Clause", 0.35),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the corpus: where it comes from, what it holds, which split it is in."""

    source: str
    path: str
    sha256: str
    bytes: int
    split: str


def source_root(name: str) -> Path:
    if name == "stdlib":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"package {name!r} is not installed: pip install {name}")
    return Path(spec.origin).parent


def unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def read_documents() -> list[tuple[Document, str]]:
    """All distinct files of all sources, in a fixed order, with a split by the hash of the path."""
    found: list[tuple[Document, str]] = []
    seen: set[str] = set()
    for source in SOURCES:
        root = source_root(source.name)
        for path in sorted(root.rglob("*.py")):
            relative = path.relative_to(root)
            key = f"{source.name}/{relative.as_posix()}"
            if SKIPPED_FOLDERS & set(relative.parts[:-1]) or unit_hash("keep " + key) >= source.keep_fraction:
                continue
            raw = path.read_bytes()
            digest = hashlib.sha256(raw).hexdigest()
            if not 200 <= len(raw) <= MAX_FILE_BYTES or digest in seen:
                continue
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                continue
            seen.add(digest)
            draw = unit_hash("split " + key)
            split = "heldout" if draw < 0.03 else "valid" if draw < 0.05 else "train"
            found.append((Document(source.name, relative.as_posix(), digest, len(raw), split), text))
    return found


def windows(text: str) -> set[int]:
    """Hashes of all runs of WINDOW_LINES consecutive non-blank lines, indentation ignored."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {hash(tuple(lines[i : i + WINDOW_LINES])) for i in range(len(lines) - WINDOW_LINES + 1)}


def drop_near_duplicates(
    documents: list[tuple[Document, str]],
) -> tuple[list[tuple[Document, str]], list[dict[str, object]]]:
    """Removes held-out and validation files that repeat training text; returns kept and dropped."""
    training: set[int] = set()
    for document, text in documents:
        if document.split == "train":
            training |= windows(text)
    kept, dropped = [], []
    for document, text in documents:
        own = windows(text) if document.split != "train" else set()
        shared = len(own & training) / max(len(own), 1)
        if shared > MAX_SHARED_FRACTION:
            dropped.append({"source": document.source, "path": document.path, "shared_fraction": round(shared, 3)})
        else:
            kept.append((document, text))
    return kept, dropped


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE of VOCABULARY tokens, one of them the end of a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_tokens(tokenizer: Tokenizer, documents: list[tuple[Document, str]], split: str, work: Path) -> int:
    """Encodes one split, documents shuffled by hash and separated by the end token."""
    chosen = sorted((d for d in documents if d[0].split == split), key=lambda d: unit_hash("order " + d[0].sha256))
    end = tokenizer.token_to_id(END_OF_TEXT)
    encoded = tokenizer.encode_batch([text for _, text in chosen])
    offsets, stream = [], []
    position = 0
    for (document, text), encoding in zip(chosen, encoded, strict=True):
        ids = np.asarray([*encoding.ids, end], dtype=np.uint16)
        offsets.append({**asdict(document), "start": position, "tokens": len(ids), "text_bytes": len(text.encode())})
        stream.append(ids)
        position += len(ids)
    np.save(work / f"{split}.npy", np.concatenate(stream))
    (work / f"{split}_documents.json").write_text(json.dumps(offsets))
    return position


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work: Path = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    documents, dropped = drop_near_duplicates(read_documents())
    sample = [text for document, text in documents if document.split == "train" and unit_hash(document.sha256) < 0.3]
    tokenizer = train_tokenizer(sample)
    tokenizer.save(str(work / "tokenizer.json"))
    counts = {split: write_tokens(tokenizer, documents, split, work) for split in ("train", "valid", "heldout")}
    listing = {
        "python": platform.python_version(),
        "packages": {s.name: importlib.metadata.version(s.name) for s in SOURCES if s.name != "stdlib"},
        "licences": {s.name: s.licence for s in SOURCES},
        "tokens": counts,
        "bytes": {s: sum(d.bytes for d, _ in documents if d.split == s) for s in counts},
        "near_duplicates_dropped": dropped,
        "documents": [asdict(document) for document, _ in documents],
    }
    listing["sha256"] = hashlib.sha256("".join(d.sha256 for d, _ in documents).encode()).hexdigest()
    (work / "corpus.json").write_text(json.dumps(listing, indent=0))
    rows = [f"{d.source},{d.path},{d.bytes},{d.split},{d.sha256}" for d, _ in documents]
    head = f"# python {listing['python']}; packages {listing['packages']}; sha256 over all files {listing['sha256']}"
    (work / "corpus.csv").write_text("\n".join([head, "source,path,bytes,split,sha256", *rows]) + "\n")
    print(counts, listing["bytes"], len(dropped), "held-out files dropped as near-duplicates")


if __name__ == "__main__":
    main()
