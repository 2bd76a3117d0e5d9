import pytest

from vlbias.estimates import Estimate


@pytest.mark.parametrize("cell", [(), (3,), (0, -1)])
def test_a_cell_without_two_coordinates_from_zero_is_refused(cell):
    with pytest.raises(ValueError, match="coordinates"):
        Estimate(metric="map", cell=cell)


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="nan"):
        Estimate(metric="map", value=float("nan"))
