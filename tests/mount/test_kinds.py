"""Rings, tables and slots: made by an attribute, shown by attributes and views, whole whatever their writers do."""

import errno
import io
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
from PIL import Image

from harness import MountTest, PYTHON, eventually, main, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lang/python"))
import read_ring  # noqa: E402
import read_table  # noqa: E402

RING = "overwrite capacity 64 shape 64,64 dtype |u1"
TABLE = "[('a', '<u8'), ('wide', '<u8', (24,)), ('b', '<u8')]"
SLOTS = "workers 8 shape 3 dtype <f8"


def get(path, name):
    return os.getxattr(path, f"user.shm.{name}").decode()


def put(path, name, value, flags=0):
    os.setxattr(path, f"user.shm.{name}", value.encode(), flags)


def listed(path):
    return {name.removeprefix("user.shm.") for name in os.listxattr(path) if name.startswith("user.shm.")}


def readme_section():
    text = (ROOT / "README.md").read_text()
    return text.split("\n## Rings, tables, slots\n")[1].split("\n## ")[0]


def readme_snippets():
    """What the README shows of reading a ring and a table, by the names of the functions."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", readme_section(), re.DOTALL):
        exec(block, names)
    return names


class KindTest(MountTest):
    def make(self, name, attribute, value):
        path = self.mnt / name
        path.touch()
        put(path, attribute, value)
        return path

    def view(self, kind, name):
        return self.mnt / ".segfs" / kind / name

    def info(self, name):
        lines = [line.split(":\t", 1) for line in self.view("info", name).read_text().splitlines()]
        return {key: [value for other, value in lines if other == key] for key, _ in lines}

    def pump(self, kind, path):
        """A writer at full speed. Ends with the test, or when its input does."""
        process = subprocess.Popen([os.environ["PUMP"], kind, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end():
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)

        def clean_up():
            process.kill()
            process.communicate()

        self.addCleanup(clean_up)
        process.end = end
        return process

    def read_when_there(self, path):
        """A view's bytes. A producer may be faster than we can read, or not have begun."""

        def read():
            try:
                return path.read_bytes()
            except OSError as error:
                self.assertIn(error.errno, (errno.EAGAIN, errno.ENODATA))

        return eventually(read, 60)


