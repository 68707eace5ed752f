"""Beads placed by hand: Gaussian blobs, whose centroids and second moments are known."""

import itertools

import numpy as np
import pytest
from blobs import CENTRES, blob, blobs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.microscopy.beads import (
    BeadMatch,
    bead_elongation,
    best_threshold,
    detect_beads,
    match_beads,
)

NONE = np.zeros((0, 3))


@pytest.mark.parametrize("scale, offset", [(1, 0), (40_000, 500), (1e-3, -7)])
@pytest.mark.parametrize("sigma", [1.2, (1.2, 1.2, 2.5)])
def test_centres_to_a_tenth_of_a_voxel_in_any_units(scale, offset, sigma):
    found = detect_beads(offset + scale * blobs(sigma=sigma), 0.3)
    np.testing.assert_allclose(found, CENTRES, atol=0.1)  # the highest first


def test_integer_volumes():
    found = detect_beads(np.round(50_000 * blobs()).astype(np.uint16), 0.3)
    np.testing.assert_allclose(found, CENTRES, atol=0.1)


def test_threshold_is_a_part_of_the_range():
    volume = 10 + blobs(heights=(1.0, 0.5, 0.25))  # maxima a little lower: off the grid
    assert [len(detect_beads(volume, t)) for t in (0.1, 0.4, 0.7)] == [3, 2, 1]


def test_beads_that_touch_come_apart():
    pair = np.array([(10, 10, 10), (10, 10, 14)])
    volume = blobs(pair, (1, 0.8), sigma=1.3)
    assert volume[10, 10, 12] > 0.5 * volume.max()  # one region at this threshold
    np.testing.assert_allclose(detect_beads(volume, 0.3), pair, atol=0.25)


def test_a_flat_top_is_one_bead_at_its_middle():
    volume = np.zeros((12, 12, 12), np.uint8)
    volume[2:6, 3:5, 7:10] = 200
    np.testing.assert_allclose(detect_beads(volume, 0.5), [(3.5, 3.5, 8)])


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_maxima_within_the_minimum_distance_are_one(distance):
    for shift in itertools.product((0, distance, -distance), repeat=3):
        if not any(shift):
            continue
        volume = np.zeros((9, 9, 9))
        volume[4, 4, 4] = volume[tuple(np.add(4, shift))] = 1
        assert len(detect_beads(volume, 0.5, distance)) == 1
        if distance > 1:
            assert len(detect_beads(volume, 0.5, distance - 1)) == 2


def test_the_brighter_of_two_near_maxima_counts():
    volume = np.zeros((9, 9, 9))
    volume[0, 4, 4], volume[2, 4, 4] = 1, 0.9
    np.testing.assert_array_equal(detect_beads(volume, 0.5), [(0, 4, 4)])


@pytest.mark.parametrize("place", [(0, 0, 0), (20, 5, 23), tuple(CENTRES[0].astype(int) + 1)])
def test_a_hot_pixel_is_no_bead_and_sets_no_scale(place):
    volume = blobs()
    volume[place] = 100
    np.testing.assert_allclose(detect_beads(volume, 0.3), CENTRES, atol=0.3)


def test_sharp_beads_on_a_background_are_no_hot_pixels():
    volume = np.random.default_rng(0).uniform(0, 0.01, (24, 24, 24))
    sharp = np.array(list(itertools.product((4, 12, 20), repeat=3)))  # 27 voxels, one a bead
    volume[tuple(sharp.T)] = np.linspace(0.6, 1, len(sharp))
    volume[8, 8, 8] = volume[8, 8, 9] = 0.05
    match = match_beads(sharp, detect_beads(volume, 0.5))
    assert (match.found, match.f1) == (27, 1)
    volume[16, 16, 16] = volume[0, 0, 0] = 9  # hot pixels
    assert match_beads(sharp, detect_beads(volume, 0.5)) == match


@pytest.mark.parametrize("size", [1, 2])
def test_labels_of_a_voxel_each_are_beads_beside_others_too(size):
    volume = np.zeros((12, 12, 12), np.uint8)
    volume[2, 2, 2] = volume[9, 3, 5] = volume[6 : 6 + size, 9, 9] = 1
    assert len(detect_beads(volume, 0.3)) == 3


