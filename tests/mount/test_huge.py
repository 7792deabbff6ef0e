"""Huge pages: what is reserved is made of them, what is used gets them in the background, and nobody notices but by speed."""

import contextlib
import errno
import mmap
import os
import subprocess
import tempfile
import threading
import time
import unittest

from harness import PYTHON, Daemon, MountTest, eventually, has_huge_pages, main, run

HUGE = 2 << 20
PAGE = 4096


class HugeTest(MountTest):
    wants_huge_pages = True

    def setUp(self):
        super().setUp()
        if self.wants_huge_pages and not has_huge_pages(self.store):
            self.skipTest("no huge pages to be had on this machine")

    def huge(self, name="x"):
        """Bytes on huge pages, and bytes in memory."""
        return tuple(map(int, os.getxattr(self.mnt / name, "user.shm.huge").split(b"/")))

    def info(self, key, name="x"):
        lines = (self.mnt / ".segfs/info" / name).read_text().splitlines()
        return next(line.split("\t")[1] for line in lines if line.startswith(key + ":"))

    def promoting(self):
        """How many segments the background still has in mind."""
        lines = (self.mnt / ".segfs/status").read_text().splitlines()
        return next(int(line.split("\t")[1]) for line in lines if line.startswith("Promoting:"))

    @contextlib.contextmanager
    def opened(self, name="x", flags=os.O_RDWR | os.O_CREAT):
        fd = os.open(self.mnt / name, flags, 0o644)
        try:
            yield fd
        finally:
            os.close(fd)

    def mapped(self, size, name="x"):
        """A new segment of this size, mapped and not yet touched."""
        with self.opened(name) as fd:
            os.ftruncate(fd, size)
            return mmap.mmap(fd, size)

    def sparse(self, size, pages, name="x"):
        """A segment that has these pages and no others. Made in the store, where nobody sees it grow."""
        with open(self.store / name, "wb") as file:
            file.truncate(size)
            for page in pages:
                os.pwrite(file.fileno(), b"x", page * PAGE)

    def restart(self):
        self.daemon.process.terminate()
        self.daemon.process.wait(20)
        self.daemon = Daemon(self.store, self.mnt, *self.options)
        self.addCleanup(self.daemon.stop)

    def blocks(self, name="x"):
        return (self.store / name).stat().st_blocks * 512

    def free(self):
        st = os.statvfs(self.store)
        return st.f_bfree * st.f_frsize


