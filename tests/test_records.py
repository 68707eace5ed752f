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


def fit(folder, model=None, epochs=5, *, callbacks=(), halt=99, **options):
    model = model or network()
    given = {"validation": WATCHED, "folder": folder, "callbacks": [*callbacks, Halt(halt)]}
    history = train(model, DATA, epochs, **{**given, **options})
    history.pop("seconds")
    return model, history


def break_off(folder, batches):
    with pytest.raises(KeyboardInterrupt):
        fit(folder, halt=batches, resume=True)


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
import test_records
from lib.files import whole
from lib.records import Records
save, count = Records._write_state, []
def write(self):
    count.append(1)
    if len(count) == 3:
        with whole(self.folder / "resume.npz") as new:
            new.write_bytes(b"half a state")
            os._exit(9)
    save(self)
Records._write_state = write
test_records.fit(sys.argv[1], callbacks=[test_records.keras.callbacks.LambdaCallback()])
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
    _, history = fit(tmp_path / "whole", callbacks=[note])
    assert gone_on["loss"] == pytest.approx(history["loss"], rel=1e-5)
    assert rows(tmp_path / "killed")[1] == pytest.approx(rows(tmp_path / "whole")[1])


def test_a_training_in_mixed_precision_goes_on_scale_and_all(tmp_path):
    """Keras wraps the optimizer then; a scale that doubles every two steps shows in the weights."""

    def mixed():
        model, scaled = network(), keras.optimizers.LossScaleOptimizer
        model.compile(scaled(adam(0.01, 15), dynamic_growth_steps=2), loss="mse")
        return model

    model, history = fit(tmp_path / "whole", mixed())
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", mixed(), halt=8)
    again, gone_on = fit(tmp_path / "broken", mixed(), resume=True)
    assert gone_on == history
    variables = zip(model.optimizer.variables, again.optimizer.variables, strict=True)
    for here, there in [*variables, *zip(model.variables, again.variables, strict=True)]:
        np.testing.assert_array_equal(here, there)
    assert float(again.optimizer.dynamic_scale) == 2**15 * 2**7  # 15 steps


def test_what_a_callback_counts_goes_on(tmp_path):
    def stopping():
        return keras.callbacks.EarlyStopping("loss", min_delta=10, patience=3)

    _, history = fit(tmp_path / "whole", epochs=9, callbacks=[stopping()])
    fit(tmp_path / "broken", epochs=2, callbacks=[stopping()])
    _, gone_on = fit(tmp_path / "broken", epochs=9, callbacks=[stopping()], resume=True)
    assert gone_on == history and len(history["loss"]) == 4
    _, same = fit(tmp_path / "broken", epochs=9, callbacks=[stopping()], resume=True)
    assert same == history, "what a callback has stopped does not go on"


def test_without_resume_a_training_begins_anew(tmp_path):
    _, history = fit(tmp_path)
    _, again = fit(tmp_path, epochs=2)
    assert again["loss"] == history["loss"][:2] and len(rows(tmp_path)) == 2
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, halt=1)
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
    inputs = keras.Input((None, None, None, 1))
    x = layers.BatchNormalization()(layers.Conv3D(3, 1)(inputs))
    wider = keras.Model(inputs, layers.Conv3D(1, 1, activation="sigmoid")(x))
    wider.compile(adam(0.01, 15), loss="mse")
    says = r"of 22 variables, the model has 21 \(\(1, 1, 1, 1, 2\), \(1, 1, 1, 1, 3\)\): go on with"
    with pytest.raises(ValueError, match=rf"resume\.npz is of another training, {says}"):
        fit(tmp_path, wider, resume=True)


