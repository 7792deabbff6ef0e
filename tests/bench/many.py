#!/usr/bin/python3
"""How the cost of one segment, and of a listing, grows with how many segments there are: beside a tmpfs, and a pipe there and back."""
import contextlib
import os
import shutil
import subprocess
import time

import bench
from idle import work_done
from mounts import ASKS, NULL, mounted, nothing

COUNTS = (10, 100) if bench.QUICK else (10, 100, 10_000, 100_000, 1_000_000)
FEW = 100
AGAIN = {count: 1 if count > 100_000 else 3 for count in COUNTS[-3:]}  # further directories, to be listed for the first time with all on one processor
FIRST = "segment-0000000"
PEERS = ("segfs", "tmpfs", NULL)


def fill(directory, count):
    """Files, empty but for the first: the one that metadata.c asks about."""
    os.makedirs(directory)
    subprocess.run(f"seq -f segment-%07.0f 0 {count - 1} | xargs touch", shell=True, cwd=directory, check=True)
    os.truncate(directory / FIRST, 8)
    os.setxattr(directory / FIRST, "user.shm.dtype", b"<f8")
    os.setxattr(directory / FIRST, "user.shm.shape", b"1")


def fill_store(store, count):
    """So that paths are of as many components everywhere."""
    fill(store / "many", count)
    for i in range(AGAIN.get(count, 0)):
        fill(store / f"again-{i}", count)


def directories_of(count, i, roots):
    """The directory of the first listing, or the i-th further one, of each peer."""
    name, number = ("many", count) if i is None else (f"again-{i}", count + 1 + i)
    (bench.PLAIN / "asked" / str(number)).symlink_to(roots["tmpfs"] / name)
    return {peer: root / (str(number) if peer in (NULL, ASKS) else name) for peer, root in roots.items()}


def settle(pids):
    """Until the daemons have looked at their stores, as they do once, when they start."""
    spent = -1
    while spent != (spent := sum(work_done(pid)[1] for pid in pids)):
        time.sleep(1)


def time_to_list_ns(directory, *within):
    begin = bench.now()
    subprocess.run([*within, "ls", "-l", directory], stdout=subprocess.DEVNULL, check=True)
    return (bench.now() - begin) * 1e9


def list_all(count, directories):
    """Once, when the kernel knows nothing of it yet, and then again and again; a million only once, as it may take minutes."""
    for peer, directory in directories.items():
        bench.emit("ls -l, the first time", peer, count, time_to_list_ns(directory), "ns")
    if count > 100_000:
        return
    for peer, _ in bench.alternate(11, PEERS, warm_up=False, seconds=10):
        bench.emit("ls -l", peer, count, time_to_list_ns(directories[peer]), "ns")


def ask(place, made):
    program = bench.BUILD / "tests" / "bench" / "bench-metadata"
    arguments = [word for count, directories in made.items() for word in (str(count), *(directories[peer] / FIRST for peer in PEERS))]
    subprocess.run([program, place, *arguments], check=True)


def put(pids, processor):
    """All threads of these daemons, and of the processes that they have started, onto one processor of those that this process may use."""
    for pid in [each for pid in pids for each in (pid, *bench.descendants(pid))]:
        subprocess.run(["taskset", "-a", "-c", "-p", str(processor), str(pid)], check=True, stdout=subprocess.DEVNULL)


def list_on_one(again, daemons):
    """What has not been listed before; to be called last, as the daemons stay where they are put."""
    processor = min(os.sched_getaffinity(0))
    for count, directories in again:
        put([daemons[count], daemons[NULL], daemons[ASKS]], processor)
        for peer, directory in directories.items():
            took = time_to_list_ns(directory, "taskset", "-c", str(processor))
            bench.emit("ls -l, the first time, all on one processor", peer, count, took, "ns")


def ask_in_places(made, daemons):
    """Also with who asks and who answers on processors that are known: a byte there and back takes ten times as long between two as on one."""
    processors = sorted(os.sched_getaffinity(0))
    ask("anywhere", made)
    for place, processor in ("one", processors[0]), ("two", processors[1 % len(processors)]):
        put([daemons[FEW], daemons[NULL]], processor)
        ask(place, {FEW: made[FEW]})


def main():
    bench.describe("One segment and a listing, among many segments",
                   "A mount for each number, with all segments in one directory; all of them are asked in turns. C: each operation 500 times on one file, by "
                   "the mount, on a tmpfs, and by a FUSE daemon that only makes up its answers, beside a byte to another process and one back: wherever the "
                   "scheduler puts both, or with them and the daemon on processors of their own. stat, opens and attributes go to one file again and again, as "
                   "a program's own do: what the kernel may cache, it has cached; all segments have been listed before. ls -l is the command, all of it; a "
                   "million are listed but once. The first time, also by a daemon that lists a tmpfs, asking for attributes, handle and ACL of each file, but makes "
                   "up its answers all the same: less, none can do that shows real files.", "segments")
    with contextlib.ExitStack() as stack:
        asked = bench.PLAIN / "asked"
        asked.mkdir()
        stack.callback(shutil.rmtree, asked)
        null, null_pid = stack.enter_context(nothing())
        asks, asks_pid = stack.enter_context(nothing(asked))
        made, again, daemons = {}, [], {NULL: null_pid, ASKS: asks_pid}
        for count in COUNTS:
            plain = bench.PLAIN / f"many-{count}"
            stack.callback(shutil.rmtree, plain)
            fill_store(plain, count)
            _, mnt, daemons[count] = stack.enter_context(mounted(f"many-{count}", fill=lambda store, count=count: fill_store(store, count)))
            roots = {"segfs": mnt, "tmpfs": plain, NULL: null, ASKS: asks}
            made[count] = directories_of(count, None, roots)
            again += [(count, directories_of(count, i, roots)) for i in range(AGAIN.get(count, 0))]
        settle(daemons.values())
        for count, directories in made.items():
            list_all(count, directories)
        ask_in_places(made, daemons)
        list_on_one(again, daemons)


if __name__ == "__main__":
    main()
