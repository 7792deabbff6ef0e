"""Ways of handing an array of float64 from one Python process to others, each used as its manual says.

A peer is made before the consumers are forked. The producer calls fill(), which is making the array and not part of handing it
over, and hand_over(); each consumer calls open() once and receive(), which returns the array, each time. What moves bytes by
itself (queue, pipe, ZeroMQ) says by that that they have come. All others need to be told, and all are told by the same:
a multiprocessing.Semaphore, which is a futex, the cheapest that Python comes with.
"""
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from multiprocessing.managers import SyncManager
from multiprocessing.shared_memory import SharedMemory

import numpy as np

import bench
import memory

try:
    import redis
except ImportError:
    redis = None
try:
    import zmq
except ImportError:
    zmq = None

fork = multiprocessing.get_context("fork")


class Peer:
    """One that sends the producer's own array."""

    missing = None  # why it cannot be had here

    def __init__(self, size, consumers):
        self.array = np.zeros(size // 8)
        self.told = [fork.Semaphore(0) for _ in range(consumers)]

    def fill(self, value):
        self.array[:] = value

    def holds(self, value):
        """What each element is, once it has been filled with this value."""
        return value

    def tell(self):
        for semaphore in self.told:
            semaphore.release()

    def hear(self, consumer):
        self.told[consumer].acquire()

    def open(self, consumer):
        pass

    def close(self):
        pass


def make_npy(path, elements):
    """An array in a file, mapped; its pages are reserved, as one does who wants to be told that there is room, not killed by SIGBUS."""
    array = np.lib.format.open_memmap(path, "w+", "f8", (elements,))
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
    return np.asarray(array)


class Shared(Peer):
    """A .npy file in a directory, mapped by all of them before it is handed over; filled in place. Used as a plain array: what numpy
    adds to a memmap takes some microseconds at each use."""

    def __init__(self, size, consumers):
        super().__init__(8, consumers)
        self.path = self.directory / f"handover-{os.getpid()}.npy"
        self.array = make_npy(self.path, size // 8)

    def hand_over(self):
        self.tell()

    def open(self, consumer):
        self.mapped = np.asarray(np.load(self.path, mmap_mode="r+"))
        self.mapped.sum()  # maps its pages

    def receive(self, consumer):
        self.hear(consumer)
        return self.mapped

    def close(self):
        self.path.unlink()


class InPlace(Shared):
    name, directory = "segfs, made in place", bench.MNT


class Attached(Shared):
    """The consumer opens and maps it each time, as one does with a segment it has not seen before."""

    name, directory = "segfs, in place, attached anew", bench.MNT

    def receive(self, consumer):
        self.hear(consumer)
        return np.asarray(np.load(self.path, mmap_mode="r+"))


class CopiedIn(Shared):
    name, directory = "segfs, one copy in", bench.MNT

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.segment, self.array = self.array, np.zeros(size // 8)

    def hand_over(self):
        self.segment[:] = self.array
        self.tell()


class PlainInPlace(Shared):
    name, directory = "/dev/shm, made in place", bench.PLAIN


class PlainAttached(Attached):
    name, directory = "/dev/shm, in place, attached anew", bench.PLAIN


class PlainCopiedIn(CopiedIn):
    name, directory = "/dev/shm, one copy in", bench.PLAIN


class PythonShared(Peer):
    name = "SharedMemory, one copy in"

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.memory = SharedMemory(create=True, size=size)
        self.segment = np.ndarray(size // 8, "f8", self.memory.buf)
        self.segment[:] = 0

    def hand_over(self):
        self.segment[:] = self.array
        self.tell()

    def open(self, consumer):
        self.segment.sum()

    def receive(self, consumer):
        self.hear(consumer)
        return self.segment

    def close(self):
        del self.segment
        self.memory.close()
        self.memory.unlink()


class Inherited(Peer):
    """The least of all: the consumer is told, and reads private memory of huge pages that it has had from its parent."""

    name = memory.PEER

    def __init__(self, size, consumers):
        super().__init__(8, consumers)
        self.array = memory.filled(size)

    def fill(self, value):
        pass

    def holds(self, value):
        return 1

    def hand_over(self):
        self.tell()

    def open(self, consumer):
        self.array.sum()  # maps its pages

    def receive(self, consumer):
        self.hear(consumer)
        return self.array


class Queue(Peer):
    name = "Queue"

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.queues = [fork.Queue() for _ in range(consumers)]

    def hand_over(self):
        for queue in self.queues:
            queue.put(self.array)

    def receive(self, consumer):
        return self.queues[consumer].get()

    def close(self):
        for queue in self.queues:
            queue.close()


class Pipe(Peer):
    name = "Pipe"

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.pipes = [fork.Pipe(duplex=False) for _ in range(consumers)]

    def hand_over(self):
        for _, writer in self.pipes:
            writer.send(self.array)

    def receive(self, consumer):
        return self.pipes[consumer][0].recv()

    def close(self):
        for reader, writer in self.pipes:
            reader.close()
            writer.close()


class PipeBytes(Pipe):
    """Without pickle, which has to be taken care of by the user."""

    name = "Pipe, send_bytes"

    def hand_over(self):
        for _, writer in self.pipes:
            writer.send_bytes(self.array)

    def receive(self, consumer):
        return np.frombuffer(self.pipes[consumer][0].recv_bytes())


def manager():
    """As multiprocessing.Manager() makes it."""
    made = SyncManager(ctx=fork)
    made.start(bench.end_with_parent)
    return made


class Manager(Peer):
    name = "Manager().dict"

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.manager = manager()
        self.dict = self.manager.dict()

    def hand_over(self):
        self.dict["array"] = self.array
        self.tell()

    def receive(self, consumer):
        self.hear(consumer)
        return self.dict["array"]

    def close(self):
        self.manager.shutdown()


class RedisServer:
    """A server of one's own, in memory alone, on a Unix socket."""

    missing = None if redis and shutil.which("redis-server") else "no redis-server or python3-redis"

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="segfs-bench.")
        self.socket = os.path.join(self.folder, "socket")
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "redis-server", "--port", "0", "--unixsocket", self.socket,
                                         "--save", "", "--dir", self.folder, "--proto-max-bulk-len", "4gb", "--client-query-buffer-limit", "8gb"], stdout=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError("redis-server has ended")
            time.sleep(0.005)

    def answers(self):
        try:
            return self.client().ping()
        except redis.ConnectionError:
            return False

    def client(self):
        return redis.Redis(unix_socket_path=self.socket)

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Redis(Peer):
    name, missing = "Redis, Unix socket", RedisServer.missing

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.server = RedisServer()
        self.client = self.server.client()

    def hand_over(self):
        self.client.set("array", memoryview(self.array).cast("B"))
        self.tell()

    def open(self, consumer):
        self.client = self.server.client()

    def receive(self, consumer):
        self.hear(consumer)
        return np.frombuffer(self.client.get("array"))

    def close(self):
        self.client.close()
        self.server.close()


class ZeroMQ(Peer):
    """PUSH to PULL, without the copies that it can do without."""

    name, missing = "ZeroMQ ipc", None if zmq else "no python3-zmq"

    def __init__(self, size, consumers):
        super().__init__(size, consumers)
        self.folder = tempfile.mkdtemp(prefix="segfs-bench.")
        self.sockets = []

    def address(self, consumer):
        return f"ipc://{self.folder}/{consumer}"

    def hand_over(self):
        if not self.sockets:  # zmq's threads do not survive a fork
            self.context = zmq.Context()
            self.sockets = [self.context.socket(zmq.PUSH) for _ in self.told]
            for i, socket in enumerate(self.sockets):
                socket.connect(self.address(i))
        for socket in self.sockets:
            socket.send(self.array, copy=False)

    def open(self, consumer):
        self.socket = zmq.Context().socket(zmq.PULL)
        self.socket.bind(self.address(consumer))

    def receive(self, consumer):
        return np.frombuffer(self.socket.recv(copy=False).buffer)

    def close(self):
        for socket in self.sockets:
            socket.close()
        shutil.rmtree(self.folder)


def here(*classes):
    """Those that this machine has; a line for each that it has not."""
    for peer in classes:
        if peer.missing:
            bench.skip(peer.name, peer.missing)
    return [peer for peer in classes if not peer.missing]


class Transfers:
    """A peer at work: a producer, this process, and consumers that read what comes. For `with`."""

    def __init__(self, peer_class, size, consumers, times):
        self.elements, self.times = size // 8, times
        self.peer = peer_class(size, consumers)
        self.done, self.go_on = fork.Semaphore(0), [fork.Semaphore(0) for _ in range(consumers)]
        self.stamps = np.frombuffer(fork.RawArray("d", 2 * consumers)).reshape(consumers, 2)
        self.processes = [fork.Process(target=self.consume, args=(i,), daemon=True) for i in range(consumers)]

    def __enter__(self):
        for process in self.processes:
            process.start()
        self.wait()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()
        self.peer.close()

    def consume(self, consumer):
        bench.end_with_parent()
        self.peer.open(consumer)
        self.done.release()
        for value in range(1, self.times + 1):
            array = self.peer.receive(consumer)
            self.stamps[consumer, 0] = bench.now()
            total = array.sum()
            self.stamps[consumer, 1] = bench.now()
            if total != self.peer.holds(value) * self.elements:
                raise AssertionError(f"{self.peer.name}: read {total}, not {self.peer.holds(value) * self.elements}")
            self.done.release()
            self.go_on[consumer].acquire()
            del array

    def wait(self):
        """For all consumers."""
        for _ in self.processes:
            while not self.done.acquire(timeout=1):
                if not all(process.is_alive() for process in self.processes):
                    raise RuntimeError(f"{self.peer.name}: a consumer has failed")

    def hand_over(self, value, meanwhile=lambda: None):
        """Seconds until the last consumer had the array, and until it had read all of it. `meanwhile` is called while all still have it."""
        self.peer.fill(value)
        begin = bench.now()
        self.peer.hand_over()
        self.wait()
        has, read = self.stamps.max(axis=0) - begin
        meanwhile()
        for semaphore in self.go_on:
            semaphore.release()
        return has, read
