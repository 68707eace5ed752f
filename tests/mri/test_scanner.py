"""Simulated scans, seeded and with the statistics they promise; N4; the way to a prepared scan."""

import numpy as np
import pytest

from lib.mri.scanner import (
    bias_field,
    changed_copies,
    correct_bias_field,
    even_contrast,
    load_template,
    mr_scan,
    mr_scans,
    prepare_scan,
    prepare_scans,
)
from lib.volumes import Volume, save_volume

SHAPE = (20, 24, 16)


def test_a_seed_decides_everything():
    t1 = np.random.default_rng(0).random(SHAPE)
    for make in (lambda seed: bias_field(SHAPE, 0.5, seed=seed), lambda s: mr_scan(t1, seed=s)):
        assert np.array_equal(make(1), make(1)) and not np.allclose(make(1), make(2))


def test_changed_copies_have_another_power_and_gain_each():
    scan = np.array([0.25, 0.5, 1.0])
    copies = np.log(changed_copies([scan] * 200, contrast=0.2, gain=0.1, seed=3))
    gains, powers = copies[:, 2], (copies[:, 2] - copies[:, 1]) / np.log(2)
    np.testing.assert_allclose(copies[:, 0], gains - 2 * powers * np.log(2), atol=1e-5)
    for drawn, reach in ((gains, 0.1), (np.log(powers), 0.2)):
        assert -reach < drawn.min() < -0.9 * reach and 0.9 * reach < drawn.max() < reach


def test_scans_are_those_of_their_seeds():
    t1 = np.random.default_rng(0).random(SHAPE)
    scans = mr_scans(t1, 2, seed=(3, 1))
    assert len(scans) == 2 and np.array_equal(scans[1], mr_scan(t1, seed=(3, 1, 1)))


def write_template(folder, t1, gray):
    for name, data in (("t1", t1), ("gray", gray)):
        save_volume(Volume(data, np.diag([2, 2, 2, 1.0])), folder / f"mni152_{name}.nii.gz")


def test_the_template_is_cut_to_its_brain(tmp_path):
    t1, gray = np.zeros((2, 5, 6, 7), np.float32)
    t1[1, 2, 3], t1[3, 2, 6], gray[1, 2, 3], gray[3, 2, 6] = 0.5, 1, 0.6, 0.5
    write_template(tmp_path, t1, gray)
    brain, mask = load_template(tmp_path)
    assert np.array_equal(brain.data, t1[1:4, 2:3, 3:7])
    assert np.array_equal(mask, gray[1:4, 2:3, 3:7] > 0.5) and mask.sum() == 1
    assert np.array_equal(brain.affine[:3, 3], (2, 4, 6))  # mm, of the first voxel kept


@pytest.mark.parametrize(
    "t1, message", [(np.zeros((2, 2, 2)), "0 everywhere"), (np.ones((2, 2, 3)), r"T1 is \(2, 2, 3")]
)
def test_a_template_that_does_not_fit_is_refused(tmp_path, t1, message):
    write_template(tmp_path, t1.astype(np.float32), np.ones((2, 2, 2), np.float32))
    with pytest.raises(ValueError, match=message):
        load_template(tmp_path)


@pytest.mark.parametrize("strength", [0.1, 0.5, 3])
def test_the_field_spans_what_is_asked(strength):
    field = bias_field(SHAPE, strength, seed=3)
    assert field.shape == SHAPE and field.dtype == np.float32
    assert field.max() == np.float32(1 + strength)
    assert field.min() == pytest.approx(1 / (1 + strength), rel=1e-6)


def test_no_strength_no_field():
    assert np.all(bias_field((3, 4, 5), 0, seed=0) == 1)


def test_the_field_is_one_cubic_along_each_axis():
    exponent = np.log(bias_field(SHAPE, 1, seed=5).astype(float)) / np.log(2)
    for axis in range(3):  # four knots, not-a-knot: one polynomial, whose fourth differences vanish
        assert np.abs(np.diff(exponent, 4, axis)).max() < 1e-5
        assert np.abs(np.diff(exponent, 1, axis)).max() < 1, "neighbours are alike"


def test_air_is_rayleigh():
    air = mr_scan(np.zeros((40, 50, 60)), noise=0.2, seed=1)
    assert air.dtype == np.float32 and air.min() >= 0
    assert air.mean() == pytest.approx(0.2 * np.sqrt(np.pi / 2), rel=0.01)
    assert air.std() == pytest.approx(0.2 * np.sqrt(2 - np.pi / 2), rel=0.01)


def test_bright_tissue_is_nearly_gaussian():
    scan = mr_scan(np.ones((40, 50, 60)), bias=0, contrast=0, noise=0.05, seed=1)
    assert scan.mean() == pytest.approx(np.sqrt(1 + 0.05**2), abs=1e-3)
    assert scan.std() == pytest.approx(0.05, rel=0.01)


