"""What a user may get wrong in an order probe is refused by `vlbias validate`, with the item named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlbias import job
from vlbias.errors import BadSuite

Folder = Callable[..., Path]
ALONE = {"rival": None, "rival_gold": None, "backgrounds": []}
MANY = [f"colour {letter}{other}" for letter in "abcdefghi" for other in "xyz"]
BAD: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "the same option twice": (
        "options", "", {**ALONE, "options": ["red", "blue", "Red"]},
        "probe p0: options: 'red' and 'Red' are the same; make them differ",
    ),
    "options that contain each other": (
        "options", "", {**ALONE, "options": ["red", "dark red", "blue"]},
        "probe p0: options: one of 'red' and 'dark red' contains the other; word them apart",
    ),
    "more options than letters": (
        "options", "", {**ALONE, "options": MANY, "gold": 0},
        "probe p0: options: found 27, and there are 26 labels; give 2 to 26",
    ),
    "more options than symbols": (
        "options", "labels: [letters, symbols]\n", {**ALONE, "options": MANY[:9], "gold": 0},
        "probe p0: options: found 9, and there are 8 labels; give 2 to 8",
    ),
    "segments that do not contradict": (
        "conflict", "segments: 3\n", {"rival_gold": "red"},
        "probe p0: the two segments do not contradict: both say 'red'; give another rival_gold",
    ),
    "identical candidates": (
        "judge", "", {**ALONE, "options": ["a red car.", "A red car"], "gold": 0},
        "probe p0: options: 'a red car.' and 'A red car' are the same; make them differ",
    ),
    "the same option twice, in another placement": (
        "placement", "", {**ALONE, "options": ["red", "red", "blue"]},
        "probe p0: options: 'red' and 'red' are the same; make them differ",
    ),
    "options that contain each other, about a clip that contradicts": (
        "conflict", "segments: 3\n", {"options": ["red", "blue", "blue green"]},
        "probe p0: options: one of 'blue' and 'blue green' contains the other; word them apart",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "more", "changes", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_item_is_refused_at_validation_with_its_name(
    shown_folder: Folder, conflict_row: dict[str, Any], kind: str, more: str, changes: dict[str, Any], says: str
) -> None:
    folder = shown_folder(kind, [{k: v for k, v in {**conflict_row, **changes}.items() if v is not None}], more)
    with pytest.raises(BadSuite) as refused:
        job.validate(folder / "own.yaml", task_args=None)
    assert says in str(refused.value)


def test_the_item_without_a_fault_is_sound(shown_folder: Folder, conflict_row: dict[str, Any]) -> None:
    folder = shown_folder("conflict", [conflict_row], "segments: 3\n")
    assert "sound: suite own, 1 probes" in job.validate(folder / "own.yaml", task_args=None)
