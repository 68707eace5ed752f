"""The learning rate of notebook 07's networks: mean correlation on the volumes they train on.

    python benchmarks/bench_restoration_rates.py [> results/07_rates.csv]

Each network takes the steps that it takes in the notebook: two cores need about as many seconds for
each of them, twice as many for the mirror, whose padded crops are larger. Names after the command
restrict it to those networks. About six minutes.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from lib.metrics import correlation  # noqa: E402
from lib.microscopy.autoencoder import Recipe, train_autoencoder  # noqa: E402
from lib.microscopy.bead_sets import SIGMA, read_bead_set  # noqa: E402
from lib.microscopy.physics import train_richardson_lucy_network  # noqa: E402
from lib.microscopy.psf import gaussian_psf  # noqa: E402

RATES = {
    "physics": (1e-3, 3e-3, 1e-2, 3e-2),
    "zeros": (3e-4, 1e-3, 3e-3, 1e-2),
    "mirror": (3e-4, 1e-3, 3e-3, 1e-2),
    "zeros, small kernels": (3e-3, 1e-2, 3e-2, 1e-1),
}
STEPS = {"physics": 300, "zeros": 160, "mirror": 160, "zeros, small kernels": 480}
RECIPES = {
    "zeros": Recipe(padding="same"),
    "mirror": Recipe(padding="reflect"),
    "zeros, small kernels": Recipe(padding="same", kernel_size=(4, 4, 2)),
}


def trained(name: str, pairs, rate: float):
    if name == "physics":
        psf, how = gaussian_psf(SIGMA), {"steps": STEPS[name], "learning_rate": rate}
        return train_richardson_lucy_network(pairs, psf, **how)
    return train_autoencoder(pairs, replace(RECIPES[name], rate=rate, steps=STEPS[name]))


def main() -> None:
    pairs = read_bead_set(ROOT / "data" / "beads" / "train")
    print("# python benchmarks/bench_restoration_rates.py > results/07_rates.csv")
    print("network,rate,steps,seconds,correlation")
    for name in sys.argv[1:] or STEPS:
        for rate in RATES[name]:
            began = time.perf_counter()
            network = trained(name, pairs, rate)
            seconds = time.perf_counter() - began
            score = np.mean([correlation(label, network(image)) for image, label in pairs])
            print(f'"{name}",{rate:g},{STEPS[name]},{seconds:.0f},{score:.3f}', flush=True)


if __name__ == "__main__":
    main()
