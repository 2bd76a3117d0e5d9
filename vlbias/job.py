"""What each command does, step by step; `cli` parses, this runs and prints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlbias import config as configs
from vlbias import imports, rooms, scoring
from vlbias.config import RunConfig, key_values
from vlbias.display import Display, chosen, console, progress
from vlbias.errors import BadConfig, BadInput, NotARun, nearest
from vlbias.plan import Plan, expanded, plan
from vlbias.store import read

CONFIG_FLAGS = frozenset(RunConfig.model_fields) - {"decode_limit_s", "sampling", "system_instruction"} | {"gen_kwargs"}
LAUNCHERS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
GREEDY = {"temperature": 0, "do_sample": False}
DEMO = "demo"
TOO_MANY_FAILED = 0.02
PARTIAL = 3


def run(
    flags: dict[str, Any],
    *,
    config: Path | None,
    output_path: Path | None,
    shard: str | None,
    include: Sequence[Path],
    retry_failed: bool,
    dry_run: bool,
    display: str | None,
    command: Sequence[str],
) -> None:
    """Measures one suite after the other and ends with the tables and the paths of the reports."""
    how = chosen(display)
    part, told = launched(os.environ) if shard is None else (_shard(shard), "")
    if told:
        console(how, stderr=True).print(told)
    config = config or (rooms.data("configs") / f"{DEMO}.yaml" if not flags.get("tasks") else None)
    whole = configs.load(config, _parsed(flags))
    suites = expanded(whole.tasks, include=include)
    root = output_path or Path("runs") / (config.stem if config else whole.model)
    failed = False
    for name in suites:
        one = configs.check({**whole.model_dump(), "tasks": name}, where=f"suite {name}")
        asked = plan(one, shard=part, include=include)
        folder = root if len(suites) == 1 else root / asked.suite_name
        if dry_run:
            _print_plan(asked, one, how)
            continue
        asked = _noted(asked, one, part, include)
        failed |= _measure(one, asked, folder, part, retry_failed, how, command)
    if len(suites) > 1 and part[1] == 1 and not dry_run:
        _fingerprint(root, how)
    if failed:
        raise SystemExit(PARTIAL)


def _noted(asked: Plan, one: RunConfig, part: tuple[int, int], include: Sequence[Path]) -> Plan:
    """The plan of a part, which notes what the whole can find where the kind is no sweep."""
    if not any(trial.factors for trial in asked.trials):
        return asked
    from vlbias import forecast  # noqa: PLC0415  (scipy.stats, which a sweep does without)

    whole = plan(one, include=include) if part[1] > 1 else asked
    return replace(asked, notes=forecast.noted(whole, seed=one.seed).notes)


def _measure(
    one: RunConfig,
    asked: Plan,
    folder: Path,
    part: tuple[int, int],
    retry_failed: bool,
    how: Display,
    command: Sequence[str],
) -> bool:
    """Asks, measures, reports; tells whether more failed than a report should stand on."""
    from vlbias import session  # noqa: PLC0415  (imports the decoders; --dry_run and --help do without)

    out = console(how, stderr=True)
    out.print(f"{asked.suite_name}: {len(asked.probes)} probes, {len(asked.trials)} trials -> {folder}")
    with progress(how, title="asking", unit="trials") as update:
        session.ask(
            one,
            asked,
            folder=folder,
            shard=part,
            retry_failed=retry_failed,
            command=command,
            tell=lambda p: update(p.done, p.total, p.failed),
            say=out.print,
        )
    if part[1] > 1:
        out.print(f"shard {part[0]}/{part[1]} is done; vlbias score {folder} merges and measures all shards")
        return False
    return score(folder, metrics=None, display=how)


def _fingerprint(root: Path, how: Display) -> None:
    """Writes what the suites say together, where one of them has a panel."""
    from vlbias import fingerprint  # noqa: PLC0415  (matplotlib)

    found = fingerprint.fingerprint(root)
    if not found.is_empty:
        for path in fingerprint.write(found, folder=root):
            console(how).print(str(path), soft_wrap=True)


def card(folder: Path) -> list[Path]:
    """The model card of a run; of a folder of several runs, the section with their fingerprint."""
    from vlbias import fingerprint  # noqa: PLC0415  (matplotlib)

    try:
        return scoring.write(scoring.report(folder), folder=folder, writers=("card",))
    except NotARun:
        if not fingerprint.runs(folder):
            raise
        return fingerprint.write(fingerprint.fingerprint(folder), folder=folder)


def score(folder: Path, *, metrics: str | None, display: str | None) -> bool:
    """Measures a folder's rows, writes every report and prints the table; True when too many trials failed."""
    from vlbias.reports import terminal  # noqa: PLC0415  (rich)

    how = chosen(display)
    names = [name for name in (metrics or "").split(",") if name] or None
    with progress(how, title="measuring", unit="metrics") as update:
        result = scoring.report(folder, metrics=names, tell=update)
    with progress(how, title="writing", unit="reports") as update:
        paths = scoring.write(result, folder=folder, tell=update)
    terminal.render(result, paths=paths, console=console(how))
    failures = sum(o.row == "failure" for o in result.outcomes)
    return failures > TOO_MANY_FAILED * len(result.outcomes)