class Reserving(HugeTest):
    def test_fallocate_gives_huge_pages_at_once(self):
        with self.opened() as fd:
            os.posix_fallocate(fd, 0, 4 * HUGE)
            self.assertEqual(self.huge(), (4 * HUGE, 4 * HUGE))
            self.assertEqual(os.pread(fd, 4 * HUGE, 0), bytes(4 * HUGE))

    def test_whole_extents_are_huge_and_nothing_beyond_the_size_is_taken(self):
        with self.opened() as fd:
            os.posix_fallocate(fd, 0, 2 * HUGE + 5 * PAGE)
        self.assertEqual(self.huge(), (2 * HUGE, 2 * HUGE + 5 * PAGE))
        self.assertEqual(self.blocks(), 2 * HUGE + 5 * PAGE)

    def test_typed_creation_gives_huge_pages_at_once(self):
        path = self.mnt / "x"
        path.touch()
        os.setxattr(path, "user.shm.dtype", b"float64")
        os.setxattr(path, "user.shm.shape", b"1000,1000")
        self.assertEqual(self.huge(), (3 * HUGE, 8000000 // PAGE * PAGE + PAGE))

    def test_what_is_there_stays(self):
        with self.opened() as fd:
            os.pwrite(fd, b"abc", HUGE + 7)
            os.posix_fallocate(fd, 0, 3 * HUGE)
            self.assertEqual(os.pread(fd, 3, HUGE + 7), b"abc")
            self.assertEqual(self.blocks(), 3 * HUGE)

    def test_only_the_range_is_filled_in(self):
        with self.opened() as fd:
            os.ftruncate(fd, 8 * HUGE)
            os.posix_fallocate(fd, HUGE + PAGE, 2 * HUGE)
        self.assertEqual(self.huge(), (HUGE, 2 * HUGE))

    def test_what_the_info_says_is_the_same(self):
        with self.opened() as fd:
            os.posix_fallocate(fd, 0, 2 * HUGE + PAGE)
        self.assertEqual((int(self.info("Huge")), int(self.info("Resident"))), self.huge())

    def test_growing_without_being_asked_reserves_nothing(self):
        with self.opened() as fd:
            os.ftruncate(fd, 4 * HUGE)
        self.assertEqual(self.huge(), (0, 0))


class Always(HugeTest):
    options = ("-o", "huge=always")
    store_options = "mode=1777,size=64m"

    def test_growing_reserves_huge_pages(self):
        with self.opened() as fd:
            os.ftruncate(fd, 2 * HUGE)
            self.assertEqual(self.huge(), (2 * HUGE, 2 * HUGE))
        os.truncate(self.mnt / "x", 4 * HUGE + PAGE)
        self.assertEqual(self.huge(), (4 * HUGE, 4 * HUGE + PAGE))

    def test_what_there_is_no_room_for_is_enospc(self):
        with self.opened() as fd:
            with self.assertErrno(errno.ENOSPC):
                os.ftruncate(fd, 100 << 20)
            self.assertEqual(os.fstat(fd).st_size, 0)
        self.assertEqual(self.blocks(), 0)


class Reserve(HugeTest):
    options = ("-o", "reserve")

    def test_growing_reserves_huge_pages(self):
        with self.opened() as fd:
            os.ftruncate(fd, 2 * HUGE)
        self.assertEqual(self.huge(), (2 * HUGE, 2 * HUGE))


class Never(HugeTest):
    options = ("-o", "huge=never")
    wants_huge_pages = False

    def test_nothing_is_huge_and_asking_is_eopnotsupp(self):
        with self.opened() as fd:
            os.posix_fallocate(fd, 0, 2 * HUGE)
            self.assertEqual(self.huge(), (0, 2 * HUGE))
            self.assertEqual(self.promoting(), 0)
            with self.assertErrno(errno.EOPNOTSUPP):
                os.setxattr(self.mnt / "x", "user.shm.huge", b"1")
        self.assertEqual(self.huge(), (0, 2 * HUGE))


class FullStore(HugeTest):
    store_options = "mode=1777,size=32m"
    wants_huge_pages = False

    def test_without_room_nothing_changes(self):
        with self.opened() as fd:
            os.ftruncate(fd, 3 * HUGE)
            os.pwrite(fd, b"abc", HUGE)
            free = self.free()
            for offset, length in ((0, 33 << 20), (HUGE, 33 << 20), (31 << 20, 33 << 20)):
                with self.assertErrno(errno.ENOSPC):
                    os.posix_fallocate(fd, offset, length)
                self.assertEqual(os.fstat(fd).st_size, 3 * HUGE)
                self.assertEqual(self.free(), free)
            self.assertEqual(os.pread(fd, 3 * HUGE, 0), bytes(HUGE) + b"abc" + bytes(2 * HUGE - 3))

    def test_typed_creation_without_room_changes_nothing(self):
        path = self.mnt / "x"
        path.touch()
        os.setxattr(path, "user.shm.dtype", b"<f8")
        with self.assertErrno(errno.ENOSPC):
            os.setxattr(path, "user.shm.shape", b"5000000")
        self.assertEqual((path.stat().st_size, self.blocks()), (0, 0))

    def test_two_who_want_the_last_of_it_get_all_or_nothing(self):
        def reserve(name):
            with self.opened(name) as fd:
                for _ in range(100):
                    try:
                        os.posix_fallocate(fd, 0, 10 * HUGE)
                        expected = 10 * HUGE
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            wrong.append(error)
                        expected = 0
                    if (os.fstat(fd).st_size, self.blocks(name)) != (expected, expected):
                        wrong.append((expected, os.fstat(fd)))
                    os.ftruncate(fd, 0)

        wrong = []
        threads = [threading.Thread(target=reserve, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.free(), 32 << 20)


WRITER = """
import mmap, os, sys
import numpy as np
fd = os.open(sys.argv[1], os.O_RDWR)
words = np.frombuffer(mmap.mmap(fd, 0), "u8")
print("mapped", flush=True)
n = 0
os.set_blocking(0, False)
while sys.stdin.buffer.read(1) is None:
    if not (words == n).all():
        sys.exit("what was written is not what is there")
    n += 1
    words[:] = n
print(n, flush=True)
"""


class InTheBackground(HugeTest):
    def all_huge(self, size, name="x"):
        eventually(lambda: self.huge(name) == (size, size), 60, f"{name}: all on huge pages")

    def test_what_is_touched_becomes_huge(self):
        mapped = self.mapped(4 * HUGE)
        mapped[:] = b"x" * (4 * HUGE)
        self.all_huge(4 * HUGE)
        self.assertEqual(mapped[:], b"x" * (4 * HUGE))

    def test_what_is_touched_later_becomes_huge(self):
        mapped = self.mapped(3 * HUGE)
        mapped[:HUGE] = b"x" * HUGE
        eventually(lambda: self.huge() == (HUGE, HUGE), 60, "the first extent")
        mapped[HUGE:] = b"y" * (2 * HUGE)
        self.all_huge(3 * HUGE)

    def test_what_is_written_becomes_huge(self):
        (self.mnt / "x").write_bytes(b"x" * (3 * HUGE))
        self.all_huge(3 * HUGE)

    def test_what_was_there_becomes_huge_when_it_is_opened(self):
        (self.store / "x").write_bytes(b"x" * (3 * HUGE))
        with self.opened(flags=os.O_RDONLY):
            self.all_huge(3 * HUGE)

    def test_half_an_extent_is_enough_and_less_is_left_alone(self):
        self.sparse(8 * HUGE, [*range(255), 512, *range(1024 + 200, 1024 + 200 + 256)])
        with self.opened(flags=os.O_RDONLY):
            eventually(lambda: self.huge()[0] == HUGE, 60, "the extent that is half there")
            self.assertEqual(self.huge(), (HUGE, HUGE + 256 * PAGE))

    def test_the_size_of_a_file_is_not_rounded_up(self):
        (self.store / "x").write_bytes(b"x" * (2 * HUGE - PAGE))
        with self.opened(flags=os.O_RDONLY):
            eventually(lambda: self.huge()[0] == HUGE, 60, "the first extent")
            self.assertEqual(self.blocks(), 2 * HUGE - PAGE)

    def test_a_use_in_the_background_leaves_no_trace(self):
        (self.store / "x").write_bytes(b"x" * (2 * HUGE))
        os.utime(self.store / "x", (1000, 2000))
        with self.opened(flags=os.O_RDONLY):
            eventually(lambda: self.promoting() == 0, 60, "the end of all work")
            self.assertEqual((self.store / "x").stat().st_atime, 1000)
            self.all_huge(2 * HUGE)
            self.assertEqual(os.getxattr(self.mnt / "x", "user.shm.attached"), str(os.getpid()).encode())

    def test_writers_at_full_speed_lose_nothing(self):
        path = self.mnt / "x"
        for _ in range(3):
            path.touch()
            os.truncate(path, 8 * HUGE)
            writer = self.start(WRITER, path)
            self.assertEqual(writer.stdout.readline(), "mapped\n")
            self.all_huge(8 * HUGE)
            writer.stdin.close()
            self.assertGreater(int(writer.stdout.readline()), 0)
            self.assertEqual(writer.wait(), 0)
            path.unlink()

    def test_shrinking_meanwhile_is_as_ever(self):
        for i in range(40):
            path = self.mnt / f"s{i}"
            path.write_bytes(b"x" * (2 * HUGE))
            time.sleep(i * 0.005)  # somewhere around the first look
            os.truncate(path, PAGE)
            self.assertEqual(path.stat().st_size, PAGE)
            path.unlink()

    def test_of_more_than_can_be_kept_in_mind_the_last_get_their_turn(self):
        for i in range(1100):
            self.sparse(HUGE, [0], f"sparse{i}")
        (self.store / "x").write_bytes(b"x" * (2 * HUGE))
        for i in range(1100):
            with self.opened(f"sparse{i}", os.O_RDONLY):
                pass
        with self.opened(flags=os.O_RDONLY):
            self.all_huge(2 * HUGE)
        self.assertLessEqual(self.promoting(), 1024)

    def test_a_lifetime_ends_meanwhile(self):
        path = self.mnt / "job/x"
        path.parent.mkdir()
        os.setxattr(path.parent, "user.shm.lifetime", b"last-user")
        with self.opened("job/x") as fd:
            os.ftruncate(fd, 64 * HUGE)
        eventually(lambda: not path.exists(), 60, "the end of the lifetime")

    def test_when_all_is_done_nobody_wakes(self):
        for i in range(20):
            (self.mnt / f"s{i}").write_bytes(b"x" * HUGE)
        (self.mnt / "small").write_bytes(b"x")
        eventually(lambda: self.promoting() == 0, 60, "the end of all work")

        def wake_ups():
            total = 0
            for task in os.listdir(f"/proc/{self.daemon.process.pid}/task"):
                with open(f"/proc/{self.daemon.process.pid}/task/{task}/status") as status:
                    total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
            return total

        def quiet():
            before = wake_ups()
            time.sleep(0.5)
            return wake_ups() == before

        eventually(quiet, what="half a second without a wake-up")


class Asking(HugeTest):
    def ask(self, value=b"1", name="x"):
        os.setxattr(self.mnt / name, "user.shm.huge", value)

    def test_what_has_pages_is_huge_when_the_call_returns(self):
        self.sparse(2048 * HUGE, [0, 5 * 512 + 7, 2047 * 512])
        self.ask()
        self.assertEqual(self.huge(), (3 * HUGE, 3 * HUGE))

    def test_holes_stay_holes(self):
        self.sparse(4 * HUGE, [])
        self.ask()
        self.assertEqual(self.huge(), (0, 0))

    def test_other_values_are_einval_and_what_was_read_is_accepted(self):
        self.sparse(HUGE, [0])
        for value in (b"", b"0", b"2", b"11", b"yes"):
            with self.assertErrno(errno.EINVAL):
                self.ask(value)
        self.ask(b"2097152/8003584")
        self.assertEqual(self.huge(), (0, PAGE))

    def test_it_is_not_listed_and_not_copied(self):
        self.sparse(HUGE, [0])
        self.ask()
        self.assertNotIn("user.shm.huge", os.listxattr(self.mnt / "x"))
        run("cp", "-a", self.mnt / "x", self.mnt / "y")

    def test_who_may_not_write_may_not_ask_and_who_may_not_read_is_not_told(self):
        self.sparse(HUGE, [0])
        os.chmod(self.store / "x", 0o644)
        code = """
import errno, os, sys
for attempt in (lambda: os.getxattr(sys.argv[1], "user.shm.huge"), lambda: os.setxattr(sys.argv[1], "user.shm.huge", b"1")):
    try:
        attempt()
        print("done")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
        as_other = lambda: run("setpriv", "--reuid=1234", "--clear-groups", PYTHON, "-c", code, self.mnt / "x").split()
        self.assertEqual(as_other(), ["done", "EACCES"])
        self.assertEqual(self.huge(), (0, PAGE))
        os.chmod(self.mnt / "x", 0o600)
        self.assertEqual(as_other(), ["EACCES", "EACCES"])

    def test_many_at_once_are_all_answered(self):
        names = [f"s{i}" for i in range(8)]
        for name in names:
            self.sparse(4 * HUGE, range(0, 4 * 512, 100), name)
        threads = [threading.Thread(target=self.ask, args=(b"1", name)) for name in names for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            self.assertEqual(self.huge(name), (4 * HUGE, 4 * HUGE))

    def test_a_directory_has_none(self):
        with self.assertErrno(errno.ENODATA):
            os.getxattr(self.mnt, "user.shm.huge")


class Placement(HugeTest):
    wants_huge_pages = False

    def setUp(self):
        super().setUp()
        (self.mnt / "x").touch()
        try:
            self.get()
        except OSError as error:
            self.assertEqual(error.errno, errno.EOPNOTSUPP)
            with self.assertErrno(errno.EOPNOTSUPP):
                self.set("local")
            self.skipTest("built without libnuma, or a kernel without NUMA")

    def get(self):
        return os.getxattr(self.mnt / "x", "user.shm.numa").decode()

    def set(self, value):
        os.setxattr(self.mnt / "x", "user.shm.numa", value.encode())

    def test_what_is_set_holds_for_who_maps_it_by_either_path(self):
        self.assertEqual(self.get(), "default")
        for value, shown in (("bind 0", "bind:0"), ("interleave", "interleave:"), ("local", "local"), ("default", "default")):
            self.set(value)
            self.assertEqual(self.get(), value)
            os.truncate(self.mnt / "x", PAGE)
            for path in (self.mnt, self.store):
                with open(path / "x", "r+b") as file, mmap.mmap(file.fileno(), PAGE) as mapped:
                    mapped[0] = 1
                    with open("/proc/self/numa_maps") as maps:
                        line = next(line for line in maps if f"{self.directory}/" in line)
                    self.assertTrue(line.split()[1].startswith(shown), line)

    def test_it_survives_the_daemon(self):
        self.set("bind 0")
        self.restart()
        self.assertEqual(self.get(), "bind 0")

    def test_nodes_that_are_not_there_are_einval(self):
        for value in ("", "bind", "bind 1000", "interleave 1000", "everywhere"):
            with self.assertErrno(errno.EINVAL):
                self.set(value)
        self.assertEqual(self.get(), "default")

    def test_who_may_not_write_may_not_set(self):
        os.chmod(self.store / "x", 0o644)
        code = "import os, sys; os.setxattr(sys.argv[1], 'user.shm.numa', b'local')"
        with self.assertRaisesRegex(AssertionError, "Permission denied"):
            run("setpriv", "--reuid=1234", "--clear-groups", PYTHON, "-c", code, self.mnt / "x")
        self.assertNotIn("user.shm.numa", os.listxattr(self.mnt / "x"))


class Options(unittest.TestCase):
    def test_what_is_none_is_refused(self):
        from harness import SEGFS

        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run([SEGFS, "-f", "-o", "huge=perhaps", "/dev/shm", directory], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("auto, never or always", done.stderr)


if __name__ == "__main__":
    main()
