"""Says how well turns and other views are told beyond chance, and whether answers to equal questions agree.

Cohen's kappa (1960) and the consistency of logical pairs after SpinBench (arXiv 2509.25390), here with intervals that
keep items whole and with what answers would give that do not know of each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, rows
from vlbias.metrics._intervals import ONE_CLUSTER
from vlbias.metrics._means import BOOTSTRAP, mean_estimate
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._resample import bootstrap_sums, p_at_least, percentile, reference
from vlbias.metrics._sign_flips import flipped

DRAWS = 999
FORMS = ("turn", "mirror", "perspective")
BEYOND = Reference(mean=0.0, low=0.0, high=0.0, p_value=None, method="by definition, where answers know nothing")


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Of each form: accuracy, in all and by quarters of a turn (slot), kappa, and consistency of pairs. Points.

    Pairs: two figures exchanged turn the answer round and leave a mirror a mirror; someone who is turned by half with
    all around says the same. `rotation_ego_rate` is how often the viewer's own side is said where another's was asked
    for and the two differ, and `rotation_ego_of_wrong` the same of wrong answers, which is what tells a bias.
    """
    out: list[Estimate] = []
    found: dict[str, list[Answer]] = defaultdict(list)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if told.get("form") in FORMS and "quarters" in told and isinstance(row, Answer) and row.chosen is not None:
            found[told["form"]].append(row)
    for form in FORMS:
        if found[form]:
            out += [*_accuracies(form, found[form], rng=rng), kappa(form, found[form], rng=rng)]
            out += _consistency(form, found[form], rng=rng)
    return [*over_tasks(out), *_ego_rate(found["perspective"], rng=rng)]