def test_a_bead_at_the_border():
    np.testing.assert_allclose(detect_beads(blob((0, 21, 12)), 0.5), [(0, 21, 12)], atol=0.7)


@pytest.mark.parametrize("value", [0, 1, -3.5])
def test_a_constant_volume_holds_no_beads(value):
    assert detect_beads(np.full((5, 6, 7), value), 0.5).shape == (0, 3)


def test_match_by_hand():
    truth = [(0, 0, 0), (10, 0, 0), (20, 0, 0)]
    found = [(10.5, 1, 0), (0, -0.25, 1), (40, 0, 0), (50, 0, 0)]
    match = match_beads(truth, found)
    assert (match.truths, match.found, match.matched) == (3, 4, 2)
    assert (match.precision, match.recall, match.f1) == pytest.approx((2 / 4, 2 / 3, 4 / 7))
    assert match.errors == pytest.approx((0.25, 0.625, 0.5))


def test_no_bead_is_matched_twice():
    match = match_beads([(0, 0, 0)], [(1, 0, 0), (0, 0.5, 0)])
    assert (match.matched, match.precision, match.recall) == (1, 0.5, 1)
    assert match.errors == (0, 0.5, 0)  # the closer one


def test_many_pairs_go_before_close_ones():
    """Taking the closest pair (0.1) first would leave the other two beads alone."""
    match = match_beads([(0, 0, 0), (1.9, 0, 0)], [(1.8, 0, 0), (3.8, 0, 0)])
    assert match.matched == 2 and match.errors[0] == pytest.approx((1.8 + 1.9) / 2)


@pytest.mark.parametrize("radius, matched", [(0.99, 0), (1, 1), (3, 2)])
def test_the_radius_is_a_distance_in_space(radius, matched):
    truth, found = [(0, 0, 0), (9, 9, 9)], [(0, 0, 1), (8, 8, 7.5)]  # apart: 1 and 2.06
    assert match_beads(truth, found, radius).matched == matched


@pytest.mark.parametrize("truth, found, score", [(NONE, NONE, np.nan), (NONE, [(1, 2, 3)], 0.0),
                                                 ([(1, 2, 3)], NONE, 0.0),
                                                 ([(1, 2, 3)], [(9, 2, 3)], 0.0)])  # fmt: skip
def test_where_nothing_is_matched(truth, found, score):
    match, nan = match_beads(truth, found), (np.nan,) * 3
    expected = BeadMatch(len(truth), len(found), 0, *(score,) * 3, nan)
    assert repr(match) == repr(expected)  # NaN equals itself here


POINTS = arrays(float, st.tuples(st.integers(0, 4), st.just(3)), elements=st.integers(0, 3))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(POINTS, POINTS, st.sampled_from([0.5, 1.0, 1.5, 2.0]))
def test_no_assignment_has_more_pairs(truth, found, radius):
    few, many = sorted((truth, found), key=len)
    best = 0
    for chosen in itertools.permutations(range(len(many)), len(few)):
        apart = np.linalg.norm(few - many[list(chosen)], axis=1)
        best = max(best, int(np.sum(apart <= radius)))
    assert match_beads(truth, found, radius).matched == best


def test_best_threshold_parts_beads_from_a_ghost():
    first = blobs() + blob((18, 5, 5), height=0.4)  # a ghost of 0.4 beside beads down to 0.8
    second = 100 * blobs(CENTRES[:1]) + 7
    threshold, f1 = best_threshold([CENTRES, CENTRES[:1]], [first, second])
    assert f1 == 1 and 0.4 < threshold < 0.8
    assert threshold == pytest.approx(0.6)  # the middle one: 0.45, 0.5, ..., 0.75 all serve


def test_best_threshold_pools_the_volumes():
    """All three beads found; then three found where none are: 2 * 3 / (3 + 3 + 3)."""
    threshold, f1 = best_threshold([CENTRES, NONE], [blobs(), blobs()], levels=2)
    assert threshold == 0.5 and f1 == pytest.approx(6 / 9)


