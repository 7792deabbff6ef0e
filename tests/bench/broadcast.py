#!/usr/bin/python3
"""Gives 1 GiB to 1, 2, 4 and 8 workers: how long until all have summed it, and how much memory they take together."""
import os

import bench
import peers

SIZE = 4 * bench.MIB if bench.QUICK else bench.GIB
WORKERS = (1, 2) if bench.QUICK else (1, 2, 4, 8)
# An array given over, the copies that are under way, and what each worker makes of it.
NEEDS = {peers.Queue: 3, peers.Pipe: 3, peers.Manager: 4, peers.Redis: 4, peers.ZeroMQ: 3}
PEERS = (peers.InPlace, peers.CopiedIn, peers.PlainInPlace, peers.PythonShared, *NEEDS)


def fits(peer, workers):
    needed = (NEEDS[peer] + 2 * workers) * SIZE if peer in NEEDS else 3 * SIZE
    if needed < bench.available():
        return True
    bench.skip(peer.name, f"{workers} workers would take up to {needed // bench.MIB} MiB, more than there is")
    return False


def measure(peer, workers):
    """Seconds and bytes."""
    used = []
    with peers.Transfers(peer, SIZE, workers, 1) as transfers:
        _, seconds = transfers.hand_over(1, lambda: used.append(bench.pss([os.getpid(), *bench.descendants(os.getpid())])))
    return seconds, used[0]


def main():
    bench.describe(f"Give {SIZE // bench.MIB} MiB to several workers, Python",
                   "From when the array is ready in one process until the last worker has summed it. Who shares memory has attached and read it once "
                   "before; told by a multiprocessing.Semaphore. Memory: the sum of Pss of all processes that took part, servers too, while all "
                   "workers still have the array: the array of who made it and the interpreters are in it, shared pages count once. "
                   "Who copies does it once only for 4 and 8 workers.", "workers")
    for workers in WORKERS:
        classes = [peer for peer in peers.here(*PEERS) if fits(peer, workers)]
        done = set()
        for peer, _ in bench.alternate(3, classes, warm_up=False):
            if workers > 2 and peer in NEEDS and peer in done:
                continue  # it takes minutes, and what it takes is plain
            done.add(peer)
            seconds, used = measure(peer, workers)
            bench.emit("time until all have summed it", peer.name, workers, seconds * 1e9, "ns")
            bench.emit("memory in all", peer.name, workers, used / bench.MIB, "MiB")


if __name__ == "__main__":
    main()
