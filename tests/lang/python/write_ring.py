"""Writes a ring with nothing but numpy, as segfs/layout.h says.   python3 write_ring.py /mnt/shm/NAME

Only the policy `overwrite`, which waits for nobody. numpy has no fences: this is for processors that write in program order, as x86
does. Nobody is woken: who sleeps in segfs_ring_acquire() looks again after 50 ms. One producer at a time: they lock the file by
flock(2), which producers of libsegfs do not, so one of those must not write to the same ring.
"""
import fcntl
import mmap
import os
import struct
import sys
import time

import numpy as np

HEADER = 16384


class Ring:
    def __init__(self, path, dtype, shape, capacity):
        dtype, size = np.dtype(dtype), np.dtype(dtype).itemsize * int(np.prod(shape))
        stride = -(-size // 64) * 64
        while capacity * stride % mmap.PAGESIZE:
            capacity += 1
        descr = np.lib.format.dtype_to_descr(dtype)
        header = struct.pack("<8sIIQQQQII8Q3976s", b"SEGFSRNG", 1, 1, size, stride, capacity, HEADER, len(shape), 0,
                             *shape, *[0] * (8 - len(shape)), (descr if isinstance(descr, str) else repr(descr)).encode())
        if not os.path.exists(path):
            self.make(path, header, HEADER + capacity * stride)
        self.lock = open(path, "r+b")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file = np.memmap(path, np.uint8, "r+")
        if bytes(file[:4096]) != header or file[4096:4100].view("<u4")[0]:
            raise ValueError(f"{path}: no such ring, or one with a producer of another kind")
        word = file[:HEADER].view("<u8")
        self.begun, self.committed, self.capacity = word[520:521], word[528:529], capacity
        self.frames = file[HEADER:HEADER + capacity * stride].reshape(capacity, stride)[:, :size]

    @staticmethod
    def make(path, header, size):
        """Its name is last, so that nobody finds half of a ring; who comes second takes the first one's."""
        new = f"{path}_{os.getpid()}"
        with open(new, "x+b") as f:
            os.posix_fallocate(f.fileno(), 0, size)
            f.write(header)
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        os.unlink(new)

    def write(self, frame):
        n = int(self.committed[0])
        self.begun[0] = max(n + 1, int(self.begun[0]))  # before the frame is touched
        self.frames[n % self.capacity] = np.frombuffer(frame.tobytes(), np.uint8)
        self.committed[0] = n + 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: write_ring.py SEGMENT")
    ring = Ring(sys.argv[1], "<f8", (4,), 64)
    while True:
        ring.write(np.full(4, time.time()))
        time.sleep(0.01)
