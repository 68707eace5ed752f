"""How fast networks learn to restore beads: seconds a step, and the score along a training."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from lib.metrics import correlation
from lib.microscopy.autoencoder import Autoencoder, Recipe, on_logits, train_autoencoder


@dataclass(frozen=True, eq=False)
class Learned:
    """One training, judged on its way, as `learn` returns it.

    Attributes:
        autoencoder: as trained to the end.
        steps: the numbers of steps after which it was judged, rising.
        scores: correlation with the truth, (volumes, steps).
    """

    autoencoder: Autoencoder
    steps: list[int]
    scores: np.ndarray


def learn(
    pairs,
    recipe: Recipe,
    volumes: Sequence,
    steps: Sequence[int],
    *,
    seed: int = 0,
    validation=None,
    folder=None,
) -> Learned:
    """Train once at a constant rate, and judge the network after given numbers of steps.

    The rate is constant so that a point on the way is what a training of so many steps would have
    ended with: under a schedule the early points would all be judged before their rate had fallen.

    Args:
        pairs: [(image, label)] to train on.
        recipe: how; its ``schedule`` and ``steps`` are overruled by the above.
        volumes: [(image, label)] to judge on, all of one shape.
        steps: when, from 1; one value may come twice.
        seed, validation, folder: as in `train_autoencoder`.

    Raises:
        ValueError: a number of steps below 1, or what `train_autoencoder` refuses.
    """
    images = np.stack([image for image, _ in volumes])[..., None]  # (volumes, X, Y, Z, 1)

    def judge(trained: keras.Model) -> list[float]:
        outputs = trained(images, training=False)
        outputs = keras.ops.sigmoid(outputs) if on_logits(recipe) else outputs
        outputs = keras.ops.convert_to_numpy(outputs)[..., 0]
        return [correlation(v[1], out) for v, out in zip(volumes, outputs, strict=True)]

    judged = JudgeAt(steps, judge)
    constant = replace(recipe, schedule=False, steps=10 * -(-max(steps) // 10))
    trained = train_autoencoder(
        pairs, constant, seed=seed, validation=validation, folder=folder, callbacks=[judged]
    )
    return Learned(trained, list(steps), np.array([judged.scores[n] for n in steps]).T)


class JudgeAt(keras.callbacks.Callback):
    """Judges a network after given numbers of steps of its training.

    Args:
        steps: counted from 1, in any order.
        judge: network -> score, any value.

    Attributes:
        scores: number of steps -> score, of those that were reached.

    Raises:
        ValueError: no number of steps, or one below 1.
    """

    def __init__(self, steps: Sequence[int], judge: Callable):
        if not len(steps) or min(steps) < 1:
            raise ValueError(f"steps={list(steps)}: give 1 or more, at least once")
        super().__init__()
        self.steps, self.judge = set(steps), judge
        self.scores, self._done = {}, 0

    def on_train_batch_end(self, batch, logs=None):
        self._done += 1
        if self._done in self.steps:
            self.scores[self._done] = self.judge(self.model)


def step_seconds(networks: Mapping[str, keras.Model], batch, rounds: int = 9) -> dict[str, float]:
    """The median time of a training step, all networks stepping in turn on one batch.

    So whatever else the machine does slows them alike. The first step of each, in which the
    backend prepares the others, does not count.

    Args:
        networks: name -> compiled network; this trains them, so give fresh ones.
        batch: (images, labels), as `lib.training.PatchDataset` gives them.
        rounds: steps of each that count.

    Raises:
        ValueError: no network or fewer than 1 round.
    """
    if not networks or rounds < 1:
        raise ValueError(f"{len(networks)} networks, rounds={rounds}: give 1 or more of each")
    seconds = {name: [] for name in networks}
    for _ in range(1 + rounds):
        for name, network in networks.items():
            began = time.perf_counter()
            network.train_on_batch(*batch)
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}
