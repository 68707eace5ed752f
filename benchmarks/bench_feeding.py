"""Feeding random patches: time beside a training step, peak memory beside the framework's own.

    python benchmarks/bench_feeding.py [> results/feeding.txt]

Each row is a process of its own: the same network trains the same number of steps on one constant
batch (the framework's own memory), on patches drawn from a 256^3 pair (arrays in memory, files
mapped into it), and, as the reference does it, on all patches cut beforehand.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIZE, PATCH, BATCH = 256, 32, 4

PROGRAM = """
import resource, sys, time
import keras, numpy as np
from lib.models import resunet3d
from lib.patches import get_patches
from lib.sampling import PatchSampler
from lib.training import PatchDataset, train

way, folder, steps, patch, batch = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
model = resunet3d(1, activation="sigmoid")
model.compile("adam", loss="mse")
constant = np.zeros((batch, patch, patch, patch, 1), np.float32)
model.train_on_batch(constant, constant)
files = folder + "/image.npy", folder + "/label.npy"
feeding = 0.0
if way == "constant batch":
    began = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(constant, constant)
elif way == "all patches":
    x, y = (get_patches(np.load(f), patch, patch // 2)[..., None].astype("float32") for f in files)
    began = time.perf_counter()
    model.fit(x[: steps * batch], y[: steps * batch], batch, verbose=0)
else:
    pair = files if way == "memory map" else tuple(np.load(f) for f in files)
    sampler = PatchSampler([pair], patch, foreground=0.5, flips=["x"], turns=["z"])
    dataset = PatchDataset(sampler, batch, steps)
    began = time.perf_counter()
    for index in range(steps):
        dataset[index]
    feeding = (time.perf_counter() - began) / steps
    began = time.perf_counter()
    train(model, dataset, 1)
step = (time.perf_counter() - began) / steps
print(feeding * 1e3, step * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def measure(way: str, folder: str, steps: int) -> list[float]:
    command = [sys.executable, "-c", PROGRAM, way, folder, *map(str, (steps, PATCH, BATCH))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [float(value) for value in done.stdout.split()]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        image = rng.standard_normal((SIZE,) * 3, np.float32)
        np.save(f"{folder}/image.npy", image)
        np.save(f"{folder}/label.npy", (image > 1).astype(np.float32))
        print(f"{BATCH} patches of {PATCH}^3 a step from a {SIZE}^3 pair, ResUNet with filters=1")
        print(f"{'':16}{'patches':>9}{'feed ms':>9}{'step ms':>9}{'share':>8}{'peak GiB':>10} over")
        own = None
        for way, steps in [
            ("constant batch", 50), ("in memory", 50), ("memory map", 50), ("memory map", 500),
            ("all patches", 50),
        ]:  # fmt: skip
            feeding, step, peak = measure(way, folder, steps)
            own = own or peak
            print(
                f"{way:16}{steps * BATCH:9}{feeding:9.1f}{step:9.1f}{feeding / step:8.1%}"
                f"{peak:10.2f}{peak - own:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
