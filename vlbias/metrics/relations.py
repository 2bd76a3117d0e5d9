"""Says whether answers about where things stand agree with each other, not only with the truth.

Pair and set accuracy after What'sUp (arXiv 2310.19785), answered / correct-of-all / correct-of-answered after VSRE
(arXiv 2412.18224), twins after VSR, SpinBench and arXiv 2606.01914. All have cluster intervals, which those have not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import rows
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import p_at_least, reference
from vlbias.metrics._sign_flips import flipped, stepped

DRAWS = 999
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
AGREE = {"symmetry": True, "mirror": True, "negation": False}
Key = tuple[str, ...]


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy of each form; pairs and sets; twins; templates and styles; yes against no; the viewer's frame. Points.

    A twin's reference is what its answers would give if they did not know of each other: those of one item are matched
    with those of another. For a constant answer symmetry and mirror agree always and negation and opposites never.
    """
    asked = [row for row in rows(outcomes) if "form" in dict(row.asked.factors)]
    answered = [row for row in asked if isinstance(row, Answer) and row.chosen is not None]
    if not asked:
        return []
    out = [_mean("relation_accuracy", form, [(100.0 * a.correct, a) for a in group], rng=rng, chance=_luck(group))
           for form, group in _by_form(answered).items()]  # fmt: skip
    out += _captions(answered, rng=rng)
    out += _twins(answered, rng=rng)
    out += [*_templates(asked, rng=rng), *_styles(answered, rng=rng), *_yes_no(answered, rng=rng)]
    return [*out, *_lexical(answered, rng=rng), *_frames(answered, rng=rng)]


def _told(row: Answer | Failure) -> dict[str, str]:
    return dict(row.asked.factors)


