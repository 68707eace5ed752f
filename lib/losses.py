"""Losses ``(y_true, y_pred) -> scalar tensor``, registered, so that saved models load.

All sums run in float32: half precision overflows at 65504, less than the voxels of a 64^3 patch.
Other arguments than the defaults: ``model.compile(loss=LossWith(imbalanced_loss, mul=100))``.
"""

import inspect

import keras
from keras import ops

_register = keras.saving.register_keras_serializable(package="voxelbook")


@_register
class LossWith(keras.losses.Loss):
    """A loss of this module with arguments of its own; a compiled model keeps them when saved.

    Args:
        loss: a function (y_true, y_pred, ...) -> scalar; registered, if the model is to load.
        name: what Keras calls it; None: the function's name.
        **arguments: of the function, by name.

    Raises:
        ValueError: an argument that the function does not have.
    """

    def __init__(self, loss, name: str | None = None, **arguments):
        known = list(inspect.signature(loss).parameters)[2:]
        for argument, value in arguments.items():
            if argument not in known:
                has = ", ".join(known) or "no arguments"
                raise ValueError(f"{argument}={value!r}: {loss.__name__} has {has}")
        super().__init__(name=name or loss.__name__)
        self.loss, self.arguments = loss, arguments

    def call(self, y_true, y_pred):
        return self.loss(y_true, y_pred, **self.arguments)

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss, "name": self.name, **self.arguments}

    @classmethod
    def from_config(cls, config):
        loss = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**{**config, "loss": loss})


@_register
def dice_loss(y_true, y_pred, power: int = 2, smooth: float = 1e-5):
    """1 - (2·Σ t·p + smooth) / (Σ t^power + Σ p^power + smooth), sums over the whole batch.

    Args:
        y_true, y_pred: one shape, values 0..1.
        power: 2 squares the terms below (F. Milletari et al., V-Net, 2016); 1 is soft Dice.
        smooth: makes two empty masks agree (loss 0).

    Raises:
        ValueError: the shapes differ.
    """
    truth, pred = _float32(y_true, y_pred)
    below = ops.sum(truth**power) + ops.sum(pred**power)
    return 1 - (2 * ops.sum(truth * pred) + smooth) / (below + smooth)


@_register
def soft_dice_loss(y_true, y_pred, cross_entropy: float = 0):
    """`dice_loss` with the plain sums Σ t + Σ p below, as the gray matter reference has it.

    Args:
        y_true, y_pred: one shape, values 0..1.
        cross_entropy: weight of the mean binary cross-entropy that is added, 0 or more.

    Raises:
        ValueError: the shapes differ, or a weight below 0.
    """
    return _add_cross_entropy(dice_loss(y_true, y_pred, power=1), y_true, y_pred, cross_entropy)


@_register
def iou_loss(y_true, y_pred, smooth: float = 1e-5, cross_entropy: float = 0):
    """1 - (Σ t·p + smooth) / (Σ t + Σ p - Σ t·p + smooth), sums over the whole batch.

    Args:
        y_true, y_pred: one shape, values 0..1.
        smooth: makes two empty masks agree (loss 0).
        cross_entropy: weight of the mean binary cross-entropy that is added, 0 or more.

    Raises:
        ValueError: the shapes differ, or a weight below 0.
    """
    truth, pred = _float32(y_true, y_pred)
    both = ops.sum(truth * pred)
    loss = 1 - (both + smooth) / (ops.sum(truth) + ops.sum(pred) - both + smooth)
    return _add_cross_entropy(loss, truth, pred, cross_entropy)


