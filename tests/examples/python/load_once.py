"""A gigabyte that is loaded once and read by many workers, who share its memory.

    python3 load_once.py load /mnt/shm/NAME [MEBIBYTES]
    python3 load_once.py work /mnt/shm/NAME
"""
import os
import sys
import time

import numpy as np


def load(path, mebibytes=1024):
    """It gets its name when it is loaded: who finds it finds all of it."""
    n = int(mebibytes) * (1 << 20) // 8
    a = np.lib.format.open_memmap(path + "_loading", mode="w+", dtype="f8", shape=(n,))
    a[:] = np.arange(n)  # here: from a file, a database, a simulation
    os.rename(path + "_loading", path)


def attach(path):
    """For reading only: a worker that writes by mistake hurts itself, not the others."""
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:  # no .npy file: then its attributes say what is in it
        dtype, shape = (os.getxattr(path, "user.shm." + name).decode() for name in ("dtype", "shape"))
        return np.memmap(path, dtype, "r", shape=tuple(int(n) for n in shape.split(",") if n))


def work(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    a = attach(path)
    print(f"{a.sum():.0f}", flush=True)
    sys.stdin.read()  # stays until its input ends, for whoever wants to look at it in /proc


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("load", "work"):
        sys.exit("usage: load_once.py load SEGMENT [MEBIBYTES] | load_once.py work SEGMENT")
    {"load": load, "work": work}[sys.argv[1]](*sys.argv[2:])
