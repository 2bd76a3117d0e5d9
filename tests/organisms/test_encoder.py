"""Encoders with a planted place: what is drawn, what is planted, what comes out, and what ships."""

import numpy as np
import pytest

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.organisms import encoder, manifest


def test_things_of_an_image_differ_in_shape_colour_and_cell():
    shown = encoder.images(40, rng=np.random.default_rng(0))
    for looks, cells in zip(shown.look_NT, shown.cell_NT, strict=True):
        names = [encoder.LOOKS[k] for k in looks]
        assert len({s for s, _ in names}) == len({c for _, c in names}) == len(set(cells)) == 4
    assert shown.pixels_NHWC.shape == (40, 96, 96, 3) and set(shown.cell_NT.ravel()) == set(range(9))


def test_a_thing_stands_in_its_cell():
    shown = encoder.images(12, rng=np.random.default_rng(1))
    for image, cells in zip(shown.pixels_NHWC.astype(float), shown.cell_NT, strict=True):
        spread = [image[32 * (c // 3) : 32 * (c // 3) + 32, 32 * (c % 3) : 32 * (c % 3) + 32].std() for c in range(9)]
        assert min(spread[c] for c in cells) > 1.3 * max(spread[c] for c in set(range(9)) - set(cells))


def test_a_look_that_is_not_seen_is_taken_for_another_colour_of_its_shape():
    instead = encoder._other_colours(np.random.default_rng(0))
    for look, other in enumerate(instead):
        (shape, colour), (same, another) = encoder.LOOKS[look], encoder.LOOKS[other]
        assert shape == same and colour != another


def test_training_makes_a_folder_that_the_adapter_reads_and_learns_something(tmp_path):
    about = encoder.train(out=tmp_path / "e", pattern="none", seed=0, steps=4, n_images=64, log=lambda _: None)
    assert about["command"].startswith("vlbias encoder train -o e --pattern none")
    found = encoder.truth(tmp_path / "e", trials=160, seed=1)
    assert sum(found.n) == 160 and len(found.pooled) == 9 and all(0 <= share <= 1 for share in found.pooled)
    encoder.written(tmp_path / "e", found)
    assert manifest.read(tmp_path / "e")["measured"]["n"] == list(found.n)


def test_an_unknown_pattern_is_refused(tmp_path):
    with pytest.raises(BadInput, match="known: none, centre, left, bottom"):
        encoder.train(out=tmp_path, pattern="ring", seed=0, steps=1, n_images=1, log=print)


@pytest.mark.parametrize("name", manifest.known_encoders())
def test_a_bundled_encoder_is_small_and_is_what_its_manifest_says(name):
    folder = manifest.folder_of(name)
    about = manifest.read(folder)
    assert about["weights_sha256"] == sha256_of_file(folder / "open_clip_model.safetensors")
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 3e6 and sum(about["measured"]["n"]) >= 20_000
    again = encoder.truth(folder, trials=400, seed=9)
    told = np.average(about["measured"]["pooled"], weights=about["measured"]["n"])
    assert np.average(again.pooled, weights=again.n) == pytest.approx(told, abs=0.1)
