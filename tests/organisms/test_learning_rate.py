import pytest

from vlbias.organisms.learning_rate import WARM_UP_STEPS, share


def test_the_rate_warms_up_stays_and_falls_to_a_twentieth() -> None:
    rates = [share(step, steps=1000, fall_at=0.6) for step in range(1001)]
    assert rates[0] == pytest.approx(1 / WARM_UP_STEPS)
    assert all(a < b for a, b in zip(rates[:99], rates[1:100]))
    assert set(rates[100:600]) == {1.0}
    assert all(a > b for a, b in zip(rates[601:1000], rates[602:]))
    assert rates[-1] == pytest.approx(0.05)


def test_a_later_start_warms_up_anew() -> None:
    assert share(700, steps=1000, fall_at=0.8, first=700) == pytest.approx(1 / WARM_UP_STEPS)
