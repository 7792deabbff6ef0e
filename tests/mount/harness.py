"""A private segfs mount for each test: its own tmpfs as store, its own mountpoint, its own daemon in the foreground.

Nothing here sleeps for luck: `eventually` waits for a condition. A daemon that ends badly, or whose log holds anything but its
own start and end, fails the test that used it. The environment's SEGFS names the daemon.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SEGFS = os.environ.get("SEGFS", "segfs")
PYTHON = "/usr/bin/python3"
EXPECTED_LOG = (" mounted on ", " unmounted from ", "requests: ", "removed ")
UNDER_VALGRIND = os.environ.get("UNDER_VALGRIND")  # under_valgrind.c, if workers are to run so
# It knows neither futex_waitv(2) nor getxattrat(2), and says so at length; the worker does without.
VALGRIND_LOG = ("ended for an upgrade", "-- WARNING: unhandled amd64-linux syscall: 449", "-- WARNING: unhandled amd64-linux syscall: 464",
                "-- You may be able to write", "-- Read the file README_MISSING", "-- Nevertheless we consider this", "-- it at http://valgrind")


# All threads of a process, or one, are stopped as a debugger does it.
HOLD = """
import ctypes, os, sys
seize, interrupt = 0x4206, 0x4207
input()
for tid in sys.argv[2:] or os.listdir(f"/proc/{sys.argv[1]}/task"):
    for request in (seize, interrupt):
        if ctypes.CDLL(None).ptrace(request, int(tid), None, None) < 0:
            sys.exit(1)
    os.waitpid(int(tid), 0x40000000)
print("holds", flush=True)
input()
"""


def threads_of(pid):
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(f"/proc/{pid}/task")
    return []


def eventually(condition, seconds=20, what="the condition"):
    """Wait until `condition()` is true and return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} has not come true within {seconds} s")
        time.sleep(0.002)
    return value


def is_mountpoint(path):
    """As /proc tells, without asking the file system."""
    with open("/proc/self/mounts") as mounts:
        return any(line.split()[1] == str(path) for line in mounts)


