"""What -o reserve and -o names=portable make of new segments."""

import errno
import os
import re
import signal

from harness import PYTHON, MountTest, main, run


# Makes, touches and removes segments in a store that is too small for them all; prints how often it was refused one.
SCRAMBLE = """
import errno, mmap, os, random, sys
random.seed(sys.argv[2])
refused = 0
for i in range(60):
    path = f"{sys.argv[1]}/s{sys.argv[2]}_{i % 3}"
    with open(path, "w+b") as file:
        try:
            os.ftruncate(file.fileno(), random.randrange(1, 4096) * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            refused += 1
            continue
        with mmap.mmap(file.fileno(), 0) as pages:
            for at in range(0, len(pages), 4096):
                pages[at] = 1
print(refused, flush=True)
"""


class NoReserve(MountTest):
    """The contrast, as the README tells it: without the option the toucher pays."""

    store_options = "mode=1777,size=64m"

    def test_in_a_full_store_whoever_touches_is_ended(self):
        processes = [self.start(SCRAMBLE, self.mnt, seed) for seed in range(8)]
        for process in processes:
            process.communicate()
        self.assertIn(-signal.SIGBUS, [process.returncode for process in processes])


class Reserve(MountTest):
    options = ("-o", "reserve")
    store_options = "mode=1777,size=64m"

    def test_growth_brings_its_pages(self):
        with open(self.mnt / "x", "wb") as file:
            os.ftruncate(file.fileno(), 1 << 20)
            self.assertEqual(os.fstat(file.fileno()).st_blocks * 512, 1 << 20)
        os.truncate(self.mnt / "x", 3 << 20)
        self.assertEqual((self.store / "x").stat().st_blocks * 512, 3 << 20)

    def test_what_does_not_fit_is_enospc_at_the_call(self):
        with open(self.mnt / "x", "w+b") as file:
            os.ftruncate(file.fileno(), 40 << 20)
            for grow in (lambda: os.ftruncate(file.fileno(), 80 << 20), lambda: os.truncate(self.mnt / "x", 80 << 20)):
                with self.assertErrno(errno.ENOSPC):
                    grow()
                self.assertEqual((self.store / "x").stat().st_size, 40 << 20)
                self.assertEqual((self.store / "x").stat().st_blocks * 512, 40 << 20)

    def test_nobody_gets_a_sigbus(self):
        """Whatever could be given a size can be touched to its end."""
        made = []
        for i in range(100):
            path = self.mnt / f"x{i}"
            with open(path, "w+b") as file:
                try:
                    os.ftruncate(file.fileno(), 5 << 20)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
                    break
            made.append(path)
        self.assertGreater(len(made), 10)
        toucher = self.start(
            "import mmap, sys\nfor path in sys.argv[1:]:\n    f = open(path, 'r+b'); m = mmap.mmap(f.fileno(), 0)\n"
            "    for i in range(0, len(m), 4096): m[i] = 1\nprint('touched', flush=True)", *made)
        self.assertEqual(toucher.stdout.readline(), "touched\n")

    def test_only_growth_is_reserved(self):
        """A hole that was there before stays one."""
        with open(self.store / "x", "w+b") as file:
            file.truncate(1 << 20)
        os.truncate(self.mnt / "x", 2 << 20)
        self.assertEqual((self.mnt / "x").stat().st_blocks * 512, 1 << 20)

    def test_eight_processes_at_once_in_a_full_store(self):
        """Each takes what it gets and touches all of it; what does not fit is an error of the call, and nobody's end."""
        processes = [self.start(SCRAMBLE, self.mnt, seed) for seed in range(8)]
        refused = [int(process.communicate()[0]) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0] * 8)
        self.assertGreater(sum(refused), 0)

    def test_shrinking_gives_back(self):
        free = os.statvfs(self.store).f_bfree
        path = self.mnt / "x"
        path.touch()
        os.truncate(path, 8 << 20)
        os.truncate(path, 0)
        self.assertEqual(os.statvfs(self.store).f_bfree, free)

    def test_a_stranger_cannot_grow_it(self):
        path = self.mnt / "x"
        path.touch()
        path.chmod(0o644)
        process = self.start("import os, sys\nos.setgroups([]); os.setgid(20001); os.setuid(20001)\ntry: os.truncate(sys.argv[1], 4096)\nexcept OSError as e: print(e.errno, flush=True)", path)
        self.assertEqual(process.stdout.readline(), f"{errno.EACCES}\n")


