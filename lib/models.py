"""Networks. Each is one builder that returns a ``keras.Model`` on ``(N, X, Y, Z, C)`` batches."""

import math

import keras
from keras import layers

from lib.layers import DivisibleExtents, FourierConv3D

# Keras's 0.99 needs some 500 steps until the running statistics that prediction uses have caught
# up with the weights; a quick training has fewer.
BATCH_NORM_MOMENTUM = 0.9


def resunet3d(
    filters: int = 6,
    *,
    input_shape: tuple = (None, None, None, 1),
    out_channels: int = 1,
    activation: str | None = "relu",
) -> keras.Model:
    """The 3D-ResUNet of patch learning: residual blocks, pre-activated, four strides down and up.

    At ``filters=6``, ``input_shape=(128, 128, 128, 1)``: 8,453,629 parameters, 8,447,773 trained.

    Args:
        filters: f; the blocks are 4f, 8f, 16f and 32f wide, the bridge 64f.
        input_shape: (X, Y, Z, C), C known; extents may be None, and must be multiples of 16.
        out_channels: channels of the 1x1x1 convolution at the end.
        activation: of that convolution: "relu" for intensities (as in the source), "sigmoid" or
            "softmax" for labels, None for logits.

    Returns:
        A model (N, X, Y, Z, C) -> (N, X, Y, Z, out_channels), float32 out.

    Raises:
        ValueError: an extent that 16 does not divide, here if it is known, else in the call.

    Source: github.com/wjh1065/PVC-of-PET-images-using-3D-ResUnet (2021), after Z. Zhang et al.,
    Road extraction by deep residual U-Net (2018).
    """
    widths = [4 * filters, 8 * filters, 16 * filters, 32 * filters, 64 * filters]
    inputs = keras.Input(input_shape)
    x = DivisibleExtents(2 ** (len(widths) - 1))(inputs)
    skips = []
    for level, width in enumerate(widths):
        x = _residual_block(x, width // 2, width, stride=2 if level else 1, activate=level > 0)
        skips.append(x)  # (N, X/2^level, ..., width)
    skips.pop()
    for width in reversed(widths[:-1]):
        x = layers.UpSampling3D(2)(x)
        x = layers.Concatenate()([x, skips.pop()])
        x = _residual_block(x, width, width // 2)
    x = layers.Conv3D(out_channels, 1)(x)
    outputs = layers.Activation(activation or "linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="resunet3d")


def unet_3l(
    input_shape: tuple = (None, None, None, 1), *, first_filters: int = 8, kernel_size=(3, 3, 6)
) -> keras.Model:
    """The U-Net variant of the bead reference: three levels, a kernel long along z, sigmoid.

    At ``first_filters=8``, ``kernel_size=(3, 3, 6)`` and one channel: 198,545 parameters.

    Args:
        input_shape: (X, Y, Z, C), C known; extents may be None, and must be multiples of 4.
        first_filters: f; the levels are f, 2f and 4f wide.
        kernel_size: of all convolutions, the last one too; one number or one for each axis.

    Returns:
        A model (N, X, Y, Z, C) -> (N, X, Y, Z, 1), float32 in 0..1.

    Raises:
        ValueError: an extent that 4 does not divide, here if it is known, else in the call.

    Source: the bead reference, "3D autoencoder that removes blur and outside light", after
    O. Ronneberger et al., U-Net (2015).
    """
    f, inputs = first_filters, keras.Input(input_shape)
    skip1 = _convolutions(DivisibleExtents(4)(inputs), kernel_size, f, f)
    skip2 = _convolutions(layers.MaxPooling3D(2)(skip1), kernel_size, 2 * f, 2 * f)
    x = _convolutions(layers.MaxPooling3D(2)(skip2), kernel_size, 4 * f, 4 * f)
    x = _convolutions(layers.UpSampling3D(2)(x), kernel_size, 2 * f)
    x = _convolutions(layers.Concatenate()([x, skip2]), kernel_size, 2 * f, 2 * f)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
    x = _convolutions(layers.UpSampling3D(2)(x), kernel_size, f)
    x = _convolutions(layers.Concatenate()([x, skip1]), kernel_size, f, 2 * f)
    x = layers.Conv3D(1, kernel_size, padding="same", kernel_initializer="he_normal")(x)
    outputs = layers.Activation("sigmoid", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="unet_3l")


def large_kernel_autoencoder(
    input_shape: tuple = (None, None, None, 1),
    *,
    kernel_size: tuple = (16, 16, 8),
    filters: tuple = (4, 4),
    activation: str | None = "sigmoid",
    padding: str = "reflect",
    normalise: bool = True,
    share: float = 0.5,
) -> keras.Model:
    """The bead reference's simple CNN: a few convolutions with large kernels, all `FourierConv3D`.

    The defaults mirror the volume at its border and normalise. What keeps it alive is to train on
    logits (``activation=None``), with cross-entropy and the targets' mean as ``share``; a plain one
    (sigmoid, ``normalise=False``, mean squared error) soon answers black everywhere.

    Args:
        input_shape: (X, Y, Z, C), C known; extents may be None.
        kernel_size: of every convolution, the last one too.
        filters: channels of each hidden convolution.
        activation: of the last one; train on logits (None), then see `with_activation`.
        padding: "reflect", "same" or "valid", as in `FourierConv3D`.
        normalise: batch normalisation between each hidden convolution and its ReLU.
        share: mean of the targets; the last bias starts at its log-odds, so that the network
            starts where "black everywhere" would end.

    Returns:
        A model (N, X, Y, Z, C) -> (N, X, Y, Z, 1), float32 out; "valid" shrinks the extents.

    Raises:
        ValueError: ``filters`` is empty, ``share`` is not between 0 and 1, or what
            `FourierConv3D` refuses.

    Source: "3D autoencoder that removes blur and outside light"; its drawing is lost, so number
    and width of the layers are ours.
    """
    if not filters or not 0 < share < 1:
        raise ValueError(f"filters={filters}, share={share}: give one or more, and 0 < share < 1")
    x = inputs = keras.Input(input_shape)
    for width in filters:
        x = FourierConv3D(width, kernel_size, padding, use_bias=not normalise)(x)
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x) if normalise else x
        x = layers.Activation("relu")(x)
    bias = keras.initializers.Constant(math.log(share / (1 - share)))
    x = FourierConv3D(1, kernel_size, padding, bias_initializer=bias)(x)
    outputs = layers.Activation(activation or "linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="large_kernel_autoencoder")


def with_activation(model: keras.Model, activation: str) -> keras.Model:
    """The same network, its weights shared, with an activation after its outputs (logits)."""
    outputs = layers.Activation(activation, dtype="float32")(model.output)
    return keras.Model(model.input, outputs, name=f"{model.name}_{activation}")


def _convolutions(x, kernel_size, *widths):
    """One convolution with ReLU for each width."""
    how = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
    for width in widths:
        x = layers.Conv3D(width, kernel_size, **how)(x)
    return x


def _residual_block(x, first: int, second: int, stride: int = 1, activate: bool = True):
    """Two 3x3x3 convolutions beside a 1x1x1 shortcut; ``activate=False`` for the very first."""
    shortcut = layers.Conv3D(second, 1, strides=stride, padding="same")(x)
    shortcut = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(shortcut)
    x = _activated(x) if activate else x
    x = layers.Conv3D(first, 3, strides=stride, padding="same")(x)
    x = layers.Conv3D(second, 3, padding="same")(_activated(x))
    return layers.Add()([x, shortcut])


def _activated(x):
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
    return layers.Activation("relu")(x)
