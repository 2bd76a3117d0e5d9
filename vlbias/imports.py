"""Makes a results folder of somebody else's answers, so that they are measured and reported like our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from vlbias import __version__
from vlbias.answers import Outcome
from vlbias.estimates import RunInfo
from vlbias.records import Identity, digest
from vlbias.store import Store, claim, cost, redacted, write_run


def keep(
    outcomes: Sequence[Outcome], *, folder: Path, source: str, format_name: str, command: Sequence[str]
) -> RunInfo:
    """Writes the outcomes and what is known of their run; what is not known stays unknown."""
    config = {"imported_from": source, "format": format_name, "rows_sha256": digest(sorted(map(repr, outcomes)))}
    claim(folder, config=config, config_sha256=digest(config))
    with Store(folder) as store:
        if not store.done() and not store.path.stat().st_size:
            store.append(outcomes)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    info = RunInfo(
        run_name=folder.resolve().name,
        created_utc=now,
        finished_utc=now,
        config=config,
        config_sha256=digest(config),
        suite={"name": format_name, "imported": True},
        suite_sha256=digest([format_name, "imported"]),
        identity=Identity(adapter="imported", name=source),
        versions={"vlbias": __version__},
        machine={},
        command=redacted(command),
        canary="not applicable: imported answers",
        cost=cost(folder),
        n_asked=len(outcomes),
        notes=(f"imported from {format_name} files; nothing was asked here",),
    )
    write_run(folder, info)
    return info
