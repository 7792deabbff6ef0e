#!/usr/bin/python3
"""How the cost of one segment, and of a listing, grows with how many segments there are: beside a tmpfs, and a pipe there and back."""
import os
import shutil
import subprocess
import time

import bench

COUNTS = (10, 100) if bench.QUICK else (10, 100, 10_000, 100_000, 1_000_000)
DIRECTORIES = {"segfs": bench.MNT / "many", "tmpfs": bench.PLAIN / "many"}


def fill(directory, first, end):
    """Files for the numbers from `first` on, an element each."""
    for i in range(first, end):
        os.close(os.open(directory / f"segment-{i:07}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))


def describe_first(path):
    """What metadata.c asks for, by either name."""
    os.truncate(path, 8)
    os.setxattr(path, "user.shm.dtype", b"<f8")
    os.setxattr(path, "user.shm.shape", b"1")


def measure_one(count):
    paths = [directory / "segment-0000000" for directory in DIRECTORIES.values()]
    subprocess.run([bench.BUILD / "tests" / "bench" / "bench-metadata", *paths, str(count)], check=True)


def time_ns(directory):
    begin = time.perf_counter()
    subprocess.run(["ls", "-l", directory], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1e9


def measure_listing(count):
    rounds = 11 if count <= 10_000 else 3 if count <= 100_000 else 1  # or it takes half an hour
    for peer, counts in bench.alternate(rounds, list(DIRECTORIES), warm_up=rounds > 1):
        ns = time_ns(DIRECTORIES[peer])
        if counts:
            bench.emit("ls -l", peer, count, ns, "ns")


def measure(made):
    first = 0
    for count in COUNTS:
        for directory in made:
            fill(directory, first, count)
            if first == 0:
                describe_first(directory / "segment-0000000")
        first = count
        measure_one(count)
        measure_listing(count)


def main():
    bench.describe("One segment and a listing, among many segments",
                   "C: each operation a thousand times on one file in a directory of so many, by the mount and on a tmpfs, beside a byte to another "
                   "process and one back. stat, opens and attributes go to one file again and again, as a program's own do: what the kernel may "
                   "cache, it has cached. ls -l is the command, all of it; a million are listed once only.", "segments")
    made = (bench.STORE / "many", DIRECTORIES["tmpfs"])  # in the store, as that is quicker
    for directory in made:
        directory.mkdir()
    try:
        measure(made)
    finally:
        for directory in made:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
