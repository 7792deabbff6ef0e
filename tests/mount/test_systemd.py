"""The unit under systemd itself, which is the first process of a container of this machine's own files: it starts, answers, goes on with a
new worker, is started again when it was killed or hangs, and ends."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import PYTHON, SEGFS, eventually, is_mountpoint, main

UNIT = "segfs@mnt-shm.service"
SOURCE = pathlib.Path(__file__).parents[2]
MNT, STORE = pathlib.Path("/mnt/shm"), pathlib.Path("/dev/shm")
HANGS_S = 2  # WatchdogSec= of the test, not to wait for half a minute

# In a mount namespace of its own, without the mounts of the tests beside it, which would not end as long as there is a copy of them. What
# nspawn's own filter of system calls keeps from a container is let through.
BOOT = r"""
umount -l -a -t fuse.segfs
mount --bind / "$1/root" && exec systemd-nspawn --quiet --register=no --keep-unit --directory="$1/root" --volatile=overlay \
	--capability=all --system-call-filter="open_by_handle_at name_to_handle_at fanotify_init fanotify_mark" --bind=/dev/fuse \
	--bind="$1" --bind-ro="$2" --bind-ro="$3" --bind-ro="$1/segfs@.service:/etc/systemd/system/segfs@.service" \
	--bind-ro="$1/guest.service:/etc/systemd/system/guest.service" --setenv=SEGFS="$SEGFS" --boot systemd.unit=guest.service
"""

GUEST = f"""
[Unit]
Description=The tests of test_systemd.py
[Service]
Type=oneshot
Environment=PYTHONDONTWRITEBYTECODE=1
ExecStart={PYTHON} {__file__} guest
StandardOutput=append:%s/result
StandardError=inherit
ExecStopPost=systemctl --no-block start poweroff.target
"""


class Host(unittest.TestCase):
    """Makes the container and takes what the tests in it say for its own."""

    def setUp(self):
        if not shutil.which("systemd-nspawn"):
            self.skipTest("there is no systemd-nspawn")
        if os.environ["SANITIZE"] != "none":
            self.skipTest("the unit forbids what a sanitizer needs")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-test."))
        self.addCleanup(shutil.rmtree, self.directory)
        (self.directory / "root").mkdir()
        unit = (SOURCE / "mount-scripts/segfs@.service.in").read_text().replace("@sbindir@", os.path.dirname(SEGFS))
        (self.directory / "segfs@.service").write_text(re.sub(r"(?m)^WatchdogSec=.*", f"WatchdogSec={HANGS_S}", unit))
        (self.directory / "guest.service").write_text(GUEST % self.directory)

    def test_unit(self):
        build = pathlib.Path(SEGFS).parents[1]
        container = ("unshare", "--mount", "--propagation", "private", "sh", "-c", BOOT, "sh", self.directory, build, SOURCE)
        done = subprocess.run(container, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        result = self.directory / "result"
        if not result.exists():
            self.skipTest(f"systemd cannot be started in a container here: {done.stdout.strip().splitlines()[-1:]}")
        told = result.read_text()
        self.assertTrue(told.endswith("\nOK\n"), told)


def systemctl(*words):
    return subprocess.run(("systemctl", *words), stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def shown(what):
    return systemctl("show", "-p", what, "--value", UNIT)


def workers():
    """Of the unit's supervisor."""
    pid = shown("MainPID")
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


class Guest(unittest.TestCase):
    """In the container. The unit is started for each test, and has ended well after it."""

    def setUp(self):
        systemctl("start", UNIT)
        self.assertTrue(is_mountpoint(MNT), "started is what answers")
        self.n_restarts = int(shown("NRestarts"))
        (MNT / "x").write_bytes(bytes(8))

    def tearDown(self):
        systemctl("stop", UNIT)
        self.assertFalse(is_mountpoint(MNT))
        self.assertEqual(shown("Result"), "success")
        self.assertTrue((STORE / "x").exists())

    def started_again(self):
        """All as before: the segment is there, and nothing has to be cleared away by hand."""
        eventually(lambda: int(shown("NRestarts")) > self.n_restarts and shown("ActiveState") == "active", 30, "the restart")
        self.assertEqual((MNT / "x").read_bytes(), bytes(8))

    def test_answers(self):
        os.setxattr(MNT / "x", "user.shm.dtype", b"<f8")
        os.setxattr(MNT / "x", "user.shm.shape", b"1")
        subprocess.run(["setfacl", "-m", "u:1:r", MNT / "x"], check=True)
        self.assertEqual(os.getxattr(MNT / "x", "user.shm.kind"), b"array")
        acl = subprocess.run(["getfacl", "-np", MNT / "x"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn("\nuser:1:r--\n", acl)
        log = subprocess.run(["journalctl", "--no-pager", "-o", "cat", "-u", UNIT, "-t", "segfs"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertRegex(log, r"^segfs: /dev/shm mounted on /mnt/shm\n")
        self.assertNotRegex(log, "warning|error|libcap-ng")

    def test_is_looked_after(self):
        """For longer than systemd waits for a sign of life."""
        pid = shown("MainPID")
        before = int(shown("WatchdogTimestampMonotonic"))
        eventually(lambda: int(shown("WatchdogTimestampMonotonic")) > before + 2 * HANGS_S * 1_000_000, 20, "a sign of life")
        self.assertEqual(shown("MainPID"), pid)

    def test_reload(self):
        supervisor, before = shown("MainPID"), workers()
        systemctl("reload", UNIT)
        eventually(lambda: len(workers()) == 1 and workers() != before, what="another worker")
        self.assertEqual(((MNT / "x").read_bytes(), shown("MainPID")), (bytes(8), supervisor))

    def test_killed(self):
        os.kill(int(shown("MainPID")), signal.SIGKILL)
        self.started_again()

    def test_hangs(self):
        os.kill(int(shown("MainPID")), signal.SIGSTOP)
        self.started_again()


if __name__ == "__main__":
    if sys.argv[1:] == ["guest"]:
        unittest.main(argv=sys.argv[:1], defaultTest="Guest", verbosity=2)
    del Guest
    main()
