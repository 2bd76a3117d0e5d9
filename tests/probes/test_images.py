import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadSuite
from vlbias.probes import images
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Trial
from vlbias.strictyaml import parse, read

DRAWN = """
name: tiny
kind: images
version: 1
description: a drawn suite
licence: Apache-2.0
images: {n}
layouts: [grouped, interleaved]
distractors: [easy, adversarial]
image_orders: {orders}
source: {{drawn: {{clips: 24, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""


def suite_of(n: int = 4, orders: int = 1) -> images.Suite:
    return parse(DRAWN.format(n=n, orders=orders), where="tiny.yaml", model=images.Suite, error=BadSuite)


def asked(suite: images.Suite) -> list[Trial]:
    return list(images.trials(images.probes(suite, folder=Path()), suite=suite, seed=1))


def test_the_image_asked_about_stands_at_every_place_in_every_layout_and_order() -> None:
    trials = asked(suite_of(orders=3))
    assert len(trials) == 24 * 2 * 2 * 2 * 3 * 4 == len({t.trial_id for t in trials})
    for trial in trials:
        told = dict(trial.factors)
        assert trial.segments[trial.slot] == trial.probe.evidence and told["image_at"] == str(trial.slot)
        others = [s for s in trial.segments if s != trial.probe.evidence]
        assert others == [trial.probe.backgrounds[int(k)] for k in told["image_order"].split("-")]
    counts = Counter((t.probe.probe_id, t.slot) for t in trials)
    assert set(counts.values()) == {6} and len({dict(t.factors)["image_order"] for t in trials}) > 3


def test_the_options_of_an_index_trial_are_its_images_and_the_right_number_is_the_place() -> None:
    for trial in asked(suite_of()):
        if ("asks", "index") in trial.factors:
            assert trial.gold_displayed == trial.slot
            assert trial.options == tuple(segment.segment_id for segment in trial.segments)


def test_an_index_prompt_scores_numbers_and_only_the_interleaved_layout_announces_images() -> None:
    pixels = Frames(frames_THWC=np.zeros((1, 8, 8, 3), np.uint8), timestamps_s=(0.0,), asked_s=(0.0,), sha256="0",
                    decoder="x", decoder_version="1")  # fmt: skip
    for trial in asked(suite_of())[:40]:
        made = prompt(trial, {s.segment_id: pixels for s in trial.segments}, Style())
        texts = [part.text for part in made.parts if part.place is None]
        index, told = ("asks", "index") in trial.factors, dict(trial.factors)
        assert made.options == (("1", "2", "3", "4") if index else ("A", "B", "C", "D"))
        assert ("Options:" in texts[-1]) != index
        announced = [f"Image {k}:\n" for k in range(1, 5)] if told["layout"] == "interleaved" else []
        assert texts[:-1] == announced and [p.place for p in made.parts if p.place is not None] == [0, 1, 2, 3]


def test_easy_distractors_share_neither_colour_nor_shape_and_adversarial_ones_exactly_one() -> None:
    for probe in images.probes(suite_of(), folder=Path()):
        first = probe.evidence.scenes[0].sprites[0]
        shared = [
            ((s := b.scenes[0].sprites[0]).form == first.form) + (s.colour_rgb == first.colour_rgb)
            for b in probe.backgrounds
        ]
        assert shared == ([0, 0, 0] if "-easy-" in probe.probe_id else [1, 1, 1])


def test_no_question_about_an_image_asks_for_motion_or_for_the_colour_it_names() -> None:
    tasks = Counter(p.task for p in images.probes(suite_of(), folder=Path()))
    assert tasks["Image Retrieval"] == 48 and not tasks.keys() & {
        "Action Recognition/Reasoning",
        "Attribute Perception",
    }


@pytest.fixture
def own(shown_folder: Callable[..., Path]) -> Callable[..., Path]:
    def image(k: int) -> dict[str, str]:
        return {"kind": "image", "path": f"i{k}.png", "sha256": hashlib.sha256(f"i{k}.png".encode()).hexdigest()}

    def made(**changes: Any) -> Path:
        row = {"probe_id": "p0", "task": "t", "question": "which image shows a cat?", "evidence": image(0),
               "backgrounds": [image(1), image(2)], "cluster_id": "i0"}  # fmt: skip
        twin = {"backgrounds": [image(1), image(1)]} if changes.pop("twin", False) else {}
        return shown_folder("images", [row | changes | twin], "images: 3\n")

    return made


def load(folder: Path) -> list:
    return images.probes(read(folder / "own.yaml", images.Suite, error=BadSuite), folder=folder)


def test_a_users_item_without_options_asks_for_the_number_and_one_with_options_for_content(own: Any) -> None:
    assert load(own())[0].options == ("i0.png", "i1.png", "i2.png")
    assert load(own(options=["yes", "no"], gold="no"))[0].gold == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backgrounds": []}, "probe p0: found 0 backgrounds; right are 2"),
        ({"twin": True}, "probe p0: two of its images are the same"),
        ({"options": ["yes", "yes"], "gold": 0}, "probe p0: options: 'yes' and 'yes' are the same"),
        ({"options": ["yes", "no"]}, "own.jsonl:1: gold is missing"),
        ({"evidence": {"kind": "text", "text": "a cat"}}, "probe p0: found a text among the images"),
    ],
)
def test_a_bad_item_is_refused_by_name(own: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        load(own(**changes))


def test_the_bundled_suite_is_sound() -> None:
    path = rooms.data("probes") / "images.yaml"
    suite = read(path, images.Suite, error=BadSuite)
    assert len(images.probes(suite, folder=path.parent)) == 96 * 4
