"""The course of lessons: it makes the named losses less, by the rate and the steps that it is told."""

import numpy as np
import pytest
import torch

from vlbias.organisms import manifest
from vlbias.organisms.lessons import Course, Lesson, teach

COURSE = Course(n_images=50, steps=200, batch=4, rate=0.06, fall_at=0.7)


def taught(**more):
    weight, told = torch.nn.Parameter(torch.tensor([3.0, -2.0])), []

    def losses(chosen):
        told.append(chosen)
        return {"first": (weight[0] - 1) ** 2, "second": 2 * (weight[1] - 1) ** 2}

    logged = []
    course = teach([weight], losses, course=COURSE, rng=np.random.default_rng(0), log=logged.append, **more)
    return weight.detach(), course, told, logged


def test_the_sum_of_the_losses_falls_and_each_is_told_by_name():
    weight, curve, told, logged = taught()
    assert weight.tolist() == pytest.approx([1, 1], abs=0.2)
    assert [point["step"] for point in curve] == [100, 200] and len(logged) == 2
    assert curve[1]["first"] < 0.2 * curve[0]["first"] and curve[1]["second"] < 0.2 * curve[0]["second"]
    assert len(told) == 200 and all(len(chosen) == 4 and max(chosen) < 50 for chosen in told)


def test_the_same_seed_gives_the_same_weights_and_what_stands_beside_learns_too():
    assert taught()[0].equal(taught()[0])
    beside = torch.nn.Parameter(torch.zeros(1))
    weight = torch.nn.Parameter(torch.ones(1))
    teach([weight], lambda _: {"loss": ((beside - 1) ** 2).sum() + (weight**2).sum()}, course=COURSE,
          rng=np.random.default_rng(0), log=lambda _: None, beside=[beside])  # fmt: skip
    assert float(beside.detach()) == pytest.approx(1, abs=0.2)


def test_the_manifest_holds_the_command_that_makes_the_model_again(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    lesson = Lesson(kind="encoder", family="f", about="a thing", pattern="left", seed=7, steps=3, n_images=9)
    lesson.written(tmp_path, planted=(1.0, 0.5), curve=[], wall_s=1.0)
    about = manifest.read(tmp_path)
    assert about["command"] == (f"vlbias encoder train -o {tmp_path.name} --pattern left --seed 7 --steps 3 --images 9")
    assert about["planted_cells"] == [1.0, 0.5] and about["about"] == "a thing, planted pattern left"
