"""What the measurements in Python share: where to work, turns, lines for report.py, and other processes.

tests/bench/run sets the environment: BENCH_MNT is the mount, BENCH_STORE its store, BENCH_PLAIN a tmpfs of its own that
lies on /dev/shm, BENCH_BINDFS, if set, a directory of that by bindfs, BENCH_BUILD the build directory; BENCH_QUICK, if set, wants everything done and hardly anything measured.
"""
import ctypes
import os
import pathlib
import signal
import time

MNT, STORE, PLAIN, BUILD = (pathlib.Path(os.environ.get("BENCH_" + name, "/nonexistent")) for name in ("MNT", "STORE", "PLAIN", "BUILD"))
BINDFS = pathlib.Path(os.environ["BENCH_BINDFS"]) if "BENCH_BINDFS" in os.environ else None
QUICK = "BENCH_QUICK" in os.environ
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def now():
    """Seconds; the same clock in all processes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def line(*fields):
    print(*fields, sep="\t", flush=True)


def describe(title, how, axis=None, unit=""):
    """Begin the output: what is measured and how; what the parameter is, if it is a number to plot over."""
    line("title", title)
    line("how", how)
    if axis:
        line("axis", axis, unit)


def emit(work, peer, parameter, value, unit):
    line("round", work, peer, parameter, f"{value:.6g}", unit)


def skip(peer, why):
    line("skipped", peer, why)


def alternate(rounds, sides, warm_up=True, least=3, seconds=30):
    """Each of the sides in turn, the order reversed every other round. The first round warms up: yields (side, whether it counts).
    Of the rounds beyond the least only those that begin within so many seconds are made, or a slow machine would take for ever."""
    end = now() + seconds
    for i in range(0 if warm_up else 1, (1 if QUICK else rounds) + 1):
        if i > least and now() > end:
            return
        for side in sides if i % 2 else sides[::-1]:
            yield side, i > 0


def in_child(function, *arguments):
    """Call it in a new process, and return the number that it returned."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(writable, repr(float(function(*arguments))).encode())
            status = 0
        except BaseException as error:  # pylint: disable=broad-except
            os.write(2, f"{function.__qualname__}: {error!r}\n".encode())
        finally:
            os._exit(status)
    os.close(writable)
    with open(readable, "rb") as result:
        text = result.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f"{function.__qualname__} has failed")
    return float(text)


def end_with_parent():
    """Of a process that waits for its parent: it shall not do so for ever."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def available():
    """Bytes of memory that are to be had."""
    with open("/proc/meminfo") as meminfo:
        return next(int(words[1]) for words in map(str.split, meminfo) if words[0] == "MemAvailable:") * KIB


def pss(pids):
    """Memory in use by processes together, each shared page counted once, in bytes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += next(int(words[1]) for words in map(str.split, rollup) if words[0] == "Pss:") * KIB
    return total


def descendants(pid):
    """Processes that this one has started, and those that they have."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        found = [int(word) for word in children.read().split()]
    return found + [further for child in found for further in descendants(child)]
