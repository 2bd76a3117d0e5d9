"""Learned tables of position embeddings in a checkpoint's safetensors files, read without building the model."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from vlbias.errors import BadInput

_NAME = re.compile(r"pos(ition(al)?)?_?emb(ed(ding)?)?s?\d*(\.weight)?$")
_KNOWN = "position_embedding(s), pos_embed and positional_embedding, with or without .weight"


@dataclass(frozen=True, kw_only=True, eq=False)
class PositionTable:
    """One table over a grid of patches; `n_leading` places in front of it (class and register tokens) are cut away."""

    name: str
    table_ND: npt.NDArray[np.float64]
    rows: int
    columns: int
    n_leading: int


def position_tables(folder: Path, *, grid: tuple[int, int] | None = None) -> tuple[list[PositionTable], dict[str, str]]:
    """The tables of a folder's (or file's) safetensors that lie over a grid, and why others do not, by name.

    A table lies over `grid`, or, where none is told, over the square that its number of places makes, with one class
    token in front or none. A table of neither kind (a text tower's, say) is told, never squeezed into a grid.
    """
    files = [folder] if folder.is_file() else sorted(folder.glob("*.safetensors"))
    if not files:
        raise BadInput(f"{folder}: holds no *.safetensors; give the folder of a checkpoint in that format, or one file")
    found, passed = [], {}
    for file in files:
        for name, values in _named(file):
            table_ND = values.reshape(-1, values.shape[-1]).astype(np.float64)
            shape = _shape(len(table_ND), grid)
            if shape is None:
                wanted = f"{grid[0]} x {grid[1]}" if grid else "square"
                passed[name] = f"{len(table_ND)} places are no {wanted} grid, with or without a class token"
            else:
                rows, columns, n_leading = shape
                table_ND = table_ND[n_leading:]
                one = PositionTable(name=name, table_ND=table_ND, rows=rows, columns=columns, n_leading=n_leading)
                found.append(one)
    if not found and not passed:
        raise BadInput(f"{folder}: has no learned table of positions; looked for names that end in {_KNOWN}")
    return found, passed


def grid_of(n: int) -> tuple[int, int, int] | None:
    """Rows, columns and leading places of `n` places over a square grid, with one class token in front or none."""
    for n_leading in (0, 1):
        side = math.isqrt(n - n_leading)
        if side > 1 and side**2 == n - n_leading:
            return side, side, n_leading
    return None


def _shape(n: int, grid: tuple[int, int] | None) -> tuple[int, int, int] | None:
    if grid is None:
        return grid_of(n)
    n_leading = n - grid[0] * grid[1]
    return (*grid, n_leading) if n_leading in (0, 1) else None


def _named(file: Path) -> list[tuple[str, npt.NDArray[np.float32]]]:
    try:
        # torch reads bfloat16, which numpy has not.
        with safe_open(file, framework="pt") as weights:  # type: ignore[no-untyped-call]
            names = sorted(name for name in weights.keys() if _NAME.search(name))  # noqa: SIM118 - no mapping
            return [(name, weights.get_tensor(name).float().numpy()) for name in names]
    except (OSError, SafetensorError) as error:
        raise BadInput(f"{file}: cannot be read as safetensors: {error}") from error
