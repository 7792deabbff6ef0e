"""What the daemon has given up: capabilities, new privileges, system calls; in each of its threads."""

import os
import pathlib
import signal
import unittest

from harness import MountTest, eventually, main

# By number in <linux/capability.h>: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SETGID, SETUID, SYS_PTRACE, SYS_ADMIN, MKNOD, LEASE, SETFCAP.
NEEDED = {0, 1, 2, 3, 4, 6, 7, 19, 21, 27, 28, 31}
FOR_WORKERS = {8}  # SETPCAP, of the supervisor


def words(mask):
    return {i for i in range(64) if int(mask, 16) >> i & 1}


@unittest.skipIf(os.environ.get("SANITIZE") == "thread", "ThreadSanitizer has a thread of its own, from before the daemon begins")
class Confine(MountTest):
    def statuses(self, *pids):
        """Of each thread of the supervisor and of the worker, or of these processes."""
        for pid in pids or (self.daemon.process.pid, self.daemon.worker()):
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)

    @unittest.skipUnless(os.environ.get("CAPABILITIES") == "1", "built without libcap-ng")
    def test_each_thread_has_few_capabilities_and_gains_none(self):
        self.assert_capabilities(self.daemon.worker(), NEEDED, set())
        self.assert_capabilities(self.daemon.process.pid, NEEDED | FOR_WORKERS, NEEDED | FOR_WORKERS)

    def assert_capabilities(self, pid, permitted, bounds):
        for status in self.statuses(pid):
            self.assertLessEqual(words(status["CapPrm"]), permitted)
            self.assertLessEqual(words(status["CapEff"]), permitted)
            self.assertLessEqual(words(status["CapBnd"]), bounds)
            self.assertEqual(words(status["CapInh"]) | words(status["CapAmb"]), set())

    def test_no_thread_gains_privileges(self):
        self.assertEqual({status["NoNewPrivs"].strip() for status in self.statuses()}, {"1"})

    @unittest.skipUnless(os.environ.get("SECCOMP") == "1", "built without libseccomp, or with a sanitizer")
    def test_each_thread_is_under_the_filter(self):
        self.assertEqual({status["Seccomp"].strip() for status in self.statuses(self.daemon.worker())}, {"2"})

    def test_the_next_worker_is_as_confined(self):
        self.daemon.expect("the worker ended ")
        first = self.daemon.worker()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: "another (pid " in self.daemon.log(), what="another worker")
        self.test_each_thread_has_few_capabilities_and_gains_none()
        self.test_no_thread_gains_privileges()
        self.test_root_still_may_what_root_may()

    def test_root_still_may_what_root_may(self):
        """Each of these needs a capability that was kept."""
        path = self.mnt / "x"
        path.write_bytes(b"x")
        os.chown(path, 20001, 20001)
        os.chmod(path, 0o2711)
        self.assertEqual(path.stat().st_mode & 0o7777, 0o2711)
        self.assertEqual(path.read_bytes(), b"x")
        os.setxattr(path, "trusted.x", b"1")
        os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        os.setxattr(path, "user.shm.dtype", b"|u1")
        os.mknod(self.mnt / "null", 0o020666, os.makedev(1, 3))
        os.setxattr(path, "user.shm.lifetime", b"ttl 1")
        eventually(lambda: not path.exists(), what="the removal")

    def test_who_is_attached_is_seen_across_users(self):
        path = self.mnt / "x"
        path.write_bytes(b"x")
        os.chmod(path, 0o666)
        user = self.start("import os, sys\nos.setgroups([]); os.setgid(20001); os.setuid(20001)\n"
                          "file = open(sys.argv[1], 'r+')\nprint('open', flush=True)\nsys.stdin.readline()", path)
        user.stdout.readline()
        self.assertEqual(os.getxattr(path, "user.shm.attached"), str(user.pid).encode())


if __name__ == "__main__":
    main()
