"""One session of a run: claims the folder, loads the model, hears the canary, asks, and writes down what was run."""

from __future__ import annotations

import inspect
import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from vlbias import __version__, canary, debiased, places, rooms
from vlbias.config import RunConfig
from vlbias.errors import BadConfig, BadInput, NotARun, SharingDiffers
from vlbias.estimates import RunInfo, Verification
from vlbias.models import Choosy, Model
from vlbias.models._verified import Verified
from vlbias.organisms import manifest
from vlbias.plan import Plan
from vlbias.records import Identity, digest
from vlbias.run import Asking, Progress, Spent, ask_all
from vlbias.store import Store, append_session, claim, cost, read_run, redacted, write_run
from vlbias.videos.cache import FrameCache

PACKAGES = ("torch", "transformers", "numpy", "scipy", "av", "decord", "opencv-python-headless", "pydantic")
ORGANISM = "organism:"
EVIDENCE = "sharing_differs.json"


def ask(
    config: RunConfig,
    plan: Plan,
    *,
    folder: Path,
    shard: tuple[int, int] = (0, 1),
    retry_failed: bool = False,
    command: Sequence[str] = (),
    tell: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> RunInfo:
    """Runs the plan into `folder`, or goes on where an earlier session of the same config stopped."""
    suite = plan.suite.model_dump(mode="json")
    described = {**config.model_dump(mode="json"), **debiased.described(config.debias), "suite_sha256": digest(suite)}
    claim(folder, config=described, config_sha256=digest(described))
    with Store(folder, shard=shard) as store, reader(config, plan) as frames:
        say(f"loading {config.model} {config.model_args.get('pretrained', '')}".rstrip())
        model = load(config)
        can(model, config, plan)
        heard = canary.sing(model, frames.frames)
        say(f"canary: {heard}")
        if any(places.asked_place(trial) for trial in plan.trials):
            note = places.confirmed(model, frames.frames, plan, declared="box_format" in config.model_args)
            say(note)
            plan = replace(plan, notes=(*plan.notes, note))
        started = now()
        with debiased.debiased(config.debias, model, plan, mode=config.mode, seed=config.seed) as (asked, through):
            checked = _verified(asked, plan, config)
            asking = Asking(
                model=checked or asked,
                reader=frames,
                style=plan.style,
                mode=config.mode,
                max_new_tokens=config.max_new_tokens,
                through=through,
            )
            earlier = known.verification if (known := kept_run(folder)) else None
            info = describe(plan, described, suite, asked.identity, folder=folder, command=command, heard=heard)
            info = replace(info, verification=earlier)
            write_run(folder, info)
            with _proven(folder, info, checked, before=earlier):
                spent = ask_all(plan, asking, store, retry_failed=retry_failed, tell=tell)
        append_session(folder, session(spent, started=started, shard=shard))
    info = describe(plan, described, suite, asked.identity, folder=folder, command=command, heard=heard, finished=now())
    if checked:
        told = verification(checked, before=earlier)
        say(said(told))
        info = replace(info, notes=(*info.notes, said(told)), verification=told)
    write_run(folder, info)
    return info


@contextmanager
def _proven(folder: Path, info: RunInfo, checked: Verified | None, *, before: Verification | None) -> Iterator[None]:
    """However the asking ends, what was compared is written down, and a prompt that differs is saved whole."""
    try:
        yield
    except SharingDiffers as error:
        (folder / EVIDENCE).write_text(json.dumps(error.evidence, allow_nan=False, indent=1), encoding="utf-8")
        raise
    finally:
        if checked:
            write_run(folder, replace(info, verification=verification(checked, before=before)))


def _verified(model: Model, plan: Plan, config: RunConfig) -> Verified | None:
    """The model that also asks `config.verify` trials apart, drawn by the run's seed; None where none are wanted."""
    if not config.verify:
        return None
    if config.mode != "score":
        raise BadInput("--verify compares log-probabilities; leave it out with mode generate")
    names = sorted(trial.trial_id for trial in plan.trials)
    drawn = np.random.default_rng(config.seed).permutation(len(names))[: config.verify]
    return Verified(model, {names[k] for k in drawn})


def reader(config: RunConfig, plan: Plan) -> FrameCache:
    """The decoder and its cache, as the config asks."""
    return FrameCache(
        cache_folder(),
        backend=config.video_backend,
        num_frames=plan.num_frames,
        rule=plan.sampling,
        frame_size_wh_px=plan.frame_size_wh_px,
        time_limit_s=config.decode_limit_s,
        workers=config.decode_workers,
    )


def cache_folder() -> Path:
    """Where decoded and drawn clips are kept between runs: VLBIAS_CACHE_DIR, or the user's cache folder."""
    chosen = os.environ.get("VLBIAS_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else (Path(base) if base else Path.home() / ".cache") / "vlbias"


def load(config: RunConfig) -> Model:
    """The model of the config."""
    model: Model = rooms.find("models", config.model).load(**model_arguments(config))
    return model


def model_arguments(config: RunConfig) -> dict[str, Any]:
    """What the adapter is given; `pretrained=organism:NAME` is a bundled model. BadConfig where it needs more."""
    arguments: dict[str, Any] = dict(config.model_args)
    if config.device is not None:
        arguments["device"] = config.device
    if config.cache_gb is not None:
        arguments["cache_gb"] = config.cache_gb
    pretrained = arguments.get("pretrained")
    if isinstance(pretrained, str) and pretrained.startswith(ORGANISM):
        arguments["pretrained"] = str(manifest.folder_of(pretrained.removeprefix(ORGANISM)))
    wanted = inspect.signature(rooms.find("models", config.model).load).parameters.values()
    for one in wanted:
        if one.kind is one.KEYWORD_ONLY and one.default is one.empty and one.name not in arguments:
            which = ": a folder, a name on the Hub, or organism:NAME" if one.name == "pretrained" else ""
            raise BadConfig(f"model_args: {config.model} needs {one.name}; give --model_args {one.name}=...{which}")
    return arguments


def can(model: Model, config: RunConfig, plan: Plan) -> None:
    """Refuses a mode that the model does not have, and a plan of which nothing can be put to it, before it is asked."""
    if not getattr(model.capabilities, config.mode):
        raise BadInput(f"mode: the model {model.identity.name} cannot {config.mode}; choose the other mode")
    told = [model.unfit(trial) for trial in plan.trials] if isinstance(model, Choosy) else []
    reasons = [reason for reason in told if reason is not None]
    if reasons and len(reasons) == len(told):
        raise BadInput(f"{plan.suite_name}: none of its {len(told)} trials can be put to the model; {reasons[0]}")


def describe(
    plan: Plan,
    config: Mapping[str, Any],
    suite: Mapping[str, Any],
    identity: Identity,
    *,
    folder: Path,
    command: Sequence[str],
    heard: str,
    finished: str | None = None,
) -> RunInfo:
    """What was run, with what it has cost so far."""
    earlier = kept_run(folder)
    return RunInfo(
        run_name=folder.resolve().name,
        created_utc=earlier.created_utc if earlier else now(),
        finished_utc=finished,
        config=config,
        config_sha256=digest(config),
        suite=suite,
        suite_sha256=digest(suite),
        identity=identity,
        versions=versions(),
        machine=machine(),
        command=redacted(command),
        canary=heard,
        cost=cost(folder),
        n_asked=len(plan.trials),
        notes=plan.notes,
    )


def kept_run(folder: Path) -> RunInfo | None:
    """What an earlier session wrote of the run; None before the first."""
    try:
        return read_run(folder)
    except NotARun:
        return None


def verification(checked: Verified, *, before: Verification | None) -> Verification:
    """What this session and those before it compared; a prompt is compared in the session that asks it."""
    n_before, largest = (before.n_compared, before.largest_nats) if before else (0, None)
    n_compared = n_before + checked.n_compared
    return Verification(
        n_chosen=len(checked.chosen),
        n_compared=n_compared,
        largest_nats=max(checked.largest, largest or 0.0) if n_compared else None,
        tolerance=checked.tolerance,
    )


def said(found: Verification) -> str:
    """The verification in a sentence."""
    off = (
        ""
        if found.largest_nats is None
        else (f"; the largest difference of an option's log-probability is {found.largest_nats:.2g} nats")
    )
    return f"verified: {found.n_compared} of {found.n_chosen} chosen prompts were answered again without sharing{off}"


def session(spent: Spent, *, started: str, shard: tuple[int, int]) -> dict[str, Any]:
    """A line of sessions.jsonl."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**asdict(spent), "started_utc": started, "shard": f"{shard[0]}/{shard[1]}", "peak_memory_bytes": peak}


def versions() -> dict[str, str]:
    """The versions of everything that can change an answer."""
    found = {"vlbias": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str]:
    """What kind of machine this is; no name, no address."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": str(os.cpu_count())}


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
