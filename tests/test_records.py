"""A training that was stopped goes on as if it never had been."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from lib.records import Records
from lib.sampling import PatchSampler
from lib.training import PatchDataset, adam, train

IMAGE = np.random.default_rng(0).normal(size=(12, 10, 9)).astype(np.float32)
DATA = PatchDataset(PatchSampler([(IMAGE, IMAGE > 0)], 4), 2, 3)
WATCHED = PatchDataset(DATA.sampler, 2, 1, seed=1)


def network(rate=0.01, steps=15):
    """With all that a state has: running means, a seed, momenta, a schedule's step."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, None, 1))
    x = layers.BatchNormalization()(layers.Conv3D(2, 1)(inputs))
    x = layers.Dropout(0.2, seed=3)(x)
    model = keras.Model(inputs, layers.Conv3D(1, 1, activation="sigmoid")(x))
    model.compile(adam(rate, steps), loss="mse", metrics=["mae"])
    return model


class Halt(keras.callbacks.Callback):
    """Breaks a training off, as Ctrl-C does, after some batches."""

    def __init__(self, batches):
        super().__init__()
        self.left = {"batches": batches}

    def on_train_batch_end(self, batch, logs=None):
        self.left["batches"] -= 1
        if not self.left["batches"]:
            raise KeyboardInterrupt


def fit(folder, model=None, epochs=5, **options):
    model = model or network()
    history = train(model, DATA, epochs, validation=WATCHED, folder=folder, **options)
    history.pop("seconds")
    return model, history


def break_off(folder, batches):
    with pytest.raises(KeyboardInterrupt):
        fit(folder, callbacks=[Halt(batches)], resume=True)


def rows(folder):
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_training_broken_off_twice_ends_like_one_that_never_was(tmp_path):
    model, history = fit(tmp_path / "whole")
    break_off(tmp_path / "broken", 8)  # in the third epoch, which is begun anew
    break_off(tmp_path / "broken", 4)  # in the fourth
    again, gone_on = fit(tmp_path / "broken", resume=True)
    assert gone_on == history and len(history["val_mae"]) == 5
    for here, there in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy())
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    model.load_weights(tmp_path / "whole" / "best.weights.h5")
    again.load_weights(tmp_path / "broken" / "best.weights.h5")
    for here, there in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


KILLED = """
import os, sys
sys.path.insert(0, "tests")
from test_records import *
save, count = Records._write_state, []
def write(self):
    count.append(1)
    if len(count) == 3:
        with __import__("lib.files").files.whole(self.folder / "resume.npz") as new:
            new.write_bytes(b"half a state")
            os._exit(9)
    save(self)
Records._write_state = write
fit(sys.argv[1])
"""


def test_a_kill_while_the_state_is_written_costs_one_epoch(tmp_path):
    root = Path(__file__).resolve().parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", KILLED, tmp_path / "killed"]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr[-2000:]
    assert len(rows(tmp_path / "killed")) == 3, "the history was ahead of the state"
    begun = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    _, gone_on = fit(tmp_path / "killed", resume=True, callbacks=[note])
    assert begun == [2, 3, 4]
    _, history = fit(tmp_path / "whole")
    assert gone_on["loss"] == pytest.approx(history["loss"], rel=1e-5)
    assert rows(tmp_path / "killed")[1] == pytest.approx(rows(tmp_path / "whole")[1])


def test_what_a_callback_counts_goes_on(tmp_path):
    def stopping():
        return keras.callbacks.EarlyStopping("loss", min_delta=10, patience=3)

    _, history = fit(tmp_path / "whole", epochs=9, callbacks=[stopping()])
    fit(tmp_path / "broken", epochs=2, callbacks=[stopping()])
    _, gone_on = fit(tmp_path / "broken", epochs=9, callbacks=[stopping()], resume=True)
    assert gone_on == history and len(history["loss"]) == 4
    stopped, same = fit(tmp_path / "broken", epochs=9, callbacks=[stopping()], resume=True)
    assert same == history, "what a callback has stopped does not go on"


def test_without_resume_a_training_begins_anew(tmp_path):
    _, history = fit(tmp_path)
    _, again = fit(tmp_path, epochs=2)
    assert again["loss"] == history["loss"][:2] and len(rows(tmp_path)) == 2
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, callbacks=[Halt(1)])
    assert not (tmp_path / "resume.npz").exists(), "no later training goes on from the old one"


def test_a_training_that_is_done_stays_as_it_is(tmp_path):
    _, history = fit(tmp_path, epochs=3)
    kept = (tmp_path / "best.weights.h5").read_bytes()
    model, same = fit(tmp_path, epochs=3, resume=True)
    assert same == history and (tmp_path / "best.weights.h5").read_bytes() == kept
    assert int(model.optimizer.iterations) == 9


def test_where_nothing_is_a_training_begins(tmp_path):
    _, history = fit(tmp_path / "a", epochs=2, resume=True)
    assert len(history["loss"]) == 2


def test_best_weights_are_those_of_the_lowest_loss(tmp_path):
    model, history = fit(tmp_path, network(rate=3))  # jumps
    values = history["val_loss"]
    assert values[-1] != min(values), "else this shows nothing"
    model.load_weights(tmp_path / "best.weights.h5")
    assert model.evaluate(WATCHED, verbose=0)[0] == pytest.approx(min(values), rel=1e-5)


def test_a_state_of_another_network_is_refused(tmp_path):
    fit(tmp_path, epochs=1)
    other = keras.Sequential([keras.Input((None, None, None, 1)), layers.Conv3D(1, 1)])
    other.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"resume\.npz holds \d+ variables of another training"):
        fit(tmp_path, other, resume=True)


def test_to_resume_takes_a_folder():
    with pytest.raises(ValueError, match="resume=True needs folder"):
        fit(None, resume=True)


def test_records_without_a_folder_keep_the_history():
    history = train(network(), DATA, 2)
    assert sorted(history) == ["loss", "mae", "seconds"] and min(history["seconds"]) > 0
