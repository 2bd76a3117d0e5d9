from collections import Counter

import numpy as np
import pytest

from vlbias.probes import _world as world


def test_contents_hold_each_value_as_often_as_any_other() -> None:
    made = world.contents(360, rng=np.random.default_rng(0))
    for name, kinds in (("shape", 12), ("colour", 12), ("motion", 4), ("side", 4), ("companion", 3)):
        counts = Counter(getattr(content, name) for content in made)
        assert len(counts) == kinds and len(set(counts.values())) == 1, name
    for companion, values in (("digit", world.DIGITS), ("dots", world.COUNTS), ("icon", world.ICONS)):
        counts = Counter(content.what for content in made if content.companion == companion)
        assert set(counts) == set(values) and len(set(counts.values())) == 1


def test_contents_of_one_companion_all_have_it() -> None:
    assert {c.companion for c in world.contents(7, rng=np.random.default_rng(0), companion="icon")} == {"icon"}


def test_no_two_segments_of_a_trial_share_a_shape() -> None:
    rng = np.random.default_rng(1)
    for content in world.contents(50, rng=rng):
        behind = world.backgrounds(content, n=9, rng=rng)
        assert not any(other.shape == content.shape for other in behind)
        assert len({c.shape for c in behind}) == 9


def test_more_backgrounds_than_other_shapes_are_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="12 other shapes"):
        world.backgrounds(world.contents(1, rng=rng)[0], n=12, rng=rng)


@pytest.mark.parametrize("task", world.TASKS)
def test_who_sees_only_the_backgrounds_is_at_chance(task: str) -> None:
    """A guesser that picks the option most (or least) often shown in the backgrounds is right one time in four."""
    rng = np.random.default_rng(2)
    right = {"most": 0, "least": 0}
    asked = 0
    for content in world.contents(6000, rng=rng):
        for question in world.questions(content, rng=rng):
            if question.task != task:
                continue
            behind = Counter(world.truths(c).get(task) for c in world.backgrounds(content, n=9, rng=rng))
            shown = [behind[option] for option in question.options]
            right["most"] += int(np.argmax(shown)) == question.gold
            right["least"] += int(np.argmin(shown)) == question.gold
            asked += 1
    assert asked >= 1900
    for hits in right.values():
        assert hits / asked == pytest.approx(0.25, abs=4 * (0.1875 / asked) ** 0.5)


def test_a_question_has_four_options_and_one_of_them_is_right() -> None:
    rng = np.random.default_rng(3)
    golds: Counter[int] = Counter()
    tasks = set()
    for content in world.contents(600, rng=rng):
        for question in world.questions(content, rng=rng):
            assert len(set(question.options)) == 4 and set(question.options) <= set(world.ANSWERS[question.task])
            assert question.options[question.gold] == world.truths(content)[question.task]
            assert content.shape in question.text
            golds[question.gold] += 1
            tasks.add(question.task)
    assert tasks == set(world.TASKS)
    assert min(golds.values()) > 0.22 * golds.total()


def test_three_quarters_of_every_sprite_stay_inside_the_frame_to_the_end() -> None:
    rng = np.random.default_rng(4)
    for content in world.contents(500, rng=rng):
        scene = world.scene(content, size_wh_px=(112, 112), duration_s=2.0, fps=8.0, rng=rng)
        for sprite in scene.sprites:
            for end in (-1.0, 1.0):
                place = np.array(sprite.centre_xy) + end * np.array(sprite.velocity_xy)
                assert (place - 0.75 * sprite.radius > 0).all() and (place + 0.75 * sprite.radius < 1).all()


def test_the_companion_stands_on_its_side_and_moves_with_the_shape() -> None:
    rng = np.random.default_rng(5)
    for content in world.contents(40, rng=rng, companion="digit"):
        shape, digit = world.scene(content, size_wh_px=(112, 112), duration_s=3.0, fps=8.0, rng=rng).sprites
        away = np.array(digit.centre_xy) - np.array(shape.centre_xy)
        assert away == pytest.approx(0.45 * np.array(world.SIDES[content.side]))
        assert digit.velocity_xy == shape.velocity_xy
        assert np.sign(shape.velocity_xy).tolist() == list(world.MOTIONS[content.motion])
