"""Which constant learning rate each network of notebook 06 learns beads fastest with.

    python benchmarks/bench_bead_rates.py [> results/06_rates.csv]

Trained on the four training volumes of data/beads, judged on its validation volume and three more
that are simulated with seeds of their own: none of them is a test volume of the notebook. Each
network takes about as many steps as two idle cores compute in 16 seconds, and is judged after each
quarter of them; what counts is the mean of the four correlations, the height of its curve.
About six minutes a seed. Names after the command restrict it to those networks.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from lib.microscopy.autoencoder import Recipe  # noqa: E402
from lib.microscopy.bead_sets import bead_pair, read_bead_set  # noqa: E402
from lib.microscopy.learning import learn  # noqa: E402

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
STEPS = {"[4,4,2]": 600, "[6,6,3]": 310, "[16,16,8]": 216, "U-Net": 116}  # about 16 s each
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "10 11").split()]  # not the notebook's
VOLUMES = range(7000, 7003)


def recipe_of(name: str, rate: float) -> Recipe:
    if name == "U-Net":
        return Recipe(unet=True, loss="binary_crossentropy", rate=rate)
    return Recipe(kernel_size=tuple(map(int, name.strip("[]").split(","))), rate=rate)


def main() -> None:
    folder = ROOT / "data" / "beads"
    train = read_bead_set(folder / "train")
    judged = read_bead_set(folder / "validation", like=folder / "train")
    judged += [bead_pair(train[0][0].shape, 20, seed=(0, number)) for number in VOLUMES]
    print("network,rate,seed,a quarter,half,three quarters,all steps,mean")
    for name in sys.argv[1:] or STEPS:
        quarters = [STEPS[name] * n // 4 for n in (1, 2, 3, 4)]
        for rate in RATES:
            for seed in SEEDS:
                learned = learn(train, recipe_of(name, rate), judged, quarters, seed=seed)
                curve = learned.scores.mean(axis=0)
                numbers = ",".join(f"{score:.3f}" for score in [*curve, np.mean(curve)])
                print(f'"{name}",{rate},{seed},{numbers}', flush=True)


if __name__ == "__main__":
    main()
