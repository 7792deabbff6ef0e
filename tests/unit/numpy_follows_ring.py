# SPDX-License-Identifier: MIT
"""numpy_follows_ring.py RING_PUMP: what numpy alone reads of a ring while it is written at full speed is what was written, and
what a consumer in C reads."""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../lang/python"))
from read_ring import follow  # noqa: E402


def expected(number):
    base = number * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    return (np.uint64(base) + np.arange(512, dtype=np.uint64)).reshape(4, 128)


def wait_for(path):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return next(follow(path)) and None
        except (OSError, ValueError):
            time.sleep(0.001)
    sys.exit("the writer made no ring")


def read_for(seconds, path):
    """The first and last element of each frame, by its number."""
    seen, end = {}, time.monotonic() + seconds
    for found in follow(path):
        if found:
            number, frame = found
            if not np.array_equal(frame, expected(number)):
                sys.exit(f"frame {number} is not whole: {frame}")
            seen[number] = int(frame[0, 0]), int(frame[3, 127])
        if time.monotonic() > end and (not found or len(seen) > 100):
            return seen


def try_policy(pump, policy, directory):
    path = os.path.join(directory, f"ring-{policy}")
    writer = subprocess.Popen([pump, "write", path, str(policy)], stdin=subprocess.PIPE)
    wait_for(path)
    reader = subprocess.Popen([pump, "read", path], stdout=subprocess.PIPE, text=True)
    ours = read_for(0.7, path)
    writer.communicate()
    ours |= read_for(0, path)  # the ring at rest: what both must have seen
    theirs = {int(n): (int(a), int(b)) for n, a, b in map(str.split, reader.communicate()[0].splitlines())}
    common = ours.keys() & theirs.keys()
    if writer.returncode or reader.returncode or not common or any(ours[n] != theirs[n] for n in common):
        sys.exit(f"policy {policy}: {len(ours)} and {len(theirs)} frames, {len(common)} of them the same numbers, do not agree")
    print(f"policy {policy}: numpy read {len(ours)} frames, C {len(theirs)}, {len(common)} both")


with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
    for policy in 0, 1:
        try_policy(sys.argv[1], policy, directory)
