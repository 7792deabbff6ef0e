"""soak.py MINUTES: the clients of load.py and tests/mount/endure at once, and what becomes of the daemon meanwhile. tests/soak/run starts it."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from load import PARTS
from trend import grows, medians

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "mount"))
from harness import PYTHON, Daemon, eventually, run, unmount  # noqa: E402

ENDURE = os.environ["ENDURE"]
HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = 8  # of endure

# By how much the median may go up, and whether it is to be what it was at first when all is over.
FLOORS = {
    "heap KiB": (256, False), "ledger KiB": (128, False), "PSS KiB": (512, False),
    "descriptors": (1, True), "threads": (1, True), "inotify": (1, True), "fanotify": (1, True),
    "nodes": (16, False), "wards": (1, True), "event files": (1, True),
    "store KiB": (4096, True), "inodes": (16, False),
}


def read(path):
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(path).read_text()
    return ""


def number(pattern, text):
    return sum(map(int, re.findall(pattern, text, re.MULTILINE)))


def of_process(pid):
    """Memory, descriptors and threads of a process, and what it watches."""
    rollup, maps = read(f"/proc/{pid}/smaps_rollup"), read(f"/proc/{pid}/smaps")
    watched = "".join(read(entry.path) for entry in os.scandir(f"/proc/{pid}/fdinfo"))
    return {
        "heap KiB": number(r"^Anonymous: +(\d+)", rollup),
        "ledger KiB": number(r"/memfd:segfs-ledger(?:.*\n)(?:[A-Z]\w+: .*\n)*?Rss: +(\d+)", maps),
        "PSS KiB": number(r"^Pss: +(\d+)", rollup),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "inotify": watched.count("inotify wd:"),
        "fanotify": watched.count("fanotify ino:"),
    }


def opened(pid):
    """What a process has open, by descriptor."""
    with contextlib.suppress(FileNotFoundError):
        return {fd.name: os.readlink(fd.path) for fd in os.scandir(f"/proc/{pid}/fd")}
    return {}


def status(mnt):
    return dict(line.split(":\t") for line in (mnt / ".segfs/status").read_text().splitlines())


def of_mount(mnt, store):
    """What the daemon knows, and what the store holds: a backing id that is not let go of keeps a removed file there."""
    known, space = status(mnt), os.statvfs(store)
    return {
        "nodes": int(known["Nodes"]), "wards": int(known["Wards"]), "event files": int(known["EventFiles"]),
        "store KiB": (space.f_blocks - space.f_bfree) * space.f_frsize // 1024, "inodes": space.f_files - space.f_ffree,
    }


class Soak:
    def __init__(self, directory):
        self.store, self.mnt = directory / "store", directory / "mnt"
        self.clients = {}
        self.samples = []

    def sample(self):
        """By (process or mount, quantity)."""
        parts = {"supervisor": of_process(self.daemon.process.pid), "worker": of_process(self.daemon.worker()), "mount": of_mount(self.mnt, self.store)}
        return {(of, what): value for of, values in parts.items() for what, value in values.items()}

    def start(self, name, *command):
        self.clients[name] = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                              stderr=subprocess.PIPE, text=True, start_new_session=True)

    def start_all(self):
        place = self.mnt / "endure"
        place.mkdir()
        self.start("endure", ENDURE, place, self.store / "endure", CLIENTS)
        for part in PARTS:
            self.start(part, PYTHON, HERE / "load.py", part, self.mnt, self.store)

    def check_all_are_well(self):
        for name, client in self.clients.items():
            if client.poll() is not None:
                raise AssertionError(f"{name} has ended: exit {client.returncode}\n{client.communicate()[1]}")

    def end_all(self):
        for client in self.clients.values():
            client.stdin.close()
            client.stdin = None
        for name, client in self.clients.items():
            out, err = client.communicate(timeout=300)
            if client.returncode != 0 or err:
                raise AssertionError(f"{name}: exit {client.returncode}\n{err}")
            print(f"  {out.strip().splitlines()[-1]}" if name != "endure" else f"  endure: {out.splitlines()[-1]}")
        shutil.rmtree(self.mnt / "endure")

    def kill_all(self):
        for client in self.clients.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)

    def load(self, seconds):
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            self.samples.append(self.sample())
            worker = {what: value for (of, what), value in self.samples[-1].items() if of != "supervisor"}
            print(f"{now / 60:6.2f} min:", ", ".join(f"{what} {value}" for what, value in worker.items()), flush=True)
            time.sleep(max(seconds / 300, 0.5))
            self.check_all_are_well()

    def verdict(self):
        """The names of what has grown; prints how each has moved."""
        grown = []
        print(f"\n{'':24}{'at first':>12}{'at last':>12}{'spread':>12}")
        for key in self.samples[0]:
            values = [sample[key] for sample in self.samples]
            first, last, spread = medians(values)
            if grows(values, FLOORS[key[1]][0]):
                grown.append(" ".join(key))
            print(f"{' '.join(key):24}{first:12.0f}{last:12.0f}{spread:12.0f}{'  GROWS' if grown and grown[-1] == ' '.join(key) else ''}")
        return grown

    def left(self, idle):
        """What there is more of than before the clients, though they have ended and removed all."""
        def more():
            now = self.sample()
            return {" ".join(key): f"{now[key]}, not {idle[key]}" for key in now if FLOORS[key[1]][1] and now[key] > idle[key]}

        with contextlib.suppress(AssertionError):
            eventually(lambda: not more(), 90, "what there was at first")
        for pid in (self.daemon.process.pid, self.daemon.worker()) if more() else ():
            print(f"open in {pid}:", ", ".join(sorted(opened(pid).values())))
        return more()

    def run(self, minutes):
        """The exit status."""
        self.daemon = Daemon(self.store, self.mnt)
        self.daemon.expect("inotify queue overflow")  # on a machine that is busy with other things, too
        try:
            run("mount", "--bind", self.mnt, "/dev/shm")
            idle = self.sample()
            self.start_all()
            self.load(minutes * 60)
            print("\nat the end:")
            self.end_all()
            print("  requests:", ", ".join(f"{kind} {count}" for kind, count in self.daemon.requests().items()))
            print("  restarts:", status(self.mnt)["Restarts"])
            grown, left = self.verdict(), self.left(idle)
            print("\n" + ("GROWN: " + ", ".join(grown) if grown else "nothing has grown"))
            print("LEFT: " + ", ".join(f"{what} ({how})" for what, how in left.items()) if left else "nothing is left")
            return 1 if grown or left else 0
        finally:
            self.kill_all()
            unmount("/dev/shm")
            self.daemon.stop()


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-soak."))
    directory.chmod(0o755)
    soak = Soak(directory)
    soak.store.mkdir()
    soak.mnt.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=1777,size=2g", "tmpfs", soak.store)
    try:
        return soak.run(float(sys.argv[1]))
    finally:
        unmount(soak.store)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
