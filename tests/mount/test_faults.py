"""What a machine in trouble gives the daemon: no memory, no descriptors, a full or read-only store, a clock that jumps, thousands of
segments open at once. Whoever asks gets an error that says so, and when the trouble is over all is as before."""

import contextlib
import errno
import mmap
import os
import random
import resource
import signal
import statistics
import struct
import subprocess
import threading
import time
import unittest.mock

from harness import Daemon, MountTest, eventually, main, run, unmount

# What a lack of memory or of descriptors may look like.
SCARCE = {errno.ENOMEM, errno.EMFILE}


# Holds on to a file that it has removed, and wants memory that never was there.
WAIT_IN_VAIN = """
import contextlib, os, sys
while True:
    held = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
    os.unlink(sys.argv[1])
    print("waits", flush=True)
    with contextlib.suppress(OSError):
        os.posix_fallocate(held, 0, 1 << 30)
    os.close(held)
"""


class Faults(MountTest):
    def fds(self):
        return len(os.listdir(f"/proc/{self.worker()}/fd"))

    def worker(self):
        """The process that answers requests."""
        pid = self.daemon.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return int((children.read().split() or [pid])[0])

    def attempts(self, n, seed=1):
        """A storm of calls of all kinds; the errors that they ended with, and how often."""
        draw, errors = random.Random(seed), {}
        for i in range(n):
            path, other = (self.mnt / f"f{draw.randrange(20)}" for _ in range(2))
            call = draw.choice([
                lambda: path.write_bytes(b"x" * 100), path.read_bytes, path.stat, path.unlink, lambda: path.rename(other),
                lambda: os.link(path, other), lambda: os.listdir(self.mnt), lambda: os.truncate(path, 64), lambda: path.chmod(0o600),
                lambda: os.setxattr(path, "user.shm.dtype", b"|u1"), lambda: os.getxattr(path, "user.shm.lock"),
                lambda: os.getxattr(path, "user.shm.attached"), lambda: os.listxattr(path), lambda: os.setxattr(path, "user.shm.lifetime", b"ttl 9"),
                lambda: (self.mnt / ".segfs/text" / path.name).read_bytes(), lambda: (self.mnt / ".segfs/info" / path.name).read_bytes(),
                lambda: (self.mnt / ".segfs/list").read_bytes(), lambda: (self.mnt / f"d{i}").mkdir(), lambda: (self.mnt / ".segfs/status").read_bytes(),
            ])
            try:
                call()
            except OSError as error:
                errors[error.errno] = errors.get(error.errno, 0) + 1
        return errors

    def check_all_is_well(self):
        unusual = set(self.attempts(300, seed=2)) - {errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENODATA}
        self.assertEqual({errno.errorcode[number] for number in unusual}, set())
        path = self.mnt / "last"
        path.write_bytes(b"well")
        self.assertEqual((self.store / "last").read_bytes(), b"well")


class Failing(Faults):
    """The daemon with failing.c."""

    def setUp(self):
        if "FAILING_LIBRARY" not in os.environ:
            self.skipTest("FAILING_LIBRARY names no library to preload")
        if os.environ.get("SANITIZE", "none") not in ("none", "undefined"):
            self.skipTest("a sanitizer has an allocator of its own, and wants to be loaded first")
        self.faults = open(f"/dev/shm/segfs-test-faults.{os.getpid()}", "w+b")
        self.addCleanup(self.faults.close)
        self.addCleanup(os.unlink, self.faults.name)
        self.set_faults()
        with unittest.mock.patch.dict(os.environ, LD_PRELOAD=os.environ["FAILING_LIBRARY"], FAILING=self.faults.name):
            super().setUp()

    def set_faults(self, per_million=0, seconds=0):
        self.faults.seek(0)
        self.faults.write(struct.pack("=qq", per_million, seconds))
        self.faults.flush()


