"""Simulated scans: seeded, and with the statistics they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from lib.microscopy.phantoms import bead_volume, observe_beads

SHAPE = (20, 24, 16)


def bead(shape, centre, radius, brightness):
    """One bead by its definition, on every voxel."""
    away = [(np.arange(n) - c) ** 2 for n, c in zip(shape, centre, strict=True)]
    distance = np.sqrt(away[0][:, None, None] + away[1][:, None] + away[2])
    return brightness * np.clip(radius + 0.5 - distance, 0, 1)


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    beads=st.integers(0, 4),
    radius=st.tuples(st.floats(0, 3), st.floats(0, 3)).map(sorted),
    seed=st.integers(0, 999),
)
def test_beads_are_painted_whole_up_to_the_border_and_the_brighter_counts(
    shape, beads, radius, seed
):
    rng, expected = np.random.default_rng(seed), np.zeros(shape)
    for _ in range(beads):
        centre = [rng.uniform(0, n - 1) for n in shape]
        one = bead(shape, centre, rng.uniform(*radius), rng.uniform(0.2, 0.9))
        expected = np.maximum(expected, one)
    volume = bead_volume(shape, beads, radius=radius, brightness=(0.2, 0.9), seed=seed)
    np.testing.assert_allclose(volume, expected, atol=1e-6)


@pytest.mark.parametrize("radius, middle", [(1.5, 0.8), (0.5, 0.8), (0.2, 0.7 * 0.8), (0, 0.4)])
def test_a_bead_in_a_single_voxel_by_hand(radius, middle):
    volume = bead_volume((1, 1, 1), 1, radius=(radius, radius), brightness=(0.8, 0.8), seed=0)
    assert volume.shape == (1, 1, 1) and volume[0, 0, 0] == pytest.approx(middle)


def test_a_bead_fades_linearly_to_both_sides():
    for seed in range(20):  # on a line the centre is the only unknown: the slopes meet there
        line = bead_volume((1, 1, 30), 1, radius=(4, 4), brightness=(1, 1), seed=seed)[0, 0]
        slopes = np.flatnonzero((line > 0) & (line < 1))
        centres = np.where(slopes < line.argmax(), slopes + 4.5 - line[slopes],
                           slopes - 4.5 + line[slopes])  # fmt: skip
        assert len(slopes) and np.ptp(centres) < 1e-5
        assert 0 <= centres[0] <= 29
        assert np.sum(line == 1) >= 4  # 3.5 voxels to each side, at the border to one side only


def test_a_bead_volume_holds_the_beads_asked_for():
    volume = bead_volume(seed=0)
    assert volume.shape == (64, 64, 32) and volume.dtype == np.float32
    _, count = ndimage.label(volume, np.ones((3, 3, 3)))
    assert 15 <= count <= 20, "some may touch"
    assert volume.min() == 0 and 0.6 < volume.max() <= 1
    assert np.mean(volume > 0) == pytest.approx(20 * 4 / 3 * np.pi * 1.9**3 / volume.size, rel=0.3)
    assert not bead_volume(SHAPE, 0, seed=0).any()


def test_beads_are_anywhere_in_the_volume():
    places = [ndimage.center_of_mass(bead_volume((20, 10, 5), 1, seed=s)) for s in range(200)]
    assert np.all(np.abs(np.mean(places, 0) - [9.5, 4.5, 2]) < [1, 0.5, 0.3])
    assert np.min(places, 0).max() < 1 and np.all(np.max(places, 0) > [18, 8, 3])


QUIET = {"glow": (0, 0), "photons": np.inf, "read_noise": 0}
DOT = np.ones((1, 1, 1))


def blurred(truth, psf):
    """The convolution by its definition: one shifted copy for each voxel of the PSF."""
    wide = np.pad(truth, [(k, k) for k in psf.shape])
    total = np.zeros(truth.shape)
    for place in np.ndindex(psf.shape):
        starts = [k - (i - k // 2) for i, k in zip(place, psf.shape, strict=True)]
        part = tuple(slice(a, a + n) for a, n in zip(starts, truth.shape, strict=True))
        total += psf[place] * wide[part]
    return total


def min_max(x):
    return (x - x.min()) / np.ptp(x)


@pytest.mark.parametrize("size", [(3, 3, 3), (4, 2, 6), (1, 5, 2), (13, 11, 25)])
def test_what_is_seen_without_noise_is_the_blur_in_its_glow(size):
    rng = np.random.default_rng(0)
    truth, psf = rng.random((6, 5, 4)), rng.random(size)
    light = blurred(truth, psf)
    light = 0.7 * light / light.max() + 0.2 + 0.3 * np.arange(6)[:, None, None] / 5
    quiet = {"peak": 0.7, "offset": 0.2, "glow": (0.3, 0.3), "photons": np.inf, "read_noise": 0}
    seen = observe_beads(truth, psf, **quiet, seed=0)
    assert seen.dtype == np.float32 and seen.min() == 0 and seen.max() == 1
    np.testing.assert_allclose(seen, min_max(light), atol=1e-6)


@pytest.mark.parametrize("size", [(4, 2, 6), (5, 3, 1)])
def test_a_point_at_half_the_size_of_the_psf_moves_nothing(size):
    truth, psf = bead_volume((9, 8, 7), 3, brightness=(1, 1), seed=2), np.zeros(size)
    psf[tuple(k // 2 for k in size)] = 1
    np.testing.assert_allclose(observe_beads(truth, psf, **QUIET, seed=0), truth, atol=1e-6)
    psf = np.roll(psf, 1, 0)  # one voxel further: so is the image, what leaves is lost
    moved = observe_beads(truth, psf, **QUIET, seed=0)
    np.testing.assert_allclose(moved[0], 0, atol=1e-6)
    np.testing.assert_allclose(moved[1:], truth[:-1] / truth[:-1].max(), atol=1e-6)


@pytest.mark.parametrize("noise", [QUIET, {"read_noise": 0.05}])
def test_units_of_truth_and_psf_do_not_matter(noise):
    rng = np.random.default_rng(0)
    truth, psf = rng.random((9, 8, 7)), rng.random((4, 3, 5))
    expected = observe_beads(truth, psf, **noise, seed=3)
    result = observe_beads(60 * truth, 0.01 * psf, **noise, seed=3)
    assert np.mean(np.abs(result - expected) < 1e-5) > 0.99  # rounding may move a photon


def test_the_glow_rises_linearly_along_x_to_the_value_drawn():
    dark = np.zeros((11, 3, 2))
    flat = observe_beads(dark, DOT, glow=(0.1, 0.1), photons=np.inf, read_noise=0, seed=0)
    expected = np.broadcast_to(np.linspace(0, 1, 11)[:, None, None], dark.shape)
    np.testing.assert_allclose(flat, expected, atol=1e-6)
    truth, drawn = dark.copy(), []
    truth[:, 0] = 1
    for seed in range(60):
        seen = observe_beads(
            truth, DOT, peak=0.4, glow=(0.1, 0.2), photons=np.inf, read_noise=0, seed=seed
        )
        drawn.append(0.4 * seen[-1, 1, 0] / (1 - seen[-1, 1, 0]))  # seen: glow / (peak + glow)
    assert 0.1 <= min(drawn) < 0.115 and 0.185 < max(drawn) <= 0.2


@pytest.mark.parametrize("margin, inside", [(2, np.s_[2:-2, 2:-2, 2:-2]),
                                            ((1, 0, 3), np.s_[1:-1, :, 3:-3])])  # fmt: skip
def test_a_margin_shines_into_the_window_and_is_cut_off(margin, inside):
    rng = np.random.default_rng(0)
    truth, psf = rng.random((9, 8, 10)), rng.random((5, 3, 7))
    seen = observe_beads(truth, psf, margin=margin, **QUIET, seed=0)
    np.testing.assert_allclose(seen, min_max(blurred(truth, psf)[inside]), atol=1e-6)


def test_without_light_there_is_nothing_to_see():
    assert not observe_beads(np.zeros((3, 4, 5)), DOT, **QUIET, seed=0).any()


@pytest.mark.parametrize("photons, read_noise", [(50, 0), (400, 0), (np.inf, 0.1), (50, 0.1)])
def test_noise_has_the_variance_of_its_two_sources(photons, read_noise):
    truth = np.zeros((60, 50, 40))
    truth[30:] = 1
    how = {"offset": 0.3, "glow": (0, 0), "photons": photons, "read_noise": read_noise}
    seen = observe_beads(truth, DOT, peak=0.8, **how, seed=1).astype(float)
    dark, bright = seen[:30], seen[30:]
    unit = (bright.mean() - dark.mean()) / 0.8  # of light, after min-max
    for half, light in ((dark, 0.3), (bright, 1.1)):
        variance = light / photons + read_noise**2
        assert half.var() / unit**2 == pytest.approx(variance, rel=0.03)
        assert np.mean((half - half.mean()) ** 3) / half.std() ** 3 == pytest.approx(
            light / photons**2 / variance**1.5, abs=0.05
        )  # skewed as Poisson's, and as nothing but Poisson's


def test_photons_come_in_whole_numbers():
    truth = np.random.default_rng(0).random((20, 20, 20))
    seen = observe_beads(truth, DOT, photons=30, read_noise=0, seed=4)
    levels = np.unique(seen)
    counted = levels / np.diff(levels).min()
    assert len(levels) < 60 and np.abs(counted - np.round(counted)).max() < 1e-3


def test_where_no_light_falls_no_photon_is_counted():
    truth = np.zeros((30, 20, 20))
    truth[3, 10, 10] = 1  # rounding in Fourier space leaves less than nothing far from it
    seen = observe_beads(truth, np.ones((3, 5, 5)), offset=0, glow=(0, 0), read_noise=0, seed=0)
    assert seen[2:5, 8:13, 8:13].min() > 0.5 and np.count_nonzero(seen) == 3 * 5 * 5


def test_neighbours_have_noise_of_their_own():
    seen = observe_beads(np.zeros((40, 40, 40)), DOT, glow=(0, 0), seed=5)
    for axis in range(3):
        one, other = np.delete(seen, 0, axis), np.delete(seen, -1, axis)
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


def test_a_seed_decides_beads_and_noise():
    truth = bead_volume(SHAPE, seed=0)
    for make in (
        lambda seed: bead_volume(SHAPE, seed=seed),
        lambda seed: observe_beads(truth, DOT, seed=seed),
    ):
        for one, other in ((1, 2), ((0, 1), (1, 0)), (0, (0, 1))):
            assert np.array_equal(make(one), make(one))
            assert not np.allclose(make(one), make(other), atol=0.01)


CLEAN = np.full((4, 4, 4), 0.5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bead_volume((4, 4), seed=0), r"shape=\(4, 4\): give"),
        (lambda: bead_volume(SHAPE, -1, seed=0), "beads=-1: give a whole number, 0 or more"),
        (lambda: bead_volume(SHAPE, radius=(2, 1), seed=0), r"radius=\(2, 1\): give \(lowest"),
        (lambda: bead_volume(SHAPE, radius=1.5, seed=0), "radius=1.5: give"),
        (lambda: bead_volume(SHAPE, radius=(1, np.inf), seed=0), r"radius=\(1, inf\): .* < inf"),
        (lambda: bead_volume(SHAPE, brightness=(-1, 1), seed=0), r"brightness=\(-1, 1\): give"),
        (lambda: observe_beads(-CLEAN, DOT, seed=0), "truth holds -0.5: .* 0 or more"),
        (lambda: observe_beads(CLEAN, -DOT, seed=0), "psf holds -1: give"),
        (lambda: observe_beads(CLEAN, DOT, peak=np.inf, seed=0), "peak=inf: give 0 or more"),
        (lambda: observe_beads(CLEAN, DOT, offset=np.nan, seed=0), "offset=nan: give"),
        (lambda: observe_beads(CLEAN, DOT, read_noise=-0.1, seed=0), "read_noise=-0.1: give"),
        (
            lambda: observe_beads(CLEAN, DOT, margin=2, seed=0),
            r"margin=\(2, 2, 2\): .* \(4, ",
        ),
        (lambda: observe_beads(CLEAN, DOT, margin=-1, seed=0), r"margin=\(-1, -1, -1\): give 0"),
        (lambda: observe_beads(CLEAN, DOT, margin=0.5, seed=0), "margin=0.5: give a whole number"),
        (lambda: observe_beads(CLEAN, DOT, photons=0, seed=0), "photons=0: give more than 0"),
        (lambda: observe_beads(CLEAN, DOT, glow=(0.2, 0.1), seed=0), r"glow=\(0.2, 0.1\): give"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
