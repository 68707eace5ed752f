"""A network on Richardson-Lucy estimates: its parts by hand, its training on tiny bead volumes."""

import numpy as np
import pytest
from elsewhere import run_elsewhere

from lib.metrics import correlation, rmse
from lib.microscopy import physics
from lib.microscopy.bead_sets import SIGMA, bead_pair
from lib.microscopy.deconvolution import linear_background, richardson_lucy
from lib.microscopy.physics import (
    STAGES,
    RichardsonLucyNetwork,
    richardson_lucy_stages,
    stage_views,
    train_richardson_lucy_network,
)
from lib.microscopy.psf import estimate_psf, gaussian_psf

PSF = gaussian_psf(SIGMA, (9, 9, 17))


def beads(number, shape=(32, 32, 24), count=10):
    return bead_pair(shape, count, seed=(7, number))


def tiny(pairs=None, psf=PSF, **arguments):
    """A training of two steps on the smallest patches."""
    settings = {"patch": 4, "steps": 2, **arguments}
    return train_richardson_lucy_network(PAIRS if pairs is None else pairs, psf, **settings)


PAIRS = [beads(number) for number in range(3)]
IMAGE, LABEL = PAIRS[0]


@pytest.fixture(scope="module")
def networks():
    """Trained with the PSF given, and with the PSF learned."""
    settings = {"patch": (8, 8, 16), "steps": 100}
    return {
        "given": tiny(**settings),
        "learned": tiny(psf=None, psf_size=(9, 9, 17), **settings),
    }


@pytest.fixture
def untrained(monkeypatch):
    """Stages are few and training is skipped; what it was told is kept."""
    told = []

    def train(head, feed, epochs, folder):
        told.append((head.get_weights()[0], feed[0][1], epochs, len(feed), folder))
        return {}

    monkeypatch.setattr(physics, "STAGES", (1, 2, 3))
    monkeypatch.setattr(physics, "train", train)
    return told


def test_stages_are_richardson_lucy_above_the_linear_background():
    image = np.random.default_rng(0).poisson(5 * beads(0, (14, 12, 10), 3)[0] + 2)
    image = image + np.arange(14)[:, None, None] / 7
    stages = richardson_lucy_stages(image, PSF)
    scaled = (image - image.min()) / (image.max() - image.min())
    background = linear_background(scaled)
    signal = scaled - background
    told = {"background": background, "accelerate": True}
    estimates = [richardson_lucy(scaled, PSF, n, **told) for n in STAGES]
    expected = np.stack([signal, *estimates], axis=-1) / estimates[0].max()
    assert stages.shape == (14, 12, 10, 4) and stages.dtype == np.float32
    assert stages[..., 0].min() < 0 and stages[..., 1].max() == pytest.approx(1)
    np.testing.assert_allclose(stages, expected, atol=1e-3 * stages.max())


@pytest.mark.parametrize("kind, gain, offset", [("u2", 50_000, 400), ("f4", 3e-5, -7e-5)])
def test_stages_know_neither_gain_nor_offset(kind, gain, offset):
    stages = richardson_lucy_stages((gain * IMAGE + offset).astype(kind), PSF)
    np.testing.assert_allclose(stages, richardson_lucy_stages(IMAGE, PSF), atol=2e-3, rtol=2e-3)


def head(highest=(1.0, 2.0, 4.0, 8.0), unit=1.0, seed=0):
    return physics._head(np.array(highest), unit, seed)


def test_head_has_the_parameters_counted_by_hand():
    """3x3x5 voxels, 4, 16 and 28 channels in, 12 out; 3x3x3 of 40 channels; 1 voxel of 4."""
    convolutions = [45 * channels * 12 + 12 for channels in (4, 16, 28)]
    assert head().count_params() == sum(convolutions) + (27 * 40 + 1) + (4 + 1) == 27_042


def test_head_starts_as_a_linear_guess_in_units_of_the_labels():
    model, x = head(unit=300.0), np.random.default_rng(0).random((1, 5, 4, 6, 4), np.float32)
    weights = next(w for w in model.get_weights() if w.shape == (1, 1, 1, 4, 1)).ravel()
    expected = 300 * (x / [1, 2, 4, 8] @ weights)
    assert np.ptp(expected) > 10
    np.testing.assert_allclose(model(x)[..., 0], expected, rtol=1e-4, atol=1e-3)


def test_trained_weights_lie_in_the_head_and_every_convolution_learns(networks):
    before, after = head().get_weights(), networks["given"].head.get_weights()
    for start, end in zip(before, after, strict=True):
        assert start.shape == end.shape and np.all(np.isfinite(end)) and np.any(start != end)


