"""Reads the weight matrices of a checkpoint one at a time, as float32, without loading the model."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dse.errors import Problem, SpecError
from dse.importers.tensor_names import MatrixKey, Place, matrix_keys, tensor_places
from dse.spec.model import Model

FloatArray = NDArray[np.float32]

DTYPES: Final[dict[str, str]] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Formats that can be read: name in the header → NumPy type of the stored words."""
NARROW: Final = ("F8_", "F4", "F6", "I4", "U4", "I8", "U8", "I16", "U16", "I32", "U32")
"""First letters of formats of fp8 and packed weights."""
INDEX_NAME: Final = "model.safetensors.index.json"
CHUNK_ROWS: Final = 256
"""Rows converted at a time, so that memory stays at one matrix and one chunk."""


class WeightMatrix(NamedTuple):
    """One matrix by the names of its block and of itself; the weight is [out, in]."""

    block: str
    matrix: str
    weight: FloatArray


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor's bytes lie."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """Offset of the first byte in the file."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a checkpoint folder, found by name; no weight is read yet."""

    folder: Path
    tensors: dict[str, Tensor]

    def find(self, key: MatrixKey, model: Model) -> tuple[Tensor, Place]:
        """The tensor, and the part of it, that holds a matrix.

        Raises:
            SpecError: no known spelling of its name is there, or its shape does not fit the model.
        """
        places = tensor_places(key, model)
        for place in places:
            if place.tensor in self.tensors:
                tensor = self.tensors[place.tensor]
                check_shape(tensor, place, key)
                return tensor, place
        stems = [place.tensor.removesuffix(".weight") for place in places]
        packed = [t for t in self.tensors.values() if is_packed(t) and t.name.startswith(tuple(stems))]
        if packed:
            raise SpecError([packed_problem(packed[0])])
        looked_for = " or ".join(place.tensor for place in places)
        raise SpecError(
            [Problem(f"no tensor {looked_for}; it should hold {key.block} {key.matrix}", file=str(self.folder))]
        )

    def read(self, key: MatrixKey, model: Model) -> FloatArray:
        """The weights of a matrix, [out, in]."""
        tensor, place = self.find(key, model)
        if tensor.dtype not in DTYPES:
            raise SpecError([packed_problem(tensor)])
        first_row = 0 if place.index is None else place.index * tensor.shape[1]
        if place.is_transposed:
            weight = np.empty((key.n_out, key.n_in), dtype=np.float32)
            for row, chunk in read_rows(tensor, first_row, key.n_in):
                weight[:, row : row + len(chunk)] = chunk[:, place.first_row :: place.parts].T
            return weight
        weight = np.empty((key.n_out, tensor.shape[-1]), dtype=np.float32)
        for row, chunk in read_rows(tensor, first_row + place.first_row, key.n_out):
            weight[row : row + len(chunk)] = chunk
        return weight


def read_rows(tensor: Tensor, first: int, count: int) -> Iterator[tuple[int, FloatArray]]:
    """Rows of a tensor (all axes but the last as one), some at a time, each with its number from ``first`` on."""
    columns, word = tensor.shape[-1], np.dtype(DTYPES[tensor.dtype])
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.start + first * columns * word.itemsize)
        for row in range(0, count, CHUNK_ROWS):
            shape = (min(CHUNK_ROWS, count - row), columns)
            words = np.frombuffer(stream.read(shape[0] * columns * word.itemsize), dtype=word).reshape(shape)
            yield row, bfloat16_to_float32(words) if tensor.dtype == "BF16" else words.astype(np.float32)


def is_packed(tensor: Tensor) -> bool:
    """Whether a tensor holds fp8 or packed weights."""
    return tensor.dtype.startswith(NARROW) and len(tensor.shape) > 1


def packed_problem(tensor: Tensor) -> Problem:
    """What to say of a tensor in a format that is not read."""
    readable = f"this version reads {', '.join(DTYPES)}: convert the checkpoint"
    return Problem(f"tensor {tensor.name} is stored as {tensor.dtype}; {readable}", file=str(tensor.file))


def read_matrices(folder: Path, model: Model, kinds: Collection[str] | None = None) -> Iterator[WeightMatrix]:
    """The matrices of all blocks but the embedding, in block order, one at a time.

    Args:
        folder: checkpoint folder with ``*.safetensors``.
        model: the shapes to expect.
        kinds: block kinds to read; None: all.

    Raises:
        SpecError: unreadable checkpoint, a missing tensor, a shape that does not fit; the file is named.
    """
    checkpoint = open_checkpoint(folder)
    for key in matrix_keys(model):
        if kinds is None or key.kind in kinds:
            yield WeightMatrix(key.block, key.matrix, checkpoint.read(key, model))


