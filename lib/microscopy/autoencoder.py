"""The bead reference's simple CNN, from pairs to a function that restores: one recipe, one call.

A `Recipe` names all that a training hangs on, so that two of them can differ in one thing:
``replace(recipe, padding="same")``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from lib.models import large_kernel_autoencoder, with_activation
from lib.sampling import PatchSampler
from lib.training import PatchDataset, train, warm_cosine
from lib.watching import StopWhenBlack, is_relu

ARCHITECTURE = ("kernel_size", "filters", "padding", "normalise")


@dataclass(frozen=True)
class Recipe:
    """How a `large_kernel_autoencoder` is built and trained; the defaults are those that live.

    Attributes:
        kernel_size, filters, padding, normalise: as in `lib.models.large_kernel_autoencoder`.
        log_odds: the last bias starts at the log-odds of the labels' mean, else at 0.
        loss: "cross-entropy", on logits; or what Keras takes as a loss, on the sigmoid's output.
        rate: the learning rate, the highest where it has a schedule.
        schedule: warm-up and cosine decay (`lib.training.warm_cosine`); else the rate is constant.
        beta_1: of Adam.
        clip: the norm that a gradient is clipped to; None: not clipped.
        steps: batches in all, a multiple of 10.
        patch: extents of the random crops in voxels.
        batch: crops a batch.
        patience: steps, a multiple of 10, after which a training ends that is black at the beads of
            the first pair all that while, see `lib.watching.StopWhenBlack`; None: it goes on. For
            a network that answers by its sigmoid.

    Raises:
        ValueError: a patience that is none, or one beside the cross-entropy, which is on logits.
    """

    kernel_size: Sequence[int] = (16, 16, 8)
    filters: Sequence[int] = (4, 4)
    padding: str = "reflect"
    normalise: bool = True
    log_odds: bool = True
    loss: object = "cross-entropy"
    rate: float = 1e-3
    schedule: bool = True
    beta_1: float = 0.9
    clip: float | None = 1.0
    steps: int = 100
    patch: Sequence[int] | int = 32
    batch: int = 4
    patience: int | None = None

    def __post_init__(self):
        wait = self.patience
        if wait is not None and (wait < 10 or wait % 10 or on_logits(self)):
            rule = "give a multiple of 10, 10 or more, and another loss than the cross-entropy"
            raise ValueError(f"patience={wait}, loss={self.loss}: {rule}, which is on logits")

    def taking(self, other: "Recipe", *fields: str) -> "Recipe":
        """This recipe, with these of its attributes from another."""
        return replace(self, **{name: getattr(other, name) for name in fields})


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """What `train_autoencoder` returns; ``autoencoder(image)`` restores a volume.

    Attributes:
        network: (N, X, Y, Z, 1) -> (N, X, Y, Z, 1) in 0..1.
        history: as from `lib.training.train`, an epoch is 10 steps.
        steps, seconds: that its training took.
    """

    network: keras.Model
    history: dict[str, list[float]]

    @property
    def steps(self) -> int:
        return 10 * len(self.history["loss"])

    @property
    def seconds(self) -> float:
        return sum(self.history["seconds"])

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The restored volume (X, Y, Z), 0..1, of an observed one (X, Y, Z), 0..1."""
        return keras.ops.convert_to_numpy(self.network(image[None, ..., None]))[0, ..., 0]


def train_autoencoder(pairs, recipe: Recipe, **kept) -> Autoencoder:
    """Train for ``recipe.steps``: the one stage of `train_stages`, which ``kept`` goes to."""
    return train_stages(pairs, recipe, [recipe.steps], **kept)[recipe.steps]


