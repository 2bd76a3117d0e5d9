"""A correction for other numbers of slots takes the numbers of the slot nearest in relative place."""

from vlbias.debias._stretched import stretched

SAVED = {"per_slot": True, "prior": {f"4 options, slot {k} of 10": [k] for k in range(10)}}


def test_shorter_and_longer_orders_keep_their_ends() -> None:
    short = stretched(SAVED, n_slots=4)["prior"]
    assert {name: v[0] for name, v in short.items()} == {f"4 options, slot {k} of 4": 3 * k for k in range(4)}
    long = stretched(SAVED, n_slots=19)["prior"]
    assert long["4 options, slot 0 of 19"] == [0] and long["4 options, slot 18 of 19"] == [9] and len(long) == 19


def test_as_many_slots_and_cells_without_a_slot_stay_as_they_are() -> None:
    assert stretched(SAVED, n_slots=10) == SAVED
    alone = {"per_slot": True, "prior": {"4 options, alone": [1], "4 options": [2]}}
    assert stretched(alone, n_slots=3) == alone
