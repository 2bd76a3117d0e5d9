"""Writes what the instrument's own error rates are: every number of the page comes from one seed and one command."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from scipy import stats

from vlbias.metrics._detectable import found_share, sizes
from vlbias.metrics._few_clusters import METHODS, FewClusters, Held
from vlbias.metrics._order_designs import SPREAD, design
from vlbias.metrics._procedure import LEVEL
from vlbias.metrics._rates import BIASED, INTERVALS, OPPOSITE, Case, Tally
from vlbias.metrics._simulate import WORLDS
from vlbias.power import assumed
from vlbias.selfcheck import Job, Row, Tell, coverage_row, in_parallel, share_row, wilson
from vlbias.selfcheck import done as finish
from vlbias.selfcheck import rows as quick_rows

SIZES = (120, 300, 1177)
POINTS = (6.0, 12.0)
NULL_TIMES = 3
SAID = ("none", *BIASED, "undetermined")
CURVE_POINTS = (2, 4, 6, 8, 10, 12, 16, 20)
RIGHT_GOALS = {(12.0, 300): 0.85, (12.0, 1177): 0.98, (6.0, 1177): 0.80}
FEW = tuple(FewClusters(n_clusters=g, share=share) for share in (0.65, 0.9) for g in (12, 20, 44))


def cases(replicates: int) -> list[tuple[Case, int]]:
    """Every world and size without an effect (three times the runs), and with each shape at 6 and at 12 points."""
    bare = [Case(world=w, n_probes=n) for w in WORLDS for n in SIZES]
    biased = [replace(case, shape=s, points=p) for case in bare for p in POINTS for s in BIASED]
    return [*((case, NULL_TIMES * replicates) for case in bare), *((case, replicates) for case in biased)]


def full(*, seed: int, replicates: int, workers: int, tell: Tell) -> tuple[list[Row], str]:
    """The rows of the quick form and of every simulated case, and the page that shows them."""
    jobs = [Job(work=case, n=n, seed=seed) for case, n in cases(replicates)]
    jobs += [Job(work=case, n=NULL_TIMES * replicates, seed=seed) for case in FEW]
    got = list(in_parallel(finish, jobs, workers=workers, tell=tell))
    tallies = [t for t in got if isinstance(t, Tally)]
    few = [h for h in got if isinstance(h, Held)]
    found = [*quick_rows(seed=seed, workers=workers, tell=tell), *cell_rows(tallies), *few_rows(few)]
    return found, page(found, tallies, few, seed=seed, replicates=replicates)


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
    biased = [t for t in tallies if t.case.points]
    opposite = sum(t.sure[OPPOSITE[t.case.shape]] for t in biased if t.case.shape in OPPOSITE)
    out.append(Row(name="opposite_when_sure_all", value=opposite, low=None, high=None, goal="0", ok=opposite == 0))
    for world in WORLDS:
        for n in SIZES:
            mine = [t for t in _of(tallies, world=world, n=n) if t.case.points]
            sure, right = sum(sum(t.sure.values()) for t in mine), sum(t.sure[t.case.shape] for t in mine)
            goal = 0.05 if (world, n) == ("clustered", min(SIZES)) else 0.02
            out.append(share_row(f"wrong_when_sure_{world}_{n}", sure - right, sure, at_most=goal))
    out += [
        coverage_row(f"coverage_{kind.replace(' ', '_')}_{world}_{n}", _of(tallies, world=world, n=n), (kind,))
        for kind in INTERVALS
        for world in WORLDS
        for n in SIZES
    ]
    worse = [t for t in biased if t.only_right > t.only_gold]
    proved = sum(_gold_p(t) * len(biased) <= LEVEL for t in worse)
    goal_text = (
        f"0 of {len(biased)} cases in which gold probability finds less than accuracy beyond chance (McNemar, exact, "
        f"Bonferroni); it finds less in {len(worse)}"
    )
    out.append(Row(name="gold_finds_less", value=proved, low=None, high=None, goal=goal_text, ok=proved == 0))
    return out


def few_rows(few: Sequence[Held]) -> list[Row]:
    """Our interval of a share with 12, 20 and 44 clusters."""
    return [
        share_row(f"coverage_share_{h.case.share:g}_{h.case.n_clusters}_clusters", h.held["score"], h.made["score"],
                  at_least=0.93)
        for h in few
    ]  # fmt: skip


def _gold_p(t: Tally) -> float:
    """The one-sided p-value that gold probability finds less than accuracy, on the runs in which one of them does."""
    return float(stats.binomtest(t.only_right, t.only_right + t.only_gold, alternative="greater").pvalue)


def page(found: Sequence[Row], tallies: Sequence[Tally], few: Sequence[Held], *, seed: int, replicates: int) -> str:
    """The page, as Markdown."""
    command = f"vlbias selfcheck --full --seed {seed} --replicates {replicates}"
    lines = [
        "# How far the instrument can be trusted",
        "",
        f"Every number here is simulated and comes back from `{command}`.",
        f"A case without an effect has {NULL_TIMES * replicates} runs, a case with one {replicates}. Probes have ten",
        "slots; accuracy is .65 on average, items differ by 1.5 logits. *independent*: every answer has its own luck.",
        "*sticky*: the slots of a probe share 85 % of it. *clustered*: 2.7 questions share a clip and 35 % of their",
        "luck at a slot. The old label is Video-LevelGauge's, on the same answers.",
        "",
        *_section("Is a bias found where there is none?", _false_alarms(tallies)),
        *_section("Is a bias found, and is its shape right?", _right(tallies)),
        *_section("Right shape by shape, in %", _by_shape(tallies)),
        *_section("Does the probability of the right option find more than accuracy?", _gold(tallies)),
        *_section("Which shape is said (accuracy, share of runs in %)", _confusions(tallies)),
        *_section("Do intervals hold the truth?", _coverage(tallies)),
        *_section("Do intervals of a share hold the truth when clusters are few?", _few_clusters(few)),
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
    return (
        _percent(sum(t.found for t in mine), n),
        _percent(sum(t.found_gold for t in mine), n),
        _percent(sum(t.labels[t.case.shape] for t in mine), n),
        _percent(sum(t.old_labels[t.case.shape] for t in mine), n),
        _percent(sure, n),
        _percent(sure - sum(t.sure[t.case.shape] for t in mine), sure),
        str(sum(t.sure[OPPOSITE.get(t.case.shape, "")] for t in mine)),
    )


def _by_shape(tallies: Sequence[Tally]) -> list[str]:
    body = []
    for world in WORLDS:
        for n in SIZES:
            for points in POINTS:
                mine = {t.case.shape: t for t in _where(tallies, world=world, n=n, points=points)}
                if mine:
                    cells = [_percent(mine[s].labels[s], mine[s].n) if s in mine else "–" for s in BIASED]
                    body.append((world, str(n), f"{points:g}", *cells))
    return _table(("world", "probes", "points", *BIASED), body)


def _gold(tallies: Sequence[Tally]) -> list[str]:
    body = []
    for world in WORLDS:
        for n in SIZES:
            for points in POINTS:
                mine = _where(tallies, world=world, n=n, points=points)
                if mine:
                    low, high = _difference(mine)
                    more = sum(t.only_gold - t.only_right for t in mine) / sum(t.n for t in mine)
                    worst = min(mine, key=lambda t: t.only_gold - t.only_right)
                    said = f"{worst.case.shape}: {100 * (worst.only_gold - worst.only_right) / worst.n:+.1f}"
                    body.append((world, str(n), f"{points:g}", f"{100 * more:+.1f} ({low:+.1f} to {high:+.1f})", said))
    head = ("world", "probes", "points", "found more often by (95 % interval)", "least of the five shapes")
    return ["Both are asked of the same runs; the difference is paired, in points of the share found.", "",
            *_table(head, body)]  # fmt: skip


def _difference(mine: Sequence[Tally]) -> tuple[float, float]:
    """The 95 % interval of the paired difference in points, normal (Agresti and Min 2005: 1/2 added to each count)."""
    n = sum(t.n for t in mine) + 2
    more, less = (sum(counts) + 0.5 for counts in zip(*((t.only_gold, t.only_right) for t in mine)))
    middle, half = (more - less) / n, 1.96 * math.sqrt(max(0.0, more + less - (more - less) ** 2 / n)) / n
    return 100 * (middle - half), 100 * (middle + half)


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
            mine = _of(tallies, world=world, n=n)
            counts = [(sum(t.held[kind] for t in mine), sum(t.intervals[kind] for t in mine)) for kind in INTERVALS]
            body.append((world, str(n), *(_percent(hits, made) for hits, made in counts)))
    said = "Share of the 95 % intervals of accuracy that hold the truth, in %, over all cases of a world and size;"
    return [f"{said} *size* is the noise-corrected", "root mean square of the slots' distance from their mean.", "",
            *_table(("world", "probes", *INTERVALS), body)]  # fmt: skip


def _few_clusters(few: Sequence[Held]) -> list[str]:
    body = [
        (f"{h.case.share:g}", str(h.case.n_clusters), *(_percent(h.held[m], h.made[m]) for m in METHODS)) for h in few
    ]
    return ["*score* is the one that reports use; the others are shown for comparison, widened for few clusters.", "",
            *_table(("share", "clusters", *METHODS), body)]  # fmt: skip


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


def _of(tallies: Sequence[Tally], *, world: str, n: int) -> list[Tally]:
    return [t for t in tallies if (t.case.world, t.case.n_probes) == (world, n)]


def _percent(hits: int, n: int) -> str:
    return f"{100 * hits / n:.1f}" if n else "–"
