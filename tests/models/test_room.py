"""A forward holds what fits: it grows while memory allows, halves where it does not, and no row is lost."""

import dataclasses
import itertools

import pytest
import torch

from vlbias.models import hf
from vlbias.models._batch import in_groups
from vlbias.models._room import Memory, Room, memory, room
from vlbias.records import OptionScores, Reply

MIB = 1 << 20


class Device:
    """A memory of `size` bytes in which a forward takes `per_token` bytes a token; it refuses what does not fit."""

    def __init__(self, size, per_token):
        self.size, self.per_token, self.top, self.ran = size, per_token, 0, []

    @property
    def memory(self):
        return Memory(free=lambda: self.size, held=lambda: 0, most=lambda: self.top)

    def run(self, rows):
        self.ran.append(len(rows))
        if sum(rows) * self.per_token > self.size:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.top = max(self.top, sum(rows) * self.per_token)
        return [k for k, _ in enumerate(rows)]


def sizes(device, *, rows, most=None, start=None):
    """The sizes of the forwards that `rows` rows of 512 tokens are asked in, and the room that is left behind."""
    kept = start or Room(device.memory, most_tokens=most)
    found = in_groups([512] * rows, key=lambda _: 0, size=lambda n: n, run=device.run, room=kept)
    assert len(found) == rows and all(isinstance(one, int) for one in found)
    return device.ran, kept


def test_a_forward_doubles_up_to_what_memory_holds_and_none_fails():
    ran, kept = sizes(Device(30_000 * 1000, 1000), rows=120)
    assert ran == [4, 8, 16, 32, 32, 28]  # 64 rows are 32,768 tokens: more than there is
    assert kept.most_tokens is None and kept.bytes_per_token == 1000


def test_a_bound_of_tokens_ends_growth_where_memory_would_not():
    assert sizes(Device(1 << 60, 1), rows=60, most=8192)[0] == [4, 8, 16, 16, 16]


def test_what_did_not_fit_is_halved_once_and_not_tried_again():
    device = Device(3000 * 1000, 1000)
    told = dataclasses.replace(device.memory, free=lambda: 1 << 60)  # a device that says it has more than it has
    kept = Room(told, most_tokens=None)
    ran, _ = sizes(device, rows=20, start=kept)
    assert ran == [4, 8, 4, 4, 4, 4] and kept.most_tokens == 2048
    device.ran.clear()
    assert sizes(device, rows=20, start=kept)[0] == [4] * 5


def test_growth_begins_anew_with_every_call_so_rows_follow_from_the_plan():
    device = Device(1 << 40, 1)
    first, kept = sizes(device, rows=60)
    first = list(first)
    device.ran.clear()
    assert sizes(device, rows=60, start=kept)[0] == first


def test_a_row_longer_than_the_room_stands_alone():
    device = Device(1 << 40, 1)
    kept = Room(device.memory, most_tokens=512)
    assert in_groups([4096, 100, 100], key=lambda _: 0, size=lambda n: n, run=device.run, room=kept) == [0, 0, 1]


def test_the_memory_of_this_machine_is_told_in_bytes_and_rises_with_what_is_held():
    told = memory(torch.device("cpu"))
    free, held, most = told.free(), told.held(), told.most()
    assert free is None or free > 64 * MIB
    # Blocks, not one amount counted beforehand: what earlier tests held may be given back at any time in between.
    n_blocks, kept = (most - held) // (64 * MIB) + 2, []
    while told.held() < most + 32 * MIB and len(kept) < 2 * n_blocks + 32:
        kept.append(torch.ones(16 * MIB))
    assert kept and told.most() >= most + 32 * MIB and told.held() <= told.most() + MIB
    assert room(torch.device("cpu")).first() == 2048


@pytest.fixture
def qwen(build):
    return hf.load(pretrained=str(build("qwen2_vl")), device="cpu")


def bounded(model, *, limit):
    """The real model, on a device that holds forwards of at most `limit` tokens; what was tried is written down."""
    tried = []

    def refuse(_, args, given):
        shown = given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"][..., 0]
        tried.append(shown.numel())
        if shown.numel() > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    return tried


def test_a_model_that_runs_out_of_memory_answers_every_prompt_asked_apart(qwen, ask):
    prompts = [ask(order, "is it red ?") for order in itertools.permutations(range(4))]
    expected = qwen.score_apart(prompts)
    longest = max(found.n_tokens for found in expected)
    tried = bounded(qwen, limit=5 * longest)
    found = qwen.score_apart(prompts)
    assert max(tried) > 5 * longest, "the bound was never met"
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, OptionScores) and one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    tried.clear()
    qwen.score_apart(prompts)
    assert max(tried) <= 5 * longest, "a size that failed was tried again"


def test_a_model_that_runs_out_of_memory_writes_every_reply(qwen, ask):
    prompts = [ask(order, "is it red ?") for order in itertools.permutations(range(3))]
    expected = qwen.generate(prompts, max_new_tokens=3)
    limit = 2 * max(reply.n_tokens for reply in expected)
    tried = bounded(qwen, limit=limit)
    found = qwen.generate(prompts, max_new_tokens=3)
    assert all(isinstance(reply, Reply) for reply in found) and max(tried) > limit
    assert [reply.text for reply in found] == [reply.text for reply in expected]


def test_a_pack_that_does_not_fit_is_made_smaller_before_prompts_are_parted(qwen, ask):
    prompts = [ask(order, "is it red ?") for order in itertools.permutations(range(4))]
    expected = qwen.score_apart(prompts)
    qwen.sharing.walker.pack_tokens = 4096
    bounded(qwen, limit=150)
    found = qwen.score(prompts)
    assert qwen.sharing.walker.pack_tokens == 128 and qwen._fit.halvings == 0
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
