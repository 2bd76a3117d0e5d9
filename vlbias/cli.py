"""The command line: one function per command, no logic of its own. Results to stdout, progress to stderr."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from vlbias import __version__, rooms
from vlbias.errors import BadInput, VlbiasError

COLLECT_AFTER = (20_000, 50, 100)
# Read when numpy is imported. The tables of metrics are small: a second thread of its algebra only waits.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="vlbias",
    help="Measures and corrects position bias in vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "VLBIAS"},
)

Text: TypeAlias = str | None
Folder = Annotated[Path, typer.Argument(help="A results folder.")]


def option(*names: str, help: str) -> Any:  # noqa: A002
    """A flag in its canonical spelling; `main` accepts dashes for underscores."""
    return typer.Option(*names, help=help)


@app.command()
def run(
    config: Annotated[Path | None, option("--config", "-C", help="A YAML file; flags win over it.")] = None,
    model: Annotated[Text, option("--model", "-M", help="Adapter: vlbias ls models.")] = None,
    model_args: Annotated[Text, option("--model_args", "-a", help="k=v,k=v or JSON, e.g. pretrained=...")] = None,
    tasks: Annotated[Text, option("--tasks", "-t", help="Suites, by name or file, comma-separated.")] = None,
    task_args: Annotated[Text, option("--task_args", help="k=v of the suite's source, e.g. videos=DIR.")] = None,
    output_path: Annotated[Path | None, option("--output_path", "-o", help="The results folder.")] = None,
    limit: Annotated[Text, option("--limit", "-L", help="Whole probes: N, a share, or a-b.")] = None,
    positions: Annotated[Text, option("--positions", help="all, 0,5,9 or every:2 (0-based).")] = None,
    option_orders: Annotated[Text, option("--option_orders", help="cyclic, full, gold_moving, or K of chance.")] = None,
    repeats: Annotated[int | None, option("--repeats", help="Ask one trial of each probe K times more.")] = None,
    num_frames: Annotated[int | None, option("--num_frames", help="Frames per segment.")] = None,
    frame_size: Annotated[Text, option("--frame_size", help="WxH in pixels.")] = None,
    video_backend: Annotated[Text, option("--video_backend", help="av, decord, torchcodec or opencv.")] = None,
    decode_workers: Annotated[int | None, option("--decode_workers", help="Clips decoded at once; 1.")] = None,
    mode: Annotated[Text, option("--mode", help="score (log-probabilities) or generate.")] = None,
    max_new_tokens: Annotated[int | None, option("--max_new_tokens", help="With --mode generate.")] = None,
    prompt_style: Annotated[Text, option("--prompt_style", help="letters, listed or cloze.")] = None,
    metrics: Annotated[Text, option("--metrics", help="Comma-separated: vlbias ls metrics.")] = None,
    batch_size: Annotated[Text, option("--batch_size", "-b", help="Prompts handed over at once, or auto.")] = None,
    device: Annotated[Text, option("--device", help="cpu, cuda, cuda:0, mps.")] = None,
    cache_gb: Annotated[float | None, option("--cache_gb", help="Most memory for encoded segments, in GiB.")] = None,
    verify: Annotated[int | None, option("--verify", help="Ask K random prompts without sharing as well.")] = None,
    debias: Annotated[Text, option("--debias", help="A saved correction (.json) or a method.")] = None,
    seed: Annotated[int | None, option("--seed", "-s", help="One integer.")] = None,
    gen_kwargs: Annotated[Text, option("--gen_kwargs", help="With --mode generate: max_new_tokens=N.")] = None,
    shard: Annotated[
        Text, option("--shard", help="i/N: this process asks part i of N; else RANK, SLURM_PROCID.")
    ] = None,
    log_samples: Annotated[bool, option("--log_samples", help="Always on: every answer is kept.")] = True,
    include_path: Annotated[Path | None, option("--include_path", help="A folder of more suites.")] = None,
    retry_failed: Annotated[bool, option("--retry_failed", help="Ask failed trials again.")] = False,
    dry_run: Annotated[bool, option("--dry_run", help="Print the plan and stop.")] = False,
    display: Annotated[Text, option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Measure a model; without flags, the bundled model on the bundled suite."""
    from vlbias import job

    flags = {key: value for key, value in locals().items() if key in job.CONFIG_FLAGS and value is not None}
    job.run(
        flags,
        config=config,
        output_path=output_path,
        shard=shard,
        include=[include_path] if include_path else [],
        retry_failed=retry_failed,
        dry_run=dry_run,
        display=display,
        command=sys.argv,
    )


