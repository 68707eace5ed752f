"""Pictures of volumes. Every function returns its figure; nothing is shown or saved here.

A plane shows the first of its two axes to the right, the second upward, at the volume's spacing,
with a bar in the unit of that spacing. What one figure compares shares one colour scale.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from lib.patches import per_axis
from lib.volumes import Volume

DPI = 80
LABEL_COLOURS = (
    "#e4572e", "#17bebb", "#ffc914", "#76b041", "#a05cc2", "#2e86de", "#ff8fab", "#8d6e63",
)  # fmt: skip


def show_slices(
    volume: Volume,
    at=None,
    *,
    labels: Mapping | None = None,
    title: str = "",
    limits=None,
    cmap: str = "gray",
    unit: str = "mm",
) -> Figure:
    """Three orthogonal slices through one voxel.

    Args:
        volume: (X, Y, Z).
        at: the voxel; None: the middle.
        labels: name -> mask (X, Y, Z), drawn as outlines.
        title: above the three.
        limits: (low, high) of the colour scale; None: those of the volume.
        cmap: matplotlib's name of a colour map.
        unit: of the spacing, beside the bar; "voxels" where extents are given in voxels.

    Raises:
        ValueError: shapes differ, or there is no such voxel.
    """
    at = [n // 2 for n in volume.data.shape[:3]] if at is None else per_axis(at, "at")
    _check({"volume": volume.data}, labels or {}, dict(enumerate(at)))
    look = _look([volume.data], limits, cmap)
    widths = np.multiply(volume.data.shape[:3], volume.spacing)[[1, 0, 0]]
    figure, axes = plt.subplots(
        1, 3, figsize=(9, 3.4), dpi=DPI, layout="constrained", width_ratios=widths
    )
    for axis, ax in enumerate(axes):
        _draw(ax, volume, axis, at[axis], look, unit)
        _outline(ax, labels or {}, axis, at[axis])
        ax.set_title(f"{'xyz'[axis]} = {at[axis]}", fontsize=9)
    _legend(axes[-1], labels or {})
    figure.colorbar(axes[0].images[0], ax=axes, shrink=0.7)
    figure.suptitle(title or volume.name)
    return figure


def compare(
    volumes: Mapping[str, Volume],
    axis: int,
    index: int,
    *,
    labels: Mapping | None = None,
    zoom: tuple[slice, slice] | None = None,
    limits=None,
    cmap: str = "gray",
    unit: str = "mm",
) -> Figure:
    """One plane of several volumes side by side, on one colour scale.

    Args:
        volumes: title -> volume, all (X, Y, Z) of one shape.
        axis: the axis across the plane, 0, 1 or 2.
        index: where on it.
        labels: title -> {name: mask}, drawn as outlines on the volume of that title.
        zoom: a window of the plane (first axis, second axis), framed below and enlarged above.
        limits: (low, high) of the colour scale; None: those of all volumes.
        cmap: matplotlib's name of a colour map.
        unit: of the spacing, beside the bar; "voxels" where extents are given in voxels.

    Raises:
        ValueError: shapes differ, labels of no such title, no such plane, or an empty zoom.
    """
    if not volumes or not set(labels or {}) <= set(volumes):
        raise ValueError(f"volumes={list(volumes)}, labels={list(labels or {})}: titles must agree")
    for masks in (labels or {"": {}}).values():
        _check({title: v.data for title, v in volumes.items()}, masks, {axis: index})
    look = _look([np.take(v.data, index, axis) for v in volumes.values()], limits, cmap)
    heights = [max(_height(v, axis, None) for v in volumes.values())]
    if zoom:
        heights = [_height(next(iter(volumes.values())), axis, zoom), *heights]
    figure, grid = plt.subplots(
        len(heights), len(volumes), dpi=DPI, layout="constrained", squeeze=False,
        figsize=(2.7 * len(volumes) + 0.6, sum(2.5 * h + 0.4 for h in heights)),
        height_ratios=heights,
    )  # fmt: skip
    for column, (title, volume) in enumerate(volumes.items()):
        masks = (labels or {}).get(title, {})
        for ax in grid[:, column]:
            _draw(ax, volume, axis, index, look, unit)
            _outline(ax, masks, axis, index)
        if zoom:
            _enlarge(grid[0, column], grid[1, column], zoom)
        grid[0, column].set_title(title, fontsize=10)
        _legend(grid[-1, column], masks)
    figure.colorbar(grid[0, 0].images[0], ax=grid, shrink=0.7)
    return figure


def patch_mosaic(
    patches: np.ndarray, *, columns: int = 4, spacing=(1, 1, 1), titles=(), unit: str = "mm"
) -> Figure:
    """The middle z plane of each patch (N, x, y, z), in order, on one colour scale.

    Args:
        patches: (N, x, y, z).
        columns: patches in a row.
        spacing: of all patches, one number or one for each axis.
        titles: one for each patch; none: their numbers.
        unit: of the spacing, beside the bar.

    Raises:
        ValueError: other dimensions, no patch, or titles for some patches only.
    """
    if np.ndim(patches) != 4 or not len(patches):
        raise ValueError(f"patches has shape {np.shape(patches)}: needed is (N, x, y, z), N > 0")
    if len(titles) not in (0, len(patches)):
        raise ValueError(f"titles holds {len(titles)} for {len(patches)} patches: one each")
    rows = -(-len(patches) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.9 * columns, 2.05 * rows), dpi=DPI, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    look = _look([patches])
    for number, ax in enumerate(grid.flat):
        if number >= len(patches):
            ax.axis("off")
            continue
        patch = Volume.with_spacing(patches[number], spacing)
        _draw(ax, patch, 2, patch.data.shape[2] // 2, look, unit)
        ax.set_title(titles[number] if len(titles) else f"patch {number}", fontsize=8)
    figure.colorbar(grid[0, 0].images[0], ax=grid, shrink=0.6)
    return figure


def project(volume: Volume, axis: int) -> Volume:
    """The maximum intensity projection along one axis.

    Args:
        volume: (X, Y, Z) or (X, Y, Z, C).
        axis: 0, 1 or 2.

    Returns:
        A volume of extent 1 along that axis, its affine that of ``volume``: `compare` draws it at
        ``index=0``.

    Raises:
        ValueError: there is no such axis.
    """
    if axis not in (0, 1, 2):
        raise ValueError(f"axis={axis!r}: give 0, 1 or 2")
    return Volume(np.max(volume.data, axis, keepdims=True), volume.affine, volume.name)


def _check(volumes: Mapping, masks: Mapping, at: Mapping[int, int]) -> None:
    """One shape (X, Y, Z) for all, a colour for each mask, and planes that are there."""
    shape = next(iter(volumes.values())).shape[:3]
    for name, array in [*volumes.items(), *masks.items()]:
        if np.shape(array) != shape:
            raise ValueError(f"{name!r} has shape {np.shape(array)}: needed is {shape}")
    if len(masks) > len(LABEL_COLOURS):
        raise ValueError(f"labels holds {len(masks)} masks: at most {len(LABEL_COLOURS)} colours")
    for axis, index in at.items():
        if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
            raise ValueError(f"axis={axis}, index={index}: no such plane in a volume {shape}")


def _look(arrays: Sequence[np.ndarray], limits=None, cmap: str = "gray") -> dict:
    """One colour scale for all, as `imshow` takes it."""
    if limits is None:
        limits = min(float(np.min(a)) for a in arrays), max(float(np.max(a)) for a in arrays)
    return {"vmin": limits[0], "vmax": limits[1], "cmap": cmap, "interpolation": "nearest"}


def _draw(ax, volume: Volume, axis: int, index: int, look: Mapping, unit: str) -> None:
    """One plane, voxels at their true proportions."""
    first, second = (a for a in range(3) if a != axis)
    spacing = volume.spacing
    plane, aspect = np.take(volume.data, index, axis).T, spacing[second] / spacing[first]
    ax.imshow(plane, origin="lower", aspect=aspect, **look)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(f"{'xyz'[first]} →", fontsize=8, labelpad=1)
    ax.set_ylabel(f"{'xyz'[second]} →", fontsize=8, labelpad=1)
    _scale_bar(ax, volume.data.shape[first], spacing[first], unit)


def _height(volume: Volume, axis: int, zoom) -> float:
    """Height over width, by the spacing, of a plane or of a window of it."""
    sides = []
    for n, a in enumerate(a for a in range(3) if a != axis):
        begin, end, _ = (zoom[n] if zoom else slice(None)).indices(volume.data.shape[a])
        sides.append(max(end - begin, 1) * volume.spacing[a])
    return sides[1] / sides[0]


def _scale_bar(ax, extent: int, spacing: float, unit: str) -> None:
    """A bar of a round number of units, about a quarter of the width."""
    quarter = extent * spacing / 4 * (1 + 1e-9)  # 9.999999999999998 is 10
    power = 10 ** np.floor(np.log10(quarter))
    length = max(step * power for step in (1, 2, 5) if step * power <= quarter)
    edge = {"path_effects": [withStroke(linewidth=3.5, foreground="black")]}
    width = length / (spacing * extent)
    bar = {"lw": 2.5, "solid_capstyle": "butt", "color": "white", "transform": ax.transAxes}
    ax.plot([0.04, 0.04 + width], [0.05, 0.05], **bar, **edge)
    above = {"xytext": (0, 5), "textcoords": "offset points", "xycoords": "axes fraction"}
    ax.annotate(f"{length:g} {unit}", (0.04, 0.05), fontsize=7, color="white", **above, **edge)


def _outline(ax, masks: Mapping[str, np.ndarray], axis: int, index: int) -> None:
    for colour, mask in zip(LABEL_COLOURS, masks.values(), strict=False):
        plane = np.take(mask, index, axis).T > 0
        if min(plane.shape) > 1 and plane.any() and not plane.all():
            ax.contour(plane, levels=[0.5], colors=[colour], linewidths=0.8)


def _legend(ax, masks: Mapping) -> None:
    lines = [plt.Line2D([], [], color=colour) for colour in LABEL_COLOURS[: len(masks)]]
    if lines:
        ax.legend(lines, list(masks), fontsize=7, loc="upper right", framealpha=0.6)


def _enlarge(above, below, zoom: tuple[slice, slice]) -> None:
    """Show only the window above, and frame it below."""
    extents = above.images[0].get_array().shape[::-1]  # the rows are the second axis
    (x, right), (y, top) = (s.indices(n)[:2] for s, n in zip(zoom, extents, strict=True))
    if x >= right or y >= top:
        raise ValueError(f"zoom={zoom}: nothing of a plane {extents} lies within")
    above.set(xlim=(x - 0.5, right - 0.5), ylim=(y - 0.5, top - 0.5), xlabel="")
    for artist in [*above.lines, *above.texts]:
        artist.remove()  # the bar holds for the whole plane
    frame = Rectangle((x - 0.5, y - 0.5), right - x, top - y, fill=False, ec="#ffc914", lw=1.2)
    below.add_patch(frame)
