"""The clients of a soak: load.py PART MOUNT STORE does one thing over and over, in directories of its own, until its input ends.

Each part checks what it does; what must not be ends it with a traceback and an exit status. At its end nothing of it is left. The
mount is over /dev/shm, too.
"""

import contextlib
import mmap
import os
import pathlib
import random
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import resource_tracker, shared_memory

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/mount"), str(ROOT / "tests/lang/python")]
import read_ring  # noqa: E402
import read_table  # noqa: E402
from harness import eventually  # noqa: E402

PUMP, CONTROL_PEER = os.environ["PUMP"], os.environ["CONTROL_PEER"]
WAIT = 60  # seconds for what is to come true on a machine at full load


def put(path, name, value):
    os.setxattr(path, f"user.shm.{name}", value.encode())


def get(path, name):
    return os.getxattr(path, f"user.shm.{name}").decode()


def view(path, kind, suffix=""):
    return path.parent / ".segfs" / kind / (path.name + suffix)


@contextlib.contextmanager
def program(*command):
    """One that runs until its input ends, which it takes well, or until it is killed within the block."""
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        process.stdin.close()
        if process.wait(WAIT) not in (0, -signal.SIGKILL):
            raise AssertionError(f"{command}: exit {process.returncode}")


@contextlib.contextmanager
def child(act):
    """A process that does this and then waits to be killed, at the end of the block at the latest."""
    there, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(there)
        with contextlib.suppress(BaseException):
            act()
            os.write(done, b"x")
            signal.pause()
        os._exit(1)
    os.close(done)
    try:
        if os.read(there, 1) != b"x":
            raise AssertionError("a child has failed")
        yield pid
    finally:
        os.close(there)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def rings(mnt, store, draw):
    """A producer at full speed, killed every other time, one that is told and one that looks for itself."""
    path = mnt / "ring"
    path.touch()
    put(path, "ring", "overwrite capacity 64 shape 64,64 dtype |u1")
    with program(PUMP, "ring", path) as producer, program(PUMP, "consumer", path) as consumer:
        assert consumer.stdout.readline() == "joined\n"
        n = 0
        for found in read_ring.follow(path):
            if found:
                n += 1
                assert (found[1] == found[0] % 251).all()
            if n >= 100:
                break
        assert get(path, "ring").startswith("overwrite capacity 64 committed ")
        view(path, "info").read_bytes()
        view(path, "text").read_bytes()
        if draw.random() < 0.5:
            producer.kill()
            consumer.kill()
    path.unlink()


def tables(mnt, store, draw):
    path = mnt / "table"
    path.touch()
    put(path, "table", "[('a', '<u8'), ('wide', '<u8', (24,)), ('b', '<u8')]")
    with program(PUMP, "table", path) as writer:
        table = read_table.Table(path)
        for _ in range(200):
            table.read("wide")
        assert get(path, "table").startswith("fields 3 ")
        view(path, "text").read_bytes()
        view(path, "info").read_bytes()
        if draw.random() < 0.5:
            writer.kill()
    path.unlink()


def events(mnt, store, draw):
    """Who reads and waits, who polls, and who is killed at it."""
    path = mnt / "x"
    path.write_bytes(b"x")
    events = view(path, "events")
    seen, waiting = [], os.open(events, os.O_RDONLY)

    def read():
        while not seen or seen[-1] < 100:
            seen.append(int(os.read(waiting, 100)))
        os.close(waiting)

    with child(lambda: threading.Thread(target=lambda: open(events, "rb", buffering=0).read(100), daemon=True).start()):
        reader = threading.Thread(target=read)
        reader.start()
        fd = os.open(events, os.O_RDWR | os.O_NONBLOCK)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        for version in range(1, 101):
            assert os.write(fd, b"1") == 1
            assert poll.poll(WAIT * 1000)
            assert int(os.read(fd, 100)) == version
        reader.join(WAIT)
        assert seen[-1] == 100 and seen == sorted(seen)
        os.close(fd)
    path.unlink()


def control(mnt, store, draw):
    """The lock of C programs, with a holder that dies; and pages that go with their segments."""
    path = mnt / "x"
    path.write_bytes(b"x")

    def do(peer, what):
        peer.stdin.write(what + "\n")
        peer.stdin.flush()
        return int(peer.stdout.readline())

    with program(CONTROL_PEER, path) as first, program(CONTROL_PEER, store / "x") as second:
        assert (int(first.stdout.readline()), int(second.stdout.readline())) == (0, 0)
        for _ in range(10):
            assert do(first, "lock") == 0
            assert do(first, "publish") == do(second, "version")
            assert "exclusive" in get(path, "lock")
            assert do(first, "unlock") == 0
            assert do(second, "share") == do(second, "unshare") == 0
        assert do(first, "lock") == 0
        first.kill()
        assert do(second, "lock") == 1
        with open(view(path, "ctl"), "r+b") as file, mmap.mmap(file.fileno(), 0):
            pass
    path.unlink()


def views(mnt, store, draw):
    """Everything there is to be read, of segments of all kinds."""
    for dtype, shape in ("<f8", (40, 30)), ("|u1", (64, 48, 3)), ("<i2", (1000,)), ("<c16", (7, 5)):
        path = mnt / f"{len(shape)}{dtype[1:]}"
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        array[...] = draw.randrange(100)
        assert view(path, "npy", ".npy").read_bytes()[:6] == b"\x93NUMPY"
        np.testing.assert_array_equal(np.load(view(path, "npy", ".npy"), mmap_mode="r"), array)
        text = view(path, "text")
        assert np.loadtxt(text).size == 1000 if dtype == "<i2" else text.read_bytes()
        assert "Dtype" in view(path, "info").read_text()
        if len(shape) > 1 and dtype != "<c16":
            view(path, "image", ".png").read_bytes()
        assert str(os.getpid()) in get(path, "attached")
    for name in "list", "status", "metrics", "orphans":
        (mnt.parent / ".segfs" / name).read_bytes()
    assert len((mnt / ".segfs/list").read_text().splitlines()) >= 4
    for kind in "info", "text", "npy", "image":
        os.listdir(mnt / ".segfs" / kind)
    shutil.copytree(mnt, mnt / "copy", copy_function=shutil.copy2)
    shutil.rmtree(mnt / "copy")
    for path in mnt.iterdir():
        path.unlink()


