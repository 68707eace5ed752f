"""Volumes in and out of files: one array, one affine, whatever the format.

A volume is ``(X, Y, Z)`` in the file's own axis order, channels last where there are any. Its
affine leads from voxel indices to RAS+ mm: x to the right, y to the front, z up.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib import formats
from lib.arrays import per_axis
from lib.formats import VolumeError
from lib.formats.common import spacing_of


@dataclass(frozen=True, eq=False)
class Volume:
    """An array and where it lies in the world.

    Args:
        data: (X, Y, Z) or (X, Y, Z, C).
        affine: 4x4, voxel index -> RAS+ mm. The spacing is read from it.
        name: what messages call the volume.

    Raises:
        ValueError: no array, other shapes, or an affine that is not finite or cannot be inverted.
    """

    data: np.ndarray
    affine: np.ndarray
    name: str = ""

    def __post_init__(self):
        if not hasattr(self.data, "dtype"):
            raise ValueError(f"data is a {type(self.data).__name__}: give an array")
        if np.ndim(self.data) not in (3, 4) or 0 in np.shape(self.data):
            raise ValueError(
                f"data has shape {np.shape(self.data)}: a volume is (X, Y, Z) or (X, Y, Z, C), "
                "none of them 0"
            )
        affine = np.array(self.affine, float)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
            raise ValueError(f"affine={self.affine}: a finite 4x4 matrix is needed")
        if np.linalg.matrix_rank(affine[:3, :3]) < 3 or np.any(affine[3] != [0, 0, 0, 1]):
            raise ValueError(f"affine={affine.tolist()}: it leads to no place, or not from one")
        object.__setattr__(self, "affine", affine)

    @classmethod
    def with_spacing(cls, data, spacing, name: str = "") -> "Volume":
        """A volume of which only the spacing (mm, one or three numbers) is known."""
        spacing = per_axis(spacing, "spacing", float, positive=True)
        return cls(data, np.diag([*spacing, 1.0]), name)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel extents in mm, in the array's axis order."""
        return tuple(spacing_of(self.affine).tolist())

    def lies_as(self, other: "Volume") -> bool:
        """Whether the other's voxels lie where these do, to a tenth of a voxel everywhere."""
        moved = np.linalg.solve(self.affine, other.affine) - np.eye(4)
        return bool(np.max(np.abs(moved) @ [*self.data.shape[:3], 1]) <= 0.1)

    def crop(self, where) -> "Volume":
        """The part that up to three slices cut out, at its own place in the world.

        Raises:
            ValueError: something else than slices with a step of 1.
        """
        if len(where) > 3 or any(
            not isinstance(w, slice) or w.step not in (None, 1) for w in where
        ):
            raise ValueError(f"where={where}: give up to three slices with a step of 1")
        shift = np.eye(4)
        for axis, (part, extent) in enumerate(zip(where, self.data.shape, strict=False)):
            shift[axis, 3] = part.indices(extent)[0]
        return Volume(self.data[tuple(where)], self.affine @ shift, self.name)

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing)
        holds = f"{self.data.shape} {self.data.dtype}"
        return f"Volume({self.name or 'unnamed'}: {holds}, {spacing} mm)"


def load_volume(path, key: str = "voxel", *, max_bytes: int = 8 << 30, nan=None) -> Volume:
    """Read a volume from a file or folder.

    Args:
        path: ``.mat`` (v5 to v7.3), ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha``,
            ``.tif``, ``.npy``, ``.zarr``, a folder of TIFF slices or of one DICOM series.
        key: the variable in a ``.mat`` file, the array in a Zarr group.
        max_bytes: a file that declares more is refused before memory is taken.
        nan: None refuses NaN; a number takes its place.

    Returns:
        The volume: integers stored without a scale keep their type, scaled ones are float32.
        Where nothing tells the place of the voxels, the affine is the unit matrix (1 mm). A TIFF's
        affine is the one that `save_volume` wrote, or that of a ``.json`` of the same name, as
        earlier versions wrote; its tags are not read.

    Raises:
        VolumeError: whatever stands in the way, with the path and what to do.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise VolumeError("is not there")
        data, affine = formats.reader(path)(path, key, max_bytes)
        data = _checked(np.asarray(data), nan)
        return Volume(data, np.eye(4) if affine is None else affine, path.name)
    except VolumeError as error:
        raise VolumeError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file raises whatever the format's library meets first
        raise VolumeError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); "
            "it may be damaged, incomplete or of another kind than its name says"
        ) from error


def _checked(data: np.ndarray, nan) -> np.ndarray:
    """Real numbers in three dimensions, or four with channels, in this machine's byte order."""
    if data.dtype.kind == "c" or data.dtype.names == ("real", "imag"):
        raise VolumeError("is complex; save its magnitude, or real and imaginary part as channels")
    if data.dtype.kind not in "biuf":
        raise VolumeError(f"holds {data.dtype}, not numbers; save a numeric array")
    if data.ndim not in (3, 4) or data.size == 0:
        raise VolumeError(
            f"has shape {data.shape}; a volume has 3 dimensions, or 4 with channels last, none "
            "of them 0"
        )
    data = data.astype(np.uint8) if data.dtype.kind == "b" else data
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    return _without_nan(data, nan) if data.dtype.kind == "f" else data


