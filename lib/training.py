"""Feed patches to ``fit`` and keep what a training leaves behind."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from lib.arrays import check_count
from lib.records import Records
from lib.sampling import PatchSampler


class PatchDataset(keras.utils.PyDataset):
    """Batches of random patches, drawn when they are asked for.

    A batch depends on (seed, epoch, index) alone, whatever the order and what was drawn before: a
    training that resumes at epoch 7 sees the batches of epoch 7. One thread draws: with several,
    Keras asks ahead past the end of an epoch, and they were no faster.
    Keras neither tells a data set which epoch it is nor leaves its order alone, so train with
    `train`, which does both.

    Args:
        sampler: where the patches come from.
        batch_size: patches a batch.
        batches: batches an epoch.
        seed: chooses the patches.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, sampler: PatchSampler, batch_size: int, batches: int, *, seed: int = 0):
        super().__init__()
        self.batch_size = check_count(batch_size, "batch_size", 1)
        self.batches = check_count(batches, "batches", 1)
        self.sampler, self.seed, self.epoch = sampler, seed, 0

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch ``index`` of the current epoch: (N, x, y, z, C) images and labels, float32."""
        rng = np.random.default_rng((self.seed, self.epoch, index))
        return self.sampler.draw(rng, self.batch_size)


def train(
    model: keras.Model,
    dataset: PatchDataset,
    epochs: int,
    *,
    validation: PatchDataset | None = None,
    folder: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    resume: bool = False,
    progress: bool = True,
) -> dict[str, list[float]]:
    """``model.fit`` with the data set's epochs and order kept right.

    Args:
        model: compiled.
        dataset: see `PatchDataset`.
        epochs: of the whole training.
        validation: another one; its epoch stays 0, so every epoch is judged by the same patches.
        folder: where to leave ``history.csv``, the weights of the lowest (validation) loss as
            ``best.weights.h5``, logs for TensorBoard, and what ``resume`` needs. None: nothing is
            written.
        callbacks: more of Keras's.
        resume: go on behind the last whole epoch of the training that wrote ``folder``, as if it
            had never stopped, what ``callbacks`` count and keep included; one that a callback has
            stopped does not go on. Give the same model, data and callbacks; of these the loss, the
            optimizer with its schedule, the feed's numbers and the callbacks' classes are compared.
            Where there is nothing, begin. False: an earlier training's files are overwritten.
        progress: show a bar, one step a batch; the environment's ``TQDM_DISABLE=1`` hides it.

    Returns:
        The history of all epochs: one list of floats for each loss and metric, and the seconds.

    Raises:
        ValueError: a loss or metric that is NaN or infinite, with its epoch; resume without a
            folder, with one that another training wrote, or for fewer epochs than there are.
    """
    records = Records(
        folder, "val_loss" if validation else "loss", callbacks, _about(model, dataset)
    )
    first = _goes_on_at(records, model, epochs, resume)
    with _bar((epochs - first) * len(dataset), progress) as bar:
        own = [_SetEpoch(dataset), _Advance(bar)]
        if folder:
            own.append(keras.callbacks.TensorBoard(Path(folder) / "tensorboard"))
        model.fit(
            dataset, epochs=epochs, initial_epoch=first, shuffle=False, verbose=0,
            validation_data=validation, callbacks=[*own, *callbacks, records],
        )  # fmt: skip
    return records.history()


def _goes_on_at(records: Records, model: keras.Model, epochs: int, resume: bool) -> int:
    """The epoch to begin with; that after the last where nothing is left to do."""
    if not resume:
        records.forget()
    elif records.folder is None:
        raise ValueError("resume=True needs folder: where an earlier training was kept")
    else:
        records.restore(model)
    if len(records.rows) > epochs:
        there = f"{records.folder} holds a training of {len(records.rows)}"
        raise ValueError(f"epochs={epochs}, but {there}: give as many or more, or resume=False")
    return epochs if records.stopped else len(records.rows)


def _about(model: keras.Model, dataset: PatchDataset) -> dict:
    """What makes a training another one, as far as it can be told."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of mixed precision
    loss = model.loss.get_config() if hasattr(model.loss, "get_config") else ""
    about = {"loss": f"{_name(model.loss)} {loss}".strip(), "optimizer": _name(optimizer)}
    settings = optimizer.get_config()
    settings.pop("name")  # Keras counts them
    if isinstance(settings["learning_rate"], float):  # no schedule
        about["learning_rate"] = settings.pop("learning_rate")
    for setting, value in settings.items():
        about[f"the optimizer's {setting}"] = value
    return about | {key: getattr(dataset, key) for key in ("batch_size", "batches", "seed")}


def _name(value) -> str:
    """Of a function, of an object's class, or the text itself."""
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def _bar(batches: int, progress: bool) -> tqdm:
    """A bar; disable=False would overrule TQDM_DISABLE, so that it is left out."""
    if progress:
        return tqdm(desc="train", total=batches, unit="batch", leave=False)
    return tqdm(disable=True)


def step_seconds(networks: Mapping[str, keras.Model], batch, rounds: int = 9) -> dict[str, float]:
    """The median time of a training step, all networks stepping in turn on one batch.

    So whatever else the machine does slows them alike. The first step of each, in which the
    backend prepares the others, does not count.

    Args:
        networks: name -> compiled network; this trains them, so give fresh ones.
        batch: (images, labels), as `PatchDataset` gives them.
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


def warm_cosine(learning_rate: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """A learning rate that rises for a tenth of the steps and falls to 0 by a cosine.

    Args:
        learning_rate: the highest.
        steps: of the whole training.

    Raises:
        ValueError: fewer than 1 step or a rate not above 0.
    """
    if steps < 1 or not learning_rate > 0:
        raise ValueError(f"learning_rate={learning_rate}, steps={steps}: give more than 0")
    warm = -(-steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / 10, max(1, steps - warm), warmup_target=learning_rate, warmup_steps=warm
    )


def adam(learning_rate: float, steps: int) -> keras.optimizers.Adam:
    """Adam by `warm_cosine`, gradients clipped to norm 1."""
    return keras.optimizers.Adam(warm_cosine(learning_rate, steps), clipnorm=1.0)


class _SetEpoch(keras.callbacks.Callback):
    """Tells the data set the epoch."""

    def __init__(self, dataset: PatchDataset):
        super().__init__()
        self.dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.epoch = epoch


class _Advance(keras.callbacks.Callback):
    """Moves the bar; looks at the loss when it is drawn, since to look waits for the device."""

    def __init__(self, bar: tqdm):
        super().__init__()
        self.bar = bar

    def on_train_batch_end(self, batch, logs=None):
        if self.bar.update() and "loss" in (logs or {}):
            self.bar.set_postfix(loss=float(logs["loss"]))
