"""Attaches to a segment with nothing but Python: a memoryview indexes it.   python3 attach_mmap.py /mnt/shm/NAME"""
import mmap
import os
import sys
import time


def attach(path):
    dtype = os.getxattr(path, "user.shm.dtype").decode()
    shape = os.getxattr(path, "user.shm.shape").decode()
    if (dtype, shape) != ("<f8", "4,5"):
        sys.exit(f"{path}: dtype {dtype}, shape {shape}, not <f8 and 4,5")
    with open(path, "r+b") as f:
        pages = mmap.mmap(f.fileno(), 0)  # the mapping stays when the file is closed
    return memoryview(pages).cast("d", [4, 5])  # "d" is the machine's own double, on this machine <f8


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
    sys.exit("usage: attach_mmap.py SEGMENT")
try:
    main(sys.argv[1])
except OSError as e:
    sys.exit(f"attach: {e}")
