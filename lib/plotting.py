"""Pictures of volumes. Every function returns its figure; nothing is shown or saved here.

A plane shows the first of its two axes to the right, the second upward, at the volume's spacing,
with a bar in the unit of that spacing. What one figure compares shares one colour scale.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from lib.arrays import per_axis
from lib.pages import BESIDE, COLUMNS, GAP, WIDTH, add_legend, open_page, panel_width
from lib.volumes import Volume

TALLEST = 4.4  # inches, of a picture
LABEL_COLOURS = (
    "#e4572e", "#17bebb", "#ffc914", "#76b041", "#a05cc2", "#2e86de", "#ff8fab", "#8d6e63",
)  # fmt: skip
HIT_COLOURS = {"hit": "#56b4e9", "miss": "#f0e442", "false alarm": "#d55e00"}  # Okabe and Ito's


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
        limits, cmap, unit: as in `compare`; limits None: those of the volume.

    Raises:
        ValueError: shapes differ, or there is no such voxel.
    """
    labels, extents = labels or {}, volume.data.shape[:3]
    at = np.floor_divide(extents, 2) if at is None else per_axis(at, "at")
    colours = _colours(labels)
    _check({"volume": volume.data}, labels, dict(enumerate(at)))
    look = _look([volume.data], limits, cmap)
    x, y, z = np.multiply(extents, volume.spacing)
    scale = min((WIDTH - BESIDE - 3 * GAP) / (y + x + x), TALLEST / max(y, z))  # inches a mm
    titles = [f"{n} = {i}" for n, i in zip("xyz", at, strict=True)]
    height = scale * max(y, z) + 0.3  # the title of all
    figure, panels = open_page(titles, [height], widths=[scale * width for width in (y, x, x)])
    for axis, ax in enumerate(panels.flat):
        _draw(ax, volume, axis, at[axis], look, unit)
        _outline(ax, labels, axis, at[axis], colours)
    _explain(figure, panels, [volume.data], colours)
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
    columns: int = COLUMNS,
) -> Figure:
    """One plane of several volumes side by side, on one colour scale; none if all are masks.

    Args:
        volumes: title -> volume, all (X, Y, Z) of one shape.
        axis, index: the axis across the plane, 0, 1 or 2, and where on it.
        labels: title -> {name: mask}, drawn as outlines; a name has one colour in all.
        zoom: a window of the plane (first axis, second axis), framed below and enlarged above.
        limits, cmap: (low, high) and name of the colour scale; limits None: those of all volumes.
        unit: of the spacing, beside the bar; "voxels" where extents are given in voxels.
        columns: volumes in a row, at most.

    Raises:
        ValueError: shapes differ, labels of no such title, no such plane, or an empty zoom.
    """
    labels = labels or {}
    if not volumes or not set(labels) <= set(volumes):
        raise ValueError(f"volumes={list(volumes)}, labels={list(labels)}: titles must agree")
    for masks in [{}, *labels.values()]:
        _check({title: v.data for title, v in volumes.items()}, masks, {axis: index})
    colours = _colours(dict.fromkeys(name for masks in labels.values() for name in masks))
    planes = [np.take(v.data, index, axis) for v in volumes.values()]
    look = _look(planes, limits, cmap)
    ratios = [max(_height(v, axis, None) for v in volumes.values())]
    if zoom:
        ratios = [_height(next(iter(volumes.values())), axis, zoom), *ratios]
    figure, panels = _open(list(volumes), ratios, columns)
    for panel, (title, volume) in zip(panels, volumes.items(), strict=True):
        for ax in panel:
            _draw(ax, volume, axis, index, look, unit)
            _outline(ax, labels.get(title, {}), axis, index, colours)
        if zoom:
            _enlarge(*panel, zoom)
    _explain(figure, panels, planes, colours)
    return figure


def show_hits(
    image: Volume,
    truth: np.ndarray,
    masks: Mapping[str, np.ndarray],
    axis: int,
    index: int,
    *,
    zoom: tuple[slice, slice] | None = None,
) -> Figure:
    """Where masks agree with the truth and where not, in colours over one plane of the image.

    Args:
        image, truth: (X, Y, Z).
        masks: title -> mask (X, Y, Z), side by side. What it shares with the truth is a hit, what
            the truth alone holds a miss, what the mask alone holds a false alarm.
        axis, index, zoom: as in `compare`.

    Raises:
        ValueError: no mask, or as in `compare`.
    """
    _check(masks, {"image": image.data, "truth": truth}, {axis: index})
    look = _look([np.take(image.data, index, axis)])
    ratios = [_height(image, axis, window) for window in ([zoom, None] if zoom else [None])]
    figure, panels = _open(list(masks), ratios, COLUMNS)
    for panel, mask in zip(panels, masks.values(), strict=True):
        for ax in panel:
            _draw(ax, image, axis, index, look, "mm")
            ax.imshow(_hits(truth, mask, axis, index), origin="lower", aspect=ax.get_aspect())
        if zoom:
            _enlarge(*panel, zoom)
    handles = [Patch(color=colour, label=name) for name, colour in HIT_COLOURS.items()]
    add_legend(figure, handles, below=True)
    return figure