@_register
def imbalanced_loss(y_true, y_pred, threshold: float = 0.1, mul: float = 1000):
    """Mean of |t - p|, times ``mul`` where t >= ``threshold``: the few bright voxels count.

    Args:
        y_true, y_pred: one shape.
        threshold: in units of ``y_true``; what reaches it is bright.
        mul: weight of a bright voxel; a dark one weighs 1. The mean is over the number of voxels,
            not over the weights, so the loss grows with ``mul``.

    Raises:
        ValueError: the shapes differ, or ``mul`` is not above 0.

    Source: the bead reference, "3D autoencoder that removes blur and outside light".
    """
    if not mul > 0:
        raise ValueError(f"mul={mul}: give more than 0")
    truth, pred = _float32(y_true, y_pred)
    return ops.mean(ops.abs(truth - pred) * ops.where(truth >= threshold, float(mul), 1.0))


@_register
def lwe(y_true, y_pred):
    """Σ w·|t - p| / Σ w with w = |t + p|, over the whole batch; 0 where all weights are 0.

    The weight depends on the prediction too: light where there should be none counts.

    Raises:
        ValueError: the shapes differ.

    Source: the bead reference (its "LWE").
    """
    truth, pred = _float32(y_true, y_pred)
    weights = ops.abs(truth + pred)
    total = ops.maximum(ops.sum(weights), keras.config.epsilon())
    return ops.sum(weights * ops.abs(truth - pred)) / total


@_register
def ssim_loss(y_true, y_pred, data_range: float = 1.0):
    """1 - structural similarity in 3D, mean over batch, voxels and channels.

    As scikit-image computes it by default: a uniform window of 7 x 7 x 7 voxels, sample
    covariance, windows that lie inside only. (The reference's SSIM was 2D, over the last two axes
    of its arrays.)

    Args:
        y_true, y_pred: (N, X, Y, Z, C), X, Y and Z at least 7.
        data_range: between the least and the greatest value there can be.

    Raises:
        ValueError: the shapes differ, have not five axes, are too small, or ``data_range`` is not
            above 0.

    Source: Z. Wang et al., Image quality assessment: from error visibility to structural
    similarity (2004).
    """
    truth, pred = _float32(y_true, y_pred)
    if len(truth.shape) != 5 or any(n is not None and n < 7 for n in truth.shape[1:4]):
        raise ValueError(f"y_true has shape {truth.shape}: SSIM needs (N, X, Y, Z, C), 7 or more")
    if not data_range > 0:
        raise ValueError(f"data_range={data_range}: give more than 0")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2  # K1 and K2 of the source
    means = [ops.mean(x, axis=(1, 2, 3), keepdims=True) for x in (truth, pred)]  # in float32 the
    truth, pred = truth - means[0], pred - means[1]  # squares of what is far from 0 lose all else
    t, p = _window_means(truth), _window_means(pred)
    sample = 7**3 / (7**3 - 1)
    squares = _window_means(truth**2 + pred**2) - t**2 - p**2
    products = _window_means(truth * pred) - t * p
    t, p = t + means[0], p + means[1]
    alike = (2 * t * p + c1) * (2 * sample * products + c2)
    return 1 - ops.mean(alike / ((t**2 + p**2 + c1) * (sample * squares + c2)))


def _window_means(x):
    """Mean over 7 x 7 x 7 voxels, axis by axis: 21 terms a voxel instead of 343."""
    for window in ((7, 1, 1), (1, 7, 1), (1, 1, 7)):
        x = ops.average_pool(x, window, strides=1, padding="valid", data_format="channels_last")
    return x


def _add_cross_entropy(loss, y_true, y_pred, weight: float):
    if not weight >= 0:
        raise ValueError(f"cross_entropy={weight}: give 0 or more")
    if not weight:
        return loss
    return loss + weight * ops.mean(ops.binary_crossentropy(*_float32(y_true, y_pred)))


def _float32(y_true, y_pred):
    """Both in float32; a missing channel axis would broadcast to nonsense, so shapes must agree."""
    truth, pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    if len(truth.shape) != len(pred.shape) or any(
        None not in (a, b) and a != b for a, b in zip(truth.shape, pred.shape, strict=True)
    ):
        raise ValueError(f"y_true has shape {truth.shape}, y_pred {pred.shape}: they must agree")
    return truth, pred
