#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a field costs from Python, beside multiprocessing.Manager().dict() and, where it is installed, Redis.

    table.py LIBSEGFS        the shared library

Fields are read by tests/lang/python/read_table.py, with numpy alone, and written by the library through ctypes.
All sides in turn, medians. Prints a Markdown table.
"""
import ctypes
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lang", "python"))
from read_table import Table

RECORD = b"[('a', '<f8'), ('b', '<f8'), ('c', '<f8'), ('d', '<f8')]"
ROUNDS, OPERATIONS = 21, 200


class SegfsTable:
    name = "table"

    def __init__(self, library, folder):
        self.library = library = ctypes.CDLL(library)
        path, dtype, self.table = os.path.join(folder, "table"), ctypes.c_void_p(), ctypes.c_void_p()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        assert library.segfs_dtype_parse(RECORD, ctypes.c_size_t(len(RECORD)), ctypes.byref(dtype)) == 0
        assert library.segfs_table_format(fd, dtype) == 0
        assert library.segfs_table_open(fd, ctypes.byref(self.table)) == 0
        self.reader, self.timeout = Table(path), ctypes.c_int64(-1)
        self.record = ctypes.create_string_buffer(32)

    def update(self, value):
        self.library.segfs_table_write(self.table, 0, ctypes.byref(ctypes.c_double(value)), self.timeout)

    def read(self):
        return self.reader.read("a")[0]

    def read_all(self):
        self.library.segfs_table_snapshot(self.table, self.record, self.timeout)

    def close(self):
        self.library.segfs_table_close(self.table)


class ManagerDict:
    name = "Manager().dict"

    def __init__(self):
        self.manager = multiprocessing.Manager()
        self.dict = self.manager.dict(a=0.0, b=0.0, c=0.0, d=0.0)

    def update(self, value):
        self.dict["a"] = value

    def read(self):
        return self.dict["a"]

    def read_all(self):
        return self.dict.copy()

    def close(self):
        self.manager.shutdown()


class Redis:
    name = "Redis, Unix socket"

    def __init__(self, folder):
        import redis
        socket = os.path.join(folder, "redis")
        self.server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", ""],
                                       stdout=subprocess.DEVNULL)
        while not os.path.exists(socket):
            time.sleep(0.01)
        self.client = redis.Redis(unix_socket_path=socket)
        self.client.hset("record", mapping={"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0})

    def update(self, value):
        self.client.hset("record", "a", value)

    def read(self):
        return float(self.client.hget("record", "a"))

    def read_all(self):
        return self.client.hgetall("record")

    def close(self):
        self.server.terminate()
        self.server.wait()


def has_redis():
    try:
        import redis
    except ImportError:
        return False
    return redis is not None and shutil.which("redis-server") is not None


def time_us(operation):
    start = time.perf_counter()
    for i in range(OPERATIONS):
        operation(i)
    return (time.perf_counter() - start) / OPERATIONS * 1e6


def measure(operations):
    """Medians in microseconds, of each side."""
    times = [[] for _ in operations]
    for _ in range(ROUNDS):
        for side, operation in zip(times, operations):
            side.append(time_us(operation))
    return [statistics.median(side) for side in times]


def main(library):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        sides = [SegfsTable(library, folder), ManagerDict()] + ([Redis(folder)] if has_redis() else [])
        print("| work |", " | ".join(side.name for side in sides), "|")
        print("| --- |" + " --- |" * len(sides))
        for work, call in [("update of a field", lambda side: side.update),
                           ("read of a field", lambda side: lambda i: side.read()),
                           ("read of all 4", lambda side: lambda i: side.read_all())]:
            print(f"| {work} |", " | ".join(f"{us:.1f} us" for us in measure([call(side) for side in sides])), "|")
        for side in sides:
            side.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: table.py LIBSEGFS")
    main(sys.argv[1])
