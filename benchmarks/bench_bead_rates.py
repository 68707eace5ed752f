"""Which learning rate, constant or falling, suits which network of notebook 06.

    python benchmarks/bench_bead_rates.py [> results/06_rates.csv]

Trained on the four training volumes of data/beads, judged by the correlation with the truth on its
validation volume and three more, simulated with seeds of their own: none is a test volume of the
notebook. The steps differ as the time of a step does. About five minutes. Names after the command
restrict it to those networks.
"""

import os
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from lib.metrics import correlation  # noqa: E402
from lib.microscopy.autoencoder import Recipe, train_autoencoder  # noqa: E402
from lib.microscopy.bead_sets import bead_pair, read_split  # noqa: E402

TRIALS = {
    "[4,4,2]": (Recipe(kernel_size=(4, 4, 2), steps=300), (1e-3, 3e-3, 1e-2)),
    "[6,6,3]": (Recipe(kernel_size=(6, 6, 3), steps=150), (1e-3, 3e-3, 1e-2)),
    "[16,16,8]": (Recipe(kernel_size=(16, 16, 8), steps=110), (1e-4, 3e-4, 1e-3, 3e-3)),
}
SCHEDULES = {"constant": False, "falling": True}  # falling: after a warm-up, to zero
SEED = 10  # not the notebook's
VOLUMES = range(7000, 7003)


def main() -> None:
    train, judged = read_split(ROOT / "data" / "beads")
    judged += [bead_pair(train[0][0].shape, 20, seed=(0, number)) for number in VOLUMES]
    print("# python benchmarks/bench_bead_rates.py > results/06_rates.csv   (one CPU core)")
    print("network,schedule,rate,seed,correlation")
    for name in sys.argv[1:] or TRIALS:
        recipe, rates = TRIALS[name]
        for schedule, rate in product(SCHEDULES, rates):
            tried = replace(recipe, rate=rate, schedule=SCHEDULES[schedule])
            trained = train_autoencoder(train, tried, seed=SEED)
            score = np.mean([correlation(label, trained(image)) for image, label in judged])
            print(f'"{name}",{schedule},{rate},{SEED},{score:.3f}', flush=True)


if __name__ == "__main__":
    main()
