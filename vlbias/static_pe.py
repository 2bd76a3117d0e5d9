"""What a checkpoint says of places without any question asked: its tables of positions, and how far its heads look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlbias.errors import BadInput, DecodeError
from vlbias.estimates import Estimate
from vlbias.metrics import _static_pe
from vlbias.metrics._multiplicity import over_tasks
from vlbias.models._encoder_attention import patch_attention
from vlbias.models._position_tables import position_tables
from vlbias.records import FramesTHWC
from vlbias.videos import media


def tables(
    checkpoint: Path, *, grid: tuple[int, int] | None, rng: np.random.Generator
) -> tuple[list[Estimate], dict[str, str]]:
    """M_U, M_D and A_SU of every learned table over a grid, p-values by Holm over the tables; why others have none."""
    found, passed = position_tables(checkpoint, grid=grid)
    out = []
    for one in found:
        out += _static_pe.estimates(one.table_ND, rows=one.rows, columns=one.columns, name=one.name, rng=rng)
    return over_tasks(out), passed


def looks(checkpoint: Path, images: Path, *, device: str) -> list[Estimate]:
    """How far each head looks over the images of a folder, in patches, layer by layer; `cell` is (layer, head).

    The reference is attention that is the same to every patch.
    """
    attention, (rows, columns) = patch_attention(str(checkpoint), _images(images), device=device)
    n = rows * columns
    uniform = float(_static_pe.non_locality(np.full((1, n, n), 1 / n), rows=rows, columns=columns)[0])
    out = []
    for layer, attention_HNN in enumerate(attention):
        for head, far in enumerate(_static_pe.non_locality(attention_HNN, rows=rows, columns=columns)):
            out.append(
                Estimate(
                    metric="non_locality",
                    value=float(far),
                    unit="patches",
                    n=n,
                    cell=(layer, head),
                    interval="not available: a mean over all patches of the images",
                    notes=(f"{far / uniform:.2f} of uniform attention, {uniform:.3f}",),
                )
            )
    return out


def _images(folder: Path) -> Sequence[FramesTHWC]:
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if not files:
        raise BadInput(f"{folder}: holds no image; give a folder with .png, .jpg or .webp files")
    try:
        return [media.image(file) for file in files]
    except DecodeError as error:
        raise BadInput(str(error)) from error
