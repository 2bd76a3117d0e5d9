"""Ablations inside each image as arms of every probe over places: a tiny random model of the real architecture."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from vlbias import debiasing
from vlbias.answers import Answer
from vlbias.athand import at_hand, replayed
from vlbias.config import RunConfig
from vlbias.errors import ConfigChanged
from vlbias.estimates import Proof
from vlbias.plan import plan
from vlbias.session import ask
from vlbias.store import read, read_run

BOTH = "within_image:positions=reversed:sight=bidirectional"
SLUG = "within_image_positions_reversed_sight_bidirectional"
BOXES = tuple(f"<|box_start|>({x},{y}),({x + 400},{y + 500})<|box_end|>" for x in (50, 550) for y in (100, 200, 300))
CHARACTERS = [chr(code) for code in range(32, 127)]


@pytest.fixture(scope="module")
def tiny() -> Any:
    """The builders of tiny random models that the tests of the adapter use, with a larger vocabulary."""
    path = Path(__file__).parent / "models" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.TEXT["vocab_size"] = 120
    return module


def made(tiny: Any, words: list[str]) -> tuple[Any, Any]:
    """A Qwen2-VL with strong random weights that reads letter by letter, and writes these words too."""
    torch.manual_seed(5)
    model, reader = tiny.qwen("qwen2_vl")
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() > 1:
                value.normal_(0, 0.3)
    known = ["<pad>", "<s>", "</s>", "<unk>", *tiny.SPECIAL["qwen"], *CHARACTERS, *words]
    backend = Tokenizer(models.WordLevel({t: k for k, t in enumerate(known)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.decoder = decoders.Fuse()
    reader.tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=dict(zip(tiny.ATTRIBUTES["qwen"], tiny.SPECIAL["qwen"], strict=True)),
    )  # fmt: skip
    return model, reader


def saved(model: Any, reader: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose letters depend on all that it sees, for no reason."""
    return saved(*made(tiny, []), tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def writer_of_boxes(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes one box and stops.

    No letter reaches the first dimension of its hidden states, a box reaches nothing else, and only the end of the
    answer is read from there.
    """
    model, reader = made(tiny, list(BOXES))
    first = 8 + len(CHARACTERS)
    with torch.no_grad():
        inputs, outputs = model.get_input_embeddings().weight, model.lm_head.weight
        kept = outputs[first : first + len(BOXES)].clone()
        outputs.zero_()
        outputs[first : first + len(BOXES)] = kept
        outputs[:, 0] = 0
        outputs[2, 0] = 9
        inputs[:, 0] = 0
        inputs[first : first + len(BOXES)] = 0
        inputs[first : first + len(BOXES), 0] = 100
        for name, value in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "merger.mlp.2.weight")):
                value[0] = 0
    return saved(model, reader, tmp_path_factory.mktemp("boxes"))


SUITES = {
    "grid": "rows: 1\ncolumns: 2\nsource: {drawn: {items: 4, seed: 1, size_px: [56, 56], distractors: 1}}",
    "canvas": "rows: 1\ncolumns: 2\nsize_px: [112, 56]\nbackgrounds: [black]\nlabels: 2\n"
    "source: {drawn: {items: 4, seed: 1}}",
    "needle": "images: 1\nside: 2\nsize_px: [56, 56]\nasks: [row, column]\nsource: {drawn: {items: 4, seed: 1}}",
    "relations": "forms: [binary]\nsource: {drawn: {items: 4, seed: 1, size_px: [56, 56]}}",
    "rotation": "forms: [turn]\nsource: {drawn: {items: 4, seed: 1, size_px: [112, 84]}}",
    "detection": "rows: 1\ncolumns: 2\nsource: {drawn: {items: 4, seed: 1, size_px: [112, 56], distractors: 1}}",
}


def asked(folder: Path, tmp_path: Path, kind: str, *, debias: str | None = None, **more: Any) -> Path:
    """A run of a small suite of a kind, plainly or through a correction."""
    letters = "" if kind in ("canvas", "detection") else "prompt: {style: letters, instruction: Look.}\n"
    head = f"name: tiny\nkind: {kind}\nversion: 1\ndescription: x\nlicence: x\n{letters}"
    (tmp_path / "tiny.yaml").write_text(head + SUITES[kind] + "\n")
    given = {"pretrained": str(folder), "dtype": "float32", "sharing": "off", **more}
    one = RunConfig(tasks="tiny", model="hf", model_args=given, batch_size=4, debias=debias)
    name = "run" if debias is None else "debiased"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))
        ask(one, plan(one, include=[tmp_path]), folder=tmp_path / name)
    return tmp_path / name


def debiased(run: Path, methods: str) -> Proof:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(run.parent / "cache"))
        return debiasing.debias(run, methods, fit_share=0.5, include=[run.parent])


@pytest.mark.parametrize(("kind", "metric"), [("grid", "spatial_accuracy"), ("needle", "needle_exact_at")])
def test_the_map_before_and_after_an_arm_stands_in_the_proof(
    folder: Path, tmp_path: Path, kind: str, metric: str
) -> None:
    run = asked(folder, tmp_path, kind)
    (arm,) = debiased(run, BOTH).methods
    assert arm.maps and {e.metric for one in arm.maps for e in (*one.before, *one.after)} == {metric}
    assert all(len(one.before) == len(one.after) == (4 if kind == "needle" else 2) for one in arm.maps)
    plain = {o.asked.trial_id: o.logprobs for o in read(run).outcomes}
    rows = read(run / "debias" / SLUG).outcomes
    assert rows and all(row.logprobs != pytest.approx(plain[row.asked.trial_id], abs=1e-4) for row in rows)


def test_boxes_are_written_under_the_patch_and_proved_cell_by_cell(writer_of_boxes: Path, tmp_path: Path) -> None:
    run = asked(writer_of_boxes, tmp_path, "detection", box_format="qwen2_vl")
    plain = {o.asked.trial_id: o for o in read(run).outcomes}
    assert all(isinstance(row, Answer) and row.box_xyxy is not None for row in plain.values())
    same, arm = debiased(run, f"within_image,{BOTH}").methods
    assert {e.metric for one in arm.maps for e in one.before} == {"detection_accuracy"}
    for one in (same, arm):
        assert [len(found.after) for found in one.maps] == [2] and one.n == one.maps[0].before[0].n == 2
        right = [e.value for e in one.maps[0].after]
        assert right == pytest.approx(one.curve_after) and one.failures == 0
    assert {0.0, 100.0} == {*same.curve_before}
    rows = read(run / "debias" / SLUG).outcomes
    assert rows and all(isinstance(row, Answer) and row.box_xyxy for row in rows)
    assert [row.box_xyxy for row in read(run / "debias" / "within_image").outcomes] == [
        plain[row.asked.trial_id].box_xyxy for row in rows
    ]


@pytest.mark.parametrize(
    ("kind", "position", "names"),
    [("relations", "side", ("above", "below", "left", "right")), ("rotation", "turn", ("0", "1", "2", "3"))],
)
def test_one_image_questions_are_compared_by_the_side_or_turn_in_which_an_item_is_shown(
    folder: Path, tmp_path: Path, kind: str, position: str, names: tuple[str, ...]
) -> None:
    run = asked(folder, tmp_path, kind)
    proof = debiased(run, BOTH)
    (arm,) = proof.methods
    assert (proof.position, proof.place_names, arm.maps) == (position, names, ())
    rows = [o for o in read(run).outcomes if o.asked.cluster_id not in fitted(run, proof)]
    assert len(arm.curve_before) == 4 and arm.n == arm.clusters == 2
    assert np.mean(arm.curve_before) == pytest.approx(100 * np.mean([row.correct for row in rows]))


def fitted(run: Path, proof: Proof) -> set[str]:
    """The clusters that no row of a method is about."""
    held_out = {row.asked.cluster_id for row in read(run / "debias" / SLUG).outcomes}
    found = {row.asked.cluster_id for row in read(run).outcomes} - held_out
    assert len(found) == proof.n_fit_clusters
    return found


def test_a_run_through_an_arm_gives_the_rows_that_the_loop_measures_and_says_what_was_in_the_model(
    folder: Path, tmp_path: Path
) -> None:
    run = asked(folder, tmp_path, "canvas")
    same, arm = debiased(run, f"within_image,{BOTH}").methods
    assert arm.maps and {e.metric for one in arm.maps for e in (*one.before, *one.after)} == {"canvas_loss"}
    for one in same.maps:
        assert [e.value for e in one.before] == pytest.approx([e.value for e in one.after])
        assert all(change.change == pytest.approx(0, abs=1e-5) for change in one.changes.values())
    through = asked(folder, tmp_path, "canvas", debias=BOTH)
    rows = {row.asked.trial_id: row.logprobs for row in read(through).outcomes}
    measured = read(run / "debias" / SLUG).outcomes
    assert measured and all(rows[row.asked.trial_id] == pytest.approx(row.logprobs, abs=1e-4) for row in measured)
    assert read_run(through).identity.attention == "sdpa+within_image(reversed,bidirectional)"


def test_a_model_that_boxes_another_place_than_the_stored_one_is_refused(writer_of_boxes: Path, tmp_path: Path) -> None:
    run = asked(writer_of_boxes, tmp_path, "detection", box_format="qwen2_vl")
    rows = [replace(row, box_xyxy=(0.5, 0.3, 0.95, 0.8)) for row in read(run).outcomes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))
        with (
            at_hand(read_run(run), include=[tmp_path]) as hand,
            pytest.raises(ConfigChanged, match="does not give the stored answer any more"),
        ):
            replayed(hand, rows)
