"""Dying ReLUs made visible: how many units of each layer still answer, step by step."""

import keras
import numpy as np


class LiveUnits(keras.callbacks.Callback):
    """Watches the ReLUs of a network while it trains, always by the same probe.

    A unit is a channel behind a ReLU. It lives while it is above 0 in at least one voxel of the
    probe; where it is 0 throughout, no gradient reaches the weights before it.

    Args:
        probe: (N, ..., C), inputs of the network; they are predicted, so that a batch
            normalisation uses its running statistics, and nothing is learned from them.
        every: look before the first step and then after each so many.

    Attributes:
        steps: when it looked, from 0.
        shares: name of a layer -> the share of its units that lived, 0..1, one for each of `steps`.

    Raises:
        ValueError: ``every`` below 1, or, when the training begins, a network without a ReLU.
    """

    def __init__(self, probe: np.ndarray, every: int = 1):
        if every < 1:
            raise ValueError(f"every={every}: give 1 or more")
        super().__init__()
        self.probe, self.every = probe, every
        self.steps: list[int] = []
        self.shares: dict[str, list[float]] = {}

    def on_train_begin(self, logs=None):
        rectified = [layer for layer in self.model.layers if _is_relu(layer)]
        if not rectified:
            raise ValueError(f"network {self.model.name!r} has no ReLU: there is nothing to watch")
        self._step, self.steps = 0, []
        self.shares = {layer.name: [] for layer in rectified}
        self._inner = keras.Model(self.model.input, [layer.output for layer in rectified])
        self._look()

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self._step % self.every == 0:
            self._look()

    def _look(self) -> None:
        outputs = keras.tree.flatten(self._inner(self.probe, training=False))
        self.steps.append(self._step)
        for own, output in zip(self.shares.values(), outputs, strict=True):
            own.append(live_share(keras.ops.convert_to_numpy(output)))


def live_share(output: np.ndarray) -> float:
    """The share of channels that are above 0 somewhere in (N, ..., C)."""
    return float(np.mean(np.max(output, axis=tuple(range(np.ndim(output) - 1))) > 0))


def _is_relu(layer: keras.layers.Layer) -> bool:
    own = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.ReLU) or own is keras.activations.relu
