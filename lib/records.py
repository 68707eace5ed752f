"""What a training leaves behind, epoch by epoch, and how it goes on from there."""

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from lib.files import whole

HISTORY, BEST, STATE = "history.csv", "best.weights.h5", "resume.npz"


class Records(keras.callbacks.Callback):
    """Keeps losses, metrics and seconds of each epoch and, in a folder, what is needed to go on.

    Put it behind all other callbacks, so that it sees whether they stopped the training, and, in a
    training that goes on, sets their numbers after they have set them anew.

    Args:
        folder: for `HISTORY`, a row for each epoch; `BEST`, the weights of the lowest loss;
            `STATE`, from which `restore` goes on. Each appears whole or not at all, the state last.
            None: nothing is written.
        monitor: the loss that `BEST` goes by.
        callbacks: whose numbers belong to the state, such as how long one has waited.

    Attributes:
        rows: losses and metrics by name and ``seconds`` of each epoch.
        stopped: whether a callback ended the training.
    """

    def __init__(self, folder: str | Path | None = None, monitor: str = "loss", callbacks=()):
        super().__init__()
        self.folder = None if folder is None else Path(folder)
        self.monitor, self.rows, self.stopped = monitor, [], False
        self.callbacks, self._numbers = callbacks, []

    def history(self) -> dict[str, list[float]]:
        """One list for each loss, metric and the seconds, over the epochs that have it."""
        found = {}
        for row in self.rows:
            for name, value in row.items():
                found.setdefault(name, []).append(value)
        return found

    def on_train_begin(self, logs=None):
        for callback, numbers in zip(self.callbacks, self._numbers, strict=False):
            vars(callback).update(numbers)

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in (logs or {}).items()}
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
            ValueError: the state is that of another network or optimizer; it is named.
        """
        path = self.folder / STATE
        if not path.exists():
            return
        with np.load(path) as state:
            known = json.loads(str(state["records"]))
            values = [state[f"variable {n}"] for n in range(len(state.files) - 1)]
        variables = _variables(model)
        own, there = [v.shape for v in variables], [value.shape for value in values]
        if own != there:
            rule = "give the same network and optimizer, another folder, or resume=False"
            raise ValueError(f"{path} holds {len(there)} variables of another training: {rule}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.rows, self.stopped, self._numbers = known["rows"], known["stopped"], known["numbers"]
        self._write_history()  # the program may have ended between the two

    def _write_history(self) -> None:
        rows = [{"epoch": epoch, **row} for epoch, row in enumerate(self.rows)]
        columns = dict.fromkeys(name for row in rows for name in row)
        with whole(self.folder / HISTORY) as new, new.open("w", newline="", encoding="utf-8") as f:
            table = csv.DictWriter(f, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    def _write_state(self) -> None:
        arrays = {f"variable {n}": v.numpy() for n, v in enumerate(_variables(self.model))}
        numbers = [_numbers(callback) for callback in self.callbacks]
        known = {"rows": self.rows, "stopped": self.stopped, "numbers": numbers}
        with whole(self.folder / STATE) as new:
            np.savez(new, records=json.dumps(known), **arrays)


def _variables(model: keras.Model) -> Sequence[keras.Variable]:
    """All that a training changes: weights, running means, seeds, the optimizer's own."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def _numbers(callback: keras.callbacks.Callback) -> dict[str, float]:
    """What a callback counts and compares, by name; Keras hands it losses as tensors, too."""
    found = {}
    for name, value in vars(callback).items():
        if isinstance(value, bool | int | float | np.number):
            found[name] = np.asarray(value).item()
        elif keras.ops.is_tensor(value) and len(value.shape) == 0:
            found[name] = float(value)
    found.pop("min_delta", None)  # a setting, whose sign Keras turns in the first epoch
    return found
