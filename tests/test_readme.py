"""What the README shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np

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


def test_the_example_trains_and_predicts(tmp_path, monkeypatch):
    rng, affine = np.random.default_rng(0), np.diag([-1.0, 2, 3, 1])
    label = rng.random((40, 36, 33)) > 0.5
    image = label + rng.random(label.shape, np.float32)
    for name, data in {"image/a.mat": image, "label/a.nrrd": label}.items():
        save_volume(Volume(data, affine), tmp_path / "folder" / name)
    save_volume(Volume(image, affine), tmp_path / "new.nii.gz")
    monkeypatch.chdir(tmp_path)
    run(CODE[0], "4, 100), 20, folder", "2, 2), 1, folder")
    mask = load_volume("new_mask.nii.gz")
    assert mask.data.shape == label.shape
    np.testing.assert_allclose(mask.affine, affine)
    assert set(np.unique(mask.data)) <= {0, 1}


def test_the_example_restores_beads(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = run(CODE[1], "network(pairs)", "network(pairs, psf_size=3, steps=2)")
    assert names["restored"].shape == (64, 64, 32) and names["restored"].max() > 0


def test_every_notebook_and_picture_is_in_the_gallery():
    notebooks = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        assert f"(notebooks/{notebook.name})" in README
        assert f'src="figures/{notebook.stem}.png"' in README
