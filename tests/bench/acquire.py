#!/usr/bin/python3
"""Frames at increasing rates, from a process that must not wait to one that sums each: how many are lost."""
import ctypes
import queue
import time

import numpy as np

import bench
import library
from library import lib, check
from peers import fork

FRAME, DEPTH = bench.MIB, 8
SECONDS = 0.05 if bench.QUICK else 0.5
RATES = (50, 100) if bench.QUICK else tuple(50 << i for i in range(9))


class Ring:
    name = "segfs ring"

    def __init__(self):
        self.path = bench.MNT / "acquire"
        library.make(self.path, "user.shm.ring", f"block capacity {DEPTH} shape {FRAME // 2} dtype <u2")
        self.at = ctypes.c_void_p()

    def open(self, producer):
        self.ring = library.attach("ring", self.path)
        check(lib.segfs_ring_attach(self.ring) if producer else lib.segfs_ring_join(self.ring, 0))

    def array(self):
        return np.ctypeslib.as_array(ctypes.cast(self.at, ctypes.POINTER(ctypes.c_uint16)), (FRAME // 2,))

    def send(self, frame):
        if lib.segfs_ring_reserve(self.ring, 1, 0, 0, ctypes.byref(self.at)) != 1:
            return False
        self.array()[:] = frame
        check(lib.segfs_ring_commit(self.ring, 1))
        return True

    def receive(self):
        check(lib.segfs_ring_acquire(self.ring, 1, 1, 0, -1, ctypes.byref(self.at), None))
        total = self.array().sum()
        lib.segfs_ring_release(self.ring, 1)
        return total

    def close(self):
        lib.segfs_ring_close(self.ring)
        self.path.unlink()


class Queue:
    name = "Queue"

    def __init__(self):
        self.queue = fork.Queue(DEPTH)

    def open(self, producer):
        pass

    def send(self, frame):
        try:
            self.queue.put_nowait(frame)
        except queue.Full:
            return False
        return True

    def receive(self):
        return self.queue.get().sum()

    def close(self):
        self.queue.close()


class Pipe:
    """It has no room for a frame, so that a send waits for the consumer; frames get lost while it does."""

    name = "Pipe"

    def __init__(self):
        self.reader, self.writer = fork.Pipe(duplex=False)

    def open(self, producer):
        pass

    def send(self, frame):
        self.writer.send(frame)
        return True

    def receive(self):
        return self.reader.recv().sum()

    def close(self):
        self.reader.close()
        self.writer.close()


def consume(peer, ready):
    bench.end_with_parent()
    peer.open(producer=False)
    ready.release()
    while peer.receive() != 0:
        pass
    ready.release()


def send_at_last(peer, frame):
    while not peer.send(frame):
        time.sleep(0.001)


def produce(peer, frame, rate):
    """The share of frames that were lost. A camera keeps DEPTH of them for who is late; what is later is lost."""
    n, sent, late_s = max(4, int(rate * SECONDS)), 0, DEPTH / rate
    begin = bench.now() + 0.01
    for i in range(n):
        due = begin + i / rate
        time.sleep(max(0, due - bench.now()))
        if bench.now() <= due + late_s:
            sent += peer.send(frame)
    return 1 - sent / n


def measure(peer_class, rate):
    peer, ready = peer_class(), fork.Semaphore(0)
    consumer = fork.Process(target=consume, args=(peer, ready), daemon=True)
    consumer.start()
    try:
        ready.acquire()
        peer.open(producer=True)
        send_at_last(peer, np.ones(FRAME // 2, "u2"))  # not counted
        lost = produce(peer, np.ones(FRAME // 2, "u2"), rate)
        send_at_last(peer, np.zeros(FRAME // 2, "u2"))
        ready.acquire()
    finally:
        consumer.join(1)
        consumer.kill()
        peer.close()
    return lost


def main():
    bench.describe("Acquisition at increasing rates, Python to Python",
                   f"Frames of {FRAME // bench.MIB} MiB come at a fixed rate for {SECONDS} s; the producer copies each in and never waits for the "
                   f"consumer, which sums each. Lost is what finds no room ({DEPTH} frames under way in ring and queue), and what comes while the "
                   f"producer is still busy with one {DEPTH} frames older (a pipe makes it wait). The ring by ctypes.", "frames a second")
    for rate in RATES:
        for peer, counts in bench.alternate(5, [Ring, Queue, Pipe]):
            lost = measure(peer, rate)
            if counts:
                bench.emit("frames lost", peer.name, rate, 100 * lost, "%")


if __name__ == "__main__":
    main()
