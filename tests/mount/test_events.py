""".segfs/events/NAME: versions to wait for and to publish, in any language, beside C programs that do so by the control page."""

import errno
import os
import pathlib
import resource
import select
import signal
import subprocess
import threading
import time
import unittest

from control_peer import Peer, sleeps
from harness import PYTHON, UNDER_VALGRIND, MountTest, eventually, main, run

CONTROL = ".segfs-control"
OWNER, OTHER = 20001, 20002
MANY = 300  # segments waited for at once, more than one system call takes
READERS = 200

# Says each version that it reads.
READER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
while True:
    print(os.read(fd, 100).decode(), end="", flush=True)
"""


class EventsTest(MountTest):
    def setUp(self):
        super().setUp()
        self.x = self.mnt / "x"
        self.x.write_bytes(bytes(4096))

    def path(self, name="x"):
        return self.mnt / ".segfs/events" / name

    def open(self, flags=os.O_RDWR, name="x"):
        fd = os.open(self.path(name), flags)
        self.addCleanup(os.close, fd)
        return fd

    def publish(self, name="x"):
        self.path(name).write_bytes(b"\n")

    def version(self, name="x"):
        return int(os.getxattr(self.mnt / name, "user.shm.version"))

    def page(self, name="x"):
        return self.store / CONTROL / str((self.store / name).stat().st_ino)

    def status(self, key):
        lines = dict(line.split(":\t", 1) for line in (self.mnt / ".segfs/status").read_text().splitlines())
        return int(lines[key])

    def await_readers(self, n):
        eventually(lambda: self.status("EventReaders") == n, what=f"{n} readers")

    def reader(self, name="x"):
        process = self.start(READER, self.path(name))
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def assertRead(self, fd, expected):
        self.assertEqual(os.read(fd, 100), expected)


class Reading(EventsTest):
    def test_what_was_published_since_the_open_is_given_once(self):
        self.publish(), self.publish()
        fd = self.open(os.O_RDONLY | os.O_NONBLOCK)
        with self.assertErrno(errno.EAGAIN):
            os.read(fd, 100)
        self.publish(), self.publish(), self.publish()
        self.assertRead(fd, b"5\n")
        with self.assertErrno(errno.EAGAIN):
            os.read(fd, 100)

    def test_a_blocked_read_is_woken_by_a_writer_and_by_c(self):
        process = self.reader()
        self.await_readers(1)
        self.publish()
        self.assertEqual(process.stdout.readline(), "1\n")
        for i, path in enumerate((self.x, self.store / "x")):
            self.await_readers(1)
            self.assertEqual(Peer(self, path).do("publish"), i + 2)
            self.assertEqual(process.stdout.readline(), f"{i + 2}\n")

    def test_c_waiters_are_woken_by_a_writer(self):
        for path in (self.x, self.store / "x"):
            for mode in ((), ("r",)):
                with self.subTest(path=path, mode=mode):
                    peer = Peer(self, path, *mode)
                    before = peer.do("version")
                    peer.begin("wait", before)
                    sleeps(peer)
                    self.publish()
                    self.assertEqual(peer.result(), before + 1)

    def test_short_reads_give_the_rest(self):
        fd = self.open(os.O_RDONLY | os.O_NONBLOCK)
        for _ in range(12):
            self.publish()
        self.assertEqual([os.read(fd, 1) for _ in range(3)], [b"1", b"2", b"\n"])
        with self.assertErrno(errno.EAGAIN):
            os.read(fd, 1)

    def test_news_that_come_within_a_line_come_after_it(self):
        fd = self.open(os.O_RDONLY)
        self.publish()
        self.assertEqual(os.read(fd, 1), b"1")
        self.publish()
        self.assertEqual([os.read(fd, 1) for _ in range(3)], [b"\n", b"2", b"\n"])

    def test_each_write_publishes_once_whatever_its_bytes(self):
        fd = self.open(os.O_WRONLY)
        for i, n in enumerate((1, 7, 4096, 100000, 3 << 20, 1)):
            self.assertEqual(os.write(fd, bytes(n)), n)
            self.assertEqual(self.version(), i + 1)
        run("sh", "-c", f"echo >{self.path()}; echo much >>{self.path()}")
        self.assertEqual(self.version(), 8)

    def test_one_descriptor_is_written_while_it_is_read(self):
        fd = self.open()
        results = []
        thread = threading.Thread(target=lambda: results.append(os.read(fd, 100)))
        thread.start()
        self.await_readers(1)
        os.write(fd, b"!")
        thread.join()
        self.assertEqual(results, [b"1\n"])

    def test_it_has_no_position(self):
        fd = self.open()
        for attempt in (lambda: os.lseek(fd, 0, os.SEEK_CUR), lambda: os.pread(fd, 10, 0), lambda: os.pwrite(fd, b"x", 0)):
            with self.assertErrno(errno.ESPIPE):
                attempt()

    def test_python_opens_it_as_a_file(self):
        with open(self.path(), "rb", buffering=0) as file:
            self.publish()
            self.assertEqual(file.readline(), b"1\n")

    def test_rights_are_those_of_the_segment(self):
        os.chown(self.x, OWNER, OWNER)
        code = "import os, sys\ntry: os.open(sys.argv[1], int(sys.argv[2]))\nexcept OSError as e: sys.exit(e.errno)"

        def open_as(uid, flags):
            return subprocess.run([PYTHON, "-c", code, self.path(), str(flags)], user=uid, group=uid, extra_groups=[]).returncode

        for mode, expected in ((0o600, (errno.EACCES, errno.EACCES)), (0o604, (0, errno.EACCES)), (0o602, (errno.EACCES, 0)), (0o606, (0, 0))):
            self.x.chmod(mode)
            self.assertEqual((open_as(OTHER, os.O_RDONLY), open_as(OTHER, os.O_WRONLY)), expected)
            self.assertEqual(open_as(OWNER, os.O_RDWR), 0)
        with self.assertErrno(errno.EBADF):
            os.write(self.open(os.O_RDONLY), b"x")

    def test_shell_loop_woken_by_python_and_by_c(self):
        """The one of the README: a line for each time that somebody publishes."""
        peer = Peer(self, self.store / "x")
        for shell in ("bash", "dash"):
            with self.subTest(shell=shell):
                loop = f"while read v; do date +%s; echo $v; done < {self.path()}"
                process = subprocess.Popen([shell, "-c", loop], stdout=subprocess.PIPE, text=True)
                self.addCleanup(process.stdout.close)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                for publish in (self.publish, lambda: peer.do("publish"), self.publish):
                    self.await_readers(1)
                    before = self.version()
                    publish()
                    self.assertLessEqual(abs(int(process.stdout.readline()) - time.time()), 60)
                    self.assertEqual(process.stdout.readline(), f"{before + 1}\n")
                process.kill()
                self.await_readers(0)


class Polling(EventsTest):
    def test_poll_tells_what_there_is(self):
        reader, writer, both = self.open(os.O_RDONLY), self.open(os.O_WRONLY), self.open()
        poll = select.poll()
        for fd in (reader, writer, both):
            poll.register(fd, select.POLLIN | select.POLLOUT)
        self.assertFalse(dict(poll.poll(0))[both] & select.POLLIN)
        self.assertTrue(dict(poll.poll(0))[writer] & select.POLLOUT)
        self.publish()
        ready = dict(poll.poll(0))
        self.assertTrue(ready[reader] & select.POLLIN and ready[both] & select.POLLIN and ready[both] & select.POLLOUT)
        self.assertFalse(ready[writer] & select.POLLIN)
        self.assertRead(reader, b"1\n"), self.assertRead(both, b"1\n")
        self.assertFalse(dict(poll.poll(0)).get(reader, 0) & select.POLLIN)

    def test_poll_select_and_epoll_sleep_until_there_is(self):
        peer = Peer(self, self.store / "x")
        fd = self.open(os.O_RDONLY)
        epoll = select.epoll()
        self.addCleanup(epoll.close)
        epoll.register(fd, select.EPOLLIN)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        for wait in (lambda: poll.poll(), lambda: epoll.poll(), lambda: select.select([fd], [], [])[0]):
            for publish in (self.publish, lambda: peer.do("publish")):
                results = []
                thread = threading.Thread(target=lambda: results.append(wait()))
                thread.start()
                time.sleep(0.01)  # most often it is asleep then; if not, that is another case
                publish()
                thread.join()
                self.assertEqual(len(results[0]), 1)
                self.assertRead(fd, f"{self.version()}\n".encode())

    def test_epoll_goes_on_telling(self):
        """Level and edge triggered, with one registration for all."""
        for flags in (select.EPOLLIN, select.EPOLLIN | select.EPOLLET):
            fd = self.open(os.O_RDONLY | os.O_NONBLOCK)
            with select.epoll() as epoll:
                epoll.register(fd, flags)
                for _ in range(50):
                    self.assertEqual(epoll.poll(0), [])
                    self.publish()
                    self.assertEqual(epoll.poll(60), [(fd, select.EPOLLIN)])
                    self.assertRead(fd, f"{self.version()}\n".encode())

    def test_other_files_poll_as_before(self):
        poll = select.poll()
        fds = [os.open(path, os.O_RDONLY) for path in (self.x, self.mnt, self.mnt / ".segfs/info/x", self.mnt / ".segfs/ctl/x")]
        for fd in fds:
            self.addCleanup(os.close, fd)
            poll.register(fd)
        self.assertEqual(poll.poll(), [(fd, select.POLLIN | select.POLLOUT) for fd in fds])


class Blocked(EventsTest):
    def test_a_signal_interrupts(self):
        code = "import os, signal, sys\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(77))\nprint('ready', flush=True)\nos.read(os.open(sys.argv[1], os.O_RDONLY), 100)"
        process = self.start(code, self.path())
        process.stdout.readline()
        self.await_readers(1)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(60), 77)
        self.await_readers(0)

    def test_kill_leaves_nothing_hung_and_names_go_on_meanwhile(self):
        """More blocked reads than the daemon has threads."""
        readers = [self.reader() for _ in range(24)]
        self.await_readers(24)
        self.assertIn("x", run("ls", "-l", self.mnt, self.mnt / ".segfs/events"))
        (self.mnt / "y").write_bytes(b"y")
        (self.mnt / "y").unlink()
        for process in readers[::2]:
            process.kill()
            self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.await_readers(12)
        self.publish()
        for process in readers[1::2]:
            self.assertEqual(process.stdout.readline(), "1\n")

    def test_storm_of_signals_loses_no_news(self):
        code = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, True)
fd = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
while (version := int(os.read(fd, 100))) < 100:
    pass
print(version, flush=True)
"""
        process = self.start(code, self.path())
        process.stdout.readline()
        for _ in range(100):
            for _ in range(5):
                process.send_signal(signal.SIGUSR1)
            self.publish()
        self.assertEqual(process.stdout.readline(), "100\n")

    def test_two_hundred_readers_of_one_segment(self):
        fds = [self.open(os.O_RDONLY) for _ in range(READERS)]
        results = []
        threads = [threading.Thread(target=lambda fd=fd: results.append(os.read(fd, 100))) for fd in fds]
        for thread in threads:
            thread.start()
        self.await_readers(READERS)
        self.assertEqual(self.status("EventFiles"), READERS)
        Peer(self, self.store / "x").do("publish")
        for thread in threads:
            thread.join()
        self.assertEqual(results, [b"1\n"] * READERS)

    def test_three_hundred_segments_at_once(self):
        names = [f"n{i}" for i in range(MANY)]
        poll = select.poll()
        fds = {}
        for name in names:
            (self.mnt / name).write_bytes(b"")
            fds[self.open(os.O_RDONLY, name)] = name
        for fd in fds:
            poll.register(fd, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        for name in names[::37] + names[-1:]:
            peer = Peer(self, self.store / name)  # behind the daemon's back
            peer.do("publish")
            ((fd, _),) = poll.poll()
            self.assertEqual(fds[fd], name)
            self.assertRead(fd, b"1\n")
            peer.end()

    def test_the_end_of_the_mount_ends_the_wait(self):
        process = self.reader()
        self.await_readers(1)
        run("umount", "-l", self.mnt)
        self.daemon.process.send_signal(signal.SIGTERM)
        self.daemon.process.wait(60)
        self.assertNotEqual(process.wait(60), 0)

    def test_a_segment_that_goes_leaves_its_readers_waiting(self):
        process, fd = self.reader(), self.open()
        self.await_readers(1)
        self.x.unlink()
        os.write(fd, b"!")
        self.assertEqual(process.stdout.readline(), "1\n")

    def switches(self):
        """Voluntary context switches of all threads of the daemon but those that serve requests."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.daemon.process.pid}/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("voluntary_ctxt_switches")).split()[1])
        return total

    def assertQuiet(self):
        def still():
            before = self.switches()
            time.sleep(0.5)
            return self.switches() == before

        eventually(still, what="rest")

    def test_the_daemon_is_idle_while_nobody_waits(self):
        self.assertQuiet()
        fd = self.open()
        os.write(fd, b"!")
        self.assertQuiet()
        process = self.reader()
        self.await_readers(1)
        process.kill()
        process.wait()
        self.assertQuiet()


# The daemon goes on from a SIGBUS (fs/shield.c); under valgrind the thread jumps into its stack when the handler returns.
mends_pages = unittest.skipIf(UNDER_VALGRIND, "valgrind does not return rightly from a signal handler to the access to memory that it has mended")


class Hostile(EventsTest):
    """What the owner of a page does to its file in the store while others wait."""

    def assertBroken(self, process):
        self.assertNotEqual(process.wait(60), 0)
        self.assertIsNone(self.daemon.process.poll())
        fd = self.open()
        os.write(fd, b"!")
        self.assertEqual(os.read(fd, 100), b"1\n")

    def wait_and(self, act):
        process = self.start(READER, self.path(), stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.publish()
        self.assertEqual(process.stdout.readline(), "1\n")
        self.await_readers(1)
        act()
        process.wait(60)
        self.assertIn("Errno 5", process.stderr.read())
        self.assertBroken(process)

    @mends_pages
    def test_cut_to_nothing(self):
        self.wait_and(lambda: os.truncate(self.page(), 0))

    def test_cut_to_a_part_and_made_longer(self):
        def act():
            os.truncate(self.page(), 100)
            os.truncate(self.page(), 8192)

        self.wait_and(act)

    def test_replaced(self):
        def act():
            self.page().unlink()
            self.open()  # makes another

        self.wait_and(act)

    @mends_pages
    def test_cut_under_writers_and_pollers(self):
        fd = self.open()
        os.write(fd, b"!")
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        self.assertRead(fd, b"1\n")
        os.truncate(self.page(), 0)
        self.assertTrue(poll.poll()[0][1] & select.POLLERR)
        for attempt in (lambda: os.write(fd, b"!"), lambda: os.read(fd, 1)):
            with self.assertErrno(errno.EIO):
                attempt()

    @mends_pages
    def test_cut_again_and_again_at_any_moment(self):
        def cut():
            while not stop.is_set():
                for size in (0, 100, 8192):
                    try:
                        os.truncate(self.page(), size)
                    except FileNotFoundError:
                        pass

        stop = threading.Event()
        thread = threading.Thread(target=cut)
        thread.start()
        for i in range(300):
            try:
                fd = os.open(self.path(), os.O_RDWR | os.O_NONBLOCK)
                os.write(fd, b"!")
                os.read(fd, 100)
            except OSError as error:
                self.assertIn(error.errno, (errno.EIO, errno.EAGAIN, errno.EBADMSG))
            finally:
                os.close(fd)
        stop.set()
        thread.join()
        self.assertIsNone(self.daemon.process.poll())

    def test_nonsense_in_the_words_hinders_nobody(self):
        """Somebody changes the word that is slept on without an end, and publishes nothing."""
        process = self.reader()
        self.await_readers(1)
        code = "import mmap, sys\nf = open(sys.argv[1], 'r+b')\nm = mmap.mmap(f.fileno(), 8192)\nprint('ready', flush=True)\nn = 0\nwhile True:\n    n += 2\n    m[136:140] = (n % (1 << 32)).to_bytes(4, 'little')"
        scribbler = self.start(code, self.page())
        scribbler.stdout.readline()
        self.publish()
        self.assertEqual(process.stdout.readline(), "1\n")

    def test_nobody_pins_without_bound(self):
        os.chown(self.x, OTHER, OTHER)
        code = """
import os, resource, sys
n = 0
try:
    while True:
        os.open(sys.argv[1], os.O_RDONLY)
        n += 1
except OSError as error:
    print(n, error.errno, flush=True)
sys.stdin.read()
"""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        process = self.start(code, self.path(), user=OTHER, group=OTHER, extra_groups=[], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        n, error = map(int, process.stdout.readline().split())
        self.assertLessEqual(n, 4096)
        self.assertEqual(error, errno.EMFILE)
        self.open()  # root's


if __name__ == "__main__":
    main()
