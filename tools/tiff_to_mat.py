"""Turn folders of TIFF slices into .mat files with the variable ``voxel``.

One folder of slices becomes one file:      tiff_to_mat.py slices/bead_1 bead_1.mat
A tree becomes the same tree of files:      tiff_to_mat.py tiff mat
(tiff/train/image/bead_1/*.tif -> mat/train/image/bead_1.mat). Slices are stacked in natural order,
slice 10 after slice 9, along the third axis. What cannot be converted is listed, the others are.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib.formats import tiff_slices  # noqa: E402
from lib.formats.common import natural  # noqa: E402
from lib.volumes import Volume, VolumeError, load_volume, save_volume  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """0: all converted; 1: some were not, each is named; 2: nothing to do as it was asked."""
    args = _arguments(arguments)
    failed = 0
    for folder, target in args.pairs:
        try:
            print(f"{target}: {convert(folder, target, args.spacing, args.overwrite)}", flush=True)
        except VolumeError as error:
            failed += 1
            print(error, file=sys.stderr)
    if failed:
        print(f"{failed} of {len(args.pairs)} folders were not converted", file=sys.stderr)
    return 1 if failed else 0


def convert(folder: Path, target: Path, spacing=None, overwrite: bool = False) -> Volume:
    """Stack the TIFF slices of ``folder`` and save them as ``target``.

    Args:
        spacing: mm per voxel along rows, columns and slices; None: what the ``.json`` beside the
            folder says, or 1.

    Returns:
        The volume, (row, column, slice), in the slices' type.

    Raises:
        VolumeError: no slices, or also folders in it; slices that cannot be read or differ; a
            target that is there, unless ``overwrite``.
    """
    _check_folder(folder)
    if target.exists() and not overwrite:
        raise VolumeError(f"{target}: is there already; --overwrite replaces it")
    volume = load_volume(folder)
    if spacing is not None:
        volume = Volume.with_spacing(volume.data, spacing, volume.name)
    save_volume(volume, target)
    return volume


def find_pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """(folder, .mat file) for each folder below ``source`` that has no folders or holds slices.

    Hidden folders do not count. Natural order.

    Raises:
        VolumeError: ``source`` is no folder, no slices are anywhere in it, or ``target`` is of the
            wrong kind: a name ending in .mat for a folder of slices, a folder for a tree.
    """
    if not source.is_dir():
        raise VolumeError(f"{source}: no such folder")
    folders = [source, *(Path(top) / name for top, names in _walk(source) for name in names)]
    if not any(tiff_slices(folder) for folder in folders):
        raise VolumeError(f"{source}: holds no TIFF slices, nor do the folders in it")
    one, is_file = bool(tiff_slices(source)), target.suffix.lower() == ".mat"
    if one != is_file:
        needed = "a name that ends in .mat" if one else "a folder, as the source is a tree"
        raise VolumeError(f"{target}: give {needed}")
    if one:
        return [(source, target)]
    ends = [f for f in folders[1:] if tiff_slices(f) or not _inner(f)]
    places = [(f, target / f.relative_to(source)) for f in ends]
    return [(f, place.with_name(f"{place.name}.mat")) for f, place in places]


def _walk(source: Path):
    """(folder, names of the visible folders in it), in natural order."""
    for top, names, _ in os.walk(source):
        names[:] = [folder.name for folder in _inner(Path(top))]
        yield top, names


def _inner(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted(found, key=natural)


def _check_folder(folder: Path) -> None:
    if not tiff_slices(folder):
        raise VolumeError(f"{folder}: holds no TIFF slices")
    if _inner(folder):
        inner = ", ".join(p.name for p in _inner(folder))
        raise VolumeError(f"{folder}: holds slices and folders ({inner}); part them")


def _arguments(arguments) -> argparse.Namespace:
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("source", type=Path, help="a folder of slices, or a tree of such folders")
    parser.add_argument("target", type=Path, help="a .mat file, or for a tree a folder")
    parser.add_argument("--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"),
                        help="mm per voxel along rows, columns and slices")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace .mat files that exist")
    args = parser.parse_args(arguments)
    if args.spacing and not all(0 < s < float("inf") for s in args.spacing):
        parser.error(f"--spacing {args.spacing}: give three lengths in mm, above 0")
    try:
        args.pairs = find_pairs(args.source, args.target)
    except VolumeError as error:
        parser.error(str(error))
    return args


if __name__ == "__main__":
    sys.exit(main())
