"""How boosted trees find gray matter in notebook 04's slab, one setting changed at a time.

    python benchmarks/bench_gray_trees.py > results/04_trees.csv

Trained on the back of the head as in the notebook, with scanner seed 100, not the notebook's;
scored by the mean Dice over three scans of the slab. "copies": further ones of each scan, raised
to a random power and multiplied by a random number, as the network's patches are. The test region
takes no part.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib.metrics import dice  # noqa: E402
from lib.mri import scanner  # noqa: E402
from lib.mri.segmentation import train_trees  # noqa: E402

SEED = 100
USUAL = {"voxels": 20_000, "copies": 0, "leaves": 31, "rounds": 100}  # the notebook's
TRIALS = [{}, {"voxels": 60_000}, {"copies": 1}, {"leaves": 15}, {"leaves": 63}, {"rounds": 300}]
CONTRAST, GAIN = 0.15, 0.1


def read_regions() -> dict:
    """Region -> (prepared scans, truth)."""
    brain, gray = scanner.load_template(ROOT / "data" / "generated")
    regions = {}
    for number, (name, part, count) in enumerate(
        [("train", np.s_[:, :85], 16), ("choose", np.s_[:, 85:117], 3)]
    ):
        scans = scanner.mr_scans(brain.crop(part).data, count, seed=(SEED, number))
        regions[name] = scanner.prepare_scans(scans), gray[part]
    return regions


def main() -> None:
    regions = read_regions()
    scans, mask = regions["train"]
    print("# python benchmarks/bench_gray_trees.py > results/04_trees.csv")
    print(*USUAL, "Dice", sep=",")
    for trial in TRIALS:
        tried = {**USUAL, **trial}
        further = scans * tried["copies"]
        copied = scans + scanner.changed_copies(further, contrast=CONTRAST, gain=GAIN, seed=SEED)
        trees = HistGradientBoostingClassifier(
            max_iter=tried["rounds"], max_leaf_nodes=tried["leaves"], random_state=SEED
        )
        find = train_trees(copied, mask, trees, voxels=tried["voxels"], seed=SEED)
        slab, truth = regions["choose"]
        score = np.mean([dice(truth, find(scan)) for scan in slab])
        print(*tried.values(), f"{score:.4f}", sep=",", flush=True)


if __name__ == "__main__":
    main()
