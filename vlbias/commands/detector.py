"""`vlbias detector`: tiny detectors with a planted bias for places of the image, trained and measured here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vlbias.organisms import manifest

app = typer.Typer(help="Tiny detectors with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled detectors: what was planted, and how often a thing in each cell is found."""
    if not manifest.known_detectors():
        print("no detector is bundled; vlbias detector train makes one")
    for name in manifest.known_detectors():
        about = manifest.read(manifest.DETECTORS / name)
        print(f"{name}: {about['about']}")
        print("  found   ", " | ".join(_rows(about["measured"]["found"])))


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained detector.")],
    pattern: Annotated[str, typer.Option("--pattern", help="none, left or bottom.")] = "left",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 350,
    images: Annotated[int, typer.Option("--images", min=10, help="Images to learn from.")] = 2500,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
) -> None:
    """Train a tiny OWL-ViT on drawn images, with a planted bias."""
    from vlbias.organisms import detector

    detector.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    print(f"trained -> {output_path}; next: vlbias detector verify {output_path} --write")


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A bundled detector, or the folder of a trained one.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="Fresh trials, over all cells.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the fresh images.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Write what was found into the manifest.")] = False,
) -> None:
    """Measure on fresh images how often a thing in each cell is found, and a thing that is not there."""
    from vlbias.organisms import detector_truth

    folder = manifest.folder_of(name)
    found = detector_truth.truth(folder, trials=trials, seed=seed)
    print("found", *_rows(found.found), sep="\n  ")
    print(f"found though not there: {found.false:.3f} of {found.n_false}")
    if write:
        detector_truth.written(folder, found)


def _rows(values: Sequence[float]) -> list[str]:
    side = round(len(values) ** 0.5)
    return [" ".join(f"{v:.2f}" for v in values[r * side : (r + 1) * side]) for r in range(side)]
