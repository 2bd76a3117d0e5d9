"""`vlbias static_pe`: what a checkpoint's position embeddings and heads say of places, without data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vlbias.errors import BadInput
from vlbias.estimates import Estimate


def command(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a checkpoint, or one safetensors file.")],
    grid: Annotated[str | None, typer.Option("--grid", help="ROWSxCOLUMNS where a table is no square.")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="A folder: also how far each head looks.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda, for --images.")] = "cpu",
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say how well a learned table of positions keeps distance and direction, and how far each head looks."""
    import numpy as np

    from vlbias import static_pe

    found, passed = static_pe.tables(checkpoint, grid=_grid(grid), rng=np.random.default_rng(seed))
    found += static_pe.looks(checkpoint, images, device=device) if images else []
    if as_json:
        print(json.dumps([asdict(e) for e in found], allow_nan=False, indent=1))
        return
    lines = [_columns(e) for e in found]
    width = max((len(line[0]) for line in lines), default=0)
    print("\n".join(f"{where:<{width}}  {metric:<24}{value}" for where, metric, value in lines))
    for name, why in passed.items():
        print(f"{name}  not available: {why}")


def _columns(e: Estimate) -> tuple[str, str, str]:
    where = f"layer {e.cell[0] + 1} head {e.cell[1] + 1}" if e.cell else e.task
    luck = f"  cells shuffled {e.reference.low:.3f} to {e.reference.high:.3f}" if e.reference else ""
    return where, e.metric, f"{e.value:.3f} {e.unit}{luck}  {' '.join(e.notes)}".rstrip()


def _grid(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 1 for side in sides):
        raise BadInput(f"--grid: found {text!r}; right is ROWSxCOLUMNS, as 16x24")
    return int(sides[0]), int(sides[1])
