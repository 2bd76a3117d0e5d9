"""`vlbias encoder`: tiny image encoders with a planted bias for places of the image, trained and measured here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vlbias.commands._places import Folder, Images, Name, Seed, Steps, Trials, Write, listed, rows, trained
from vlbias.organisms import manifest

app = typer.Typer(help="Tiny image encoders with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled encoders: what was planted, and how often a thing in each cell is taken and not its foil."""
    listed(manifest.ENCODERS, kind="encoder", what=("pooled", "patches"))


@app.command("train")
def train(
    output_path: Folder,
    pattern: Annotated[str, typer.Option("--pattern", help="none, centre, left or bottom.")] = "centre",
    steps: Steps = 1200,
    images: Images = 6000,
    seed: Seed = 0,
) -> None:
    """Train a tiny open_clip encoder on drawn grids, with a planted bias."""
    from vlbias.organisms import encoder

    encoder.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    trained(output_path, kind="encoder")


@app.command("verify")
def verify(name: Name, trials: Trials = 20_000, seed: Seed = 1, write: Write = False) -> None:
    """Measure on fresh images how often a thing in each cell is taken and not its foil."""
    from vlbias.organisms import encoder

    folder = manifest.folder_of(name)
    found = encoder.truth(folder, trials=trials, seed=seed)
    for what, values in (("pooled", found.pooled), ("patches", found.patches)):
        print(what, *rows(values), sep="\n  ")
    if write:
        manifest.measured(folder, asdict(found))
