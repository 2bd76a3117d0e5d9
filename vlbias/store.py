"""The results folder: what was asked, every answer as soon as it is on disk, and what the run cost.

config.json                  the config that the folder belongs to
rows-<i>of<N>.jsonl          one checked line per outcome, one writer per file; read all with `read`
rows-<i>of<N>.damaged.jsonl  lines that could not be read, kept as they were found
rows-<i>of<N>.lock           who writes, while it writes
sessions.jsonl               what each session cost
run.json                     what was run, for reports
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vlbias.answers import Answer, Failure, Outcome, Tally
from vlbias.disk import append_line, refusal, sync_folder, write_all, write_new, write_whole
from vlbias.errors import ConfigChanged, NotARun, RunLocked
from vlbias.estimates import Cost, RunInfo
from vlbias.locks import Lock, held, holder
from vlbias.redaction import redacted
from vlbias.rows import Reading, Scan, encode, payloads, plain, read_rows, rows_files, scan

__all__ = ["Reading", "Store", "append_session", "claim", "cost", "read", "read_run", "redacted", "write_run"]

SCHEMA_VERSION = 1
HOLDS = "a results folder holds config.json, rows-<i>of<N>.jsonl, sessions.jsonl and, once finished, run.json"
RUN_INFO: TypeAdapter[RunInfo] = TypeAdapter(RunInfo)


class Store:
    """The one writer of one rows file; use it as a context manager.

    Opening takes the lock, moves damaged lines to the `.damaged.jsonl` file and ends a torn last line. An outcome
    counts as done when `append` returns: it is then on disk. Raises RunLocked when another process writes.
    """

    def __init__(self, folder: Path | str, *, shard: tuple[int, int] = (0, 1)) -> None:
        number, of = shard
        if not 0 <= number < of:
            raise ValueError(f"shard {number} of {of}: the number must be from 0 to {of - 1}")
        self.folder = Path(folder)
        self.path = self.folder / f"rows-{number}of{of}.jsonl"
        self._lock = Lock(self.path.with_suffix(".lock"), command=redacted(sys.argv))
        self._handle = -1
        self._size = 0
        self._n_rows = 0

    def __enter__(self) -> Store:
        try:
            self._lock.acquire()
        except OSError as error:
            raise refusal(error, path=self._lock.path) from error
        try:
            self._open()
        except OSError as error:
            self._lock.release()
            raise refusal(error, path=self.path) from error
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
        self._handle = -1
        if error is not None:
            self._leave_unused()
        self._lock.release()

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Writes a batch in one piece and returns when it is on the disk.

        A batch that does not fit is taken back whole and RunRefused says how many rows are safe. A number that is not
        finite raises ValueError before anything is written.
        """
        if self._handle < 0:
            raise ValueError(f"{self.path}: the store is not open; use it as a context manager")
        data = b"".join(_line(outcome) for outcome in outcomes)
        if not data:
            return
        try:
            write_all(self._handle, data)
        except OSError as error:
            os.ftruncate(self._handle, self._size)
            raise refusal(error, path=self.path, safe=f"{self._n_rows} rows of this file are safe") from error
        self._size += len(data)
        self._n_rows += len(outcomes)

    def done(self) -> Mapping[str, Answer | Failure]:
        """What is on disk, by trial, from every shard of the folder; which failures to ask again is up to the run."""
        return {o.asked.trial_id: o for o in read_rows(self.folder).outcomes if not isinstance(o, Tally)}

    def _open(self) -> None:
        self._refuse_other_split()
        fresh = not self.path.exists()
        if not fresh:
            found = scan(self.path.read_bytes())
            self._n_rows = len(found.lines)
            if found.damage or not found.tidy:
                _repair(self.path, found)
        self._handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        self._size = os.fstat(self._handle).st_size
        if fresh:
            sync_folder(self.folder)

    def _leave_unused(self) -> None:
        """A run that broke off before anything was asked leaves the folder free for a corrected command."""
        others = [lock for lock in self.folder.glob("rows-*of*.lock") if lock != self.path.with_suffix(".lock")]
        rows = [*self.folder.glob("rows-*.jsonl"), *self.folder.glob("sessions.jsonl"), *self.folder.glob("run.json")]
        if not any(path.stat().st_size for path in rows) and not any(held(lock) for lock in others):
            for path in (*rows, self.folder / "config.json"):
                path.unlink(missing_ok=True)

    def _refuse_other_split(self) -> None:
        of = self.path.stem.split("of")[1]
        for lock in sorted(self.folder.glob("rows-*of*.lock")):
            if lock.stem.split("of")[1] != of and held(lock):
                raise RunLocked(
                    f"{self.folder}: {holder(lock) or 'another process'} writes {lock.stem}.jsonl, another number of "
                    f"shards than {of}; wait for it, stop it, or give another --output_path"
                )


def read(folder: Path | str) -> Reading:
    """All outcomes of a results folder, merged from its shards; NotARun when it is not one.

    The result does not depend on the number of shards nor on the order in which trials were answered.
    """
    folder = _run_folder(folder)
    return read_rows(folder)


