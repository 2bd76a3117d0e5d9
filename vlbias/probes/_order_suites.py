"""What the suites of all order probes have in common: their head, their source, and the items of a user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from vlbias.errors import BadInput, BadSuite, nearest
from vlbias.probes._choices import FramesChoice, OneSource, Strict, SuiteHead
from vlbias.probes._drawn import DrawnSource
from vlbias.probes._item_faults import gold_faults, index_of, media_faults
from vlbias.probes._lines import Line, Text, lines
from vlbias.probes._paths import listed, place
from vlbias.records import Probe, Segment

REMEDY = "set it to the folder of your data, or give the path itself"


class FileSource(Strict):
    """An item file and its folder of media, both relative to the suite's file."""

    file: Text
    media: Text


class OrderSource(OneSource[FileSource | DrawnSource]):
    """Where the probes come from: exactly one of an item file and drawing."""

    items: FileSource | None = None
    drawn: DrawnSource | None = None


class OrderSuite(SuiteHead):
    """The head of a suite of clips, images and texts that may keep to some of its tasks."""

    tasks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    frames: FramesChoice = FramesChoice()
    source: OrderSource


class WithTasks(Protocol):
    """A suite that may keep to some of its tasks."""

    @property
    def name(self) -> str:
        """The suite's name."""

    @property
    def tasks(self) -> tuple[str, ...] | None:
        """The tasks to keep; None for all."""


class Shown(Strict):
    """A clip or an image of the media folder with the sha256 of its bytes, or a passage of text."""

    kind: Literal["clip", "image", "text"] = "clip"
    path: Text | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Shown:
        needs = {"text": ("text",)}.get(self.kind, ("path", "sha256"))
        given = tuple(name for name in ("path", "sha256", "text") if getattr(self, name) is not None)
        if given != needs:
            raise ValueError(f"a {self.kind} needs {' and '.join(needs)}; found {' and '.join(given) or 'none'}")
        return self


class OrderItem(Line):
    """One line. `gold` and `rival_gold` are an option's index from 0, or its text; without options there is no gold.

    `rival` is the segment that contradicts the evidence and stands for the option `rival_gold`: kind conflict only.
    """

    task: Text
    question: Text
    options: tuple[Text, ...] = ()
    gold: int | str | None = None
    evidence: Shown
    rival: Shown | None = None
    rival_gold: int | str | None = None
    backgrounds: tuple[Shown, ...] = ()
    cluster_id: Text


def read_items(source: FileSource, *, folder: Path) -> list[Probe]:
    """The probes of an item file; a rival stands as the first background. All bad lines are named in one error."""
    path, media = (
        place(text, folder=folder, environment=os.environ, remedy=REMEDY) for text in (source.file, source.media)
    )
    if not media.is_dir():
        raise BadSuite(f"{media}: the folder of media is missing; put it there or set source.items.media to its path")
    problems: list[str] = []
    probes: list[Probe] = []
    hashes: dict[str, str] = {}
    for number, item in lines(path, OrderItem, problems=problems):
        faults = _faults(item, media=media, hashes=hashes)
        problems += [f"{path}:{number}: {fault}" for fault in faults]
        if not faults:
            probes.append(_probe(item, media=media))
    if problems:
        raise BadSuite(listed(problems))
    if not probes:
        raise BadSuite(f"{path}: there is no item; write one probe per line")
    return probes


def of_tasks(probes: Sequence[Probe], suite: WithTasks) -> list[Probe]:
    """The probes of the suite's tasks; a task that no probe has is an error."""
    if suite.tasks is None:
        return list(probes)
    known = {probe.task for probe in probes}
    for task in suite.tasks:
        if task not in known:
            raise BadSuite(f"suite {suite.name}: tasks: unknown task {task!r}; {nearest(task, known)}")
    return [probe for probe in probes if probe.task in suite.tasks]


def chosen_slots(slots: Sequence[int] | None, *, n_slots: int, suite: str) -> list[int]:
    """The slots to ask: all, or the given ones, each once and inside the suite."""
    chosen = list(range(n_slots)) if slots is None else list(slots)
    if any(not 0 <= slot < n_slots for slot in chosen) or len(set(chosen)) != len(chosen):
        raise BadInput(f"suite {suite}: found the slots {chosen}; right are 0 to {n_slots - 1}, each once")
    return chosen


def _faults(item: OrderItem, *, media: Path, hashes: dict[str, str]) -> list[str]:
    faults = gold_faults(item.gold, item.options) + gold_faults(item.rival_gold, item.options, name="rival_gold")
    if item.options and item.gold is None:
        faults.append("gold is missing; give the right option's index from 0, or its text")
    if (item.rival is None) != (item.rival_gold is None):
        faults.append("rival and rival_gold go together; give both or none")
    return faults + media_faults((item.evidence, *_around(item)), media=media, hashes=hashes)


def _around(item: OrderItem) -> tuple[Shown, ...]:
    return item.backgrounds if item.rival is None else (item.rival, *item.backgrounds)


def _probe(item: OrderItem, *, media: Path) -> Probe:
    around = _around(item)
    return Probe(
        probe_id=item.probe_id,
        task=item.task,
        question=item.question,
        options=item.options,
        gold=index_of(item.gold, item.options),
        rival_gold=index_of(item.rival_gold, item.options),
        evidence=_segment(item.evidence, media=media, name=f"{item.probe_id}-text"),
        backgrounds=tuple(_segment(s, media=media, name=f"{item.probe_id}-text-{k}") for k, s in enumerate(around)),
        cluster_id=item.cluster_id,
    )


def _segment(shown: Shown, *, media: Path, name: str) -> Segment:
    if shown.path is None:
        return Segment(segment_id=name, kind="text", text=shown.text)
    return Segment(segment_id=shown.path, kind=shown.kind, path=str(media / shown.path), sha256=shown.sha256)
