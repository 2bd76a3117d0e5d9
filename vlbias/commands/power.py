"""`vlbias power`: which effect a design finds, and how many probes and clips an effect needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def command(
    slots: Annotated[int, typer.Option("--slots", help="Slots of each probe; with --from, the run's.")] = 10,
    effect: Annotated[float | None, typer.Option("--effect", help="Points from the best slot to the worst.")] = None,
    clips: Annotated[int, typer.Option("--clips", help="Source clips (clusters).")] = 150,
    questions: Annotated[float, typer.Option("--questions", help="Questions per clip, on average.")] = 2.0,
    shape: Annotated[str, typer.Option("--shape", help="head, neighbour, U, inverted U or volatile.")] = "head",
    power: Annotated[float, typer.Option("--power", help="The wanted chance to find it.")] = 0.8,
    from_run: Annotated[Path | None, typer.Option("--from", help="A results folder: its own scatter.")] = None,
    outcome: Annotated[str, typer.Option("--outcome", help="accuracy or gold_probability.")] = "accuracy",
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say which effect of position a design finds, and how many probes and clips an effect needs."""
    from vlbias import power as planning

    noise = planning.scatter(from_run, outcome=outcome, n_slots=slots, seed=seed)
    advice = planning.advise(
        noise, n_clips=clips, questions=questions, effect_points=effect, shape=shape, wanted_power=power, seed=seed
    )
    if as_json:
        print(json.dumps(asdict(advice), allow_nan=False, indent=1))
    else:
        print("\n".join(planning.words(advice)))
