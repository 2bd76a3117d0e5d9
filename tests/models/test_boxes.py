import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlbias.errors import BadInput, ModelError, UnknownName
from vlbias.models._box_frames import Frame, which_frame
from vlbias.models._boxes import FAMILIES, Located, located
from vlbias.records import Fault

INPUT = (1000, 500)  # of the image as Qwen2.5-VL meets it
TRUE = (0.25, 0.5, 0.5, 0.75)
SECOND = (0.0625, 0.125, 0.125, 0.25)


def qwen2(box: tuple[float, ...]) -> str:
    x1, y1, x2, y2 = (round(1000 * v) for v in box)
    return f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>"


def objects(key: str, numbers: list[float]) -> str:
    return json.dumps({key: numbers, "label": "cat"})


def qwen25(box: tuple[float, ...]) -> str:
    return objects("bbox_2d", [v * s for v, s in zip(box, INPUT * 2)])


def qwen3(box: tuple[float, ...]) -> str:
    return objects("bbox_2d", [1000 * v for v in box])


def gemini(box: tuple[float, ...]) -> str:
    return objects("box_2d", [1000 * box[k] for k in (1, 0, 3, 2)])


def moondream(box: tuple[float, ...]) -> str:
    return json.dumps(dict(zip(("x_min", "y_min", "x_max", "y_max"), box)))


def paligemma(box: tuple[float, ...]) -> str:
    return "".join(f"<loc{round(1024 * box[k]):04d}>" for k in (1, 0, 3, 2))


def florence(box: tuple[float, ...]) -> str:
    return "".join(f"<loc_{int(1000 * v)}>" for v in box)


def internvl(box: tuple[float, ...]) -> str:
    return f"<box>[[{', '.join(str(round(1000 * v)) for v in box)}]]</box>"


def deepseek(box: tuple[float, ...]) -> str:
    return f"<|det|>[[{', '.join(str(round(999 * v)) for v in box)}]]<|/det|>"


def kosmos(box: tuple[float, ...]) -> str:
    x1, y1, x2, y2 = (round(32 * v - 0.5) for v in box)
    return f"<object><patch_index_{32 * y1 + x1:04d}><patch_index_{32 * y2 + x2:04d}></object>"


WRITE: dict[str, Callable[[tuple[float, ...]], str]] = {
    "qwen2_vl": qwen2,
    "qwen2_5_vl": qwen25,
    "qwen3_vl": qwen3,
    "paligemma": paligemma,
    "florence2": florence,
    "internvl": internvl,
    "deepseek_vl2": deepseek,
    "kosmos2": kosmos,
    "gemini": gemini,
    "moondream": moondream,
}
CLOSE = {"florence2": 1.5e-3, "internvl": 1e-3, "deepseek_vl2": 1e-3, "kosmos2": 0.033, "qwen2_vl": 1e-3,
         "paligemma": 1e-3}  # fmt: skip
JSON = ("qwen2_5_vl", "qwen3_vl", "gemini", "moondream")
TAGGED = ("qwen2_vl", "internvl", "deepseek_vl2", "kosmos2")
LABELLED = {"qwen2_vl": "<|object_ref_start|>cat<|object_ref_end|>{}", "internvl": "<ref>cat</ref>{}",
            "deepseek_vl2": "<|ref|>cat<|/ref|>{}", "kosmos2": "<phrase>a cat</phrase>{}", "paligemma": "{} cat",
            "florence2": "cat{}"}  # fmt: skip


def right(family: str) -> list[tuple[str, tuple[tuple[float, ...], ...]]]:
    """Replies that mean one or two boxes, with what they mean."""
    one, two = WRITE[family](TRUE), WRITE[family](SECOND)
    made = [
        (one, (TRUE,)),
        (f"The cat is here: {one}", (TRUE,)),
        (f"  {one}\n", (TRUE,)),
        (f"{one} as you see.", (TRUE,)),
    ]
    made += [(f"I count (2) animals; the first is {one}", (TRUE,))] if family not in ("qwen2_vl",) else []
    if family in JSON:
        made += [(f"```json\n[{one}]\n```", (TRUE,)), (f"[{one}, {two}]", (TRUE, SECOND)),
                 (f"Sure!\n```\n{one}\n```", (TRUE,)),
                 (f"```json\n[{one},\n {two}]\n```\nBoth cats.", (TRUE, SECOND))]  # fmt: skip
    else:
        joint = {"paligemma": f"{one} cat ; {two} dog"}.get(family, f"cat {one} dog {two}")
        made += [(joint, (TRUE, SECOND)), (LABELLED[family].format(one), (TRUE,))]
    return made