def validate(file: Path, *, task_args: str | None) -> str:
    """Checks a suite or a config file down to its clips and says what it holds."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    is_suite = any(line.startswith("kind:") for line in text.splitlines())
    values = {"tasks": str(file), "task_args": key_values(task_args, flag="--task_args") if task_args else None}
    checked = configs.load(None, values) if is_suite else configs.load(file, {})
    return "\n".join(
        _checked(configs.check({**checked.model_dump(), "tasks": name}, where=str(file)), file)
        for name in expanded(checked.tasks)
    )


def _checked(one: RunConfig, file: Path) -> str:
    asked = plan(one)
    return (
        f"{file}: sound: suite {asked.suite_name}, {len(asked.probes)} probes, "
        f"{len({p.cluster_id for p in asked.probes})} clusters, {len(asked.trials)} trials"
        + "".join(f"\n{note}" for note in asked.notes)
    )


def compare(folders: Sequence[Path], *, output_path: Path | None) -> None:
    """Prints, and if asked writes, a comparison of runs paired by probe."""
    if len(folders) < 2:
        raise BadInput("compare: give two or more results folders")
    from vlbias.reports import compare as comparing  # noqa: PLC0415  (rich, jinja)

    comparison = scoring.compare(folders)
    comparing.render(comparison, console=console(chosen(None)))
    for path in comparing.write(comparison, folder=output_path) if output_path else ():
        console("plain").print(str(path))


def bring_in(path: Path, *, format_name: str, folder: Path, command: Sequence[str]) -> str:
    """A results folder made of foreign files; measured by `vlbias report`."""
    module = rooms.find("formats", format_name)
    if not hasattr(module, "read"):
        raise BadInput(f"--format {format_name}: can be written but not read")
    outcomes = module.read(path)
    imports.keep(outcomes, folder=folder, source=path.name, format_name=format_name, command=command)
    return f"{len(outcomes)} rows -> {folder}; next: vlbias report {folder}"


def send_out(folder: Path, *, format_name: str, target: Path) -> list[Path]:
    """A run's rows as Parquet or in a foreign form."""
    outcomes = read(folder).outcomes
    if format_name == "parquet":
        from vlbias.parquet import export_parquet  # noqa: PLC0415  (pyarrow is slow to import)

        export_parquet(outcomes, target)
        return [target]
    module = rooms.find("formats", format_name)
    if not hasattr(module, "write"):
        raise BadInput(f"--format {format_name}: can be read but not written")
    paths: list[Path] = module.write(outcomes, folder=target)
    return paths


def freeze(suite: Path, *, folder: Path, seed: int) -> str:
    """Renders a drawn suite to files."""
    from vlbias.probes import _freeze, insertion  # noqa: PLC0415
    from vlbias.strictyaml import read as read_yaml  # noqa: PLC0415
    from vlbias.videos import draw  # noqa: PLC0415

    drawn = read_yaml(suite, insertion.Suite)
    media = folder / "clips"
    scratch = folder / ".drawing"
    probes = _freeze.freeze(
        drawn,
        seed=seed,
        render=lambda scenes: draw.film(scenes, folder=scratch),
        media=media,
        items=folder / f"{suite.stem}.jsonl",
    )
    shutil.rmtree(scratch, ignore_errors=True)
    return f"{len(probes)} probes -> {folder}"


def _parsed(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags as config values."""
    values = dict(flags)
    for name in ("model_args", "task_args"):
        if name in values:
            values[name] = key_values(values[name], flag=f"--{name}")
    if "gen_kwargs" in values:
        values = {**_generation(values.pop("gen_kwargs")), **values}
    if "metrics" in values:
        values["metrics"] = tuple(name for name in values["metrics"].split(",") if name)
        for name in values["metrics"]:
            rooms.find("metrics", name)
    if "frame_size" in values:
        width, x, height = values["frame_size"].lower().partition("x")
        if not (x and width.isdigit() and height.isdigit()):
            raise BadConfig(f"--frame_size: found {values['frame_size']!r}; give WxH, as 800x600")
        values["frame_size"] = (int(width), int(height))
    if "model" in values:
        rooms.find("models", values["model"])
    return values


def _shard(text: str, *, of: str = "--shard") -> tuple[int, int]:
    part, slash, count = text.partition("/")
    if not (slash and part.isdigit() and count.isdigit() and int(part) < int(count)):
        raise BadConfig(f"{of}: found {text!r}; give i/N with 0 <= i < N, as 0/4")
    return int(part), int(count)


def launched(environ: Mapping[str, str]) -> tuple[tuple[int, int], str]:
    """The shard that a launcher (torchrun, srun) gives this process, and a line that says so; 0/1 without one."""
    for rank, world in LAUNCHERS:
        if rank in environ and environ.get(world, "1") != "1":
            part = _shard(f"{environ[rank]}/{environ[world]}", of=f"{rank}/{world}")
            said = f"shard {part[0]}/{part[1]}, as {rank} and {world} say; --shard 0/1 asks everything in this process"
            return part, said
    return (0, 1), ""


def _generation(text: str) -> dict[str, Any]:
    """`--gen_kwargs` as config values: generation is greedy here, so only its length can be chosen."""
    found = dict(key_values(text, flag="--gen_kwargs"))
    for name, greedy in GREEDY.items():
        if name in found and found.pop(name) != greedy:
            raise BadConfig(f"--gen_kwargs: {name}: answers are greedy, so that they can be repeated; leave it out")
    length = {key: found.pop(key) for key in ("max_new_tokens", "max_gen_toks") if key in found}
    for name in found:
        raise BadConfig(f"--gen_kwargs: unknown key {name!r}; {nearest(name, [*GREEDY, 'max_new_tokens'])}")
    if len(length) > 1:
        raise BadConfig("--gen_kwargs: max_new_tokens and max_gen_toks are the same thing; give one of them")
    return {"max_new_tokens": next(iter(length.values()))} if length else {}


def _print_plan(asked: Plan, one: RunConfig, how: Display) -> None:
    from vlbias import dryrun  # noqa: PLC0415  (reads clips, loads a processor)

    for line in dryrun.lines(asked, one):
        console(how).print(line)
