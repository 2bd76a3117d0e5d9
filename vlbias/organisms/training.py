"""Makes an organism and its manifest, and measures one that is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlbias.organisms import manifest
from vlbias.organisms.train import STEPS, U_PROFILE, train
from vlbias.organisms.verify import Profile, profile

FAMILY = "qwen2_vl"
_SLACK = 4.0  # standard errors of the difference of two measurements; 40 slots go wrong by chance in 0.3 % of checks


def make(folder: Path, wanted: Mapping[str, Any], *, say: Callable[[str], None]) -> None:
    """Trains as `wanted` (the arguments of `train`) and writes the manifest with the command that makes it again."""
    curve = train(out=folder, log=say, **wanted)
    planted = tuple(wanted.get("profile", U_PROFILE))
    manifest.write(
        folder,
        {
            "about": f"{FAMILY}, planted profile {manifest.spread(planted)}",
            "family": FAMILY,
            "command": command(folder.name, wanted, planted),
            "planted_profile": planted,
            "curve": asdict(curve),
        },
    )


def command(name: str, wanted: Mapping[str, Any], planted: tuple[float, ...]) -> str:
    """The command line that trains this organism again."""
    trunk = f" --trunk {Path(wanted['trunk']).name}" if wanted.get("trunk") else ""
    kept = f" --keep_trunk {Path(wanted['keep_trunk']).name}" if wanted.get("keep_trunk") else ""
    steps, seed = wanted.get("steps", STEPS), wanted.get("seed", 0)
    shares = ":".join(f"{share:g}" for share in planted)
    return f"vlbias organism train -o {name} --profile {shares} --steps {steps} --seed {seed}{trunk}{kept}"


def measure(folder: Path, *, trials: int, seed: int, scratch: Path, say: Callable[[str], None]) -> Profile:
    """The true profile of the organism in `folder`, over as many slots as were planted."""
    n_slots = len(manifest.read(folder)["planted_profile"])
    return profile(folder, n_slots=n_slots, trials=trials, scratch=scratch, seed=seed, log=say)


def disagreements(measured: Profile, about: Mapping[str, Any]) -> list[str]:
    """Slots at which a new measurement and the manifest differ by more than chance allows."""
    problems = []
    before = about["measured"]
    for slot, (new, old, n, m) in enumerate(zip(measured.accuracy, before["accuracy"], measured.n, before["n"])):
        mean = (new * n + old * m) / (n + m)
        error = math.sqrt(max(mean * (1 - mean), 1 / (n + m)) * (1 / n + 1 / m))
        if abs(new - old) > _SLACK * error:
            problems.append(f"slot {slot + 1}: found {new:.3f}, the manifest says {old:.3f}")
    return problems
