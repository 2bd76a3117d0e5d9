"""Questions about relations: for one pair of things, or one row of a data set, every form that is asked of it.

What distinguishes a question stands in its probe's id as `name=value` parts, which become the factors of its trials.
`true` says whether the statement is true, `base` names the fact and statement that twins share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlbias.probes._cells import image
from vlbias.probes._relation_files import Told
from vlbias.probes._relation_scenes import Pair
from vlbias.probes._statements import (
    OPPOSITE,
    PHRASE,
    RELATIONS,
    TEMPLATES,
    Relation,
    mirrored,
    negated,
    statement,
)
from vlbias.records import Probe, Scene

TASK = "Spatial Relations"
WHICH = "Which of these captions fits the image?"
SIDES: tuple[Relation, ...] = ("left", "right")
PERSPECTIVE = (
    "Someone stands where the {tip} is and looks to where its tip points. "
    "On which side of this person is the {thing}, as this person sees it?"
)
FACINGS = ("up", "down")


def drawn_asks(pair: Pair, *, forms: Sequence[str], templates: int) -> Iterator[Probe]:
    """All questions about one pair, in each of its four relations."""
    for shown in RELATIONS:
        for said in (shown, OPPOSITE[shown]):
            yield from _statements(pair, shown, said, forms=forms, templates=templates)
        if "captions" in forms:
            captions = tuple(_said(pair, relation) for relation in (shown, *(r for r in RELATIONS if r != shown)))
            yield _ask(pair, {"form": "captions", "shown": shown}, WHICH, captions, pair.scene(shown))
        asked = f"Where is the {pair.words(0)}?"
        two = tuple(f"{PHRASE[r]} the {pair.words(1)}" for r in (shown, OPPOSITE[shown]))
        if "binary" in forms:
            yield _ask(pair, {"form": "binary", "shown": shown}, asked, two, pair.scene(shown))
        if "ternary" in forms:
            # The third option is of the other axis: it is wrong, and nothing of the first two makes it likelier.
            third = next(r for r in RELATIONS if r not in (shown, OPPOSITE[shown]))
            more = (*two, f"{PHRASE[third]} the {pair.words(1)}")
            yield _ask(pair, {"form": "ternary", "shown": shown}, asked, more, pair.scene(shown))
        if "perspective" in forms and shown in SIDES:
            yield from _perspectives(pair, shown)


def _statements(
    pair: Pair, shown: Relation, said: Relation, *, forms: Sequence[str], templates: int
) -> Iterator[Probe]:
    told = {"base": f"{shown}:{said}", "shown": shown, "true": "yes" if shown == said else "no", "template": "1"}
    plain = _said(pair, said)
    if "plain" in forms:
        for t in range(templates):
            yield _yes_no(pair, {**told, "form": "plain", "template": str(t + 1)}, plain, pair.scene(shown))
    if "symmetry" in forms:
        other = statement(pair.words(1), OPPOSITE[said], pair.words(0))
        yield _yes_no(pair, {**told, "form": "symmetry"}, other, pair.scene(shown))
    if "negation" in forms:
        turned = {**told, "form": "negation", "true": "no" if told["true"] == "yes" else "yes"}
        yield _yes_no(pair, turned, negated(plain), pair.scene(shown))
    if "mirror" in forms and shown in SIDES:
        swapped = _said(pair, OPPOSITE[said])
        yield _yes_no(pair, {**told, "form": "mirror"}, swapped, pair.scene(shown, mirror=True))


def _perspectives(pair: Pair, side: Relation) -> Iterator[Probe]:
    """The same place seen by someone who faces up, as the viewer does, and down, who has left and right exchanged."""
    colour = pair.free_colour
    for facing in FACINGS:
        true = side if facing == "up" else OPPOSITE[side]
        words = PERSPECTIVE.format(tip=f"{colour} triangle", thing=pair.words(0))
        options = tuple(f"on the {name}" for name in (true, OPPOSITE[true]))
        told = {"form": "perspective", "shown": side, "facing": facing}
        yield _ask(pair, told, words, options, pair.looking(facing, side, colour=colour))


def told_asks(row: Told, *, forms: Sequence[str], templates: int) -> Iterator[Probe]:
    """All questions about one row of a data set. A mirror twin is of captions that name a side only."""
    q = row.question
    told = {"base": "row", "shown": q.kind.replace("/", " "), "true": "yes" if q.gold else "no", "template": "1"}
    if q.asked == "":
        if "captions" in forms:
            part = {"form": "captions", "shown": q.kind}
            yield _row(row, part, WHICH, q.options, gold=q.gold, scene=row.scene())
        return
    if "plain" in forms:
        for t in range(templates):
            yield _row_yes_no(row, {**told, "form": "plain", "template": str(t + 1)}, q.asked, row.scene())
    if "negation" in forms:
        turned = {**told, "form": "negation", "true": "no" if q.gold else "yes"}
        yield _row_yes_no(row, turned, negated(q.asked), row.scene())
    swapped = mirrored(q.asked)
    if "mirror" in forms and swapped is not None:
        yield _row_yes_no(row, {**told, "form": "mirror"}, swapped, row.scene(mirror=True))


def _said(pair: Pair, relation: Relation) -> str:
    return statement(pair.words(0), relation, pair.words(1))


def _yes_no(pair: Pair, told: dict[str, str], said: str, scene: Scene) -> Probe:
    template = TEMPLATES[int(told["template"]) - 1]
    question = template.question.format(statement=said)
    return _ask(pair, told, question, template.options, scene, gold=0 if told["true"] == "yes" else 1)


def _row_yes_no(row: Told, told: dict[str, str], said: str, scene: Scene) -> Probe:
    template = TEMPLATES[int(told["template"]) - 1]
    gold = 0 if told["true"] == "yes" else 1
    return _row(row, told, template.question.format(statement=said), template.options, gold=gold, scene=scene)


def _ask(
    pair: Pair, told: dict[str, str], question: str, options: tuple[str, ...], scene: Scene, *, gold: int = 0
) -> Probe:
    whole, cluster_id = {**told, "item": pair.name}, pair.first.cluster_id
    return _made(whole, question, options, gold=gold, scene=scene, cluster_id=cluster_id)


def _row(row: Told, told: dict[str, str], question: str, options: tuple[str, ...], *, gold: int, scene: Scene) -> Probe:
    item = f"row-{row.question.question_id}".replace("/", "-").replace("=", "-")
    whole = {**told, "item": item, "group": row.group.replace("/", "-").replace("=", "-")}
    return _made(whole, question, options, gold=gold, scene=scene, cluster_id=row.group)


def _made(
    told: dict[str, str], question: str, options: tuple[str, ...], *, gold: int, scene: Scene, cluster_id: str
) -> Probe:
    name = "/".join(f"{key}={value}" for key, value in sorted(told.items()))
    return Probe(
        probe_id=name,
        task=TASK,
        question=question,
        options=options,
        gold=gold,
        evidence=image(f"{name}/image", scene),
        backgrounds=(),
        cluster_id=cluster_id,
    )
