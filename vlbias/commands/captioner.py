"""`vlbias captioner`: tiny VLMs that say what is in a drawn grid, with a planted bias, trained and measured here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from vlbias.commands._places import Folder, Images, Name, Seed, Steps, Trials, Write, listed, rows, trained
from vlbias.organisms import manifest

app = typer.Typer(help="Tiny VLMs of the grid, with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled captioners: what was planted, and how often a thing in each cell is said and not its foil."""
    listed(manifest.CAPTIONERS, kind="captioner", what=("said",))


@app.command("train")
def train(
    output_path: Folder,
    pattern: Annotated[str, typer.Option("--pattern", help="none, centre, left or bottom.")] = "left",
    steps: Steps = 600,
    images: Images = 6000,
    seed: Seed = 0,
) -> None:
    """Train a tiny Qwen2-VL on drawn grids, with a planted bias."""
    from vlbias.organisms import captioner

    captioner.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    trained(output_path, kind="captioner")


@app.command("verify")
def verify(name: Name, trials: Trials = 20_000, seed: Seed = 1, write: Write = False) -> None:
    """Measure on fresh images how often a thing in each cell is likelier than its foil."""
    from vlbias.organisms import captioner

    folder = manifest.folder_of(name)
    found = captioner.truth(folder, trials=trials, seed=seed)
    print("said", *rows(found.said), sep="\n  ")
    if write:
        manifest.measured(folder, asdict(found))
