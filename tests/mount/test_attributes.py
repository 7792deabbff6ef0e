"""user.shm.*: what they say, what may be set, and what is refused."""

import errno
import os
import subprocess

import numpy as np

from harness import MountTest, main, run

EMPTY = b""


def get(path, name):
    return os.getxattr(path, f"user.shm.{name}").decode()


def put(path, name, value):
    os.setxattr(path, f"user.shm.{name}", value.encode())


def listed(path):
    return {name[len("user.shm."):] for name in os.listxattr(path) if name.startswith("user.shm.")}


class Attributes(MountTest):
    def segment(self, size, name="x"):
        path = self.mnt / name
        path.write_bytes(bytes(size))
        return path

    def test_raw_segment_has_kind_lock_and_creator(self):
        path = self.segment(100)
        self.assertEqual(listed(path), {"kind", "lock", "creator", "version"})
        self.assertEqual(get(path, "kind"), "raw")
        self.assertEqual(get(path, "lock"), "unlocked")
        self.assertIn(f"pid {os.getpid()} uid 0 start ", get(path, "creator"))
        self.assertTrue(get(path, "creator").endswith(" command python3"))

    def test_two_attributes_make_an_array(self):
        path = self.segment(96)
        put(path, "dtype", "float64")
        self.assertEqual(get(path, "kind"), "raw")
        put(path, "shape", "(3, 4)")
        self.assertEqual([get(path, name) for name in ("kind", "dtype", "shape", "order", "offset")], ["array", "<f8", "3,4", "C", "0"])
        self.assertEqual(os.getxattr(self.store / "x", "user.shm.dtype"), b"<f8")

    def test_typing_an_empty_segment_sizes_and_reserves_it(self):
        path = self.segment(0)
        put(path, "dtype", "f4")
        put(path, "shape", "1000,1000")
        self.assertEqual(path.stat().st_size, 4_000_000)
        self.assertGreaterEqual(path.stat().st_blocks * 512, 4_000_000)

    def test_typing_more_than_the_store_has_is_enospc_and_changes_nothing(self):
        path = self.segment(0)
        put(path, "dtype", "f8")
        with self.assertErrno(errno.ENOSPC):
            put(path, "shape", "1000000000")
        self.assertEqual(path.stat().st_size, 0)
        self.assertEqual(path.stat().st_blocks, 0)
        self.assertNotIn("shape", listed(path))

    def test_values_that_make_no_sense_are_einval_and_change_nothing(self):
        path = self.segment(96)
        put(path, "dtype", "<f8")
        put(path, "shape", "3,4")
        for name, value in [("dtype", "f9"), ("dtype", "O"), ("dtype", "object"), ("dtype", "[('a', '|O')]"), ("dtype", ""),
                            ("dtype", "<i2x"), ("shape", "3,5"), ("shape", "-1"), ("shape", "3;4"), ("shape", "99999999999999999999"),
                            ("shape", "4294967296,4294967296,4294967296"), ("order", "K"), ("order", ""), ("offset", "4"),
                            ("offset", "8"), ("offset", "-8"), ("offset", "x"), ("offset", "18446744073709551616")]:
            with self.subTest(name=name, value=value), self.assertErrno(errno.EINVAL):
                put(path, name, value)
        self.assertEqual((get(path, "dtype"), get(path, "shape"), get(path, "offset")), ("<f8", "3,4", "0"))

    def test_a_structured_dtype_maps_in_numpy(self):
        dtype = np.dtype([("id", "<u4"), ("pos", "<f8", (3,)), ("tag", "S4"), ("sub", [("a", "<i2"), ("b", ">f4")])])
        path = self.segment(0)
        put(path, "dtype", str(np.lib.format.dtype_to_descr(dtype)))
        put(path, "shape", "10")
        self.assertEqual(np.dtype(eval(get(path, "dtype"))), dtype)
        array = np.memmap(path, dtype=dtype, shape=(10,), mode="r+")
        array["pos"][3] = 1, 2, 3
        self.assertEqual(np.memmap(self.store / "x", dtype=dtype, mode="r")["pos"][3].tolist(), [1, 2, 3])

    def test_npy_files_are_typed_by_their_header(self):
        arrays = {"c": np.arange(12.0).reshape(3, 4), "f": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
                  "zero": np.array(5.0), "empty": np.zeros((0, 3), "u1"), "dates": np.zeros(3, "M8[ns]")}
        for name, array in arrays.items():
            for version in ((1, 0), (2, 0), (3, 0)):
                with self.subTest(name=name, version=version):
                    path = self.mnt / f"{name}.npy"
                    with open(path, "wb") as file:
                        np.lib.format.write_array(file, array, version=version)
                    self.assertEqual(get(path, "kind"), "npy")
                    self.assertEqual(get(path, "dtype"), array.dtype.str)
                    self.assertEqual(get(path, "shape"), ",".join(map(str, array.shape)))
                    self.assertEqual(get(path, "order"), "F" if name == "f" else "C")
                    with open(path, "rb") as file:
                        np.lib.format.read_magic(file)
                        np.lib.format._read_array_header(file, version)
                        self.assertEqual(get(path, "offset"), str(file.tell()))

    def test_what_a_header_says_can_be_said_again_but_not_changed(self):
        path = self.mnt / "x.npy"
        np.save(path, np.zeros((2, 3)))
        put(path, "dtype", "float64")
        put(path, "shape", "(2, 3)")
        for name, value in [("dtype", "f4"), ("shape", "6"), ("order", "F"), ("offset", "0")]:
            with self.subTest(name=name), self.assertErrno(errno.EINVAL):
                put(path, name, value)

    def test_an_object_array_is_no_segment(self):
        path = self.mnt / "x.npy"
        np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
        self.assertEqual(get(path, "kind"), "raw")
        with self.assertErrno(errno.ENODATA):
            get(path, "dtype")

    def test_a_lying_header_is_no_description(self):
        for text in (b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000,), }".ljust(117) + b"\n",
                     b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x09\x00\x10\x00" + bytes(100), b"\x93NUMPY", b"\x93"):
            path = self.mnt / "x"
            path.write_bytes(text)
            self.assertEqual(get(path, "kind"), "raw")

    def test_attributes_written_past_the_mount_are_checked_when_read(self):
        path = self.segment(8)
        os.setxattr(self.store / "x", "user.shm.dtype", b"<f8")
        os.setxattr(self.store / "x", "user.shm.shape", b"1000")
        self.assertEqual(get(path, "kind"), "raw")
        os.setxattr(self.store / "x", "user.shm.shape", b"1")
        self.assertEqual(get(path, "kind"), "array")
        os.setxattr(self.store / "x", "user.shm.lock", b"nonsense")
        self.assertEqual(get(path, "lock"), "unlocked")
        self.assertEqual(os.listxattr(path).count("user.shm.lock"), 1)

    def test_live_attributes_cannot_be_set(self):
        path = self.segment(8)
        for name, value in [("lock", "exclusive"), ("kind", "fast"), ("attached", "me"), ("creator", "nobody")]:
            with self.subTest(name=name), self.assertErrno(errno.EOPNOTSUPP):
                put(path, name, value)

    def test_removing_a_live_attribute_does_nothing(self):
        """rsync -X removes from a copy what the original lacks."""
        path = self.segment(8)
        os.removexattr(path, "user.shm.lock")
        self.assertEqual(get(path, "lock"), "unlocked")

    def test_what_a_live_attribute_reports_is_accepted_and_discarded(self):
        path = self.segment(8)
        put(path, "lock", "exclusive pid 1 (flock)")
        self.assertEqual(get(path, "lock"), "unlocked")
        with self.assertErrno(errno.ENODATA):
            os.getxattr(self.store / "x", "user.shm.lock")

    def test_buffer_sizes(self):
        path = self.segment(0)
        put(path, "dtype", "[('a', '<f4'), ('b', '<f4')]")
        output = run("getfattr", "-n", "user.shm.dtype", "--only-values", "--absolute-names", path)
        self.assertEqual(output, "[('a', '<f4'), ('b', '<f4')]")
        script = "import ctypes, sys; l = ctypes.CDLL(None, use_errno=True); b = ctypes.create_string_buffer(3); print(l.getxattr(sys.argv[1].encode(), b'user.shm.dtype', b, 3), ctypes.get_errno())"
        self.assertEqual(run("/usr/bin/python3", "-c", script, path).split(), ["-1", str(errno.ERANGE)])

    def test_other_attributes_are_the_stores(self):
        path = self.segment(8)
        os.setxattr(path, "user.note", b"hello")
        os.setxattr(path, "user.shm.mine", b"1")
        os.setxattr(path, "trusted.note", b"root")
        self.assertEqual(os.getxattr(self.store / "x", "user.note"), b"hello")
        self.assertEqual(os.getxattr(self.store / "x", "trusted.note"), b"root")
        self.assertNotIn("trusted.segfs.creator", os.listxattr(path))
        with self.assertErrno(errno.EPERM):
            os.setxattr(path, "trusted.segfs.creator", b"me")

    def test_a_copied_file_has_another_creator(self):
        path = self.segment(8)
        run("cp", "-a", self.store / "x", self.store / "y")
        with self.assertErrno(errno.ENODATA):
            get(self.mnt / "y", "creator")

    def test_whoever_may_not_read_learns_nothing(self):
        path = self.segment(96)
        put(path, "dtype", "f8")
        put(path, "shape", "12")
        path.chmod(0o600)
        script = "import os, sys\nfor n in ('dtype', 'kind', 'lock', 'attached'):\n    try: os.getxattr(sys.argv[1], 'user.shm.' + n); print('read', n)\n    except OSError as e: print(e.errno)"
        done = subprocess.run(["/usr/bin/python3", "-c", script, path], user=20001, group=20001, extra_groups=[], text=True, capture_output=True)
        self.assertEqual(done.stdout.split(), [str(errno.EACCES)] * 4, done.stderr)

    def test_directories_and_links_have_none(self):
        (self.mnt / "d").mkdir()
        (self.mnt / "l").symlink_to("d")
        self.assertEqual(listed(self.mnt / "d"), set())
        self.assertEqual(os.listxattr(self.mnt / "l", follow_symlinks=False), [])


if __name__ == "__main__":
    main()
