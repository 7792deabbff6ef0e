"""A mount over its own store, segfs /dev/shm /dev/shm: programs that know nothing of segfs get everything it has.

All of it happens in a mount namespace of this test's own, on a tmpfs of its own: the machine's /dev/shm stays as it is.
"""

import contextlib
import errno
import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from multiprocessing import shared_memory

import numpy as np

from harness import PYTHON, SEGFS, Daemon, MountTest, eventually, has_huge_pages, main, run, unmount

SHM = pathlib.Path("/dev/shm")


class CoverTest(MountTest):
    """self.store and self.mnt are the same path."""

    covered = True  # from the start

    def setUp(self):
        signal.alarm(300)
        self.addCleanup(signal.alarm, 0)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-test."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.store = self.mnt = SHM
        run("mount", "-t", "tmpfs", "-o", self.store_options, "tmpfs", SHM)
        self.addCleanup(unmount, SHM)
        if self.covered:
            self.cover()

    def cover(self):
        self.daemon = Daemon(SHM, SHM, *self.options)
        self.addCleanup(self.daemon.stop)

    def segment(self, size):
        """A SharedMemory of multiprocessing's, as any program makes it."""
        segment = shared_memory.SharedMemory(create=True, size=size)

        def end():
            segment.close()
            with contextlib.suppress(FileNotFoundError):
                segment.unlink()

        self.addCleanup(end)
        return segment


class SharedMemory(CoverTest):
    def test_a_segment_is_in_ls_at_once(self):
        segment = self.segment(4096)
        self.assertEqual(run("ls", SHM).split(), [segment.name])
        self.assertEqual((SHM / segment.name).stat().st_size, 4096)
        self.assertEqual(os.getxattr(SHM / segment.name, "user.shm.kind"), b"raw")
        self.assertIn(f"pid {os.getpid()} ".encode(), os.getxattr(SHM / segment.name, "user.shm.creator"))
        segment.unlink()
        self.assertEqual(run("ls", SHM), "")

    def test_a_segment_gets_huge_pages_when_it_has_been_touched(self):
        if not has_huge_pages(SHM):
            self.skipTest("no huge pages to be had on this machine")
        size = 4 << 21
        segment = self.segment(size)
        np.frombuffer(segment.buf, "u8")[:] = 7
        huge = lambda: os.getxattr(SHM / segment.name, "user.shm.huge").decode()
        eventually(lambda: huge() == f"{size}/{size}", 60, "all of it on huge pages")
        attached = shared_memory.SharedMemory(segment.name)
        self.addCleanup(attached.close)
        self.assertTrue((np.frombuffer(attached.buf, "u8") == 7).all())

    def test_a_segment_is_typed_by_two_setfattr_and_mapped_by_numpy(self):
        segment = self.segment(3 * 4 * 8)
        path = SHM / segment.name
        run("setfattr", "-n", "user.shm.dtype", "-v", "float64", path)
        run("setfattr", "-n", "user.shm.shape", "-v", "3,4", path)
        get = lambda name: os.getxattr(path, f"user.shm.{name}").decode()
        shape = tuple(int(number) for number in get("shape").split(","))
        array = np.memmap(path, dtype=get("dtype"), mode="r+", shape=shape, order=get("order"), offset=int(get("offset")))
        array[2, 3] = 42
        self.assertEqual(np.ndarray(shape, "f8", segment.buf)[2, 3], 42)
        self.assertEqual(get("kind"), "array")

    def test_another_process_attaches_by_name(self):
        segment = self.segment(4096)
        other = self.start("""
import sys
from multiprocessing import resource_tracker, shared_memory
resource_tracker.register = lambda *_: None  # or it takes the segment away at its exit (bpo-39959)
segment = shared_memory.SharedMemory(sys.argv[1])
segment.buf[:5] = b"hello"
print("attached", flush=True)
sys.stdin.readline()
print(bytes(segment.buf[5:10]).decode())
segment.close()
""", segment.name)
        self.assertEqual(other.stdout.readline(), "attached\n")
        self.assertEqual(bytes(segment.buf[:5]), b"hello")
        attached = os.getxattr(SHM / segment.name, "user.shm.attached").decode()
        self.assertLessEqual({str(os.getpid()), str(other.pid)}, set(re.findall(r"\d+", attached)))
        segment.buf[5:10] = b"world"
        other.stdin.write("\n")
        other.stdin.flush()
        self.assertEqual(other.stdout.readline(), "world\n")
        self.assertEqual(other.wait(20), 0)

    def test_every_size_and_name_that_shm_open_takes(self):
        for size in (1, 4095, 4097, 10_000_000):
            segment = self.segment(size)
            self.assertEqual((SHM / segment.name).stat().st_size, segment.size)
            segment.buf[-1] = 1
            self.assertEqual((SHM / segment.name).read_bytes()[-1], 1)
        with self.assertRaises(FileExistsError):
            shared_memory.SharedMemory(segment.name, create=True, size=1)
        with self.assertRaises(FileNotFoundError):
            shared_memory.SharedMemory("segfs-test-no-such-segment")

    def test_a_named_semaphore_works_between_processes(self):
        """sem_open(3) makes its file under another name and links it to the one that is asked for."""
        script = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