OTHERS = {
    "loss": ({"loss": "mae"}, {}, "loss mse, now mae"),
    "optimizer": ({"optimizer": keras.optimizers.SGD(0.5)}, {}, "optimizer Adam, now SGD"),
    "schedule": (
        {"optimizer": adam(0.01, 30)},
        {},
        "the optimizer's learning_rate .*'decay_steps': 27",
    ),
    "feed": ({}, {"dataset": PatchDataset(DATA.sampler, 2, 3, seed=5)}, "seed 0, now 5"),
    "monitor": ({}, {"validation": None}, "monitor val_loss, now loss"),
    "callbacks": ({}, {"callbacks": [Halt(9)]}, r"callbacks \[\], now \['Halt'\]"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_training_is_refused_and_what_differs_named(tmp_path, name):
    compiled, given, says = OTHERS[name]
    options = {"dataset": DATA, "validation": WATCHED, "folder": tmp_path}
    train(network(), epochs=1, **options)
    other = network()
    other.compile(**{"optimizer": adam(0.01, 15), "loss": "mse", "metrics": ["mae"], **compiled})
    with pytest.raises(ValueError, match=rf"resume\.npz is of another training, with {says}"):
        train(other, epochs=2, resume=True, **{**options, **given})


def constant(rate=0.05):
    model = network()
    model.compile(keras.optimizers.SGD(rate), loss="mse")
    return model


def test_best_weights_and_rates_that_callbacks_keep_go_on(tmp_path):
    def own():
        slower = keras.callbacks.ReduceLROnPlateau("val_loss", min_delta=10, patience=2)
        best = keras.callbacks.EarlyStopping("val_loss", patience=9, restore_best_weights=True)
        return [slower, best]

    model, history = fit(tmp_path / "whole", constant(4.0), epochs=6, callbacks=own())
    assert int(np.argmin(history["val_loss"])) < 5, "else the best weights are the last"
    fit(tmp_path / "broken", broken := constant(4.0), epochs=3, callbacks=own())
    assert float(broken.optimizer.learning_rate) < 4, "it is slower already"
    options = {"epochs": 6, "callbacks": own(), "resume": True}
    for goes_on in (constant(4.0), constant(4.0)):  # goes on, and is called when it is done
        again, gone_on = fit(tmp_path / "broken", goes_on, **{**options, "callbacks": own()})
        assert gone_on == history
        for here, there in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(here, there)


def test_the_same_model_goes_on_after_a_callback_changed_its_rate(tmp_path):
    def slower():
        return [keras.callbacks.ReduceLROnPlateau("val_loss", min_delta=10, patience=1)]

    model = constant()
    fit(tmp_path, model, epochs=3, callbacks=slower())
    assert float(model.optimizer.learning_rate) < 0.05
    _, history = fit(tmp_path, model, epochs=4, callbacks=slower(), resume=True)
    assert len(history["loss"]) == 4


def test_settings_of_callbacks_are_those_given(tmp_path):
    def stopping(patience):
        return [keras.callbacks.EarlyStopping("loss", min_delta=10, patience=patience)]

    fit(tmp_path, epochs=2, callbacks=stopping(2))
    _, history = fit(tmp_path, epochs=9, callbacks=stopping(5), resume=True)
    assert len(history["loss"]) == 6


def test_fewer_epochs_than_there_are_are_refused(tmp_path):
    fit(tmp_path, epochs=3)
    with pytest.raises(ValueError, match=r"epochs=2, but .* holds a training of 3"):
        fit(tmp_path, epochs=2, resume=True)


def test_a_damaged_state_is_named(tmp_path):
    fit(tmp_path, epochs=1)
    state = tmp_path / "resume.npz"
    state.write_bytes(state.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"resume\.npz cannot be read \(.*\): remove it"):
        fit(tmp_path, resume=True)


class Spoil(keras.callbacks.Callback):
    """Makes the weights NaN at the end of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at = [epoch]

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in self.at:
            self.model.set_weights([np.nan * weight for weight in self.model.get_weights()])


def test_a_loss_that_is_no_number_stops_and_leaves_what_was_before(tmp_path):
    _, history = fit(tmp_path / "whole", epochs=4, callbacks=[Spoil(9)])
    with pytest.raises(ValueError, match=r"loss is nan in epoch 2, .* a lower learning rate"):
        fit(tmp_path / "spoilt", epochs=4, callbacks=[Spoil(2)])
    assert len(rows(tmp_path / "spoilt")) == 2
    model = network()
    model.load_weights(tmp_path / "spoilt" / "best.weights.h5")
    assert np.isfinite(model.evaluate(WATCHED, verbose=0)[0])
    _, gone_on = fit(tmp_path / "spoilt", epochs=4, callbacks=[Spoil(9)], resume=True)
    assert gone_on == history, "NaN that has gone does not blind what goes on"


def test_to_resume_takes_a_folder():
    with pytest.raises(ValueError, match="resume=True needs folder"):
        fit(None, resume=True)


def test_records_without_a_folder_keep_the_history():
    history = train(network(), DATA, 2)
    assert sorted(history) == ["loss", "mae", "seconds"] and min(history["seconds"]) > 0
