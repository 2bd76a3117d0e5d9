"""Pictures of the user with captions, and drawn things in their place: what spatial probes put into cells."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from vlbias.disk import sha256_of_file
from vlbias.errors import BadSuite, DecodeError
from vlbias.probes._cells import Grid, hung, sprite
from vlbias.probes._choices import Given, OneSource, Pixels, Seed, Strict
from vlbias.probes._lines import Line, Text, lines
from vlbias.probes._order_suites import REMEDY, FileSource
from vlbias.probes._paths import inside, listed, place
from vlbias.probes._soundness import option_faults
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import RGB, Picture, Scene, Sprite
from vlbias.videos import media
from vlbias.videos.draw import snapshots

Shown: TypeAlias = Sprite | Picture
LEAST_SHOWN_PX = 16
LEAST_LEVEL = 56  # plain grounds go up to 47


class PictureItem(Line):
    """One line: a picture of the media folder, what it shows in words, and the cluster that it belongs to."""

    path: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    caption: Text
    cluster_id: Text


class Pictures(FileSource, Strict):
    """An item file and its folder of media, both relative to the suite's file; `seed` draws what is of chance."""

    seed: Seed = 0


class PicturesAmong(Pictures):
    """Pictures of the user: each is looked for among `distractors` others, in images of `size_px`."""

    size_px: tuple[Pixels, Pixels] = (672, 672)
    distractors: Annotated[int, Field(ge=0, le=1023)] = 3


class LaterPictures(OneSource[Given]):
    """A source that `pictures` were added to: without them it is written as before, so that older runs can go on."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        return {name: value for name, value in told.items() if name != "pictures" or value is not None}


class DrawnThings(Strict):
    """How many coloured shapes to draw, from which seed."""

    items: Annotated[int, Field(ge=2, le=200)]
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that can stand in a cell: a drawn look (shape, colour) or a picture, and its caption."""

    name: str
    caption: str
    cluster_id: str
    look: tuple[str, str] | None = None
    picture: tuple[str, str] | None = None

    @property
    def file(self) -> tuple[str, str]:
        """Path and sha256 of a picture; ValueError for a drawn look."""
        if self.picture is None:
            raise ValueError(f"{self.name}: is drawn and has no file")
        return self.picture

    def at(self, grid: Grid, index: int) -> Shown:
        """The thing in the middle of a cell."""
        return sprite(*self.look, grid, index) if self.look else hung(*self.file, grid, index)


def read_pictures(source: Pictures, *, folder: Path, side_px: int) -> list[Thing]:
    """The pictures of an item file, checked against their hashes. All bad lines are named in one error.

    Each is read, and must be made out in a square of `side_px`, an even number, on a dark ground.
    """
    path, media = (
        place(text, folder=folder, environment=os.environ, remedy=REMEDY) for text in (source.file, source.media)
    )
    if not media.is_dir():
        raise BadSuite(
            f"{media}: the folder of media is missing; put it there or set source.pictures.media to its path"
        )
    problems: list[str] = []
    found: list[Thing] = []
    for number, item in lines(path, PictureItem, problems=problems):
        file = inside(media, item.path)
        if isinstance(file, str):
            problems.append(f"{path}:{number}: {file}")
        elif (seen := sha256_of_file(file)) != item.sha256:
            problems.append(f"{path}:{number}: {file}: sha256 is {seen}, the item says {item.sha256}; restore the file")
        elif fault := _unfit(str(file), item.sha256, side_px=side_px):
            problems.append(f"{path}:{number}: {fault}")
        else:
            found.append(_thing(item, file))
    problems += [f"{path}: {fault}" for fault in _same(found)]
    if problems:
        raise BadSuite(listed(problems))
    if not found:
        raise BadSuite(f"{path}: there is no picture; write one per line")
    return found


def apart(*texts: str) -> bool:
    """Whether no reader can mistake one text for another: none holds another, word by word."""
    return not option_faults(texts)


