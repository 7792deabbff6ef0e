# SPDX-License-Identifier: MIT
"""drive.py store|mount EXAMPLE LANGUAGE: run an example in `c`, in `python` or `mixed`, on a directory in /dev/shm or on a mount of
its own, and see that what its processes say adds up. The environment: EXAMPLES, the directory of the C programs; SEGFS, the daemon.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mount"))
import harness  # noqa: E402

WHERE, EXAMPLE, LANGUAGE = sys.argv[1:4]
PROGRAMS = {"c": [os.path.join(os.environ["EXAMPLES"], EXAMPLE.replace("_", "-"))],
            "python": [harness.PYTHON, str(HERE / "python" / (EXAMPLE + ".py"))]}
# Who gives, and who takes, in each combination.
ROLES = {"c": ["c"], "python": ["python"], "mixed": ["c", "python"]}[LANGUAGE]


class ExampleTest(harness.MountTest if WHERE == "mount" else unittest.TestCase):
    store_options = "mode=1777,size=256m"

    def setUp(self):
        if WHERE == "mount":
            super().setUp()
        else:
            signal.signal(signal.SIGALRM, harness.hung)
            signal.alarm(300)
            self.addCleanup(signal.alarm, 0)
            self.mnt = pathlib.Path(tempfile.mkdtemp(prefix="segfs-examples.", dir="/dev/shm"))
            self.addCleanup(shutil.rmtree, self.mnt)

    def start_example(self, language, *words):
        """It ends with the test at the latest."""
        process = subprocess.Popen([*PROGRAMS[language], *map(str, words)], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

        self.addCleanup(end)
        return process

    def end_of(self, process):
        """Its last line, as numbers by their names."""
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0, process.args)
        words = out.splitlines()[-1].split() if out else []
        return dict(zip(words[::2], map(int, words[1::2])))


class LoadOnce(ExampleTest):
    MEBIBYTES, WORKERS = 32, 4

    def memory(self, process, path):
        """Bytes of the segment that it has mapped, and its share of those it has touched, as the kernel counts. (What has been made huge
        pages since counts only when it is touched again.)"""
        sizes, here = {"Size": 0, "Pss": 0}, False
        with open(f"/proc/{process.pid}/smaps") as smaps:
            for line in smaps:
                key, *rest = line.split()
                if not key.endswith(":"):
                    here = line.rstrip().endswith("/" + path.name)
                elif here and key[:-1] in sizes:
                    sizes[key[:-1]] += int(rest[0]) << 10
        return sizes["Size"], sizes["Pss"]

    def try_loader(self, loader):
        path, size = self.mnt / f"by_{loader}", self.MEBIBYTES << 20
        workers = [self.start_example(ROLES[i % len(ROLES)], "work", path) for i in range(self.WORKERS)]
        self.end_of(self.start_example(loader, "load", path, self.MEBIBYTES))
        n = size // 8
        for worker in workers:
            self.assertEqual(worker.stdout.readline(), f"{n * (n - 1) // 2}\n")
        mapped, shares = zip(*(self.memory(worker, path) for worker in workers))
        self.assertGreaterEqual(min(mapped), size)
        self.assertLess(sum(shares), size + (1 << 20), "each worker has memory of its own")
        self.assertLess(path.stat().st_blocks * 512, size + (1 << 20))
        for worker in workers:
            self.end_of(worker)
        path.unlink()

    def test(self):
        for loader in ROLES:
            with self.subTest(loader=loader):
                self.try_loader(loader)


class Acquire(ExampleTest):
    FRAMES, CAPACITY = 300, 16

    def consumers(self, path, policy):
        """Two of each language: ready, or ready to wait for the ring."""
        consumers = [self.start_example(language, "consume", path, *[policy] * (language == "c"), self.FRAMES)
                     for language in ROLES for _ in range(2)]
        for consumer in consumers:
            self.assertEqual(consumer.stdout.readline(), "ready\n")
        return consumers

    def producer(self, language, path, policy, period):
        return self.start_example(language, "produce", path, *[policy] * (language == "c"), self.FRAMES, period)

    def overwrite(self, producer, period, slow):
        """What consumers say while a producer waits for nobody; those that are `slow` see nothing until it has ended."""
        path = self.mnt / f"overwrite_by_{producer}"
        consumers = self.consumers(path, "overwrite")
        for i in slow:
            consumers[i].send_signal(signal.SIGSTOP)
        self.end_of(self.producer(producer, path, "overwrite", period))
        for i in slow:
            consumers[i].send_signal(signal.SIGCONT)
        said = [self.end_of(consumer) for consumer in consumers]
        for one in said:
            self.assertEqual(one["frames"] + one["lost"], self.FRAMES)
        path.unlink()
        return said

    def test_overwrite_loses_and_tells(self):
        slow = range(1, 2 * len(ROLES), 2)
        for producer in ROLES:
            with self.subTest(producer=producer):
                said = self.overwrite(producer, 1, slow)
                for i in slow:
                    self.assertGreaterEqual(said[i]["lost"], self.FRAMES - self.CAPACITY)

    def test_overwrite_at_full_speed_tears_nothing(self):
        for producer in ROLES:
            with self.subTest(producer=producer):
                self.overwrite(producer, 0, [])

    def committed(self, path):
        with open(path, "rb") as f:
            return int.from_bytes(os.pread(f.fileno(), 8, 4224), "little")

    def sleeps(self, process):
        with open(f"/proc/{process.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    def test_block_loses_nothing_and_notices(self):
        if "c" not in ROLES:
            self.skipTest("a ring that waits for its readers takes libsegfs")
        path = self.mnt / "block"
        consumers = self.consumers(path, "block")
        consumers[1].send_signal(signal.SIGSTOP)
        producer = self.producer("c", path, "block", 0)
        harness.eventually(lambda: self.committed(path) == self.CAPACITY and self.sleeps(producer), what="a producer that waits")
        self.assertIsNone(producer.poll())
        consumers[1].send_signal(signal.SIGCONT)
        self.assertGreater(self.end_of(producer)["late"], 0)
        said = [self.end_of(consumer) for consumer in consumers]
        self.assertEqual(said[:2], [{"frames": self.FRAMES, "lost": 0}] * 2)
        for onlooker in said[2:]:
            self.assertEqual(onlooker["frames"] + onlooker["lost"], self.FRAMES)


class Train(ExampleTest):
    UPDATES = 2000

    def test(self):
        path = self.mnt / "parameters"
        readers = [self.start_example(ROLES[i % len(ROLES)], "read", path, self.UPDATES) for i in range(4)]
        self.end_of(self.start_example(ROLES[0], "write", path, self.UPDATES))
        for reader in readers:
            said = self.end_of(reader)
            self.assertEqual(said["step"], self.UPDATES)
            self.assertGreater(said["reads"], 0)


if __name__ == "__main__":
    if WHERE == "mount" and os.geteuid() != 0:
        print("SKIP: mounting needs root")
        sys.exit(77)
    case = {"load_once": LoadOnce, "acquire": Acquire, "train": Train}[EXAMPLE]
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    sys.exit(not result.wasSuccessful())
