"""What the README shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

from lib.volumes import Volume, load_volume, save_volume

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


CODE = re.findall(r"```py\w*\n(.*?)```", README, re.DOTALL)


def run(code, slow, quick):
    assert code.count(slow) == 1
    exec(compile(code.replace(slow, quick), "README.md", "exec"), names := {})
    return names


def test_every_example_is_run_below():
    assert len(CODE) == 2


def test_the_example_trains_and_predicts_thin_scans_too(tmp_path, monkeypatch):
    rng, affine = np.random.default_rng(0), np.diag([-1.0, 2, 3, 1])
    for name, slices in {"a": 25, "b": 23}.items():
        label = rng.random((40, 36, slices)) > 0.5
        image = Volume(label + rng.random(label.shape, np.float32), affine)
        save_volume(image, tmp_path / "folder/image" / f"{name}.mat")
        save_volume(Volume(label, affine), tmp_path / "folder/label" / f"{name}.nrrd")
    save_volume(image, tmp_path / "new.nii.gz")
    monkeypatch.chdir(tmp_path)
    code = CODE[0].replace("4, 100), 20, folder", "1, 1), 1, folder")
    code = code.replace("loss=dice_loss)", "loss=dice_loss, run_eagerly=True)")  # two graphs less
    with pytest.raises(ValueError, match=r"a\.mat is \(40, 36, 25\).*; give \(32, 32, 16\), say"):
        run(code, "SIZE = 32 ", "SIZE = 32 ")
    run(code, "SIZE = 32 ", "SIZE = (32, 32, 16) ")
    mask = load_volume("new_mask.nii.gz")
    assert mask.data.shape == label.shape and set(np.unique(mask.data)) <= {0, 1}
    np.testing.assert_allclose(mask.affine, affine)


def test_the_example_restores_beads(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("lib.microscopy.physics.STAGES", (1, 2, 3))
    names = run(CODE[1], "network(pairs)", "network(pairs, psf_size=3, steps=2)")
    assert names["restored"].shape == (64, 64, 32) and names["restored"].max() > 0


def test_every_notebook_and_picture_is_in_the_gallery():
    notebooks = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        assert f"(notebooks/{notebook.name})" in README
        assert f'src="figures/{notebook.stem}.png"' in README
