"""Layers that Keras lacks. A batch is ``(N, X, Y, Z, C)``."""

import keras
from keras import ops

from lib.arrays import check_count
from lib.fourier import choose_blocks, fourier_conv3d, is_large, reflect

PADDINGS = ("same", "valid", "reflect")
METHODS = ("auto", "direct", "fourier")


@keras.saving.register_keras_serializable(package="voxelbook")
class DivisibleExtents(keras.layers.Layer):
    """Passes its input on and refuses extents that pooling by ``factor`` would not halve cleanly.

    The check runs when the model is built for the extents known then, and when it is called for
    the others.

    Raises:
        ValueError: an extent that ``factor`` does not divide; axis, extent and factor are named.
            Where a TensorFlow graph learns the extents only as it runs, TensorFlow's
            InvalidArgumentError says the same (XLA drops it: there the next layer fails).
    """

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        self.factor = check_count(factor, "factor", 1)

    def call(self, inputs):
        for axis, extent in enumerate(inputs.shape[1:-1], start=1):
            if extent is None:
                rule = f"axis {axis} of the batch: this network needs a multiple of {self.factor}"
                inputs = _divisible_when_run(inputs, axis, self.factor, rule)
            elif extent % self.factor:
                raise ValueError(
                    f"axis {axis} of the batch has {extent} voxels: "
                    f"this network needs a multiple of {self.factor}"
                )
        return inputs

    def compute_output_spec(self, inputs):
        return self.call(keras.KerasTensor(inputs.shape, inputs.dtype))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def _divisible_when_run(inputs, axis: int, factor: int, rule: str):
    """The same for an extent that only TensorFlow's running graph knows."""
    if keras.backend.backend() != "tensorflow" or isinstance(inputs, keras.KerasTensor):
        return inputs
    import tensorflow as tf

    extent = tf.shape(inputs)[axis]
    check = tf.debugging.assert_equal(extent, extent // factor * factor, rule)
    with tf.control_dependencies([check]):
        return tf.identity(inputs)


@keras.saving.register_keras_serializable(package="voxelbook")
class FourierConv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` (stride 1) for large kernels: the same weights, the same result.

    Computed by `lib.fourier` in Fourier space, where that is quicker; kernels of [16,16,8] then
    take a seventh to a thirtieth of the time. What differs from Conv3D: sums run in float32
    (float64 in a float64 layer) whatever the compute type; rounding errors are relative to the
    largest values of a block, about 1e-6 of them; a NaN spreads over its whole block; training
    keeps the spectra of input and kernel until the gradient, three to five times the memory of the
    input (for 32^3 and such kernels twelve times).

    Args:
        filters, kernel_size: as in Conv3D.
        padding: "same" and "valid" as in Conv3D. "reflect" mirrors the volume at its borders, the
            edge voxel not repeated (NumPy's "reflect"), and keeps its extents: no dark frame.
        method: "direct" is Conv3D's own way, "fourier" the other; "auto" takes that one for
            kernels that train faster so on a CPU (`lib.fourier.is_large`).
        kwargs: Conv3D's others: activation, use_bias, initializers, regularizers, name, dtype, ...

    Raises:
        ValueError: another padding or method; strides, dilation_rate, groups or data_format other
            than Conv3D's defaults; when built or called, a batch without five dimensions or an
            extent, known then, that is too small for kernel and padding.
    """

    def __init__(self, filters, kernel_size, padding="same", method="auto", **kwargs):
        _one_of("padding", padding, PADDINGS)
        _one_of("method", method, METHODS)
        own = "valid" if padding == "reflect" else padding
        super().__init__(filters, kernel_size, padding=own, **kwargs)
        for name, only in [("strides", (1,) * 3), ("dilation_rate", (1,) * 3), ("groups", 1)]:
            _one_of(name, getattr(self, name), (only,))
        _one_of("data_format", self.data_format, ("channels_last",))
        self.padding, self.method = padding, method

    def convolution_op(self, inputs, kernel):
        extents, same = self.compute_output_shape(inputs.shape)[1:4], self.padding == "same"
        inputs = reflect(inputs, self.kernel_size) if self.padding == "reflect" else inputs
        small = not is_large(kernel.shape, keras.backend.backend())
        if self.method == "direct" or (self.method == "auto" and small):
            zeros = "same" if same else "valid"
            return ops.conv(inputs, kernel, padding=zeros, data_format=self.data_format)
        axes = choose_blocks(extents, kernel.shape, same)
        kind = "float64" if self.compute_dtype == "float64" else "float32"
        result = fourier_conv3d(ops.cast(inputs, kind), ops.cast(kernel, kind), same, axes)
        return ops.cast(result, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 5:
            raise ValueError(f"the batch has shape {tuple(input_shape)}: needed is (N, X, Y, Z, C)")
        for axis, (extent, n) in enumerate(zip(input_shape[1:4], self.kernel_size, strict=True)):
            least = {"same": 1, "valid": n, "reflect": n // 2 + 1}[self.padding]
            if extent is not None and extent < least:
                raise ValueError(
                    f"axis {axis + 1} of the batch: kernel_size={self.kernel_size} with "
                    f"padding={self.padding!r} needs {least} voxels or more; it has {extent}"
                )
        lost = [n - 1 if self.padding == "valid" else 0 for n in self.kernel_size]
        extents = [n if n is None else n - k for n, k in zip(input_shape[1:4], lost, strict=True)]
        return (input_shape[0], *extents, self.filters)

    def get_config(self):
        return {**super().get_config(), "method": self.method}


def _one_of(name: str, value, choices) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: FourierConv3D knows {', '.join(map(repr, choices))}")