class Making(KindTest):
    def test_a_ring(self):
        path = self.make("ring", "ring", "block capacity 64 shape 480,640 dtype <f4")
        self.assertEqual(get(path, "kind"), "ring")
        self.assertEqual([get(path, name) for name in ("dtype", "shape", "order", "offset")], ["<f4", "480,640", "C", "16384"])
        self.assertEqual(get(path, "ring"), "block capacity 64 committed 0 producer none consumers none")
        self.assertEqual(path.stat().st_size, 16384 + 64 * 480 * 640 * 4)
        self.assertGreaterEqual(path.stat().st_blocks * 512, path.stat().st_size)
        self.assertEqual(listed(path) - {"version"}, {"kind", "lock", "creator", "dtype", "shape", "order", "offset", "ring"})
        self.assertEqual(self.store.joinpath("ring").stat().st_size, path.stat().st_size)

    def test_a_table(self):
        path = self.make("table", "table", TABLE)
        self.assertEqual((get(path, "kind"), get(path, "dtype")), ("table", TABLE))
        self.assertEqual(get(path, "table"), "fields 3 record 208 writes 0 snapshots 0")
        os.setxattr(self.store / "table", "user.shm.shape", b"7")
        for name in ("shape", "order", "offset", "ring", "slots"):
            with self.subTest(name=name), self.assertErrno(errno.ENODATA):
                get(path, name)
        self.assertEqual(listed(path) - {"version"}, {"kind", "lock", "creator", "dtype", "table"})

    def test_slots(self):
        path = self.make("slots", "slots", SLOTS)
        self.assertEqual((get(path, "kind"), get(path, "shape")), ("array", "8"))
        self.assertEqual(get(path, "slots"), "workers 8 row 128 shape 3 dtype <f8")
        self.assertIn("slots", listed(path))
        self.assertEqual(path.stat().st_size, 8 * 128)
        array = np.memmap(path, np.lib.format.descr_to_dtype(eval(get(path, "dtype"))), "r+", shape=(8,))
        array["value"][5] = 1, 2, 3

    def test_setfattr_makes_them(self):
        for name, value in ("ring", RING), ("table", TABLE), ("slots", SLOTS):
            path = self.mnt / name
            run("touch", path)
            run("setfattr", "-n", f"user.shm.{name}", "-v", value, path)
            self.assertIn(f"user.shm.{name}=", run("getfattr", "--absolute-names", "-d", "-m", "user.shm", path))

    def test_the_commands_of_the_readme_make_them(self):
        commands = re.findall(r"`(setfattr -n user\.shm\.(\w+) .* NAME)`", readme_section())
        self.assertEqual([name for _, name in commands], ["ring", "table", "slots"])
        for command, name in commands:
            (self.mnt / name).touch()
            run("sh", "-c", command.replace("NAME", name), cwd=self.mnt)
            self.assertNotEqual(get(self.mnt / name, name), "")

    def test_slots_of_npy_files_are_told(self):
        array = np.zeros(4, [("value", "<i2", (3,)), ("", "V122")])
        path = self.mnt / "slots.npy"
        with open(path, "wb") as file:
            file.write(b"\x93NUMPY\x01\x00\xf6\x00" + str({"descr": array.dtype.descr[:1] + [("", "|V122")], "fortran_order": False, "shape": (4,)}).encode().ljust(245) + b"\n")
            file.write(array.tobytes())
        self.assertEqual((get(path, "kind"), get(path, "offset")), ("npy", "256"))
        self.assertEqual(get(path, "slots"), "workers 4 row 128 shape 3 dtype <i2")

    def test_others_have_none_of_the_three(self):
        (self.mnt / "raw").write_bytes(b"x" * 100)
        np.save(self.mnt / "array.npy", np.zeros(3))
        (self.mnt / "dir").mkdir()
        for path in self.mnt.iterdir():
            for name in ("ring", "table", "slots"):
                with self.assertErrno(errno.ENODATA):
                    get(path, name)
                self.assertNotIn(name, listed(path))

    def test_what_is_refused_leaves_the_file_empty(self):
        for name, value, expected in (
            ("ring", "", errno.EINVAL), ("ring", "block", errno.EINVAL), ("ring", "block capacity 1 dtype <f4", errno.EINVAL),
            ("ring", "block capacity 64 shape 0 dtype <f4", errno.EINVAL), ("ring", "block capacity 64 dtype O", errno.EINVAL),
            ("ring", f"block capacity {1 << 63} dtype <f4", errno.EOVERFLOW),
            ("ring", f"block capacity 4 dtype [{', '.join(f'({str(i) * 20!r}, {chr(39)}<f4{chr(39)})' for i in range(100, 300))}]", errno.E2BIG),
            ("table", "<f8", errno.EINVAL), ("table", "[]", errno.EINVAL), ("table", f"[('{'x' * 33}', '<f8')]", errno.ENAMETOOLONG),
            ("table", str([(f"field {i:020}", "<f8") for i in range(200)]), errno.EMSGSIZE),
            ("slots", "workers 0 dtype <f8", errno.EINVAL), ("slots", "workers 8 shape 0 dtype <f8", errno.EINVAL),
            ("slots", "workers 8 shape 1000000000 dtype <f8", errno.EOVERFLOW),
            ("ring", f"block capacity 2 shape {3 << 30} dtype |u1", errno.ENOSPC), ("slots", f"workers {3 << 23} dtype <f8", errno.ENOSPC),
            ("table", f"[('a', '|u1', ({3 << 28},))]", errno.ENOSPC),
        ):
            with self.subTest(name=name, value=value[:40]):
                path = self.mnt / "x"
                path.write_bytes(b"")
                with self.assertErrno(expected):
                    put(path, name, value)
                self.assertEqual((path.stat().st_size, path.stat().st_blocks, get(path, "kind")), (0, 0, "raw"))
                self.assertEqual(listed(path) - {"version"}, {"kind", "lock", "creator"})
                put(path, name, {"ring": RING, "table": TABLE, "slots": SLOTS}[name])
                path.unlink()

    def test_what_is_not_empty_stays_as_it_is(self):
        (self.mnt / "raw").write_bytes(b"x" * 100)
        for path in self.mnt / "raw", self.make("ring", "ring", RING), self.make("table", "table", TABLE), self.make("slots", "slots", SLOTS):
            before, kind = path.read_bytes(), get(path, "kind")
            for name, value, expected in ("ring", RING, errno.ENOTEMPTY), ("table", TABLE, errno.EEXIST), ("slots", SLOTS, errno.EEXIST):
                with self.assertErrno(expected):
                    put(path, name, value)
            for name, value in ("ring", "block"), ("table", "x"), ("slots", "x"):
                with self.assertErrno(errno.EINVAL):
                    put(path, name, value)
            self.assertEqual((path.read_bytes(), get(path, "kind")), (before, kind))

    def test_what_they_report_is_accepted_and_makes_nothing(self):
        (self.mnt / "raw").write_bytes(b"x" * 100)
        (self.mnt / "empty").touch()
        reports = {"ring": get(self.make("ring", "ring", RING), "ring"), "table": get(self.make("table", "table", TABLE), "table"),
                   "slots": get(self.make("slots", "slots", SLOTS), "slots")}
        for path in sorted(self.mnt.iterdir()):
            before, kind = path.read_bytes(), get(path, "kind")
            for name, value in (*reports.items(), ("kind", "ring"), ("kind", "table")):
                put(path, name, value)
            self.assertEqual((path.read_bytes(), get(path, "kind")), (before, kind))

    def test_flags_are_those_of_setxattr(self):
        path = self.mnt / "ring"
        path.touch()
        with self.assertErrno(errno.ENODATA):
            put(path, "ring", RING, os.XATTR_REPLACE)
        put(path, "ring", RING, os.XATTR_CREATE)
        self.assertEqual(get(path, "kind"), "ring")

    def test_removing_one_does_nothing(self):
        path = self.make("ring", "ring", RING)
        os.removexattr(path, "user.shm.ring")
        self.assertTrue(get(path, "ring").startswith("overwrite capacity 64 "))

    def test_what_a_ring_or_table_says_cannot_be_changed(self):
        for path in self.make("ring", "ring", RING), self.make("table", "table", TABLE):
            put(path, "dtype", get(path, "dtype"))
            for name, value in ("dtype", "<f4"), ("shape", "3"), ("order", "F"), ("offset", "0"):
                with self.assertErrno(errno.EINVAL):
                    put(path, name, value)

    def test_a_header_that_does_not_hold_is_no_ring(self):
        for name, value in ("ring", RING), ("table", TABLE):
            path = self.make(name, name, value)
            os.truncate(path, path.stat().st_size - 4096)
            self.assertEqual(get(path, "kind"), "raw")
            with self.assertErrno(errno.ENODATA):
                get(path, name)
            self.assertIn("Kind:\traw", self.view("info", name).read_text())
            self.assertTrue(self.view("text", name).read_text().startswith("# raw, "))


