"""An ordinary user tries to lead the daemon astray, at full speed: races.c. RACES_SECONDS: how long, 5 unless told otherwise."""

import os
import re
import subprocess

from harness import MountTest, main, unmount


class Races(MountTest):
    def setUp(self):
        super().setUp()
        self.daemon.expect("was opened as it was about to be removed")

    def test_nothing_of_others_is_opened_changed_or_shown(self):
        outside = self.directory / "outside"
        outside.mkdir(mode=0o755)
        self.addCleanup(unmount, self.store / "over")
        done = subprocess.run([os.environ["RACES"], self.store, self.mnt, outside, os.environ.get("RACES_SECONDS", "5")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout, end="")
        self.assertEqual(done.returncode, 0, done.stdout)
        for what, tried, succeeded in re.findall(r"^(.*): (\d+), of which (\d+) succeeded$", done.stdout, re.MULTILINE):
            self.assertGreater(int(succeeded), 0, f"{what}: none was a race")


if __name__ == "__main__":
    main()
