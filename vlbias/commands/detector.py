"""`vlbias detector`: tiny detectors with a planted bias for places of the image, trained and measured here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vlbias.commands._places import Folder, Images, Name, Seed, Steps, Trials, Write, listed, rows, trained
from vlbias.organisms import manifest

app = typer.Typer(help="Tiny detectors with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled detectors: what was planted, and how often a thing in each cell is found."""
    listed(manifest.DETECTORS, kind="detector", what=("found",))


@app.command("train")
def train(
    output_path: Folder,
    pattern: Annotated[str, typer.Option("--pattern", help="none, left or bottom.")] = "left",
    steps: Steps = 350,
    images: Images = 2500,
    seed: Seed = 0,
) -> None:
    """Train a tiny OWL-ViT on drawn images, with a planted bias."""
    from vlbias.organisms import detector

    detector.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    trained(output_path, kind="detector")


@app.command("verify")
def verify(name: Name, trials: Trials = 20_000, seed: Seed = 1, write: Write = False) -> None:
    """Measure on fresh images how often a thing in each cell is found, and a thing that is not there."""
    from vlbias.organisms import detector_truth

    folder = manifest.folder_of(name)
    found = detector_truth.truth(folder, trials=trials, seed=seed)
    print("found", *rows(found.found), sep="\n  ")
    print(f"found though not there: {found.false:.3f} of {found.n_false}")
    if write:
        manifest.measured(folder, asdict(found))