def claim(folder: Path | str, *, config: Mapping[str, Any], config_sha256: str) -> None:
    """Makes the folder that of a run with this config, or takes up the run of the same config in it.

    Raises ConfigChanged with each key that differs, NotARun for a folder that holds something else, and RunRefused
    for one that cannot be written, all before any model call. Two configs are the same when their sha256 is.
    """
    folder = Path(folder)
    path = folder / "config.json"
    claimed = {"schema_version": SCHEMA_VERSION, "config_sha256": config_sha256, "config": plain(config)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _refuse_foreign(folder)
            if write_new(path, _json(claimed)):
                return
        trial = folder / f".writable.{os.getpid()}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise refusal(error, path=folder) from error
    before = _read_json(path)
    if before.get("config_sha256") != config_sha256:
        raise ConfigChanged(_difference(folder, before, claimed))


def write_run(folder: Path | str, info: RunInfo) -> None:
    """Writes run.json whole; after a crash it holds the old record or the new one."""
    path = Path(folder) / "run.json"
    data = _json(plain(info))
    try:
        write_whole(path, data)
    except OSError as error:
        raise refusal(error, path=path, safe="all rows are safe") from error


def read_run(folder: Path | str) -> RunInfo:
    """What was run, from run.json; NotARun says what is missing, damaged or too new."""
    path = _run_folder(folder) / "run.json"
    found = _read_json(path)
    try:
        return RUN_INFO.validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise NotARun(f"{path}: not the record of a run: {wrong}") from error


def append_session(folder: Path | str, session: Mapping[str, Any]) -> None:
    """Adds what one session cost: the fields of `Cost` but `sessions`, and whatever else is worth keeping."""
    missing = [f.name for f in fields(Cost) if f.name != "sessions" and f.name not in session]
    if missing:
        raise ValueError(f"a session needs {', '.join(missing)}; found {', '.join(sorted(session)) or 'nothing'}")
    path = Path(folder) / "sessions.jsonl"
    try:
        append_line(path, encode(session))
    except OSError as error:
        raise refusal(error, path=path, safe="all rows are safe") from error


def cost(folder: Path | str) -> Cost:
    """What the run cost: the sum over its recorded sessions, and the largest memory peak.

    A session that was killed before it was recorded is not in the sum, nor in `sessions`.
    """
    path = _run_folder(folder) / "sessions.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    sessions = [json.loads(payload) for line in lines for payload in payloads(line)]
    peaks = [s["peak_memory_bytes"] for s in sessions if s["peak_memory_bytes"] is not None]
    return Cost(
        wall_s=float(sum(s["wall_s"] for s in sessions)),
        decode_s=float(sum(s["decode_s"] for s in sessions)),
        model_s=float(sum(s["model_s"] for s in sessions)),
        n_forwards=sum(s["n_forwards"] for s in sessions),
        n_tokens=sum(s["n_tokens"] for s in sessions),
        n_clips_decoded=sum(s["n_clips_decoded"] for s in sessions),
        peak_memory_bytes=max(peaks, default=None),
        sessions=len(sessions),
    )


def _line(outcome: Outcome) -> bytes:
    try:
        return encode(outcome)
    except (ValueError, TypeError) as error:
        name = f"tally of {outcome.task}" if isinstance(outcome, Tally) else f"trial {outcome.asked.trial_id}"
        raise ValueError(f"{name} cannot be stored as strict JSON: {error}") from error


def _repair(path: Path, found: Scan) -> None:
    aside = path.with_suffix(".damaged.jsonl")
    for damage in found.damage:
        note = {"file": path.name, "line": damage.line, "reason": damage.reason}
        text = damage.found.decode("utf-8", "surrogateescape")
        append_line(aside, json.dumps({**note, "found": text}, allow_nan=False).encode() + b"\n")
    write_whole(path, b"".join(found.lines))


def _run_folder(folder: Path | str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise NotARun(f"{folder}: {'a file, not a folder' if folder.exists() else 'no such folder'}; {HOLDS}")
    if not any((folder / name).exists() for name in ("config.json", "run.json")) and not rows_files(folder):
        raise NotARun(f"{folder}: no config.json, no run.json and no rows; {HOLDS}")
    if (folder / "config.json").exists():
        _read_json(folder / "config.json")
    return folder


def _refuse_foreign(folder: Path) -> None:
    found = sorted(p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name != "config.json")
    if found:
        some = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise NotARun(f"{folder}: holds {some} but no config.json; {HOLDS}; give an empty or new --output_path")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotARun(f"{path.parent}: no {path.name}; {HOLDS}") from error
    except ValueError as error:
        raise NotARun(f"{path}: not JSON: {error}") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise NotARun(f"{path}: no schema_version; {HOLDS}")
    if version > SCHEMA_VERSION:
        raise NotARun(f"{path}: schema_version {version} is newer than {SCHEMA_VERSION}, which this vlbias reads")
    return dict(found)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _difference(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = _dotted(before.get("config")), _dotted(json.loads(_json(now["config"])))
    changed = [
        f"  {key}: {_shown(old, key)} -> {_shown(new, key)}"
        for key in sorted({*old, *new})
        if _shown(old, key) != _shown(new, key)
    ] or [f"  config_sha256: {before.get('config_sha256')} -> {now['config_sha256']}"]
    return "\n".join(
        [f"{folder} holds a run of another config:", *changed, "give another --output_path, or the same config"]
    )


def _dotted(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix or "config": value}
    return {
        k: v for key, inner in value.items() for k, v in _dotted(inner, f"{prefix}.{key}" if prefix else key).items()
    }


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "(absent)"
