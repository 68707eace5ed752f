"""Write to data/generated/: the MNI152 brain that nilearn carries, and beads at reference size.

The brain is T1 template and gray and white matter probability at 1 mm, float32 in 0..1, as .mat,
.nii.gz and .nrrd. The beads are simulated, 256x256x32, as many a voxel as in data/beads. Nothing
is downloaded.
"""

import sys
from pathlib import Path

import numpy as np
from nilearn.datasets import (
    load_mni152_gm_template,
    load_mni152_template,
    load_mni152_wm_template,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib.microscopy.bead_sets import write_bead_set  # noqa: E402
from lib.volumes import Volume, save_volume  # noqa: E402

MAPS = {
    "mni152_t1": load_mni152_template,
    "mni152_gray": load_mni152_gm_template,
    "mni152_white": load_mni152_wm_template,
}


def main(folder: Path = ROOT / "data" / "generated") -> None:
    for name, load in MAPS.items():
        image = load(resolution=1)
        volume = Volume(image.get_fdata(dtype=np.float32), image.affine, name)
        for suffix in (".mat", ".nii.gz", ".nrrd"):
            save_volume(volume, folder / f"{name}{suffix}")
        print(f"{name}: {volume.data.shape}, {volume.spacing} mm, as .mat, .nii.gz and .nrrd")
    write_bead_set(folder / "beads", (256, 256, 32), beads=320)
    print("beads: 4 + 1 pairs of (256, 256, 32), as .mat")


if __name__ == "__main__":
    main()
