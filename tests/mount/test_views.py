""".segfs: a segment's views as files, for people and programs alike."""

import errno
import io
import os
import re
import shutil
import subprocess
import threading
import unittest

import numpy as np
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from harness import MountTest, PYTHON, eventually, main, run

GIB = 1 << 30


def as_user(*command):
    return run("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", *command)


class ViewTest(MountTest):
    def view(self, kind, name="", directory="."):
        return self.mnt / directory / ".segfs" / kind / name

    def save(self, name, array):
        """A .npy segment, through the mount."""
        np.save(self.mnt / name, array)
        return array

    def typed(self, name, array):
        """A segment whose type is told by its attributes."""
        path = self.mnt / name
        path.write_bytes(array.tobytes(order="A"))
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        for key, value in (("dtype", array.dtype.str), ("order", order), ("shape", ",".join(map(str, array.shape)))):
            os.setxattr(path, f"user.shm.{key}", value.encode())
        return array

    def sparse(self, name, n_bytes):
        """A .npy segment of doubles, mostly a hole: takes no memory."""
        path = self.mnt / name
        array = np.lib.format.open_memmap(path, "w+", "<f8", (n_bytes // 8,))
        array[-3:] = [1.5, 2.5, 3.5]
        return array

    def info(self, name):
        lines = [line.split(":\t", 1) for line in self.view("info", name).read_text().splitlines()]
        return dict(lines)

    def list(self, directory="."):
        rows = [line.split() for line in self.view("list", directory=directory).read_text().splitlines()]
        return {row[0]: dict(zip(rows[0], row)) for row in rows[1:]}


class Hidden(ViewTest):
    def setUp(self):
        super().setUp()
        (self.mnt / "dir" / "below").mkdir(parents=True)
        self.save("a.npy", np.arange(3))
        self.save("dir/b.npy", np.arange(3))
        self.assertTrue(self.view("info", "b.npy", "dir").exists())  # the kernel knows it now

    def test_find_du_ls_and_glob_see_no_view(self):
        for command in (["find", "."], ["du", "-a"], ["ls", "-laR"], ["bash", "-O", "dotglob", "-c", "echo * */*"]):
            self.assertNotIn(".segfs", run(*command, cwd=self.mnt))
        self.assertEqual(run("find", ".", "-type", "f", cwd=self.mnt).split(), ["./a.npy", "./dir/b.npy"])

    def test_rsync_tar_and_cp_copy_no_view(self):
        for i, command in enumerate(("rsync -a {}/ {}", "cp -a {}/. {}", "tar -C {} -cf - . | tar -C {} -xf -")):
            copy = self.directory / f"copy{i}"
            copy.mkdir()
            run("sh", "-c", command.format(self.mnt, copy))
            self.assertEqual(run("diff", "-r", self.store, copy), "")
            self.assertFalse((copy / ".segfs").exists())

    def test_rm_r_removes_what_there_is(self):
        run("rm", "-r", self.mnt / "dir")
        self.assertFalse((self.store / "dir").exists())

    def test_a_file_of_that_name_in_the_store_is_not_to_be_seen(self):
        (self.store / ".segfs").write_text("mine")
        self.assertNotIn(".segfs", os.listdir(self.mnt))
        self.assertTrue(self.view("info").is_dir())
        self.assertEqual((self.store / ".segfs").read_text(), "mine")

    def test_the_name_is_taken(self):
        for attempt in (
            lambda: os.mkdir(self.mnt / "dir" / ".segfs"),
            lambda: os.rename(self.mnt / "a.npy", self.mnt / ".segfs"),
            lambda: os.symlink("a.npy", self.mnt / ".segfs"),
            lambda: os.link(self.mnt / "a.npy", self.mnt / ".segfs"),
            lambda: os.rename(self.mnt / ".segfs", self.mnt / "x"),
            lambda: os.rmdir(self.mnt / ".segfs"),
        ):
            with self.assertErrno(errno.EPERM, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY):
                attempt()
        self.assertTrue(self.view("info", "a.npy").exists())


class ReadOnly(ViewTest):
    def test_nothing_in_it_is_changed(self):
        self.save("a.npy", np.arange(3))
        path = self.view("info", "a.npy")
        for attempt in (
            lambda: os.open(path, os.O_WRONLY),
            lambda: os.open(path, os.O_RDWR),
            lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
            lambda: os.open(self.view("info", "new"), os.O_WRONLY | os.O_CREAT),
            lambda: os.truncate(path, 0),
            lambda: os.chmod(path, 0o666),
            lambda: os.chown(path, 1, 1),
            lambda: os.utime(path, (0, 0)),
            lambda: os.unlink(path),
            lambda: os.rename(path, self.mnt / "x"),
            lambda: os.rename(self.mnt / "a.npy", self.view("info", "y")),
            lambda: os.link(path, self.mnt / "x"),
            lambda: os.mkdir(self.view("info", "new")),
            lambda: os.setxattr(path, "user.x", b"1"),
            lambda: os.removexattr(path, "user.x"),
        ):
            with self.assertErrno(errno.EPERM):
                attempt()
        self.assertEqual(os.listdir(self.mnt), ["a.npy"])
        self.assertEqual(os.listxattr(path), [])

    def test_views_are_copied_by_ordinary_tools(self):
        array = self.save("a.npy", np.random.default_rng(1).random((30, 40)))
        run("cp", "-a", self.view(""), self.directory / "copy")  # and waits for no event
        np.testing.assert_array_equal(np.load(self.directory / "copy/npy/a.npy.npy"), array)
        self.assertIn("Shape:\t30,40", (self.directory / "copy/info/a.npy").read_text())

    def test_the_rights_of_a_segment_are_those_of_its_views(self):
        array = self.save("a.npy", np.zeros((4, 4)))
        kinds = {"info": "a.npy", "text": "a.npy", "image": "a.npy.png", "npy": "a.npy.npy"}
        code = "import os, sys; print(os.stat(sys.argv[1]).st_size); print(len(open(sys.argv[1], 'rb').read()))"
        for kind, name in kinds.items():
            path = self.view(kind, name)
            os.chmod(self.mnt / "a.npy", 0o644)
            self.assertEqual(path.stat().st_mode & 0o777, 0o444)
            self.assertGreater(int(as_user(PYTHON, "-c", code, path).split()[1]), array.nbytes // 2)
            os.chmod(self.mnt / "a.npy", 0o600)
            self.assertEqual(path.stat().st_mode & 0o777, 0o400)
            with self.assertRaises(AssertionError) as caught:
                as_user(PYTHON, "-c", code, path)
            self.assertIn("PermissionError", str(caught.exception))
            self.assertIn("\n0\n", str(caught.exception))

    def test_an_acl_gives_the_right(self):
        self.save("a.npy", np.zeros((4, 4)))
        os.chmod(self.mnt / "a.npy", 0o600)
        run("setfacl", "-m", "u:1234:r", self.mnt / "a.npy")
        self.assertIn("Shape:\t4,4", as_user("cat", self.view("info", "a.npy")))

    def test_a_closed_directory_closes_its_views(self):
        (self.mnt / "dir").mkdir()
        self.save("dir/a.npy", np.zeros(4))
        os.chmod(self.mnt / "dir", 0o700)
        for path in (self.view("list", directory="dir"), self.view("info", "a.npy", "dir")):
            with self.assertRaisesRegex(AssertionError, "Permission denied"):
                as_user("cat", path)


class Directory(ViewTest):
    def test_names_are_those_of_the_segments_that_have_such_a_view(self):
        self.save("a.npy", np.zeros((4, 4)))
        self.save("line.npy", np.zeros(4))
        (self.mnt / "raw").write_bytes(b"x")
        (self.mnt / "dir").mkdir()
        os.symlink("raw", self.mnt / "link")
        os.mkfifo(self.mnt / "fifo")
        self.assertEqual(sorted(os.listdir(self.view("info"))), ["a.npy", "line.npy", "raw"])
        self.assertEqual(sorted(os.listdir(self.view("text"))), ["a.npy", "line.npy", "raw"])
        self.assertEqual(sorted(os.listdir(self.view("npy"))), ["a.npy.npy", "line.npy.npy"])
        self.assertEqual(os.listdir(self.view("image")), ["a.npy.png"])
        for kind, name in (("image", "line.npy.png"), ("npy", "raw.npy"), ("info", "dir"), ("info", "link"), ("info", "fifo"), ("npy", "a.npy"), ("text", "none")):
            self.assertFalse(self.view(kind, name).exists(), (kind, name))

    def test_the_root_alone_has_status_metrics_and_orphans(self):
        (self.mnt / "dir").mkdir()
        self.assertEqual(sorted(os.listdir(self.view(""))), ["ctl", "events", "image", "info", "list", "metrics", "npy", "orphans", "status", "text"])
        self.assertEqual(sorted(os.listdir(self.view("", directory="dir"))), ["ctl", "events", "image", "info", "list", "npy", "text"])

    def test_odd_names(self):
        for name in ("a b", "new\nline", "tab\t", "back\\slash", "\udcff", "ü", "-n", "x" * 255):
            (self.mnt / name).write_bytes(b"x")
            self.assertIn("Kind:\traw", self.view("info", name).read_text())
            self.view("list").read_text()
            rows = self.view("list").read_bytes().splitlines()
            self.assertEqual([len(row.split()) for row in rows], [8, 8])
            self.assertEqual(os.listdir(self.view("info")), [name])
            (self.mnt / name).unlink()
        array = np.zeros((2, 2))
        self.typed("x" * 253, array)  # no room for an ending
        self.assertEqual(os.listdir(self.view("npy")), [])

    def test_many_segments_are_listed_once_each(self):
        for i in range(3000):
            (self.mnt / f"s{i}").touch()
        for kind in ("info", "text"):
            self.assertEqual(sorted(os.listdir(self.view(kind))), sorted(f"s{i}" for i in range(3000)))
        self.assertEqual(len(self.list()), 3000)
        self.assertEqual(sorted(entry.name for entry in os.scandir(self.view("info")) if entry.stat().st_mode), sorted(f"s{i}" for i in range(3000)))

    def test_a_segment_that_comes_or_goes_has_views_or_none_at_once(self):
        for _ in range(100):
            self.assertFalse(self.view("info", "x").exists())
            (self.mnt / "x").touch()
            self.assertTrue(self.view("info", "x").exists())
            os.rename(self.mnt / "x", self.mnt / "y")
            self.assertFalse(self.view("info", "x").exists())
            (self.mnt / "y").unlink()
            self.assertFalse(self.view("info", "y").exists())


class Info(ViewTest):
    def test_array(self):
        array = np.arange(12, dtype="<i2").reshape(3, 4)
        self.save("a.npy", array)
        info = self.info("a.npy")
        expected = {
            "Name": "a.npy", "Kind": "npy", "Dtype": "<i2", "Shape": "3,4", "Order": "C", "Offset": "128", "Itemsize": "2",
            "Alignment": "128", "Size": "152", "Resident": "4096", "Huge": "0", "Mode": "0644", "Uid": "0", "Gid": "0",
            "Lifetime": "keep", "Attached": "0", "Lock": "unlocked", "Sample": "12 of 12 elements", "Minimum": "0", "Maximum": "11", "Mean": "5.5",
        }
        self.assertEqual({key: info[key] for key in expected}, expected)
        self.assertRegex(info["Creator"], f"^pid {os.getpid()} uid 0 start \\d+ command python3$")

    def test_numbers_read_back_exactly(self):
        for dtype in ("f2", "f4", "f8", "i8", "u8"):
            edges = np.iinfo(dtype) if dtype[0] in "iu" else np.finfo(dtype)
            self.save("a.npy", np.array([edges.min, edges.max], dtype))
            info = self.info("a.npy")
            self.assertEqual(np.dtype(dtype).type(info["Minimum"]), edges.min)
            self.assertEqual(np.dtype(dtype).type(info["Maximum"]), edges.max)

    def test_nan_is_counted_and_left_out(self):
        self.save("a.npy", np.array([1, np.nan, 3, np.nan]))
        info = self.info("a.npy")
        self.assertEqual((info["Minimum"], info["Maximum"], info["Mean"], info["NaN"]), ("1", "3", "2", "2"))
        self.save("a.npy", np.array([np.nan]))
        self.assertNotIn("Minimum", self.info("a.npy"))

    def test_a_large_array_says_that_it_was_sampled(self):
        self.sparse("big.npy", GIB)
        info = self.info("big.npy")
        self.assertEqual(info["Sample"], f"65536 of {GIB // 8} elements")
        self.assertEqual(info["Maximum"], "3.5")
        self.assertEqual(info["Size"], str(GIB + 128))

    def test_other_kinds(self):
        (self.mnt / "raw").write_bytes(b"hello")
        self.assertEqual(self.info("raw")["Kind"], "raw")
        self.assertNotIn("Dtype", self.info("raw"))
        self.save("scalar.npy", np.float32(2.5))
        self.assertEqual((self.info("scalar.npy")["Shape"], self.info("scalar.npy")["Mean"]), ("", "2.5"))
        self.save("empty.npy", np.zeros((0, 3)))
        self.assertNotIn("Sample", self.info("empty.npy"))
        self.save("fortran.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
        self.assertEqual(self.info("fortran.npy")["Order"], "F")
        self.save("complex.npy", np.zeros(3, "c16"))
        self.assertNotIn("Sample", self.info("complex.npy"))

    def test_misalignment_is_told(self):
        self.save("packed.npy", np.zeros(4, [("a", "u1"), ("b", "<f8")]))
        self.assertIn("field b is misaligned", self.info("packed.npy")["Warning"])
        self.save("padded.npy", np.zeros(4, np.dtype([("a", "u1"), ("b", "<f8")], align=True)))
        self.assertNotIn("Warning", self.info("padded.npy"))
        header = b"\x93NUMPY\x01\x00" + (71).to_bytes(2, "little") + b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }".ljust(70) + b"\n"
        (self.mnt / "odd.npy").write_bytes(header + bytes(16))
        self.assertIn("byte 81", self.info("odd.npy")["Warning"])

    def test_who_uses_it_and_how(self):
        path = self.mnt / "a.npy"
        self.save("a.npy", np.zeros(4))
        process = self.start(
            "import mmap, os, sys, fcntl\n"
            "a = open(sys.argv[1], 'r+b'); m = mmap.mmap(a.fileno(), 0); fcntl.flock(a, fcntl.LOCK_EX)\n"
            "print(flush=True); sys.stdin.read()", path)
        process.stdout.readline()
        with open(self.store / "a.npy", "rb"):
            text = self.view("info", "a.npy").read_text()
        self.assertIn("Attached:\t2\n", text)
        self.assertIn(f"Process:\t{process.pid} python3 read write mapped open mount flock\n", text)
        self.assertIn(f"Process:\t{os.getpid()} python3 read open store\n", text)
        self.assertIn(f"Lock:\texclusive pid {process.pid} (flock)\n", text)

    def test_a_hundred_at_once_are_all_answered(self):
        self.save("a.npy", np.zeros((100, 100)))
        errors = []

        def read():
            try:
                for _ in range(2):
                    assert "Shape:\t100,100" in self.view("info", "a.npy").read_text()
                    assert "a.npy" in self.view("list").read_text()
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=read) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])


