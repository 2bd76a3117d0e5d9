"""Ablations inside each image as arms of every probe over places: a tiny random model of the real architecture."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from vlbias import debiasing
from vlbias.config import RunConfig
from vlbias.estimates import Proof
from vlbias.plan import plan
from vlbias.session import ask
from vlbias.store import read

BOTH = "within_image:positions=reversed:sight=bidirectional"
CHARACTERS = [chr(code) for code in range(32, 127)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2-VL with strong random weights that reads and writes letter by letter."""
    path = Path(__file__).parent / "models" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    assert spec is not None and spec.loader is not None
    tiny: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.TEXT["vocab_size"] = 120
    torch.manual_seed(5)
    model, reader = tiny.qwen("qwen2_vl")
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() > 1:
                value.normal_(0, 0.3)
    special = ["<pad>", "<s>", "</s>", "<unk>", *tiny.SPECIAL["qwen"]]
    backend = Tokenizer(models.WordLevel({t: k for k, t in enumerate([*special, *CHARACTERS])}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.decoder = decoders.Fuse()
    reader.tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=dict(zip(tiny.ATTRIBUTES["qwen"], tiny.SPECIAL["qwen"], strict=True)),
    )  # fmt: skip
    found = tmp_path_factory.mktemp("letters")
    model.save_pretrained(found)
    reader.save_pretrained(found)
    return found


SUITES = {
    "grid": "rows: 1\ncolumns: 2\nsource: {drawn: {items: 4, seed: 1, size_px: [56, 56], distractors: 1}}",
    "canvas": "rows: 1\ncolumns: 2\nsize_px: [112, 56]\nbackgrounds: [black]\nlabels: 2\n"
    "source: {drawn: {items: 4, seed: 1}}",
    "needle": "images: 1\nside: 2\nsize_px: [56, 56]\nasks: [row, column]\nsource: {drawn: {items: 4, seed: 1}}",
    "detection": "rows: 1\ncolumns: 2\nsource: {drawn: {items: 4, seed: 1, size_px: [112, 56], distractors: 1}}",
}


def asked(folder: Path, tmp_path: Path, kind: str, **more: Any) -> Path:
    """A run of a small suite of a kind."""
    letters = "" if kind in ("canvas", "detection") else "prompt: {style: letters, instruction: Look.}\n"
    head = f"name: tiny\nkind: {kind}\nversion: 1\ndescription: x\nlicence: x\n{letters}"
    (tmp_path / "tiny.yaml").write_text(head + SUITES[kind] + "\n")
    given = {"pretrained": str(folder), "dtype": "float32", "sharing": "off", **more}
    one = RunConfig(tasks="tiny", model="hf", model_args=given, batch_size=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(tmp_path / "cache"))
        ask(one, plan(one, include=[tmp_path]), folder=tmp_path / "run")
    return tmp_path / "run"


def debiased(run: Path, methods: str) -> Proof:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLBIAS_CACHE_DIR", str(run.parent / "cache"))
        return debiasing.debias(run, methods, fit_share=0.5, include=[run.parent])


@pytest.mark.parametrize(
    ("kind", "metric"), [("grid", "spatial_accuracy"), ("canvas", "canvas_loss"), ("needle", "needle_exact_at")]
)
def test_the_map_before_and_after_an_arm_stands_in_the_proof(
    folder: Path, tmp_path: Path, kind: str, metric: str
) -> None:
    run = asked(folder, tmp_path, kind)
    same, arm = debiased(run, f"within_image,{BOTH}").methods
    assert arm.maps and {e.metric for one in arm.maps for e in (*one.before, *one.after)} == {metric}
    assert all(len(one.before) == len(one.after) == (4 if kind == "needle" else 2) for one in arm.maps)
    for one in same.maps:
        assert [e.value for e in one.before] == pytest.approx([e.value for e in one.after])
        assert all(change.change == pytest.approx(0, abs=1e-5) for change in one.changes.values())
    plain = {o.asked.trial_id: o.logprobs for o in read(run).outcomes}
    rows = read(run / "debias" / "within_image_positions_reversed_sight_bidirectional").outcomes
    assert rows and all(row.logprobs != pytest.approx(plain[row.asked.trial_id], abs=1e-4) for row in rows)
