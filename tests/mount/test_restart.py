"""The worker is killed, stopped, replaced and made to crash, while programs work that notice whatever goes wrong."""

import contextlib
import errno
import fcntl
import mmap
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness
from harness import PYTHON, SEGFS, Daemon, MountTest, eventually, is_mountpoint, main, run, threads_of

ENDURE = os.environ.get("ENDURE", "endure")
CONTROL = ".segfs-control"
RESTARTS = int(os.environ.get("RESTARTS", "30"))  # a storm has so many; 1000 takes some minutes
PAUSE = float(os.environ.get("RESTART_PAUSE", "1"))  # so many times as long between two, where a worker takes long to start
CLIENTS = 8


# Makes, renames and removes files until that fails; says with which errno.
CHURN = """
import os, sys
path = f"{sys.argv[1]}/{os.getpid()}"
n = 0
try:
    while True:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR))
        os.rename(path, path + "r")
        os.unlink(path + "r")
        n += 1
        if n == 10:
            print("works", flush=True)
except OSError as error:
    print(error.errno, flush=True)
"""


class RestartTest(MountTest):
    def setUp(self):
        super().setUp()
        self.daemon.expect("the worker ended ")

    def status(self):
        return dict(line.split(":\t") for line in (self.mnt / ".segfs/status").read_text().splitlines())

    def served_anew(self, before, n=1):
        """Wait for the n-th worker after that."""
        eventually(lambda: int(self.status()["Restarts"]) >= before + n, what="another worker")

    def kill_worker(self):
        eventually(lambda: len(self.daemon.workers()) == 1, what="one worker alone")
        before = int(self.status()["Restarts"])
        os.kill(self.daemon.worker(), signal.SIGKILL)
        self.served_anew(before)

    def assert_memory_is_free(self):
        """All of the store's, once nothing is in it."""
        space = os.statvfs(self.store)
        eventually(lambda: os.statvfs(self.store).f_bfree == space.f_blocks, what="free memory")


