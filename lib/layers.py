"""Layers that Keras lacks. A batch is ``(N, X, Y, Z, C)``."""

import keras


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
        if factor < 1 or factor != int(factor):
            raise ValueError(f"factor={factor}: give a whole number, 1 or more")
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        for axis, extent in enumerate(inputs.shape[1:-1], start=1):
            if extent is None:
                inputs = _checked_when_run(inputs, axis, self.factor)
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


def _checked_when_run(inputs, axis: int, factor: int):
    """The same check for an extent that only TensorFlow's running graph knows."""
    if keras.backend.backend() != "tensorflow" or isinstance(inputs, keras.KerasTensor):
        return inputs
    import tensorflow as tf

    rule = f"axis {axis} of the batch: this network needs a multiple of {factor}"
    extent = tf.shape(inputs)[axis]
    check = tf.debugging.assert_equal(extent, extent // factor * factor, rule)
    with tf.control_dependencies([check]):
        return tf.identity(inputs)
