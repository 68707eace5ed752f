"""Losses ``(y_true, y_pred) -> scalar tensor``, registered, so that saved models load.

All sums run in float32: half precision overflows at 65504, less than the voxels of a 64^3 patch.
"""

import keras
from keras import ops

_register = keras.saving.register_keras_serializable(package="voxelbook")


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
def soft_dice_loss(y_true, y_pred):
    """`dice_loss` with the plain sums Σ t + Σ p below, as the gray matter reference has it."""
    return dice_loss(y_true, y_pred, power=1)


@_register
def iou_loss(y_true, y_pred, smooth: float = 1e-5):
    """1 - (Σ t·p + smooth) / (Σ t + Σ p - Σ t·p + smooth), sums over the whole batch.

    Raises:
        ValueError: the shapes differ.
    """
    truth, pred = _float32(y_true, y_pred)
    both = ops.sum(truth * pred)
    return 1 - (both + smooth) / (ops.sum(truth) + ops.sum(pred) - both + smooth)


def _float32(y_true, y_pred):
    """Both in float32; a missing channel axis would broadcast to nonsense, so shapes must agree."""
    truth, pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    if len(truth.shape) != len(pred.shape) or any(
        None not in (a, b) and a != b for a, b in zip(truth.shape, pred.shape, strict=True)
    ):
        raise ValueError(f"y_true has shape {truth.shape}, y_pred {pred.shape}: they must agree")
    return truth, pred