class List(ViewTest):
    def test_a_line_a_segment_by_name(self):
        self.save("b.npy", np.zeros((3, 4), "<f4"))
        self.save("c.npy", np.zeros(2, [("x", "<f4"), ("y z", "u1", (3,))]))
        self.save("scalar.npy", np.float64(1))
        self.typed("a", np.asfortranarray(np.zeros((2, 3))))
        (self.mnt / "raw data").write_bytes(b"12345")
        (self.mnt / "dir").mkdir()
        text = self.view("list").read_text()
        self.assertEqual([line.split()[0] for line in text.splitlines()], ["NAME", "a", "b.npy", "c.npy", "raw\\040data", "scalar.npy"])
        self.assertEqual(len({len(line.split()) for line in text.splitlines()}), 1)
        rows = self.list()
        self.assertEqual(rows["b.npy"], {"NAME": "b.npy", "KIND": "npy", "DTYPE": "<f4", "SHAPE": "3,4", "SIZE": "176", "LOCK": "-", "ATTACHED": "0", "LIFETIME": "keep"})
        self.assertEqual(rows["c.npy"]["DTYPE"], "[('x','<f4'),('yz','|u1',(3,))]")
        self.assertEqual((rows["scalar.npy"]["SHAPE"], rows["a"]["KIND"], rows["raw\\040data"]["KIND"]), ("()", "array", "raw"))

    def test_awk_and_column_read_it(self):
        for i in range(5):
            self.save(f"s{i}.npy", np.zeros(1 << i))
        total = run("awk", "NR > 1 { n += $5 } END { print n }", self.view("list"))
        self.assertEqual(int(total), sum(path.stat().st_size for path in self.store.iterdir()))
        self.assertEqual(run("column", "-t", self.view("list")).split(), self.view("list").read_text().split())

    def test_locks_and_users(self):
        self.save("a.npy", np.zeros(4))
        self.save("b.npy", np.zeros(4))
        process = self.start("import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print(flush=True); sys.stdin.read()", self.mnt / "a.npy")
        process.stdout.readline()
        rows = self.list()
        self.assertEqual((rows["a.npy"]["LOCK"], rows["a.npy"]["ATTACHED"]), (f"shared:{process.pid}(flock)", "1"))
        self.assertEqual((rows["b.npy"]["LOCK"], rows["b.npy"]["ATTACHED"]), ("-", "0"))

    def test_what_one_may_not_read_has_a_name_and_a_size(self):
        self.save("a.npy", np.zeros(4))
        os.chmod(self.mnt / "a.npy", 0o600)
        line = as_user("cat", self.view("list")).splitlines()[1]
        self.assertEqual(line.split(), ["a.npy", "-", "-", "-", "160", "-", "-", "-"])


