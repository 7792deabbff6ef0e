"""An acquisition process with a frame every few milliseconds, and readers that take them one by one.

    python3 acquire.py consume /mnt/shm/NAME FRAMES [PAUSE_MS]
    python3 acquire.py produce /mnt/shm/NAME FRAMES [PERIOD_MS]

With nothing but numpy: the ring's producer waits for nobody, and a reader that is too slow learns how many frames it has lost. (In a
ring that waits for its readers, those and the producer need libsegfs: see acquire.c. There, this reader looks on, and is not waited for.)
"""
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../lang/python"))
from read_ring import follow  # noqa: E402
from write_ring import Ring  # noqa: E402

SHAPE, CAPACITY = (64, 64), 16


def produce(path, n_frames, period):
    ring = Ring(path, "<u4", SHAPE, CAPACITY)
    for i in range(n_frames):
        ring.write(np.full(SHAPE, i, "<u4"))  # here: from a camera or a converter
        time.sleep(period)
    print(f"frames {n_frames}")


def consume(path, n_frames, pause):
    print("ready", flush=True)
    while not os.path.exists(path):
        time.sleep(0.01)
    n_read = next = n_lost = 0
    for found in follow(path):
        if not found:
            time.sleep(0.001)
            continue
        number, frame = found
        if not (frame == number).all():
            sys.exit("acquire.py: a torn frame")
        n_read, n_lost, next = n_read + 1, n_lost + number - next, number + 1
        if next >= n_frames:
            break
        time.sleep(pause)
    print(f"frames {n_read} lost {n_lost}")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("produce", "consume"):
        sys.exit("usage: acquire.py produce|consume SEGMENT FRAMES [MILLISECONDS]")
    ms = float(sys.argv[4]) if len(sys.argv) > 4 else 0
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), ms / 1000)