@pytest.mark.parametrize("kind", ["given", "learned"])
def test_it_beats_every_estimate_it_starts_from(networks, kind):
    network, (image, label) = networks[kind], beads(10)
    stages = np.moveaxis(richardson_lucy_stages(image, network.psf), -1, 0)
    estimates = [correlation(label, stage) for stage in stages]
    assert max(estimates) > estimates[0] + 0.1
    assert correlation(label, network(image)) > max(estimates) + 0.02


def test_a_psf_given_is_kept_and_one_learned_is_like_it(networks):
    np.testing.assert_array_equal(networks["given"].psf, PSF)
    assert correlation(PSF, networks["learned"].psf) > 0.9


def test_the_psf_learned_heeds_neither_gain_nor_offset_and_pairs_may_come_one_by_one(untrained):
    pairs = [(3000 * IMAGE + 400, LABEL), PAIRS[1]]
    expected = estimate_psf([LABEL, PAIRS[1][1]], [(i - i.min()) / np.ptp(i) for i, _ in pairs], 3)
    learned = tiny(iter(pairs), None, psf_size=3).psf
    np.testing.assert_allclose(learned, expected, atol=1e-3 * expected.max())


def test_the_seed_alone_decides_weights_and_patches_and_the_caller_s_numbers_stay(untrained):
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    for seed in (3, 3, 4):
        tiny(seed=seed)
    assert np.random.random() == expected  # noqa: NPY002
    (weights, batch), again, (others, another) = (told[:2] for told in untrained)
    np.testing.assert_array_equal(again[0], weights)
    np.testing.assert_array_equal(again[1], batch)
    assert np.all(others != weights) and not np.array_equal(another, batch)


def test_what_a_label_of_another_unit_trains_is_the_same_network_in_that_unit(monkeypatch):
    """uint16 overflows when squared, and weights near 1 would never reach 60,000."""
    monkeypatch.setattr(physics, "STAGES", (1, 2, 3))
    stored = [(image, np.round(60_000 * label).astype(np.uint16)) for image, label in PAIRS]
    ours, theirs = (tiny(pairs, steps=20) for pairs in (PAIRS, stored))
    expected = 60_000 * ours(IMAGE)
    assert np.ptp(expected) > 10_000
    assert np.abs(theirs(IMAGE) - expected).mean() < 0.03 * expected.max()  # rounding grows


def test_training_is_told_of_epochs_of_fifty_steps_and_of_the_folder(untrained, tmp_path):
    tiny(steps=101, folder=tmp_path)
    ((*_, epochs, batches, folder),) = untrained
    assert (epochs, batches, folder) == (2, 50, tmp_path)


@pytest.mark.parametrize("shape", [(17, 23, 9), (1, 2, 3)])
def test_output_has_the_volume_s_shape_whatever_it_is(networks, shape):
    output = networks["given"](np.random.default_rng(0).random(shape))
    assert output.shape == shape and output.dtype == np.float32 and output.min() >= 0


def test_a_large_volume_goes_through_the_head_tile_by_tile(networks, monkeypatch):
    network, image = networks["given"], beads(20, (40, 36, 40))[0]
    whole, seen = network(image), []
    monkeypatch.setattr(physics, "TILE", (32, 48, 32))
    called = type(network.head).__call__
    record = lambda self, x: seen.append(x.shape) or called(self, x)  # noqa: E731
    monkeypatch.setattr(type(network.head), "__call__", record)
    tiled = network(image)
    assert set(seen) == {(1, 32, 36, 32, 4)} and tiled.shape == whole.shape
    assert rmse(whole, tiled) < 0.02 * rmse(whole, 0 * whole)


def test_what_the_head_has_below_0_is_black():
    def negated(stages):
        return -stages

    output = RichardsonLucyNetwork(PSF, negated)(IMAGE)
    expected = IMAGE - linear_background(IMAGE)
    assert (output > 0).any() and np.all((output == 0) | (expected < 0))


def test_a_camera_s_volume_of_another_size_and_a_psf_of_even_extents(networks):
    image, label = beads(20, (40, 36, 44), 20)
    stored = np.round(400 + 3000 * image).astype(np.uint16)
    even = RichardsonLucyNetwork(gaussian_psf(SIGMA, (8, 10, 16)), networks["given"].head)
    output = even(stored)
    assert output.shape == (40, 36, 44)
    assert correlation(label, output) > correlation(label, image) + 0.2


