"""What the README shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np

from lib.volumes import Volume, load_volume, save_volume

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_example_trains_and_predicts(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    quick = code.replace("4, 100), 20, folder", "2, 2), 1, folder")
    assert quick != code
    rng, affine = np.random.default_rng(0), np.diag([-1.0, 2, 3, 1])
    label = rng.random((40, 36, 33)) > 0.5
    image = label + rng.random(label.shape, np.float32)
    for name, data in {"image/a.mat": image, "label/a.nrrd": label}.items():
        save_volume(Volume(data, affine), tmp_path / "folder" / name)
    save_volume(Volume(image, affine), tmp_path / "new.nii.gz")
    monkeypatch.chdir(tmp_path)
    exec(compile(quick, "README.md", "exec"), {})
    mask = load_volume("new_mask.nii.gz")
    assert mask.data.shape == label.shape
    np.testing.assert_allclose(mask.affine, affine)
    assert set(np.unique(mask.data)) <= {0, 1}


def test_every_notebook_and_picture_is_in_the_gallery():
    notebooks = sorted(Path(__file__).resolve().parents[1].glob("notebooks/[0-9]*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        assert f"(notebooks/{notebook.name})" in README
        assert f'src="figures/{notebook.stem}.png"' in README
