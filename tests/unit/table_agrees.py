#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does a reader of pure numpy see in a table what the library sees, while it is written at full speed?

    table_agrees.py TABLE_PEER        the helper built from table_peer.c
"""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lang", "python"))
from read_table import Table

SECONDS = 2


class Peer:
    """The library's reader."""

    def __init__(self, program, path):
        self.process = subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return [int(number) for number in self.process.stdout.readline().split()]

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


def check_field(table, peer, name, numbers_of):
    """All of a value says the same count, between the library's counts before and behind."""
    first, _ = peer.ask(name)
    value, count = table.read(name)
    last, number = peer.ask(name)
    assert set(numbers_of(value)) == {count}, (name, value, count)
    assert first <= count <= last == number, (name, first, count, last, number)
    return last - first


def check_snapshot(peer, last):
    a, b, *others = now = peer.ask("")
    assert b <= a <= b + 1, now
    assert all(new >= old for new, old in zip(now, last)), (now, last)
    return now


def run(table, peer):
    numbers_of = {
        "a": lambda value: [value],
        "b": lambda value: [value],
        "wide": np.ravel,
        "pair": lambda value: [value["count"], value["half"] * 2],
    }
    end, rounds, writes, last = time.monotonic() + SECONDS, 0, 0, (0, 0, 0, 0)
    while time.monotonic() < end:
        writes += sum(check_field(table, peer, name, numbers_of[name]) for name in numbers_of)
        last = check_snapshot(peer, last)
        rounds += 1
    return rounds, writes


def main(program):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = os.path.join(folder, "table")
        peer = Peer(program, path)
        table = Table(path)
        assert table.dtype.itemsize == 8 + 3 + 8 + 320 + 16, table.dtype
        rounds, writes = run(table, peer)
        peer.end()
        record = table.snapshot()
        assert record["a"] == table.read("a")[0] and set(record["wide"]) == {table.read("wide")[1]}
    print(f"{rounds} rounds agree, over {writes} writes")
    assert rounds > 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: table_agrees.py TABLE_PEER")
    main(sys.argv[1])
