"""Options as tokens: an answer counts once, as the longest option that it begins with."""

import math

import pytest

from vlbias.models._options import log_probabilities

DOG, DOG_AND_CAT, DOG_AND_BIRD, RED = (5, 6), (5, 6, 7, 8), (5, 6, 7, 9), (4,)


def test_an_option_that_begins_another_does_not_count_what_goes_on_to_it() -> None:
    logs = [[math.log(share)] for share in (0.5, 0.2, 0.1, 0.3)]
    found = log_probabilities(logs, [[DOG], [DOG_AND_CAT], [DOG_AND_BIRD], [RED]])
    assert [math.exp(one) for one in found] == pytest.approx([0.2, 0.2, 0.1, 0.3])


def test_of_options_that_begin_each_other_in_a_row_each_loses_the_next_one_only() -> None:
    logs = [[math.log(share)] for share in (0.5, 0.4, 0.1)]
    found = log_probabilities(logs, [[(5,)], [DOG], [DOG_AND_CAT]])
    assert [math.exp(one) for one in found] == pytest.approx([0.1, 0.3, 0.1])


def test_every_variant_of_an_option_loses_its_own_continuation() -> None:
    logs = [[math.log(0.4), math.log(0.2)], [math.log(0.1), math.log(0.05)]]
    found = log_probabilities(logs, [[(1, 2), (3, 2)], [(1, 2, 9), (3, 2, 9)]])
    assert [math.exp(one) for one in found] == pytest.approx([0.45, 0.15])


def test_options_that_do_not_begin_each_other_are_as_likely_as_their_tokens() -> None:
    logs = [[-1.0], [-2.0, -3.0], [-0.5]]
    assert log_probabilities(logs, [[DOG], [(7, 8), (8,)], [RED]])[::2] == (-1.0, -0.5)


def test_a_beginning_that_always_goes_on_stays_a_number() -> None:
    found = log_probabilities([[-1.0], [-1.0]], [[DOG], [DOG_AND_CAT]])
    assert found[0] < -15 and found[1] == -1.0
