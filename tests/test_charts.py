"""Charts: what is drawn, on which scale, in which colour, under which name."""

import io
from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from lib import charts
from lib.charts import by_epoch, show_bars, show_curves, show_histograms, show_network
from lib.models import large_kernel_autoencoder, resunet3d, unet_3l
from lib.pages import DPI, WIDTH


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def names(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def luminance(colour):
    """As sRGB defines it (IEC 61966-2-1)."""
    values = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], values))


def test_colours_and_markers_differ_and_stand_out_from_white():
    assert len(set(charts.COLOURS)) == len(set(charts.MARKERS)) == len(charts.COLOURS)
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in charts.COLOURS)


def test_curves_in_one_panel():
    figure = show_curves(
        {"U-Net": ([1, 2, 4], [3, 2, np.nan]), "RL": (np.arange(2), [5, 6])},
        x="time (s)", y="RMSE (mm)", title="beads",
    )  # fmt: skip
    (ax,) = figure.axes
    assert np.array_equal(ax.lines[0].get_xydata(), [[1, 3], [2, 2], [4, np.nan]], equal_nan=True)
    assert ax.lines[1].get_xydata().tolist() == [[0, 5], [1, 6]]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("time (s)", "RMSE (mm)", "")
    assert figure.get_suptitle() == "beads" and names(figure) == ["U-Net", "RL"]
    first, second = ax.lines
    assert first.get_color() != second.get_color() and first.get_marker() != second.get_marker()
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "linear")


def test_panels_share_the_scale_and_a_name_its_colour():
    left = {"U-Net": ([1], [3]), "RL": ([1, 2], [5, 90])}
    figure = show_curves({"beads": left, "brain": {"RL": ([1], [-7])}}, x="epoch", y="loss")
    a, b = figure.axes
    assert a.get_ylim() == b.get_ylim() and a.get_ylim()[0] < -7 and a.get_ylim()[1] > 90
    assert [ax.get_title() for ax in (a, b)] == ["beads", "brain"]
    assert [ax.get_xlabel() for ax in (a, b)] == ["epoch", "epoch"] and a.get_ylabel() == "loss"
    assert a.lines[1].get_color() == b.lines[0].get_color() != a.lines[0].get_color()
    assert a.lines[1].get_marker() == b.lines[0].get_marker() != a.lines[0].get_marker()
    assert names(figure) == ["U-Net", "RL"]


def test_runs_are_a_mean_and_a_band_from_lowest_to_highest():
    runs = [[1, 4, 7], [3, 4, 1], [2, 1, np.nan]]
    figure = show_curves({"three": ([0, 5, 9], runs), "one": ([0, 5], [2, 3])}, x="", y="")
    (ax,) = figure.axes
    three, one = ax.lines
    assert np.array_equal(three.get_xydata(), [[0, 2], [5, 3], [9, np.nan]], equal_nan=True)
    assert one.get_xydata().tolist() == [[0, 2], [5, 3]]
    (band,) = ax.collections
    corners = {tuple(corner) for path in band.get_paths() for corner in path.vertices.tolist()}
    assert corners == {(0, 1), (0, 3), (5, 1), (5, 4)}
    assert to_hex(band.get_facecolor()[0]) == three.get_color()
    assert names(figure) == ["three", "one"]


def test_curves_on_each_other_are_marked_at_different_points():
    same = np.arange(20), np.ones(20)
    figure = show_curves({"a": same, "b": same}, x="x", y="y")
    assert [line.get_markevery() for line in figure.axes[0].lines] == [(0, 2), (1, 2)]


@pytest.mark.parametrize(("xs", "whole"), [([1, 2, 3], True), ([1, 2.5, 3], False)])
def test_whole_numbers_have_whole_ticks(xs, whole):
    figure = show_curves({"a": (xs, xs)}, x="epoch", y="y")
    ticks = figure.axes[0].get_xticks()
    assert np.all(np.mod(ticks, 1) == 0) == whole


def test_long_curves_have_few_markers():
    long, short = np.arange(1000), np.arange(charts.MARKED)
    (ax,) = show_curves({"long": (long, long), "short": (short, short)}, x="", y="").axes
    assert [line.get_markevery() for line in ax.lines] == [(0, 1000 / charts.MARKED), (0, 1)]


def test_more_than_four_panels_wrap():
    figure = show_curves({f"{i}": {"a": ([1, 2], [3, i])} for i in range(6)}, x="", y="")
    figure.canvas.draw()
    shown = [ax for ax in figure.axes if ax.lines]
    assert len({round(ax.get_position().y0, 3) for ax in shown}) == 2
    assert len({ax.get_ylim() for ax in shown}) == 1 and len(shown) == 6


def test_the_legend_stands_beside_the_data_however_long_its_names():
    for count in (1, 4):
        own = {"a name that would take half of the page": ([1, 2], [3, 4])}
        figure = show_curves({f"{i}": own for i in range(count)}, x="x", y="y", title="title")
        figure.canvas.draw()
        (legend,) = figure.legends
        left, _, right, _ = legend.get_window_extent().extents
        assert all(ax.get_tightbbox().x1 <= left for ax in figure.axes) and right <= WIDTH * DPI
        assert left > 0.75 * WIDTH * DPI


