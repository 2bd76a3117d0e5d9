"""Writes report.html: one file that needs nothing else, for a person who was not there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate
from vlbias.reports import Report, _maps
from vlbias.reports import _reading as reading
from vlbias.reports import _spatial as spatial
from vlbias.reports import _views as views
from vlbias.reports._before_after import panel
from vlbias.reports._draw import PAGE, Curve, curve_figure, inline_svg
from vlbias.reports._failed import failures, first_reasons, place_name, place_word
from vlbias.reports._placed import placed_figure, placements, spoken
from vlbias.reports._text import clean, model_name, pathless, save
from vlbias.reports._verdict import sentences

WIDE_IN, NARROW_IN, SMALL_IN = (6.6, 3.2), (3.9, 2.9), (2.5, 1.7)
EXAMPLES = 6
PAGE_PX, GAP_PX = 812, 28  # of _style.css.jinja: the width of a page's text, and between maps


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `report.html`: text of models and suites is escaped, and nothing is loaded from elsewhere."""
    return [save(folder / "report.html", page(report))]


def page(report: Report) -> str:
    """The page as text."""
    place = Environment(loader=PackageLoader("vlbias.reports", "."), autoescape=True, undefined=StrictUndefined)
    place.filters["clean"] = clean
    template = place.get_template("report.html.jinja")
    return template.render(
        r=reading,
        report=report,
        run=report.run,
        model=model_name(report.run.identity.name),
        suite=reading.suite_name(report.run),
        verdict=sentences(report),
        shape=reading.pick(report, "shape"),
        headline=headline(report),
        figures=figures(report),
        multiples=multiples(report),
        places=places(report),
        maps=maps(report),
        cells=bool(spatial.patterns(report)),
        curve=reading.curve(report, "accuracy"),
        levels=[e for e in report.estimates if e.slot is None and e.metric in reading.LEVELS],
        gold_curve=reading.curve(report, "gold_probability") + reading.curve(report, "gold_logprob"),
        contrasts=reading.contrasts(report),
        spread=_present(report, reading.SPREAD),
        gauged=reading.levelgauge(report),
        corrections=panel(report.proof),
        levelgauge=[e for e in report.estimates if e.metric.startswith(reading.LEVELGAUGE)],
        rates=_present(report, reading.RATES),
        place=place_word(report),
        failures=failures(report),
        reasons=[(kind, pathless(reason)) for kind, reason in first_reasons(report)],
        others=reading.others(report),
        examples=examples(report.outcomes),
        provenance=provenance(report),
        config=_yaml(report.run.config),
    )


def headline(report: Report) -> list[Estimate]:
    """The few numbers that stand large at the top."""
    names = ("accuracy", "accuracy_head_minus_middle", "accuracy_neighbour_minus_middle", "accuracy_range")
    curve = [e for e in _present(report, names) if e.value is not None]
    return curve or spatial.headline(report)[:4] or reading.of_order(report)[:4]


def maps(report: Report) -> list[dict[str, Any]]:
    """The maps; in front those that lead, each beside one of luck, and where none leads those of all tasks together."""
    first = spatial.leading_map(report) if spatial.patterns(report) else None
    drawn = sorted(_maps.maps(report), key=lambda m: _order(m, first))
    whole = any(m.task == "all" for m in drawn)
    return [
        {
            "title": m.title,
            "unit": m.unit,
            "width_px": _width_px(m),
            "luck": m.metric.endswith(spatial.OF_LUCK),
            "front": m.metric.removesuffix(spatial.OF_LUCK) == first if first else m.task == "all" or not whole,
            "svg": Markup(_maps.heatmap(m, name=f"map{k}")),  # noqa: S704
        }
        for k, m in enumerate(drawn)
    ]


def _order(m: _maps.Map, first: str | None) -> tuple[bool, bool, str, tuple[int, bool]]:
    return m.metric.removesuffix(spatial.OF_LUCK) != first, m.task != "all", m.task, spatial.order_of_map(m.metric)


def _width_px(m: _maps.Map) -> int:
    """The width of a map; one of luck, whose cells hold one number each, shrinks to stand beside the one found."""
    natural = 150 + 54 * len(m.values_RC[0])
    beside = PAGE_PX - GAP_PX - natural
    return beside if m.metric.endswith(spatial.OF_LUCK) and 0.6 * natural <= beside < natural else natural


def figures(report: Report) -> list[dict[str, Any]]:
    """The main curves, each drawn for a wide and for a narrow page."""
    found = []
    for name, what, curve in (
        ("accuracy", "Accuracy", views.accuracy(report)),
        ("gold", "Probability of the right option", views.gold(report)),
    ):
        if curve is not None:
            label = views.spoken(curve.points, what)
            wide, narrow = (
                _svg(curve, f"{name}-{kind}", label, size) for kind, size in (("wide", WIDE_IN), ("narrow", NARROW_IN))
            )
            found.append({"name": name, "title": what, "wide": wide, "narrow": narrow, "curve": curve})
    return found


