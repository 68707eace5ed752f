"""Losses worked by hand, against scikit-image, in half precision, and through a saved model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from elsewhere import run_elsewhere
from skimage.metrics import structural_similarity

from lib.losses import (
    LossWith,
    dice_loss,
    imbalanced_loss,
    iou_loss,
    lwe,
    soft_dice_loss,
    ssim_loss,
)

OVERLAPS = [dice_loss, soft_dice_loss, iou_loss]
VOXELWISE = [*OVERLAPS, imbalanced_loss, lwe]
LOSSES = [*VOXELWISE, ssim_loss]
S = 1e-5


def in_numpy(loss, t, p):
    """The formulas in float64."""
    t, p = np.asarray(t, np.float64), np.asarray(p, np.float64)
    if loss is imbalanced_loss:
        return np.mean(np.where(t >= 0.1, 1000, 1) * abs(t - p))
    if loss is lwe:
        return np.average(abs(t - p), weights=abs(t + p))
    if loss is ssim_loss:
        volumes = (np.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:4]) for x in (t, p))
        pairs = zip(*volumes, strict=True)
        return 1 - np.mean([structural_similarity(*pair, data_range=1) for pair in pairs])
    both, power = np.sum(t * p), 2 if loss is dice_loss else 1
    if loss is iou_loss:
        return 1 - (both + S) / (t.sum() + p.sum() - both + S)
    return 1 - (2 * both + S) / (np.sum(t**power) + np.sum(p**power) + S)


@pytest.mark.parametrize("loss", LOSSES)
def test_against_the_formula_in_float64(loss):
    rng = np.random.default_rng(0)
    truth = (rng.random((2, 8, 7, 9, 2)) > 0.6).astype("f")
    pred = np.clip(truth + rng.normal(0, 0.5, truth.shape), 0, 1)
    result = loss(truth, pred.astype("f"))
    assert result.shape == () and result.dtype == tf.float32
    assert float(result) == pytest.approx(in_numpy(loss, truth, pred), rel=1e-5)


@pytest.mark.parametrize(
    "loss, expected",  # 2 * 1.5 / (2 + 1.5), 2 * 1.5 / (2 + 2), 1.5 / (2 + 2 - 1.5)
    [(dice_loss, 1 / 7), (soft_dice_loss, 1 / 4), (iou_loss, 2 / 5)],
)
def test_worked_by_hand(loss, expected):
    truth, pred = [1.0, 1.0, 0.0, 0.0], [0.5, 1.0, 0.5, 0.0]
    assert float(loss(np.array(truth), np.array(pred))) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss, overlap", [(soft_dice_loss, 1 / 4), (iou_loss, 2 / 5)])
def test_cross_entropy_is_added_with_its_weight(loss, overlap):
    truth, pred = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.5, 1.0, 0.5, 0.0])
    expected = overlap + 3 * (2 * np.log(2)) / 4  # -log(1/2) in two voxels of four
    assert float(loss(truth, pred, cross_entropy=3)) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="cross_entropy=-1: give 0 or more"):
        loss(truth, pred, cross_entropy=-1)


R3_TRUTH = [[0.046, 0.041, 0.155], [0.144, 0.127, 0.198], [0.011, 0.199, 0.084]]
R3_PRED = [[0.146, 0.276, 0.020], [0.134, 0.990, 0.132], [0.698, 0.527, 0.660]]


@pytest.mark.parametrize("mul, total", [(10, 15.618), (1, 3.0)])
def test_imbalanced_loss_is_that_of_the_reference(mul, total):
    """Its worked example: 9 voxels, the loss 1.7353 at mul=10."""
    loss = float(imbalanced_loss(R3_TRUTH, R3_PRED, mul=mul))
    assert loss == pytest.approx(total / 9, rel=1e-5)
    assert mul == 1 or round(loss, 4) == 1.7353


def test_imbalanced_loss_weighs_what_reaches_the_threshold():
    truth, pred = np.array([0.1, 0.0999, 0.5, 0], "f"), np.zeros(4, "f")
    assert float(imbalanced_loss(truth, pred)) == pytest.approx((100 + 0.0999 + 500) / 4)
    assert float(imbalanced_loss(truth, pred, 0.3, 2)) == pytest.approx((0.1999 + 1) / 4)


def test_lwe_by_hand():
    truth, pred = np.array([1.0, 0, 0.5, 0]), np.array([0.5, 0.5, 0.5, 0])
    # weights 1.5, 0.5, 1, 0; errors 0.5, 0.5, 0, 0
    assert float(lwe(truth, pred)) == pytest.approx(1.0 / 3)
    assert float(lwe(0 * truth, 0 * pred)) == 0


@pytest.mark.parametrize(
    "data_range, offset, slack",
    [(0.5, 0, 1e-5), (1.0, 0, 1e-5), (4.0, -7, 1e-5), (1.0, 1000, 1e-3)],
)
def test_ssim_loss_is_that_of_scikit_image(data_range, offset, slack):
    rng = np.random.default_rng(1)
    truth = rng.random((12, 7, 10)).cumsum(axis=0) * data_range / 12 + offset
    pred = truth + rng.normal(0, 0.2 * data_range, truth.shape)
    expected = 1 - structural_similarity(
        truth, pred, win_size=7, gaussian_weights=False, K1=0.01, K2=0.03,
        use_sample_covariance=True, data_range=data_range,
    )  # fmt: skip
    value = ssim_loss(truth[None, ..., None], pred[None, ..., None], data_range)
    assert 0.1 < expected < 0.9
    assert float(value) == pytest.approx(expected, abs=slack)
    same = ssim_loss(truth[None, ..., None], truth[None, ..., None])
    assert float(same) == pytest.approx(0, abs=1e-6)


def test_ssim_loss_where_channels_and_prediction_lie_elsewhere():
    rng = np.random.default_rng(2)
    truth = rng.random((1, 9, 8, 10, 2)) + [0, 1000]
    pred = truth + rng.normal(0, 0.05, truth.shape) + [0, 100]
    expected = in_numpy(ssim_loss, truth, pred)
    assert float(ssim_loss(truth, pred)) == pytest.approx(expected, rel=1e-2)


def test_ssim_loss_has_the_slope_of_scikit_image():
    rng = np.random.default_rng(0)
    truth, pred = rng.random((2, 8, 8, 8))
    variable = tf.Variable(pred[None, ..., None])
    with tf.GradientTape() as tape:
        value = ssim_loss(truth[None, ..., None], variable)
    gradient = tape.gradient(value, variable).numpy()[0, ..., 0]
    for voxel in [(0, 0, 0), (4, 3, 4), (7, 5, 0)]:
        step = np.zeros(pred.shape)
        step[voxel] = 1e-4
        up, down = (structural_similarity(truth, pred + s, data_range=1) for s in (step, -step))
        assert gradient[voxel] == pytest.approx((down - up) / 2e-4, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("loss", OVERLAPS)
@pytest.mark.parametrize(
    "truth, pred, expected",
    [(1, 1, 0), (0, 0, 0), (1, 0, 1), (0, 1, 1)],
)
def test_full_and_empty_masks(loss, truth, pred, expected):
    both = (np.full((1, 4, 4, 4, 1), value, np.float32) for value in (truth, pred))
    assert float(loss(*both)) == pytest.approx(expected, abs=1e-5)


C1 = 0.01**2


@pytest.mark.parametrize(
    "loss, expected, slope",  # of truth 1 and prediction p = 1/2 everywhere, and d/dp
    [
        (dice_loss, 0.2, -0.96),  # 1 - 2p / (1 + p²)
        (soft_dice_loss, 1 / 3, -8 / 9),  # 1 - 2p / (1 + p)
        (iou_loss, 0.5, -1),  # 1 - p
        (imbalanced_loss, 500, -1000),  # 1000 (1 - p)
        (lwe, 0.5, -1),  # 1 - p
        (ssim_loss, 0.25 / (1.25 + C1), -(1.5 + C1) / (1.25 + C1) ** 2),  # no structure
    ],
)
def test_half_precision_at_48_cubed(loss, expected, slope):
    ones = tf.ones((1, 48, 48, 48, 1), tf.float16)
    assert float(loss(ones, ones)) == pytest.approx(0, abs=1e-6)
    pred, scale = tf.Variable(ones / 2), 2.0**15  # as mixed precision scales losses
    with tf.GradientTape() as tape:
        value = loss(ones, pred)
        scaled = value * scale
    gradient = tape.gradient(scaled, pred).numpy()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert np.all(np.isfinite(gradient)) and np.all(gradient < 0)
    assert gradient.sum(dtype=float) / scale == pytest.approx(slope, rel=2e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("pred", [0.0, 0.3])
def test_gradients_are_finite_where_the_truth_is_empty(loss, pred):
    pred = tf.Variable(tf.fill((1, 7, 7, 7, 1), pred))
    with tf.GradientTape() as tape:
        value = loss(tf.zeros_like(pred), pred)
    assert np.all(np.isfinite(tape.gradient(value, pred)))


@pytest.mark.parametrize("loss", VOXELWISE)
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64])
def test_integer_labels(loss, kind):
    truth, pred = np.array([1, 1, 0, 0]).astype(kind), np.array([0.5, 1, 0.5, 0], np.float32)
    assert float(loss(truth, pred)) == pytest.approx(in_numpy(loss, truth, pred), rel=1e-5)


@pytest.mark.parametrize(
    "loss, shape",
    [(loss, (2, 4, 4, 4)) for loss in LOSSES]
    + [(dice_loss, (2, 4, 4, 4, 3)), (dice_loss, (1, 4, 4, 4, 1))],
)
def test_shapes_must_agree(loss, shape):
    with pytest.raises(ValueError, match=r"y_true has shape .*, y_pred \(2, 4, 4, 4, 1\): they"):
        loss(np.ones(shape, "f"), np.ones((2, 4, 4, 4, 1), "f"))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: ssim_loss(x, x), r"y_true has shape \(2, 9, 6, 9, 1\): SSIM needs .* 7 or more"),
        (lambda x: ssim_loss(x[0], x[0]), r"\(9, 6, 9, 1\): SSIM needs \(N, X, Y, Z, C\)"),
        (lambda x: ssim_loss(*[np.ones((1, 7, 7, 7, 1))] * 2, data_range=0), "data_range=0"),
        (lambda x: imbalanced_loss(x, x, mul=0), "mul=0"),
        (lambda x: imbalanced_loss(x, x, mul=np.nan), "mul=nan"),
        (lambda x: LossWith(imbalanced_loss, factor=3), "factor=3: imbalanced_loss has threshold"),
        (lambda x: LossWith(lwe, mul=3), "mul=3: lwe has no arguments"),
    ],
)
def test_errors_name_argument_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 9, 6, 9, 1), "f"))


@pytest.mark.parametrize("loss", LOSSES)
def test_extents_may_be_unknown(loss):
    some = tf.TensorSpec((None, None, None, None, 1), tf.float32)
    traced = tf.function(loss, input_signature=[some, some])
    ones = np.ones((2, 7, 8, 9, 1), "f")
    assert float(traced(ones, ones)) == pytest.approx(0, abs=1e-6)


def test_a_model_keeps_the_arguments_of_its_loss(tmp_path):
    inputs = keras.Input((7, 8, 7, 1))
    model = keras.Model(inputs, keras.layers.Conv3D(1, 1, activation="sigmoid")(inputs))
    model.compile("sgd", loss=LossWith(imbalanced_loss, threshold=0.5, mul=3))
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 7, 8, 7, 1)), (rng.random((2, 7, 8, 7, 1)) > 0.5).astype("f")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    errors = abs(y - model.predict_on_batch(x))
    expected = np.mean(np.where(y == 1, 3, 1) * errors, dtype=float)
    for one in (model, loaded):
        assert one.loss.name == "imbalanced_loss"
        assert one.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    loaded.fit(x, y, epochs=3, verbose=0)
    assert loaded.evaluate(x, y, verbose=0) < expected


ELSEWHERE = """
import sys
import keras
import numpy as np
from lib import losses
folder = sys.argv[1]
truth, pred = np.load(folder + "/truth.npy"), np.load(folder + "/pred.npy")
for name in sys.argv[2:]:
    loss = getattr(losses, name)
    if keras.backend.backend() == "jax":
        import jax
        value, gradient = jax.value_and_grad(lambda p: loss(truth, p))(pred)
    else:
        import torch
        variable = torch.tensor(pred, requires_grad=True)
        value = loss(truth, variable)
        value.backward()
        value, gradient = value.detach(), variable.grad
    np.savez(folder + "/" + name, value=value, gradient=gradient)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_gives_the_same_value_and_gradient(backend, tmp_path):
    rng = np.random.default_rng(0)
    truth = (rng.random((2, 8, 9, 7, 2)) > 0.7).astype("f")
    pred = tf.Variable(rng.random(truth.shape).astype("f"))
    np.save(tmp_path / "truth.npy", truth)
    np.save(tmp_path / "pred.npy", pred.numpy())
    names = [loss.__name__ for loss in LOSSES]
    run_elsewhere(backend, ELSEWHERE, tmp_path, *names)
    for loss, name in zip(LOSSES, names, strict=True):
        with tf.GradientTape() as tape:
            value = loss(truth, pred)
        gradient, there = tape.gradient(value, pred).numpy(), np.load(tmp_path / f"{name}.npz")
        assert there["value"] == pytest.approx(float(value), rel=1e-5)
        np.testing.assert_allclose(there["gradient"], gradient, atol=1e-5 * abs(gradient).max())


@pytest.mark.parametrize("registered", [*LOSSES, LossWith])
def test_names_in_saved_files(registered):
    name = f"voxelbook>{registered.__name__}"
    assert keras.saving.get_registered_name(registered) == name
    assert keras.saving.get_registered_object(name) is registered
