"""Where a scripted model says a thing is: at its place as often as it is right, and else in another cell."""

from __future__ import annotations

from vlbias.errors import ModelError
from vlbias.models._box_writing import written
from vlbias.models._margin import chance, luck, margin, place
from vlbias.models._script import Script
from vlbias.records import Trial


def asks_place(trial: Trial) -> bool:
    """Whether a trial asks where something is, and not which option is right."""
    return dict(trial.factors).get("asks") in ("box", "point")


def placed(script: Script, trial: Trial) -> str:
    """The box or point that the script says, in its `box_format`.

    Right with the chance of the trial (its slot, or its cell with `spatial`); `pull` moves what is found towards the
    middle of the image. What is not found is said to be in a cell of chance that does not touch it.
    """
    told = dict(trial.factors)
    try:
        x1, y1, x2, y2 = (float(v) for v in told["target"].split(","))
        width, height = (int(v) for v in told["size_px"].split("x"))
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"scripted: {trial.trial_id} asks for a place and needs the factors target and size_px"
        ) from error
    half = (x2 - x1) / 2, (y2 - y1) / 2
    centre = (x1 + x2) / 2, (y1 + y2) / 2
    found = script.policy == "profile" and margin(script, trial, chance(script, trial)) > 0
    if found:
        centre = centre[0] + script.pull * (0.5 - centre[0]), centre[1] + script.pull * (0.5 - centre[1])
    else:
        centre = _elsewhere(script, trial, centre, half)
    x, y = (min(max(c, h), 1 - h) for c, h in zip(centre, half, strict=True))
    said = (x, y) if told["asks"] == "point" else (x - half[0], y - half[1], x + half[0], y + half[1])
    return written(said, family=script.box_format, input_wh_px=(width, height))


def _elsewhere(
    script: Script, trial: Trial, centre: tuple[float, float], half: tuple[float, float]
) -> tuple[float, float]:
    """A place of chance that is as far away that a box there does not touch the thing."""
    steps = 12
    free = [
        (x, y)
        for x in ((k + 0.5) / steps for k in range(steps))
        for y in ((k + 0.5) / steps for k in range(steps))
        if half[0] <= x <= 1 - half[0] and half[1] <= y <= 1 - half[1]
        if abs(x - centre[0]) > 2 * half[0] or abs(y - centre[1]) > 2 * half[1]
    ]
    if not free:
        raise ModelError(f"scripted: {trial.trial_id}: the thing fills the image, so it cannot be said elsewhere")
    return free[int(len(free) * luck(script, f"{trial.probe.probe_id}/{place(trial)}/elsewhere"))]
