"""Sealing, and refusal to shrink what others have mapped: no reader is killed by what happens through the mount."""

import errno
import mmap
import os
import select
import subprocess
import time

from harness import Daemon, MountTest, PYTHON, eventually, main, run

MAPPED = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
mapped = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
if sys.argv[2] == "closed":
    os.close(fd)
print("mapped", flush=True)
for line in sys.stdin:
    print(bytes(mapped[:1] + mapped[-1:]), flush=True)
"""


def open_and_close(path, flags):
    os.close(os.open(path, flags))


class SizeTest(MountTest):
    def segment(self, size=1 << 16, name="x"):
        path = self.mnt / name
        path.write_bytes(b"\x07" * size)
        return path

    def reader(self, path, fd="open"):
        """A process that has mapped a segment; ask() it for the first and the last byte."""
        process = self.start(MAPPED, path, fd)
        self.assertEqual(process.stdout.readline(), "mapped\n")
        return process

    def ask(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "b'\\x07\\x07'\n")

    def restart(self):
        self.daemon.expect("what is mapped stays mapped")
        self.daemon.process.terminate()
        self.daemon.process.wait(20)
        self.daemon = Daemon(self.store, self.mnt, *self.options)
        self.addCleanup(self.daemon.stop)


class Shrinking(SizeTest):
    def attempts(self, path):
        """Every way there is to make a file smaller."""
        yield lambda: os.truncate(path, 1)
        yield lambda: os.truncate(path, 0)
        yield lambda: open_and_close(path, os.O_WRONLY | os.O_TRUNC)
        yield lambda: open_and_close(path, os.O_RDONLY | os.O_TRUNC)
        yield lambda: open_and_close(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        with open(path, "r+b") as file:
            yield lambda: file.truncate(4096)

    def check_refused(self, path, reader):
        for attempt in self.attempts(path):
            with self.assertErrno(errno.ETXTBSY):
                attempt()
            self.assertEqual(path.stat().st_size, 1 << 16)
            self.ask(reader)

    def test_what_others_have_mapped_is_not_shrunk(self):
        path = self.segment()
        self.check_refused(path, self.reader(path))

    def test_a_mapping_whose_descriptor_is_closed_counts(self):
        path = self.segment()
        self.check_refused(path, self.reader(path, "closed"))

    def test_a_mapping_of_the_store_counts(self):
        path = self.segment()
        self.check_refused(path, self.reader(self.store / "x", "closed"))

    def test_a_mapping_counts_after_a_restart(self):
        path = self.segment()
        reader = self.reader(path, "closed")
        self.restart()
        self.check_refused(path, reader)

    def test_a_mapping_in_another_pid_namespace_counts(self):
        path = self.segment()
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", PYTHON, "-c", MAPPED, str(path), "closed"],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdin.close(), process.stdout.close()))
        self.assertEqual(process.stdout.readline(), "mapped\n")
        self.check_refused(path, process)

    def test_growing_is_not_refused(self):
        path = self.segment()
        reader = self.reader(path)
        os.truncate(path, 1 << 17)
        self.assertEqual(path.stat().st_size, 1 << 17)
        self.ask(reader)

    def test_the_same_size_is_not_refused(self):
        path = self.segment()
        reader = self.reader(path)
        os.truncate(path, 1 << 16)
        self.ask(reader)

    def test_open_elsewhere_but_not_mapped_is_shrunk(self):
        for other in (self.mnt / "x", self.store / "x"):
            for attempt in self.attempts(self.segment()):
                with open(other, "rb"):
                    attempt()
                    self.assertLess((self.mnt / "x").stat().st_size, 1 << 16)
                    self.segment()

    def test_one_s_own_mapping_is_one_s_own_affair(self):
        path = self.segment()
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            os.ftruncate(file.fileno(), 4096)
            self.assertEqual(mapped[4095], 7)
        self.assertEqual(path.stat().st_size, 4096)

    def test_after_the_last_mapping_has_gone_it_is_shrunk(self):
        path = self.segment()
        reader = self.reader(path, "closed")
        reader.stdin.close()
        reader.wait()
        for attempt in self.attempts(path):
            attempt()
            self.segment()

    def test_who_may_not_write_gets_that_answer(self):
        path = self.segment()
        path.chmod(0o644)
        self.reader(path)
        done = run("setpriv", "--reuid=1234", "--clear-groups", PYTHON, "-c", f"""
