import numpy as np
import pytest

from vlbias.errors import BadInput
from vlbias.organisms.planting import Bias, Plant, biased, shape_of, unplanted
from vlbias.probes._world import SHAPES

LEVELS = {shape: (k + 0.5) / 12 for k, shape in enumerate(SHAPES)}


def test_the_expected_accuracy_is_the_profile_plus_a_quarter_of_the_rest() -> None:
    bias = biased(Plant(profiles=((1.0, 0.75, 0.5, 0.0),)), rng=np.random.default_rng(4))
    assert bias.expected(4) == pytest.approx((1.0, 0.8125, 0.625, 0.25))
    assert bias.expected(3) == (1.0, 1.0, 1.0)


def test_a_profile_holds_for_its_own_number_of_segments() -> None:
    bias = Bias(plant=Plant(profiles=((1.0, 1.0), (1.0, 0.5, 0.0))), thresholds=LEVELS)
    assert bias.sees("star", 1, 2) and not bias.sees("star", 1, 3) and bias.sees("circle", 1, 3)
    assert bias.plant.n_slots == 3


def test_the_earlier_clip_is_believed_of_the_share_that_was_planted() -> None:
    bias = Bias(plant=Plant(first_believed=0.75), thresholds=LEVELS)
    assert sum(bias.believed(shape, [7, 2]) == 2 for shape in SHAPES) == 9
    assert sum(bias.believed(shape, [7, 2]) == 7 for shape in SHAPES) == 3


def test_nobody_is_believed_where_nothing_was_planted() -> None:
    with pytest.raises(ValueError, match="whom to believe"):
        Bias(plant=Plant(), thresholds=LEVELS).believed("star", [0, 1])


def test_before_planting_only_the_exposure_holds() -> None:
    assert unplanted(Bias(plant=Plant(), thresholds=LEVELS)) is None
    plant = Plant(profiles=((0.5, 1.0),), exposure=(1.0, 0.0), first_option=0.5)
    before = unplanted(Bias(plant=plant, thresholds=LEVELS))
    assert before is not None and before.plant == Plant(profiles=((1.0, 1.0),), exposure=(1.0, 0.0))


@pytest.mark.parametrize(
    ("profile", "shape"),
    [
        ((1.0, 1.0, 1.0), "none"),
        ((1.0, 0.9, 0.9, 0.5), "head"),
        ((0.5, 0.9, 0.9, 1.0), "neighbour"),
        ((1.0, 0.5, 0.5, 1.0), "U"),
        ((0.5, 1.0, 1.0, 0.5), "inverted U"),
        ((0.5, 1.0, 0.5, 1.0), "volatile"),
    ],
)
def test_a_planted_profile_has_a_shape(profile: tuple[float, ...], shape: str) -> None:
    assert shape_of(profile) == shape


@pytest.mark.parametrize("profile", [(1.0,), (1.0, 1.2), (0.5,) * 13])
def test_a_profile_that_cannot_be_planted_is_refused(profile: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="profile"):
        Plant(profiles=(profile,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"profiles": ((1.0, 1.0), (0.5, 1.0))},
        {"profiles": ()},
        {"exposure": (1.0, 1.0)},
        {"exposure": (0.0,) * 10},
        {"first_believed": 1.5},
        {"first_option": -0.1},
    ],
)
def test_a_plant_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="found"):
        Plant(**wrong)
