"""What `make data` wrote: the same brain in three formats, where nilearn has it."""

from pathlib import Path

import nilearn.datasets
import numpy as np
import pytest

from lib.volumes import load_volume

GENERATED = Path(__file__).resolve().parents[1] / "data" / "generated"


@pytest.mark.parametrize(("name", "map_name"), [("t1", ""), ("gray", "gm_"), ("white", "wm_")])
def test_the_brain_is_nilearns_in_every_format(name, map_name):
    image = getattr(nilearn.datasets, f"load_mni152_{map_name}template")(resolution=1)
    for suffix in (".mat", ".nii.gz", ".nrrd"):
        volume = load_volume(GENERATED / f"mni152_{name}{suffix}")
        np.testing.assert_array_equal(volume.data, image.get_fdata(dtype=np.float32))
        np.testing.assert_allclose(volume.affine, image.affine)
        assert volume.data.shape == (197, 233, 189) and volume.spacing == (1, 1, 1)


def test_the_template_is_its_own_mirror_image():
    data = load_volume(GENERATED / "mni152_t1.nii.gz").data
    np.testing.assert_array_equal(data, data[::-1])