import os
for attempt in (lambda: os.truncate({str(path)!r}, 0), lambda: os.open({str(path)!r}, os.O_WRONLY | os.O_TRUNC)):
    try:
        attempt()
    except OSError as error:
        print(error.errno)
""")
        self.assertEqual(done.split(), [str(errno.EACCES)] * 2)

    def test_emptying_takes_the_set_user_id_bit_and_changes_the_time(self):
        path = self.segment()
        with open(path, "rb"):  # the slow way
            os.utime(path, (0, 0))
            open_and_close(path, os.O_WRONLY | os.O_TRUNC)
        self.assertGreater(path.stat().st_mtime, 1e9)
        self.assertEqual(path.stat().st_size, 0)


class ShrinkingMuch(SizeTest):
    """Six GiB in small pages: giving them back takes some tenths of a second."""

    options = ("-o", "huge=never")
    store_options = "mode=1777,size=7g,huge=never"
    SIZE = 6 << 30

    def setUp(self):
        with open("/proc/meminfo") as lines:
            available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
        if available < 2 * self.SIZE:
            self.skipTest("not enough memory")
        super().setUp()

    def test_who_opens_it_meanwhile_finds_it_smaller(self):
        path = self.mnt / "x"
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.SIZE)
        process = self.start("import os, sys\nprint('begins', flush=True)\nos.truncate(sys.argv[1], 1)\nprint('done', flush=True)", path)
        process.stdout.readline()
        eventually(lambda: (self.store / "x").stat().st_size == 1)  # begun, when nobody had it open
        n, longest = 0, 0
        while not select.select([process.stdout], [], [], 0)[0]:
            before = time.monotonic()
            with open(path, "rb+") as file:
                n += os.fstat(file.fileno()).st_size == 1
            longest = max(longest, time.monotonic() - before)
        self.assertEqual(process.stdout.readline(), "done\n")
        self.assertGreater(n, 0)
        print(f"{n} times, in {longest * 1e3:.1f} ms at most", end=" ", flush=True)


class Sealing(SizeTest):
    def seal(self, path, value=b"1"):
        os.setxattr(path, "user.shm.sealed", value)

    def check_sealed(self, path):
        self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"1")
        self.assertEqual(path.stat().st_mode & 0o777, 0o444)
        self.assertEqual((self.store / path.name).stat().st_mode & 0o777, 0o444)
        for attempt in (
            lambda: open_and_close(path, os.O_WRONLY),
            lambda: open_and_close(path, os.O_RDWR),
            lambda: open_and_close(path, os.O_RDONLY | os.O_TRUNC),
            lambda: open_and_close(path, os.O_RDWR | os.O_CREAT),
            lambda: os.truncate(path, 0),
            lambda: os.truncate(path, 1 << 16),
            lambda: os.truncate(path, 1 << 20),
            lambda: os.chmod(path, 0o644),
            lambda: os.chmod(path, 0o464),
            lambda: self.seal(path, b"0"),
            lambda: os.removexattr(path, "user.shm.sealed"),
            lambda: os.setxattr(path, "user.shm.dtype", b"<f4"),
            lambda: run("setfacl", "-m", "u:1234:rw", path),
        ):
            try:
                attempt()
            except OSError as error:
                self.assertEqual(errno.errorcode[error.errno], "EPERM")
            except AssertionError as error:
                self.assertIn("Operation not permitted", str(error))
            else:
                self.fail("a sealed segment has been changed")
        self.assertEqual(path.read_bytes(), b"\x07" * (1 << 16))

    def test_unsealed_reads_as_0_and_is_not_listed(self):
        path = self.segment()
        self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"0")
        self.seal(path, b"0")
        self.assertNotIn("user.shm.sealed", os.listxattr(path))
        self.seal(path)
        self.assertNotIn("user.shm.sealed", os.listxattr(path))

    def test_sealed_is_read_only_before_and_after_a_restart(self):
        path = self.segment()
        self.seal(path)
        self.check_sealed(path)
        self.restart()
        self.check_sealed(path)

    def test_sealing_again_changes_nothing(self):
        path = self.segment()
        self.seal(path)
        self.seal(path)
        self.check_sealed(path)

    def test_who_has_closed_it_is_no_writer(self):
        """The kernel tells of a close by a request of its own, which may be handled after the one that seals: that waits for 0.1 s."""
        code = """
