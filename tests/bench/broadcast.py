#!/usr/bin/python3
"""Gives 1 GiB to 1, 2, 4 and 8 workers: how long until all have summed it, and how much memory they take together."""
import os

import bench
import peers

SIZE = 4 * bench.MIB if bench.QUICK else bench.GIB
SECONDS = 30
WORKERS = (1, 2) if bench.QUICK else (1, 2, 4, 8)
# An array given over, the copies that are under way, and what each worker makes of it.
NEEDS = {peers.Queue: 3, peers.Pipe: 3, peers.Manager: 4, peers.Redis: 4, peers.ZeroMQ: 3}
PEERS = (peers.InPlace, peers.CopiedIn, peers.PlainInPlace, peers.PythonShared, peers.Inherited, *NEEDS)


def fits(peer, workers):
    needed = (NEEDS[peer] + 2 * workers) * SIZE if peer in NEEDS else 3 * SIZE
    if needed < bench.available():
        return True
    bench.skip(peer.name, f"{workers} workers would take up to {needed // bench.MIB} MiB, more than there is")
    return False


def measure(peer, workers, size):
    """Seconds until all have it, until all have summed it, and bytes in use."""
    used = []
    with peers.Transfers(peer, size, workers, 1) as transfers:
        has, read = transfers.hand_over(1, lambda: used.append(bench.pss([os.getpid(), *bench.descendants(os.getpid())])))
    return has, read, used[0]


def compare(classes, workers):
    end = bench.now() + SECONDS
    for _ in "first", "warm":
        without = {peer: measure(peer, workers, 8)[2] for peer in classes}
    done = set()
    for peer, _ in bench.alternate(3, classes, warm_up=False):
        if peer in done and peer in NEEDS and bench.now() > end:
            continue  # it takes minutes, and what it takes is plain
        done.add(peer)
        has, read, used = measure(peer, workers, SIZE)
        bench.emit("until all have it", peer.name, workers, has * 1e9, "ns")
        bench.emit("until all have summed it", peer.name, workers, read * 1e9, "ns")
        bench.emit("memory for it, in all", peer.name, workers, (used - without[peer]) / bench.MIB, "MiB")


def main():
    bench.describe(f"Give {SIZE // bench.MIB} MiB to several workers, Python",
                   "From when the array is ready in one process until the last worker has it as a numpy array, and until it has summed it. Who shares memory has "
                   "reserved it, and attached and read it once before; told by a multiprocessing.Semaphore. Memory: the sum of Pss of all processes that took part, servers too, "
                   "while all workers still have the array, less that of the same processes with an array of 8 bytes; the array of who made it is in it, shared "
                   f"pages count once. Three rounds, but who copies begins none after {SECONDS} s. Memory alone: as many are told, and sum private memory of "
                   "huge pages that they have had from their parent, and have read before.", "workers")
    for workers in WORKERS:
        compare([peer for peer in peers.here(*PEERS) if fits(peer, workers)], workers)


if __name__ == "__main__":
    main()
