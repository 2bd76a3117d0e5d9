"""The relations probe: where does one thing stand beside another, asked in ways whose answers must agree.

Twins after VSR (arXiv 2205.00363), What'sUp (arXiv 2310.19785), SpinBench (arXiv 2509.25390) and the lexical control of
arXiv 2606.01914: the mirrored image with sides exchanged, the same fact told from the other thing, its negation, its
opposite, two options and then a third, a viewer who looks the other way. A constant answer gets no pair right.
Things are drawn, or pictures of the user called by their captions; rows of VSR and What'sUp keep their own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from vlbias.errors import BadSuite
from vlbias.probes._cells import need_even
from vlbias.probes._choices import Pixels, QuestionSuite, Seed, Strict, need_once
from vlbias.probes._order_suites import FileSource, chosen_slots
from vlbias.probes._pictures import LEAST_SHOWN_PX, LaterPictures, Pictures, Thing, read_pictures
from vlbias.probes._relation_asks import drawn_asks, told_asks
from vlbias.probes._relation_files import read_rows
from vlbias.probes._relation_scenes import own_pairs, pairs, picture_px
from vlbias.probes._soundness import holds, refuse, twice
from vlbias.probes._statements import PHRASE, RELATIONS, TEMPLATES
from vlbias.records import Probe, Trial

METRICS = ("relations", "failures")
Form = Literal["plain", "symmetry", "negation", "mirror", "captions", "binary", "ternary", "perspective"]
FORMS: tuple[Form, ...] = ("plain", "symmetry", "negation", "mirror", "captions", "binary", "ternary", "perspective")
NEGATED = ("is", "are", "not", "no", "never")  # a caption that holds one would make two verbs of a statement
Style = Literal["visual_first", "visual_last", "visual_between"]


class DrawnPairs(Strict):
    """How many pairs of things to draw, from which seed, in images of which size."""

    items: Annotated[int, Field(ge=2, le=100_000)]
    seed: Seed = 0
    size_px: tuple[Pixels, Pixels] = (336, 336)


class PicturesRelated(Pictures):
    """Pictures of the user: each beside another one, in images of `size_px`."""

    size_px: tuple[Pixels, Pixels] = (672, 672)


class Source(LaterPictures[DrawnPairs | PicturesRelated | FileSource]):
    """Where the items come from: exactly one of drawing, the user's pictures, and a copy of VSR or What'sUp."""

    drawn: DrawnPairs | None = None
    pictures: PicturesRelated | None = None
    vsr: FileSource | None = None
    whatsup: FileSource | None = None


class Suite(QuestionSuite):
    """What stands in the YAML of a suite of this kind.

    `forms` are the ways of asking; `templates` counts the wordings of a plain statement and `styles` says where the
    image stands; the first template and style go with every form, the others with `plain` only.
    """

    kind: Literal["relations"]
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = FORMS
    templates: Annotated[int, Field(ge=1, le=len(TEMPLATES))] = len(TEMPLATES)
    styles: Annotated[tuple[Style, ...], Field(min_length=1)] = ("visual_first", "visual_last", "visual_between")
    source: Source

    @model_validator(mode="after")
    def _fits(self) -> Suite:
        need_once("forms", self.forms)
        need_once("styles", self.styles)
        if self.source.pictures:
            size_px = self.source.pictures.size_px
            need_even(size_px, key="source: pictures: size_px")
            if picture_px(size_px) < 2 * LEAST_SHOWN_PX:
                raise ValueError(
                    f"source: pictures: size_px: {size_px[0]} x {size_px[1]} leaves a picture {picture_px(size_px)} "
                    f"pixels a side; give a larger size, for {2 * LEAST_SHOWN_PX}"
                )
        wants = {"vsr": ("plain", "negation", "mirror"), "whatsup": ("captions",)}
        for source, fit in wants.items():
            odd = [form for form in self.forms if form not in fit]
            if getattr(self.source, source) and odd:
                raise ValueError(f"forms: {odd[0]} cannot be made of rows of {source}; give some of {', '.join(fit)}")
        twins = set(self.forms) & {"symmetry", "negation", "mirror"}
        if twins and "plain" not in self.forms:
            raise ValueError(f"forms: {min(twins)} is compared with plain; add plain")
        if "ternary" in self.forms and "binary" not in self.forms:
            raise ValueError("forms: ternary is compared with binary; add binary")
        if self.prompt.style == "cloze" and set(self.forms) & {"captions", "binary", "ternary"}:
            raise ValueError("prompt.style: cloze shows no options, so captions, binary and ternary cannot be asked")
        return self


def probes(suite: Suite, *, folder: Path) -> list[Probe]:
    """One probe for every question about every image; a cluster is a pair of things, or the images of one group."""
    found = _asks(suite, folder=folder)
    refuse(twice(found), suite=suite.name)
    return found


def trials(probes: Sequence[Probe], *, suite: Suite, seed: int, slots: Sequence[int] | None = None) -> Iterator[Trial]:
    """Each question in its styles; both orders of two options, the others as they are balanced over items.

    The factors are those of the question (`form`, `item`, `shown`, `base`, `template`, `true`, ...) and `placement`.
    """
    del seed  # orders go by the number of the item, so that twins have their answers at the same letters
    chosen_slots(slots, n_slots=suite.segments, suite=suite.name)
    number: dict[str, int] = {}
    paired = suite.source.drawn or suite.source.pictures
    for probe in probes:
        told = dict(part.split("=", 1) for part in probe.probe_id.split("/"))
        k = number.setdefault(told["item"], len(number))
        # Among the images of an item the right caption stands at each letter once: no one letter gets a pair right.
        shown = RELATIONS.index(told["shown"]) if paired else 0
        turn = k + (shown if told["form"] == "captions" else 0) + (told.get("facing") == "down")
        orders = [(0, 1), (1, 0)] if told["form"] == "binary" else [_turned(len(probe.options), turn)]
        several = told["form"] == "plain" and told["template"] == "1"
        for style in suite.styles if several else suite.styles[:1]:
            for order in orders:
                name = f"{probe.probe_id}/{style}/{'-'.join(map(str, order))}"
                yield Trial(
                    trial_id=name,
                    probe=probe,
                    slot=0,
                    n_slots=suite.segments,
                    segments=(probe.evidence,),
                    option_order=order,
                    factors=tuple(sorted({**told, "placement": style}.items())),
                )


def _turned(n: int, k: int) -> tuple[int, ...]:
    """The options from the k-th on and then those before it: over the items every one stands everywhere."""
    return tuple((place + k) % n for place in range(n))


def _asks(suite: Suite, *, folder: Path) -> list[Probe]:
    source = suite.source
    paired = source.drawn or source.pictures
    if paired:
        rng = np.random.default_rng(paired.seed)
        if isinstance(paired, DrawnPairs):
            made = pairs(paired.items, size_px=paired.size_px, rng=rng)
        else:
            things = read_pictures(paired, folder=folder, side_px=picture_px(paired.size_px))
            refuse(_faults(things, suite), suite=suite.name)
            made = own_pairs(things, size_px=paired.size_px, rng=rng)
        return [probe for pair in made for probe in drawn_asks(pair, forms=suite.forms, templates=suite.templates)]
    rows = read_rows(source.vsr, "vsr", folder=folder) if source.vsr else None
    if rows is None:
        assert source.whatsup is not None  # the source holds exactly one
        rows = read_rows(source.whatsup, "whatsup", folder=folder)
    found = [probe for row in rows for probe in told_asks(row, forms=suite.forms, templates=suite.templates)]
    if not found:
        raise BadSuite(f"suite {suite.name}: no row can be asked in the forms {', '.join(suite.forms)}")
    return found


def _faults(things: Sequence[Thing], suite: Suite) -> list[str]:
    """Captions that hold an answer, or that cannot be negated where statements are."""
    words = (*PHRASE.values(), *(NEGATED if "negation" in suite.forms else ()))
    held = ((thing, holds(thing.caption, words)) for thing in things)
    return [
        f"{thing.name}: the caption {thing.caption!r} holds {word!r}, as statements do; word it without"
        for thing, word in held
        if word
    ]
