"""Feeding and training: the same seed gives the same batches, and what is kept on disk."""

import csv
import time

import keras
import numpy as np
import pytest
from elsewhere import run_elsewhere

from lib.sampling import PatchSampler
from lib.training import PatchDataset, adam, step_seconds, train


@pytest.fixture
def sampler():
    image = np.random.default_rng(0).normal(size=(12, 10, 9)).astype(np.float32)
    return PatchSampler([(image, image > 0)], 4, foreground=0.5)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, None, None, 1)), keras.layers.Conv3D(1, 1)])
    model.compile("sgd", loss="mse")
    return model


def sums(dataset, epoch):
    dataset.epoch = epoch
    return [float(dataset[i][0].sum()) for i in range(len(dataset))]


def test_a_batch_depends_on_seed_epoch_and_index_alone(sampler):
    one, two = PatchDataset(sampler, 2, 3, seed=7), PatchDataset(sampler, 2, 3, seed=7)
    two.epoch = 4
    _ = two[0], two[2]  # what was drawn before does not matter
    one.epoch = 4
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_epochs_and_indices_give_different_batches(sampler):
    dataset = PatchDataset(sampler, 2, 3, seed=7)
    other = PatchDataset(sampler, 2, 3, seed=8)
    drawn = [*sums(dataset, 0), *sums(dataset, 1), *sums(other, 0)]
    assert len(set(drawn)) == len(drawn)


def test_batches_have_shape_type_and_length(sampler):
    dataset = PatchDataset(sampler, 5, 3)
    image, label = dataset[0]
    assert len(dataset) == 3
    assert image.shape == label.shape == (5, 4, 4, 4, 1)
    assert image.dtype == label.dtype == np.float32


@pytest.mark.parametrize(("argument", "value"), [("batch_size", 0), ("batches", -1)])
def test_sizes_below_one_are_refused(sampler, argument, value):
    sizes = {"batch_size": 1, "batches": 1, argument: value}
    with pytest.raises(ValueError, match=f"{argument}={value}"):
        PatchDataset(sampler, **sizes)


def label_mean(y_true, y_pred):
    """A loss that says which labels a step was trained on."""
    return keras.ops.mean(y_true) + 0 * keras.ops.mean(y_pred)


def test_training_shows_every_epoch_its_own_batches(sampler, model):
    plain = PatchDataset(sampler, 2, 3)
    expected = []
    for plain.epoch in range(3):
        expected.append(np.mean([plain[i][1].mean() for i in range(3)]))
    model.compile("sgd", loss=label_mean)
    history = train(model, PatchDataset(sampler, 2, 3), 3)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    assert len(set(expected)) == 3


ON_JAX = """
import sys
import keras
import numpy as np
from lib.sampling import PatchSampler
from lib.training import PatchDataset, train
image = np.random.default_rng(0).normal(size=(12, 10, 9)).astype(np.float32)
sampler = PatchSampler([(image, image > 0)], 4, foreground=0.5)
model = keras.Sequential([keras.Input((None, None, None, 1)), keras.layers.Conv3D(1, 1)])
model.compile("sgd", loss=lambda y, p: keras.ops.mean(y) + 0 * keras.ops.mean(p))
history = train(model, PatchDataset(sampler, 2, 3), 2, folder=sys.argv[1] + ".d")
resumed = train(model, PatchDataset(sampler, 2, 3), 3, folder=sys.argv[1] + ".d", resume=True)
np.save(sys.argv[1], history["loss"] + resumed["loss"])
"""


def test_jax_sees_the_same_batches(sampler, tmp_path):
    run_elsewhere("jax", ON_JAX, tmp_path / "losses.npy")
    plain, expected = PatchDataset(sampler, 2, 3), []
    for plain.epoch in (0, 1, 0, 1, 2):
        expected.append(np.mean([plain[i][1].mean() for i in range(3)]))
    np.testing.assert_allclose(np.load(tmp_path / "losses.npy"), expected, rtol=1e-5)


def test_validation_sees_the_same_batches_every_epoch(sampler, model):
    model.compile("sgd", loss=label_mean)
    validation = PatchDataset(sampler, 2, 3, seed=1)
    expected = np.mean([validation[i][1].mean() for i in range(3)])
    history = train(model, PatchDataset(sampler, 2, 3), 3, validation=validation)
    np.testing.assert_allclose(history["val_loss"], [expected] * 3, rtol=1e-5)