def patch_mosaic(patches: np.ndarray, *, spacing=(1, 1, 1), unit: str = "mm") -> Figure:
    """The middle z plane of each patch (N, x, y, z), in order, on one colour scale.

    Args:
        spacing, unit: of all patches, as in `compare`.

    Raises:
        ValueError: other dimensions, or no patch.
    """
    if np.ndim(patches) != 4 or not len(patches):
        raise ValueError(f"patches has shape {np.shape(patches)}: needed is (N, x, y, z), N > 0")
    titles = [f"patch {number}" for number in range(len(patches))]
    volumes = [Volume.with_spacing(patch, spacing) for patch in patches]
    figure, panels = _open(titles, [_height(volumes[0], 2, None)], COLUMNS)
    for (ax,), volume in zip(panels, volumes, strict=True):
        _draw(ax, volume, 2, volume.data.shape[2] // 2, _look([patches]), unit)
    _explain(figure, panels, [patches], {})
    return figure


def compare_brightest(
    arrays: Mapping[str, np.ndarray], axis: int, *, limits=(0, 1), columns: int = COLUMNS
) -> Figure:
    """Maximum intensity projections side by side: of each line the brightest voxel; no spacing.

    Args:
        arrays: title -> (X, Y, Z), all of one shape.
        axis: along which to look, 0, 1 or 2.
        limits, columns: as in `compare`.

    Raises:
        ValueError: as in `compare`.
    """
    _check(arrays, {}, {axis: 0})
    views = {}
    for title, array in arrays.items():
        views[title] = Volume.with_spacing(np.max(array, axis, keepdims=True), 1)
    return compare(views, axis, 0, limits=limits, unit="voxels", columns=columns)


def _open(titles: Sequence[str], ratios: Sequence[float], columns: int) -> tuple:
    """A page of pictures: a panel stacks one for each of ``ratios``, its height over its width."""
    width = panel_width(len(titles), columns)
    tallest = TALLEST if len(ratios) == 1 else TALLEST * 2 / 3
    heights = [min(width * ratio, tallest) for ratio in ratios]
    widths = [heights[0] / ratios[0]] * min(columns, len(titles))
    return open_page(titles, heights, columns=columns, widths=widths)


def _explain(figure: Figure, axes, arrays: Sequence[np.ndarray], colours: Mapping) -> None:
    """Beside the panels: the colour scale, unless all are masks, and the names of the outlines."""
    if any(array.dtype != bool for array in arrays):
        figure.colorbar(axes.flat[0].images[0], ax=axes, shrink=0.8)
    lines = [plt.Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    add_legend(figure, lines, below=True)


def _check(volumes: Mapping, masks: Mapping, at: Mapping[int, int]) -> None:
    """One shape (X, Y, Z) for all, and planes that are there."""
    if not volumes:
        raise ValueError("volumes is empty: give at least one")
    shape = np.shape(next(iter(volumes.values())))[:3]
    for name, array in [*volumes.items(), *masks.items()]:
        if np.shape(array) != shape or len(shape) != 3:
            rule = shape if len(shape) == 3 else "(X, Y, Z)"
            raise ValueError(f"{name!r} has shape {np.shape(array)}: needed is {rule}")
    for axis, index in at.items():
        if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
            raise ValueError(f"axis={axis}, index={index}: no such plane in a volume {shape}")


def _colours(names) -> dict[str, str]:
    if len(names) > len(LABEL_COLOURS):
        raise ValueError(f"labels holds {len(names)} masks: at most {len(LABEL_COLOURS)} colours")
    return dict(zip(names, LABEL_COLOURS, strict=False))


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
    ax.set(xticks=[], yticks=[], autoscale_on=False)  # what is drawn on it moves nothing
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
    ax.annotate(f"{length:g} {unit}", (0.04, 0.05), fontsize=8, color="white", **above, **edge)


def _outline(ax, masks: Mapping[str, np.ndarray], axis: int, index: int, colours: Mapping) -> None:
    for name, mask in masks.items():
        plane = np.take(mask, index, axis).T > 0
        if min(plane.shape) > 1 and plane.any() and not plane.all():
            ax.contour(plane, levels=[0.5], colors=[colours[name]], linewidths=1)


def _hits(truth, mask, axis: int, index: int) -> np.ndarray:
    """Colours (rows, columns, RGBA) of one plane, clear where neither is."""
    truth, mask = (np.take(array, index, axis).T > 0 for array in (truth, mask))
    kinds = {"hit": truth & mask, "miss": truth & ~mask, "false alarm": mask & ~truth}
    colours = np.zeros((*truth.shape, 4))
    for name, where in kinds.items():
        colours[where] = to_rgba(HIT_COLOURS[name], 0.6)
    return colours


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
