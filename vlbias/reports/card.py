"""Writes a model-card section and Hub evaluation results, each number with its interval."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._reading import curve, full_title, interval, n_probes, n_slots, of_order, pick, suite_name
from vlbias.reports._text import model_name, save
from vlbias.reports._verdict import sentences
from vlbias.reports.tables import as_markdown, curve_table, markdown_text, summary_table

NAMES = (
    "accuracy",
    "accuracy_alone",
    "accuracy_head_minus_middle",
    "accuracy_neighbour_minus_middle",
    "accuracy_range",
    "flip_rate",
)


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `card.md` with `model-index` front matter, and `.eval_results/vlbias.yaml` where the Hub library can.

    No path of this machine is in either: a model from a folder is told by the folder's name.
    """
    files = [save(folder / "card.md", card(report).content)]
    # The newer Hub format came with version 1 of huggingface_hub and is still marked as work in progress there.
    if hasattr(huggingface_hub, "eval_result_entries_to_yaml"):
        text = yaml.safe_dump(_entries(report), sort_keys=False, allow_unicode=True)
        files.append(save(folder / ".eval_results" / "vlbias.yaml", text))
    return files


def card(report: Report) -> ModelCard:
    """The card: front matter for the Hub, then the verdict and two tables."""
    results = [_result(report, e) for e in _shown(report)]
    name = model_name(report.run.identity.name)
    data = ModelCardData(model_name=name, eval_results=results, tags=["vlbias"]) if results else ModelCardData()
    # Markdown is escaped by `markdown_text`, which also takes the characters of HTML; twice would show entities.
    page = Environment(loader=PackageLoader("vlbias.reports", "."), autoescape=True, undefined=StrictUndefined)
    page.filters["markdown"] = markdown_text
    body = page.get_template("card.md.jinja").render(
        sentences=sentences(report),
        curve=as_markdown(*curve_table(report)) if curve(report, "accuracy") else None,
        summary=as_markdown(*summary_table(report)),
        name=name,
        suite=suite_name(report.run),
        run=report.run,
        n_probes=n_probes(report.outcomes),
        n_slots=n_slots(report),
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")


def _shown(report: Report) -> list[Estimate]:
    found = [e for name in NAMES if (e := pick(report, name)) is not None and e.value is not None]
    return found or [e for e in of_order(report) if e.value is not None][: len(NAMES)]


def _result(report: Report, e: Estimate) -> EvalResult:
    return EvalResult(
        task_type="visual-question-answering",
        dataset_type=suite_name(report.run),
        dataset_name=suite_name(report.run),
        dataset_revision=report.run.suite_sha256,
        metric_type=e.metric,
        metric_name=f"{full_title(e)} ({_note(e)})",
        metric_value=e.value,
    )


def _note(e: Estimate) -> str:
    unit = f"{e.unit}, " if e.unit else ""
    if e.low is None or e.high is None:
        return f"{unit}interval {interval(e)}, n = {e.n}"
    return f"{unit}{100 * e.confidence:.0f} % interval {interval(e)}, n = {e.n}"


def _entries(report: Report) -> list[dict[str, object]]:
    entries = [
        huggingface_hub.EvalResultEntry(
            dataset_id=suite_name(report.run),
            task_id=e.metric,
            value=e.value,
            dataset_revision=report.run.suite_sha256,
            date=report.run.created_utc,
            notes=f"{full_title(e)}: {_note(e)}",
        )
        for e in _shown(report)
    ]
    return list(huggingface_hub.eval_result_entries_to_yaml(entries))
