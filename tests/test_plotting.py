"""Figures: the right plane, the right way up, at the right proportions, on one scale."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lib import plotting
from lib.pages import DPI, WIDTH
from lib.plotting import (
    HIT_COLOURS,
    compare,
    compare_brightest,
    patch_mosaic,
    show_hits,
    show_slices,
)
from lib.volumes import Volume

SPACING = (1, 2, 4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def volume(*shape, spacing=SPACING, start=0, name="brain"):
    data = np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume.with_spacing(data, spacing, name)


def pictures(figure):
    """The panels that show an image."""
    return [ax for ax in figure.axes if ax.images]


def drawn(ax):
    return np.asarray(ax.images[0].get_array())


def box(*shape):
    mask = np.zeros(shape, bool)
    mask[1:3, 1:4, 1:5] = True
    return mask


V = volume(4, 5, 6)


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


@pytest.mark.parametrize("axis, aspect", [(0, 4 / 2), (1, 4 / 1), (2, 2 / 1)])
def test_the_plane_the_way_up_and_the_proportions(axis, aspect):
    (ax,) = pictures(compare({"a": V}, axis, 2))
    first, second = (a for a in range(3) if a != axis)
    image = drawn(ax)
    assert image.shape == (V.data.shape[second], V.data.shape[first])
    for column, row in np.ndindex(V.data.shape[first], V.data.shape[second]):
        voxel = [0, 0, 0]
        voxel[axis], voxel[first], voxel[second] = 2, column, row
        assert image[row, column] == V.data[tuple(voxel)]
    assert ax.images[0].origin == "lower" and not ax.yaxis_inverted(), "the second axis is up"
    assert ax.get_aspect() == aspect and ax.images[0].get_interpolation() == "nearest"
    assert ax.get_xlabel() == f"{'xyz'[first]} →" and ax.get_ylabel() == f"{'xyz'[second]} →"


@pytest.mark.parametrize("at, planes", [(None, (2, 2, 3)), ((1, 0, 5), (1, 0, 5)), (3, (3, 3, 3))])
def test_show_slices(at, planes):
    figure = show_slices(V, at)
    axes = pictures(figure)
    assert isinstance(figure, Figure) and len(axes) == 3
    for axis, (ax, index) in enumerate(zip(axes, planes, strict=True)):
        assert np.array_equal(drawn(ax), np.take(V.data, index, axis).T)
        assert ax.get_title() == f"{'xyz'[axis]} = {index}"
        assert ax.images[0].get_clim() == (0, 119), "the volume's, not the plane's"
    assert figure.get_suptitle() == "brain"
    assert show_slices(V, title="T1").get_suptitle() == "T1"


@pytest.mark.parametrize("extents", [(20, 24, 19), (24, 20, 40), (90, 40, 5)])
def test_the_three_planes_have_nearly_one_scale(extents):
    figure = show_slices(volume(*extents, spacing=1))
    figure.canvas.draw()
    scales = []
    for ax, (width, height) in zip(pictures(figure), [(1, 2), (0, 2), (0, 1)], strict=True):
        box = ax.get_window_extent()
        scales += [box.width / extents[width], box.height / extents[height]]
    assert max(scales) / min(scales) < 1.1


def test_limits_and_colours_may_be_given():
    for figure in (
        show_slices(V, limits=(-1, 7), cmap="hot"),
        compare({"a": V, "b": V}, 0, 0, limits=(-1, 7), cmap="hot"),
    ):
        assert {ax.images[0].get_clim() for ax in pictures(figure)} == {(-1, 7)}
        assert {ax.images[0].get_cmap().name for ax in pictures(figure)} == {"hot"}


def test_what_is_compared_shares_one_scale():
    figure = compare({"input": V, "output": volume(4, 5, 6, start=-50)}, 2, 1)
    axes = pictures(figure)
    assert [ax.get_title() for ax in axes] == ["input", "output"]
    assert {ax.images[0].get_clim() for ax in axes} == {(-49, 115)}  # of the planes that are shown
    assert len(figure.axes) == 3, "two pictures and one colour bar"


def test_what_a_notebook_draws_on_a_picture_leaves_its_limits():
    (ax,) = pictures(compare({"a": V}, 2, 1))
    ax.add_patch(matplotlib.patches.Rectangle((-0.5, -0.5), 4, 5))
    ax.figure.canvas.draw()
    assert ax.get_xlim() == (-0.5, 3.5) and ax.get_ylim() == (-0.5, 4.5)


def test_masks_have_no_colour_bar():
    mask = Volume.with_spacing(box(4, 5, 6), 1)
    assert len(compare({"truth": mask, "found": mask}, 2, 1).axes) == 2
    assert len(compare({"truth": mask, "image": V}, 2, 1).axes) == 3
    assert len(show_slices(mask).axes) == 3
    assert len(patch_mosaic(mask.data[None]).axes) == 1


def places(figure):
    """Where each panel lies on the page once it is drawn: (left, bottom, right, top)."""
    figure.canvas.draw()
    return [ax.get_tightbbox().extents for ax in pictures(figure)]


@pytest.mark.parametrize("count, columns, rows", [(3, 4, 1), (4, 4, 1), (5, 4, 2), (5, 2, 3)])
def test_five_panels_take_two_rows(count, columns, rows):
    figure = compare({f"{i}": V for i in range(count)}, 2, 1, columns=columns)
    boxes = places(figure)
    assert len({round(bottom) for _, bottom, _, _ in boxes}) == rows
    assert len({round(left) for left, *_ in boxes}) == min(count, columns)
    assert [ax.get_title() for ax in pictures(figure)] == [f"{i}" for i in range(count)]


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_figure_fills_the_page_and_no_title_meets_its_neighbour(count):
    title = "a title that takes more room than a quarter of the page has, number"
    volumes = {f"{title} {i}": volume(20, 24, 19, spacing=1) for i in range(count)}
    masks = {"a mask": box(20, 24, 19)}
    zoom = slice(2, 10), slice(2, 10)
    for figure in (
        compare(volumes, 2, 9),
        compare(volumes, 2, 9, zoom=zoom, labels=dict.fromkeys(volumes, masks)),
        patch_mosaic(np.stack([v.data for v in volumes.values()])),
    ):
        assert figure.get_figwidth() == WIDTH and figure.dpi == DPI
        boxes = [*places(figure), *(bar.get_window_extent().extents for bar in figure.legends)]
        for i, (left, bottom, right, top) in enumerate(boxes):
            assert left >= 0 and right <= WIDTH * DPI and bottom >= 0
            assert top <= figure.get_figheight() * DPI + 1
            for other in boxes[:i]:
                apart = left >= other[2] or right <= other[0] or bottom >= other[3] - 1
                assert apart or top <= other[1] + 1, (boxes[i], other)


def test_hits_misses_and_false_alarms():
    truth, mask = np.zeros((2, 4, 5, 6))
    truth[1, 2, 3] = truth[1, 2, 4] = 1
    mask[1, 2, 4] = mask[1, 3, 4] = 1
    figure = show_hits(V, truth, {"a": mask}, 0, 1)
    (ax,) = pictures(figure)
    gray, overlay = ax.images
    assert np.array_equal(gray.get_array(), V.data[1].T) and ax.get_aspect() == 4 / 2
    expected = {(3, 2): "miss", (4, 2): "hit", (4, 3): "false alarm"}  # (row, column)
    colours = np.asarray(overlay.get_array())
    for place, name in expected.items():
        assert matplotlib.colors.to_hex(colours[place]) == HIT_COLOURS[name]
    assert np.count_nonzero(colours[..., 3]) == 3, "clear elsewhere"
    assert legend(figure) == ["hit", "miss", "false alarm"] and len(figure.axes) == 1


def test_hits_of_two_masks_side_by_side_enlarged_above():
    mask = box(4, 5, 6)
    figure = show_hits(V, mask, {"a": mask, "b": ~mask}, 1, 2, zoom=(slice(1, 3), slice(2, 6)))
    window, other, whole, _ = pictures(figure)
    assert [window.get_title(), other.get_title()] == ["a", "b"]
    assert whole.get_xlim() == (-0.5, 3.5) and whole.get_ylim() == (-0.5, 5.5)
    assert window.get_xlim() == (0.5, 2.5) and window.get_ylim() == (1.5, 5.5)
    assert not np.array_equal(window.images[1].get_array(), other.images[1].get_array())
    assert len(whole.patches) == 1


@pytest.mark.parametrize(
    "extent, spacing, length",
    [
        (40, 1, "10 mm"),
        (40, 1 - 2.3e-16, "10 mm"),  # a spacing as it comes from an oblique affine
        (400, 10 - 1.8e-15, "1000 mm"),
        (30, 1, "5 mm"),
        (12, 1, "2 mm"),
        (8, 0.1, "0.2 mm"),
        (1, 1, "0.2 mm"),
    ],
)
def test_the_bar_is_a_round_number_of_mm(extent, spacing, length):
    (ax,) = pictures(compare({"a": volume(extent, 3, 3, spacing=spacing)}, 2, 1))
    assert [text.get_text() for text in ax.texts] == [length]
    start, end = ax.lines[0].get_xdata()
    assert end - start == pytest.approx(float(length[:-3]) / (extent * spacing))
    assert ax.lines[0].get_transform() == ax.transAxes


@pytest.mark.parametrize("unit, ending", [({}, " mm"), ({"unit": "voxels"}, " voxels")])
def test_the_bar_speaks_the_unit_that_is_given(unit, ending):
    for figure in (
        compare({"a": V, "b": V}, 2, 1, **unit),
        show_slices(V, **unit),
        patch_mosaic(V.data[None], **unit),
    ):
        texts = [text.get_text() for ax in pictures(figure) for text in ax.texts]
        assert texts and all(text.endswith(ending) for text in texts)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 600), st.floats(1e-4, 1e4))
@example(40, np.nextafter(1, 0))
def test_the_bar_takes_a_tenth_to_a_quarter_of_the_width(extent, spacing):
    figure = Figure()
    ax = figure.subplots()
    plotting._scale_bar(ax, extent, spacing, "mm")
    start, end = ax.lines[0].get_xdata()
    assert 0.0999 < end - start < 0.2501


@pytest.mark.parametrize(
    "zoom, xlim, ylim",
    [
        ((slice(1, 3), slice(2, 6)), (0.5, 2.5), (1.5, 5.5)),
        ((slice(None, 3), slice(2, None)), (-0.5, 2.5), (1.5, 5.5)),
        ((slice(-2, None), slice(0, 99)), (1.5, 3.5), (-0.5, 5.5)),
    ],
)
def test_zoom(zoom, xlim, ylim):
    above_a, above_b, below_a, below_b = pictures(compare({"a": V, "b": V}, 1, 2, zoom=zoom))
    for above, below in ((above_a, below_a), (above_b, below_b)):
        assert above.get_xlim() == xlim and above.get_ylim() == ylim
        assert below.get_xlim() == (-0.5, 3.5) and below.get_ylim() == (-0.5, 5.5)
        (frame,) = below.patches
        assert (frame.get_x(), frame.get_y()) == (xlim[0], ylim[0])
        assert (frame.get_width(), frame.get_height()) == (np.ptp(xlim), np.ptp(ylim))
        assert not above.texts and not above.lines, "the bar measures the whole plane"
        assert below.texts and above.get_aspect() == below.get_aspect() == 4


def test_outlines_and_their_legend():
    masks = {"gray": box(4, 5, 6), "none": np.zeros((4, 5, 6)), "all": np.ones((4, 5, 6))}
    figure = compare({"a": V, "b": V}, 0, 1, labels={"b": masks})
    a, b = pictures(figure)
    assert not a.collections
    (outline,) = b.collections
    corners = np.concatenate([path.vertices for path in outline.get_paths()])
    assert corners.min(0).tolist() == [0.5, 0.5] and corners.max(0).tolist() == [3.5, 4.5]
    assert legend(figure) == list(masks)
    colour = matplotlib.colors.to_rgba(plotting.LABEL_COLOURS[0])
    assert tuple(outline.get_edgecolor()[0]) == colour
    assert figure.legends[0].get_lines()[0].get_color() == plotting.LABEL_COLOURS[0]


def test_a_name_has_one_colour_on_all_volumes():
    mask = box(4, 5, 6)
    labels = {"a": {"SPM": mask, "N4": mask}, "b": {"network": mask, "SPM": mask}}
    figure = compare({"a": V, "b": V}, 0, 1, labels=labels)
    of_a, of_b = (
        [matplotlib.colors.to_hex(line.get_edgecolor()[0]) for line in ax.collections]
        for ax in pictures(figure)
    )
    spm, n4, network = plotting.LABEL_COLOURS[:3]
    assert legend(figure) == ["SPM", "N4", "network"]
    assert of_a == [spm, n4] and of_b == [network, spm]


def test_slices_have_outlines_too_however_thin():
    figure = show_slices(V, (1, 1, 1), labels={"gray": box(4, 5, 6)})
    assert [len(ax.collections) for ax in pictures(figure)] == [1, 1, 1]
    thin = np.array([[[0], [1], [1]], [[0], [1], [0]], [[0], [0], [0]]])
    figure = show_slices(volume(3, 3, 1), (0, 0, 0), labels={"thin": thin})
    assert [len(ax.collections) for ax in pictures(figure)] == [0, 0, 1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_projection_holds_the_brightest_of_each_line(axis):
    data = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    figure = compare_brightest({"beads": data, "black": 0 * data}, axis, limits=None)
    beads, black = pictures(figure)
    assert np.array_equal(drawn(beads), np.sort(data, axis).take(-1, axis).T)
    assert beads.images[0].get_clim() == black.images[0].get_clim()
    assert beads.get_title() == "beads" and beads.get_aspect() == 1


def test_mosaic():
    patches = volume(7, 4, 3, 2).data
    figure = patch_mosaic(patches, spacing=SPACING)
    axes = pictures(figure)
    for number, ax in enumerate(axes):
        assert np.array_equal(drawn(ax), patches[number, :, :, 1].T)
        assert ax.get_title() == f"patch {number}" and ax.get_aspect() == 2
        assert ax.images[0].get_clim() == (0, 167)
    assert len(axes) == 7 and len(figure.axes) == 9, "one place is empty, one holds the colour bar"
    assert not figure.axes[7].axison


@pytest.mark.filterwarnings("error")
def test_all_can_be_drawn():
    masks = {str(i): box(4, 5, 6) for i in range(len(plotting.LABEL_COLOURS))}
    zoom = slice(1, 3), slice(2, 4)
    for figure in (
        show_slices(V, labels=masks),
        compare({"a": V, "b": V}, 1, 2, labels={"a": masks}, zoom=zoom),
        compare({"constant": Volume.with_spacing(np.zeros((3, 3, 3)), 1)}, 0, 0),
        patch_mosaic(np.ones((3, 4, 4, 4)) > 0),
        show_hits(V, masks["0"], masks, 1, 2, zoom=zoom),
    ):
        figure.savefig(target := io.BytesIO(), format="png")
        assert target.tell() > 1000


OTHER, CHANNELS = volume(4, 5, 7), Volume.with_spacing(np.zeros((4, 5, 6, 2)), 1)
MANY = {str(i): box(4, 5, 6) for i in range(9)}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: compare({"a": V, "b": OTHER}, 0, 0), r"'b' has shape \(4, 5, 7\): needed"),
        (lambda: compare({"a": CHANNELS}, 0, 0), r"'a' has shape \(4, 5, 6, 2\)"),
        (lambda: compare({"a": V}, 0, 0, labels={"a": {"m": OTHER.data}}), r"'m' has shape"),
        (lambda: compare({"a": V}, 0, 0, labels={"b": {}}), r"labels=\['b'\]: titles must agree"),
        (lambda: compare({}, 0, 0), r"volumes=\[\]"),
        (lambda: compare({"a": V}, -1, 0), "axis=-1"),
        (lambda: compare({"a": V}, 1, 5), r"axis=1, index=5: .* \(4, 5, 6\)"),
        (lambda: compare({"a": V}, 1, -1), "index=-1"),
        (lambda: compare({"a": V}, 0, 0, zoom=(slice(3, 3), slice(0, 2))), "zoom=.*nothing"),
        (lambda: compare({"a": V}, 0, 0, zoom=(slice(0, 2), slice(9, 12))), "zoom="),
        (lambda: show_slices(V, (1, 1)), r"at=\(1, 1\)"),
        (lambda: show_slices(V, (1, 1, 6)), "axis=2, index=6"),
        (lambda: show_slices(V, labels={"m": box(4, 5, 5)}), r"'m' has shape \(4, 5, 5\)"),
        (lambda: show_slices(V, labels=MANY), "labels holds 9 masks: at most 8"),
        (lambda: show_hits(V, box(4, 5, 6), {"a": box(4, 5, 5)}, 0, 0), "has shape"),
        (lambda: show_hits(V, V.data, {"a": V.data}, 0, 4), "axis=0, index=4"),
        (lambda: patch_mosaic(np.zeros((2, 4, 4, 4, 1))), r"patches has shape \(2, 4, 4, 4, 1\)"),
        (lambda: patch_mosaic(np.zeros((0, 4, 4, 4))), "patches has shape"),
        (lambda: patch_mosaic(np.zeros((2, 4, 4, 4)), spacing=0), "spacing="),
        (lambda: compare_brightest({"a": V.data}, 3), "axis=3, index=0: no such plane"),
        (lambda: compare_brightest({}, 0), "volumes is empty"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