class Storms(RestartTest):
    """So many clients create, open, map, write, lock, rename, link, list and remove, and check each result and each byte."""

    def storm(self, n, deed, pause):
        """`deed` is done at random moments until n workers have been followed by another."""
        signal.alarm(int(300 + n * 2 * PAUSE))
        clients = subprocess.Popen([ENDURE, self.mnt, self.store, str(CLIENTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(clients.kill)
        self.assertEqual(clients.stdout.readline(), "ready\n")
        while self.daemon.log().count("the worker ended ") < n and clients.poll() is None:
            time.sleep(random.random() * pause * PAUSE)
            with contextlib.suppress(ProcessLookupError, IndexError):  # there is none at this moment
                deed()
        out, err = clients.communicate("", timeout=120)
        self.assertEqual((clients.returncode, err), (0, ""))
        status = self.status()
        print(f"{status['Restarts']} restarts, {status['Resent']} requests sent again, {out.strip()}, "
              f"longest time without a worker {status['LongestStall']}", flush=True)
        self.assertGreaterEqual(int(status["Restarts"]), n)

    def signal_worker(self, number):
        os.kill(self.daemon.worker(), number)

    def assert_nothing_is_kept(self):
        """Once all files are gone, and the kernel has been asked about what a killed worker may have left, all memory is free."""
        for entry in os.scandir(self.mnt):
            os.unlink(entry.path)
        self.kill_worker()
        self.assert_memory_is_free()

    def test_sigkill(self):
        self.storm(RESTARTS, lambda: self.signal_worker(signal.SIGKILL), 0.06)
        self.assert_nothing_is_kept()

    def test_sigstop(self):
        self.storm(max(RESTARTS // 10, 3), lambda: self.signal_worker(signal.SIGSTOP), 0.5)

    def test_sighup(self):
        self.storm(RESTARTS, lambda: self.daemon.process.send_signal(signal.SIGHUP), 0.15)
        self.assert_nothing_is_kept()


class CrashTest(RestartTest):
    """Only with -Dfaults=true."""

    @classmethod
    def setUpClass(cls):
        if subprocess.run([SEGFS, "-o", "fault=0", "--version"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("built without -Dfaults=true")

    def setUp(self):
        saved = os.environ.get("ASAN_OPTIONS", "")
        os.environ["ASAN_OPTIONS"] = saved + ":handle_segv=0"  # it is meant
        self.addCleanup(os.environ.update, ASAN_OPTIONS=saved)
        super().setUp()


class Crashes(CrashTest):
    """Some crash by chance, and COPY_FILE_RANGE always."""

    options = ("-o", "fault=2000,fault=COPY_FILE_RANGE")

    def test_sigsegv_in_a_handler(self):
        clients = subprocess.Popen([ENDURE, self.mnt, self.store, str(CLIENTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(clients.kill)
        self.assertEqual(clients.stdout.readline(), "ready\n")
        signal.alarm(300 + RESTARTS)
        eventually(lambda: clients.poll() is not None or self.daemon.log().count("the worker ended ") >= RESTARTS, 250 + RESTARTS, "the crashes")
        out, err = clients.communicate("", timeout=120)
        self.assertEqual((clients.returncode, err), (0, ""))
        print(f"{self.status()['Restarts']} crashes, {out.strip()}", flush=True)

    def test_a_request_that_crashes_each_worker_is_refused(self):
        self.daemon.expect("a request (COPY_FILE_RANGE) that has crashed several workers is refused")
        (self.mnt / "x").write_bytes(b"x")
        with open(self.mnt / "x", "rb") as x, open(self.mnt / "y", "wb") as y, self.assertErrno(errno.EIO):
            os.copy_file_range(x.fileno(), y.fileno(), 1)
        self.assertEqual((self.mnt / "x").read_bytes(), b"x")


class Starts(CrashTest):
    """Each request crashes its worker with a chance of a third, the first ones too, which the worker itself waits for."""

    options = ("-o", "fault=12")

    def test_a_crash_before_it_is_mounted(self):
        for i in range(20):
            mnt = self.directory / f"mnt-{i}"
            mnt.mkdir()
            daemon = Daemon(self.store, mnt, *self.options)
            self.addCleanup(daemon.stop)
            daemon.expect("the worker ended ")


class Unanswered(CrashTest):
    """Each SETXATTR that no worker has read before ends the worker when it has been carried out."""

    options = ("-o", "fault=!SETXATTR")
    kinds = {"ring": b"block capacity 2 dtype <f4", "table": b"[('a', '<f8')]", "slots": b"workers 2 dtype <f4"}

    def test_what_is_made_is_not_made_again(self):
        for kind, recipe in self.kinds.items():
            (self.mnt / kind).touch()
            os.setxattr(self.mnt / kind, f"user.shm.{kind}", recipe)
            os.getxattr(self.mnt / kind, f"user.shm.{kind}")
            with self.subTest(kind=kind), self.assertErrno(errno.EEXIST, errno.ENOTEMPTY):
                os.setxattr(self.mnt / kind, f"user.shm.{kind}", recipe)
        self.assertEqual(int(self.status()["Restarts"]), 6)

    def test_what_is_made_and_used_stays_as_it_is(self):
        self.set_without_worker("ring", 100, b"frame")
        self.assertEqual((self.mnt / "ring").read_bytes()[100:105], b"frame")

    def test_what_is_half_made_is_completed(self):
        for kind in "ring", "table":
            with self.subTest(kind=kind):
                self.set_without_worker(kind, 0, bytes(8))
                os.getxattr(self.mnt / kind, f"user.shm.{kind}")

    def set_without_worker(self, kind, offset, change):
        """Before another worker follows, the file is changed in the store."""
        path = self.mnt / kind
        path.touch()
        worker = self.daemon.worker()
        self.daemon.process.send_signal(signal.SIGSTOP)
        client = self.start("import os, sys; os.setxattr(sys.argv[1], 'user.shm.' + sys.argv[2], sys.argv[3].encode()); print('set')",
                            path, kind, self.kinds[kind].decode())
        eventually(lambda: len(threads_of(worker)) <= 1, what="the end of the worker")
        with open(self.store / kind, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), change, offset)
        self.daemon.process.send_signal(signal.SIGCONT)
        self.assertEqual(client.stdout.readline(), "set\n")


class Sealed(CrashTest):
    """Whenever a segment is noted as sealed and can still be written, the worker ends."""

    options = ("-o", "fault=.SEAL")

    def test_what_is_begun_is_completed(self):
        path = self.mnt / "x"
        path.write_bytes(b"x")
        os.setxattr(path, "user.shm.sealed", b"1")
        self.assertEqual(int(self.status()["Restarts"]), 1)
        self.assertEqual((os.getxattr(path, "user.shm.sealed"), path.stat().st_mode & 0o777), (b"1", 0o444))
        with self.assertErrno(errno.EPERM):
            open(path, "r+b")


class Forgotten(CrashTest):
    """Whenever a file is about to be let go, the worker ends."""

    options = ("-o", "fault=.END")

    def ends_worker(self, act):
        """And another follows."""
        before = int(self.status()["Restarts"])
        act()
        self.served_anew(before)

    def test_what_keeps_a_file_is_let_go_by_the_next(self):
        """A backing id if it was ever open, else a descriptor of the supervisor's."""
        path = self.mnt / "x"
        path.write_bytes(bytes(65536))
        self.ends_worker(path.unlink)
        self.assert_memory_is_free()
        (self.store / "x").write_bytes(bytes(65536))
        path.stat()
        self.ends_worker(path.unlink)
        self.assert_memory_is_free()

    def test_a_control_page(self):
        path = self.mnt / "x"
        path.touch()
        self.ends_worker(lambda: open(self.mnt / ".segfs/ctl/x", "r+b").close())
        self.ends_worker(path.unlink)
        self.assert_memory_is_free()


class Held(RestartTest):
    """What a user holds when the worker is killed."""

    def test_open_file_mapping_and_locks(self):
        path = self.mnt / "x"
        with open(path, "w+b", buffering=0) as file:
            os.ftruncate(file.fileno(), mmap.PAGESIZE)
            mapped = mmap.mmap(file.fileno(), 0)
            fcntl.flock(file, fcntl.LOCK_EX)
            fcntl.lockf(file, fcntl.LOCK_EX)
            self.kill_worker()
            mapped[:5] = b"hello"
            self.assertEqual(file.read(5), b"hello")
            with open(path, "r+b") as other, self.assertErrno(errno.EAGAIN):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.assertIn("exclusive", os.getxattr(path, "user.shm.lock").decode())
            mapped.close()
        with open(path, "r+b") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_a_file_without_a_name(self):
        with open(self.mnt / "x", "w+b", buffering=0) as file:
            file.write(b"hello")
            os.unlink(self.mnt / "x")
            self.kill_worker()
            self.assertEqual((os.fstat(file.fileno()).st_nlink, os.pread(file.fileno(), 5, 0)), (0, b"hello"))
            os.ftruncate(file.fileno(), 3)
            self.assertEqual(os.fstat(file.fileno()).st_size, 3)

    def test_a_file_without_a_name_that_was_never_open(self):
        """O_PATH asks nobody, and there is no backing id: a descriptor keeps it, and only as long as somebody has it."""
        (self.store / "x").write_bytes(b"hello")
        fd = os.open(self.mnt / "x", os.O_PATH)
        with contextlib.ExitStack() as held:
            held.callback(os.close, fd)
            os.unlink(self.mnt / "x")
            self.kill_worker()
            self.assertEqual((os.fstat(fd).st_nlink, os.fstat(fd).st_size), (0, 5))
        self.assert_memory_is_free()

    def test_a_removed_directory_as_working_directory(self):
        os.mkdir(self.mnt / "d")
        process = self.start("import os, sys; os.chdir(sys.argv[1]); print('there', flush=True); input(); print(os.listdir('.'), os.stat('.').st_nlink)",
                             self.mnt / "d")
        process.stdout.readline()
        os.rmdir(self.mnt / "d")
        self.kill_worker()
        self.assertEqual(process.communicate("\n")[0], "[] 0\n")

    def test_a_directory_that_is_being_read(self):
        names = {f"{i:04}.{'x' * 200}" for i in range(2000)}
        for name in names:
            (self.store / name).touch()
        found = []
        with os.scandir(self.mnt) as entries:
            for i, entry in enumerate(entries):
                found.append(entry.name)
                if i % 500 == 250:
                    self.kill_worker()
        self.assertEqual((len(found), set(found)), (len(names), names))

    def test_a_view_that_is_being_read(self):
        path = self.mnt / "x"
        path.write_bytes(bytes(range(256)) * 64)
        os.setxattr(path, "user.shm.dtype", b"u1")
        os.setxattr(path, "user.shm.shape", b"128,128")
        for view in ("text/x", "info/x", "npy/x.npy"):
            with self.subTest(view=view), open(self.mnt / ".segfs" / view, "rb", buffering=0) as file:
                begin = file.read(50)
                self.kill_worker()
                rest = b"".join(iter(lambda: file.read(65536), b""))
                self.assertEqual(begin + rest, (self.mnt / ".segfs" / view).read_bytes())

    def test_a_view_that_is_longer_when_it_is_made_anew(self):
        """Nothing of it has been read yet: it is whole."""
        for i in range(9):
            (self.mnt / f"{i}").touch()
        with open(self.mnt / ".segfs/list", "rb", buffering=0) as file:
            (self.mnt / "9").touch()
            self.kill_worker()
            self.assertEqual(len(file.read(65536).splitlines()), len((self.mnt / ".segfs/list").read_bytes().splitlines()))
            self.assertEqual(file.read(65536), b"")

    def test_a_directory_of_views_that_is_open(self):
        for name in "abc":
            (self.mnt / name).write_bytes(b"x")
        fd = os.open(self.mnt / ".segfs/text", os.O_RDONLY)
        self.addCleanup(os.close, fd)
        self.kill_worker()
        self.assertEqual(sorted(os.listdir(fd)), ["a", "b", "c"])

    def test_a_file_known_before_is_opened_by_its_right_name(self):
        for i in range(20):
            (self.mnt / f"{i}").write_text(str(i))
        self.kill_worker()
        for i in range(20):
            self.assertEqual((self.mnt / f"{i}").read_text(), str(i))
            os.rename(self.mnt / f"{i}", self.mnt / f"{i}.new")
        self.kill_worker()
        self.assertEqual(sorted(os.listdir(self.mnt)), sorted(f"{i}.new" for i in range(20)))

    def test_events(self):
        """A read that waits, a poll(2) that sleeps, and what a file has seen."""
        (self.mnt / "x").write_bytes(b"x")
        path = self.mnt / ".segfs/events/x"
        publish = os.open(path, os.O_WRONLY)
        seen = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        for fd in (publish, seen):
            self.addCleanup(os.close, fd)
        os.write(publish, b"1")
        reader = self.start("import os, sys; f = os.open(sys.argv[1], os.O_RDONLY); print('there', flush=True); print(os.read(f, 100))", path)
        poller = self.start("import os, select, sys; f = os.open(sys.argv[1], os.O_RDONLY); p = select.poll(); p.register(f, select.POLLIN);"
                            " print('there', flush=True); p.poll(); print(os.read(f, 100))", path)
        for process in (reader, poller):
            process.stdout.readline()
            eventually(lambda: pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")")[1].split()[0] == "S")
        eventually(lambda: self.status()["EventReaders"] == "1", what="the blocked read")
        self.kill_worker()
        self.assertEqual(os.read(seen, 100), b"1\n")
        self.kill_worker()
        with self.assertErrno(errno.EAGAIN):
            os.read(seen, 100)
        eventually(lambda: self.status()["EventReaders"] == "1", what="the blocked read")
        os.write(publish, b"2")
        for process in (reader, poller):
            self.assertEqual(process.stdout.readline(), "b'2\\n'\n")
        self.assertEqual(os.read(seen, 100), b"2\n")

    def at_rest(self, supervisor):
        """How many descriptors it has, once it has that of its worker's canary."""
        eventually(lambda: any("[pidfd]" in os.readlink(fd) for fd in supervisor.iterdir()), what="the canary")
        return len(os.listdir(supervisor))

    def test_what_is_let_go_while_the_supervisor_is_far_behind(self):
        """Directories that are removed and open are kept by it; when they are closed, it does not read what it is told."""
        supervisor = pathlib.Path(f"/proc/{self.daemon.process.pid}/fd")
        before, known = self.at_rest(supervisor), int(self.status()["Nodes"])
        fds = []
        for i in range(600):
            (self.mnt / f"d{i}").mkdir()
            fds.append(os.open(self.mnt / f"d{i}", os.O_PATH))
            (self.mnt / f"d{i}").rmdir()
            eventually(lambda i=i: len(os.listdir(supervisor)) == before + i + 1, what="the pin")
        os.kill(self.daemon.process.pid, signal.SIGSTOP)
        try:
            for fd in fds:
                os.close(fd)
            eventually(lambda: int(self.status()["Nodes"]) == known, what="the last FORGET")
        finally:
            os.kill(self.daemon.process.pid, signal.SIGCONT)
        eventually(lambda: len(os.listdir(supervisor)) == before, what="the end of the pins")

    def test_what_is_let_go_while_the_supervisor_now_and_then_stands_still(self):
        """Anywhere on its way, with directories being removed faster than it can be told of when it stands."""
        supervisor = pathlib.Path(f"/proc/{self.daemon.process.pid}/fd")
        before = self.at_rest(supervisor)
        makers = [self.start("import os, sys\nwhile not os.path.exists(sys.argv[1] + '.end'):\n"
                             "    os.mkdir(sys.argv[1])\n    os.rmdir(sys.argv[1])\n", self.mnt / name) for name in "ab"]
        for _ in range(30):
            time.sleep(random.random() / 100)
            os.kill(self.daemon.process.pid, signal.SIGSTOP)
            time.sleep(0.15)
            os.kill(self.daemon.process.pid, signal.SIGCONT)
        for name, maker in zip("ab", makers):
            (self.store / f"{name}.end").touch()
            self.assertEqual(maker.wait(60), 0)
        eventually(lambda: len(os.listdir(supervisor)) == before, what="the end of the pins")

    def test_events_of_a_page_that_is_cut_while_no_worker_looks(self):
        """Whoever waits for news of it is told that there are none any more; who opens it now has those of the new page."""
        (self.mnt / "x").write_bytes(b"x")
        path = self.mnt / ".segfs/events/x"
        fds = [os.open(path, flags) for flags in (os.O_RDWR, os.O_WRONLY)]
        for fd in fds:
            self.addCleanup(os.close, fd)
            os.write(fd, b"1")
        self.assertEqual(os.read(fds[0], 100), b"2\n")
        poller = self.start("import os, select, sys; f = os.open(sys.argv[1], os.O_RDONLY); p = select.poll(); p.register(f, select.POLLIN);"
                            " print('open', flush=True); p.poll(); print(os.read(f, 100), flush=True); print(p.poll()[0][1] & select.POLLERR)", path)
        poller.stdout.readline()
        os.write(fds[1], b"1")
        self.assertEqual(poller.stdout.readline(), "b'3\\n'\n")
        before, worker = int(self.status()["Restarts"]), self.daemon.worker()
        os.kill(worker, signal.SIGSTOP)
        os.truncate(self.store / CONTROL / str((self.store / "x").stat().st_ino), 0)
        os.kill(worker, signal.SIGKILL)
        self.served_anew(before)
        self.assertEqual(poller.stdout.readline(), f"{select.POLLERR}\n")
        with self.assertErrno(errno.EIO):
            os.read(fds[0], 100)
        with open(path, "r+b", buffering=0) as other:
            other.write(b"1")
            self.assertEqual(other.read(100), b"1\n")
        with self.assertErrno(errno.EIO):
            os.write(fds[0], b"1")

    def test_a_control_page(self):
        (self.mnt / "x").write_bytes(b"x")
        with open(self.mnt / ".segfs/ctl/x", "r+b") as file:
            page = mmap.mmap(file.fileno(), 0)
            self.kill_worker()
            with open(self.mnt / ".segfs/ctl/x", "r+b") as again, mmap.mmap(again.fileno(), 0) as other:
                self.assertEqual(other[:], page[:])
                other[-1:] = b"!"
                self.assertEqual(page[-1:], b"!")
        self.kill_worker()
        page.close()

    def test_a_lifetime(self):
        path = self.mnt / "x"
        process = self.start("import sys; f = open(sys.argv[1], 'wb'); print('there', flush=True); input()", path)
        process.stdout.readline()
        os.setxattr(path, "user.shm.lifetime", b"creator")
        self.kill_worker()
        self.assertTrue(path.exists())
        process.kill()
        eventually(lambda: not (self.store / "x").exists(), what="the removal")
        eventually(lambda: self.status()["RemovedCreator"] == "1", what="the count")
        self.kill_worker()
        self.assertEqual(self.status()["RemovedCreator"], "1")


class Behind(RestartTest):
    """What happens in the store while there is no worker is seen by the next."""

    @contextlib.contextmanager
    def without_worker(self):
        before = int(self.status()["Restarts"])
        worker = self.daemon.worker()
        self.daemon.process.send_signal(signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: len(threads_of(worker)) <= 1, what="the end of the worker")
        yield
        self.daemon.process.send_signal(signal.SIGCONT)
        self.served_anew(before)

    def test_names_sizes_and_modes(self):
        for name in ("gone", "renamed", "grown", "mode", "replaced"):
            (self.mnt / name).write_text(name)
        os.mkdir(self.mnt / "d")
        (self.mnt / "d/x").write_text("x")
        with self.without_worker():
            os.unlink(self.store / "gone")
            os.rename(self.store / "renamed", self.store / "new")
            (self.store / "grown").write_text("grown up")
            os.chmod(self.store / "mode", 0o600)
            os.unlink(self.store / "replaced")
            (self.store / "replaced").write_text("another")
            (self.store / "made").write_text("made")
            shutil.rmtree(self.store / "d")
        self.assertEqual((self.mnt / "grown").read_text(), "grown up")
        self.assertEqual((self.mnt / "replaced").read_text(), "another")
        self.assertEqual((self.mnt / "new").read_text(), "renamed")
        eventually(lambda: not (self.mnt / "gone").exists(), what="the truth about a removed file")
        eventually(lambda: not (self.mnt / "renamed").exists(), what="the truth about a renamed file")
        eventually(lambda: not (self.mnt / "d").exists(), what="the truth about a directory")
        eventually(lambda: (self.mnt / "mode").stat().st_mode & 0o777 == 0o600, what="the mode")
        self.assertEqual(sorted(os.listdir(self.mnt)), ["grown", "made", "mode", "new", "replaced"])

    def test_the_memory_of_what_is_removed_is_free(self):
        """Though nobody asks for it by its name."""
        (self.mnt / "x").write_bytes(bytes(65536))
        with self.without_worker():
            os.unlink(self.store / "x")
        self.assert_memory_is_free()

    def test_a_former_name_ends_though_the_new_one_is_asked_for_first(self):
        """Before the next worker has gone through all that the kernel knows."""
        for i in range(4000):
            (self.store / f"{i}").touch()
            (self.mnt / f"{i}").stat()
        (self.mnt / "x").write_bytes(bytes(65536))
        with self.without_worker():
            os.rename(self.store / "x", self.store / "y")
            finder = subprocess.Popen(["stat", self.mnt / "y"], stdout=subprocess.DEVNULL)
            eventually(lambda: "request_wait" in pathlib.Path(f"/proc/{finder.pid}/wchan").read_text(), what="the request")
        self.assertEqual(finder.wait(20), 0)
        eventually(lambda: not (self.mnt / "x").exists(), 5, "the end of the former name")

    def test_a_former_name_ends_though_its_event_is_lost_with_the_worker(self):
        """Which has found the file by its new name, and has many other events to read first."""
        self.daemon.expect("queue overflow")
        for name in "xa":
            (self.store / name).write_text(name)
        time.sleep(0.1)  # the events of that are over, and what is told now is kept
        (self.mnt / "x").stat()
        worker, before = self.daemon.worker(), int(self.status()["Restarts"])
        os.kill(worker, signal.SIGSTOP)
        for _ in range(7000):
            os.rename(self.store / "a", self.store / "b")
            os.rename(self.store / "b", self.store / "a")
        os.rename(self.store / "x", self.store / "y")
        finder = subprocess.Popen(["stat", self.mnt / "y"], stdout=subprocess.DEVNULL)
        eventually(lambda: "request_wait" in pathlib.Path(f"/proc/{finder.pid}/wchan").read_text(), what="the request")
        os.kill(worker, signal.SIGCONT)
        self.assertEqual(finder.wait(20), 0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        self.served_anew(before)
        eventually(lambda: not (self.mnt / "x").exists(), 20, "the end of the former name")

    def test_changes_after_it_are_seen_as_before(self):
        os.mkdir(self.mnt / "d")
        (self.mnt / "d/x").write_text("x")
        self.kill_worker()
        (self.store / "d/x").write_text("longer")
        eventually(lambda: (self.mnt / "d/x").stat().st_size == 6, what="the size")
        os.unlink(self.store / "d/x")
        eventually(lambda: not (self.mnt / "d/x").exists(), what="the removal")


class Supervisor(RestartTest):
    def test_status_and_metrics_count(self):
        self.assertEqual(self.status()["Restarts"], "0")
        self.kill_worker()
        status = self.status()
        self.assertEqual((status["Restarts"], status["Pid"], status["Worker"]), ("1", str(self.daemon.process.pid), str(self.daemon.worker())))
        self.assertRegex(status["LongestStall"], r"^\d+\.\d ms$")
        metrics = (self.mnt / ".segfs/metrics").read_text()
        for name in ("worker_restarts_total 1", "requests_resent_total ", "longest_stall_seconds "):
            self.assertIn(f"\nsegfs_{name}", metrics)

    def test_workers_that_end_at_once_end_the_mount(self):
        self.daemon.expect("giving up")
        self.daemon.status = 4
        # A tenth of a second after it was ready each has been of use, and on a busy machine we might not come before.
        self.addCleanup(os.setpriority, os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # Beyond that it may have another child: LeakSanitizer's, which is not to be killed.
        while self.daemon.process.poll() is None and "giving up" not in self.daemon.log():
            with contextlib.suppress(ProcessLookupError, IndexError, FileNotFoundError):
                os.kill(self.daemon.worker(), signal.SIGXCPU)  # SIGKILL says nothing of the worker, and SIGQUIT is ignored by what runs in the background
            time.sleep(0.0005)
        self.daemon.process.wait(20)
        self.assertFalse(is_mountpoint(self.mnt))
        self.assertEqual(self.daemon.log().count("giving up"), 1)

    def test_a_worker_that_a_debugger_holds_while_all_sleeps(self):
        """Nobody tells the supervisor of that, which had nothing to look at; a request does that nobody reads."""
        before = int(self.status()["Restarts"])
        hold = self.debugger(self.daemon.worker())
        time.sleep(2)  # the supervisor looks twice a second until it sleeps
        hold()
        self.assertFalse((self.mnt / "nothing").exists())
        self.served_anew(before)

    def test_a_worker_that_serves_all_but_its_supervisor(self):
        """As on a busy machine where the thread that would reply has not had its turn: it is not taken for one that hangs."""
        (self.mnt / "x").write_bytes(b"x")
        waiter = self.start("import sys; open(sys.argv[1], 'rb', buffering=0).read(100)", self.mnt / ".segfs/events/x")  # so that always a request waits
        worker = self.daemon.worker()
        self.debugger(worker, worker)()
        begin = time.monotonic()
        while time.monotonic() < begin + 3:
            self.assertFalse((self.mnt / "nothing").exists())
        self.assertEqual(self.status()["Restarts"], "0")
        eventually(lambda: "the worker ended as it did not answer" in self.daemon.log(), 20, "the end, now that nothing is answered")
        waiter.kill()

    def test_a_worker_that_stops_when_its_supervisor_had_much_to_ask(self):
        """Its supervisor, woken by each directory that goes, has asked and asked, and may have no room left to ask once more."""
        worker = self.daemon.worker()
        self.debugger(worker, worker)()
        begin = time.monotonic()
        while time.monotonic() < begin + 3:
            os.mkdir(self.mnt / "d")
            os.rmdir(self.mnt / "d")
        os.kill(worker, signal.SIGSTOP)
        self.served_anew(0)

    def test_the_worker_ends_with_its_supervisor(self):
        worker = self.daemon.worker()
        self.daemon.kill()
        eventually(lambda: not threads_of(worker), what="the end of the worker")

    def test_both_killed_while_many_wait_for_an_answer(self):
        """The worker's watching thread then is often in the kernel, waiting for the directory that one of them holds."""
        for _ in range(6):
            clients = [self.start(CHURN, self.mnt) for _ in range(4)]
            for client in clients:
                self.assertEqual(client.stdout.readline(), "works\n")
            time.sleep(0.1)
            for pid in [self.daemon.process.pid, *self.daemon.workers()]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ended = [client.stdout.readline() if select.select([client.stdout], [], [], 10)[0] else "waits" for client in clients]
            self.daemon.kill()  # its umount -f would let them go
            self.assertLessEqual(set(ended), {f"{errno.ECONNABORTED}\n", f"{errno.ENOTCONN}\n"})
            self.daemon = Daemon(self.store, self.mnt)
            self.addCleanup(self.daemon.stop)

    def test_both_killed_and_another_segfs(self):
        path = self.mnt / "x"
        path.write_bytes(bytes(mmap.PAGESIZE))
        os.setxattr(path, "user.shm.dtype", b"<f8")
        os.setxattr(path, "user.shm.shape", b"512")
        os.setxattr(path, "user.shm.lifetime", b"ttl 600")
        os.setxattr(path, "user.mine", b"kept")
        creator = os.getxattr(path, "user.shm.creator")
        with open(path, "r+b") as file:
            mapped = mmap.mmap(file.fileno(), 0)
        self.daemon.kill()
        mapped[:5] = b"hello"
        self.assertEqual((self.store / "x").read_bytes()[:5], b"hello")
        other = Daemon(self.store, self.mnt)
        self.addCleanup(other.stop)
        self.assertEqual(path.read_bytes()[:5], b"hello")
        for name, value in (("shm.dtype", b"<f8"), ("shm.shape", b"512"), ("shm.lifetime", b"ttl 600"), ("mine", b"kept"), ("shm.creator", creator)):
            self.assertEqual(os.getxattr(path, f"user.{name}"), value)
        self.assertEqual(os.getxattr(path, "user.shm.attached").decode(), str(os.getpid()))
        mapped[5:10] = b"there"
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as again:
            self.assertEqual(again[:10], b"hellothere")
        mapped.close()


class Upgrade(RestartTest):
    """A daemon of a binary of its own, which can be replaced."""

    def setUp(self):
        self.binary = pathlib.Path(shutil.copy(SEGFS, f"/tmp/segfs-upgrade.{os.getpid()}"))
        self.addCleanup(self.binary.unlink)
        saved, harness.SEGFS = harness.SEGFS, str(self.binary)
        self.addCleanup(setattr, harness, "SEGFS", saved)
        super().setUp()

    def replace(self, program):
        other = self.binary.with_suffix(".new")
        shutil.copy(program, other)
        os.rename(other, self.binary)

    def test_the_binary_on_disk_takes_over(self):
        self.replace(SEGFS)
        self.daemon.process.send_signal(signal.SIGHUP)
        self.served_anew(0)
        self.assertEqual(os.readlink(f"/proc/{self.daemon.worker()}/exe"), str(self.binary))
        self.assertEqual(os.readlink(f"/proc/{self.daemon.process.pid}/exe"), f"{self.binary} (deleted)")
        self.kill_worker()
        self.assertEqual(os.readlink(f"/proc/{self.daemon.worker()}/exe"), str(self.binary))

    def test_one_that_does_not_start_changes_nothing(self):
        self.daemon.expect("the binary on disk does not serve")
        worker = self.daemon.worker()
        self.replace("/bin/false")
        self.daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "does not serve" in self.daemon.log(), what="the refusal")
        self.assertEqual((self.daemon.worker(), self.status()["Restarts"]), (worker, "0"))
        self.kill_worker()


class Service(unittest.TestCase):
    def test_the_service_manager_is_told(self):
        test = RestartTest()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0segfs-test.{os.getpid()}")
            manager.settimeout(20)
            os.environ.update(NOTIFY_SOCKET=f"@segfs-test.{os.getpid()}", WATCHDOG_USEC="300000")
            try:
                test.setUp()
            finally:
                del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
            try:
                self.assertIn(b"READY=1", iter(lambda: manager.recv(100), None))
                self.assertEqual(manager.recv(100), b"WATCHDOG=1")
                test.daemon.process.send_signal(signal.SIGTERM)
                self.assertIn(b"STOPPING=1", iter(lambda: manager.recv(100), None))
                test.daemon.process.wait(20)
            finally:
                test.doCleanups()


if __name__ == "__main__":
    main()
