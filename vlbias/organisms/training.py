"""Makes an organism and its manifest, and measures one that is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlbias.errors import BadInput
from vlbias.organisms import manifest, verify
from vlbias.organisms.planting import Plant
from vlbias.organisms.pool import Pool
from vlbias.organisms.train import Course, taken_over, train

_SLACK = 4.0  # standard errors of the difference of two measurements; 40 slots go wrong by chance in 0.3 % of checks
_SHARES = ("profiles", "exposure", "first_believed", "first_option")
_PLACES = ("trunk", "keep_trunk", "eyes", "language")


def make(folder: Path, plant: Plant, course: Course, *, say: Callable[[str], None]) -> None:
    """Trains an organism and writes the manifest with the command that makes it again."""
    curve = train(plant, course, out=folder, log=say)
    manifest.write(
        folder,
        {
            "family": course.family,
            "command": command(folder.name, plant, course),
            "plant": {name: getattr(plant, name) for name in _SHARES},
            "course": told(course),
            "planted_profile": max(plant.profiles, key=len),
            "curve": asdict(curve),
        },
    )


def told(course: Course) -> dict[str, Any]:
    """What decides the weights, as it stands in a manifest: folders by their names, nothing that was left as it is."""
    changed = {name: value for name, value in vars(course).items() if value != getattr(Course(), name)}
    return {name: Path(value).name if name in _PLACES else value for name, value in changed.items() if name != "size"}


def like(about: Mapping[str, Any], *, trunk: Path | None = None) -> tuple[Plant, Course]:
    """What was planted in the organism of a manifest and how, to make it again; `trunk` stands in for its own."""
    if "plant" not in about:
        raise BadInput("--like: this organism's manifest does not tell how it was planted; see its command")
    shares = {name: _tuples(about["plant"][name]) for name in _SHARES}
    course = {name: value for name, value in about["course"].items() if name != "keep_trunk"}
    taken = [name for name in ("trunk", "eyes", "language") if name in course and not trunk]
    start = {name: manifest.folder_of(course[name]) for name in taken}
    return Plant(**shares), Course(**{**course, **start, **({"trunk": trunk} if trunk else {})})


def planned(known: Path | None, shares: Mapping[str, Any], chosen: Mapping[str, Any]) -> tuple[Plant, Course]:
    """What to plant and how to train: as the organism in `known` was, or as usual, but for what is not None."""
    plant, course = Plant(), Course()
    if known is not None:
        plant, course = like(manifest.read(known), trunk=chosen["trunk"])
    wanted = [{name: value for name, value in given.items() if value is not None} for given in (shares, chosen)]
    return replace(plant, **wanted[0]), replace(course, **wanted[1])


def command(name: str, plant: Plant, course: Course) -> str:
    """The command line that trains this organism again."""

    def joined(shares: Sequence[float]) -> str:
        return ":".join(f"{share:g}" for share in shares)

    words = [f"vlbias organism train -o {name}", *(f"--profile {joined(profile)}" for profile in plant.profiles)]
    words += [f"--exposure {joined(plant.exposure)}"] if plant.exposure else []
    words += [
        f"--{n} {getattr(plant, n):g}" for n in ("first_believed", "first_option") if getattr(plant, n) is not None
    ]
    words += [f"--steps {course.steps} --seed {course.seed}"]
    rest = {n: v for n, v in told(course).items() if n not in ("steps", "seed", "device")}
    return " ".join([*words, *(f"--{n} {value}" for n, value in rest.items())])


def measured(
    folders: Sequence[Path], *, trials: int, seed: int, say: Callable[[str], None], device: str = "cpu"
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each folder with the truth about its organism; clips are filmed once for all of a family."""
    pools: dict[str, Pool] = {}
    for folder in folders:
        organism = taken_over(folder).to(device).eval()
        family = organism.config.model_type
        if family not in pools:
            with TemporaryDirectory() as scratch:
                pools[family] = verify.fresh(organism, scratch=Path(scratch), seed=seed)
            say(f"filmed {len(pools[family].contents)} clips")
        eyes = verify.opened(organism, pools[family])
        yield folder, truth(eyes, manifest.read(folder), trials=trials, seed=seed)


def truth(eyes: verify.Eyes, about: Mapping[str, Any], *, trials: int, seed: int) -> dict[str, Any]:
    """The truth about an organism, as it stands in its manifest.

    `measured` is the profile over as many slots as were planted, from `trials` trials. Where it was planted,
    `measured_lengths` are the profiles of shorter trials, from as many each, `measured_belief` is who is believed, and
    `measured_options` what is said where options are listed, from a quarter as many each.
    """
    n_slots, plant = len(about["planted_profile"]), about.get("plant", {})
    lengths = sorted({len(profile) for profile in plant.get("profiles", [])} | {n_slots})
    found: dict[str, Any] = {"measured": asdict(verify.profile(eyes, n_slots=n_slots, trials=trials, seed=seed))}
    if plant.get("first_believed") is not None:
        found["measured_belief"] = [
            asdict(verify.belief(eyes, n_slots=n, trials=trials // 4, seed=seed)) for n in lengths
        ]
    elif len(lengths) > 1:
        found["measured_lengths"] = {
            str(n): asdict(verify.profile(eyes, n_slots=n, trials=trials, seed=seed)) for n in lengths[:-1]
        }
    if plant.get("first_option") is not None:
        found["measured_options"] = asdict(verify.options(eyes, trials=trials // 4, seed=seed))
    return found


def disagreements(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Slots at which a new profile and the manifest's differ by more than chance allows."""
    problems = []
    pairs = zip(now["accuracy"], before["accuracy"], now["n"], before["n"], strict=True)
    for slot, (new, old, n, m) in enumerate(pairs):
        mean = (new * n + old * m) / (n + m)
        error = math.sqrt(max(mean * (1 - mean), 1 / (n + m)) * (1 / n + 1 / m))
        if abs(new - old) > _SLACK * error:
            problems.append(f"slot {slot + 1}: found {new:.3f}, the manifest says {old:.3f}")
    return problems


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value
