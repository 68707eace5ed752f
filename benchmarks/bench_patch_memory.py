"""Memory of one training step of the 3D-ResUNet (filters=6), by patch size, on the CPU.

    python benchmarks/bench_patch_memory.py > results/patch_memory.csv

Each row is a process of its own that trains one step: its peak memory, and how much of that a
process that trains on a patch of 16^3 does not need. Counted beside it: the outputs of all layers,
float32. Python's `resource` module, which tells the peak, is not there on Windows.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib.models import resunet3d  # noqa: E402

CASES = (48, 1), (64, 1), (80, 1), (96, 1), (128, 1), (64, 8)  # size, patches a step
UNIT = 2**30 if sys.platform == "darwin" else 2**20  # of the peak in a GiB: bytes, or KiB

PROGRAM = """
import resource, sys, time
import numpy as np
from lib.models import resunet3d

size, batch = map(int, sys.argv[1:])
model = resunet3d(6, activation="sigmoid")
model.compile("sgd", loss="mse")
patches = np.zeros((batch, size, size, size, 1), np.float32)
began = time.perf_counter()
model.train_on_batch(patches, patches)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - began)
"""


def main() -> None:
    print("# python benchmarks/bench_patch_memory.py > results/patch_memory.csv   (2 CPU cores)")
    print("size,patches,counted_gib,peak_gib,above_16_gib,seconds")
    smallest, _ = train(16, 1)
    for size, batch in CASES:
        peak, seconds = train(size, batch)
        numbers = counted(size) * batch, peak, peak - smallest, seconds
        print(f"{size},{batch}," + ",".join(f"{number:.2f}" for number in numbers), flush=True)


def train(size: int, batch: int) -> tuple[float, float]:
    """Peak memory in GiB, and seconds, of one training step."""
    call = [sys.executable, "-c", PROGRAM, str(size), str(batch)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    peak, seconds = map(float, subprocess.check_output(call, cwd=ROOT, env=env).split())
    return peak / UNIT, seconds


def counted(size: int) -> float:
    """GiB of all layers' outputs for one patch."""
    layers = resunet3d(6, input_shape=(size, size, size, 1)).layers
    return float(sum(4 * np.prod(layer.output.shape[1:]) for layer in layers) / 2**30)


if __name__ == "__main__":
    main()