def _by_form(found: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The answers of each form, of the first wording and with the image first."""
    groups: dict[str, list[Answer]] = defaultdict(list)
    for answer in found:
        told = _told(answer)
        if told.get("template", "1") == "1" and told["placement"] == "visual_first":
            groups[told["form"]].append(answer)
    return dict(sorted(groups.items()))


def _plain(found: Sequence[Answer], form: str) -> dict[Key, Answer]:
    """The answers of a form by item and base, in the first template with the image first."""
    return {
        (t["item"], t["base"]): a
        for a in found
        for t in [_told(a)]
        if t["form"] == form and t.get("template") == "1" and t["placement"] == "visual_first"
    }


def _mean(
    metric: str,
    task: str,
    values: Sequence[tuple[float, Answer]],
    *,
    rng: np.random.Generator,
    chance: float | None = None,
    reference: Reference | None = None,
    bounds: tuple[float, float] = (0.0, 100.0),
) -> Estimate:
    luck = (
        reference
        if chance is None
        else Reference(mean=chance, low=chance, high=chance, p_value=None, method="guesses, exactly")
    )
    blank = Estimate(metric=metric, task=task, unit="points")
    clusters = [a.asked.cluster_id for _, a in values]
    return mean_estimate(blank, [v for v, _ in values], clusters, rng=rng, bounds=bounds, reference=luck)


def _luck(group: Sequence[Answer]) -> float:
    return float(np.mean([100 / a.asked.n_options for a in group]))


def _captions(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """Both images of a pair of opposite relations right, and all images of a group right."""
    groups: dict[str, dict[str, Answer]] = defaultdict(dict)
    for answer in found:
        told = _told(answer)
        if told["form"] == "captions":
            groups[told.get("group", told["item"])][told["shown"]] = answer
    pairs, sets = [], []
    for group in groups.values():
        for one, other in (("left", "right"), ("above", "below"), ("left of", "right of"), ("on", "under")):
            if one in group and other in group:
                both = group[one].correct and group[other].correct
                pairs.append((100.0 * both, group[one]))
        if len(group) == 4:
            first = next(iter(group.values()))
            sets.append((100.0 * all(a.correct for a in group.values()), first))
    if not groups:
        return []
    n = next(iter(next(iter(groups.values())).values())).asked.n_options
    return [
        _mean("relation_pair_accuracy", "captions", pairs, rng=rng, chance=100 / n**2),
        _mean("relation_set_accuracy", "captions", sets, rng=rng, chance=100 / n**4),
    ]


def _twins(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """How often twins agree as they must, against twins of different items; Holm over the kinds of twins."""
    plain = _plain(found, "plain")
    out = []
    for form, alike in AGREE.items():
        twins = _plain(found, form)
        both = [(plain[key], twins[key], key) for key in sorted(plain.keys() & twins.keys())]
        out += _consistency(f"relation_{form}_consistency", both, alike=alike, rng=rng)
    opposites = [
        (plain[item, base], plain[item, other], (item, base))
        for item, base in sorted(plain)
        for shown, _, said in [base.partition(":")]
        for other in [f"{shown}:{OPPOSITE.get(said, '')}"]
        if shown == said and (item, other) in plain
    ]
    out += _consistency("relation_antonym_consistency", opposites, alike=False, rng=rng)
    return stepped(out, of="form")


def _consistency(
    metric: str, both: Sequence[tuple[Answer, Answer, Key]], *, alike: bool, rng: np.random.Generator
) -> list[Estimate]:
    if not both:
        return []
    one = np.array([_affirms(a) for a, _, _ in both])
    other = np.array([_affirms(b) for _, b, _ in both])
    agree = (one == other) == alike
    bases = np.array([key[1] for _, _, key in both])
    null = [100 * float(((one == other[_shuffled(bases, rng)]) == alike).mean()) for _ in range(DRAWS)]
    value = 100 * float(agree.mean())
    method = f"twins of different items, {DRAWS} draws"
    by_luck = reference(np.array(null), p_value=p_at_least(np.array(null), value), method=method)
    values = [(100.0 * bool(ok), a) for ok, (a, _, _) in zip(agree, both, strict=True)]
    return [_mean(metric, "plain", values, rng=rng, reference=by_luck)]


def _shuffled(bases: npt.NDArray[np.str_], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Where to find the twin of another item with the same base, for every answer."""
    out = np.arange(len(bases))
    for base in np.unique(bases):
        here = np.flatnonzero(bases == base)
        out[here] = rng.permutation(here)
    return out


def _affirms(answer: Answer) -> bool:
    """The first option of every template affirms."""
    return answer.chosen == 0


def _templates(asked: Sequence[Answer | Failure], *, rng: np.random.Generator) -> list[Estimate]:
    """Of each wording: the share answered, right of all, right of the answered; and how far wordings spread."""
    groups: dict[str, list[Answer | Failure]] = defaultdict(list)
    for row in asked:
        told = _told(row)
        if told["form"] == "plain" and told["placement"] == "visual_first":
            groups[told["template"]].append(row)
    out = []
    for name, group in sorted(groups.items()):
        clusters = [row.asked.cluster_id for row in group]
        answered = [isinstance(row, Answer) and row.chosen is not None for row in group]
        right = [isinstance(row, Answer) and row.correct for row in group]
        for metric, keep, values in (
            ("relation_answered", [True] * len(group), answered),
            ("relation_correct_of_all", [True] * len(group), right),
            ("relation_correct_of_answered", answered, right),
        ):
            mine = [100.0 * v for v, k in zip(values, keep, strict=True) if k]
            blank = Estimate(metric=metric, task=f"template {name}", unit="points")
            out.append(mean_estimate(blank, mine, [c for c, k in zip(clusters, keep, strict=True) if k], rng=rng))
    return [*out, *_spread(groups, rng=rng)]


def _spread(groups: Mapping[str, Sequence[Answer | Failure]], *, rng: np.random.Generator) -> list[Estimate]:
    """The standard deviation over wordings of the share right of all, against wordings exchanged within questions."""
    if len(groups) < 2:
        return []
    table: dict[Key, dict[str, float]] = defaultdict(dict)
    for name, group in groups.items():
        for row in group:
            told = _told(row)
            table[told["item"], told["base"]][name] = 100.0 * (isinstance(row, Answer) and row.correct)
    whole = [[cells[name] for name in sorted(groups)] for cells in table.values() if len(cells) == len(groups)]
    blank = Estimate(metric="relation_template_spread", task="plain", unit="points", n=len(whole))
    if not whole:
        return [replace(blank, notes=("no question was asked in every wording",))]
    right_QT = np.array(whole)
    null = np.array([rng.permuted(right_QT, axis=1).mean(axis=0).std(ddof=1) for _ in range(DRAWS)])
    value = float(right_QT.mean(axis=0).std(ddof=1))
    by_luck = reference(null, p_value=p_at_least(null, value), method=f"wordings exchanged, {DRAWS} draws")
    return [replace(blank, value=value, interval="not available: a spread has no interval near 0", reference=by_luck)]


def _styles(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy with the image elsewhere less that with the image first, on the same questions; Holm over styles."""
    by_style: dict[str, dict[Key, Answer]] = defaultdict(dict)
    for answer in found:
        told = _told(answer)
        if told["form"] == "plain" and told.get("template") == "1":
            by_style[told["placement"]][told["item"], told["base"]] = answer
    first = by_style.pop("visual_first", {})
    out = []
    for style, answers in sorted(by_style.items()):
        keys = sorted(first.keys() & answers.keys())
        values = [(100.0 * (answers[k].correct - first[k].correct), answers[k]) for k in keys]
        out.append(_difference("relation_style_change", style, values, rng=rng))
    return stepped(out, of="style")


def _yes_no(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy on true statements less that on false ones: the liking for yes; image by image."""
    by_item: dict[Key, dict[str, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    for (item, base), answer in _plain(found, "plain").items():
        by_item[item, base.partition(":")[0]][_told(answer)["true"]].append(answer)
    values = [
        (100.0 * (np.mean([a.correct for a in both["yes"]]) - np.mean([a.correct for a in both["no"]])), both["yes"][0])
        for both in by_item.values()
        if both["yes"] and both["no"]
    ]
    if not values:
        return []
    return [_difference("relation_yes_less_no", "plain", values, rng=rng)]


def _lexical(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """How often a third, wrong option is taken by who was right in both orders of two (arXiv 2606.01914)."""
    binary: dict[Key, list[bool]] = defaultdict(list)
    for answer in found:
        told = _told(answer)
        if told["form"] == "binary":
            binary[told["item"], told["shown"]].append(answer.correct)
    sure = {key for key, right in binary.items() if len(right) == 2 and all(right)}
    values = [
        (100.0 * (a.chosen == 2), a)
        for a in found
        for t in [_told(a)]
        if t["form"] == "ternary" and (t["item"], t["shown"]) in sure
    ]
    if not binary:
        return []
    never = Reference(mean=0.0, low=0.0, high=0.0, p_value=None, method="by definition, where words add nothing")
    return [_mean("relation_lexical_attraction", "ternary", values, rng=rng, reference=never)]


def _frames(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """How often the viewer's side is told where the other's frame was asked for and the two disagree."""
    values = [
        (100.0 * (not a.correct), a)
        for a in found
        for t in [_told(a)]
        if t["form"] == "perspective" and t["facing"] == "down"
    ]
    if not values:
        return []
    return [_mean("relation_ego_rate", "perspective", values, rng=rng, chance=50.0)]


def _difference(
    metric: str, task: str, values: Sequence[tuple[float, Answer]], *, rng: np.random.Generator
) -> Estimate:
    """A mean difference in points, with the p-value of flipping the signs of whole clusters."""
    each_N = np.array([v for v, _ in values], dtype=np.float64)
    blank = Estimate(metric=metric, task=task, unit="points")
    return flipped(blank, each_N, [a.asked.cluster_id for _, a in values], rng=rng)