def test_long_names_of_groups_wrap():
    figure = show_bars({f"a group of a long name {i}": {"a": 1} for i in range(8)}, y="y")
    figure.canvas.draw()
    ticks = figure.axes[0].get_xticklabels()
    boxes = [tick.get_window_extent().extents for tick in ticks]
    assert all(a[2] <= b[0] for a, b in pairwise(boxes))
    assert ticks[3].get_text().split() == ["a", "group", "of", "a", "long", "name", "3"]


def test_bars_with_a_line_to_compare_with():
    assert not show_bars({"a": {"m": 2}}, y="y").axes[0].lines
    (line,) = show_bars({"a": {"m": 2}, "b": {"m": 1}}, y="y", line=1.5).axes[0].lines
    assert list(line.get_ydata()) == [1.5, 1.5]


@pytest.mark.parametrize("log_y, scale", [(True, "log"), (False, "linear")])
def test_a_logarithmic_axis(log_y, scale):
    panel = {"a": ([1, 10], [1, np.nan])}
    figure = show_curves({"left": panel, "right": panel}, x="", y="", log_y=log_y)
    assert [ax.get_yscale() for ax in figure.axes] == [scale] * 2


def test_bars_are_means_and_dots_the_values():
    figure = show_bars(
        {"beads": {"U-Net": [0.7, 0.9], "RL": 0.5}, "lens": {"RL": (0.25,), "Wiener": [1, 2, 6]}},
        y="correlation", title="methods",
    )  # fmt: skip
    (ax,) = figure.axes
    bars = {to_hex(bar.get_facecolor()): [] for bar in ax.patches}
    for bar in ax.patches:
        middle = bar.get_x() + bar.get_width() / 2
        bars[to_hex(bar.get_facecolor())].append([middle, bar.get_height()])
    w = 0.8 / 3
    expected = [[-w, 0.8]], [[0, 0.5], [1, 0.25]], [[1 + w, 3]]
    for found, places in zip(bars.values(), expected, strict=True):
        np.testing.assert_allclose(found, places, atol=1e-12)
    several, more = ax.lines
    np.testing.assert_allclose(several.get_xydata(), [[-w, 0.7], [-w, 0.9]])
    np.testing.assert_allclose(more.get_xydata(), [[1 + w, 1], [1 + w, 2], [1 + w, 6]])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["beads", "lens"]
    assert ax.get_ylabel() == "correlation" and figure.get_suptitle() == "methods"
    assert names(figure) == ["U-Net", "RL", "Wiener"] and list(bars) == list(charts.COLOURS[:3])


def test_losses_by_epoch():
    history = {"loss": [3, 2, 1], "val_loss": [4, 3, 3], "dice": [0, 0, 0]}
    (ax,) = show_curves(by_epoch(history), x="epoch", y="mse").axes
    assert [line.get_label() for line in ax.lines] == ["training", "validation"]
    assert ax.lines[1].get_xydata().tolist() == [[1, 4], [2, 3], [3, 3]]
    assert list(by_epoch({"loss": [2.5]})) == ["training"]


def test_histograms_count_the_positive():
    figure = show_histograms({"a": [[-1, 0, 2], [3, 3, 4]], "b": np.ones(7)}, bins=4, unit="HU")
    counts = [sum(bar.get_height() for bar in ax.patches) for ax in figure.axes]
    assert counts == [4, 7] and len(figure.axes[0].patches) == 4
    assert figure.axes[0].get_yscale() == "log" and figure.axes[1].get_xlabel() == "HU"
    assert isinstance(show_histograms({"nothing": np.zeros(3)}), Figure)


def boxes(figure):
    """Height and width of each, in log2."""
    return [(box.get_height(), 4 * box.get_width()) for box in figure.axes[0].patches]


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def dashes(figure):
    """Between which boxes, and how high above the middle."""
    ax, found = figure.axes[0], []
    starts = [round(box.get_x(), 6) for box in ax.patches]
    ends = [round(box.get_x() + box.get_width(), 6) for box in ax.patches]
    for line in ax.lines:
        (left, right), (level, _) = line.get_data()
        found.append((ends.index(round(left, 6)), starts.index(round(right, 6)), 2 * level))
    return found


def test_a_network_is_drawn_block_by_block():
    """Filters 1 at 32^3: widths 4 8 16 32 64 down, 16 8 4 2 up, extents halved and doubled."""
    figure = show_network(resunet3d(1, input_shape=(32, 32, 32, 1)), title="residual")
    extents, widths = (32, 16, 8, 4, 2, 4, 8, 16, 32), (4, 8, 16, 32, 64, 16, 8, 4, 2)
    assert labels(figure) == [f"{e}³\n× {w}" for e, w in zip(extents, widths, strict=True)]
    assert dashes(figure) == [(3, 5, 2), (2, 6, 3), (1, 7, 4), (0, 8, 5)]
    expected = [(np.log2(e), np.log2(w)) for e, w in zip(extents, widths, strict=True)]
    np.testing.assert_allclose(boxes(figure), expected)
    assert figure.axes[0].get_title() == "residual"


