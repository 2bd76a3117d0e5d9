"""Says whether a picture among stitched ones is found, coordinate by coordinate, and where in which image it is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import Floats, rows
from vlbias.metrics._cell_table import CellTable, of_luck
from vlbias.metrics._even_share import above_even
from vlbias.metrics._exact_tests import changes
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._spatial_blocks import GridBlocks
from vlbias.metrics._spatial_tables import of_table

COORDINATES = ("image", "row", "column")


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What was answered about items at every slot, items that lack one left out.

    `right_NS` maps a question (image, row, column, there) to 1 where it was answered rightly, `said_NS` the coordinates
    to the number answered; `exact_NS` is 1 where all coordinates that were asked are right.
    """

    right_NS: dict[str, Floats]
    said_NS: dict[str, Floats]
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    place_S3: tuple[tuple[int, int, int], ...]
    grid_rc: tuple[int, int]
    n_images: int
    notes: tuple[str, ...]

    @property
    def exact_NS(self) -> Floats | None:
        """1 where every coordinate is right; None where a coordinate was not asked."""
        asked = [self.right_NS[c] for c in COORDINATES if c in self.right_NS]
        return np.prod(asked, axis=0) if asked else None

    @property
    def table(self) -> CellTable | None:
        """All coordinates right, by cell, in points and as the mean over the images; None where none was asked."""
        if self.exact_NS is None:
            return None
        n_rows, n_columns = self.grid_rc
        cell_S = np.array([r * n_columns + c for _, r, c in self.place_S3])
        by_cell = [100 * self.exact_NS[:, cell_S == c].mean(axis=1) for c in range(n_rows * n_columns)]
        return CellTable(
            metric="needle_exact_at",
            task="all",
            unit="points",
            grid_rc=self.grid_rc,
            value_NC=np.stack(by_cell, axis=1),
            items=self.items,
            clusters=self.clusters,
            bounds=(0.0, 100.0),
            notes=self.notes,
        )


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy of each coordinate, of all together (exact), per cell and image; liking for a number; hits and alarms.

    The reference of a coordinate's accuracy is a guess among its numbers. `needle_exact` at a cell is the mean over the
    images, and its pattern, variance and contrasts are those of a grid; Cochran's Q, McNemar's tests and flips are over
    all cells of all images. `needle_exact_at_of_luck` is one map of the same answers with cells dealt by chance.
    `needle_said` is how much more often a number is answered than it is right. Points.
    """
    found = found_needles(outcomes)
    if found is None:
        return []
    if not found.clusters:
        return [Estimate(metric="needle_exact", notes=("no item has a usable answer at every place", *found.notes))]
    out: list[Estimate] = []
    numbers = {"image": found.n_images, "row": found.grid_rc[0], "column": found.grid_rc[1]}
    for name, n in numbers.items():
        if name in found.right_NS:
            out += _coordinate(found, name, n, rng=rng)
    out = over_tasks(out)
    if found.exact_NS is not None:
        guess = 100 * float(np.prod([1 / n for name, n in numbers.items() if name in found.right_NS]))
        out += _exact(found, found.exact_NS, guess=guess, rng=rng)
    return [*out, *_presence(found, rng=rng)]


def _coordinate(found: Found, name: str, n: int, *, rng: np.random.Generator) -> list[Estimate]:
    right_NS, said_NS = 100 * found.right_NS[name], found.said_NS[name]
    of = COORDINATES.index(name)
    true_S = np.array([place[of] for place in found.place_S3])
    luck = Reference(mean=100 / n, low=100 / n, high=100 / n, p_value=None, method=f"a guess among {n}, exactly")
    blank = Estimate(metric="needle_accuracy", task=name, unit="points", notes=found.notes)
    out = [mean_estimate(blank, right_NS.mean(axis=1), found.clusters, rng=rng, reference=luck)]
    for place in range(n):
        at = replace(blank, metric="needle_accuracy_at", slot=place)
        here_N = right_NS[:, true_S == place].mean(axis=1)
        out.append(mean_estimate(at, here_N, found.clusters, rng=rng, reference=luck))
    share_NK = np.stack([(said_NS == k).mean(axis=1) - (true_S == k).mean() for k in range(n)], axis=1)
    liked = Estimate(metric="needle_said", task=name, unit="points", notes=("said more often than right", *found.notes))
    return [*out, *above_even(liked, 100 * share_NK, found.clusters, rng=rng, bounds=(-100.0, 100.0))]


def _exact(found: Found, exact_NS: Floats, *, guess: float, rng: np.random.Generator) -> list[Estimate]:
    luck = Reference(mean=guess, low=guess, high=guess, p_value=None, method="guesses of all coordinates, exactly")
    blank = Estimate(metric="needle_exact", unit="points", notes=found.notes)
    out = [mean_estimate(blank, 100 * exact_NS.mean(axis=1), found.clusters, rng=rng, reference=luck)]
    table = found.table
    assert table is not None
    for c in range(table.value_NC.shape[1]):
        at = replace(blank, metric="needle_exact_at", cell=divmod(c, found.grid_rc[1]))
        out.append(mean_estimate(at, table.value_NC[:, c], found.clusters, rng=rng, reference=luck))
    if table.value_NC.shape[1] > 1:
        out += of_table(_blocks(table), table.value_NC / 100, prefix="needle", rng=rng)
    names = [f"image {i + 1} row {r + 1} column {c + 1}" for i, r, c in found.place_S3]
    bare = Estimate(metric="", notes=found.notes)
    out += changes(bare, exact_NS, prefix="needle", places=names, clusters=found.clusters, rng=rng)
    return [*out, *of_luck(table, rng=rng)]


def _blocks(table: CellTable) -> GridBlocks:
    """The table as spatial tests take it."""
    return GridBlocks(
        task=table.task,
        grid_rc=table.grid_rc,
        hit_NC=table.value_NC / 100,
        false_NC=None,
        cluster_N=table.cluster_N,
        items=table.items,
        notes=table.notes,
    )


def _presence(found: Found, *, rng: np.random.Generator) -> list[Estimate]:
    """How often yes is said where the thing is there, and where it is not."""
    out = []
    for name, metric, yes in (("there", "needle_hit_rate", 1.0), ("absent", "needle_false_alarm_rate", -1.0)):
        if name in found.right_NS:
            right_N = 100 * found.right_NS[name].mean(axis=1)
            blank = Estimate(metric=metric, unit="points", notes=found.notes)
            out.append(mean_estimate(blank, right_N if yes > 0 else 100 - right_N, found.clusters, rng=rng))
    return out


def found_needles(outcomes: Sequence[Outcome]) -> Found | None:
    """The complete tables of a run over stitched images; None where nothing of the kind was asked."""
    answers: dict[str, dict[tuple[str, int], Answer]] = defaultdict(dict)
    cluster: dict[str, str] = {}
    place: dict[int, tuple[int, int, int]] = {}
    wanted: set[tuple[str, int]] = set()
    grid_rc = (1, 1)
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if "coordinate" not in told or row.asked.slot is None:
            continue
        r, c = (int(v) for v in told["cell"].split(","))
        grid_rc = (int(told["grid"].split("x")[0]), int(told["grid"].split("x")[1]))
        place[row.asked.slot] = int(told["in_image"]), r, c
        question = "absent" if told.get("present") == "no" else told["coordinate"]
        wanted.add((question, row.asked.slot))
        cluster[told["item"]] = row.asked.cluster_id
        if not isinstance(row, Failure) and row.chosen is not None:
            answers[told["item"]][question, row.asked.slot] = row
    if not place:
        return None
    kept = [item for item in sorted(cluster) if wanted <= answers[item].keys()]
    slots = sorted(place)

    def table(question: str, value: str) -> Floats:
        cells = [[_value(answers[item][question, slot], value) for slot in slots] for item in kept]
        return np.array(cells, dtype=np.float64).reshape(len(kept), len(slots))

    asked = sorted({question for question, _ in wanted})
    lost = len(cluster) - len(kept)
    return Found(
        right_NS={name: table(name, "right") for name in asked},
        said_NS={name: table(name, "said") for name in asked if name in COORDINATES},
        items=tuple(kept),
        clusters=tuple(cluster[item] for item in kept),
        place_S3=tuple(place[slot] for slot in slots),
        grid_rc=grid_rc,
        n_images=1 + max(image for image, _, _ in place.values()),
        notes=(f"attrition: {lost} of {len(cluster)} items lack a usable answer at a place; left out",) if lost else (),
    )


def _value(answer: Answer, what: str) -> float:
    if what == "right" or answer.chosen is None:
        return float(answer.correct)
    return float(answer.asked.option_order.index(answer.chosen))
