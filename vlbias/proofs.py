"""Keeps what `vlbias debias` found beside its run, so that the run's report can show it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vlbias.disk import write_whole
from vlbias.errors import NotARun
from vlbias.estimates import Proof

NAME = Path("debias") / "proof.json"
PROOF = TypeAdapter(Proof)


def keep(folder: Path, proof: Proof) -> Path:
    """Writes `debias/proof.json` into a run's folder, in place of an earlier one."""
    path = folder / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(asdict(proof), allow_nan=False, indent=1) + "\n").encode())
    return path


def kept(folder: Path) -> Proof | None:
    """What was found for a run; None where nothing was. Raises NotARun for a damaged file."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return PROOF.validate_json(path.read_bytes())
    except ValidationError as error:
        raise NotARun(
            f"{path}: is not a proof of corrections ({error.error_count()} faults, first: {error.errors()[0]['msg']}); "
            "run vlbias debias again, or delete the file"
        ) from error
