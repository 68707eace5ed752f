"""Losses worked by hand, in half precision, and through a saved model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lib.losses import dice_loss, iou_loss, soft_dice_loss

LOSSES = [dice_loss, soft_dice_loss, iou_loss]
S = 1e-5


def in_numpy(loss, t, p):
    """The formulas in float64."""
    t, p = np.asarray(t, np.float64), np.asarray(p, np.float64)
    both, power = np.sum(t * p), 2 if loss is dice_loss else 1
    if loss is iou_loss:
        return 1 - (both + S) / (t.sum() + p.sum() - both + S)
    return 1 - (2 * both + S) / (np.sum(t**power) + np.sum(p**power) + S)


@pytest.mark.parametrize("loss", LOSSES)
def test_against_the_formula_in_float64(loss):
    rng = np.random.default_rng(0)
    truth, pred = (rng.random((2, 3, 4, 5, 1)) > 0.6).astype("f"), rng.random((2, 3, 4, 5, 1))
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


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "truth, pred, expected",
    [(1, 1, 0), (0, 0, 0), (1, 0, 1), (0, 1, 1)],
)
def test_full_and_empty_masks(loss, truth, pred, expected):
    both = (np.full((1, 4, 4, 4, 1), value, np.float32) for value in (truth, pred))
    assert float(loss(*both)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "loss, expected",  # truth 1, prediction 1/2: 1 - 1 / 1.25, 1 - 1 / 1.5, 1 - 0.5 / 1
    [(dice_loss, 0.2), (soft_dice_loss, 1 / 3), (iou_loss, 0.5)],
)
def test_half_precision_at_96_cubed(loss, expected):
    ones = tf.ones((1, 96, 96, 96, 1), tf.float16)
    assert float(loss(ones, ones)) == pytest.approx(0, abs=1e-6)
    pred = tf.Variable(ones / 2)
    with tf.GradientTape() as tape:
        value = loss(ones, pred)
    gradient = tape.gradient(value, pred).numpy()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert np.all(np.isfinite(gradient)) and np.all(gradient <= 0) and gradient.any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("pred", [0.0, 0.3])
def test_gradients_are_finite_where_the_truth_is_empty(loss, pred):
    pred = tf.Variable(tf.fill((1, 3, 3, 3, 1), pred))
    with tf.GradientTape() as tape:
        value = loss(tf.zeros_like(pred), pred)
    assert np.all(np.isfinite(tape.gradient(value, pred)))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64])
def test_integer_labels(loss, kind):
    truth, pred = np.array([1, 1, 0, 0]).astype(kind), np.array([0.5, 1, 0.5, 0], np.float32)
    assert float(loss(truth, pred)) == pytest.approx(in_numpy(loss, truth, pred), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(2, 4, 4, 4), (2, 4, 4, 4, 3), (1, 4, 4, 4, 1)])
def test_shapes_must_agree(loss, shape):
    with pytest.raises(ValueError, match=r"y_true has shape .*, y_pred \(2, 4, 4, 4, 1\): they"):
        loss(np.ones(shape, "f"), np.ones((2, 4, 4, 4, 1), "f"))


def test_extents_may_be_unknown():
    some = tf.TensorSpec((None, None, 1), tf.float32)
    traced = tf.function(dice_loss, input_signature=[some, some])
    assert float(traced(np.ones((2, 3, 1), "f"), np.ones((2, 3, 1), "f"))) == pytest.approx(0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_compiled_model_saves_and_loads(loss, tmp_path):
    inputs = keras.Input((4, 4, 4, 1))
    model = keras.Model(inputs, keras.layers.Conv3D(1, 1, activation="sigmoid")(inputs))
    model.compile("sgd", loss=loss)
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 4, 4, 4, 1)), (rng.random((2, 4, 4, 4, 1)) > 0.5).astype("f")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = in_numpy(loss, y, model.predict_on_batch(x))
    for one in (model, loaded):
        assert one.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_names_in_saved_files():
    assert keras.saving.get_registered_name(dice_loss) == "voxelbook>dice_loss"
    assert keras.saving.get_registered_object("voxelbook>iou_loss") is iou_loss
