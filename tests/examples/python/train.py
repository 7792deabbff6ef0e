"""Parameters that a trainer updates often, and workers read whenever they like: always whole, never waiting.

    python3 train.py write /mnt/shm/NAME UPDATES
    python3 train.py read /mnt/shm/NAME UPDATES

To write a field of a table takes an atomic compare-and-swap, which numpy has not. So this trainer writes its parameters as frames of
a ring, of which the workers take the newest: a trainer that is killed in the middle of a frame leaves the one before. The workers
also read a table, as the trainer in train.c writes it.
"""
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../lang/python"))
from read_ring import follow  # noqa: E402
from read_table import Table  # noqa: E402
from write_ring import Ring  # noqa: E402

MODEL = np.dtype([("step", "<u8"), ("weights", "<f8", (256,))])


def train(path, n_updates):
    ring = Ring(path, MODEL, (), 8)
    model = np.zeros((), MODEL)
    for step in range(1, n_updates + 1):
        model["step"] = step
        model["weights"] = step  # here: a step of gradient descent
        ring.write(model)


def newest(path):
    """A function that gives the parameters as they are now, or None as long as there are none."""
    with open(path, "rb") as f:
        if f.read(8) == b"SEGFSTBL":
            table = Table(path)
            return lambda: table.read("model")[0]
    frames, last = follow(path), None

    def read():
        nonlocal last
        for _ in range(8):  # as many as the ring has
            last = next(frames) or last
        return last and last[1]

    return read


def work(path, n_updates):
    while not os.path.exists(path):
        time.sleep(0.01)
    read, last, n_reads = newest(path), 0, 0
    while last < n_updates:
        model = read()
        if model is not None:
            if model["step"] < last or (model["weights"] != model["step"]).any():
                sys.exit("train.py: weights of different steps")
            last, n_reads = int(model["step"]), n_reads + 1
        time.sleep(0.0001)  # here: the work
    print(f"step {last} reads {n_reads}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("write", "read"):
        sys.exit("usage: train.py write|read SEGMENT UPDATES")
    {"write": train, "read": work}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
