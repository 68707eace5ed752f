"""The page that a figure fills: its width, its panels in rows, what stands beside them."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DPI, WIDTH = 100, 9.4  # 940 pixels: the width of a notebook's page
BESIDE = 1.1  # inches, for what stands beside the panels
GAP = 0.3  # inches, for the axis label of each panel
COLUMNS = 4  # panels in a row


def panel_width(count: int, columns: int = COLUMNS) -> float:
    """Inches that each of ``count`` panels in rows of ``columns`` may fill."""
    return (WIDTH - BESIDE) / min(count, columns) - GAP


def open_page(
    titles: Sequence[str],
    heights: Sequence[float],
    *,
    columns: int = COLUMNS,
    widths: Sequence[float] = (),
    share: bool = False,
) -> tuple[Figure, np.ndarray]:
    """A figure as wide as a page, with a panel for each title.

    Args:
        titles: of the panels, wrapped so that neighbours do not meet.
        heights: inches of the axes that a panel stacks; two heights, two axes.
        columns: panels in a row, at most: five panels in four columns take two rows.
        widths: inches of what each panel of a row shows; none: `panel_width`. What they do not need
            of the page is left free at both sides.
        share: whether the axes have one vertical scale.

    Returns:
        The figure and its axes, an array (panels, heights).
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    widths = widths or [panel_width(columns)] * columns
    titles = [wrap(title, widths[n % columns]) for n, title in enumerate(titles)]
    margin = 0.35 + 0.18 * max(title.count("\n") + 1 for title in titles)  # titles, axis labels
    figure, grid = plt.subplots(
        rows * len(heights), columns, figsize=(WIDTH, rows * (sum(heights) + margin)), dpi=DPI,
        height_ratios=list(heights) * rows, width_ratios=widths, squeeze=False, sharey=share,
        layout="constrained",
    )  # fmt: skip
    panels = grid.reshape(rows, len(heights), columns).swapaxes(1, 2).reshape(-1, len(heights))
    for title, panel in zip(titles, panels, strict=False):
        panel[0].set_title(title, fontsize=10)
    for ax in panels[len(titles) :].flat:
        ax.axis("off")
    fill_page(figure, sum(widths) + columns * GAP + BESIDE)
    return figure, panels[: len(titles)]


def fill_page(figure: Figure, width: float = WIDTH) -> None:
    """Put what needs ``width`` inches in the middle of the page, with an unseen frame around all.

    Jupyter cuts off empty margins, so without the frame figures would differ in width.
    """
    share = min(width / WIDTH, 1)
    figure.get_layout_engine().set(rect=((1 - share) / 2, 0, share, 1), h_pad=0.07)
    frame = {"fill": False, "lw": 0, "transform": figure.transFigure}
    figure.add_artist(Rectangle((0, 0), 1, 1, **frame))


def add_legend(figure: Figure, handles: Sequence, *, below: bool = False) -> None:
    """One legend for all panels, at their right or below them; none without handles."""
    if len(handles) == 0:
        return
    names = [wrap(handle.get_label(), WIDTH / 4 if below else 1.4) for handle in handles]
    place, columns = ("outside lower center", 4) if below else ("outside right upper", 1)
    figure.legend(handles, names, loc=place, ncols=columns, fontsize=9)
    if below:
        figure.set_figheight(figure.get_figheight() + 0.35 * -(-len(names) // columns))


def wrap(text: str, width: float) -> str:
    """Lines that fit a width in inches: 12 letters of 10 points take an inch; words stay whole."""
    return textwrap.fill(text, max(int(12 * width), 8), break_long_words=False)
