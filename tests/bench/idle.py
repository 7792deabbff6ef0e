#!/usr/bin/python3
"""What the daemon does while nobody asks it anything: how often one of its threads is put on a processor, and the time that it takes there."""
import mmap
import os
import pathlib
import subprocess
import time

import bench
from mounts import mounted

SECONDS = 0.2 if bench.QUICK else 10  # long enough for whatever happens seldom
SEGMENTS = 1000


def make_segments(store):
    for i in range(SEGMENTS):
        (store / f"segment-{i}").write_bytes(b"x" * 4096)


def use(mnt):
    """As a day's work does: all is listed, looked at, described and waited for."""
    subprocess.run(["ls", "-l", mnt], stdout=subprocess.DEVNULL, check=True)
    (mnt / ".segfs" / "list").read_bytes()
    os.setxattr(mnt / "segment-0", "user.shm.dtype", b"<f8")
    (mnt / ".segfs" / "events" / "segment-0").write_bytes(b"x")


def map_one(mnt):
    with open(mnt / "segment-0", "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def work_done(pid):
    """Times that a thread of the daemon was put on a processor, and nanoseconds there, up to now."""
    runs = ns = 0
    for process in [pid, *bench.descendants(pid)]:
        for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
            taken, _, times = map(int, (thread / "schedstat").read_text().split())
            runs, ns = runs + times, ns + taken
    return runs, ns


def measure(pid):
    """A second's wake-ups and microseconds."""
    before, begin = work_done(pid), bench.now()
    time.sleep(SECONDS)
    after, seconds = work_done(pid), bench.now() - begin
    return [(b - a) / seconds for a, b in zip(before, after)]


def main():
    bench.describe("The daemon, idle",
                   f"Of all threads of all its processes, over {SECONDS} s at a time, ten seconds after its {SEGMENTS:,} segments were listed and looked at: with no "
                   "segment in use, and with one mapped.")
    with mounted("idle", fill=make_segments) as (_, mnt, pid):
        for peer in ("no segment in use", "one segment mapped"):
            use(mnt)
            mapped = map_one(mnt) if peer.startswith("one") else None
            time.sleep(0 if bench.QUICK else 10)
            for _ in range(1 if bench.QUICK else 2):
                wake_ups, ns = measure(pid)
                bench.emit("wake-ups in a second", peer, "", wake_ups, "")
                bench.emit("processor time in a second", peer, "", ns, "ns")
            del mapped


if __name__ == "__main__":
    main()
