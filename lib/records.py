"""What a training leaves behind, epoch by epoch, and how it goes on from there."""

import csv
import inspect
import json
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from lib.files import whole

HISTORY, BEST, STATE = "history.csv", "best.weights.h5", "resume.npz"
RULE = "go on with what it was, give another folder, or resume=False"


class Records(keras.callbacks.Callback):
    """Keeps losses, metrics and seconds of each epoch and, in a folder, what is needed to go on.

    Put it behind all other callbacks, so that it sees whether they stopped the training, and, in a
    training that goes on, sets what they remember after they have forgotten it.

    Args:
        folder: for `HISTORY`, a row for each epoch; `BEST`, the weights of the lowest loss;
            `STATE`, from which `restore` goes on. Each appears whole or not at all, the state last.
            None: nothing is written.
        monitor: the loss that `BEST` goes by.
        callbacks: whose counts, bests and kept weights belong to the state.
        about: name -> setting, by which `restore` knows the training again; what JSON can hold.

    Attributes:
        rows: losses and metrics by name and ``seconds`` of each epoch.
        stopped: whether a callback ended the training.
    """

    def __init__(
        self, folder: str | Path | None = None, monitor: str = "loss", callbacks=(), about=None
    ):
        super().__init__()
        self.folder = None if folder is None else Path(folder)
        self.monitor, self.rows, self.stopped = monitor, [], False
        self.callbacks, self._remembered = list(callbacks), []
        kinds = [type(callback).__name__ for callback in self.callbacks]
        about = {**(about or {}), "callbacks": kinds, "monitor": monitor}
        self.about = json.loads(json.dumps(about, default=str))

    def history(self) -> dict[str, list[float]]:
        """One list for each loss, metric and the seconds, over the epochs that have it."""
        found = {}
        for row in self.rows:
            for name, value in row.items():
                found.setdefault(name, []).append(value)
        return found

    def on_train_begin(self, logs=None):
        for callback, remembered in zip(self.callbacks, self._remembered, strict=False):
            vars(callback).update(remembered)

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Write what the epoch brought.

        Raises:
            ValueError: a loss or metric is NaN or infinite; what was written before stays.
        """
        row = {name: float(value) for name, value in (logs or {}).items()}
        _check_finite(row, epoch)
        lowest = min((r[self.monitor] for r in self.rows if self.monitor in r), default=np.inf)
        self.rows.append({**row, "seconds": time.perf_counter() - self._began})
        self.stopped = bool(self.model.stop_training)
        if self.folder:
            if row[self.monitor] < lowest:
                with whole(self.folder / BEST) as new:
                    self.model.save_weights(new)
            self._write_history()
            self._write_state()

    def forget(self) -> None:
        """Remove the state of an earlier training: this one begins anew."""
        if self.folder:
            (self.folder / STATE).unlink(missing_ok=True)

    def restore(self, model: keras.Model) -> None:
        """Set a compiled model, and these records, as they were when the last epoch ended.

        Where the folder holds no state, nothing happens.

        Raises:
            ValueError: the state cannot be read, or is that of another training; what differs is
                named.
        """
        path = self.folder / STATE
        if not path.exists():
            return
        known, arrays = _read_state(path)
        _check_same(known, self.about, path)
        values, variables = arrays.pop("model"), _variables(model)
        own, there = [tuple(v.shape) for v in variables], [value.shape for value in values]
        if own != there:
            odd = next((pair for pair in zip(there, own, strict=False) if pair[0] != pair[1]), "")
            counts = f"{len(there)} variables, the model has {len(own)} {odd}".strip()
            raise ValueError(f"{path} is of another training, of {counts}: {RULE}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.rows, self.stopped = known["rows"], known["stopped"]
        self._remembered = [{**own} for own in known["remembered"]]
        for name, weights in arrays.items():
            number, _, attribute = name.partition(" ")
            self._remembered[int(number)][attribute] = weights
        self._write_history()  # the program may have ended between the two

    def _write_history(self) -> None:
        rows = [{"epoch": epoch, **row} for epoch, row in enumerate(self.rows)]
        columns = dict.fromkeys(name for row in rows for name in row)
        with whole(self.folder / HISTORY) as new, new.open("w", newline="", encoding="utf-8") as f:
            table = csv.DictWriter(f, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    def _write_state(self) -> None:
        lists = {"model": [variable.numpy() for variable in _variables(self.model)]}
        for number, callback in enumerate(self.callbacks):
            for name, weights in _weights(callback).items():
                lists[f"{number} {name}"] = weights
        arrays = {f"{name}/{n}": a for name, own in lists.items() for n, a in enumerate(own)}
        known = {"rows": self.rows, "stopped": self.stopped, "about": self.about}
        known["learning_rate"] = float(self.model.optimizer.learning_rate)
        known["remembered"] = [_numbers(callback) for callback in self.callbacks]
        with whole(self.folder / STATE) as new:
            np.savez(new, records=json.dumps(known), **arrays)


def _read_state(path: Path) -> tuple[dict, dict[str, list]]:
    """(records, name -> arrays in order) of a state file."""
    try:
        with np.load(path) as state:
            known, lists = json.loads(str(state["records"])), {}
            for name in state.files:
                if name != "records":
                    lists.setdefault(name.rpartition("/")[0], []).append(state[name])
    except Exception as error:  # whatever zipfile and NumPy meet first in a damaged file
        raise ValueError(f"{path} cannot be read ({error}): remove it to begin anew") from error
    return known, lists


def _check_same(known: dict, own: dict, path: Path) -> None:
    """Refuse to go on with another loss, optimizer, feed or list of callbacks."""
    was = dict(known["about"])
    if own.get("learning_rate") == known["learning_rate"]:  # the same model, and a callback's rate
        was["learning_rate"] = own["learning_rate"]
    for name in own:
        if was.get(name) != own[name]:
            there = f"{name} {was.get(name)}, now {own[name]}"
            raise ValueError(f"{path} is of another training, with {there}: {RULE}")


def _check_finite(row: dict[str, float], epoch: int) -> None:
    for name, value in row.items():
        if not np.isfinite(value):
            raise ValueError(
                f"{name} is {value} in epoch {epoch}, counted from 0: try a lower learning rate or "
                "clipped gradients (lib.training.adam), and look for extreme values in the images"
            )


def _variables(model: keras.Model) -> Sequence[keras.Variable]:
    """All that a training changes: weights, running means, seeds, the optimizer's own."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def _numbers(callback: keras.callbacks.Callback) -> dict[str, float]:
    """What a callback counts and compares, by name, without its settings.

    Keras hands it losses as tensors, too.
    """
    found, settings = {}, inspect.signature(type(callback).__init__).parameters
    for name, value in vars(callback).items():
        if name not in settings and isinstance(value, bool | int | float | np.number):
            found[name] = np.asarray(value).item()
        elif keras.ops.is_tensor(value) and len(value.shape) == 0:
            found[name] = float(value)
    return found


def _weights(callback: keras.callbacks.Callback) -> dict[str, list]:
    """The lists of arrays that a callback keeps, such as the best weights, by name."""
    found = {}
    for name, value in vars(callback).items():
        if isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
            found[name] = value
    return found
