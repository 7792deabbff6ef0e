#!/usr/bin/python3
"""Hands one array to another Python process, which reads it, at sizes from 1 KiB on."""
import statistics

import bench
import peers

SIZES = [1 * bench.KIB, 16 * bench.KIB, 256 * bench.KIB, bench.MIB, 16 * bench.MIB, 256 * bench.MIB]
PEERS = (peers.InPlace, peers.CopiedIn, peers.Attached, peers.PlainInPlace, peers.PlainCopiedIn, peers.PlainAttached,
         peers.PythonShared, peers.Queue, peers.Pipe, peers.PipeBytes, peers.Manager, peers.Redis, peers.ZeroMQ)
HAS, READ = "until the other has it", "until the other has read it"


def times_of(size):
    """How often in a round: as much as 64 MiB, and 200 times at most."""
    return 2 if bench.QUICK else max(1, min(200, 64 * bench.MIB // size))


def measure(peer, size):
    """Medians of one round, in seconds. The first transfer, in which memory is touched for the first time, does not count."""
    times = times_of(size) + 1
    with peers.Transfers(peer, size, 1, times) as transfers:
        found = [transfers.hand_over(value) for value in range(1, times + 1)][1:]
    return map(statistics.median, zip(*found))


def measure_size(size, classes):
    for peer, counts in bench.alternate(11 if size < 100 * bench.MIB else 3, classes):
        has, read = measure(peer, size)
        if counts:
            bench.emit(HAS, peer.name, size, has * 1e9, "ns")
            bench.emit(READ, peer.name, size, read * 1e9, "ns")


def main():
    bench.describe("Hand over an array, Python to Python",
                   "From when a float64 array is ready in one process until another has it as a numpy array, and until it has summed it. Made in "
                   "place: the array was filled where it is shared, in a file whose pages had been reserved, as the others' was filled in private "
                   "memory; that is not counted. Both are "
                   "attached beforehand, except where it says anew; then the consumer opens and maps the file each time. Shared memory, Manager and "
                   "Redis tell the consumer by a multiprocessing.Semaphore; queue, pipe and ZeroMQ tell it by the message itself. New processes "
                   "each round; a round is the median of up to 200 transfers after one that does not count.", "array", "bytes")
    classes = peers.here(*PEERS)
    for size in SIZES[:2] + [bench.MIB] if bench.QUICK else SIZES:
        if bench.available() < 12 * size:
            bench.skip("all peers", f"too little memory for {size} bytes")
            continue
        measure_size(size, classes)


if __name__ == "__main__":
    main()