def test_the_folder_holds_history_best_weights_and_tensorboard(sampler, model, tmp_path):
    dataset = PatchDataset(sampler, 2, 3)
    history = train(model, dataset, 3, validation=PatchDataset(sampler, 2, 1, seed=1),
                    folder=tmp_path)  # fmt: skip
    with open(tmp_path / "history.csv") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(r["val_loss"]) for r in rows], history["val_loss"], rtol=1e-6)
    assert len(history["loss"]) == 3
    assert list((tmp_path / "tensorboard").rglob("events*"))
    model.load_weights(tmp_path / "best.weights.h5")
    best = model.evaluate(PatchDataset(sampler, 2, 1, seed=1), verbose=0)
    assert best == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_a_bar_counts_batches_shows_the_loss_and_goes(sampler, model, bars, capsys):
    train(model, PatchDataset(sampler, 2, 3), 2)
    shown = capsys.readouterr().err
    assert "train: 100%" in shown and "6/6" in shown and "loss=" in shown
    assert shown.split("\r")[-2:] == [" " * len(shown.split("\r")[-2]), ""], "wiped in the end"
    train(model, PatchDataset(sampler, 2, 3), 1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_bar_goes_when_a_training_breaks_off(sampler, model, bars, capsys):
    def stop(epoch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        halt = keras.callbacks.LambdaCallback(on_epoch_end=stop)
        train(model, PatchDataset(sampler, 2, 3), 2, callbacks=[halt])
    shown = capsys.readouterr().err
    assert "3/6" in shown and not shown.split("\r")[-2].strip()


def test_tqdm_s_own_variable_hides_the_bar(sampler, model, capsys):
    train(model, PatchDataset(sampler, 2, 3), 1)  # TQDM_DISABLE: see conftest
    assert capsys.readouterr() == ("", "")


def rates(learning_rate, steps, at):
    schedule = adam(learning_rate, steps)._learning_rate
    return [float(schedule(step)) for step in at]


def test_adam_warms_up_and_decays_by_a_cosine_to_nothing():
    at = [0, 5, 10, 10 + 30, 10 + 45, 10 + 60, 100, 150]
    cosines = np.array([0.5, 0, -0.5, -1, -1])  # of 60, 90, 120 and 180 degrees, and no further
    shares = [0.1, 0.55, 1, *(1 + cosines) / 2]
    np.testing.assert_allclose(rates(0.02, 100, at), 0.02 * np.array(shares), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("steps, warm", [(1, 1), (10, 1), (11, 2), (95, 10)])
def test_adam_is_warm_after_a_tenth_of_the_steps_rounded_up(steps, warm):
    start, top = rates(3e-4, steps, [0, warm])
    assert (start, top) == (pytest.approx(3e-5), pytest.approx(3e-4))
    after, end = rates(3e-4, steps, [warm + 1, max(steps, 2)])
    assert after < top and end == pytest.approx(0, abs=1e-10)
    assert adam(3e-4, steps).clipnorm == 1


@pytest.mark.parametrize("learning_rate, steps", [(1e-3, 0), (0, 10), (-1, 10), (np.nan, 10)])
def test_adam_refuses(learning_rate, steps):
    with pytest.raises(ValueError, match=f"learning_rate={learning_rate}, steps={steps}: give"):
        adam(learning_rate, steps)


class Sleeper:
    """Takes `seconds` a step, and far longer for the first."""

    def __init__(self, log, name, seconds):
        self.log, self.name, self.seconds = log, name, [0.2] + 9 * [seconds]

    def train_on_batch(self, images, labels):
        self.log.append(self.name)
        time.sleep(self.seconds.pop(0))


def test_networks_step_in_turn_and_the_first_step_does_not_count():
    log = []
    sleepers = {"a": Sleeper(log, "a", 0.01), "b": Sleeper(log, "b", 0.04)}
    seconds = step_seconds(sleepers, (0, 0), rounds=3)
    assert log == ["a", "b"] * 4
    assert 0.01 <= seconds["a"] < 0.04 <= seconds["b"] < 0.2


@pytest.mark.parametrize(("networks", "rounds"), [({}, 3), ({"a": None}, 0)])
def test_something_must_be_timed(networks, rounds):
    with pytest.raises(ValueError, match=f"rounds={rounds}: give 1 or more"):
        step_seconds(networks, (0, 0), rounds)
