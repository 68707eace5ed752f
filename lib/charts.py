"""Curves, bars, histograms and drawings of networks. Every function returns its figure; nothing is
shown or saved here. A figure is as wide as a page; its legend stands at the right of the data.

The colours are those that Okabe and Ito chose for colour-blind readers (Color universal design,
jfly.uni-koeln.de/color, 2008), with gray in place of yellow, which is lost on white.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.pages import BESIDE, DPI, WIDTH, add_legend, fill_page, open_page, wrap

COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999999", "#000000",
)  # fmt: skip
MARKERS = "osD^v<>P"  # one for each colour, for readers who see none
MARKED = 10  # points of a curve, at most
CURVES, HISTOGRAMS = 3.2, 2.4  # inches, their height
FAINTEST = 0.5  # side of a box, in log2, drawn for 1 voxel or 1 channel, whose log2 is 0
NARROWEST = 12  # width of a drawing, in those units, below which boxes would be blown up


def show_curves(
    curves: Mapping,
    *,
    x: str,
    y: str,
    title: str = "",
    log_y: bool = False,
) -> Figure:
    """Curves in one panel, or in several on one vertical scale; one name has one colour in all.

    Args:
        curves: name -> (xs, ys); or panel title -> such a mapping. ys hold one y for each x, or
            are (runs, n): drawn is their mean, in a band from lowest to highest. NaN leaves a gap.
        x: what the horizontal axes measure, with its unit.
        y: what the vertical axis measures, with its unit.
        title: above all.
        log_y: a logarithmic vertical axis.

    Raises:
        ValueError: no curve, more than `COLOURS`, xs and ys that differ in length, or a value that
            is not positive on a logarithmic axis.
    """
    nested = {isinstance(curve, Mapping) for curve in curves.values()}
    if len(nested) != 1:
        raise ValueError(f"curves={list(curves)}: give curves, or panels of curves, at least one")
    panels = curves if nested.pop() else {"": curves}
    _check_curves(panels, log_y)
    colours = _colours(panels, "curves")
    figure, axes = open_page(list(panels), [CURVES], share=True)
    for ax, own in zip(axes.flat, panels.values(), strict=True):
        for name, (xs, ys) in own.items():
            _draw_curve(ax, xs, np.atleast_2d(ys), name, colours[name])
        ax.set_xlabel(x)
        if all(np.all(np.mod(xs, 1) == 0) for xs, _ in own.values()):  # such as epochs
            ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set(ylabel=y, yscale="log" if log_y else "linear")
    _finish(figure, title)
    return figure


def show_bars(
    groups: Mapping[str, Mapping], *, y: str, title: str = "", line: float | None = None
) -> Figure:
    """Bars from 0, side by side in groups; a bar of several values is their mean, each a dot.

    Args:
        groups: group -> {name: a value or several}; a name has one colour in all groups, and a
            place left free where a group lacks it.
        y: what the bars measure, with its unit.
        title: above all.
        line: a value to compare with, drawn across all groups.

    Raises:
        ValueError: no group, an empty one, more names than `COLOURS`, or values that are not
            finite numbers, one or several in a row; a line that is no finite number.
    """
    if line is not None and not (np.isscalar(line) and np.isfinite(line)):
        raise ValueError(f"line={line!r}: give one finite number")
    values = _bar_values(groups)
    colours = _colours(groups, "groups")
    width = 0.8 / len(colours)  # of a bar; 0.2 between groups
    figure, axes = open_page([""], [CURVES], share=True)
    ax = axes[0, 0]
    for n, (name, colour) in enumerate(colours.items()):
        offset = (n - (len(colours) - 1) / 2) * width
        bars = {i + offset: own[name] for i, own in enumerate(values) if name in own}
        ax.bar(list(bars), [row.mean() for row in bars.values()], width, color=colour, label=name)
        for place, row in bars.items():
            if len(row) > 1:
                ax.plot([place] * len(row), row, "o", ms=3.5, mfc="white", mec="black")
    if line is not None:
        ax.axhline(line, color="black", lw=0.8, ls="--")
    room = (WIDTH - BESIDE) / len(groups)
    ax.set_xticks(range(len(groups)), [wrap(group, room) for group in groups])
    ax.set_ylabel(y)
    _finish(figure, title)
    return figure


def by_epoch(history: Mapping[str, Sequence[float]]) -> dict[str, tuple]:
    """The losses that `lib.training.train` returns, training and validation, as curves."""
    names = {"loss": "training", "val_loss": "validation"}
    losses = {names[key]: history[key] for key in names if key in history}
    return {name: (range(1, len(loss) + 1), loss) for name, loss in losses.items()}


def show_histograms(
    arrays: Mapping[str, np.ndarray], *, bins: int = 64, unit: str = "intensity"
) -> Figure:
    """Histograms of the positive values in the same bins, counts logarithmic.

    Raises:
        ValueError: nothing to show.
    """
    if not arrays:
        raise ValueError("arrays is empty: give at least one")
    figure, axes = open_page(list(arrays), [HISTOGRAMS], share=True)
    edges = np.linspace(0, max(float(np.max(a)) for a in arrays.values()), bins + 1)
    for ax, array in zip(axes.flat, arrays.values(), strict=True):
        ax.hist(np.extract(np.greater(array, 0), array), bins=edges, log=True, color="#4a6fa5")
        ax.set(xlabel=unit, xlim=(0, edges[-1] or 1))
    axes[0, 0].set_ylabel("voxels")
    return figure


def show_network(model, block: str | Sequence[str] = "Add", *, title: str = "") -> Figure:
    """A network as a row of boxes: as high as the first extent, as wide as the channels, in log2.

    Args:
        model: a Keras model built for known extents.
        block: the class, or the classes, of the layers whose outputs are drawn. Neighbours of
            equal extents share one label; dashes join equal extents across a U.
        title: above it.

    Raises:
        ValueError: no such layers, or extents left open.
    """
    shapes = _output_shapes(model, block)
    figure, ax = plt.subplots(figsize=(WIDTH, 2.8), dpi=DPI, layout="constrained")
    x, before, last = 0.0, {}, None
    for *extents, channels in shapes:
        width, height = (max(np.log2(n), FAINTEST) for n in (channels, extents[0]))
        width, label = width / 4, _extents(extents)
        ax.add_patch(Rectangle((x, -height / 2), width, height, fc="#4a6fa5", ec="black"))
        text = f"{label if label != last else ''}\n× {channels}"
        ax.text(x + width / 2, -height / 2 - 0.2, text, ha="center", va="top")
        if label != last and label in before:
            ax.plot([before[label], x], [height / 2] * 2, "k--", lw=0.8)
        before[label], last = x + width, label
        x += width + 0.9
    tallest = np.log2(max(shape[0] for shape in shapes)) / 2
    margin = max(0, NARROWEST - x) / 2
    ax.set(xlim=(-0.3 - margin, x - 0.6 + margin), ylim=(-tallest - 1.8, tallest + 0.3))
    ax.set_title(title)
    ax.axis("off")
    fill_page(figure)
    return figure


def _check_curves(panels: Mapping[str, Mapping], log_y: bool) -> None:
    """Pairs of one length, and ys above 0 where their axis is logarithmic."""
    for name, curve in (curve for own in panels.values() for curve in own.items()):
        xs, ys = curve if len(curve) == 2 else (None, curve)
        fits = np.ndim(ys) in (1, 2) and np.shape(ys)[-1:] == np.shape(xs)
        if np.ndim(xs) != 1 or not fits or not np.size(ys):
            raise ValueError(
                f"{name!r}: xs has shape {np.shape(xs)}, ys {np.shape(ys)}: "
                "needed is a pair (xs, ys), one y or a column of runs for each x, at least one"
            )
        if log_y and np.any(np.less_equal(ys, 0)):
            raise ValueError(f"{name!r} holds y={np.nanmin(ys)}: log_y needs above 0")


def _bar_values(groups: Mapping[str, Mapping]) -> list[dict[str, np.ndarray]]:
    """For each group name -> its values, a row of finite numbers."""
    rows = [{name: np.atleast_1d(v) for name, v in own.items()} for own in groups.values()]
    for group, own in zip(groups, rows, strict=True):
        for name, row in own.items():
            number = row.ndim == 1 and row.size and row.dtype.kind in "iuf"
            if not number or not np.isfinite(row).all():
                raise ValueError(f"{group!r}, {name!r} is {row}: give one finite number or several")
    return rows


def _colours(groups: Mapping[str, Mapping], argument: str) -> dict[str, str]:
    """A colour for each name, in order of appearance."""
    if not groups or not all(groups.values()):
        raise ValueError(f"{argument} holds {dict(groups)}: give at least one, none of them empty")
    names = list(dict.fromkeys(name for own in groups.values() for name in own))
    if len(names) > len(COLOURS):
        raise ValueError(f"{argument} holds {len(names)} names: at most {len(COLOURS)} colours")
    return dict(zip(names, COLOURS, strict=False))


def _draw_curve(ax, xs, runs: np.ndarray, name: str, colour: str) -> None:
    """The mean of (runs, n), with `MARKED` markers at most, and a band around it.

    Curves that lie on each other show in turn: their markers stand at different points.
    """
    number, every = COLOURS.index(colour), -(-len(xs) // MARKED)
    marks = {"marker": MARKERS[number], "markevery": (number % every, every)}  # beside each other
    ax.plot(xs, runs.mean(axis=0), **marks, ms=4, color=colour, label=name)
    if len(runs) > 1:
        ax.fill_between(xs, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.2, lw=0)


def _finish(figure: Figure, title: str) -> None:
    """The title, and one legend for all panels beside them."""
    lines = {}
    for ax in figure.axes:
        lines |= {line.get_label(): line for line in ax.get_legend_handles_labels()[0]}
    add_legend(figure, list(lines.values()))
    figure.suptitle(title)


def _output_shapes(model, block: str | Sequence[str]) -> list[tuple]:
    """(X, Y, Z, C) of each layer of these classes."""
    names = {block} if isinstance(block, str) else set(block)
    shapes = [tuple(n.output.shape)[1:] for n in model.layers if type(n).__name__ in names]
    if not shapes or any(len(shape) < 2 or None in shape for shape in shapes):
        raise ValueError(f"block={block!r}: the model has {shapes[:1]}, no known extents of it")
    return shapes


def _extents(extents: Sequence[int]) -> str:
    """64³ for three equal ones, else 64×64×32."""
    cubic = len(extents) == 3 and len(set(extents)) == 1
    return f"{extents[0]}³" if cubic else "×".join(map(str, extents))