def train_stages(
    pairs, recipe: Recipe, stages, *, seed: int = 0, callbacks=(), resume: bool = False, **kept
) -> dict[int, Autoencoder]:
    """One training on random crops, mirrored at random along x, y and z, kept at several stages.

    At a constant rate a stage is what a training of so many steps would have ended with.

    Args:
        pairs: [(image, label)], (X, Y, Z) each, 0..1.
        recipe: how; the last stage takes the place of its ``steps``.
        stages: numbers of steps, multiples of 10, in any order; one that a callback's stop
            forestalls is the network as it was then.
        seed: decides weights and crops.
        callbacks, resume: as in `lib.training.train`; to resume, give one stage.
        kept: validation and folder, as in `lib.training.train`.

    Returns:
        Steps -> the network after them, with the history up to there.

    Raises:
        ValueError: steps that 10 does not divide, several stages of a schedule that falls or of
            a training that resumes, or what network, sampler or `train` refuse.
    """
    stages = _rising(stages, recipe, resume)
    keras.utils.set_random_seed(seed)
    network = build(pairs, replace(recipe, steps=stages[-1]))
    sampler = PatchSampler(pairs, recipe.patch, flips=["x", "y", "z"])
    feed = PatchDataset(sampler, recipe.batch, 10, seed=seed)
    callbacks = [*callbacks, copies := _Copies(recipe, stages)]
    if recipe.patience:
        callbacks.append(StopWhenBlack(*pairs[0], recipe.patience // 10))
    history = train(network, feed, stages[-1] // 10, callbacks=callbacks, resume=resume, **kept)
    last = _answering(network, recipe)
    return {steps: _trained(copies.kept.get(steps, last), history, steps) for steps in stages}


class _Copies(keras.callbacks.Callback):
    """Copies the network at each stage: ``kept``, steps -> a copy that answers in 0..1."""

    def __init__(self, recipe: Recipe, stages):
        super().__init__()
        self.recipe, self.stages, self.kept = recipe, stages, {}

    def on_epoch_end(self, epoch, logs=None):
        if 10 * (epoch + 1) in self.stages:
            self.kept[10 * (epoch + 1)] = _answering(self.model, self.recipe)


def _trained(network: keras.Model, history: dict, steps: int) -> Autoencoder:
    """A stage, with its part of the history."""
    return Autoencoder(network, {name: values[: steps // 10] for name, values in history.items()})


def hidden_maps(network: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """What a network's ReLUs make of a volume (X, Y, Z): "layer 1, map 1" -> (X, Y, Z)."""
    hidden = [layer.output for layer in network.layers if is_relu(layer)]
    if not hidden:
        raise ValueError(f"network {network.name!r} has no ReLU: there is nothing to show")
    *outputs, _ = keras.Model(network.input, [*hidden, network.output])(image[None, ..., None])
    found = {}
    for depth, output in enumerate(outputs, start=1):
        maps = keras.ops.convert_to_numpy(output)[0]  # (X, Y, Z, maps)
        for number in range(maps.shape[-1]):
            found[f"layer {depth}, map {number + 1}"] = maps[..., number]
    return found


def _rising(stages, recipe: Recipe, resume: bool) -> list[int]:
    """The stages in order, each once, checked."""
    stages = sorted(set(stages))
    wrong = [steps for steps in stages if steps < 10 or steps % 10]
    if wrong or not stages or ((recipe.schedule or resume) and len(stages) > 1):
        rule = "give multiples of 10, 10 or more, several only without schedule and resume"
        raise ValueError(f"steps={stages}, schedule={recipe.schedule}, resume={resume}: {rule}")
    return stages


def _answering(network: keras.Model, recipe: Recipe) -> keras.Model:
    """A copy that answers in 0..1."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return with_activation(copy, "sigmoid") if on_logits(recipe) else copy


def build(pairs, recipe: Recipe) -> keras.Model:
    """The network of a recipe, compiled; logits out where its loss is the cross-entropy.

    Raises:
        ValueError: what `large_kernel_autoencoder` refuses.
    """
    share = float(np.mean([np.mean(label) for _, label in pairs])) if recipe.log_odds else 0.5
    own = {name: getattr(recipe, name) for name in ARCHITECTURE}
    activation = None if on_logits(recipe) else "sigmoid"
    network = large_kernel_autoencoder(**own, activation=activation, share=share)
    logits = keras.losses.BinaryCrossentropy(from_logits=True)
    loss = logits if on_logits(recipe) else recipe.loss
    rate = warm_cosine(recipe.rate, recipe.steps) if recipe.schedule else recipe.rate
    optimizer = keras.optimizers.Adam(rate, beta_1=recipe.beta_1, clipnorm=recipe.clip)
    network.compile(optimizer, loss=loss)
    return network


def on_logits(recipe: Recipe) -> bool:
    """Whether the network trains without its sigmoid."""
    return isinstance(recipe.loss, str) and recipe.loss == "cross-entropy"