class Text(ViewTest):
    def test_numpy_reads_the_same_bits(self):
        random = np.random.default_rng(5)
        bits = random.integers(0, 1 << 63, (40, 9), "u8").view("f8")
        for array in (bits, np.asfortranarray(bits), bits[0], random.integers(-(1 << 63), (1 << 63) - 1, (7, 8))):
            self.save("a.npy", array)
            got = np.loadtxt(self.view("text", "a.npy"), dtype=array.dtype)
            np.testing.assert_array_equal(got, array)

    def test_awk_and_gnuplot_read_it(self):
        array = self.save("a.npy", np.arange(12.0).reshape(4, 3) / 7)
        total = run("awk", "!/^#/ { n += $2 } END { printf \"%.17g\", n }", self.view("text", "a.npy"))
        self.assertAlmostEqual(float(total), array[:, 1].sum())
        script = f"stats '{self.view('text', 'a.npy')}' using 3 nooutput; print STATS_records, STATS_sum"
        records, total = run("gnuplot", "-e", script).split()
        self.assertEqual(int(float(records)), 4)
        self.assertAlmostEqual(float(total), array[:, 2].sum(), places=5)

    def test_gnuplot_sees_the_blocks_of_a_cube(self):
        self.save("a.npy", np.arange(24.0).reshape(2, 3, 4))
        self.assertEqual(self.view("text", "a.npy").read_text().split("\n").count(""), 2)  # one between, one at the end
        script = f"stats '{self.view('text', 'a.npy')}' using 1 every :::1 nooutput; print STATS_min"
        self.assertEqual(float(run("gnuplot", "-e", script)), 12)

    def test_structures_have_named_columns(self):
        array = self.save("a.npy", np.array([(1, 2.5, b"ab"), (2, -0.0, b"c")], [("n", "i4"), ("x", "f8"), ("name", "S3")]))
        lines = self.view("text", "a.npy").read_text().splitlines()
        self.assertEqual(lines[1].split(), ["#", "n", "x", "name"])
        got = np.loadtxt(self.view("text", "a.npy"), dtype=[("n", "i4"), ("x", "f8"), ("name", "S3")], quotechar='"')
        np.testing.assert_array_equal(got, array)

    def test_the_size_is_that_of_what_is_read(self):
        (self.mnt / "raw").write_bytes(bytes(range(256)))
        (self.mnt / "none").touch()
        for name, array in {"scalar.npy": np.float32(1.5), "empty.npy": np.zeros((3, 0)), "fortran.npy": np.asfortranarray(np.eye(3)), "c.npy": np.array([1 + 2j])}.items():
            self.save(name, array)
        for path in sorted(self.store.iterdir()):
            view = self.view("text", path.name)
            text = view.read_bytes()
            self.assertEqual(view.stat().st_size, len(text), path.name)
            self.assertEqual(run("tail", "-c", 7, view), text[-7:].decode())
            self.assertTrue(text.startswith(b"# "))
            self.assertEqual(len({len(line) for line in text.splitlines() if line and not line.startswith(b"#")} - {0}) <= 1, True, path.name)

    def test_a_gibibyte_is_read_at_any_end(self):
        self.sparse("big.npy", GIB)
        self.assertEqual(run("tail", "-n", 3, self.view("text", "big.npy")).split(), ["1.5", "2.5", "3.5"])
        self.assertEqual(run("head", "-n", 2, self.view("text", "big.npy")).splitlines()[1].split(), ["0"])
        self.assertEqual(self.view("text", "big.npy").stat().st_size, len("# dtype=<f8 shape=134217728 order=C\n") + 25 * GIB // 8)

    def test_what_others_write_is_read_next_time(self):
        array = self.typed("a", np.zeros(10))
        with open(self.view("text", "a")) as text:
            for value in range(3):
                with open(self.mnt / "a", "r+b") as file:
                    file.write(np.full(10, value, array.dtype).tobytes())
                text.seek(0)
                self.assertEqual(np.loadtxt(text).sum(), 10 * value)

    def test_a_file_cut_in_the_store_is_estale(self):
        self.typed("a", np.zeros(1000))
        with open(self.view("text", "a"), "rb") as file:
            os.truncate(self.store / "a", 100)
            with self.assertErrno(errno.ESTALE):
                os.pread(file.fileno(), 4096, 4096)


class EachOfEach(ViewTest):
    def test_every_view_of_every_kind_can_be_printed(self):
        (self.mnt / "raw").write_bytes(b"hello")
        self.save("plain.npy", np.arange(6).reshape(2, 3))
        self.save("record.npy", np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]))
        self.save("scalar.npy", np.float64(2))
        self.save("empty.npy", np.zeros((0, 4)))
        self.save("fortran.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
        self.sparse("big.npy", GIB)
        printed = {kind: sorted(os.listdir(self.view(kind))) for kind in ("info", "text", "image", "npy")}
        self.assertEqual([len(names) for names in printed.values()], [7, 7, 2, 6])
        for kind, names in printed.items():
            for name in names:
                head = subprocess.run(f"cat '{self.view(kind, name)}' | head -c 100000", shell=True, capture_output=True, check=True)
                self.assertEqual((head.stderr, len(head.stdout) > 0), (b"", True), (kind, name))
        for name in ("list", "status", "metrics", "orphans"):
            self.assertNotEqual(run("cat", self.view(name)), "")


class Npy(ViewTest):
    def arrays(self):
        random = np.random.default_rng(7)
        yield random.random((30, 7))
        yield np.asfortranarray(random.random((30, 7)))
        yield random.integers(0, 255, (3, 4, 5), "u1")
        yield np.float32(3.5)
        yield np.zeros((0, 3), ">i2")
        yield np.array([(1, 2.5, b"ab")], [("a", "u1"), ("b", "<f8"), ("c", "S3")])
        yield np.array(["2026-11-23"], "M8[D]")

    def test_loads_as_the_array(self):
        for array in self.arrays():
            self.save("a.npy", array)
            self.assertEqual(self.view("npy", "a.npy.npy").read_bytes(), (self.mnt / "a.npy").read_bytes())
            for mode in (None, "r"):
                got = np.load(self.view("npy", "a.npy.npy"), mmap_mode=None if array.size == 0 else mode)
                np.testing.assert_array_equal(got, array)
                self.assertEqual((got.dtype, got.flags.f_contiguous), (array.dtype, np.asarray(array).flags.f_contiguous))
                del got
            (self.mnt / "a.npy").unlink()

    def test_an_array_at_an_offset_of_a_segment(self):
        path = self.mnt / "x"
        path.write_bytes(bytes(4096) + np.arange(6.0).tobytes())
        for key, value in (("dtype", "<f8"), ("offset", "4096"), ("shape", "2,3")):
            os.setxattr(path, f"user.shm.{key}", value.encode())
        np.testing.assert_array_equal(np.load(self.view("npy", "x.npy")), np.arange(6.0).reshape(2, 3))

    def test_any_part_of_it_can_be_read(self):
        array = self.typed("x", np.arange(1000))
        whole = self.view("npy", "x.npy").read_bytes()
        self.assertEqual(len(whole), self.view("npy", "x.npy").stat().st_size)
        np.testing.assert_array_equal(np.load(io.BytesIO(whole)), array)
        with open(self.view("npy", "x.npy"), "rb") as file:
            for at in (0, 1, 100, 127, 128, 129, 4095, len(whole) - 1, len(whole), len(whole) + 5):
                for n in (1, 2, 200, 5000):
                    self.assertEqual(os.pread(file.fileno(), n, at), whole[at : at + n])

    def test_a_later_open_shows_later_data(self):
        self.typed("x", np.zeros(1000))
        for mode in (None, "r"):
            for value in range(3):
                with open(self.mnt / "x", "r+b") as file:
                    file.write(np.full(1000, value, "f8").tobytes())
                self.assertEqual(np.load(self.view("npy", "x.npy"), mmap_mode=mode)[-1], value)

    def test_a_gibibyte(self):
        self.sparse("big.npy", GIB)
        got = np.load(self.view("npy", "big.npy.npy"), mmap_mode="r")
        self.assertEqual((got.shape, list(got[-3:]), got[0]), ((GIB // 8,), [1.5, 2.5, 3.5], 0))
        for first in (0, GIB // 2, GIB - (1 << 20)):
            run("cmp", "-i", first, "-n", 1 << 20, self.mnt / "big.npy", self.view("npy", "big.npy.npy"))

    def test_a_file_cut_in_the_store_is_short_or_stale_and_kills_nobody(self):
        self.typed("x", np.zeros(1000))
        with open(self.view("npy", "x.npy"), "rb") as file:
            os.truncate(self.store / "x", 100)
            self.assertEqual(len(os.pread(file.fileno(), 8192, 0)), 228)


class Pictures(ViewTest):
    def picture(self):
        """Something with edges, gradients and noise in each channel, and an odd width."""
        y, x = np.mgrid[0:241, 0:323]
        image = np.stack([x % 256, y % 256, (x * y) % 251, (x ^ y) % 256], axis=-1).astype("u1")
        image[50:100, 60:90, :3] = np.random.default_rng(3).integers(0, 256, (50, 30, 3), "u1")
        return image

    def pixels(self, name):
        path = self.view("image", f"{name}.png")
        self.assertEqual(len(path.read_bytes()), path.stat().st_size)
        return np.asarray(Image.open(path))

    def test_bytes_are_the_picture_pixel_for_pixel(self):
        image = self.picture()
        for channels in (image, image[..., :3], image[..., 0]):
            for order in "CF":
                array = np.array(channels, order=order)
                self.save("a.npy", array)
                np.testing.assert_array_equal(self.pixels("a.npy"), array)
                self.typed("b", array)
                np.testing.assert_array_equal(self.pixels("b"), array)
                (self.mnt / "b").unlink()

    def test_a_photograph_decoded_and_encoded_again_is_the_same(self):
        """From a file of another program's making, through an array and back by a third."""
        source = self.directory / "photo.png"
        Image.fromarray(self.picture()[..., :3]).save(source, optimize=True)
        self.save("photo.npy", np.asarray(Image.open(source)))
        np.testing.assert_array_equal(self.pixels("photo.npy"), np.asarray(Image.open(source)))

    def test_numbers_are_grey_between_their_extremes(self):
        array = np.linspace(-3, 5, 35).reshape(5, 7)
        expected = np.floor((array + 3) / 8 * 255 + 0.5).astype("u1")
        for dtype in ("f8", ">f4"):
            self.save("a.npy", array.astype(dtype))
            np.testing.assert_allclose(self.pixels("a.npy").astype(int), expected, atol=1)
        self.save("a.npy", np.array([[np.nan, 0], [np.inf, 10]]))
        np.testing.assert_array_equal(self.pixels("a.npy"), [[0, 0], [255, 255]])

    def test_each_open_shows_the_frame_of_that_moment(self):
        path = self.mnt / "camera.npy"
        self.save("camera.npy", np.zeros((48, 64, 3), "u1"))
        frame = np.load(path, mmap_mode="r+")
        for value in range(20):
            frame[:] = value
            self.assertTrue((self.pixels("camera.npy") == value).all())

    def test_more_than_they_may_hold_is_enomem_and_frees_itself(self):
        self.save("large.npy", np.zeros((4096, 4096, 4), "u1"))
        files = []
        with self.assertErrno(errno.ENOMEM):
            for _ in range(20):
                files.append(open(self.view("image", "large.npy.png"), "rb"))
        self.assertGreater(len(files), 3)
        for file in files:
            file.close()
        eventually(lambda: self.opens("large.npy.png"))

    def opens(self, name):
        try:
            self.view("image", name).open("rb").close()
        except OSError:
            return False
        return True


class Status(ViewTest):
    def test_status_tells_how_the_daemon_is(self):
        lines = dict(line.split(":\t") for line in self.view("status").read_text().splitlines())
        self.assertEqual((lines["Store"], lines["Mountpoint"], lines["Pid"]), (str(self.store), str(self.mnt), str(self.daemon.process.pid)))
        self.assertEqual(lines["Version"], run(os.environ["SEGFS"], "--version").split()[1])
        self.assertIn("passthrough", lines["Features"])
        before = int(lines["RequestsLOOKUP"])
        self.assertFalse((self.mnt / "none").exists())
        lines = dict(line.split(":\t") for line in self.view("status").read_text().splitlines())
        self.assertGreater(int(lines["RequestsLOOKUP"]), before)

    def test_metrics_are_prometheus(self):
        text = self.view("metrics").read_text()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        self.assertEqual(families["segfs_build_info"].samples[0].labels["store"], str(self.store))
        requests = {sample.labels["opcode"]: sample.value for sample in families["segfs_requests"].samples}
        self.assertGreater(requests["LOOKUP"], 0)
        self.assertEqual(families["segfs_requests"].type, "counter")

    @unittest.skipUnless(shutil.which("promtool"), "no promtool here")
    def test_promtool_has_no_complaint(self):
        with open(self.view("metrics")) as metrics:
            self.assertEqual(run("promtool", "check", "metrics", stdin=metrics), "")

    def test_everybody_reads_them(self):
        for name in ("status", "metrics", "orphans", "list"):
            self.assertNotEqual(as_user("cat", self.view(name)), "")


class Orphans(ViewTest):
    def orphans(self):
        rows = [line.split() for line in self.view("orphans").read_text().splitlines()]
        return {row[0]: dict(zip(rows[0], row)) for row in rows[1:]}

    def test_what_nobody_has_attached(self):
        (self.mnt / "dir").mkdir()
        self.save("used.npy", np.zeros(4))
        self.save("dir/left.npy", np.zeros(4))
        process = self.start("import sys; open(sys.argv[1], 'wb').write(b'xy')", self.mnt / "ended")
        process.wait()
        with open(self.mnt / "used.npy", "rb"):
            rows = self.orphans()
            self.assertEqual(sorted(rows), ["dir/left.npy", "ended"])
        self.assertEqual((rows["ended"]["SIZE"], rows["ended"]["CREATOR"], rows["ended"]["LIFETIME"]), ("2", f"{process.pid}:python3(ended)", "keep"))
        self.assertEqual(rows["dir/left.npy"]["CREATOR"], f"{os.getpid()}:python3")
        self.assertRegex(rows["ended"]["AGE"], r"^0m\d\ds$")
        self.assertIn("used.npy", self.orphans())

    def test_of_others_only_what_one_may_see(self):
        (self.mnt / "closed").mkdir(mode=0o700)
        self.save("closed/a.npy", np.zeros(4))
        self.save("b.npy", np.zeros(4))
        os.chmod(self.mnt / "b.npy", 0o600)
        lines = as_user("cat", self.view("orphans")).splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["NAME", "b.npy"])
        self.assertEqual(lines[1].split()[4], "-")


if __name__ == "__main__":
    main()