def read_matrix(folder: Path, model: Model, block_name: str, matrix_name: str) -> FloatArray:
    """The weights of one matrix, [out, in].

    Raises:
        SpecError: as ``read_matrices``; also a block or matrix that the model does not have.
    """
    for key in matrix_keys(model):
        if (key.block, key.matrix) == (block_name, matrix_name):
            return open_checkpoint(folder).read(key, model)
    raise SpecError(f"{model.name} has no matrix {matrix_name!r} in a block {block_name!r}")


def open_checkpoint(folder: Path) -> Checkpoint:
    """Reads the headers of all shards of a checkpoint folder.

    Raises:
        SpecError: no such folder, no safetensors, a missing or truncated shard, a tensor that is not where the index
            says.
    """
    tensors: dict[str, Tensor] = {}
    for shard in shard_files(folder):
        tensors |= {tensor.name: tensor for tensor in read_header(shard)}
    index = folder / INDEX_NAME
    said = read_index(index) if index.exists() else {}
    astray = [name for name, shard in said.items() if name not in tensors or tensors[name].file.name != shard]
    if astray:
        raise SpecError(
            [
                Problem(f"lacks tensor {name}, which {INDEX_NAME} lists", file=str(folder / said[name]))
                for name in astray
            ][:5]
        )
    return Checkpoint(folder, tensors)


def read_index(index: Path) -> dict[str, str]:
    """Tensor → name of its shard.

    Raises:
        SpecError: not an index.
    """
    try:
        return {str(name): str(shard) for name, shard in json.loads(index.read_text("utf-8"))["weight_map"].items()}
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
        raise SpecError([Problem("not an index of shards (expected JSON with weight_map)", file=str(index))]) from None


def shard_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder: those of the index where there is one."""
    if not folder.is_dir():
        raise SpecError([Problem("no such checkpoint folder", file=str(folder))])
    index = folder / INDEX_NAME
    if index.exists():
        names = sorted(set(read_index(index).values()))
        missing = [name for name in names if not (folder / name).exists()]
        if missing:
            raise SpecError(
                [Problem(f"missing shard, listed in {INDEX_NAME}", file=str(folder / name)) for name in missing]
            )
        return [folder / name for name in names]
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only pickle files ({', '.join(pickles[:3])}), which are not read" if pickles else "no weights"
        raise SpecError([Problem(f"expected *.safetensors, found {found}; save it as safetensors", file=str(folder))])
    return shards


def read_header(file: Path) -> list[Tensor]:
    """The tensors of one safetensors file: 8 bytes of header length, a JSON header, then the data."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = parse_header(stream, size)
    if header is None:
        raise SpecError([Problem("not a complete safetensors file: its header is cut off or damaged", file=str(file))])
    length, entries = header
    try:
        tensors = [
            Tensor(name, file, entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
            for name, entry in entries.items()
            if name != "__metadata__"
        ]
        end = max((8 + length + e["data_offsets"][1] for n, e in entries.items() if n != "__metadata__"), default=0)
    except (KeyError, TypeError, IndexError):
        raise SpecError([Problem("its header lacks dtype, shape or data_offsets", file=str(file))]) from None
    if end > size:
        raise SpecError(
            [Problem(f"truncated: {size} bytes, its header needs {end}; download it again", file=str(file))]
        )
    return tensors


def parse_header(stream: BinaryIO, size: int) -> tuple[int, dict[str, Any]] | None:
    """Length and content of a safetensors header, or None where there is none."""
    prefix = stream.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
    if 8 + length > size:
        return None
    try:
        entries = json.loads(stream.read(length))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return (length, entries) if isinstance(entries, dict) else None


def check_shape(tensor: Tensor, place: Place, key: MatrixKey) -> None:
    """Refuses a tensor that does not have the shape the model needs."""
    rows = (key.n_out * place.parts, key.n_in)
    matrix = rows[::-1] if place.is_transposed else rows
    expected = matrix if place.index is None else (place.n_experts, *matrix)
    if tensor.shape != expected:
        message = f"tensor {tensor.name} has shape {list(tensor.shape)}, the model needs {list(expected)}"
        raise SpecError([Problem(message, file=str(tensor.file))])


def bfloat16_to_float32(words: NDArray[np.uint16]) -> FloatArray:
    """The float32 values of bfloat16 words: the same bits, followed by 16 zeros.

    >>> bfloat16_to_float32(np.array([0x3F80, 0xC000], dtype=np.uint16)).tolist()
    [1.0, -2.0]
    """
    return (words.astype(np.uint32) << 16).view(np.float32)