def as_drawn(path: str, sha256: str, *, side_px: int, ground_rgb: RGB) -> npt.NDArray[np.uint8]:
    """A picture as it is drawn in a square, [side, side, 3], with the ground that it leaves free."""
    scene = Scene(
        sprites=(),
        pictures=(Picture(path=path, sha256=sha256, box_xyxy=(0.0, 0.0, 1.0, 1.0)),),
        backdrop_rgb=ground_rgb,
        texture="plain",
        duration_s=1.0,
        fps=1.0,
        size_wh_px=(side_px, side_px),
        seed=0,
    )
    pixels_HWC: npt.NDArray[np.uint8] = snapshots(scene, (0.5,))[0]
    return pixels_HWC


def _unfit(path: str, sha256: str, *, side_px: int) -> str | None:
    """Why a picture cannot be read, or not be made out in a square of `side_px`; None where it can."""
    try:
        seen_HWC = as_drawn(path, sha256, side_px=side_px, ground_rgb=(0, 0, 0))
        width, height = media.size(Path(path))
    except DecodeError as error:
        return f"{error}; give another picture"
    short_px = min(width, height) * side_px // max(width, height)
    brightest = float(np.percentile(seen_HWC.max(axis=2), 99))
    if brightest < LEAST_LEVEL:
        return (
            f"{path}: found grey levels up to {brightest:.0f} of 255; {LEAST_LEVEL} are needed to see it on the dark "
            "grounds of drawn images: brighten it, or leave it out"
        )
    if short_px >= LEAST_SHOWN_PX:
        return None
    return (
        f"{path}: {width} x {height} pixels would be shown {short_px} pixels thin in a square of {side_px}; "
        f"{LEAST_SHOWN_PX} are needed: cut the picture, or give a larger size_px"
    )


def drawn_things(n: int, *, rng: np.random.Generator) -> list[Thing]:
    """`n` different coloured shapes in an order of chance, each its own cluster; BadSuite where there are fewer."""
    looks = [(shape, colour) for shape in SHAPES for colour in COLOURS]
    if n > len(looks):
        raise BadSuite(f"found {n} things to draw; there are {len(looks)} coloured shapes that differ")
    chosen = [looks[int(k)] for k in rng.permutation(len(looks))[:n]]
    return [
        Thing(name=f"thing-{k:04d}", caption=f"a {colour} {shape}", cluster_id=f"thing-{k:04d}", look=(shape, colour))
        for k, (shape, colour) in enumerate(chosen)
    ]


def others(thing: Thing, things: Sequence[Thing], *, n: int, rng: np.random.Generator) -> list[Thing]:
    """`n` things of other clusters that share no drawn shape or colour with it, and whose words are told apart."""
    fit = [t for t in things if t.cluster_id != thing.cluster_id and not _alike(t, thing)]
    if len(fit) < n:
        raise BadSuite(f"{thing.name}: found {len(fit)} others to stand beside it; {n} are needed; add more pictures")
    return [fit[int(k)] for k in rng.permutation(len(fit))[:n]]


def _same(things: Sequence[Thing]) -> Iterator[str]:
    """Things that no words, or no pixels, tell from an earlier one."""
    captions: dict[str, str] = {}
    files: dict[str, str] = {}
    for thing in things:
        words, (_, sha256) = " ".join(thing.caption.casefold().split()), thing.file
        if (other := captions.setdefault(words, thing.name)) != thing.name:
            yield (
                f"the caption {thing.caption!r} stands twice, at {other} and {thing.name}; "
                "two pictures need words that tell them apart"
            )
        if (other := files.setdefault(sha256, thing.name)) != thing.name:
            yield f"{other} and {thing.name} are one picture, to the byte; drop one of them"


def _alike(one: Thing, other: Thing) -> bool:
    if one.look and other.look:
        return one.look[0] == other.look[0] or one.look[1] == other.look[1]
    return not apart(one.caption, other.caption)


def _thing(item: PictureItem, file: Path) -> Thing:
    return Thing(name=item.probe_id, caption=item.caption, cluster_id=item.cluster_id, picture=(str(file), item.sha256))
