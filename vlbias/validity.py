"""Writes what the instrument's own error rates are: every number of the page comes from one seed and one command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vlbias.metrics._detectable import found_share, sizes
from vlbias.metrics._order_designs import SPREAD, design
from vlbias.metrics._rates import BIASED, Case, Tally
from vlbias.metrics._simulate import WORLDS
from vlbias.power import assumed
from vlbias.selfcheck import Job, Row, Tell, in_parallel, share_row, wilson
from vlbias.selfcheck import done as finish
from vlbias.selfcheck import rows as quick_rows

SIZES = (120, 300, 1177)
POINTS = (3.0, 6.0, 12.0)
SAID = ("none", *BIASED, "undetermined")
CURVE_POINTS = (2, 4, 6, 8, 10, 12, 16, 20)
RIGHT_GOALS = {(12.0, 300): 0.85, (12.0, 1177): 0.98, (6.0, 1177): 0.80}


def cases(replicates: int) -> list[tuple[Case, int]]:
    """Every world and size without an effect, and with each shape at 3, 6 and 12 points (a quarter of the runs)."""
    null = [(Case(world=w, n_probes=n), replicates) for w in WORLDS for n in SIZES]
    few = max(2, replicates // 4)
    bare = [case for case, _ in null]
    return null + [(replace(case, shape=s, points=p), few) for case in bare for p in POINTS for s in BIASED]


def full(*, seed: int, replicates: int, workers: int, tell: Tell) -> tuple[list[Row], str]:
    """The rows of the quick form and of every simulated case, and the page that shows them."""
    jobs = [Job(work=case, n=n, seed=seed) for case, n in cases(replicates)]
    tallies = [t for t in in_parallel(finish, jobs, workers=workers, tell=tell) if isinstance(t, Tally)]
    found = [*quick_rows(seed=seed, workers=workers, tell=tell), *cell_rows(tallies)]
    return found, page(found, tallies, seed=seed, replicates=replicates)


def cell_rows(tallies: Sequence[Tally]) -> list[Row]:
    """The goals that hold in every world and size, one row each."""
    out = []
    for t in tallies:
        if t.case.points == 0:
            name = f"false_alarm_{t.case.world}_{t.case.n_probes}"
            out.append(share_row(name, t.found, t.n, at_least=0.03, at_most=0.07))
    for (points, n), goal in RIGHT_GOALS.items():
        for world in WORLDS:
            mine = _where(tallies, world=world, n=n, points=points)
            right, total = sum(t.labels[t.case.shape] for t in mine), sum(t.n for t in mine)
            out.append(share_row(f"right_label_{points:g}pt_{n}_{world}", right, total, at_least=goal))
    biased = [t for t in tallies if t.case.points >= 6]
    for name, mine, goal in (
        ("wrong_when_sure_all", [t for t in biased if not _few_clips(t)], 0.02),
        ("wrong_when_sure_44_clips", [t for t in biased if _few_clips(t)], 0.05),
    ):
        wrong = sum(sum(t.sure.values()) - t.sure[t.case.shape] for t in mine)
        out.append(share_row(name, wrong, sum(sum(t.sure.values()) for t in mine), at_most=goal))
    lower = sum(t.found_gold < t.found for t in biased)
    better = sum(t.found_gold > t.found for t in biased)
    goal_text = f"gold probability finds more than accuracy in more cases than it finds less in; more in {better}"
    out.append(Row(name="gold_finds_less", value=lower, low=None, high=None, goal=goal_text, ok=lower <= better))
    return out


def page(found: Sequence[Row], tallies: Sequence[Tally], *, seed: int, replicates: int) -> str:
    """The page, as Markdown."""
    few = max(2, replicates // 4)
    command = f"vlbias selfcheck --full --seed {seed} --replicates {replicates}"
    lines = [
        "# How far the instrument can be trusted",
        "",
        f"Every number here is simulated and comes back from `{command}`.",
        f"A case without an effect has {replicates} runs, a case with one {few}. Probes have ten slots; accuracy is",
        ".65 on average, items differ by 1.5 logits. *independent*: every answer has its own luck. *sticky*: the slots",
        "of a probe share 85 % of it. *clustered*: 2.7 questions share a clip and 35 % of their luck at a slot.",
        "The old label is Video-LevelGauge's, on the same answers.",
        "",
        *_section("Is a bias found where there is none?", _false_alarms(tallies)),
        *_section("Is a bias found, and is its shape right?", _right(tallies)),
        *_section("Which shape is said (accuracy, share of runs in %)", _confusions(tallies)),
        *_section("Do intervals hold the truth?", _coverage(tallies)),
        *_section("Power by size of the effect (head, questions of two per clip, in %)", _power(seed)),
        *_section("Two segments contradict each other: both orders of content, or one (power, in %)", _orders()),
        *_section("Rows of the self-check", _rows(found)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in body)]


def _false_alarms(tallies: Sequence[Tally]) -> list[str]:
    head = ("world", "probes", "ours, accuracy (95 % interval)", "ours, gold probability", "old label")
    body = []
    for t in tallies:
        if t.case.points == 0:
            low, high = wilson(t.found, t.n)
            old = t.n - t.old_labels["none"]
            rate = f"{_percent(t.found, t.n)} ({100 * low:.1f} to {100 * high:.1f})"
            body.append((t.case.world, str(t.case.n_probes), rate, _percent(t.found_gold, t.n), _percent(old, t.n)))
    return ["Share of runs in which slots are said to differ, in %; the nominal level is 5.", "", *_table(head, body)]


def _right(tallies: Sequence[Tally]) -> list[str]:
    head = ("world", "probes", "points", "found, accuracy", "found, gold", "right shape", "old label right",
            "sure", "wrong when sure", "opposite")  # fmt: skip
    body = []
    for world in WORLDS:
        for n in SIZES:
            for points in POINTS:
                mine = _where(tallies, world=world, n=n, points=points)
                if mine:
                    body.append((world, str(n), f"{points:g}", *_scores(mine)))
    return ["Mean over the five shapes, in %; *sure* is a confidence of .8 or more.", "", *_table(head, body)]


def _scores(mine: Sequence[Tally]) -> tuple[str, ...]:
    n, sure = sum(t.n for t in mine), sum(sum(t.sure.values()) for t in mine)
    opposite = {"head": "neighbour", "neighbour": "head", "U": "inverted U", "inverted U": "U", "volatile": ""}
    return (
        _percent(sum(t.found for t in mine), n),
        _percent(sum(t.found_gold for t in mine), n),
        _percent(sum(t.labels[t.case.shape] for t in mine), n),
        _percent(sum(t.old_labels[t.case.shape] for t in mine), n),
        _percent(sure, n),
        _percent(sure - sum(t.sure[t.case.shape] for t in mine), sure),
        str(sum(t.sure[opposite[t.case.shape]] for t in mine)),
    )


def _confusions(tallies: Sequence[Tally]) -> Iterator[str]:
    for world in WORLDS:
        for n in (300, 1177):
            mine = [*_where(tallies, world=world, n=n, points=0), *_where(tallies, world=world, n=n, points=6)]
            if mine:
                yield f"{world}, {n} probes, 6 points; ours, then the old label in brackets:"
                yield ""
                yield from _table(("truth", *SAID), [(t.case.shape, *_said(t)) for t in mine])
                yield ""


def _said(t: Tally) -> list[str]:
    def cell(counts: Counter[str], name: str) -> str:
        return f"{100 * counts[name] / t.n:.0f}"

    return [f"{cell(t.labels, name)} ({cell(t.old_labels, name)})" for name in SAID]


def _coverage(tallies: Sequence[Tally]) -> list[str]:
    body = []
    for world in WORLDS:
        for n in SIZES:
            mine = [t for t in tallies if t.case.world == world and t.case.n_probes == n]
            body.append((world, str(n), _percent(sum(t.covered for t in mine), sum(t.intervals for t in mine))))
    return ["Share of the 95 % intervals of the planned contrasts that hold the truth, in %.", "",
            *_table(("world", "probes", "covered"), body)]  # fmt: skip


def _power(seed: int) -> list[str]:
    noise = {name: assumed(10, seed=seed, outcome=name) for name in ("accuracy", "gold_probability")}
    body = []
    for name, scatter in noise.items():
        for n in (60, 150, 300, 600):
            found = [found_share(scatter, sizes(n, 2), effect=p / 100, seed=seed).power for p in CURVE_POINTS]
            body.append((name, str(2 * n), *(f"{100 * share:.0f}" for share in found)))
    return _table(("outcome", "probes", *(f"{p} points" for p in CURVE_POINTS)), body)


def _orders() -> list[str]:
    head = ("index", "pairs", "both orders", "one order", "one order, twice the pairs")
    body = [
        (f"{100 * d.index:.1f}", str(d.n_pairs), *(f"{100 * share:.0f}" for share in d.powers))
        for index in (0.0, 0.086, 0.171)
        for d in (design(n, index) for n in (50, 120, 300))
    ]
    told = (
        f"Exact, not simulated: mid-p tests at .05 of an index in points; contents differ by {SPREAD:g} in log-odds.",
        "Both orders cost two answers a pair; twice the pairs in one order cost as much.",
    )
    return [*told, "", *_table(head, body)]


def _rows(found: Sequence[Row]) -> list[str]:
    body = []
    for r in found:
        numbers = ["–" if v is None else f"{v:.3g}" for v in (r.value, r.low, r.high)]
        body.append((r.name, *numbers, r.goal, "yes" if r.ok else "NO"))
    return _table(("row", "value", "low", "high", "goal", "ok"), body)


def _where(tallies: Sequence[Tally], *, world: str, n: int, points: float) -> list[Tally]:
    return [t for t in tallies if (t.case.world, t.case.n_probes, t.case.points) == (world, n, points)]


def _few_clips(t: Tally) -> bool:
    return t.case.world == "clustered" and t.case.n_probes == min(SIZES)


def _percent(hits: int, n: int) -> str:
    return f"{100 * hits / n:.1f}" if n else "–"
