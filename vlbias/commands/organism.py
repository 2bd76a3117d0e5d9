"""`vlbias organism`: tiny models with a planted bias, trained here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Tiny models with a planted bias.", no_args_is_help=True)


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained organism.")],
    profile: Annotated[str | None, typer.Option("--profile", help="Planted share seen per slot, a:b:...")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a tiny Qwen2-VL from scratch on the drawn world, with a planted position bias."""
    from vlbias import job

    print(job.train_organism(output_path, profile=profile, steps=steps, seed=seed, device=device))