@app.command("ls")
def list_names(
    what: Annotated[str, typer.Argument(help="tasks, models, metrics, debias, decoders or formats.")],
) -> None:
    """List what can be named in a config or on the command line."""
    from vlbias import listing

    for name, text in listing.names(what):
        print(f"{name:<18} {text}".rstrip())


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A suite or a config (YAML).")],
    task_args: Annotated[Text, option("--task_args", help="k=v of the suite's source.")] = None,
) -> None:
    """Check a suite or a config, its items and its clips, before any model is loaded."""
    from vlbias import job

    print(job.validate(file, task_args=task_args))


@app.command()
def score(
    folder: Folder,
    metrics: Annotated[Text, option("--metrics", help="Comma-separated; default: the run's own.")] = None,
    display: Annotated[Text, option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Measure a run again, without asking the model, and write its reports."""
    from vlbias import job

    job.score(folder, metrics=metrics, display=display)


@app.command()
def report(folder: Folder, display: Annotated[Text, option("--display", help="rich, plain or none.")] = None) -> None:
    """Write report.html, figures and tables of a run, and print its table."""
    from vlbias import job

    job.score(folder, metrics=None, display=display)


@app.command()
def card(folder: Folder) -> None:
    """Write card.md and .eval_results/vlbias.yaml for a model's page; of several runs, fingerprint.md."""
    from vlbias import job

    for path in job.card(folder):
        print(path)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Two or more results folders of the same suite.")],
    output_path: Annotated[Path | None, option("--output_path", "-o", help="Where to write comparison files.")] = None,
) -> None:
    """Compare runs, paired by probe."""
    from vlbias import job

    job.compare(folders, output_path=output_path)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Somebody else's file or folder.")],
    output_path: Annotated[Path, option("--output_path", "-o", help="The results folder to make.")],
    format: Annotated[str, option("--format", help="vlbias ls formats.")] = "levelgauge",  # noqa: A002
) -> None:
    """Make a results folder of somebody else's files."""
    from vlbias import job

    print(job.bring_in(path, format_name=format, folder=output_path, command=sys.argv))


@app.command()
def export(
    folder: Folder,
    output_path: Annotated[Path, option("--output_path", "-o", help="Where to write.")],
    format: Annotated[str, option("--format", help="parquet, or vlbias ls formats.")] = "levelgauge",  # noqa: A002
) -> None:
    """Write a run's rows in somebody else's form."""
    from vlbias import job

    for path in job.send_out(folder, format_name=format, target=output_path):
        print(path)


@app.command()
def doctor() -> None:
    """Say what works on this machine, and why not: decodes a clip with each decoder, scores with each engine."""
    from vlbias import doctor as clinic

    findings = clinic.examine()
    for finding in findings:
        print(f"{'works ' if finding.works else 'FAILS '} {finding.what:<22} {finding.detail}")
    if not any(f.works for f in findings if f.what.startswith("decoder")):
        raise BadInput("no decoder works on this machine; pip install av")


@app.command()
def draw(
    suite: Annotated[Path, typer.Argument(help="A suite with a drawn source.")],
    output_path: Annotated[Path, option("--output_path", "-o", help="Folder for clips, items and manifest.")],
    seed: Annotated[int, option("--seed", help="The seed of the run that would draw it.")] = 0,
) -> None:
    """Freeze a drawn suite: render its clips to MP4 files and write its items as JSONL."""
    from vlbias import job

    print(job.freeze(suite, folder=output_path, seed=seed))


def add_commands(to: typer.Typer) -> None:
    """Every file of the room `commands` as a command, or as a group of commands where it holds an `app`."""
    for name in rooms.names("commands"):
        module = rooms.find("commands", name)
        if hasattr(module, "app"):
            to.add_typer(module.app, name=name)
        else:
            to.command(name)(module.command)


add_commands(app)


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Cycles are looked for thirty times less often: importing torch and scipy makes a million objects that stay."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def version_wanted(arguments: list[str]) -> bool:
    """Whether only the version is asked."""
    return arguments in (["--version"], ["-V"])


def underscored(argument: str) -> str:
    """`--model-args=x` as `--model_args=x`: dashes are accepted in every long flag."""
    found = re.match(r"--[a-z][a-z-]*", argument)
    return "--" + found[0][2:].replace("-", "_") + argument[found.end() :] if found else argument


def main(arguments: list[str] | None = None) -> None:
    """The entry point: exit code 0 done, 1 run error, 2 bad input, 3 done with failures, 4 refused, 130 interrupted."""
    given = [underscored(a) for a in (sys.argv[1:] if arguments is None else arguments)]
    given[:1] = [word if word.startswith("-") else word.replace("-", "_") for word in given[:1]]  # the command
    if version_wanted(given):
        print(f"vlbias {__version__}")
        return
    try:
        with rarely_collecting():
            app(given, standalone_mode=True)
    except VlbiasError as error:
        print(f"vlbias: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("vlbias: interrupted; what was answered is kept, the same command goes on", file=sys.stderr)
        raise SystemExit(130) from None