def _without_nan(data: np.ndarray, nan) -> np.ndarray:
    if not np.isnan(data.min()):  # the minimum is NaN if one voxel is
        return data
    if nan is None:
        count = np.count_nonzero(np.isnan(data))
        raise VolumeError(f"holds {count} NaN voxels; give nan=0, or what they should be")
    return np.where(np.isnan(data), data.dtype.type(nan), data)


def save_volume(volume: Volume, path) -> Path:
    """Write a volume in the format that the suffix names; `load_volume` gives it back.

    The file appears whole or not at all. ``.mat`` has the variables voxel, spacing and affine;
    ``.npy`` gets a ``.json`` of the same name, ``.nhdr`` its data in a second file.

    Returns:
        The path.

    Raises:
        VolumeError: an unknown suffix, or what the format cannot hold, with the path.
    """
    path = Path(path)
    try:
        write, data = formats.writer(path), _storable(volume.data)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            new = Path(folder) / path.name
            lower = new.with_name(formats.stem(path) + formats.suffix(path))  # .NPY is unknown
            write(lower, data, volume.affine)
            os.replace(lower, new)
            _guard(path, new)
            _move_all(Path(folder), path)
    except VolumeError as error:
        raise VolumeError(f"{path}: {error}") from error
    except Exception as error:
        raise VolumeError(f"{path}: cannot be written ({type(error).__name__}: {error})") from error
    return path


def _storable(data) -> np.ndarray:
    """Types that every format holds, without loss: bool as uint8, float16 as float32."""
    data = np.asarray(data)
    wider = {"bool": np.uint8, "float16": np.float32}.get(data.dtype.name)
    if data.dtype.kind not in "biuf":
        raise VolumeError(f"the volume holds {data.dtype}; numbers, not complex, can be saved")
    return data.astype(wider or data.dtype.newbyteorder("="), copy=False)


def _guard(path: Path, new: Path) -> None:
    """A folder in place of a file, or a ``.json`` of something else, is not overwritten."""
    if path.exists() and path.is_dir() != new.is_dir():
        kind = "folder" if path.is_dir() else "file"
        raise VolumeError(f"a {kind} of this name is there; remove it, or choose another name")
    old, new = path.with_suffix(".json"), new.with_suffix(".json")
    if not (new.exists() and old.exists()) or old.read_bytes() == new.read_bytes():
        return
    same = [p for p in path.parent.iterdir() if p.name.startswith(f"{path.stem}.")]
    others = sorted(p.name for p in same if p not in (old, path))
    if others or not path.exists():
        raise VolumeError(
            f"its spacing would go to {old.name}, which is there already and belongs to "
            f"{', '.join(others) or 'something else'}; choose another name"
        )


def _move_all(folder: Path, path: Path) -> None:
    """Everything in ``folder`` to the place of ``path``, the file itself last."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name == path.name):
        target = path.parent / item.name
        if target.is_dir():  # a Zarr folder: step aside first, a folder cannot be replaced
            os.replace(target, folder / "old")
            try:
                os.replace(item, target)
            except OSError:
                os.replace(folder / "old", target)
                raise
            shutil.rmtree(folder / "old")
        else:
            os.replace(item, target)
