"""An ordinary user tries to lead the daemon astray, at full speed: races.c. RACES_SECONDS: how long, 5 unless told otherwise."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import Daemon, hung, main, run, unmount


class Races(unittest.TestCase):
    """The store is a part of its tmpfs. What is outside has handles like the rest: only the daemon's care keeps it out."""

    def setUp(self):
        signal.signal(signal.SIGALRM, hung)
        signal.alarm(600)
        self.addCleanup(signal.alarm, 0)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-test."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.directory.chmod(0o755)
        tmpfs, self.mnt = self.directory / "tmpfs", self.directory / "mnt"
        tmpfs.mkdir()
        self.mnt.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=1g", "tmpfs", tmpfs)
        self.addCleanup(unmount, tmpfs)
        self.store, self.outside = tmpfs / "store", tmpfs / "outside"
        self.store.mkdir()
        self.store.chmod(0o1777)
        self.outside.mkdir(mode=0o755)
        self.addCleanup(unmount, self.store / "over")
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        self.daemon.expect("was opened as it was about to be removed")
        self.daemon.expect("inotify queue overflow")

    def test_nothing_of_others_is_opened_changed_or_shown(self):
        self.race(os.environ.get("RACES_SECONDS", "5"))

    def test_nor_where_anybody_may_link_to_anything(self):
        """fs.protected_hardlinks of the kernel is not what keeps it so."""
        sysctl = pathlib.Path("/proc/sys/fs/protected_hardlinks")
        before = sysctl.read_text()
        if not os.access(sysctl, os.W_OK):
            self.skipTest("cannot be set here")
        self.addCleanup(sysctl.write_text, before)
        sysctl.write_text("0")
        self.race(os.environ.get("RACES_SECONDS", "3"))

    def race(self, seconds):
        done = subprocess.run([os.environ["RACES"], self.store, self.mnt, self.outside, seconds],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout, end="")
        print("removed by the daemon:", self.daemon.log().count("removed "))
        self.assertEqual(done.returncode, 0, done.stdout)
        for what, tried, succeeded in re.findall(r"^(.*): (\d+), of which (\d+) succeeded$", done.stdout, re.MULTILINE):
            self.assertGreater(int(succeeded), 0, f"{what}: none was a race")


if __name__ == "__main__":
    main()