def test_contrast_is_a_power_within_its_bounds():
    t1 = np.random.default_rng(0).uniform(0.1, 0.9, (6, 5, 4))
    powers = []
    for seed in range(50):
        scan = mr_scan(t1, bias=0, contrast=0.3, noise=0, seed=seed)
        power = np.log(scan) / np.log(t1)
        assert np.ptp(power) < 1e-4
        powers.append(power.mean())
    assert np.exp(-0.3) <= min(powers) < 0.8 and 1.25 < max(powers) <= np.exp(0.3)


def test_contrast_and_field_have_nothing_to_do_with_each_other():
    t1 = np.ones((4, 4, 4))
    t1[1, 1, 1] = 0.5
    power, corner = [], []
    for seed in range(200):
        power.append(-np.log2(mr_scan(t1, bias=0, noise=0, seed=seed)[1, 1, 1]))
        corner.append(np.log(mr_scan(t1, noise=0, seed=seed)[0, 0, 0]))
    assert abs(np.corrcoef(power, corner)[0, 1]) < 0.25


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_without_disturbance_a_scan_is_its_truth(dtype):
    t1 = np.indices((2, 3, 2)).sum(0) % 2
    scan = mr_scan(t1.astype(dtype), bias=0, contrast=0, noise=0, seed=0)
    assert scan.dtype == np.float32 and np.array_equal(scan, t1)


def ball():
    """Two tissues, 1 inside 0.6, in a gain that grows from 0.7 to 1.3 along x."""
    x, y, z = np.indices((36, 32, 28))
    radius = np.sqrt((x - 18) ** 2 + (y - 16) ** 2 + (z - 14) ** 2)
    body = np.where(radius < 8, 1, np.where(radius < 13, 0.6, 0))
    return body, body * np.linspace(0.7, 1.3, 36)[:, None, None]


def test_n4_evens_out_a_gain_and_keeps_the_axes():
    body, scan = ball()
    corrected = correct_bias_field(scan, 4)
    assert corrected.shape == scan.shape and corrected.dtype == np.float32
    for tissue in (body == 1, body == 0.6):
        before, after = (a[tissue].std() / a[tissue].mean() for a in (scan, corrected))
        assert after < 0.4 * before
    assert corrected[body == 1].mean() > 1.4 * corrected[body == 0.6].mean()
    assert np.all(corrected[body == 0] == 0)


def test_even_contrast_worked_by_hand():
    scan = np.array([[[0, 0.1, 0.49, 0.49, 1]]])  # the tissue's median is 0.49; its root 0.7
    even = even_contrast(scan)
    assert even.dtype == np.float32
    assert even == pytest.approx(np.array([[[0, np.sqrt(0.1), 0.7, 0.7, 1]]]), rel=1e-6)


@pytest.mark.parametrize("power", [0.75, 1.3])
def test_even_contrast_undoes_a_power(power):
    scan = np.random.default_rng(0).uniform(0.4, 1, (6, 7, 8))
    assert even_contrast(scan**power) == pytest.approx(even_contrast(scan), rel=1e-5)
    assert np.median(even_contrast(scan)) == pytest.approx(0.7, rel=1e-6)


def test_a_prepared_scan_has_its_median_and_range():
    _, scan = ball()
    ready = prepare_scan(30 * scan)
    assert ready.shape == scan.shape and ready.min() == 0 and ready.max() == 1
    assert np.median(ready[ready > 0.15]) == pytest.approx(0.7, abs=0.02)


def test_scans_prepared_together_are_those_prepared_alone():
    t1 = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    scans = mr_scans(t1, 3, seed=(1,))
    for ready, scan in zip(prepare_scans(scans), scans, strict=True):
        assert np.array_equal(ready, prepare_scan(scan))


CLEAN = np.full((4, 4, 4), 0.5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bias_field(SHAPE, -0.1, seed=0), "strength=-0.1"),
        (lambda: bias_field((4, 4), 1, seed=0), r"shape=\(4, 4\): give"),
        (lambda: mr_scan(2 * CLEAN + 0.5, seed=0), "t1 spans 1.5 to 1.5: rescale"),
        (lambda: mr_scan(-CLEAN, seed=0), "t1 spans -0.5"),
        (lambda: mr_scan(CLEAN, contrast=-1, seed=0), "contrast=-1"),
        (lambda: mr_scan(CLEAN, noise=-0.1, seed=0), "noise=-0.1: give 0 or more"),
        (lambda: correct_bias_field(np.ones((8, 8))), r"scan has shape \(8, 8\)"),
        (lambda: correct_bias_field(np.full((8, 8, 8), np.nan)), "scan of shape"),
        (lambda: correct_bias_field(np.ones((8, 9, 6)), 4), "shrink=4: give 1 up to half"),
        (lambda: even_contrast(2 * CLEAN + 1), "scan spans 2 to 2: needed is 0..1"),
        (lambda: even_contrast(0 * CLEAN), "with tissue above 0.15"),
        (lambda: even_contrast(2 * CLEAN), "tissue is 1: it must be less"),
        (lambda: correct_bias_field(np.ones((8, 8, 8)), 1.5), "shrink=1.5"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