class Memory(Failing):
    def test_requests_get_enomem_and_the_daemon_lives(self):
        self.daemon.expect("fuse: failed to allocate")  # libfuse, which answers ENOMEM as well, or tries again
        self.daemon.expect("annot allocate memory")
        for per_million in (1000, 30000, 200000):
            self.set_faults(per_million)
            errors = self.attempts(2000)
            self.set_faults()
            self.assertGreater(errors.get(errno.ENOMEM, 0), 0)
            unusual = set(errors) - SCARCE - {errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENODATA, errno.EAGAIN}
            self.assertEqual({errno.errorcode[number] for number in unusual}, set(), per_million)
            self.check_all_is_well()

    def test_threads_that_are_called_for_the_first_time(self):
        """Each then needs a buffer."""
        for text in ("fuse: failed to allocate", "annot allocate memory"):
            self.daemon.expect(text)
        self.set_faults(300000)
        clients = [subprocess.Popen(["stat", *(self.mnt / f"{i}.{j}" for j in range(1000))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for i in range(8)]
        for client in clients:
            client.wait()
        self.set_faults()
        self.check_all_is_well()


class Clock(Failing):
    def test_lifetimes_do_not_go_by_the_time_of_day(self):
        kept, short = self.mnt / "kept", self.mnt / "short"
        for path, lifetime in ((kept, b"ttl 1000"), (short, b"ttl 1")):
            path.write_bytes(b"x")
            os.setxattr(path, "user.shm.lifetime", lifetime)
        for years in (10, -10, 0):
            self.set_faults(seconds=years * 365 * 86400)
            self.check_all_is_well()
        eventually(lambda: not short.exists(), what="the end of the short one")
        self.assertTrue(kept.exists())

    def test_a_short_lifetime_ends_while_the_clock_is_wrong(self):
        self.set_faults(seconds=-10 * 365 * 86400)
        path = self.mnt / "x"
        path.write_bytes(b"x")
        os.setxattr(path, "user.shm.lifetime", b"ttl 1")
        eventually(lambda: not path.exists(), what="its end")


class Scarce(Faults):
    def test_without_descriptors_requests_get_emfile(self):
        self.check_all_is_well()
        pid = self.worker()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.daemon.expect("oo many open files")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        errors = self.attempts(500)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.assertGreater(errors.get(errno.EMFILE, 0), 0)
        unusual = set(errors) - SCARCE - {errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENODATA}
        self.assertEqual({errno.errorcode[number] for number in unusual}, set())
        self.check_all_is_well()

    def test_thousands_open_at_once_cost_no_descriptor_each(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
        self.check_all_is_well()
        before, files = self.fds(), []
        self.addCleanup(lambda: [file.close() for file in files])
        for i in range(3000):
            files.append(open(self.mnt / f"many{i}", "w+b", buffering=0))
            files[-1].write(b"%d" % i)
        self.assertLess(self.fds() - before, 100)
        maps = [mmap.mmap(file.fileno(), 1) for file in files]
        self.assertEqual([m[:1] for m in maps], [b"%d" % i if i < 10 else (b"%d" % i)[:1] for i in range(3000)])
        self.check_all_is_well()


class Full(Faults):
    store_options = "mode=1777,size=1m,nr_inodes=200"

    def test_a_full_store_is_enospc_and_recovers(self):
        with open(self.mnt / "large", "wb") as large, self.assertErrno(errno.ENOSPC):
            os.posix_fallocate(large.fileno(), 0, 2 << 20)
        with self.assertErrno(errno.ENOSPC):
            for i in range(300):
                (self.mnt / f"i{i}").touch()
        self.assertEqual(set(self.attempts(300)) - {errno.ENOENT, errno.EEXIST, errno.EINVAL, errno.ENODATA, errno.ENOSPC}, set())
        for path in list(self.mnt.glob("i*")) + list(self.mnt.glob("d*")):
            path.rmdir() if path.is_dir() else path.unlink()
        (self.mnt / "last").write_bytes(b"well")

    def fill(self):
        """Until there can be no further file; how many there are."""
        for i in range(300):
            try:
                (self.mnt / f"i{i}").touch()
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
                return i
        raise AssertionError("the store has not become full")

    def test_the_place_of_a_file_removed_is_there_for_the_next(self):
        n, new = self.fill(), self.mnt / "new"
        tmpfile = self.has_tmpfile()
        makers = [new.touch, new.mkdir, lambda: new.symlink_to("x"), lambda: os.mkfifo(new), lambda: os.link(self.mnt / "i0", new),
                  lambda: os.close(os.open(self.mnt, os.O_TMPFILE | os.O_RDWR)) if tmpfile else new.touch()]
        for i in range(40 * len(makers)):
            (self.mnt / f"i{1 + i % (n - 1)}").unlink()
            makers[i % len(makers)]()
            if new.is_dir() and not new.is_symlink():
                new.rmdir()
            else:
                new.unlink(missing_ok=True)
            (self.mnt / f"i{1 + i % (n - 1)}").touch()

    def has_tmpfile(self):
        (self.mnt / "i0").unlink()
        try:
            os.close(os.open(self.mnt, os.O_TMPFILE | os.O_RDWR))
            return True
        except OSError as error:
            self.assertEqual(error.errno, errno.EOPNOTSUPP)  # a libfuse before 3.17
            return False
        finally:
            (self.mnt / "i0").touch()

    def test_the_place_of_a_file_that_was_open_is_there_at_its_end(self):
        self.fill()
        for i in range(20):
            path = self.mnt / f"i{i}"
            file = open(path, "rb")
            path.unlink()
            with self.assertErrno(errno.ENOSPC):
                path.touch()
            file.close()
            path.touch()

    def touch(self, path):
        with contextlib.suppress(OSError):
            path.touch()
            return True
        return False

    def test_the_place_of_a_file_that_the_supervisor_keeps_is_there(self):
        """It keeps those that were never opened, and ends them a moment after it is told."""
        self.fill()
        for i in range(5):
            os.unlink(self.store / f"i{i}")
            eventually(lambda: self.touch(self.store / f"s{i}"), what="the place of a file removed behind the mount")
        for i in range(5):
            (self.mnt / f"s{i}").stat()
            self.daemon.process.send_signal(signal.SIGSTOP)
            threading.Timer(0.03, self.daemon.process.send_signal, [signal.SIGCONT]).start()
            (self.mnt / f"s{i}").unlink()
            (self.mnt / f"s{i}").touch()

    def test_others_are_served_while_many_wait_in_vain(self):
        for i in range(12):
            self.assertEqual(self.start(WAIT_IN_VAIN, self.mnt / f"x{i}").stdout.readline(), "waits\n")
        took = []
        for i in range(100):
            begin = time.monotonic()
            self.assertFalse((self.mnt / f"none{i}").exists())
            took.append(time.monotonic() - begin)
        self.assertLess(statistics.median(took), 0.01)

    def test_the_memory_of_a_file_removed_is_there_for_the_next(self):
        """It is waited for so long and no longer: on a machine so busy that it takes more, the next may not have it."""
        data = b"x" * (900 << 10)

        def write(path):
            with open(path, "xb", buffering=0) as file:
                if file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, "a part has been written")

        def reserve(path):
            with open(path, "xb") as file:
                os.posix_fallocate(file.fileno(), 0, len(data))

        def describe(path):
            path.touch(exist_ok=False)
            os.setxattr(path, "user.shm.shape", b"%d" % len(data))
            os.setxattr(path, "user.shm.dtype", b"|u1")

        def grow(path):
            path.touch(exist_ok=False)
            os.truncate(path, len(data))

        removed, late = time.monotonic(), 0
        for i in range(400):
            act, patience = ((write, 0.02), (reserve, 0.1), (describe, 0.1), (grow, 0.1))[i % 4]
            try:
                act(self.mnt / "x")
            except OSError as error:
                if error.errno != errno.ENOSPC or time.monotonic() - removed < patience:
                    raise
                late += 1
            removed = time.monotonic()
            (self.mnt / "x").unlink(missing_ok=True)
        self.assertLess(late, 20)

    def test_a_worker_ends_while_the_store_is_full(self):
        n = self.fill()
        self.daemon.expect("the worker ended")
        for _ in range(3):
            os.kill(self.worker(), signal.SIGKILL)
            self.assertEqual(len(os.listdir(self.mnt)), n)
            with self.assertErrno(errno.ENOSPC):
                (self.mnt / "new").touch()
            (self.mnt / "i0").write_bytes(b"x")
            self.assertEqual((self.mnt / "i0").read_bytes(), b"x")
            (self.mnt / "i1").unlink()  # one whose lookup the killed worker has counted, and not told, is kept for some seconds
            eventually(lambda: self.touch(self.mnt / "i1"), what="the place of a file removed")

    def test_a_full_store_is_mounted(self):
        store, mnt = self.directory / "full", self.directory / "mnt-full"
        store.mkdir()
        mnt.mkdir()
        run("mount", "-t", "tmpfs", "-o", "nr_inodes=20", "tmpfs", store)
        self.addCleanup(unmount, store)
        with self.assertErrno(errno.ENOSPC):
            for i in range(20):
                (store / f"i{i}").touch()
        daemon = Daemon(store, mnt)
        self.addCleanup(daemon.stop)
        daemon.expect("warning: noting the mount on")
        self.assertEqual(set(os.listdir(mnt)), set(os.listdir(store)))
        (mnt / "i0").write_bytes(b"x")
        self.assertEqual((store / "i0").read_bytes(), b"x")

    def test_a_store_made_read_only_is_erofs_and_recovers(self):
        path = self.mnt / "x"
        path.write_bytes(b"x")
        # Busy as long as the kernel has not let go of what was open to be written, which is a moment after close(2).
        eventually(lambda: subprocess.run(["mount", "-o", "remount,ro", self.store], stderr=subprocess.DEVNULL).returncode == 0, what="the remount")
        self.addCleanup(subprocess.run, ["mount", "-o", "remount,rw", self.store])
        self.assertEqual(path.read_bytes(), b"x")
        calls = [lambda: (self.mnt / "y").touch(), path.unlink, lambda: path.chmod(0o600), lambda: os.truncate(path, 0),
                 lambda: os.setxattr(path, "user.shm.dtype", b"|u1"), lambda: os.setxattr(path, "user.shm.lifetime", b"ttl 1")]
        for call in calls:
            with self.assertErrno(errno.EROFS):
                call()
        run("mount", "-o", "remount,rw", self.store)
        self.check_all_is_well()


class FullReserved(Full):
    """What grows gets its memory at once, or ENOSPC."""

    options = ("-o", "reserve")


if __name__ == "__main__":
    main()
