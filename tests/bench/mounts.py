"""Mounts beside the one of tests/bench/run: of segfs with other options, or with as many segments as one likes; and of a daemon that does nothing."""
import contextlib
import os
import subprocess
import time

import bench

NULL = "a FUSE daemon that does nothing"
ASKS = "a FUSE daemon that lists a tmpfs, and makes up its answers"


def run(*command):
    subprocess.run(command, check=True)


def wait_for(mnt, daemon):
    while not os.path.ismount(mnt):
        if daemon.poll() is not None:
            raise RuntimeError("the daemon has ended")
        time.sleep(0.01)


@contextlib.contextmanager
def mounted(name, *options, fill=lambda store: None):
    """A segfs on a tmpfs of its own, which is filled before it is mounted: its store, its mountpoint, and the daemon's process id."""
    store, mnt = (bench.STORE.parent / f"{name}-{end}" for end in ("store", "mnt"))
    store.mkdir()
    mnt.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=1777,size=80%,nr_inodes=0", "tmpfs", store)
    fill(store)
    with open(bench.STORE.parent / "log", "ab") as log:
        daemon = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", bench.BUILD / "fs" / "segfs", "-f", *options, store, mnt], stderr=log)
    try:
        wait_for(mnt, daemon)
        yield store, mnt, daemon.pid
    finally:
        subprocess.run(["umount", "-l", mnt], check=False)
        daemon.terminate()
        daemon.wait()
        run("umount", "-l", store)
        store.rmdir()
        mnt.rmdir()


@contextlib.contextmanager
def nothing(*store):
    """A FUSE daemon that only makes up its answers, after asking a store if there is one (null-fs.c): its mountpoint, in which a directory named by a number
    has so many files, and its process id."""
    mnt = bench.STORE.parent / ("null-asks" if store else "null")
    mnt.mkdir()
    daemon = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", bench.BUILD / "tests" / "bench" / "bench-null-fs", mnt, *store])
    try:
        wait_for(mnt, daemon)
        yield mnt, daemon.pid
    finally:
        subprocess.run(["umount", "-l", mnt], check=False)
        daemon.terminate()
        daemon.wait()
        mnt.rmdir()
