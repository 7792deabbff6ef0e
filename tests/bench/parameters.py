#!/usr/bin/python3
"""What a field costs from Python: a segfs table, beside multiprocessing.Manager().dict(), a struct under a lock that processes
share, and Redis. Fields are read by tests/lang/python/read_table.py, with numpy alone, and written by the library."""
import ctypes
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lang", "python"))
import bench
import library
from library import lib, check
from peers import RedisServer, fork, manager
from read_table import Table


class SegfsTable:
    name = "segfs table"

    def __init__(self):
        self.path = bench.MNT / "parameters"
        library.make(self.path, "user.shm.table", "[('a', '<f8'), ('b', '<f8'), ('c', '<f8'), ('d', '<f8')]")
        self.table, self.reader = library.attach("table", self.path), Table(self.path)
        self.record = ctypes.create_string_buffer(32)

    def update(self, value):
        check(lib.segfs_table_write(self.table, 0, ctypes.byref(ctypes.c_double(value)), -1))

    def read(self):
        return self.reader.read("a")[0]

    def read_all(self):
        check(lib.segfs_table_snapshot(self.table, self.record, -1))
        return self.record.raw

    def close(self):
        lib.segfs_table_close(self.table)
        self.path.unlink()


class Record(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in "abcd"]


class LockedStruct:
    name = "multiprocessing.Value of a struct"

    def __init__(self):
        self.value = fork.Value(Record)

    def update(self, value):
        with self.value.get_lock():
            self.value.a = value

    def read(self):
        with self.value.get_lock():
            return self.value.a

    def read_all(self):
        with self.value.get_lock():
            return bytes(self.value.get_obj())

    def close(self):
        pass


class ManagerDict:
    name = "Manager().dict"

    def __init__(self):
        self.manager = manager()
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

    def __init__(self):
        self.server = RedisServer()
        self.client = self.server.client()
        self.client.hset("record", mapping={"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0})

    def update(self, value):
        self.client.hset("record", "a", value)

    def read(self):
        return float(self.client.hget("record", "a"))

    def read_all(self):
        return self.client.hgetall("record")

    def close(self):
        self.client.close()
        self.server.close()


WORKS = {
    "update of a field": lambda side, value: side.update(value),
    "read of a field": lambda side, value: side.read(),
    "read of all 4": lambda side, value: side.read_all(),
}


def time_ns(side, work, times):
    begin = bench.now()
    for value in range(times):
        work(side, value)
    return (bench.now() - begin) / times * 1e9


def main():
    bench.describe("Parameters, Python",
                   "One field of four doubles, or all of them as of one moment, in one process, nobody else at it. segfs: written through ctypes, one "
                   "field read by numpy alone. multiprocessing.Value: a ctypes struct under a lock that processes share.")
    sides = [SegfsTable(), LockedStruct(), ManagerDict()]
    if RedisServer.missing:
        bench.skip(Redis.name, RedisServer.missing)
    else:
        sides.append(Redis())
    for work, function in WORKS.items():
        for side, counts in bench.alternate(21, sides):
            ns = time_ns(side, function, 5 if bench.QUICK else 200)
            if counts:
                bench.emit(work, side.name, "", ns, "ns")
    for side in sides:
        side.close()


if __name__ == "__main__":
    main()
