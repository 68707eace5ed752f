"""NIfTI by nibabel, whose world is RAS+, and NRRD by pynrrd, whose header names its world."""

from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np

from lib.formats.common import LPS, VolumeError, affine_from, check_size

NIFTI_MM = {1: 1e3, 3: 1e-3}  # the codes of metres and micrometres
NRRD_SPACES = {
    "left-posterior-superior": LPS,
    "right-anterior-superior": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
}
NRRD_SPACES |= {"".join(word[0] for word in s.split("-")): m for s, m in NRRD_SPACES.items()}
NRRD_MM = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "um": 1e-3, "micron": 1e-3, "micrometer": 1e-3}
NRRD_BYTES = {"char": 1, "int8": 1, "short": 2, "int16": 2, "long": 8, "64": 8, "double": 8}
NRRD_BYTES |= {"float": 4, "int": 4}


def read_nifti(path: Path, key: str, max_bytes: int):
    """Unscaled integers keep their type, scaled ones become float32."""
    image = nib.load(path, mmap=False)  # a mapped file that shrinks would end the program
    stored, kind = image.dataobj, image.get_data_dtype()
    scaled = (stored.slope, stored.inter) != (1, 0) and kind.kind in "iuf"
    check_size(image.shape, np.float32 if scaled else kind, max_bytes)
    data = np.asarray(stored, np.float32) if scaled else stored.get_unscaled()
    if data.ndim == 5 and data.shape[3] == 1:  # vectors: the fourth axis is time, here one
        data = data[:, :, :, 0]
    to_mm = NIFTI_MM.get(int(image.header["xyzt_units"]) % 8, 1.0)
    return data, np.diag([to_mm, to_mm, to_mm, 1.0]) @ image.affine


def write_nifti(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def read_nrrd(path: Path, key: str, max_bytes: int):
    """``.nrrd``, or ``.nhdr`` with its data beside it."""
    header = nrrd.read_header(str(path))
    width = next((n for word, n in NRRD_BYTES.items() if word in header["type"]), 1)
    check_size(header["sizes"], f"V{width}", max_bytes)
    spatial = _nrrd_spatial(header)
    data, _ = nrrd.read(str(path), index_order="F")
    channels = [axis for axis in range(data.ndim) if axis not in spatial]
    return np.transpose(data, [*spatial, *channels]), _nrrd_affine(header, spatial)


def _nrrd_spatial(header) -> list[int]:
    """Which axes lie in space: those with a direction, or whose kind says so."""
    axes = range(header["dimension"])
    if "space directions" in header:
        found = [a for a in axes if np.all(np.isfinite(header["space directions"][a]))]
    else:
        kinds = header.get("kinds", ["domain"] * len(axes))
        found = [a for a in axes if kinds[a].lower() in ("domain", "space")]
    if len(found) != 3:
        raise VolumeError(f"has {len(found)} axes in space (sizes {header['sizes']}), not 3")
    return found


def _nrrd_affine(header, spatial) -> np.ndarray | None:
    if "space directions" not in header:
        if "spacings" not in header:
            return None
        to_mm = _nrrd_to_mm([header.get("units", [""] * header["dimension"])[a] for a in spatial])
        return affine_from(np.asarray(header["spacings"])[spatial] * to_mm, None)
    space = str(header.get("space", "none")).lower()
    if space not in NRRD_SPACES:
        raise VolumeError(f"is in space {space!r}; known are {', '.join(NRRD_SPACES)}")
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(header["space directions"])[spatial].T
    affine[:3, 3] = header.get("space origin", np.zeros(3))
    affine[:3] *= _nrrd_to_mm(header.get("space units", [""] * 3))[:, None]
    return NRRD_SPACES[space] @ affine


def _nrrd_to_mm(units) -> np.ndarray:
    """The unit of each axis in mm; pynrrd reads µm as m, so metres are refused."""
    names = [unit.lower().rstrip("s") for unit in units]
    if not NRRD_MM.keys() >= set(names):
        known = ", ".join(name for name in NRRD_MM if name)
        raise VolumeError(f"is measured in {', '.join(units)}; known are {known}")
    return np.array([NRRD_MM[name] for name in names])


def write_nrrd(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    lps = LPS @ affine
    directions, kinds = lps[:3, :3].T, ["domain"] * 3
    if data.ndim == 4:  # other programs look for channels in front
        data, kinds = np.moveaxis(data, -1, 0), ["vector", *kinds]
        directions = np.vstack([np.full(3, np.nan), directions])
    header = {
        "space": "left-posterior-superior",
        "space directions": directions,
        "space origin": lps[:3, 3],
        "kinds": kinds,
    }
    nrrd.write(str(path), data, header, compression_level=4, index_order="F")
