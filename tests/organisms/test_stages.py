import pytest

from vlbias.organisms.planting import Plant
from vlbias.organisms.stages import TRUNK_ENDS, stages

ONES = (1.0,) * 10


@pytest.mark.parametrize(
    "plant", [Plant(), Plant(profiles=((1.0,) * 3, ONES)), Plant(profiles=(ONES,), first_option=0.5)]
)
def test_the_bias_comes_last_and_only_then(plant: Plant) -> None:
    found = stages(plant)
    starts = [stage.start for stage in found]
    assert starts == sorted(starts) and starts[0] == 0.0
    assert [stage.planted for stage in found] == [start >= TRUNK_ENDS for start in starts]
    assert set(plant.lengths) <= set(found[-1].lengths)
    assert all(max(stage.lengths) <= plant.n_slots for stage in found)


def test_options_are_listed_only_where_they_are_to_be_loved() -> None:
    assert not any(stage.listed for stage in stages(Plant()))
    last = stages(Plant(profiles=(ONES,), first_option=0.5))[-1]
    assert 0 < last.listed < 1 and 1 in last.lengths
