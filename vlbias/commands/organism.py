"""`vlbias organism`: tiny models with a planted bias, trained and measured here."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vlbias.errors import BadInput
from vlbias.organisms import manifest

PAGE = Path("docs/organisms.md")
app = typer.Typer(help="Tiny models with a planted bias.", no_args_is_help=True)


@app.command("list")
def list_(
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """List the bundled organisms: what was planted, what their true profile is, size and training time."""
    from rich.table import Table

    from vlbias.display import chosen, console

    out = console(chosen(display))
    table = Table(*("organism", "family", "planted", "measured", "MB", "minutes"), box=None)
    abouts = {name: manifest.read(manifest.ZOO / name) for name in manifest.known()}
    for name, about in abouts.items():
        size = sum(path.stat().st_size for path in (manifest.ZOO / name).iterdir()) / 1e6
        minutes = about["curve"]["wall_s"] / 60
        table.add_row(
            name, about["family"], manifest.planted(about), manifest.found(about), f"{size:.1f}", f"{minutes:.0f}"
        )
    out.print(table)
    hours = sum(about["curve"]["wall_s"] for about in abouts.values()) / 3600
    out.print(
        f"{len(abouts)} organisms; training all of them took {hours:.1f} hours. Shares are % of shapes, accuracy %."
    )


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained organism.")],
    like: Annotated[str | None, typer.Option("--like", help="Make this bundled organism again.")] = None,
    profile: Annotated[
        list[str] | None, typer.Option("--profile", help="Share of shapes seen per slot, a:b:...; one per length.")
    ] = None,
    exposure: Annotated[str | None, typer.Option("--exposure", help="How often each slot is asked, a:b:...")] = None,
    first_believed: Annotated[
        float | None, typer.Option("--first_believed", help="Share of shapes of which the earlier clip is believed.")
    ] = None,
    first_option: Annotated[
        float | None, typer.Option("--first_option", help="Share of shapes of which the first option is said.")
    ] = None,
    family: Annotated[str | None, typer.Option("--family", help="Real architecture, as qwen2_vl.")] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of a plain decoder: rope, nope, alibi, absolute or t5.")
    ] = None,
    longest: Annotated[
        int | None, typer.Option("--longest", min=2, help="Most clips of a trial of the training.")
    ] = None,
    rows: Annotated[float | None, typer.Option("--rows", help="Share of the usual trials in a batch.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")] = None,
    sight_steps: Annotated[int | None, typer.Option("--sight_steps", help="Steps of learning to see.")] = None,
    n_clips: Annotated[int | None, typer.Option("--n_clips", help="Clips to learn from.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="One integer; default: 0.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    trunk: Annotated[str | None, typer.Option("--trunk", help="An unbiased organism to start from.")] = None,
    keep_trunk: Annotated[Path | None, typer.Option("--keep_trunk", help="Where to save the unbiased one.")] = None,
    eyes: Annotated[str | None, typer.Option("--eyes", help="An organism whose sight is taken over.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="An organism whose words are taken over.")] = None,
) -> None:
    """Train a tiny model on the drawn world, with a planted position bias."""
    from vlbias.organisms import training

    chosen = {
        "family": family, "steps": steps, "sight_steps": sight_steps, "n_clips": n_clips, "seed": seed,
        "device": device, "trunk": _folder(trunk), "keep_trunk": keep_trunk, "eyes": _folder(eyes),
        "language": _folder(language), "encoding": encoding, "longest": longest, "rows": rows,
    }  # fmt: skip
    shares = {
        "profiles": tuple(_shares(text, "--profile") for text in profile) if profile else None,
        "exposure": None if exposure is None else _shares(exposure, "--exposure"),
        "first_believed": first_believed, "first_option": first_option,
    }  # fmt: skip
    plant, course = training.planned(None if like is None else manifest.folder_of(like), shares, chosen)
    training.make(output_path, plant, course, say=print)
    print(f"trained -> {output_path}; next: vlbias organism verify {output_path} --write")


@app.command("verify")
def verify(
    names: Annotated[list[str], typer.Argument(help="Bundled organisms, or the folders of trained ones.")],
    trials: Annotated[int, typer.Option("--trials", help="Fresh trials, over all slots.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the fresh clips.")] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    write: Annotated[bool, typer.Option("--write", help="Write the profile into the manifest.")] = False,
) -> None:
    """Measure the true profile of organisms on fresh clips, and check it against their manifests."""
    from vlbias.organisms import training

    problems = []
    folders = [manifest.folder_of(name) for name in names]
    for folder, truth in training.measured(folders, trials=trials, seed=seed, device=device, say=print):
        about, profile = manifest.read(folder), truth["measured"]
        print(f"{folder.name:<14} " + " ".join(f"{slot + 1:>4}" for slot in range(len(profile["accuracy"]))))
        print("accuracy       " + " ".join(f"{value:4.2f}" for value in profile["accuracy"]))
        print("gold share     " + " ".join(f"{value:4.2f}" for value in profile["gold_probability"]))
        for task, value in profile["task_accuracy"].items():
            print(f"{task:<32} {value:.3f}")
        print(manifest.found({**about, **truth}))
        if write:
            manifest.write(folder, {**about, **truth})
        elif "measured" in about:
            problems += [f"{folder.name}: {text}" for text in training.disagreements(profile, about["measured"])]
    if problems:
        raise BadInput("not as the manifest says:\n" + "\n".join(problems))


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Bundled organisms; default: all.")] = None,
    probes: Annotated[int, typer.Option("--probes", min=24, help="Probes, each at every slot.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the probes.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Rows {name, value, low, high, goal, ok} to stdout.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write what was found into docs/organisms.md.")] = False,
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="The page of --write.")] = PAGE,
) -> None:
    """Hold the metrics to the truth: what they say of organisms whose profile is known; exit code 1 when wrong."""
    from vlbias import groundtruth
    from vlbias.groundtruth_page import page, table

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    with tempfile.TemporaryDirectory() as scratch:
        found = groundtruth.all_of(names or manifest.known(), probes=probes, seed=seed, scratch=Path(scratch), say=say)
    rows = groundtruth.rows(found)
    print(json.dumps(rows, indent=1, allow_nan=False) if as_json else table(found, rows))
    if write:
        output_path.parent.mkdir(parents=True, exist_ok=True)
        output_path.write_text(page(found, rows, probes=probes, seed=seed), encoding="utf-8")
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def _folder(name: str | None) -> Path | None:
    return None if name is None else manifest.folder_of(name)


def _shares(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in text.replace("/", ":").split(":"))
    except ValueError as error:
        raise BadInput(f"{flag}: found {text!r}; give one share per slot, as 1:.8:.6:.8:1") from error
