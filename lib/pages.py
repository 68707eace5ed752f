"""The page that a figure fills: its width, its panels in rows, what stands beside them."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DPI, WIDTH = 100, 9.4  # 940 pixels: the width of a notebook's page
BESIDE = 1.4  # inches, for what stands beside the panels
COLUMNS = 4  # panels in a row


def panel_width(count: int, columns: int = COLUMNS) -> float:
    """Inches for each of ``count`` panels in rows of ``columns``."""
    return (WIDTH - BESIDE) / min(count, columns)


def open_page(
    titles: Sequence[str],
    heights: Sequence[float],
    *,
    columns: int = COLUMNS,
    width: float | None = None,
    share: bool = False,
) -> tuple[Figure, np.ndarray]:
    """A figure as wide as a page, with a panel for each title.

    Args:
        titles: of the panels, wrapped so that neighbours do not meet.
        heights: inches of the axes that a panel stacks; two heights, two axes.
        columns: panels in a row, at most: five panels in four columns take two rows.
        width: inches of what a panel shows, where that is less than `panel_width`.
        share: whether the axes have one vertical scale, as curves do; pictures keep their
            proportions instead.

    Returns:
        The figure and its axes, an array (panels, heights).
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    titles = [wrap(title, width or panel_width(columns)) for title in titles]
    margin = 0.3 + 0.17 * max(title.count("\n") + 1 for title in titles)  # titles, axis labels
    figure, grid = plt.subplots(
        rows * len(heights), columns, figsize=(WIDTH, rows * (sum(heights) + margin)), dpi=DPI,
        height_ratios=list(heights) * rows, squeeze=False, sharey=share,
        layout="constrained" if share else "compressed",
    )  # fmt: skip
    panels = grid.reshape(rows, len(heights), columns).swapaxes(1, 2).reshape(-1, len(heights))
    for title, panel in zip(titles, panels, strict=False):
        panel[0].set_title(title, fontsize=10)
    for ax in panels[len(titles) :].flat:
        ax.axis("off")
    keep_width(figure)
    return figure, panels[: len(titles)]


def keep_width(figure: Figure) -> None:
    """An unseen frame: Jupyter cuts off empty margins, so pages would differ in width."""
    frame = {"fill": False, "lw": 0, "transform": figure.transFigure}
    figure.add_artist(Rectangle((0, 0), 1, 1, **frame))


def add_legend(figure: Figure, handles: Sequence, *, below: bool = False) -> None:
    """One legend for all panels, at their right or below them; none without handles."""
    if len(handles) == 0:
        return
    names = [wrap(handle.get_label(), WIDTH / 4 if below else BESIDE) for handle in handles]
    place, columns = ("outside lower center", 4) if below else ("outside right upper", 1)
    figure.legend(handles, names, loc=place, ncols=columns, fontsize=9)
    if below:
        figure.set_figheight(figure.get_figheight() + 0.35 * -(-len(names) // columns))


def wrap(text: str, width: float) -> str:
    """Lines that fit a width in inches: 11 letters of 10 points take an inch; words stay whole."""
    return textwrap.fill(text, max(int(11 * width), 8), break_long_words=False)
