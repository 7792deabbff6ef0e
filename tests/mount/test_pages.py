"""The mount's mapping and the store's are the same physical pages, whoever made the segment; and the main job, as numpy does it."""

import mmap
import os
import struct

import numpy as np

from harness import PYTHON, MountTest, eventually, main, run

PAGE = mmap.PAGESIZE


def frames(path, n):
    """Frame numbers of the first n pages of a file, read through a mapping of it."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), n * PAGE) as mapping:
        view = np.frombuffer(mapping, "u1")
        view[::PAGE].sum()  # fault each page in
        address = view.ctypes.data
        with open("/proc/self/pagemap", "rb") as pagemap:
            pagemap.seek(address // PAGE * 8)
            entries = struct.unpack(f"{n}Q", pagemap.read(n * 8))
        del view
    assert all(entry >> 63 for entry in entries), "a page is not present"
    return [entry & ((1 << 55) - 1) for entry in entries]


class Pages(MountTest):
    def check_same_frames(self, made_in):
        (made_in / "x").write_bytes(os.urandom(64 * PAGE))
        store, mount = frames(self.store / "x", 64), frames(self.mnt / "x", 64)
        self.assertGreater(min(store), 0)
        self.assertEqual(len(set(store)), 64)
        self.assertEqual(store, mount)

    def test_segment_made_in_the_store_has_the_same_frames(self):
        self.check_same_frames(self.store)

    def test_segment_made_in_the_mount_has_the_same_frames(self):
        self.check_same_frames(self.mnt)

    def test_numpy_shares_an_array_between_processes_by_path(self):
        run(PYTHON, "-c", f"import numpy as np; a = np.lib.format.open_memmap('{self.mnt}/x.npy', 'w+', 'f8', (1000, 1000)); a[:] = 1")
        array = np.load(self.mnt / "x.npy", mmap_mode="r+")
        run(PYTHON, "-c", f"import numpy as np; a = np.load('{self.mnt}/x.npy', mmap_mode='r+'); a[3, 4] = 42")
        self.assertEqual(array[3, 4], 42)
        self.assertEqual(np.load(self.store / "x.npy", mmap_mode="r")[3, 4], 42)
        listing = run("getfattr", "-d", "-m", "user.shm", "--absolute-names", self.mnt / "x.npy")
        for line in ('user.shm.dtype="<f8"', 'user.shm.shape="1000,1000"', 'user.shm.kind="npy"', 'user.shm.lock="unlocked"'):
            self.assertIn(line, listing)

    def test_mapping_sees_writes_and_writes_see_mappings(self):
        path = self.mnt / "x"
        path.write_bytes(bytes(2 * PAGE))
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 2 * PAGE) as mapping:
            file.seek(PAGE)
            file.write(b"written")
            file.flush()
            self.assertEqual(mapping[PAGE : PAGE + 7], b"written")
            mapping[0:6] = b"mapped"
            self.assertEqual(os.pread(file.fileno(), 6, 0), b"mapped")
            self.assertEqual((self.store / "x").read_bytes()[:6], b"mapped")

    def test_private_and_readonly_mappings(self):
        path = self.mnt / "x"
        path.write_bytes(b"a" * PAGE)
        with open(path, "rb") as file:
            with mmap.mmap(file.fileno(), PAGE, access=mmap.ACCESS_COPY) as private:
                private[0:1] = b"b"
            with self.assertRaises(PermissionError):
                mmap.mmap(file.fileno(), PAGE, access=mmap.ACCESS_WRITE)
        self.assertEqual(path.read_bytes()[:1], b"a")

    def test_mapping_outlives_name_and_descriptor(self):
        path = self.mnt / "x"
        path.write_bytes(b"a" * PAGE)
        with open(path, "r+b") as file:
            mapping = mmap.mmap(file.fileno(), PAGE)
        path.unlink()
        self.assertEqual(mapping[:1], b"a")
        mapping[0:1] = b"b"
        mapping.close()

    def test_memory_of_an_unlinked_segment_comes_back(self):
        free = os.statvfs(self.store).f_bfree
        for _ in range(3):
            path = self.mnt / "x"
            path.write_bytes(bytes(8 << 20))
            path.unlink()
        for _ in range(3):
            (self.mnt / "y").write_bytes(bytes(8 << 20))
            (self.store / "y").unlink()
        eventually(lambda: os.statvfs(self.store).f_bfree == free, what="the memory's return")


if __name__ == "__main__":
    main()
