"""Mounts of segfs beside the one of tests/bench/run: with other options, or with as many segments as one likes."""
import contextlib
import os
import subprocess
import time

import bench


def run(*command):
    subprocess.run(command, check=True)


def wait_for(mnt, daemon):
    while not os.path.ismount(mnt):
        if daemon.poll() is not None:
            raise RuntimeError("segfs has ended")
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