def refused(family: str) -> list[str]:
    """Replies that hold no box of this family that could be read without a guess."""
    one = WRITE[family](TRUE)
    swapped = WRITE[family]((TRUE[2], TRUE[3], TRUE[0], TRUE[1]))
    made = ["", "I cannot see a cat.", "It is at 250, 500, 500, 750.", "The box is [250, 500, 500, 750].", swapped,
            one[: len(one) // 2], one[: len(one) - 4], one + one[: len(one) // 2],
            "cat at the top left (0,0)"]  # fmt: skip
    made += [WRITE[other](TRUE) for other in ("qwen2_vl", "paligemma", "gemini", "internvl") if other != family]
    if family == "kosmos2":
        made += ["<object><patch_index_0044><patch_index_1024></object>", "<object><patch_index_0044></object>"]
    else:
        made += [WRITE[family]((0.25, 0.5, 1.5, 0.75)), WRITE[family]((0.25, 0.5, 0.25, 0.75))]
    if family in JSON:
        made += [f"```json\n{one}\n```\n```json\n{one}\n```",
                 one.replace("}", ', "label": 1}').replace("{", '{"label": 2, '),
                 f"{one} or rather {WRITE[family](SECOND)}", "null", '{"bbox": [1, 2, 3, 4]}']  # fmt: skip
    else:
        made += [one.replace(">", " ", 1), f"{one} {one[: len(one) // 2]}"]
    return made


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_reply_is_right_or_refused(family: str) -> None:
    table_right, table_refused = right(family), refused(family)
    assert len(table_right) + len(table_refused) >= 20
    for text, meant in table_right:
        found = located(text, family=family, input_wh_px=INPUT)
        assert isinstance(found, Located), (text, found)
        assert np.allclose(found.boxes_xyxy, meant, atol=CLOSE.get(family, 1e-9)), text
    for text in table_refused:
        found = located(text, family=family, input_wh_px=INPUT)
        assert isinstance(found, Fault) and found.kind == "parse" and found.reply == text, (text, found)


@pytest.mark.parametrize("family", [name for name, how in FAMILIES.items() if how.tiny])
def test_numbers_of_at_most_one_fit_two_frames_and_are_refused(family: str) -> None:
    text = {
        "qwen2_vl": "<|box_start|>(0.2,0.3),(0.5,0.6)<|box_end|>",
        "internvl": "<box>[[0, 0, 1, 1]]</box>",
        "deepseek_vl2": "<|det|>[[0.2, 0.3, 0.5, 0.6]]<|/det|>",
        "gemini": '{"box_2d": [0.2, 0.3, 0.5, 0.6]}',
    }.get(family, '{"bbox_2d": [0.2, 0.3, 0.5, 0.6]}')
    found = located(text, family=family, input_wh_px=INPUT)
    assert isinstance(found, Fault) and "two frames" in found.reason


def test_internvl_reads_shares_as_its_own_evaluation_does_and_never_a_mixture() -> None:
    found = located("<box>[[0.25, 0.5, 0.5, 0.75]]</box>", family="internvl")
    assert found == Located(boxes_xyxy=(TRUE,))
    mixed = located("<box>[[0.25, 0.5, 0.5, 0.75], [250, 500, 500, 750]]</box>", family="internvl")
    assert isinstance(mixed, Fault) and "0..1 and in 0..1000" in mixed.reason


@pytest.mark.parametrize(
    ("family", "text", "xy"),
    [
        ("qwen2_vl", "<|box_start|>(250,500)<|box_end|>", (0.25, 0.5)),
        ("qwen2_5_vl", '{"point_2d": [250, 250]}', (0.25, 0.5)),
        ("qwen3_vl", '{"point_2d": [250, 500]}', (0.25, 0.5)),
        ("gemini", '[{"point": [500, 250], "label": "x"}]', (0.25, 0.5)),
        ("moondream", '{"x": 0.25, "y": 0.5}', (0.25, 0.5)),
    ],
)
def test_a_point_is_read_in_the_frame_of_its_family(family: str, text: str, xy: tuple[float, float]) -> None:
    found = located(text, family=family, input_wh_px=INPUT)
    assert isinstance(found, Located) and found.points_xy == (xy,) and not found.boxes_xyxy


def test_bins_and_patches_are_read_as_their_processors_read_them() -> None:
    florence_box = located("cat<loc_0><loc_10><loc_999><loc_500>", family="florence2")
    assert isinstance(florence_box, Located) and florence_box.boxes_xyxy[0] == (0.0005, 0.0105, 0.9995, 0.5005)
    flat = located("<object><patch_index_0000><patch_index_0003></object>", family="kosmos2")
    assert isinstance(flat, Located) and flat.boxes_xyxy == ((0.0, 0.0, 4 / 32, 1 / 32),)
    deep = located("<|det|>[[0, 0, 999, 999]]<|/det|>", family="deepseek_vl2")
    assert isinstance(deep, Located) and deep.boxes_xyxy == ((0.0, 0.0, 1.0, 1.0),)


def test_an_empty_list_says_that_nothing_is_there_and_prose_does_not() -> None:
    assert located("```json\n[]\n```", family="qwen3_vl") == Located()
    assert isinstance(located("nothing []", family="qwen3_vl"), Fault)


def test_pixels_without_a_size_and_unknown_families_are_errors_of_the_caller() -> None:
    with pytest.raises(ModelError, match="input_wh_px"):
        located("{}", family="qwen2_5_vl")
    with pytest.raises(UnknownName, match="qwen2_vl"):
        located("{}", family="qwen2")


@given(st.text(alphabet='<>|[](){},.:"0123456789 locbxyptaminde_2-\n`', max_size=60), st.sampled_from(sorted(FAMILIES)))
def test_no_text_breaks_the_parser_or_gives_a_box_outside_the_image(text: str, family: str) -> None:
    found = located(text, family=family, input_wh_px=INPUT)
    if isinstance(found, Located):
        assert all(0 <= v <= 1 for box in found.boxes_xyxy for v in box)


def frame_data(rng: np.random.Generator, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    near = rng.uniform(0, 0.6, (n, 2))
    return np.concatenate([near, near + rng.uniform(0.1, 0.4, (n, 2))], axis=1), np.array([[640, 480]] * n)


@pytest.mark.parametrize("order", ["xyxy", "xywh", "yxyx"])
@pytest.mark.parametrize("scale", ["0..1", "0..1000", "pixels of the image"])
def test_the_frame_of_a_set_of_boxes_is_found(order: str, scale: str) -> None:
    truth, sizes = frame_data(np.random.default_rng(3))
    side = {"0..1": 1.0, "0..1000": 1000.0}.get(scale, np.tile(sizes, 2))
    numbers = truth * side
    if order == "yxyx":
        numbers = numbers[:, [1, 0, 3, 2]]
    if order == "xywh":
        numbers = np.concatenate([numbers[:, :2], numbers[:, 2:] - numbers[:, :2]], axis=1)
    pairs = [tuple(s) for s in sizes]
    found = which_frame(numbers, truth, image_wh_px=pairs, input_wh_px=[(1288, 952)] * len(pairs))
    assert found == Frame(order=order, scale=scale)


def test_two_frames_or_none_are_refused_by_name() -> None:
    truth, _ = frame_data(np.random.default_rng(4))
    sizes = [(1000, 1000)] * len(truth)
    with pytest.raises(BadInput, match="fit two frames: xyxy in 0..1000"):
        which_frame(truth * 1000, truth, image_wh_px=[(1005, 1005)] * len(truth), input_wh_px=sizes)
    with pytest.raises(BadInput, match="fit no frame"):
        which_frame(truth * 333, truth, image_wh_px=sizes, input_wh_px=sizes)