handle = ctypes.c_void_p(libc.sem_open(b"/segfs-test", os.O_CREAT, ctypes.c_uint(0o600), ctypes.c_uint(0)))
print("open" if handle.value else os.strerror(ctypes.get_errno()), flush=True)
for line in sys.stdin:
    print(getattr(libc, line.strip())(handle), flush=True)
"""
        one, two = self.start(script), self.start(script)
        self.assertEqual([one.stdout.readline(), two.stdout.readline()], ["open\n"] * 2)
        self.assertEqual(os.listdir(SHM), ["sem.segfs-test"])
        one.stdin.write("sem_wait\n")  # it waits for the other
        one.stdin.flush()
        for line in ("sem_post", "sem_post", "sem_wait"):
            two.stdin.write(f"{line}\n")
        two.stdin.flush()
        self.assertEqual([two.stdout.readline() for _ in range(3)], ["0\n"] * 3)
        self.assertEqual(one.stdout.readline(), "0\n")


class Uncovered(CoverTest):
    covered = False

    def test_a_segment_from_before_the_mount_shares_its_pages(self):
        segment = self.segment(4096)
        segment.buf[:6] = b"before"
        self.cover()
        with open(SHM / segment.name, "r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
            self.assertEqual(pages[:6], b"before")
            pages[:6] = b"after!"
        self.assertEqual(bytes(segment.buf[:6]), b"after!")

    def test_a_mapped_segment_outlives_the_mount(self):
        daemon = Daemon(SHM, SHM)
        self.addCleanup(daemon.log_file.close)
        self.addCleanup(daemon.process.wait)
        self.addCleanup(daemon.process.kill)
        process = self.start("""
import sys
from multiprocessing import resource_tracker, shared_memory
resource_tracker.register = lambda *_: None
segment = shared_memory.SharedMemory("segfs-test", create=True, size=4096)
print("created", flush=True)
sys.stdin.readline()
segment.buf[:5] = b"alive"
print("written", flush=True)
sys.stdin.readline()
""")
        self.assertEqual(process.stdout.readline(), "created\n")
        daemon.process.terminate()
        self.assertEqual(daemon.process.wait(20), 0)
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "written\n")
        self.assertEqual((SHM / "segfs-test").read_bytes()[:5], b"alive")

    def test_the_background_daemon_covers_and_uncovers(self):
        (SHM / "x").write_bytes(b"x")
        run(SEGFS, SHM, SHM)
        self.addCleanup(self.uncover)
        self.assertEqual(os.getxattr(SHM / "x", "user.shm.kind"), b"raw")
        self.uncover()
        with self.assertErrno(errno.ENODATA):
            os.getxattr(SHM / "x", "user.shm.kind")
        self.assertEqual((SHM / "x").read_bytes(), b"x")

    def uncover(self):
        with open("/proc/self/mounts") as mounts:
            on_top = [line.split()[2] for line in mounts if line.split()[1] == str(SHM)][-1]
        if on_top == "fuse.segfs":
            run("umount", SHM)


class CPython(CoverTest):
    """CPython's own tests of what it keeps in /dev/shm, unmodified: shared memory, semaphores and the heap of shared ctypes."""

    PATTERNS = ("*SharedMemory*", "*shared_memory*", "*Semaphore*", "*TestHeap*", "*SharedCTypes*", "*TestValue*", "*TestArray*")

    def check(self, method):
        if subprocess.run([PYTHON, "-c", "import test._test_multiprocessing"], capture_output=True).returncode != 0:
            self.skipTest("CPython's test suite is not installed (Debian: libpython3.11-testsuite, libpython3.13-testsuite)")
        match = [word for pattern in self.PATTERNS for word in ("-m", pattern)]
        output = run(PYTHON, "-m", "test", "-v", "--tempdir", self.directory, f"test_multiprocessing_{method}", *match, cwd=self.directory)
        ran = sum(int(number) for number in re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE))
        self.assertGreater(ran, 20, output)
        shared_memory_tests = re.findall(r"^test_\w*shared_memory\w* .* ok$", output, re.MULTILINE)
        self.assertGreater(len(shared_memory_tests), 10, output)
        self.assertGreater(self.daemon.requests()["CREATE"], 10, "the tests went past the mount")
        self.assertEqual(os.listdir(SHM), [])

    def test_with_fork(self):
        self.check("fork")

    def test_with_spawn(self):
        self.check("spawn")


def enter_namespace():
    """Once more from the start, in a mount namespace where what is mounted concerns nobody else."""
    here = os.readlink("/proc/self/ns/mnt")
    outside = os.environ.get("SEGFS_TEST_OUTSIDE")
    if outside is None:
        os.environ["SEGFS_TEST_OUTSIDE"] = here
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", PYTHON, *sys.argv])
    if outside == here:
        sys.exit("still in the mount namespace of all others: unset SEGFS_TEST_OUTSIDE")
    run("umount", "-l", "-a", "-t", "fuse.segfs")  # as long as it is mounted here, a mount of others does not end with them


if __name__ == "__main__":
    if os.geteuid() == 0:
        enter_namespace()
    main()
