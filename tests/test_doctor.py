"""The doctor says what works by doing it, and why not."""

from importlib.util import find_spec

import pytest

from vlbias import doctor
from vlbias.organisms import manifest


def test_the_default_decoder_works_and_shows_true_colours():
    found = doctor.decoder("av")
    assert found.works and "FFmpeg" in found.detail and "colour off by" in found.detail


@pytest.mark.skipif(find_spec("torchcodec") is not None, reason="torchcodec is installed")
def test_a_decoder_that_is_not_installed_fails_with_the_reason_on_one_line():
    found = doctor.decoder("torchcodec")
    assert not found.works and "No module named 'torchcodec'" in found.detail and "\n" not in found.detail
    assert "/" not in found.detail, "the clip was drawn for the check; its path says nothing"


def test_the_bundled_organism_is_loaded_and_scores_an_option():
    found = doctor.engine("hf", {"pretrained": str(manifest.folder_of(doctor.ORGANISM)), "device": "cpu"})
    assert found.works and "transformers" in found.detail and "on cpu" in found.detail


def test_an_engine_that_refuses_its_arguments_fails_with_the_remedy():
    found = doctor.engine("scripted", {"acuracy": "1"})
    assert not found.works and "did you mean accuracy" in found.detail


def test_an_installation_without_an_organism_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "ZOO", tmp_path)
    monkeypatch.setattr(doctor, "decoder", lambda name: doctor.Finding(what=name, works=True, detail=""))
    last = doctor.examine()[-1]
    assert last.what == "engine hf" and not last.works and "organism train" in last.detail
