#!/usr/bin/python3
"""A new process attaches to a resident array of 512 MiB and reads it; and one makes and first touches so much."""
import ctypes
import ctypes.util
import mmap
import os
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np

import bench
import memory
from mounts import mounted

SIZE = 8 * bench.MIB if bench.QUICK else 512 * bench.MIB
HUGE = 2 * bench.MIB
ASKED = b"1"
BINDFS = "bindfs, no passthrough"
CLONE_NEWNS, MS_BIND = 0x20000, 0x1000
READS = {
    "attach, and sum it": lambda array: array.sum(),
    "attach, and touch each page": lambda array: array[::mmap.PAGESIZE // 8].sum(),
    "attach, and touch each huge page": lambda array: array[::HUGE // 8].sum(),  # of the former, what the faults take
    "attach alone": lambda array: None,
}
libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def cover():
    """In a mount namespace of this process, let the mount lie over /dev/shm."""
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(str(bench.MNT).encode(), b"/dev/shm", None, MS_BIND, None) != 0:
        raise OSError(ctypes.get_errno(), "mount over /dev/shm")


def time_ns(path, read):
    """By numpy, of a .npy file. Nothing is unmapped: the process ends."""
    begin = bench.now()
    array = np.load(path, mmap_mode="r")
    read(array)
    return (bench.now() - begin) * 1e9


def time_again_ns(path, read):
    """Of what has just been read: what remains of it is memory alone."""
    array = np.load(path, mmap_mode="r")
    read(array)
    begin = bench.now()
    read(array)
    return (bench.now() - begin) * 1e9


def let_be(shared):
    """Python would remove what it has attached to when the process ends."""
    resource_tracker.unregister(shared._name, "shared_memory")  # pylint: disable=protected-access


def time_shared_memory_ns(name, read, covered):
    """By Python's SharedMemory, as it is. Nothing is unmapped: the process ends."""
    if covered:
        cover()
    begin = bench.now()
    shared = SharedMemory(name)
    array = np.ndarray(SIZE // 8, "f8", shared.buf)
    read(array)
    ns = (bench.now() - begin) * 1e9
    let_be(shared)
    return ns


def make_npy(directory):
    path = directory / "attach.npy"
    np.lib.format.open_memmap(path, "w+", "f8", (SIZE // 8,))[:] = 1
    np.load(path, mmap_mode="r")  # what it imports, it has imported before the children are forked
    return path


def make_shared_memory(name, covered):
    if covered:
        cover()
    shared = SharedMemory(name, create=True, size=SIZE)
    np.ndarray(SIZE // 8, "f8", shared.buf)[:] = 1
    let_be(shared)
    return 0


def huge_of(path):
    """What segfs says of its huge pages; nothing if this segfs has no such attribute."""
    try:
        value = os.getxattr(path, "user.shm.huge").decode()
    except OSError:
        return None
    return None if value == ASKED.decode() else value  # any attribute can be set, and is there then


def ask_for_huge_pages(path):
    try:
        os.setxattr(path, "user.shm.huge", ASKED)
    except OSError:
        return False
    return huge_of(path) is not None


def settle(peer, path):
    """Have it attached until segfs has made it huge of its own accord, for a minute at most."""
    attached, begin, wanted = np.memmap(path, "u1", "r"), bench.now(), SIZE // HUGE * HUGE
    while (value := huge_of(path)) and int(value.split("/")[0]) < wanted and bench.now() < begin + (1 if bench.QUICK else 60):
        time.sleep(0.1)
    del attached
    if value:
        bench.line("note", f"user.shm.huge of \"{peer}\", bytes on huge pages and bytes resident: {value}, {bench.now() - begin:.1f} s after it was attached.")


def make_huge():
    """A further array, whose huge pages were asked for; None if that cannot be done."""
    path = bench.MNT / "attach-huge.npy"
    os.rename(make_npy(bench.MNT), path)
    if ask_for_huge_pages(path):
        return path
    path.unlink()
    bench.skip("segfs, huge pages asked for", "this segfs has no user.shm.huge to set")
    return None


def make_all(name, never):
    """The arrays: peer to path, of the .npy files and of the SharedMemory with this name."""
    resource_tracker.ensure_running()  # one for all: a child's own would clean up after the child
    bench.in_child(make_shared_memory, name, False)
    bench.in_child(make_shared_memory, name, True)
    huge = make_huge()
    files = {"segfs": make_npy(bench.MNT), "segfs, huge pages asked for": huge, "segfs, -o huge=never": make_npy(never), "/dev/shm": make_npy(bench.PLAIN),
             BINDFS: bench.BINDFS and make_npy(bench.BINDFS)}
    memories = {"SharedMemory, mount over /dev/shm": bench.MNT / name, "SharedMemory, plain /dev/shm": bench.PLAIN / name}
    return {peer: path for peer, path in files.items() if path}, memories


def attach():
    bench.describe(f"Attach to a resident array of {SIZE // bench.MIB} MiB, Python",
                   "In a new process each time: open, map, read all, or a word of each page. SharedMemory is Python's, as it is, on a plain /dev/shm, and "
                   "with the mount over /dev/shm (bound there). What segfs makes huge of its own accord was given time to become so. bindfs is a FUSE file "
                   "system of a directory that knows no passthrough. Memory alone: what segfs has made huge, read once more by who has just read it.")
    with mounted("never", "-o", "huge=never") as (_, never, _):
        attach_to(*make_all(name := f"attach-{os.getpid()}", never), name)


def attach_to(files, memories, name):
    for peer, path in {**files, **memories}.items():
        if path.parent == bench.MNT:
            settle(peer, path)
    sides = {peer: lambda read, path=path: time_ns(path, read) for peer, path in files.items()}
    for peer, path in memories.items():
        sides[peer] = lambda read, covered=path.parent == bench.MNT: time_shared_memory_ns(name, read, covered)
    sides[memory.PEER] = lambda read: time_again_ns(files["segfs"], read)
    for work, read in READS.items():
        for peer, counts in bench.alternate(11, list(sides)):
            ns = bench.in_child(sides[peer], read)
            if counts:
                bench.emit(work, peer, "", ns, "ns")
    for path in [*files.values(), *memories.values()]:
        path.unlink()


def touch(fd):
    """Map the file and write to each page of it."""
    array = np.frombuffer(mmap.mmap(fd, SIZE), "u1")
    array[::mmap.PAGESIZE] = 1
    return array


def typed(path, fd):
    os.setxattr(path, "user.shm.dtype", b"<f8")
    os.setxattr(path, "user.shm.shape", str(SIZE // 8).encode())


def truncated(path, fd):
    os.ftruncate(fd, SIZE)


def allocated(path, fd):
    os.posix_fallocate(fd, 0, SIZE)


def time_to_clear_ns(path):
    """By the kernel, as it does before it gives memory to anybody; of memory that is there and mapped."""
    array = np.memmap(path, "u1", "r+")
    array[:] = 1
    with open("/dev/zero", "rb", buffering=0) as zeros:
        begin, done = bench.now(), 0
        while done < SIZE:
            done += zeros.readinto(array[done:])
        return (bench.now() - begin) * 1e9


def time_to_make_ns(path, size_it):
    begin = bench.now()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    size_it(path, fd)
    array = touch(fd)
    ns = (bench.now() - begin) * 1e9
    del array
    os.unlink(path)
    return ns


def create():
    bench.describe(f"Create {SIZE // bench.MIB} MiB and touch each page of it, Python",
                   "In a new process each time: open, give it its size, map, write a byte to each page. Typed: user.shm.dtype and user.shm.shape are set on the "
                   "empty file, which reserves its pages. Memory alone: the kernel clears as much that is there, huge and mapped (a read of /dev/zero).")
    sides = [("segfs, typed", bench.MNT, typed), ("segfs, fallocate", bench.MNT, allocated), ("segfs, ftruncate", bench.MNT, truncated),
             ("/dev/shm, ftruncate", bench.PLAIN, truncated), ("/dev/shm, fallocate", bench.PLAIN, allocated)]
    if bench.BINDFS:
        sides.append((f"{BINDFS}, ftruncate", bench.BINDFS, truncated))
    sides.append((memory.PEER, None, None))
    cleared = bench.MNT / "cleared"
    with open(cleared, "wb") as file:
        allocated(cleared, file.fileno())
    for (peer, directory, size_it), counts in bench.alternate(7, sides):
        ns = bench.in_child(time_to_make_ns, directory / "create", size_it) if directory else bench.in_child(time_to_clear_ns, cleared)
        if counts:
            bench.emit("create and first touch", peer, "", ns, "ns")
    cleared.unlink()


if __name__ == "__main__":
    attach()
    create()
