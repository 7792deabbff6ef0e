"""Attaches to a segment with numpy: its attributes are what numpy.memmap asks for.   python3 attach_numpy.py /mnt/shm/NAME"""
import os
import sys
import time

import numpy as np


def attach(path):
    dtype = np.dtype(os.getxattr(path, "user.shm.dtype").decode())
    shape = tuple(int(n) for n in os.getxattr(path, "user.shm.shape").decode().split(","))
    if dtype != np.float64 or shape != (4, 5):
        sys.exit(f"{path}: {dtype.str} {shape}, not <f8 (4, 5)")
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)


def main(path):
    a = attach(path)
    if a[1, 2] != 12.5:
        sys.exit(f"{path}: element [1,2] is {a[1, 2]}, not 12.5")
    a[2, 3] = 23.25
    print("ready", flush=True)

    end = time.monotonic() + 20
    while a[3, 4] != 99.0:  # another process writes it
        if time.monotonic() > end:
            sys.exit(f"{path}: element [3,4] is still {a[3, 4]} after 20 s")
        time.sleep(0.001)
    print("seen")


if len(sys.argv) != 2:
    sys.exit("usage: attach_numpy.py SEGMENT")
try:
    main(sys.argv[1])
except OSError as e:
    sys.exit(f"attach: {e}")