def places(report: Report) -> list[dict[str, Any]]:
    """A curve over displayed places of options or candidates, places of an image, slots apart; rows of placements."""
    found = []
    for name, curve in views.places(report):
        what = reading.title(name)
        label = views.spoken(curve.points, what, over=curve.xlabel)
        found.append({"title": what, "svg": _svg(curve, name, label, SMALL_IN), "wide": False})
    for rows in placements(report):
        drawn = inline_svg(placed_figure(rows, palette=PAGE), name=rows[0].metric, label=spoken(rows))
        found.append({"title": reading.title(rows[0].metric), "svg": Markup(drawn), "wide": True})  # noqa: S704
    return found


def multiples(report: Report) -> list[Markup]:
    """A small curve per task."""
    return [
        _svg(curve, f"task{k}", views.spoken(curve.points, f"Accuracy of {curve.title}"), SMALL_IN)
        for k, curve in enumerate(views.per_task(report))
    ]


def examples(outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """The first answers and failures of different kinds, with what is needed to check them."""
    wrong = [o for o in outcomes if isinstance(o, Answer) and not o.correct]
    right = [o for o in outcomes if isinstance(o, Answer) and o.correct]
    failed = [o for o in outcomes if isinstance(o, Failure)]
    each = EXAMPLES // 3
    chosen: list[Answer | Failure] = [*right[:each], *wrong[:each], *failed[:each]]
    return [_example(o) for o in chosen]


def provenance(report: Report) -> list[tuple[str, str]]:
    """Everything needed to ask again, as pairs of name and value."""
    run = report.run
    levels = sorted({o.level for o in report.outcomes if isinstance(o, Answer)})
    audits = [o.audit for o in report.outcomes if isinstance(o, (Answer, Failure)) and o.audit]
    decoders = sorted({f"{f.decoder} {f.decoder_version or ''}" for a in audits for f in a.segments if f.decoder})
    pairs = [
        ("run", run.run_name), ("command", run.command), ("started", run.created_utc),
        ("finished", run.finished_utc or "not finished"), ("config sha256", run.config_sha256),
        ("suite sha256", run.suite_sha256), ("trials planned", run.n_asked), ("canary", run.canary),
        ("log-probability level", ", ".join(levels) or "no answers"),
        ("decoder", ", ".join(decoders) or "not recorded"),
        *((f"model {k.replace('_', ' ')}", v if v is not None else "not recorded")
          for k, v in asdict(run.identity).items()),
        *((f"version of {k}", v) for k, v in run.versions.items()),
        *((f"machine {k}", v) for k, v in run.machine.items()),
        *(("note", note) for note in run.notes),
    ]  # fmt: skip
    return [(clean(name, 60), pathless(clean(value, 300))) for name, value in pairs]


def _example(o: Answer | Failure) -> dict[str, str]:
    a, audit = o.asked, o.audit
    target = dict(a.factors).get("target")
    said = None if isinstance(o, Failure) else o.box_xyxy or o.point_xy
    if isinstance(o, Failure):
        result, came = f"failure: {o.kind}", pathless(o.reason)
    else:
        result = "right" if o.correct else "wrong"
        if a.gold is None:
            result = "open-ended" if target is None else ("a place" if said else "no place")
        scores = ", ".join(f"{p:.3g}" for p in o.logprobs or ())
        came = o.reply if o.reply is not None else f"log-probabilities {scores}"
    return {
        "trial": clean(a.trial_id, 60),
        "task": clean(a.task, 40),
        "slot": place_name(a),
        "result": result,
        "chosen": _place(said) if isinstance(o, Failure) or o.chosen is None else str(o.chosen + 1),
        "gold": _place(map(float, target.split(",")) if target else None) if a.gold is None else str(a.gold + 1),
        "came": clean(came, 200),
        "prompt": audit.prompt_sha256[:12] if audit else "–",
    }


def _place(numbers: Iterable[float] | None) -> str:
    """A box or a point in 0..1 of the image."""
    return "–" if numbers is None else " ".join(f"{v:.2f}" for v in numbers)


def _present(report: Report, names: Sequence[str]) -> list[Estimate]:
    return [e for name in names if (e := reading.pick(report, name)) is not None]


def _svg(curve: Curve, name: str, label: str, size_in: tuple[float, float]) -> Markup:
    # The drawing is our own XML, in which matplotlib has escaped every foreign text.
    return Markup(inline_svg(curve_figure(curve, palette=PAGE, size_in=size_in), name=name, label=label))  # noqa: S704


def _yaml(config: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(dict(config), default=str))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    return "\n".join(line[: len(line) - len(line.lstrip())] + pathless(clean(line, 300)) for line in text.splitlines())
