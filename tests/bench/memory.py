"""What memory alone takes, without any file: the least of whatever reads or clears as much."""
import mmap

import numpy as np

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
