"""Programs with the control page of a segment, by C: control_peer.c."""

import contextlib
import os
import shutil
import subprocess

from harness import eventually

CONTROL_PEER = os.environ.get("CONTROL_PEER", "control-peer")


class Peer:
    """One of them. It ends with the test at the latest."""

    def __init__(self, test, path, *mode, **options):
        program = test.directory / "control-peer"  # where it was built may be out of a stranger's reach
        if not program.exists():
            shutil.copy(CONTROL_PEER, program)
        self.process = subprocess.Popen([program, path, *mode], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        self.pid = self.process.pid
        test.addCleanup(self.end)
        self.opened = int(self.process.stdout.readline())

    def begin(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def result(self):
        return int(self.process.stdout.readline())

    def do(self, *words):
        self.begin(*words)
        return self.result()

    def is_asleep(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "S"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


def sleeps(peer):
    return eventually(peer.is_asleep, what="the sleep")