def _accuracies(form: str, found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    chance = float(np.mean([100 / a.asked.n_options for a in found]))
    luck = Reference(mean=chance, low=chance, high=chance, p_value=None, method="guesses, exactly")
    blank = Estimate(metric="rotation_accuracy", task=form, unit="points")
    out = []
    for quarters in (None, 0, 1, 2, 3):
        mine = [a for a in found if quarters is None or dict(a.asked.factors)["quarters"] == str(quarters)]
        values, clusters = [100.0 * a.correct for a in mine], [a.asked.cluster_id for a in mine]
        at = blank if quarters is None else replace(blank, metric="rotation_accuracy_at", slot=quarters)
        at = at if mine else replace(at, notes=("no question with this turn was answered",))
        out.append(mean_estimate(at, values, clusters, rng=rng, reference=luck))
    return out


def kappa(form: str, found: Sequence[Answer], *, rng: np.random.Generator) -> Estimate:
    """(p_o - p_e) / (1 - p_e), with p_e from how often each option is right and how often it is said.

    Without a value where one option only is right and said, so that chance alone agrees always.
    """
    n = max(a.asked.n_options for a in found)
    cluster_N = np.unique([a.asked.cluster_id for a in found], return_inverse=True)[1].reshape(-1)
    g = int(cluster_N.max()) + 1
    counts_GKK = np.zeros((g, n, n))
    for cluster, answer in zip(cluster_N, found, strict=True):
        counts_GKK[cluster, answer.asked.gold, answer.chosen] += 1
    value = float(_kappa(counts_GKK.sum(axis=0)[None])[0])
    blank = Estimate(metric="rotation_kappa", task=form, n=len(found), clusters=g, reference=BEYOND)
    if np.isnan(value):
        return replace(blank, reference=None, notes=("one option is right and said throughout: chance agrees always",))
    if g < 2:
        return replace(blank, value=value, interval=ONE_CLUSTER)
    drawn_B = _kappa(bootstrap_sums(counts_GKK.reshape(g, -1), rng=rng).reshape(-1, n, n))
    low, high = percentile(drawn_B[~np.isnan(drawn_B)], value, n_clusters=g, bounds=(-1.0, 1.0))
    return replace(blank, value=value, low=low, high=high, interval=BOOTSTRAP)


def _kappa(counts_BKK: Floats) -> Floats:
    share_BKK = counts_BKK / counts_BKK.sum(axis=(1, 2), keepdims=True)
    by_chance_B = (share_BKK.sum(axis=2) * share_BKK.sum(axis=1)).sum(axis=1)
    agree_B = np.trace(share_BKK, axis1=1, axis2=2)
    room_B = 1 - by_chance_B
    beyond_B = (agree_B - by_chance_B) / np.where(room_B > 1e-12, room_B, 1.0)
    return np.asarray(np.where(room_B > 1e-12, np.round(beyond_B, 12), np.nan))  # 1e-17 is what rounding leaves of 0


def _consistency(form: str, found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """How often the two of a pair agree as they must; the reference pairs answers of different items."""
    pairs: dict[tuple[str, str], dict[bool, Answer]] = defaultdict(dict)
    for answer in found:
        told = dict(answer.asked.factors)
        pairs[told["item"], _base(form, told)][_second(form, told)] = answer
    whole = [(base, both[False], both[True]) for (_, base), both in sorted(pairs.items()) if len(both) == 2]
    if not whole:
        return []
    bases = np.array([base for base, _, _ in whole])
    said = np.array([a.chosen for _, a, _ in whole])
    # A figure that is turned clockwise against another has that one turned as far counterclockwise.
    twin = np.array([-(b.chosen or 0) % 4 if form == "turn" else b.chosen for _, _, b in whole])
    value = 100 * float((said == twin).mean())
    null = np.empty(DRAWS)
    for d in range(DRAWS):
        mixed = twin.copy()
        for base in np.unique(bases):
            here = np.flatnonzero(bases == base)
            mixed[here] = twin[rng.permutation(here)]
        null[d] = 100 * float((said == mixed).mean())
    method = f"pairs of different items, {DRAWS} draws"
    luck = reference(null, p_value=p_at_least(null, value), method=method)
    blank = Estimate(metric="rotation_consistency", task=form, unit="points")
    values, clusters = (100.0 * (said == twin)).tolist(), [a.asked.cluster_id for _, a, _ in whole]
    return [mean_estimate(blank, values, clusters, rng=rng, reference=luck)]


def _base(form: str, told: dict[str, str]) -> str:
    """What the two questions of a pair share."""
    if form == "perspective":
        return f"{int(told['quarters']) % 2}:{told['side']}"
    return f"{told['quarters']}:{told.get('same', 'yes')}"


def _second(form: str, told: dict[str, str]) -> bool:
    return int(told["quarters"]) >= 2 if form == "perspective" else told["exchanged"] == "yes"


def _ego_rate(found: Sequence[Answer], *, rng: np.random.Generator) -> list[Estimate]:
    """The viewer's own side, of all answers and of the wrong ones, where the two frames differ.

    Of the wrong ones a model without a frame of its own tells each wrong side alike; the p-value, two-sided, flips
    the signs of whole clusters around that share.
    """
    turned = [a for a in found if dict(a.asked.factors)["viewer"] != dict(a.asked.factors)["side"]]
    if not turned:
        return []
    wrong = [a for a in turned if not a.correct]
    out = []
    for metric, mine, others in (("rotation_ego_rate", turned, 0), ("rotation_ego_of_wrong", wrong, 1)):
        values = np.array([100.0 * (a.chosen == int(dict(a.asked.factors)["viewer"])) for a in mine])
        clusters = [a.asked.cluster_id for a in mine]
        chance = float(np.mean([100 / (a.asked.n_options - others) for a in turned]))
        luck = Reference(mean=chance, low=chance, high=chance, p_value=None, method="guesses, exactly")
        blank = Estimate(metric=metric, task="perspective", unit="points")
        if others and len(set(clusters)) > 1:
            out.append(flipped(blank, values, clusters, rng=rng, bounds=(0.0, 100.0), around=chance))
        else:
            out.append(mean_estimate(blank, values, clusters, rng=rng, reference=luck))
    return out
