"""What is known of an organism: the command and the seed that made it, its training curve, its true profile.

`organism.json` stands beside the weights. A bundled organism is a folder of `zoo/`, named by its folder. No torch here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput, UnknownName

FILE = "organism.json"
ZOO = Path(__file__).parent / "zoo"
ENCODERS = Path(__file__).parent / "encoders"
DETECTORS = Path(__file__).parent / "detectors"
CAPTIONERS = Path(__file__).parent / "captioners"
OF_PLACES = (ENCODERS, DETECTORS, CAPTIONERS)


def known() -> list[str]:
    """The names of the bundled organisms."""
    return sorted(path.parent.name for path in ZOO.glob(f"*/{FILE}"))


def of_places() -> dict[str, list[str]]:
    """The names of the bundled models with a planted bias for places of an image, by kind."""
    return {room.name: sorted(path.parent.name for path in room.glob(f"*/{FILE}")) for room in OF_PLACES}


def folder_of(name_or_folder: str) -> Path:
    """The folder of a bundled organism, by name, or of any other, by path."""
    for room in (ZOO, *OF_PLACES):
        if (room / name_or_folder / FILE).is_file():
            return room / name_or_folder
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file() or (folder / FILE).is_file():
        return folder
    names = [*known(), *(name for names in of_places().values() for name in names)]
    raise UnknownName(what="organism", name=name_or_folder, known=names, where="neither a bundled nor a trained one")


def read(folder: Path) -> dict[str, Any]:
    """What is known of the organism in `folder`; BadInput when nothing is."""
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{folder}: holds no {FILE}; train one with: vlbias organism train -o {folder}") from error
    except json.JSONDecodeError as error:
        raise BadInput(f"{folder / FILE}: not JSON: {error}") from error
    return found


def write(folder: Path, values: Mapping[str, Any]) -> None:
    """Writes what is known of the organism, with the hash of its weights."""
    whole = {**values, "weights_sha256": sha256_of_file(*sorted(folder.glob("*.safetensors")))}
    text = json.dumps(whole, indent=1, allow_nan=False, default=str)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def measured(folder: Path, values: Mapping[str, Any]) -> None:
    """Adds the truth that was measured to what is known of an organism."""
    write(folder, {**read(folder), "measured": values})


def planted(about: Mapping[str, Any]) -> str:
    """What was planted, in a line: shares of shapes in percent."""
    plant = about.get("plant", {"profiles": [about["planted_profile"]]})
    if plant.get("first_believed") is not None:
        return f"earlier of two believed {100 * plant['first_believed']:.0f}"
    parts = [] if all(min(p) == 1 for p in plant["profiles"]) else [percent(p) for p in plant["profiles"]]
    if plant.get("exposure"):
        parts.append(f"asked at {percent(plant['exposure'])}")
    if plant.get("first_option") is not None:
        parts.append(f"first option said of {100 * plant['first_option']:.0f}")
    return "; ".join(parts) or about.get("about", "nothing")


def found(about: Mapping[str, Any]) -> str:
    """What is true of the organism, in a line, in percent."""
    if "measured" not in about:
        return "not measured"
    parts = [percent(profile["accuracy"]) for profile in about.get("measured_lengths", {}).values()]
    for belief in about.get("measured_belief", []):
        parts.append(f"earlier of two among {belief['n_slots']} believed {100 * belief['earlier']:.0f}")
    if "measured_options" in about:
        parts.append(f"of four options said {percent(about['measured_options']['said'])}")
    return "; ".join([*parts, percent(about["measured"]["accuracy"])])


def percent(shares: Sequence[float]) -> str:
    """Shares as percents in a line.

    >>> percent([1.0, 0.423])
    '100 42'
    """
    return " ".join(f"{100 * share:.0f}" for share in shares)
