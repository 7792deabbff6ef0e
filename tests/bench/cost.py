#!/usr/bin/python3
"""What a request costs the daemon: its processor time and its system calls, beside those of a FUSE daemon that does nothing."""
import os
import shutil
import subprocess
import time

import bench
from idle import work_done
from mounts import NULL, mounted, nothing

TIMES = 20 if bench.QUICK else 2000
FIRST = "segment-0000000"
made = []  # what create() has made and unlink() has not removed


def look_up_nothing(directory, i):
    try:
        os.stat(directory / f"nothing-{i}")
    except FileNotFoundError:
        pass


def open_and_close(directory, _):
    os.close(os.open(directory / FIRST, os.O_RDONLY))


def getxattr(directory, _):
    os.getxattr(directory / FIRST, "user.shm.shape")


def setxattr(directory, _):
    os.setxattr(directory / FIRST, "user.note", b"x")


def create(directory, _):
    made.append(directory / f"new-{len(made)}")
    os.close(os.open(made[-1], os.O_RDWR | os.O_CREAT | os.O_EXCL))


def unlink(*_):
    os.unlink(made.pop())


def ls(directory, _):
    subprocess.run(["ls", "-l", directory], stdout=subprocess.DEVNULL, check=True)


NULLS = (look_up_nothing, open_and_close, getxattr, setxattr)  # what the daemon that does nothing can do
OURS = (*NULLS, create, unlink)


def fill(store):
    for directory in ("one", "again"):
        (store / directory).mkdir()
        for i in range(TIMES):
            (store / directory / f"segment-{i:07}").touch()
    os.truncate(store / "one" / FIRST, 8)
    os.setxattr(store / "one" / FIRST, "user.shm.dtype", b"<f8")
    os.setxattr(store / "one" / FIRST, "user.shm.shape", b"1")


def processor_time_ns(pid, work, directory, times):
    before = work_done(pid)[1]
    for i in range(times):
        work(directory, i)
    time.sleep(0.2)  # what is done afterwards belongs to it
    return work_done(pid)[1] - before


def system_calls(pid, work, directory, times):
    """Of all of the daemon's processes, by name."""
    pids = [word for each in (pid, *bench.descendants(pid)) for word in ("-p", str(each))]
    output = bench.STORE.parent / "strace"
    with subprocess.Popen(["strace", "-q", "-c", "-f", "-U", "calls,name", "-o", output, *pids], stderr=subprocess.PIPE) as strace:
        time.sleep(1)
        for i in range(times):
            work(directory, i)
        time.sleep(0.2)
        strace.terminate()
    rows = [line.split() for line in output.read_text().splitlines()]
    output.unlink()
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit() and row[1] not in ("total", "restart_syscall")}


def told(calls, n):
    return ", ".join(f"{count / n:.3g} {name}" for name, count in sorted(calls.items(), key=lambda item: -item[1]) if count >= n / 20)


def measure(work, peer, pid, places, times):
    """`places`: where it is done, first to be timed, then to be counted; all of it is done TIMES times in each."""
    name = work.__name__.replace("_", " ") + (", the first time, each of the files" if work is ls else "")
    bench.emit(f"{name}: processor time", peer, "", processor_time_ns(pid, work, places[0], times) / TIMES, "ns")
    calls = system_calls(pid, work, places[1], times)
    bench.emit(f"{name}: system calls", peer, "", sum(calls.values()) / TIMES, "")
    bench.line("note", f"System calls of {name}, {peer}: {told(calls, TIMES)}.")


def measure_all(peer, pid, works, places):
    for work in works:
        measure(work, peer, pid, places[:1] * 2, TIMES)
    measure(ls, peer, pid, places, 1)


def main():
    if not shutil.which("strace"):
        bench.skip("system calls", "there is no strace")
        return
    bench.describe("What a request costs the daemon",
                   f"Each {TIMES:,} times, from one process; of all threads of all processes of the daemon, so also what they do afterwards or beside it. System "
                   "calls counted by strace, in a second run; one older than Linux 6.13 does not count getxattrat(2), which asks for the ACL.")
    with nothing() as (null, null_pid), mounted("cost", fill=fill) as (_, mnt, pid):
        measure_all("segfs", pid, OURS, (mnt / "one", mnt / "again"))
        measure_all(NULL, null_pid, NULLS, (null / str(TIMES), null / str(TIMES + 1)))


if __name__ == "__main__":
    main()
