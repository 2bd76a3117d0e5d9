"""What is written as a family writes it is read back as what was meant."""

import pytest

from vlbias.errors import ModelError
from vlbias.models._box_writing import POINTS, WRITES, written
from vlbias.models._boxes import FAMILIES, Located, located

SIZE = (640, 480)
BOX = (0.21, 0.34, 0.55, 0.87)


@pytest.mark.parametrize("family", WRITES)
def test_a_box_comes_back_within_the_precision_of_its_family(family: str) -> None:
    read = located(written(BOX, family=family, input_wh_px=SIZE), family=family, input_wh_px=SIZE)
    assert isinstance(read, Located) and len(read.boxes_xyxy) == 1 and not read.points_xy
    assert read.boxes_xyxy[0] == pytest.approx(BOX, abs=1 / 32 if family == "kosmos2" else 2e-3)


@pytest.mark.parametrize("family", POINTS)
def test_a_point_comes_back(family: str) -> None:
    read = located(written((0.3, 0.8), family=family, input_wh_px=SIZE), family=family, input_wh_px=SIZE)
    assert isinstance(read, Located) and read.points_xy[0] == pytest.approx((0.3, 0.8), abs=2e-3)


def test_every_family_that_is_read_is_written_and_families_without_points_refuse_them() -> None:
    assert set(WRITES) == set(FAMILIES)
    with pytest.raises(ModelError, match="writes no points"):
        written((0.3, 0.8), family="kosmos2", input_wh_px=SIZE)
