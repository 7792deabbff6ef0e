"""Reads a table with numpy alone, as segfs/layout.h says.   python3 read_table.py /mnt/shm/NAME [FIELD]

For processors that read in program order, as x86 does: numpy has no fences.
"""
import ast
import sys

import numpy as np

ENTRY = np.dtype([("name", "S32"), ("offset", "<u8"), ("stride", "<u8"), ("size", "<u8"), ("at", "<u8"),
                  ("state", "<u8"), ("counts", "<u8", 4), ("owner", "<u4"), ("", "V20")])


class Table:
    def __init__(self, path):
        self.file = np.memmap(path, "u1", "r")
        if self.file[:8].tobytes() != b"SEGFSTBL" or self.file[8:12].view("<u4") != 1:
            raise ValueError(f"{path}: no table of version 1")
        descr = self.file[192:4096].tobytes().split(b"\0")[0].decode()
        self.dtype = np.lib.format.descr_to_dtype(ast.literal_eval(descr))
        n_bytes = len(self.dtype.names) * ENTRY.itemsize
        self.entries = dict(zip(self.dtype.names, self.file[8192:8192 + n_bytes].view(ENTRY)))

    def read(self, name):
        """A field's value, and how many had been written with it."""
        entry = self.entries[name]
        while True:
            state = int(entry["state"])
            now = state & 3
            at = int(entry["offset"]) + now * int(entry["stride"])
            value, count = self.file[at:at + int(entry["size"])].tobytes(), int(entry["counts"][now])
            if (int(entry["state"]) >> 5) - (state >> 5) <= 1:
                return np.frombuffer(value, np.dtype([("value", self.dtype[name])]))["value"][0], count

    def snapshot(self):
        """The record as it was at one moment; for tables that are not written without a pause."""
        while True:
            before = [int(entry["state"]) for entry in self.entries.values()]
            record = np.zeros((), self.dtype)
            for name in self.entries:
                record[name] = self.read(name)[0]
            if before == [int(entry["state"]) for entry in self.entries.values()]:
                return record


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: read_table.py SEGMENT [FIELD]")
    table = Table(sys.argv[1])
    print(table.read(sys.argv[2])[0] if len(sys.argv) == 3 else table.snapshot())
