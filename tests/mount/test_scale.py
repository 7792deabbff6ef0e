"""Very many segments, in one directory and spread over a thousandth as many: mounting, ls, lookup and unlink work, each known segment costs
the daemon a little memory and no descriptor, and a new worker knows them all. It prints what each step took: SEGMENTS=1000000 for a million."""

import concurrent.futures
import contextlib
import ctypes
import os
import signal
import time

from harness import Daemon, MountTest, eventually, main

SEGMENTS = int(os.environ.get("SEGMENTS", "10000"))
SLOW = 1 + SEGMENTS // 20_000  # what may take the longer the more there are
BYTES_PER_SEGMENT = 1500  # a generous bound; sanitizers need more
CLIENTS = 16
IS_PLAIN = os.environ.get("SANITIZE", "none") == "none"
os.environ.pop("MALLOC_PERTURB_", None)  # meson sets it: all that is allocated would be written to, and so take memory
DESCRIPTORS = 16  # of what goes on at a moment: open directories, a few of each thread


class Scale(MountTest):
    store_options = "mode=1777,size=80%,nr_inodes=0"

    def setUp(self):
        super().setUp()
        signal.alarm(300 * SLOW)

    def fill(self, directories):
        """In the store, before it is mounted again: the daemon starts on all of it."""
        self.daemon.process.terminate()
        self.daemon.process.wait(20)
        self.paths = []
        for i in range(directories):
            directory = self.store / f"d{i}"
            directory.mkdir()
            names = [f"segment-{j}" for j in range(SEGMENTS // directories)]
            for name in names:
                os.close(os.open(directory / name, os.O_WRONLY | os.O_CREAT, 0o666))
            self.paths += [str(self.mnt / f"d{i}" / name) for name in names]
        with self.timed("mount"):
            self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        self.daemon.expect("the worker ended ")
        self.daemon.expect("inotify queue overflow")  # where a million are removed and the processors are busy

    @contextlib.contextmanager
    def timed(self, what, n=1):
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        print(f"{what}: {seconds:.3f} s" + (f", {seconds / n * 1e6:.1f} us each" if n > 1 else ""), flush=True)

    def status(self):
        return dict(line.split(":\t") for line in (self.mnt / ".segfs/status").read_text().splitlines())

    def memory(self):
        """Of the worker's own and of what it leaves to the next, in bytes."""
        with open(f"/proc/{self.daemon.worker()}/status") as lines:
            kib = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))}
        return (kib["RssAnon:"] + kib["RssShmem:"]) * 1024

    def own_memory(self):
        """Of the worker alone, in KiB, to the page: /proc/PID/status counts by processor, and is off by some hundred KiB."""
        with open(f"/proc/{self.daemon.worker()}/smaps_rollup") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.worker()}/fd"))

    def look_at_all(self):
        for path in self.paths:
            os.stat(path)

    def list_all(self):
        """Names and attributes, as ls -l -R does."""
        found = 0
        for directory in os.scandir(self.mnt):
            found += sum(entry.stat().st_nlink for entry in os.scandir(directory))
        self.assertEqual(found, len(self.paths))

    def list_names(self):
        self.assertEqual(sum(len(os.listdir(directory)) for directory in os.scandir(self.mnt)), len(self.paths))

    def check_growth(self, memory, descriptors):
        per_segment = (self.memory() - memory) / SEGMENTS
        print(f"memory: {per_segment:.0f} bytes a segment; descriptors: {descriptors} before, {self.descriptors()} now", flush=True)
        if IS_PLAIN:
            self.assertLess(per_segment, BYTES_PER_SEGMENT)
        self.assertLess(self.descriptors(), descriptors + DESCRIPTORS)

    def kill_worker(self):
        """Until another one answers what the kernel does not know by itself."""
        before = int(self.status()["Restarts"])
        pid = self.daemon.worker()
        os.kill(pid, signal.SIGKILL)
        with self.timed("a new worker, until it answers"):
            self.assertEqual(os.getxattr(self.paths[0], "user.shm.version"), b"0")
        self.assertEqual(int(self.status()["Restarts"]), before + 1)

    def live(self, directories):
        self.fill(directories)
        memory, least, descriptors = self.memory(), self.own_memory(), self.descriptors()
        with self.timed("names", SEGMENTS):
            self.list_names()
        with self.timed("first listing", SEGMENTS):
            self.list_all()
        with self.timed("second listing", SEGMENTS):
            self.list_all()
        with self.timed("stat of each", SEGMENTS):
            self.look_at_all()
        self.assertGreaterEqual(int(self.status()["Nodes"]), SEGMENTS)
        self.check_growth(memory, descriptors)
        self.kill_worker()
        self.look_at_all()
        self.assertGreaterEqual(int(self.status()["Nodes"]), SEGMENTS)
        self.check_growth(memory, descriptors)
        most = self.own_memory()
        with self.timed("unlink of nearly each", SEGMENTS):
            for i, path in enumerate(self.paths):
                if i % 100:
                    os.unlink(path)
        self.await_nodes(SEGMENTS // 100 + directories)
        self.check_given_back(least, most)
        for path in self.paths[::100]:
            os.unlink(path)
        self.await_nodes(directories)
        self.assertEqual(sum(len(os.listdir(directory)) for directory in os.scandir(self.store)), 0)

    def await_nodes(self, n):
        eventually(lambda: int(self.status()["Nodes"]) < n + 10, 20 * SLOW, "forgetting")

    def check_given_back(self, least, most):
        """What the worker had for them, of its own memory, though a few of them lie in between."""
        now = self.own_memory()
        print(f"own memory: {least} KiB before, {most} with all, {now} when most are forgotten", flush=True)
        if IS_PLAIN:
            self.assertLess(now - least, (most - least) / 2)

    def test_in_one_directory(self):
        self.live(1)

    def test_spread_over_directories(self):
        self.live(max(SEGMENTS // 1000, 2))

    def test_no_thread_keeps_what_it_has_freed(self):
        """Requests of all sizes, so many that each thread has answered some of each: what they needed, they need no more."""
        path, getxattr = bytes(self.mnt / "a"), ctypes.CDLL(None, use_errno=True).getxattr
        with open(path, "wb"):
            os.setxattr(path, "user.a", b"a")

        def ask(size):
            value = ctypes.create_string_buffer(size)
            return [getxattr(path, b"user.a", value, size) for _ in range(50)]

        def ask_all(sizes):
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
                self.assertEqual({n for ns in clients.map(ask, sizes) for n in ns}, {1})

        ask_all([16] * 1000)
        least = self.own_memory()
        ask_all([size for size in range(16, 1040, 16) for _ in range(2 * CLIENTS)])
        grown = self.own_memory() - least
        print(f"own memory: {grown} KiB more", flush=True)
        if IS_PLAIN:
            self.assertLess(grown, 64)


if __name__ == "__main__":
    main()
