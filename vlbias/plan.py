"""From a config to what will be asked: the suite, its probes, the trials of this shard in batches, and their count."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from vlbias import rooms, schedule
from vlbias.config import AUTO_PROMPTS, RunConfig
from vlbias.errors import BadConfig, BadSuite, UnknownName, nearest
from vlbias.probes._choices import Strict
from vlbias.probes._permute import permuted
from vlbias.probes._repeats import repeated
from vlbias.probes._screen import screened
from vlbias.prompts import Style
from vlbias.records import Probe, Trial
from vlbias.strictyaml import read

WHOLE = 4 * AUTO_PROMPTS  # two questions under all 24 orders of four options at eleven slots


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that will be asked, in order. A batch is asked whole, so its composition never depends on chance."""

    suite: Any
    suite_name: str
    probes: tuple[Probe, ...]
    notes: tuple[str, ...]
    trials: tuple[Trial, ...]
    batches: tuple[tuple[Trial, ...], ...]
    style: Style
    num_frames: int
    sampling: Literal["midpoints", "linspace"]
    frame_size_wh_px: tuple[int, int] | None


def plan(config: RunConfig, *, shard: tuple[int, int] = (0, 1), include: Sequence[Path] = ()) -> Plan:
    """What the config asks, checked as far as it can be before a model is loaded."""
    path, kind = suite_file(config.tasks, include=include)
    module = rooms.find("probes", kind)
    suite = _overridden(read(path, module.Suite, error=BadSuite), config.task_args, path=path)
    has_orders = hasattr(suite, "orders")
    if config.option_orders is not None and has_orders:
        suite = suite.model_copy(update={"orders": config.option_orders})
    if config.prompt_style == "cloze" and (has_orders or getattr(module, "OWN_ORDERS", False)):
        raise BadConfig(f"prompt_style: cloze shows no options, and the suite {suite.name} is about their order")
    probes, notes = asked_of(module, module.probes(suite, folder=path.parent), config)
    slots = positions(config.positions, n_slots=suite.segments)
    trials = tuple(module.trials(probes, suite=suite, seed=config.seed, slots=slots))
    _may_list(trials, suite, config)
    if config.option_orders is not None and not has_orders:
        _may_permute(module, suite, config)
        trials = tuple(permuted(trials, rule=config.option_orders, seed=config.seed))
    trials = tuple(repeated(trials, count=config.repeats))
    mine = tuple(t for t in trials if _shard_of(t.probe.probe_id, shard[1]) == shard[0])
    batches = schedule.batches(mine, size=config.batch_size, whole=WHOLE if config.batch_size == AUTO_PROMPTS else 0)
    choice, frames = suite.prompt, suite.frames
    return Plan(
        suite=suite,
        suite_name=suite.name,
        probes=tuple(probes),
        notes=notes,
        trials=mine,
        batches=batches,
        style=Style(
            style=config.prompt_style or choice.style,
            instruction=choice.instruction,
            closing=choice.closing,
            system=config.system_instruction or choice.system,
        ),
        num_frames=config.num_frames or frames.num_frames,
        sampling=config.sampling or frames.sampling,
        frame_size_wh_px=config.frame_size or frames.frame_size,
    )


def asked_of(module: Any, probes: Sequence[Probe], config: RunConfig) -> tuple[list[Probe], tuple[str, ...]]:
    """The probes to ask; where orders vary, those whose wording refers to a place are left out and named."""
    varied = config.option_orders is not None or getattr(module, "SCREENED", False)
    kept, dropped = screened(probes) if varied else (list(probes), ())
    if not kept:
        raise BadSuite(f"no probe of {len(probes)} may be asked in another order: {dropped[0]}")
    return limited(kept, config.limit), dropped


class Group(Strict):
    """What stands in the YAML of a group of suites: a name for several, asked one after the other."""

    name: str
    kind: Literal["group"]
    description: str
    suites: Annotated[tuple[str, ...], Field(min_length=1)]


def expanded(tasks: str, *, include: Sequence[Path] = ()) -> list[str]:
    """The suites that a comma-separated list names, each once; a group stands for its suites."""
    groups, found = group_names(include), list[str]()
    for name in filter(None, (item.strip() for item in tasks.split(","))):
        path = Path(name) if name.endswith((".yaml", ".yml")) else groups.get(name)
        grouped = path is not None and path.is_file() and _head(path).get("kind") == "group"
        found += read(path, Group, error=BadSuite).suites if path is not None and grouped else [name]
    return list(dict.fromkeys(found))