@pytest.mark.parametrize("sigma", [(1.5, 1.5, 3), (1, 2, 3), (2, 2, 2), (1.2, 1.8, 0.9)])
@pytest.mark.parametrize("scale, offset", [(1, 0), (3000, 900)])
def test_elongation_of_gaussian_blobs_is_the_ratio_of_their_widths(sigma, scale, offset):
    centre = (25.3, 25.6, 25.0)
    volume = offset + scale * blob(centre, sigma, shape=(50, 50, 50))
    expected = sigma[2] / ((sigma[0] + sigma[1]) / 2)
    window = [int(5 * s) for s in sigma]
    assert bead_elongation(volume, [centre], window) == pytest.approx(expected, rel=0.01)


def test_elongation_is_the_median_over_the_beads():
    longer = zip(CENTRES, (1.0, 1.5, 2.5), strict=True)
    volume = sum(blob(c, (1, 1, s)) for c, s in longer)
    assert bead_elongation(volume, CENTRES, (4, 4, 7)) == pytest.approx(1.5, rel=0.02)


def test_a_window_that_passes_the_border_is_cut():
    volume = blob((5, 16, 7.5), (1, 1, 1.5))
    assert bead_elongation(volume, [(5, 16, 7.5)], 9) == pytest.approx(1.5, rel=0.01)


def test_beads_without_width_are_left_out():
    volume = np.zeros((9, 9, 9))
    volume[4, 4, 4] = 1
    assert np.isnan(bead_elongation(volume, [(4, 4, 4)], 2))
    assert np.isnan(bead_elongation(volume, NONE))
    cross = volume.copy()
    cross[3:6, 4, 4] = cross[4, 3:6, 4] = cross[4, 4, 3:6] = 1
    assert bead_elongation(cross, [(4, 4, 4)], 3) == pytest.approx(1)


def test_a_centre_may_lie_anywhere_in_the_outermost_voxels():
    corner = [(-0.5, 21.5, 25.5)]
    assert np.isfinite(bead_elongation(blob(corner[0]), corner))


def test_a_single_slice_has_no_depth():
    assert bead_elongation(blob((12, 11, 0), shape=(24, 22, 1)), [(12, 11, 0)]) == 0


CUBE = np.ones((4, 4, 4))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: detect_beads(np.eye(3), 0.5), r"volume is float64 \(3, 3\)"),
        (lambda: detect_beads(CUBE[:0], 0.5), r"volume is float64 \(0, 4, 4\)"),
        (lambda: detect_beads(CUBE * np.nan, 0.5), "finite"),
        (lambda: detect_beads(CUBE, 1), "threshold=1"),
        (lambda: detect_beads(CUBE, -0.1), "threshold=-0.1"),
        (lambda: detect_beads(CUBE, 0.5, 0), "min_distance=0"),
        (lambda: match_beads([1, 2, 3], NONE), r"truth_centres has shape \(3,\)"),
        (lambda: match_beads(NONE, [(1, 2)]), r"found_centres has shape \(1, 2\)"),
        (lambda: match_beads(NONE, [(1, 2, np.inf)]), "found_centres has shape .* finite"),
        (lambda: match_beads(NONE, NONE, 0), "radius=0"),
        (lambda: best_threshold([NONE], [CUBE]), "truths with 0 beads"),
        (lambda: best_threshold([CENTRES], [CUBE], levels=1), "levels=1"),
        (lambda: bead_elongation(CUBE, [(4, 0, 0)]), r"\[4. 0. 0.\] lies outside \(4, 4, 4\)"),
        (lambda: bead_elongation(CUBE, [(0, -0.6, 0)]), "lies outside"),
        (lambda: bead_elongation(CUBE, NONE, 0), "window=0"),
        (lambda: bead_elongation(CUBE, NONE, (1, 2)), r"window=\(1, 2\)"),
        (lambda: bead_elongation(np.eye(3), NONE), "volume is float64"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
