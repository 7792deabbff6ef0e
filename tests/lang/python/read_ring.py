"""Follows a ring with nothing but numpy: include/segfs/layout.h in ten lines.   python3 read_ring.py /mnt/shm/NAME"""
import ast
import sys
import time

import numpy as np


def follow(path):
    """Each frame that could be read whole, and its number, as they come; None while there is nothing new."""
    file = np.memmap(path, np.uint8, "r")
    word = file[:16384].view("<u8")
    if bytes(file[:8]) != b"SEGFSRNG" or file[8:12].view("<u4")[0] != 1:
        raise ValueError("no ring")
    (size, stride, capacity, offset), ndim = map(int, word[2:6]), int(file[48])
    text, shape = bytes(file[120:4096]).split(b"\0")[0].decode(), tuple(map(int, word[7:7 + ndim]))
    dtype = np.lib.format.descr_to_dtype(ast.literal_eval(text)) if text[0] == "[" else np.dtype(text)
    frames = file[offset:offset + capacity * stride].reshape(capacity, stride)[:, :size]
    committed, begun = word[528:529], word[520:521]
    next = 0
    while True:
        if next + capacity < begun[0]:  # fell behind: go on in the middle of what there is
            next = int(begun[0]) - capacity // 2
        if next >= committed[0]:
            yield None
            continue
        frame = frames[next % capacity].copy()
        if begun[0] <= next + capacity:  # it was not touched meanwhile
            yield next, frame.view(dtype).reshape(shape)
        next += 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: read_ring.py SEGMENT")
    for found in follow(sys.argv[1]):
        if found:
            print(found[0], *found[1].flat)
        else:
            time.sleep(0.001)
