"""Rate and schedule of notebook 07's networks: mean correlation on the volumes they train on.

    python benchmarks/bench_restoration_rates.py [> results/07_rates.csv]

Each network takes the steps that it takes in the notebook, set so that all take about equal time.
Names after the command restrict it to those networks. About twelve minutes on one core.
"""

import itertools
import os
import sys
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
    "physics": (1e-3, 3e-3, 1e-2),
    "zeros": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "mirror": (1e-4, 3e-4, 1e-3, 3e-3),
    "small kernels": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
STEPS = {"physics": 300, "zeros": 240, "mirror": 140, "small kernels": 420}
RECIPES = {
    "zeros": Recipe(padding="same"),
    "mirror": Recipe(padding="reflect"),
    "small kernels": Recipe(padding="same", kernel_size=(4, 4, 2)),
}


def train_network(name: str, pairs, rate: float, schedule: str):
    if name == "physics":
        psf, how = gaussian_psf(SIGMA), {"steps": STEPS[name], "learning_rate": rate}
        return train_richardson_lucy_network(pairs, psf, **how)
    how = {"rate": rate, "schedule": schedule == "falling", "steps": STEPS[name]}
    return train_autoencoder(pairs, replace(RECIPES[name], **how))


def main() -> None:
    pairs = read_bead_set(ROOT / "data" / "beads" / "train")
    print("# python benchmarks/bench_restoration_rates.py > results/07_rates.csv   (one CPU core)")
    print("network,schedule,rate,steps,correlation")
    for name in sys.argv[1:] or STEPS:
        schedules = ["falling"] if name == "physics" else ["constant", "falling"]
        for schedule, rate in itertools.product(schedules, RATES[name]):
            network = train_network(name, pairs, rate, schedule)
            score = np.mean([correlation(label, network(image)) for image, label in pairs])
            row = f'"{name}",{schedule},{rate:g},{STEPS[name]},{score:.3f}'
            print(row, flush=True)


if __name__ == "__main__":
    main()
