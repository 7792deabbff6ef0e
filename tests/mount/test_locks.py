"""user.shm.lock and user.shm.attached: who holds a segment, by which kind of lock, and who uses it, by either path."""

import os
import re
import subprocess

from harness import PYTHON, MountTest, eventually, main, run

FCNTL = """
import fcntl, os, struct, sys
path, kind, exclusive, start, length = sys.argv[1], sys.argv[2], sys.argv[3] == 'x', int(sys.argv[4]), int(sys.argv[5])
f = open(path, 'r+b')
if kind == 'flock':
    fcntl.flock(f, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
else:
    lock = struct.pack('hhqqi4x', fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, os.SEEK_SET, start, length, 0)
    fcntl.fcntl(f, 38 if kind == 'ofd' else fcntl.F_SETLKW, lock)  # 38: F_OFD_SETLKW
print('locked', flush=True)
sys.stdin.read()
"""

ATTACH = """
import mmap, os, sys
f = open(sys.argv[1], sys.argv[2])
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
f.close()
os.close(os.open('/dev/null', os.O_RDONLY))
print('mapped', flush=True)
sys.stdin.read()
"""


class Locks(MountTest):
    def setUp(self):
        super().setUp()
        self.path = self.mnt / "x"
        self.path.write_bytes(bytes(8192))

    def lock(self):
        return os.getxattr(self.path, "user.shm.lock").decode()

    def attached(self):
        return [int(pid) for pid in os.getxattr(self.path, "user.shm.attached").decode().split(",") if pid]

    def hold(self, kind, mode="x", start=0, length=0, path=None, wait=True):
        process = self.start(FCNTL, path or self.path, kind, mode, start, length)
        if wait:
            self.assertEqual(process.stdout.readline(), "locked\n")
        return process

    def test_flock_command_is_named(self):
        process = subprocess.Popen(["flock", self.path, "sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        eventually(lambda: self.lock() == f"exclusive pid {process.pid} (flock)")
        subprocess.run(["pkill", "-P", str(process.pid)], check=True)

    def test_child_that_inherited_a_flock_is_named(self):
        """The one who locked has ended; whoever has the open file now holds the lock."""
        process = self.start("import fcntl, os, sys\nf = open(sys.argv[1])\nos.set_inheritable(f.fileno(), True)\nfcntl.flock(f, fcntl.LOCK_EX)\npid = os.fork()\nif pid:\n    print(pid, flush=True)\n    os._exit(0)\nsys.stdin.read()", self.path)
        child = int(process.stdout.readline())
        eventually(lambda: self.lock() == f"exclusive pid {child} (flock)")

    def test_each_kind_names_its_holder(self):
        for kind in ("flock", "fcntl", "ofd"):
            with self.subTest(kind=kind):
                process = self.hold(kind)
                self.assertEqual(self.lock(), f"exclusive pid {process.pid} ({kind})")
                process.stdin.close()
                process.wait()
                self.assertEqual(self.lock(), "unlocked")

    def test_shared_holders_are_all_named(self):
        for kind in ("flock", "fcntl", "ofd"):
            with self.subTest(kind=kind):
                holders = [self.hold(kind, "s") for _ in range(3)]
                pids = ",".join(str(pid) for pid in sorted(process.pid for process in holders))
                self.assertEqual(self.lock(), f"shared pid {pids} ({kind})")
                for process in holders:
                    process.stdin.close()
                    process.wait()

    def test_waiters_are_counted(self):
        for kind in ("flock", "fcntl", "ofd"):
            with self.subTest(kind=kind):
                holder = self.hold(kind)
                waiters = [self.hold(kind, wait=False) for _ in range(2)]
                eventually(lambda: self.lock() == f"exclusive pid {holder.pid} ({kind}), 2 waiting")
                for process in [holder, *waiters]:
                    process.kill()
                    process.wait()
                eventually(lambda: self.lock() == "unlocked")

    def test_lock_of_a_part_counts_once(self):
        process = self.start("import fcntl, struct, sys, os\nf = open(sys.argv[1], 'r+b')\nfor i in range(0, 100, 10):\n    fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, i, 5, 0))\nprint('locked', flush=True)\nsys.stdin.read()", self.path)
        process.stdout.readline()
        self.assertEqual(self.lock(), f"exclusive pid {process.pid} (fcntl)")

    def test_two_kinds_at_once(self):
        first, second = self.hold("flock"), self.hold("ofd", "s")
        self.assertEqual(self.lock(), f"exclusive pid {first.pid} (flock); shared pid {second.pid} (ofd)")

    def test_lock_taken_in_the_store_shows(self):
        process = self.hold("flock", path=self.store / "x")
        self.assertEqual(self.lock(), f"exclusive pid {process.pid} (flock)")

    def test_a_lock_of_another_segment_does_not_show(self):
        (self.mnt / "y").write_bytes(b"y")
        self.hold("flock", path=self.mnt / "y")
        self.assertEqual(self.lock(), "unlocked")

    def test_getfattr_shows_the_lock(self):
        process = self.hold("flock")
        self.assertIn(f'user.shm.lock="exclusive pid {process.pid} (flock)"', run("getfattr", "-d", "--absolute-names", self.path))

    def test_attached_by_mapping_alone_and_by_the_store(self):
        with open(self.path, "r+b") as file:
            file.truncate(1 << 30)
        by_mount = self.start(ATTACH, self.path, "rb")
        by_store = self.start(ATTACH, self.store / "x", "r+b")
        by_mount.stdout.readline(), by_store.stdout.readline()
        self.assertEqual(self.attached(), sorted([by_mount.pid, by_store.pid]))
        by_mount.stdin.close()
        by_mount.wait()
        self.assertEqual(self.attached(), [by_store.pid])

    def test_attached_by_descriptor(self):
        self.assertEqual(self.attached(), [])
        with open(self.path):
            self.assertEqual(self.attached(), [os.getpid()])
        self.assertEqual(self.attached(), [])

    def test_attached_after_unlink_by_descriptor(self):
        with open(self.path) as file:
            self.path.unlink()
            self.assertEqual(os.getxattr(file.fileno(), "user.shm.attached").decode(), str(os.getpid()))

    def test_many_who_ask_hold_up_nobody(self):
        """The slow attributes have a thread of their own: names and opens go on while hundreds wait for it."""
        askers = [self.start("import os, sys\nprint('go', flush=True)\nwhile True: os.getxattr(sys.argv[1], 'user.shm.attached')", self.path) for _ in range(8)]
        for process in askers:
            process.stdout.readline()
        for i in range(50):
            (self.mnt / f"n{i}").write_bytes(b"")
            (self.mnt / f"n{i}").unlink()
        self.assertTrue(all(process.poll() is None for process in askers))


if __name__ == "__main__":
    main()
