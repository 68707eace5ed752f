"""Ways in which a network dies, made visible while it trains; and an end to it.

A ReLU that is 0 for every input passes no gradient back; a sigmoid far from 0 passes next to none.
"""

import keras
import numpy as np


class Watch(keras.callbacks.Callback):
    """Looks at a network's ReLUs and at its logits while it trains, always by the same probe.

    A unit is a channel behind a ReLU. It lives while it is above 0 in at least one voxel of the
    probe. A logit is what goes into the network's last layer, an activation as in `lib.models`.
    The probe is predicted: a batch normalisation uses its running statistics and learns nothing.
    In a training that resumes it begins to look anew.

    Args:
        probe: (N, ..., C), inputs of the network.
        bright: bool, of the output's shape: where the logits are looked at.
        every: look before the first step and then after each so many.

    Attributes:
        steps: when it looked, from 0.
        live: name of a layer -> the share of its units that live, 0..1, one for each of `steps`.
        logits: their median in the bright voxels, one for each of `steps`.

    Raises:
        ValueError: no bright voxel, ``every`` below 1, or, when the training begins, a network
            without a ReLU.
    """

    def __init__(self, probe: np.ndarray, bright: np.ndarray, every: int = 5):
        if every < 1 or not np.any(bright):
            raise ValueError(f"every={every}, {np.sum(bright)} bright voxels: give 1 or more each")
        super().__init__()
        self.probe, self.bright, self.every = probe, bright, every
        self.steps: list[int] = []
        self.live: dict[str, list[float]] = {}
        self.logits: list[float] = []

    def on_train_begin(self, logs=None):
        rectified = [layer for layer in self.model.layers if is_relu(layer)]
        if not rectified:
            raise ValueError(f"network {self.model.name!r} has no ReLU: there is nothing to watch")
        outputs = [layer.output for layer in rectified] + [self.model.layers[-1].input]
        self._inner = keras.Model(self.model.input, outputs)
        self.steps, self.live, self.logits = [], {layer.name: [] for layer in rectified}, []
        self._look(0)

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        if self._step % self.every == 0:
            self._look(self._step)

    def last(self) -> dict[str, float]:
        """What it saw last: "live units", the share in the layer with the fewest, and "logit"."""
        return {"live units": min(s[-1] for s in self.live.values()), "logit": self.logits[-1]}

    def _look(self, step: int) -> None:
        inner = self._inner(self.probe, training=False)
        *units, logits = [keras.ops.convert_to_numpy(output) for output in inner]
        self._step = step
        self.steps.append(step)
        self.logits.append(float(np.median(logits[self.bright])))
        for shares, output in zip(self.live.values(), units, strict=True):
            shares.append(live_share(output))


class StopWhenBlack(keras.callbacks.Callback):
    """Ends a training whose network answers black where the truth is bright.

    After each epoch it adds "brightness" to the losses: the network's light in the bright voxels of
    a volume, over the truth's. The network ends in a sigmoid.

    Args:
        image, truth: (X, Y, Z), 0..1.
        patience: epochs in a row that may be black.
        black: the brightness below which an answer is black; bright is a truth above 0.5.

    Raises:
        ValueError: no bright voxel, or a patience below 1.
    """

    def __init__(self, image: np.ndarray, truth: np.ndarray, patience: int, black: float = 0.05):
        super().__init__()
        self.bright = np.asarray(truth) > 0.5
        if patience < 1 or not self.bright.any():
            raise ValueError(
                f"patience={patience}, truth has {self.bright.sum()} voxels above 0.5: give 1 or "
                "more of each"
            )
        self.probe, self.light = image[None, ..., None], float(np.sum(truth[self.bright]))
        self.patience, self.black, self.dark = patience, black, 0

    def on_epoch_end(self, epoch, logs=None):
        answer = keras.ops.convert_to_numpy(self.model(self.probe, training=False))[0, ..., 0]
        logs["brightness"] = float(np.sum(answer[self.bright])) / self.light
        self.dark = self.dark + 1 if logs["brightness"] < self.black else 0
        self.model.stop_training |= self.dark >= self.patience


def live_share(output: np.ndarray) -> float:
    """The share of channels that are above 0 somewhere in (N, ..., C)."""
    return float(np.mean(np.max(output, axis=tuple(range(np.ndim(output) - 1))) > 0))


def is_relu(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a ReLU, or ends with one."""
    own = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.ReLU) or own is keras.activations.relu
