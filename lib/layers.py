"""Layers that Keras lacks. A batch is ``(N, X, Y, Z, C)``."""

import keras


@keras.saving.register_keras_serializable(package="voxelbook")
class DivisibleExtents(keras.layers.Layer):
    """Passes its input on and refuses extents that pooling by ``factor`` would not halve cleanly.

    The check runs when the model is built for the extents known then, and when it is called for
    the others.

    Raises:
        ValueError: an extent that ``factor`` does not divide; axis, extent and factor are named.
    """

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        for axis, extent in enumerate(inputs.shape[1:-1], start=1):
            if extent is not None and extent % self.factor:
                raise ValueError(
                    f"axis {axis} of the batch has {extent} voxels: "
                    f"this network needs a multiple of {self.factor}"
                )
        return inputs

    def compute_output_spec(self, inputs):
        return self.call(keras.KerasTensor(inputs.shape, inputs.dtype))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