import errno, os, sys, time
def seal(path):
    begun = time.monotonic()
    try:
        os.setxattr(path, "user.shm.sealed", b"1")
        return True
    except OSError as error:
        if error.errno != errno.EBUSY or time.monotonic() - begun < 0.1:
            raise
        return False
for _ in range(300):
    with open(sys.argv[1], "wb") as file:
        file.write(b"x")
    while not seal(sys.argv[1]):
        pass
    os.unlink(sys.argv[1])
print("sealed")
"""
        for process in [self.start(code, self.mnt / f"of-{i}") for i in range(4)]:
            self.assertEqual(process.stdout.readline(), "sealed\n")

    def test_readers_stay_and_come(self):
        path = self.segment()
        reader = self.reader(path)
        self.seal(path)
        self.ask(reader)
        self.ask(self.reader(path))

    def test_a_writer_is_ebusy_and_nothing_has_changed(self):
        for where in (self.mnt, self.store):
            for closed in (False, True):
                path = self.segment()
                fd = os.open(where / "x", os.O_RDWR)
                mapped = mmap.mmap(fd, 0)
                if closed:
                    os.close(fd)
                with self.assertErrno(errno.EBUSY):
                    self.seal(path)
                self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"0")
                self.assertEqual(path.stat().st_mode & 0o777, 0o644)
                with open(path, "r+b"):
                    pass
                mapped.close()
                if not closed:
                    os.close(fd)
                eventually(lambda: self.unused(path))
        self.seal(path)
        self.check_sealed(path)

    def unused(self, path):
        return os.getxattr(path, "user.shm.attached") == b""

    def test_a_writer_of_before_a_restart_is_ebusy(self):
        path = self.segment()
        with open(path, "r+b"):
            self.restart()
            with self.assertErrno(errno.EBUSY):
                self.seal(path)
        self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"0")

    def test_only_the_owner_seals(self):
        path = self.segment()
        path.chmod(0o666)
        code = f"import os; os.setxattr({str(path)!r}, 'user.shm.sealed', b'1')"
        with self.assertRaisesRegex(AssertionError, "Operation not permitted"):
            run("setpriv", "--reuid=1234", "--clear-groups", PYTHON, "-c", code)
        os.chown(path, 1234, 1234)
        run("setpriv", "--reuid=1234", "--clear-groups", PYTHON, "-c", code)
        self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"1")

    def test_nonsense_is_einval(self):
        path = self.segment()
        for value in (b"", b"yes", b"11", b"2"):
            with self.assertErrno(errno.EINVAL):
                self.seal(path, value)

    def test_behind_the_mount_nobody_seals(self):
        path = self.segment()
        os.setxattr(self.store / "x", "user.shm.sealed", b"1")
        self.assertEqual(os.getxattr(path, "user.shm.sealed"), b"0")
        path.write_bytes(b"y")

    def test_sealed_can_be_renamed_and_removed_and_a_copy_is_not_sealed(self):
        path = self.segment()
        self.seal(path)
        run("cp", "-a", path, self.mnt / "copy")
        self.assertEqual(os.getxattr(self.mnt / "copy", "user.shm.sealed"), b"0")
        path.rename(self.mnt / "y")
        self.assertEqual(os.getxattr(self.mnt / "y", "user.shm.sealed"), b"1")
        (self.mnt / "y").unlink()


if __name__ == "__main__":
    main()
