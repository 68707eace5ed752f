"""Simulate the bead set that the repository carries: python tools/make_beads.py data/beads

Four training pairs and one to validate, 64x64x32, 20 beads each; the same arrays each time (the
files differ: their headers hold the date). --shape and --beads make others.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.microscopy.bead_sets import write_bead_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 64, 32))
    parser.add_argument("--beads", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_bead_set(args.folder, tuple(args.shape), args.beads, seed=args.seed)
    for path in sorted(args.folder.rglob("*.mat")):
        print(path, f"{path.stat().st_size / 1e3:.0f} KB")


if __name__ == "__main__":
    main()