def run(*command, **options):
    """Run a command that must succeed; its output is returned as text."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def has_huge_pages(directory):
    """Whether a file in this directory on tmpfs can have a huge page: asked of the kernel, not of segfs."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    size, collapse, fixed = 2 << 20, 25, 0x10
    with tempfile.TemporaryFile(dir=directory) as file:
        file.truncate(size)
        os.pwrite(file.fileno(), b"x", 0)
        room = libc.mmap(None, 2 * size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        base = libc.mmap(room + size - room % size, size, mmap.PROT_READ, mmap.MAP_SHARED | fixed, file.fileno(), 0)
        done = libc.madvise(base, size, collapse) == 0
        libc.munmap(room, 2 * size)
    return done


def is_mounted_elsewhere(path):
    """In the mount namespace of any process."""
    for mounts in pathlib.Path("/proc").glob("[0-9]*/mounts"):
        with contextlib.suppress(OSError):
            if f"{path} " in mounts.read_text():  # by whatever way there: a chroot has its own
                return True
    return False


def unmount(path):
    if is_mountpoint(path) and subprocess.run(["umount", path], stderr=subprocess.DEVNULL).returncode != 0:
        subprocess.run(["umount", "-l", path], check=True)


def hung(*_):
    """Raised where the test hangs, so that its cleanups still run."""
    raise AssertionError("the test hangs")


class Daemon:
    """A running `segfs -f STORE MOUNTPOINT`."""

    def __init__(self, store, mountpoint, *options):
        self.mountpoint = pathlib.Path(mountpoint)
        self.expected = EXPECTED_LOG
        self.status = 0
        self.log_file = tempfile.NamedTemporaryFile(mode="r", suffix=".segfs-log")
        if UNDER_VALGRIND:
            self.start_under_valgrind("-f", *options, str(store), str(mountpoint))
        else:
            self.start(SEGFS, "-f", *options, str(store), str(mountpoint))

    def start(self, *command, **options):
        with open(self.log_file.name, "w") as log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, **options)
        try:
            eventually(lambda: self.process.poll() is not None or " mounted on " in self.log(), what="the mount")
        except AssertionError:
            self.process.kill()
            raise
        if self.process.poll() is not None:
            raise AssertionError(f"segfs has ended at once: {self.log()}")

    def start_under_valgrind(self, *arguments):
        """The first worker is as always; then another binary stands where the daemon's was, and is started as its next version."""
        with tempfile.TemporaryDirectory(prefix="segfs-binary.") as directory:
            binary, other = (pathlib.Path(directory) / name for name in ("segfs", "other"))
            shutil.copy(SEGFS, binary)
            self.start(binary, *arguments, env={**os.environ, "VALGRIND_PROGRAM": SEGFS})
            shutil.copy(UNDER_VALGRIND, other)
            other.rename(binary)
            self.process.send_signal(signal.SIGHUP)
            eventually(lambda: self.process.poll() is not None or "ended for an upgrade" in self.log(), what="the worker under valgrind")
        self.expected = (*self.expected, *VALGRIND_LOG)

    def log(self):
        return pathlib.Path(self.log_file.name).read_text(errors="backslashreplace")

    def expect(self, text):
        """A line that this test provokes, and that is then no surprise."""
        self.expected = (*self.expected, text)

    def requests(self):
        """How many requests of each kind the daemon has answered, as it logs on SIGUSR1."""
        before = len(self.log())
        self.process.send_signal(signal.SIGUSR1)
        lines = eventually(lambda: [line for line in self.log()[before:].splitlines(True) if "requests: " in line and line.endswith("\n")])
        counts = lines[-1].split("requests: ")[1].split(", ")
        return {kind: int(count) for kind, count in (pair.split() for pair in counts)}

    def workers(self):
        """The pids of the supervisor's children: at a change of workers, two."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def worker(self):
        """The pid of the process that answers requests, or soon will."""
        return self.workers()[-1]

    def kill(self):
        """End it as a crash would, the worker with its supervisor. The dead mount is taken away."""
        self.process.kill()
        self.status = self.process.wait()
        subprocess.run(["umount", "-f", "-l", self.mountpoint], check=True)

    def wait_for_end(self):
        """A mount that another mount namespace has a copy of (unshare(1), a container just started) lives on, and its daemon too."""
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            if is_mounted_elsewhere(self.mountpoint):
                self.process.terminate()
            self.process.wait(20)

    def stop(self):
        """Unmount and check that the daemon took it well."""
        if self.process.poll() is None:
            unmount(self.mountpoint)
            try:
                self.wait_for_end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("segfs has not ended with its mount")
        surprises = [line for line in self.log().splitlines() if not any(text in line for text in self.expected)]
        self.log_file.close()
        if self.process.returncode != self.status or surprises:
            raise AssertionError(f"segfs: exit {self.process.returncode}\n" + "\n".join(surprises))


class MountTest(unittest.TestCase):
    """self.store and self.mnt: a private store and the mount of it. self.daemon: the one that serves it."""

    options = ()  # further words for the command line
    store_options = "mode=1777,size=2g"

    def setUp(self):
        signal.signal(signal.SIGALRM, hung)
        signal.alarm(300)  # the watchdog: nothing hangs for ever
        self.addCleanup(signal.alarm, 0)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-test."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        self.store, self.mnt = self.directory / "store", self.directory / "mnt"
        self.store.mkdir()
        self.mnt.mkdir()
        run("mount", "-t", "tmpfs", "-o", self.store_options, "tmpfs", self.store)
        self.addCleanup(unmount, self.store)
        self.daemon = Daemon(self.store, self.mnt, *self.options)
        self.addCleanup(self.daemon.stop)

    def debugger(self, pid, *threads):
        """One that is about to hold a process, or these threads of it: calling it does so, and returns what lets them go on."""
        process = self.start(HOLD, pid, *threads)

        def say(word):
            process.stdin.write(word)
            process.stdin.flush()

        def hold():
            say("hold\n")
            self.assertEqual(process.stdout.readline(), "holds\n")
            return lambda: say("let go\n")

        return hold

    def start(self, code, *arguments, **options):
        """Start a Python program of its own. It ends with the test at the latest."""
        process = subprocess.Popen([PYTHON, "-c", code, *map(str, arguments)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

        def end():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

        self.addCleanup(end)
        return process

    @contextlib.contextmanager
    def assertErrno(self, *expected):
        with self.assertRaises(OSError) as caught:
            yield
        names = [errno.errorcode[number] for number in expected]
        self.assertIn(errno.errorcode[caught.exception.errno], names)


class TwinTest(MountTest):
    """self.plain: a tmpfs like the store that no segfs knows of, for comparison."""

    def setUp(self):
        super().setUp()
        self.plain = self.directory / "plain"
        self.plain.mkdir()
        run("mount", "-t", "tmpfs", "-o", self.store_options, "tmpfs", self.plain)
        self.addCleanup(unmount, self.plain)


def main():
    if os.geteuid() != 0:
        print("SKIP: mounting needs root")
        sys.exit(77)
    unittest.main(verbosity=2)
