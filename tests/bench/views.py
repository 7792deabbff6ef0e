#!/usr/bin/python3
"""What it costs to look at a segment of 1 GiB, beside one of 1 MiB, and at a directory of 1,000, beside one of 10."""
import os
import subprocess

import numpy as np

import bench

LARGE = 1 << 20 if bench.QUICK else 1 << 27
COMMANDS = {"tail -n 3 .segfs/text/{}": "segment", "head -n 3 .segfs/text/{}": "segment", "cat .segfs/info/{}": "segment",
            "cat {}/.segfs/list": "directory"}


def make():
    random = np.random.default_rng(1)
    for name, n in (("small-segment", 1 << 17), ("large-segment", LARGE)):
        array = np.lib.format.open_memmap(bench.MNT / name, "w+", "f8", (n,))
        for at in range(0, n, 1 << 17):
            array[at:at + (1 << 17)] = random.random(1 << 17)
    for name, n in (("small-directory", 10), ("large-directory", 100 if bench.QUICK else 1000)):
        os.mkdir(bench.MNT / name)
        for i in range(n):
            np.save(bench.MNT / name / f"s{i}.npy", np.zeros(8))


def time_ns(command):
    begin = bench.now()
    subprocess.run(command, shell=True, check=True, cwd=bench.MNT, stdout=subprocess.DEVNULL)
    return (bench.now() - begin) * 1e9


def main():
    bench.describe("Looking at segments", "A shell and the command, all of it, on a segment of 1 GiB (large) and one of 1 MiB (small), and on a directory "
                   "of 1,000 segments (large) and one of 10 (small): not for comparison with others, but to see what grows.")
    make()
    for command, kind in COMMANDS.items():
        for size, counts in bench.alternate(21, ["large", "small"]):
            ns = time_ns(command.format(f"{size}-{kind}"))
            if counts:
                bench.emit(command.format("X"), size, "", ns, "ns")
    for size in ("small", "large"):
        os.unlink(bench.MNT / f"{size}-segment")


if __name__ == "__main__":
    main()