def test_a_network_of_unequal_extents():
    """Two convolutions a level down, one before and two after each joint up, f to f, 2f at last."""
    figure = show_network(unet_3l(input_shape=(64, 64, 32, 1)), "Conv3D")
    assert labels(figure) == [
        "64×64×32\n× 8", "\n× 8", "32×32×16\n× 16", "\n× 16", "16×16×8\n× 32", "\n× 32",
        "32×32×16\n× 16", "\n× 16", "\n× 16", "64×64×32\n× 8", "\n× 8", "\n× 16", "\n× 1",
    ]  # fmt: skip
    assert dashes(figure) == [(3, 6, 5), (1, 9, 6)], "across the U, not between neighbours"
    assert [height for height, _ in boxes(figure)] == [6, 6, 5, 5, 4, 4, 5, 5, 5, 6, 6, 6, 6]
    assert boxes(figure)[-1] == (6, 0.5), "one channel is seen"


def test_a_chain_of_any_class_has_no_dashes():
    chain = show_network(large_kernel_autoencoder((64, 64, 32, 1)), "FourierConv3D")
    assert labels(chain) == ["64×64×32\n× 4", "\n× 4", "\n× 1"] and not dashes(chain)
    low, high = chain.axes[0].get_xlim()
    assert high - low == pytest.approx(charts.NARROWEST - 0.3), "three boxes are not blown up"
    assert low + high == pytest.approx(chain.axes[0].patches[-1].get_x() + 0.125)


def test_a_network_of_several_classes():
    model = unet_3l(input_shape=(8, 12, 4, 1), first_filters=2)
    both = labels(show_network(model, ["Concatenate", "MaxPooling3D"]))
    assert both == ["4×6×2\n× 2", "2×3×1\n× 4", "4×6×2\n× 8", "8×12×4\n× 4"]


@pytest.mark.parametrize(("block", "extent"), [("Nothing", 16), ("Add", None)])
def test_a_network_without_known_blocks_is_refused(block, extent):
    with pytest.raises(ValueError, match=f"block='{block}'"):
        show_network(resunet3d(1, input_shape=(extent, extent, extent, 1)), block)


@pytest.mark.filterwarnings("error")
def test_all_can_be_drawn():
    many = {f"method {i}": ([1, 2], [i + 1, i + 2]) for i in range(len(charts.COLOURS))}
    for figure in (
        show_histograms({"a": np.arange(9)}),
        show_curves(many, x="x", y="y", log_y=True),
        show_bars({"a": {name: ys for name, (_, ys) in many.items()}}, y="y"),
    ):
        assert figure.dpi == DPI and figure.get_figwidth() == WIDTH
        figure.savefig(target := io.BytesIO(), format="png")
        assert target.tell() > 1000


NINE = {str(i): ([1], [1]) for i in range(9)}


def curves(*panels, **log):
    return lambda: show_curves(*panels, x="x", y="y", **log)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: show_histograms({}), "arrays is empty"),
        (curves({}), r"curves=\[\]: give curves, or panels"),
        (curves({"a": ([1], [1]), "b": NINE}), r"curves=\['a', 'b'\]: give curves, or panels"),
        (curves({"a": NINE, "b": {}}), "curves holds .*'b': {}.*: give at least one"),
        (curves({"a": ([1, 2], [1])}), r"'a': xs has shape \(2,\), ys \(1,\): needed"),
        (curves({"loss": [3, 2, 1]}), r"'loss': xs has shape \(\), ys \(3,\): needed is a pair"),
        (curves({"a": ([1, 2], np.ones((2, 2, 2)))}), r"ys \(2, 2, 2\)"),
        (curves({"a": ([1, 2], np.ones((0, 2)))}), r"ys \(0, 2\)"),
        (curves(NINE), "curves holds 9 names: at most 8"),
        (curves({"a": ([1, 2], [-3, 1])}, log_y=True), "'a' holds y=-3: log_y"),
        (lambda: show_bars({}, y=""), "groups holds {}: give at least one"),
        (lambda: show_bars({"a": {"m": []}}, y=""), r"'a', 'm' is \[\]: give one finite"),
        (lambda: show_bars({"a": {"m": [1, np.nan]}}, y=""), "'a', 'm' is .*nan"),
        (lambda: show_bars({"a": {"m": 1}}, y="", line=np.nan), "line=nan: give one finite number"),
        (lambda: show_bars({"a": {"m": [1, None]}}, y=""), r"'a', 'm' is \[1 None\]"),
        (lambda: show_bars({"a": {str(i): i for i in range(9)}}, y=""), "groups holds 9 names"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