def lifetimes(mnt, store, draw):
    """Segments whose makers and users are killed, and others that are forgotten."""
    def make():
        for lifetime in "creator", "last-user":
            for i in range(5):
                file = open(mnt / f"{lifetime}.{i}", "wb")
                os.setxattr(file.fileno(), "user.shm.lifetime", lifetime.encode())
                kept.append(file)

    kept = []
    forgotten = mnt / "ttl"
    forgotten.write_bytes(bytes(4096))
    put(forgotten, "lifetime", "ttl 1")
    with child(make):
        assert len(list(mnt.glob("*.*"))) == 10
    eventually(lambda: not os.listdir(store), WAIT, "the removal of what nobody uses")


def memories(mnt, store, draw):
    """Python's own shared memory: short-lived processes that know nothing of segfs, by way of /dev/shm."""
    memory = shared_memory.SharedMemory(create=True, size=100000)
    memory.buf[:5] = b"hello"
    code = ("import sys; from multiprocessing.shared_memory import SharedMemory; m = SharedMemory(sys.argv[1]); assert m.buf[:5] == b'hello';"
            "m.buf[:5] = b'there'; m.close()")
    subprocess.run([sys.executable, "-c", code, memory.name], check=True, stderr=subprocess.DEVNULL, timeout=WAIT)
    assert bytes(memory.buf[:5]) == b"there"
    memory.close()
    try:
        memory.unlink()
    except FileNotFoundError:  # the other one's resource tracker has removed it
        resource_tracker.unregister(f"/{memory.name}", "shared_memory")


def behind(mnt, store, draw):
    """Changes in the store, and whether they are to be seen in the mount."""
    for i in range(5):
        (store / f"d{i}").mkdir()
        for j in range(10):
            (store / f"d{i}/{j}").write_text("x" * j)
    eventually(lambda: all((mnt / f"d{i}/9").exists() and len(os.listdir(mnt / f"d{i}")) == 10 for i in range(5)), WAIT, "the new files")
    assert all((mnt / f"d{i}/{j}").read_text() == "x" * j for i in range(5) for j in range(10))
    os.rename(store / "d0/1", store / "d1/new")
    (store / "d2/2").write_text("another")
    shutil.rmtree(store / "d3")
    os.rename(store / "d4", store / "moved")
    eventually(lambda: (mnt / "d1/new").exists() and not (mnt / "d0/1").exists(), WAIT, "the new name")
    assert (mnt / "d2/2").read_text() == "another"
    eventually(lambda: not (mnt / "d3").exists() and (mnt / "moved/9").exists(), WAIT, "the truth about directories")
    for directory in list(store.iterdir()):
        shutil.rmtree(directory)
    eventually(lambda: os.listdir(mnt) == [], WAIT, "an empty directory")


def nameless(mnt, store, draw):
    """What is still open when it has lost its name: files, directories and FIFOs."""
    os.mkdir(mnt / "d")
    directory = os.open(mnt / "d", os.O_RDONLY)
    os.mkfifo(mnt / "f")
    fifo = os.open(mnt / "f", os.O_PATH)
    file = os.open(mnt / "x", os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, 65536)
    mapped = mmap.mmap(file, 65536)
    opened = [directory, fifo, file]
    with contextlib.suppress(OSError):  # libfuse older than 3.17 does not know it
        opened.append(os.open(mnt, os.O_TMPFILE | os.O_RDWR, 0o600))
    os.rmdir(mnt / "d")
    os.unlink(mnt / "f")
    os.unlink(mnt / "x")
    mapped[:] = b"x" * 65536
    assert os.pread(file, 65536, 0) == mapped[:]
    assert all(os.fstat(fd).st_nlink == 0 for fd in opened)
    assert os.listdir(directory) == []
    mapped.close()
    for fd in opened:
        os.close(fd)


def huge(mnt, store, draw):
    """Large ones, reserved or grown by touching, which the daemon may put on huge pages."""
    for name in "reserved", "touched":
        with open(mnt / name, "w+b") as file:
            os.truncate(file.fileno(), 16 << 20) if name == "touched" else os.posix_fallocate(file.fileno(), 0, 16 << 20)
            with mmap.mmap(file.fileno(), 16 << 20) as mapped:
                for at in range(0, 16 << 20, 4096):
                    mapped[at] = 1
                put(mnt / name, "huge", "1")
                assert int(get(mnt / name, "huge").split("/")[1]) == 16 << 20
                assert mapped[::4096] == b"\1" * 4096
        (mnt / name).unlink()


PARTS = {part.__name__: part for part in (rings, tables, events, control, views, lifetimes, memories, behind, nameless, huge)}


def main():
    name, mnt, store = sys.argv[1:]
    places = [pathlib.Path(place) / name for place in (mnt, store)]
    places[0].mkdir()
    draw = random.Random(os.getpid())
    n, began = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        PARTS[name](*places, draw)
        n += 1
    eventually(lambda: os.listdir(places[1]) in ([], [".segfs-control"]), WAIT, "an empty directory")
    places[0].rmdir()
    print(f"{name}: {n} rounds of {(time.monotonic() - began) / max(n, 1):.2f} s")


if __name__ == "__main__":
    main()
