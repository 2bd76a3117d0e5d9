"""Fitted corrections as files: small JSON that says what it was fitted on, applied to answers, refused elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbias import rooms
from vlbias.answers import Answer, Asked
from vlbias.debias import Correction
from vlbias.debias._scores import cell
from vlbias.disk import refusal, write_whole
from vlbias.errors import BadInput, NotApplicable
from vlbias.records import Identity, digest

SCHEMA_VERSION = 1
FIELDS = ("schema_version", "method", "named", "model", "model_sha256", "fitted_on", "correction")


@dataclass(frozen=True, kw_only=True)
class FittedOn:
    """The run and the probes behind a correction; probes are told by the sha256 of their ids."""

    config_sha256: str
    suite_sha256: str
    probes_sha256: tuple[str, ...]
    n_clusters: int


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A correction with its papers; call it with an answer of the same model."""

    method: str
    named: str
    model: str
    model_sha256: str
    fitted_on: FittedOn
    correction: Correction

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer."""
        return self.correction(answer)

    def refuse_other_model(self, identity: Identity) -> None:
        """Raises NotApplicable when this is not the model that the correction was fitted on."""
        if model_sha256(identity) != self.model_sha256:
            raise NotApplicable(
                f"{self.named}: the correction was fitted on {self.model}, and this model is "
                f"{model_name(identity)} (other name, revision, weights or dtype); fit it anew with vlbias debias"
            )

    def refuse_overlap(self, probe_ids: Iterable[str]) -> None:
        """Raises NotApplicable when probes to be reported were used to fit."""
        used = set(self.fitted_on.probes_sha256)
        shared = sum(probe_sha256(name) in used for name in set(probe_ids))
        if shared:
            raise NotApplicable(
                f"{self.named}: {shared} of the probes to be asked were used to fit the correction, by their names; "
                "measure on others (--limit a-b, a suite of other names), or with vlbias debias, which holds some out"
            )

    def refuse_unfitted(self, trials: Iterable[Asked]) -> None:
        """Raises NotApplicable for trials of a slot or a number of options that nothing was fitted for."""
        told = self.correction.to_json()
        if "per_slot" not in told:  # fitted by number of segments, which the answers tell
            return
        fitted = set.intersection(*(set(table) for table in told.values() if isinstance(table, Mapping)))
        missing = sorted({cell(one, per_slot=bool(told["per_slot"])) for one in trials} - fitted)
        if missing:
            more = f" and {len(missing) - 1} more such groups" if len(missing) > 1 else ""
            raise NotApplicable(
                f"{self.named}: nothing was fitted for trials with {missing[0]}{more}; fit it on such a run, or see "
                "with vlbias debias RUN --transfer RUN2 whether it carries over"
            )


def save(path: Path, saved: Saved) -> Path:
    """Writes a correction whole or not at all."""
    papers = saved.fitted_on
    value = {
        "schema_version": SCHEMA_VERSION,
        "method": saved.method,
        "named": saved.named,
        "model": saved.model,
        "model_sha256": saved.model_sha256,
        "fitted_on": {**vars(papers), "probes_sha256": list(papers.probes_sha256)},
        "correction": dict(saved.correction.to_json()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise refusal(error, path=path) from error
    return path


def load(path: Path | str) -> Saved:
    """A saved correction, checked. Errors: BadInput says what is wrong in which file."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); give a correction saved by vlbias debias"
        ) from error
    except ValueError as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict) or set(found) != set(FIELDS):
        raise BadInput(f"{path}: not a saved correction; it holds the keys {', '.join(FIELDS)}")
    if found["schema_version"] != SCHEMA_VERSION:
        raise BadInput(f"{path}: schema_version {found['schema_version']!r}; this vlbias reads {SCHEMA_VERSION}")
    module = rooms.find("debias", str(found["method"]))
    if getattr(module, "SHAPE", None) != "after":
        raise BadInput(f"{path}: {found['method']} is not fitted, so nothing of it can be saved; give its name instead")
    try:
        correction = module.load().from_json(found["correction"])
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return Saved(
        method=found["method"],
        named=str(found["named"]),
        model=str(found["model"]),
        model_sha256=str(found["model_sha256"]),
        fitted_on=_fitted_on(found["fitted_on"], path=path),
        correction=correction,
    )


def model_sha256(identity: Identity) -> str:
    """What tells models apart for a correction: weights where they have a hash, else name and revision; and dtype."""
    weights = identity.weights_sha256 or [identity.name, identity.revision]
    return digest([identity.adapter, weights, identity.dtype, identity.position_rule])


def model_name(identity: Identity) -> str:
    """The model's name without the user's folders."""
    return re.split(r"[/\\]", identity.name.rstrip("/\\"))[-1]


def probe_sha256(probe_id: str) -> str:
    """The sha256 of a probe's id, shortened."""
    return digest(probe_id)[:16]


def _fitted_on(found: Any, *, path: Path | str) -> FittedOn:
    keys = set(FittedOn.__dataclass_fields__)
    if not isinstance(found, Mapping) or set(found) != keys or not isinstance(found["probes_sha256"], list):
        raise BadInput(f"{path}: fitted_on holds the keys {', '.join(sorted(keys))}")
    return FittedOn(
        config_sha256=str(found["config_sha256"]),
        suite_sha256=str(found["suite_sha256"]),
        probes_sha256=tuple(str(p) for p in found["probes_sha256"]),
        n_clusters=int(found["n_clusters"]),
    )
