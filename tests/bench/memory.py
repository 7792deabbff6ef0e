"""What memory alone takes, without any file: the least of whatever reads or clears as much."""
import mmap
import os

import numpy as np

import bench

PEER = "memory alone"


def private(size):
    """Memory of this process, of huge pages if there are any to be had, not touched yet."""
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def filled(size):
    array = np.frombuffer(private(size), "f8")
    array[:] = 1
    return array


def sum_by_all_ns(workers, size):
    """From when the first of so many processes begins to sum one array until the last has summed it. All have read it once before."""
    array, (ready, tell), (told, go) = filled(size), os.pipe(), os.pipe()
    stamps = np.frombuffer(mmap.mmap(-1, workers * 16), "f8").reshape(workers, 2)
    pids = []
    for worker in range(workers):
        pids.append(os.fork())
        if pids[-1] == 0:
            bench.end_with_parent()
            os.write(tell, bytes(bool(array.sum())))
            os.read(told, 1)
            stamps[worker, 0] = bench.now()
            array.sum()
            stamps[worker, 1] = bench.now()
            os._exit(0)
    for _ in range(workers):
        os.read(ready, 1)
    os.write(go, bytes(workers))
    for pid in pids:
        os.waitpid(pid, 0)
    for fd in (ready, tell, told, go):
        os.close(fd)
    return (stamps[:, 1].max() - stamps[:, 0].min()) * 1e9


def emit_sums(work, workers, size, parameter):
    for _ in range(1 if bench.QUICK else 5):
        bench.emit(work, PEER, parameter, sum_by_all_ns(workers, size), "ns")