def group_names(include: Sequence[Path] = ()) -> dict[str, Path]:
    """Every group of suites that can be named, with its file."""
    folders = [folder / "groups" for folder in (rooms.data("probes"), *include)]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def suite_names(include: Sequence[Path] = ()) -> dict[str, Path]:
    """Every suite that can be named, with its file; `include` adds folders of the user's own."""
    folders = [rooms.data("probes"), *include]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def suite_file(name: str, *, include: Sequence[Path] = ()) -> tuple[Path, str]:
    """The file of a suite, by name or by path, and its kind."""
    known = suite_names(include)
    path = Path(name) if name.endswith((".yaml", ".yml")) else known.get(name)
    if path is None:
        raise UnknownName(what="task", name=name, known=[*known, *group_names(include)])
    if not path.is_file():
        raise BadSuite(f"{path}: there is no such file; known suites: {', '.join(known)}")
    kind = _head(path).get("kind")
    if not isinstance(kind, str) or kind not in rooms.names("probes"):
        raise BadSuite(f"{path}: kind: found {kind!r}; {nearest(str(kind), rooms.names('probes'))}")
    return path, kind


def _head(path: Path) -> dict[str, Any]:
    try:
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSuite(f"{path}: not a YAML file: {error}") from error
    return head if isinstance(head, dict) else {}


def limited(probes: Sequence[Probe], limit: str | None) -> list[Probe]:
    """Whole probes: the first N, a share below 1, or a range a-b (counted from 0, b not included)."""
    if limit is None:
        return list(probes)
    low, dash, high = limit.partition("-")
    try:
        if dash:
            chosen = list(probes[int(low) : int(high)])
        elif "." in limit:
            share = float(limit)
            chosen = list(probes[: round(share * len(probes))]) if 0 < share <= 1 else []
        else:
            chosen = list(probes[: int(limit)]) if int(limit) > 0 else []
    except ValueError as error:
        raise BadConfig(f"limit: {limit!r} is not a count, a share of 1 or a range a-b") from error
    if not chosen:
        raise BadConfig(f"limit: {limit!r} leaves no probe of {len(probes)}; give a count from 1 or a share up to 1.0")
    return chosen


def positions(text: str, *, n_slots: int) -> list[int] | None:
    """The 0-based slots of `all`, `0,5,9` or `every:2`; None for all."""
    if text == "all":
        return None
    try:
        if text.startswith("every:"):
            step = int(text.removeprefix("every:"))
            chosen = list(range(0, n_slots, step)) if step > 0 else []
        else:
            chosen = [int(item) for item in text.split(",")]
    except ValueError as error:
        raise BadConfig(f"positions: {text!r} is not all, 0,5,9 or every:2") from error
    outside = [slot for slot in chosen if not 0 <= slot < n_slots]
    if outside or not chosen or len(set(chosen)) != len(chosen):
        raise BadConfig(f"positions: {text!r}: the suite has the slots 0 to {n_slots - 1}, each to be named once")
    return sorted(chosen)


def _may_permute(module: Any, suite: Any, config: RunConfig) -> None:
    if getattr(module, "OWN_ORDERS", False):
        raise BadConfig(f"option_orders: the suite {suite.name} turns its candidates itself; leave it out")
    if (config.prompt_style or suite.prompt.style) == "cloze":
        raise BadConfig("option_orders: the style cloze shows no options, so they have no order; use letters")


def _may_list(trials: Sequence[Trial], suite: Any, config: RunConfig) -> None:
    """Refuses to list options without labels where a trial says what labels they bear."""
    asked = [dict(trial.factors) for trial in trials]
    given = {told.get("labels", "none") for told in asked if told.get("asks") != "index"} - {"none"}
    if (config.prompt_style or suite.prompt.style) == "listed" and given:
        raise BadConfig(
            f"prompt_style: listed shows options without labels, and the suite {suite.name} names them by "
            f"{', '.join(sorted(given))}; leave it out, or write labels: [none] where the suite takes labels"
        )


def _shard_of(probe_id: str, count: int) -> int:
    """Whole probes go to one shard, by a hash that does not depend on the process."""
    return zlib.crc32(probe_id.encode()) % count


def _overridden(suite: Any, changes: dict[str, Any], *, path: Path) -> Any:
    """The suite with the values of `--task_args` in place of its own, at the top or inside its source."""
    if not changes:
        return suite
    values = suite.model_dump(mode="json", exclude_unset=True, by_alias=True)
    places = [values, *(part for part in values.get("source", {}).values() if isinstance(part, dict))]
    models = [type(suite), *(type(part) for _, part in suite.source if part is not None)]
    known = {field.alias or name: k for k, model in enumerate(models) for name, field in model.model_fields.items()}
    for key, value in changes.items():
        if key not in known:
            raise BadSuite(f"{path}: --task_args: unknown key {key!r}; {nearest(key, known)}")
        places[known[key]][key] = value
    try:
        return type(suite).model_validate_json(json.dumps(values))
    except ValidationError as error:
        faults = (": ".join([*map(str, f["loc"]), f["msg"].removeprefix("Value error, ")]) for f in error.errors())
        raise BadSuite(f"{path}: --task_args: {'; '.join(faults)}") from error