class Rights(KindTest):
    CODE = """
import os, sys
for name, value in ("ring", sys.argv[2]), ("table", sys.argv[3]), ("slots", sys.argv[4]):
    for act in lambda: os.getxattr(sys.argv[1], "user.shm." + name), lambda: os.setxattr(sys.argv[1], "user.shm." + name, value.encode()):
        try:
            act()
            print("done")
        except OSError as error:
            print(error.errno)
"""

    def as_user(self, path):
        command = [PYTHON, "-c", self.CODE, path, RING, TABLE, SLOTS]
        return run("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", *command).split()

    def test_without_the_right_to_write_nobody_makes_one(self):
        path = self.mnt / "x"
        path.touch()
        path.chmod(0o644)
        self.assertEqual(self.as_user(path), [str(errno.ENODATA), str(errno.EACCES)] * 3)
        path.chmod(0o600)
        self.assertEqual(self.as_user(path), [str(errno.EACCES)] * 6)
        self.assertEqual(path.stat().st_size, 0)

    def test_with_it_one_does(self):
        path = self.mnt / "x"
        path.touch()
        path.chmod(0o666)
        self.assertEqual(self.as_user(path)[:2], [str(errno.ENODATA), "done"])
        self.assertEqual(get(path, "kind"), "ring")

    def test_who_may_not_read_sees_no_frame(self):
        path = self.make("ring", "ring", RING)
        path.chmod(0o600)
        for kind, name in ("text", "ring"), ("npy", "ring.npy"), ("info", "ring"):
            with self.assertRaisesRegex(AssertionError, "Permission denied"):
                run("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "cat", self.view(kind, name))

    def test_what_is_sealed_stays_empty(self):
        path = self.mnt / "x"
        path.touch()
        put(path, "sealed", "1")
        for name, value in ("ring", RING), ("table", TABLE), ("slots", SLOTS):
            with self.assertErrno(errno.EPERM):
                put(path, name, value)
        self.assertEqual(path.stat().st_size, 0)


class FullStore(KindTest):
    store_options = "mode=1777,size=1m"

    def test_creation_is_enospc_and_leaves_an_empty_file(self):
        """However much is missing: in the last page or the first."""
        recipes = {"ring": "block capacity 64 shape 4096 dtype |u1", "table": "[('a', '|u1', (65536,))]", "slots": "workers 2048 dtype <f8"}
        failed = dict.fromkeys(recipes, 0)
        for room in range(0, 512 << 10, 16 << 10):
            (self.mnt / "rest").write_bytes(bytes((900 << 10) - room))
            for name, value in recipes.items():
                path = self.mnt / "x"
                path.touch()
                try:
                    put(path, name, value)
                except OSError as error:
                    failed[name] += 1
                    self.assertEqual(error.errno, errno.ENOSPC)
                    self.assertEqual((path.stat().st_size, path.stat().st_blocks), (0, 0))
                    self.assertEqual(listed(path) - {"version"}, {"kind", "lock", "creator"})
                path.unlink()
        for name in recipes:
            self.assertIn(failed[name], range(3, 31), name)


class Copies(KindTest):
    def setUp(self):
        super().setUp()
        (self.mnt / "source").mkdir()
        self.make("source/ring", "ring", RING)
        self.make("source/table", "table", TABLE)
        self.make("source/slots", "slots", SLOTS)
        writer = self.pump("ring", self.mnt / "source/ring")
        writer.end()

    def check(self, *command):
        """With nothing said on stderr."""
        self.assertEqual(run(*command), "")
        for name in ("ring", "table", "slots"):
            one, two = self.mnt / "source" / name, self.mnt / "copy" / name
            self.assertEqual(two.read_bytes(), one.read_bytes())
            for attribute in ("kind", "dtype", name):
                self.assertEqual(get(two, attribute), get(one, attribute))

    def test_cp(self):
        self.check("cp", "-a", self.mnt / "source", self.mnt / "copy")

    def test_rsync(self):
        self.check("rsync", "-aX", f"{self.mnt}/source/", self.mnt / "copy")

    def test_tar(self):
        self.check("sh", "-c", f"mkdir {self.mnt}/copy; tar --xattrs --xattrs-include='*' -C {self.mnt}/source -cf - . | tar --xattrs --xattrs-include='*' -C {self.mnt}/copy -xpf -")

    def test_there_and_back(self):
        run("cp", "-a", self.mnt / "source", self.directory / "there")
        self.check("cp", "-a", self.directory / "there", self.mnt / "copy")


class RingViews(KindTest):
    def pixels(self, data):
        image = Image.open(io.BytesIO(data))
        image.load()
        return np.array(image)

    def test_a_ring_without_a_frame_shows_none(self):
        self.make("ring", "ring", RING)
        for kind, name in ("text", "ring"), ("image", "ring.png"), ("npy", "ring.npy"):
            with self.assertErrno(errno.ENODATA):
                self.view(kind, name).read_bytes()
        self.assertEqual(self.info("ring")["Committed"], ["0"])

    def test_the_newest_frame_is_shown_at_the_size_that_was_told(self):
        path = self.make("ring", "ring", RING)
        sizes = [self.view(kind, name).stat().st_size for kind, name in (("text", "ring"), ("image", "ring.png"), ("npy", "ring.npy"))]
        self.pump("ring", path).end()
        value = (int(get(path, "ring").split()[4]) - 1) % 251
        text, image, npy = (self.view(kind, name).read_bytes() for kind, name in (("text", "ring"), ("image", "ring.png"), ("npy", "ring.npy")))
        self.assertEqual([len(text), len(image), len(npy)], sizes)
        self.assertTrue(text.startswith(b"# dtype=|u1 shape=64,64 order=C\n"))
        for frame in np.loadtxt(io.BytesIO(text)), self.pixels(image), np.load(io.BytesIO(npy)):
            self.assertEqual(frame.shape, (64, 64))
            self.assertEqual(np.unique(frame).tolist(), [value])

    def test_a_view_that_is_open_keeps_its_frame(self):
        path = self.make("ring", "ring", RING)
        self.pump("ring", path).end()
        with open(self.view("npy", "ring.npy"), "rb") as one:
            head = one.read(200)
            self.pump("ring", path).end()
            self.assertEqual(len(np.unique(np.load(io.BytesIO(head + one.read())))), 1)

    def test_no_frame_is_torn_under_a_producer_at_full_speed(self):
        for policy in ("overwrite", "block"):
            path = self.make(policy, "ring", f"{policy} capacity 64 shape 64,64 dtype |u1")
            writer = self.pump("ring", path)
            numbers = set()
            for _ in range(100):
                frames = [np.loadtxt(io.BytesIO(self.read_when_there(self.view("text", policy)))),
                          self.pixels(self.read_when_there(self.view("image", f"{policy}.png"))),
                          np.load(io.BytesIO(self.read_when_there(self.view("npy", f"{policy}.npy"))))]
                for frame in frames:
                    self.assertEqual(frame.shape, (64, 64))
                    self.assertEqual(len(np.unique(frame)), 1)
                    numbers.add(int(frame.flat[0]))
            self.assertGreater(len(numbers), 1)
            writer.end()

    def test_numpy_alone_and_the_readme_read_the_same(self):
        newest_frame = readme_snippets()["newest_frame"]
        path = self.make("ring", "ring", RING)
        self.assertIsNone(newest_frame(path))
        writer = self.pump("ring", path)
        eventually(lambda: newest_frame(path))
        follower, seen = read_ring.follow(path), 0
        while seen < 300:
            for number, frame in filter(None, (newest_frame(path), next(follower))):
                self.assertEqual(np.unique(frame).tolist(), [number % 251])
                seen += 1
        writer.end()
        number, frame = newest_frame(path)
        self.assertEqual(number + 1, int(get(path, "ring").split()[4]))
        self.assertTrue((np.load(io.BytesIO(self.view("npy", "ring.npy").read_bytes())) == frame).all())

    def test_a_frame_of_records(self):
        self.make("ring", "ring", "block capacity 2 shape 2 dtype [('x', '<u4'), ('y', '|u1', (4,))]")
        self.pump("ring", self.mnt / "ring").end()  # waits for nobody: there is no consumer
        text = self.read_when_there(self.view("text", "ring")).decode().splitlines()
        self.assertEqual(len(text), 4)

    def ring_of_holes(self, size):
        """A ring of one frame, by its header, that takes no memory of the user's."""
        self.make("ring", "ring", "block capacity 2 shape 4096 dtype |u1")
        with open(self.store / "ring", "r+b") as file:
            header = np.frombuffer(file.read(16384), "u1").copy()
            header[16:48].view("<u8")[:] = size, size, 2, 16384
            header[56:64].view("<u8")[:] = size
            header[4160:4168].view("<u8")[:] = header[4224:4232].view("<u8")[:] = 1
            file.seek(0)
            file.write(header.tobytes())
            file.truncate(16384 + 2 * size)
        self.assertEqual(get(self.mnt / "ring", "kind"), "ring")

    def test_a_frame_larger_than_all_views_may_hold_is_enomem(self):
        self.ring_of_holes(600 << 20)
        for kind, name in ("text", "ring"), ("npy", "ring.npy"):
            with self.assertErrno(errno.ENOMEM):
                open(self.view(kind, name)).close()

    def test_copies_count_while_they_are_open(self):
        self.ring_of_holes(200 << 20)
        for _ in range(2):
            with open(self.view("text", "ring"), "rb") as one, open(self.view("npy", "ring.npy"), "rb"):
                with self.assertErrno(errno.ENOMEM):
                    open(self.view("text", "ring"), "rb")
                self.assertTrue(one.read(20).startswith(b"# dtype=|u1 shape="))

    def test_counters_that_make_no_sense_are_an_error_and_no_more(self):
        path = self.make("ring", "ring", RING)
        with open(path, "r+b") as file:
            for committed, begun in (1 << 63, 1 << 63), (5, 4), (1, (1 << 64) - 1):
                for at, value in (4224, committed), (4160, begun):
                    file.seek(at)
                    file.write(value.to_bytes(8, "little"))
                    file.flush()
                with self.assertErrno(errno.EUCLEAN):
                    self.view("text", "ring").read_bytes()
                self.assertEqual(self.info("ring")["Committed"], [str(committed)])

    def test_info_tells_who_is_there(self):
        path = self.make("ring", "ring", "block capacity 64 shape 64,64 dtype |u1")
        info = self.info("ring")
        self.assertEqual([info[key] for key in ("Kind", "Policy", "Capacity", "Stride", "Producer", "Dropped")],
                         [["ring"], ["block"], ["64"], ["4096"], ["none"], ["0"]])
        self.assertNotIn("Sample", info)
        consumer = self.pump("consumer", path)
        self.assertEqual(consumer.stdout.readline(), b"joined\n")
        writer = self.pump("ring", path)  # which soon waits for the consumer
        eventually(lambda: self.info("ring")["Committed"] == ["64"])
        info = self.info("ring")
        self.assertRegex(info["Producer"][0], r"^\d+$")
        self.assertRegex(info["Consumer"][0], r"^\d+ lag 64 lost 0$")
        self.assertRegex(get(path, "ring"), r"^block capacity 64 committed 64 producer \d+ consumers \d+ lag 64 lost 0$")
        writer.kill()
        writer.wait()
        eventually(lambda: self.info("ring")["Producer"] == ["died"])


class TableViews(KindTest):
    def test_the_record_is_shown(self):
        path = self.make("table", "table", "[('a', '<u8'), ('', '|V3'), ('wide', '<u8', (24,)), ('b', '<u8')]")
        self.assertEqual(np.load(io.BytesIO(self.view("npy", "table.npy").read_bytes())).tolist()[0], 0)
        self.pump("table", path).end()
        record = np.load(io.BytesIO(self.view("npy", "table.npy").read_bytes()))
        self.assertEqual(record.shape, ())
        self.assertGreater(record["a"], 0)
        self.assertEqual((record["b"], set(record["wide"].tolist())), (record["a"], {int(record["a"])}))
        text = self.view("text", "table").read_bytes()
        self.assertEqual(len(text), self.view("text", "table").stat().st_size)
        self.assertEqual(text.splitlines()[1].split()[1:3], [b"a", b"wide[0]"])
        self.assertEqual(set(text.splitlines()[2].split()), {b"%d" % record["a"]})
        self.assertFalse(self.view("image", "table.png").exists())

    def test_info_has_each_field(self):
        path = self.make("table", "table", "[('a', '<u8'), ('wide', '<u8', (24,)), ('b', '<u8'), ('a\\nb', 'S100000'), ('pair', [('x', '<f4'), ('y', '|S3')], (2,))]")
        self.pump("table", path).end()
        info = self.info("table")
        fields = [line.split() for line in info["Field"]]
        n = fields[0][2]
        self.assertEqual(fields[0], ["a", "writes", n, "value", n])
        self.assertEqual(fields[1][:5], ["wide", "writes", n, "value", n])
        self.assertEqual(fields[2], ["b", "writes", n, "value", n])
        self.assertEqual(fields[3], ["a\\012b", "writes", "0", "value", "..."])
        self.assertEqual(fields[4], ["pair", "writes", "0", "value", "0", '""', "0", '""'])
        self.assertEqual((info["Fields"], info["Writes"]), (["5"], [str(3 * int(n))]))
        self.assertNotIn("Shape", info)

    def test_no_record_is_torn_under_a_writer_at_full_speed(self):
        path = self.make("table", "table", TABLE)
        writer = self.pump("table", path)
        read, seen = readme_snippets()["read_table"], set()
        for _ in range(100):
            text = self.read_when_there(self.view("text", "table"))
            npy = self.read_when_there(self.view("npy", "table.npy"))
            numbers = [int(word) for word in text.splitlines()[2].split()]
            records = np.load(io.BytesIO(npy)), read_table.Table(path).snapshot(), read(path)
            for a, wide, b in (numbers[0], numbers[1:-1], numbers[-1]), *((int(r["a"]), r["wide"].tolist(), int(r["b"])) for r in records):
                self.assertEqual(set(wide), {wide[0]})
                self.assertTrue(b <= wide[0] <= a <= b + 1, (a, wide[0], b))
                seen.add(a)
            self.assertIn("Field:\ta writes ", self.view("info", "table").read_text())
        self.assertGreater(len(seen), 1)
        writer.end()


class Lists(KindTest):
    def test_the_kinds_are_told(self):
        self.make("ring", "ring", RING)
        self.make("table", "table", "[('a', '<u8')]")
        self.make("slots", "slots", SLOTS)
        rows = {row.split()[0]: row.split()[1:4] for row in (self.mnt / ".segfs/list").read_text().splitlines()}
        self.assertEqual(rows["ring"], ["ring", "|u1", "64,64"])
        self.assertEqual(rows["table"], ["table", "[('a','<u8')]", "-"])
        self.assertEqual(rows["slots"][0], "array")
        self.assertEqual(self.info("slots")["Workers"] + self.info("slots")["Row"], ["8", "128"])
        self.assertEqual(sorted(os.listdir(self.mnt / ".segfs/npy")), ["ring.npy", "slots.npy", "table.npy"])
        self.assertEqual(os.listdir(self.mnt / ".segfs/image"), ["ring.png"])


class Hostile(KindTest):
    def test_a_header_of_random_bytes_gives_errors(self):
        """The daemon lives, and its log is clean."""
        draw = np.random.default_rng(4711)
        for name, value in ("ring", RING), ("table", TABLE):
            path = self.make(name, name, value)
            whole = path.read_bytes()
            for _ in range(150):
                with open(path, "r+b") as file:
                    file.write(whole[:20000])
                    for at in draw.integers(0, 9000, 4).tolist():
                        file.seek(at)
                        file.write(bytes([draw.integers(256)]))
                for attribute in ("kind", name):
                    try:
                        get(path, attribute)
                    except OSError as error:
                        self.assertEqual(error.errno, errno.ENODATA)
                for kind, suffix in ("info", ""), ("text", ""), ("npy", ".npy"), ("image", ".png"):
                    try:
                        self.view(kind, name + suffix).read_bytes()
                    except OSError as error:
                        self.assertIn(error.errno, (errno.ENODATA, errno.ENOENT, errno.EUCLEAN, errno.EAGAIN, errno.ENOMEM, errno.ESTALE))

    def test_a_ring_that_is_cut_while_it_is_looked_at(self):
        path = self.make("ring", "ring", RING)
        self.pump("ring", path).end()
        whole = path.read_bytes()
        cutter = self.start("""
import sys
whole = open(sys.argv[1], "rb").read()
print("ready", flush=True)
while True:
    with open(sys.argv[1], "r+b") as file:
        file.truncate(100)
        file.write(whole)
""", self.store / "ring")
        self.assertEqual(cutter.stdout.readline(), "ready\n")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for kind in ("text", "info"):
                try:
                    self.view(kind, "ring").read_bytes()
                except OSError as error:
                    self.assertIn(error.errno, (errno.ENODATA, errno.EUCLEAN, errno.EAGAIN, errno.ESTALE))


if __name__ == "__main__":
    main()
