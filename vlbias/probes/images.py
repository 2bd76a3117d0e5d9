"""The image-set probe: N images, the one that the question is about at each place; asked for its number or content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.probes._albums import MOST_IMAGES, Asks, Distractors, as_index, draw_albums
from vlbias.probes._order_suites import OrderSuite, chosen_slots, of_tasks, read_items
from vlbias.probes._orders import option_orders
from vlbias.probes._soundness import option_faults, refuse, same, twice
from vlbias.records import Probe, Trial, digest

METRICS = ("images", "fill", "failures")
SCREENED = True


class Suite(OrderSuite):
    """What stands in the YAML of a suite of this kind.

    `images` counts the image asked about and its distractors. `asks` is the image's number, its content, or both.
    `layouts`: `grouped` shows the images one after the other, `interleaved` announces each by its number. `distractors`
    is for drawn suites. `image_orders` is the number of orders of the distractors at each place.
    """

    kind: Literal["images"]
    images: Annotated[int, Field(ge=2, le=26)] = 4
    asks: Annotated[tuple[Asks, ...], Field(min_length=1)] = ("index", "content")
    layouts: Annotated[tuple[Literal["grouped", "interleaved"], ...], Field(min_length=1)] = ("interleaved",)
    distractors: Annotated[tuple[Distractors, ...], Field(min_length=1)] = ("easy",)
    image_orders: Annotated[int, Field(ge=1, le=24)] = 1

    @property
    def segments(self) -> int:
        """The slots are the places of the images."""
        return self.images

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        if self.source.drawn and self.images > MOST_IMAGES:
            raise ValueError(f"images: found {self.images}; a drawn suite has {MOST_IMAGES} shapes, so at most as many")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """The probes of a suite, checked. A user's item without options asks for the number of its evidence."""
    drawn, items = suite.source.drawn, suite.source.items
    if drawn:
        found = draw_albums(drawn, images=suite.images, asks=suite.asks, distractors=suite.distractors)
    else:
        assert items is not None  # the source holds exactly one
        read = read_items(items, folder=folder)
        found = [probe if probe.options else as_index(probe) for probe in read]
    refuse(check(suite, found), suite=suite.name)
    return of_tasks(found, suite)


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each probe in each layout with its image at each place, among its distractors in each of their orders.

    An index trial displays option k for the image at place k, so `option_order` tells which image stands where. The
    factors are `asks`, `layout`, `distractors`, `image_at` and `image_order`, the distractors by their index.
    """
    chosen = chosen_slots(slots, n_slots=suite.images, suite=suite.name)
    content_orders = option_orders(probes, rule="balanced", seed=seed)
    for probe, content_order in zip(probes, content_orders, strict=True):
        asks: Asks = "index" if is_index(probe) else "content"
        for layout in suite.layouts:
            for n, order in enumerate(_orders(probe, count=suite.image_orders, seed=seed)):
                for slot in chosen:
                    shown = (*(k + 1 for k in order[:slot]), 0, *(k + 1 for k in order[slot:]))
                    factors = (
                        ("asks", asks),
                        ("layout", layout),
                        ("distractors", _kind(probe)),
                        ("image_at", str(slot)),
                        ("image_order", "-".join(map(str, order))),
                    )
                    pool = (probe.evidence, *probe.backgrounds)
                    yield Trial(
                        trial_id=f"{probe.probe_id}/{layout}-{n}/{suite.images:02d}-{slot:02d}",
                        probe=probe,
                        slot=slot,
                        n_slots=suite.images,
                        segments=tuple(pool[k] for k in shown),
                        option_order=shown if asks == "index" else content_order,
                        factors=(*factors, ("labels", "numbers")) if asks == "index" else factors,
                    )


def check(suite: Suite, probes: Sequence[Probe]) -> list[str]:
    """What is wrong with the probes of a suite, one sentence each; an empty list when all is well."""
    problems = twice(probes)
    for probe in probes:
        start = f"probe {probe.probe_id}: "
        if not is_index(probe):
            problems += [start + fault for fault in option_faults(probe.options)]
        if len(probe.backgrounds) != suite.images - 1:
            problems.append(f"{start}found {len(probe.backgrounds)} backgrounds; right are {suite.images - 1}")
        pool = (probe.evidence, *probe.backgrounds)
        odd = sorted({segment.kind for segment in pool} - {"image"})
        if odd:
            problems.append(f"{start}found a {odd[0]} among the images; give kind image")
        if any(same(one, other) for k, one in enumerate(pool) for other in pool[:k]):
            problems.append(f"{start}two of its images are the same; make them differ")
    return problems


def is_index(probe: Probe) -> bool:
    """True when the options of the probe are its images."""
    return probe.options == tuple(segment.segment_id for segment in (probe.evidence, *probe.backgrounds))


def _kind(probe: Probe) -> str:
    """Of a drawn probe, its distractors by their name; a user's own are `given`."""
    name = probe.backgrounds[0].segment_id
    return next((kind for kind in ("easy", "adversarial") if f"-{kind}-" in name and probe.evidence.scenes), "given")


def _orders(probe: Probe, *, count: int, seed: int) -> list[tuple[int, ...]]:
    """The distractors as they are given, and then orders of chance, all different as far as there are that many."""
    n = len(probe.backgrounds)
    found: dict[tuple[int, ...], None] = {tuple(range(n)): None}
    rng = np.random.default_rng(int(digest([seed, "image orders", probe.probe_id])[:16], 16))
    for _ in range(100 * count):
        if len(found) == count:
            break
        found[tuple(int(k) for k in rng.permutation(n))] = None
    return list(found)
