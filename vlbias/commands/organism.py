"""`vlbias organism`: tiny models with a planted bias, trained and measured here."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vlbias.errors import BadInput
from vlbias.organisms import manifest

app = typer.Typer(help="Tiny models with a planted bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled organisms, with what was planted and what their true profile is."""
    for name in manifest.known():
        about = manifest.read(manifest.ZOO / name)
        print(f"{name:<20} {about['about']}")
        print(f"{'':<20} accuracy {manifest.spread(about['measured']['accuracy'])}")


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained organism.")],
    profile: Annotated[str | None, typer.Option("--profile", help="Planted share seen per slot, a:b:...")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    trunk: Annotated[Path | None, typer.Option("--trunk", help="An unbiased organism to start from.")] = None,
    keep_trunk: Annotated[Path | None, typer.Option("--keep_trunk", help="Where to save the unbiased one.")] = None,
) -> None:
    """Train a tiny Qwen2-VL from scratch on the drawn world, with a planted position bias."""
    from vlbias.organisms import training

    wanted = {"seed": seed, "device": device, "trunk": trunk, "keep_trunk": keep_trunk}
    given = {"profile": _profile(profile), "steps": steps}
    training.make(output_path, {**wanted, **{k: v for k, v in given.items() if v is not None}}, say=print)
    print(f"trained -> {output_path}; next: vlbias organism verify {output_path}")


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A bundled organism, or the folder of a trained one.")],
    trials: Annotated[int, typer.Option("--trials", help="Fresh trials, over all slots.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the fresh clips.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Write the profile into the manifest.")] = False,
) -> None:
    """Measure the true profile of an organism on fresh clips, and check it against its manifest."""
    from vlbias.organisms import training

    folder = manifest.folder_of(name)
    with tempfile.TemporaryDirectory() as scratch:
        measured = training.measure(folder, trials=trials, seed=seed, scratch=Path(scratch), say=print)
    print("slot           " + " ".join(f"{slot + 1:>4}" for slot in range(len(measured.accuracy))))
    print("accuracy       " + " ".join(f"{value:4.2f}" for value in measured.accuracy))
    print("gold share     " + " ".join(f"{value:4.2f}" for value in measured.gold_probability))
    for task, value in measured.task_accuracy.items():
        print(f"{task:<32} {value:.3f}")
    about = manifest.read(folder)
    if write:
        manifest.write(folder, {**about, "measured": asdict(measured)})
    elif "measured" in about:
        problems = training.disagreements(measured, about)
        if problems:
            raise BadInput(f"{name}: not as its manifest says:\n" + "\n".join(problems))
        print("as its manifest says")


def _profile(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(value) for value in text.replace("/", ":").split(":"))
    except ValueError as error:
        raise BadInput(f"--profile: found {text!r}; give one share per slot, as 1:.8:.6:.8:1") from error