def test_a_saved_network_answers_the_same(networks, tmp_path):
    network = networks["learned"]
    folder = network.save(tmp_path / "not" / "yet")
    assert folder == tmp_path / "not" / "yet"
    loaded = RichardsonLucyNetwork.load(str(folder))
    np.testing.assert_array_equal(loaded.psf, network.psf)
    np.testing.assert_allclose(loaded(IMAGE), network(IMAGE), atol=1e-6)


def spoiled(value, array=IMAGE):
    array = array.copy()
    array[1, 2, 3] = value
    return array


NOT_DARK = np.where(np.arange(24) > 1, np.ones((16, 16, 24)), 0)


@pytest.mark.parametrize(
    "volume, message",
    [
        (np.full((8, 8, 8), 5), "volume of 5 to 5 has nothing above its background: give bright"),
        (NOT_DARK, "volume of 0 to 1 has nothing above its background"),
        (spoiled(np.nan), "volume holds nan: give finite values"),
        (IMAGE[..., None], r"volume is float32 \(32, 32, 24, 1\): give real numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_volumes_that_are_refused(volume, message):
    for call in (RichardsonLucyNetwork(PSF, None), lambda v: richardson_lucy_stages(v, PSF)):
        with pytest.raises(ValueError, match=message):
            call(volume)


def test_a_bad_psf_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(physics, "train", lambda *_, **__: pytest.fail("it trains"))
    with pytest.raises(ValueError, match=r"psf holds -.*: give finite values, 0 or more"):
        tiny(psf=-PSF)


@pytest.mark.parametrize(
    "pairs, arguments, message",
    [
        ([], {}, "pairs is empty: give at least one"),
        ([IMAGE], {}, r"pairs\[0\] is no pair: give \(image, label\)"),
        ([(IMAGE, LABEL[1:])], {}, r"pair 0: the image is \(32, 32, 24\), its label \(31, 32, 24"),
        (PAIRS, {"patch": (8, 8, 25)}, r"pair 0 is \(32, 32, 24\): too small for size=\(8, 8, 25"),
        (PAIRS, {"steps": 0}, "steps=0"),
        (PAIRS, {"learning_rate": 0}, "learning_rate=0"),
        ([*PAIRS, (spoiled(np.nan), LABEL)], {}, "image of pair 3 holds nan: give finite"),
        ([PAIRS[0], (IMAGE, spoiled(-1))], {}, "label of pair 1 holds -1: give .* 0 or more"),
        ([(IMAGE, np.stack(2 * [LABEL], -1))], {}, r"label of pair 0 is float32 \(32, 32, 24, 2\)"),
        ([(IMAGE, 0 * LABEL)] * 2, {}, "pairs: all 2 labels are 0 everywhere"),
    ],
)
def test_bad_pairs_are_refused_before_the_long_work(pairs, arguments, message, monkeypatch):
    long_work = lambda *_: pytest.fail("the long work began")  # noqa: E731
    monkeypatch.setattr(physics, "estimate_psf", long_work)
    with pytest.raises(ValueError, match=message):
        tiny(pairs, None, **arguments)


@pytest.mark.parametrize(
    "pairs, message",
    [
        ([PAIRS[0], (0 * IMAGE + 5, LABEL)], "volume of 5 to 5 has nothing above"),
        (PAIRS, r"size=\(33, 9, 9\)"),
    ],
)
def test_what_only_the_work_itself_shows_is_refused(pairs, message):
    size = (33, 9, 9) if pairs is PAIRS else 3
    with pytest.raises(ValueError, match=message):
        tiny(pairs, None, psf_size=size)


ELSEWHERE = """
import sys
import numpy as np
from lib.microscopy import physics
network = physics.RichardsonLucyNetwork.load(sys.argv[1])
np.save(sys.argv[1] + "/there.npy", network(np.load(sys.argv[1] + "/image.npy")))
"""


def test_a_network_saved_under_tensorflow_answers_the_same_under_jax(networks, tmp_path):
    network, (image, _) = networks["given"], beads(10, (16, 17, 12), 3)
    network.save(tmp_path)
    np.save(tmp_path / "image.npy", image)
    run_elsewhere("jax", ELSEWHERE, tmp_path)
    assert np.ptp(network(image)) > 0.1
    np.testing.assert_allclose(np.load(tmp_path / "there.npy"), network(image), atol=1e-4)


def test_stages_are_shown_at_their_own_brightest():
    stages = np.random.default_rng(0).random((3, 4, 5, 4)) * [1, 2, 4, 0.5]
    views = stage_views(stages)
    assert list(views) == ["image above background", "5 steps", "20 steps", "60 steps"]
    assert [view.max() for view in views.values()] == [1] * 4
    np.testing.assert_allclose(views["20 steps"] * stages[..., 2].max(), stages[..., 2])