class PortableNames(MountTest):
    options = ("-o", "names=portable")

    def test_portable_names_are_accepted(self):
        for name in ("a", "camera_1", "A" * 30):
            (self.mnt / name).write_bytes(b"")
            os.rename(self.mnt / name, self.mnt / "other")
            os.link(self.mnt / "other", self.mnt / name)
            os.unlink(self.mnt / "other")

    def test_other_names_are_einval(self):
        (self.mnt / "x").write_bytes(b"")
        for name in ("a.npy", "a b", "A" * 31, "ä", "a-b"):
            with self.subTest(name=name):
                with self.assertErrno(errno.EINVAL):
                    (self.mnt / name).write_bytes(b"")
                with self.assertErrno(errno.EINVAL):
                    os.mknod(self.mnt / name)
                with self.assertErrno(errno.EINVAL):
                    os.rename(self.mnt / "x", self.mnt / name)
                with self.assertErrno(errno.EINVAL):
                    os.link(self.mnt / "x", self.mnt / name)
        self.assertEqual(os.listdir(self.mnt), ["x"])

    def test_the_rule_letter_by_letter(self):
        """Every character alone, every length; what is accepted fits macOS (31 with its slash) and names a mapping on Windows."""
        portable = re.compile("[A-Za-z0-9_]{1,30}")
        names = [chr(code) for code in range(1, 0x180) if chr(code) not in "./"] + ["_" * n for n in range(1, 40)] + ["CON", "nul", "a\\b", "Local\\x", "a:b"]
        for name in names:
            path = self.mnt / name
            if portable.fullmatch(name):
                path.touch()
                self.assertLessEqual(len("/" + name), 31)
                self.assertNotIn("\\", name)
                path.unlink()
            else:
                with self.assertErrno(errno.EINVAL, errno.ENAMETOOLONG):
                    path.touch()

    def test_python_s_shared_memory_gets_the_same_answers(self):
        """The mount takes the place of /dev/shm, for one program."""
        code = """
import errno
from multiprocessing.shared_memory import SharedMemory
for name, expected in (("frames_1", 0), ("A" * 30, 0), ("A" * 31, errno.EINVAL), ("frames.1", errno.EINVAL), ("a b", errno.EINVAL)):
    try:
        made = SharedMemory(name, create=True, size=4096)
    except OSError as error:
        assert error.errno == expected, (name, error)
    else:
        assert expected == 0, name
        made.buf[0] = 7
        other = SharedMemory(name)
        assert other.buf[0] == 7
        other.close()
        made.close()
        made.unlink()
made = SharedMemory(create=True, size=4096)  # the names it makes by itself
made.close()
made.unlink()
"""
        run("unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$1" /dev/shm && exec "$2" -c "$3"', "sh", self.mnt, PYTHON, code)

    def test_directories_and_links_are_no_segments(self):
        os.mkdir(self.mnt / "a directory.d")
        os.symlink("x", self.mnt / "a link")
        os.rename(self.mnt / "a directory.d", self.mnt / "b.d")

    def test_what_is_there_already_can_be_used(self):
        (self.store / "old.npy").write_bytes(b"there")
        self.assertEqual((self.mnt / "old.npy").read_bytes(), b"there")
        os.rename(self.mnt / "old.npy", self.mnt / "new")


if __name__ == "__main__":
    main()
