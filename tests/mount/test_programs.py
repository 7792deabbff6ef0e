"""Real programs: what they do on a plain tmpfs they do on the mount, with the same outcome, contents and metadata."""

import collections
import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess

import numpy as np

from harness import PYTHON, TwinTest, main, run

# Computed when read, and so not the same for two files: a copy may carry what they said, but it says nothing.
LIVE = {f"user.shm.{name}" for name in ("attached", "creator", "huge", "kind", "lock", "version")} | {"trusted.segfs.creator"}
TIME = 1_000_000_000_123_456_789  # of no file that a test makes by accident


def attributes(path):
    names = set(os.listxattr(path, follow_symlinks=False)) - LIVE
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def look(root):
    """Everything about a tree that a copy should keep, by relative path."""
    first_name, found = {}, {}
    for path in sorted([root, *root.rglob("*")]):
        st, name = path.lstat(), str(path.relative_to(root))
        is_directory, is_file = stat.S_ISDIR(st.st_mode), stat.S_ISREG(st.st_mode)
        found[name] = {
            "mode": stat.filemode(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "mtime": st.st_mtime_ns, "attributes": attributes(path),
            "links": st.st_nlink, "same file as": None if is_directory else first_name.setdefault(st.st_ino, name),
        }
        if stat.S_ISLNK(st.st_mode):
            found[name]["target"] = os.readlink(path)
        elif is_file:
            found[name].update(size=st.st_size, blocks=st.st_blocks, contents=hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def make_tree(root):
    """A bit of everything that a directory can hold."""
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "read-only").mkdir()
    (root / "big").write_bytes(os.urandom(1_000_000))
    (root / "empty").touch()
    (root / "small").write_bytes(b"small")
    (root / "read-only" / "file").write_bytes(b"read-only")
    with open(root / "sparse", "wb") as file:
        file.truncate(10_000_000)
        os.pwrite(file.fileno(), b"island", 5_000_000)
    for name in ("hard link", "folder/hard link"):
        os.link(root / "small", root / name)
    for name, target in {"link": "small", "folder link": "folder", "dangling": "/no/such/file", "long": "x/" * 1000}.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "folder" / "socket"))
    (root / "naïve ★\n\t'\"").write_bytes(b"a name to trip over")
    os.setxattr(root / "small", "user.note", b"hello")
    os.setxattr(root / "small", "user.binary", bytes(range(256)))
    os.setxattr(root / "small", "trusted.note", b"root's")
    os.setxattr(root / "folder", "user.note", b"a folder's")
    for name, value in {"dtype": b"<f8", "shape": b"1000,125", "order": b"C", "offset": b"0"}.items():
        os.setxattr(root / "big", f"user.shm.{name}", value)
    run("setfacl", "-m", "u:20001:r,g:20002:rw", root / "big", root / "folder")
    run("setfacl", "-d", "-m", "u:20001:rx", root / "folder" / "deep")
    os.chown(root / "empty", 20001, 20002)
    os.chown(root / "link", 20001, 20002, follow_symlinks=False)
    for name, mode in {"big": 0o4750, "small": 0o640, "fifo": 0o622, "folder": 0o2775, "folder/deep": 0o1777, "empty": 0o000,
                       "read-only/file": 0o444, "read-only": 0o555}.items():
        (root / name).chmod(mode)
    for number, path in enumerate([*sorted(root.rglob("*"), reverse=True), root]):
        os.utime(path, ns=(TIME, TIME - number * 1_000_000_007), follow_symlinks=False)


class ProgramTest(TwinTest):
    def need(self, *programs):
        for program in programs:
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")

    def quietly(self, *command, **options):
        """Run a command that must succeed with nothing to complain of. Returns what it writes."""
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), " ".join(map(str, command)))
        return done.stdout

    def assert_same_tree(self, one, two):
        one, two = look(one), look(two)
        self.assertEqual(list(one), list(two))
        for name in one:
            with self.subTest(file=name):
                self.assertEqual(one[name], two[name])


class Copies(ProgramTest):
    """Each copies a tree onto the mount, within it, and from it; and beside that on the plain tmpfs only."""

    def setUp(self):
        super().setUp()
        self.source = self.plain / "source"
        self.source.mkdir()
        make_tree(self.source)

    def check(self, copy):
        copy(self.source, self.plain / "expected")
        copy(self.source, self.mnt / "onto")
        copy(self.mnt / "onto", self.mnt / "within")
        copy(self.mnt / "within", self.plain / "from")
        self.assert_same_tree(self.plain / "expected", self.mnt / "onto")
        copy(self.plain / "expected", self.plain / "expected again")  # what it does not keep the first time it may the second
        self.assert_same_tree(self.plain / "expected again", self.mnt / "within")
        copy(self.plain / "expected again", self.plain / "expected once more")
        self.assert_same_tree(self.plain / "expected once more", self.plain / "from")
        self.assert_same_tree(self.store / "onto", self.mnt / "onto")

    def test_cp(self):
        self.check(lambda one, two: self.quietly("cp", "-a", one, two))
        self.assert_same_tree(self.source, self.plain / "from")

    def test_cp_over_what_is_there(self):
        for _ in range(2):
            self.quietly("cp", "-aT", self.source, self.mnt / "onto")
        self.assert_same_tree(self.source, self.mnt / "onto")

    def test_cp_reflink_and_sparse(self):
        for option in ("--reflink=auto", "--reflink=never", "--sparse=always", "--sparse=never"):
            with self.subTest(option):
                self.quietly("cp", option, self.source / "sparse", self.plain / "copy")
                self.quietly("cp", option, self.source / "sparse", self.mnt / "onto")
                self.quietly("cp", option, self.mnt / "onto", self.mnt / "within")
                for name in ("onto", "within"):
                    self.assertEqual((self.mnt / name).stat().st_blocks, (self.plain / "copy").stat().st_blocks)
                    self.assertEqual((self.mnt / name).read_bytes(), (self.source / "sparse").read_bytes())

    def rsync(self, *options):
        self.need("rsync")

        def copy(one, two):
            self.quietly("rsync", *options, f"{one}/", two)
            again = self.quietly("rsync", "--itemize-changes", *options, f"{one}/", two)
            # Live attributes are never equal, so each file is listed with an x; nothing but that may be new.
            changes = [line for line in again.splitlines() if not re.match(r"[.h][fdLDS]\.{8}x", line)]
            self.assertEqual([line for line in changes if line[0] in "<>ch*"], [], "transferred a second time")

        return copy

    def test_rsync(self):
        self.check(self.rsync("-aX"))

    def test_rsync_with_hard_links_and_acls(self):
        """(Through an empty hard link, -H tells of a link made each time; the tree has none.)"""
        self.check(self.rsync("-aXAHS"))

    def test_rsync_in_place(self):
        self.check(self.rsync("-a", "--inplace"))

    def tar(self, *options):
        self.need("tar")

        def copy(one, two):
            two.mkdir()
            archive = two.parent / "archive.tar"
            self.quietly("tar", *options, "--sort=name", "--exclude=socket", "-C", one, "-cf", archive, ".")
            self.quietly("tar", *options, "-C", two, "-xpf", archive)
            self.quietly("tar", *options, "-C", two, "-df", archive)
            archive.unlink()

        return copy

    def test_tar(self):
        self.check(self.tar("--xattrs", "--xattrs-include=*", "--acls"))

    def test_tar_sparse(self):
        self.check(self.tar("-S"))


class TypedSegments(ProgramTest):
    """A typed segment is one after its journey, too, with nothing said on stderr."""

    def setUp(self):
        super().setUp()
        self.source = self.mnt / "source"
        self.source.mkdir()
        np.save(self.source / "a.npy", np.arange(12.0).reshape(3, 4))
        np.save(self.source / "fortran.npy", np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)))
        self.typed("array", bytes(96), dtype="<f8", shape="3,4")
        self.typed("with offset", bytes(64 + 96), dtype="<f8", offset="64", shape="3,4", order="F")
        self.typed("longer than its array", b"x" * 100, dtype="<f8", shape="3,4")
        self.typed("empty array", b"", dtype="<f8", shape="0,4")
        self.typed("half typed", b"x" * 100, dtype="<f8")
        for path in (*self.source.iterdir(), self.source):
            os.utime(path, ns=(TIME, TIME))  # rsync leaves two times of one second as they are

    def typed(self, name, data, **attributes):
        (self.source / name).write_bytes(data)
        for attribute, value in attributes.items():
            os.setxattr(self.source / name, f"user.shm.{attribute}", value.encode())

    def check(self, copy):
        copy(self.source, self.mnt / "within")
        copy(self.source, self.plain / "from")
        copy(self.plain / "from", self.mnt / "back")
        for name in ("within", "back"):
            self.assert_same_tree(self.source, self.mnt / name)

    def test_cp(self):
        self.check(lambda one, two: self.quietly("cp", "-a", one, two))

    def test_rsync(self):
        self.need("rsync")
        self.check(lambda one, two: self.quietly("rsync", "-aX", f"{one}/", two))

    def test_tar(self):
        def copy(one, two):
            two.mkdir()
            archive = self.plain / "archive.tar"
            self.quietly("tar", "--xattrs", "--xattrs-include=*", "-C", one, "-cf", archive, ".")
            self.quietly("tar", "--xattrs", "--xattrs-include=*", "-C", two, "-xpf", archive)

        self.check(copy)

    def test_mv(self):
        before = look(self.source)
        for target in (self.plain / "moved", self.mnt / "back"):
            self.quietly("mv", self.source, target)
            self.source = target
        self.assertEqual(look(self.source), before)


class Moves(ProgramTest):
    def setUp(self):
        super().setUp()
        self.source = self.plain / "source"
        self.source.mkdir()
        make_tree(self.source)
        self.before = look(self.source)

    def test_onto_the_mount_within_it_and_from_it(self):
        places = [self.source, self.mnt / "onto", self.mnt / "within", self.plain / "from"]
        for one, two in zip(places, places[1:]):
            self.quietly("mv", one, two)
            self.assertFalse(one.exists())
            self.assertEqual(look(two), self.before)

    def test_within_the_mount_nothing_is_copied(self):
        self.quietly("cp", "-a", self.source, self.mnt / "one")
        (self.mnt / "folder").mkdir()
        before = {path.relative_to(self.mnt / "one"): path.lstat().st_ino for path in (self.mnt / "one").rglob("*")}
        self.quietly("mv", self.mnt / "one", self.mnt / "folder" / "two")
        after = {path.relative_to(self.mnt / "folder" / "two"): path.lstat().st_ino for path in (self.mnt / "folder" / "two").rglob("*")}
        self.assertEqual(before, after)

    def test_over_what_is_there(self):
        for root in (self.plain, self.mnt):
            (root / "one").write_bytes(b"one")
            (root / "two").write_bytes(b"two")
            self.quietly("mv", "-n", "one", "two", cwd=root)
            self.assertEqual((root / "two").read_bytes(), b"two")
            self.quietly("mv", "-b", "one", "two", cwd=root)
            self.assertEqual([(root / name).read_bytes() for name in ("two", "two~")], [b"one", b"two"])
            self.quietly("mv", "two~", "two", cwd=root)
            self.assertEqual(sorted(path.name for path in root.iterdir() if path.name != "source"), ["two"])


class Listings(ProgramTest):
    """The same tree seen at the store and through the mount: the same words in the same order."""

    def setUp(self):
        super().setUp()
        make_tree(self.store)
        for number in range(500):
            (self.mnt / f"segment-{number}").touch()
        self.quietly("find", ".", "-printf", "%l", "-type", "f", "-exec", "sha256sum", "{}", "+", cwd=self.mnt)  # sets each access time, once

    def check(self, *command):
        self.need(command[0])
        self.assertEqual(self.quietly(*command, cwd=self.mnt), self.quietly(*command, cwd=self.store))

    def test_find(self):
        self.check("find", ".", "-mindepth", "1", "-printf", r"%P %y %m %U %G %n %s %b %i %l %T@ %A@ %C@\n")
        self.check("find", "-L", ".", "-type", "l")
        self.check("find", ".", "-newer", "small", "-size", "-2", "-links", "-3", "-perm", "-u+r")
        self.check("find", ".", "-type", "f", "-exec", "sha256sum", "{}", "+")
        self.check("find", ".", "-samefile", "small")

    def test_find_delete(self):
        self.quietly("find", ".", "-mindepth", "1", "-delete", cwd=self.mnt)
        self.assertEqual(os.listdir(self.store), [])

    def test_du(self):
        self.check("du", "-a")
        self.check("du", "-ab")
        self.check("du", "-ah", "--inodes", "--time", "--time-style=full-iso")

    def test_ls(self):
        self.check("ls", "-lR", "--time-style=full-iso")
        self.check("ls", "-U")
        self.check("ls", "-ltu", "--time-style=full-iso")
        self.check("ls", "-lSh", "--time-style=full-iso")

    def test_getfacl(self):
        self.check("getfacl", "-R", ".")

    def test_stat_of_the_file_system(self):
        self.check("stat", "-f", "-c", "%a %b %c %d %f %l %s %S", ".")

    def test_rm(self):
        self.quietly("sh", "-c", "rm -r ./*", cwd=self.mnt)
        self.assertEqual(os.listdir(self.store), [])


class Databases(ProgramTest):
    def sqlite(self, root, script):
        return subprocess.Popen(["sqlite3", "-batch", "-bail", root / "db"], text=True, stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def script(self, name, *lines):
        path = self.directory / name
        path.write_text(".timeout 60000\n" + "\n".join(lines) + "\n")
        return path

    def test_sqlite_wal_with_two_writers_and_a_reader(self):
        self.need("sqlite3")
        transactions = 200
        setup = self.script("setup", "PRAGMA journal_mode=WAL;", "CREATE TABLE t (writer INT, n INT, filling BLOB, UNIQUE (writer, n));")
        writers = [self.script(f"writer{writer}", "PRAGMA wal_autocheckpoint=20;",
                               *(f"BEGIN IMMEDIATE; INSERT INTO t VALUES ({writer}, {n}, randomblob(3000)); COMMIT;" for n in range(transactions)))
                   for writer in range(2)]
        reader = self.script("reader", *["SELECT count(*) FROM t;"] * transactions)
        check = self.script("check", "PRAGMA integrity_check;", "SELECT writer, count(*), sum(n) FROM t GROUP BY writer ORDER BY writer;",
                            "PRAGMA wal_checkpoint(TRUNCATE);")
        for root in (self.plain, self.mnt):
            with self.subTest(root.name):
                self.assertEqual(self.outcome(root, setup), ("wal\n", 0, ""))
                with contextlib.ExitStack() as stack:
                    running = [self.sqlite(root, stack.enter_context(open(script))) for script in (*writers, reader)]
                    outcomes = [(*process.communicate(timeout=200), process.returncode) for process in running]
                self.assertEqual([outcome[1:] for outcome in outcomes], [("", 0)] * 3)
                counts = [int(word) for word in outcomes[2][0].split()]
                self.assertEqual(counts, sorted(counts))
                total = sum(range(transactions))
                self.assertEqual(self.outcome(root, check), (f"ok\n0|{transactions}|{total}\n1|{transactions}|{total}\n0|0|0\n", 0, ""))

    def outcome(self, root, script):
        with open(script) as file:
            process = self.sqlite(root, file)
            output, errors = process.communicate(timeout=100)
        return output, process.returncode, errors

    # The writer appends a row for each line that it is told; the reader says what it sees, each in a process of its own.
    H5PY_WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], "w", libver="latest") as file:
    rows = file.create_dataset("rows", (0, 1000), "f8", maxshape=(None, 1000), chunks=(1, 1000))
    file.attrs["unit"] = "metre"
    file.swmr_mode = True
    print("ready", flush=True)
    for line in sys.stdin:
        rows.resize(len(rows) + 1, axis=0)
        rows[-1] = float(line)
        rows.flush()
        print("appended", flush=True)
"""
    H5PY_READER = """
import sys, h5py
with h5py.File(sys.argv[1], "r", libver="latest", swmr=True) as file:
    rows = file["rows"]
    print("ready", flush=True)
    for line in sys.stdin:
        rows.refresh()
        print(len(rows), rows[-1].min(), rows[-1].max(), file.attrs["unit"], flush=True)
"""
    H5PY_THIRD = """
import sys, h5py
try:
    h5py.File(sys.argv[1], "a")
    print("opened")
except OSError as error:
    print("locked" if "lock" in str(error) else error)
"""

    def ask(self, process, line, answer):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline().rstrip("\n"), answer)

    def test_h5py_with_a_writer_and_a_reader(self):
        if subprocess.run([PYTHON, "-c", "import h5py"], capture_output=True).returncode != 0:
            self.skipTest("python3-h5py is not installed")
        for root in (self.plain, self.mnt):
            with self.subTest(root.name):
                path = root / "x.h5"
                writer = self.start(self.H5PY_WRITER, path)
                self.assertEqual(writer.stdout.readline(), "ready\n")
                self.ask(writer, 0.5, "appended")
                reader = self.start(self.H5PY_READER, path)
                self.assertEqual(reader.stdout.readline(), "ready\n")
                for number in range(1, 20):
                    self.ask(writer, number, "appended")
                    self.ask(reader, "look", f"{number + 1} {number}.0 {number}.0 metre")
                self.assertEqual(run(PYTHON, "-c", self.H5PY_THIRD, path), "locked\n")
                for process in (reader, writer):
                    process.stdin.close()
                    self.assertEqual(process.wait(30), 0)
                self.assertEqual(run(PYTHON, "-c", self.H5PY_THIRD, path), "opened\n")


class Fio(ProgramTest):
    """Written in random order, read back, each block's checksum compared. fio itself says where one is wrong."""

    def check(self, *options, size="64m"):
        self.need("fio")
        common = ("--name=segment", f"--size={size}", "--bs=4k", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--thread", "--minimal")
        self.quietly("fio", f"--directory={self.mnt}", *common, *options, cwd=self.directory)
        for path in self.store.iterdir():
            self.assertEqual(path.read_bytes(), (self.mnt / path.name).read_bytes())

    def test_mmap(self):
        self.check("--ioengine=mmap", "--rw=randwrite")

    def test_psync(self):
        self.check("--ioengine=psync", "--rw=randwrite")

    def test_io_uring(self):
        self.check("--ioengine=io_uring", "--rw=randwrite", "--iodepth=16", size="2m")  # its 16 workers spin on the lock of the one inode

    def test_direct(self):
        self.check("--ioengine=psync", "--rw=randwrite", "--direct=1", size="16m")


class Stress(ProgramTest):
    """stress-ng's own checks (--verify), a bounded number of operations each, or a few seconds: it ends on the mount as it ends on a plain tmpfs."""

    SECONDS = int(os.environ.get("STRESS_SECONDS", 5))
    BRIEFLY = ("--timeout", str(min(SECONDS, 3)))  # where one operation is thousands of calls

    # name: operations, further options. Those that Debian 12's and 13's stress-ng have, but for fpunch, which in 13 fails on a plain tmpfs.
    STRESSORS = {
        "access": (20,), "aio": (50,), "chattr": (20,), "chdir": (2, "--chdir-dirs", "64"), "chmod": (20,), "chown": (50,),
        "copy-file": (5,), "dentry": (50, "--dentries", "50"), "dir": (50, "--dir-dirs", "64"),
        "dirdeep": (50, "--dirdeep-dirs", "2"), "dirmany": (50,), "dnotify": (5,), "fallocate": (2, "--fallocate-bytes", "4m"), "fanotify": (5,),
        "fcntl": (50,), "fiemap": (20, "--fiemap-bytes", "4m"), "file-ioctl": (50,), "filename": (20,), "flock": (100,),
        "fsize": (5,), "fstat": (50,), "getdent": (50,), "handle": (50,), "hdd": (20, "--hdd-bytes", "4m"), "inode-flags": (5, *BRIEFLY),
        "inotify": (5,), "io": (20,), "iomix": (50, "--iomix-bytes", "4m"), "lease": (50,), "link": (1, *BRIEFLY), "locka": (100,), "lockf": (100,),
        "lockofd": (100,), "mknod": (20,), "mmap": (5, "--mmap-file", "--mmap-bytes", "4m"), "mmapmany": (5,), "msync": (50, "--msync-bytes", "4m"),
        "open": (50,), "readahead": (5, "--readahead-bytes", "4m"), "rename": (50,), "revio": (50, "--revio-bytes", "4m"),
        "seek": (50, "--seek-size", "4m"), "sendfile": (50, "--sendfile-size", "1m"), "splice": (50,), "symlink": (1, *BRIEFLY),
        "sync-file": (2, "--sync-file-bytes", "4m"), "touch": (50,), "utime": (50,), "xattr": (1, *BRIEFLY),
    }

    def stress(self, root, name, operations, *options):
        folder = root / "stress"
        folder.mkdir(mode=0o777)
        done = subprocess.run(["stress-ng", f"--{name}", "1", f"--{name}-ops", str(operations), "--timeout", str(self.SECONDS), *options, "--verify",
                               "--temp-path", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        left = [path.name for path in folder.iterdir()]
        shutil.rmtree(folder)
        return done.returncode, left, done.stdout

    def check(self, name):
        self.need("stress-ng")
        if name not in run("stress-ng", "--stressors").split():
            self.skipTest(f"this stress-ng has no {name} stressor")
        expected, got = (self.stress(root, name, *self.STRESSORS[name]) for root in (self.plain, self.mnt))
        self.assertEqual(got[:2], expected[:2], got[2])
        self.assertEqual(troubles(got[2]) - troubles(expected[2]), collections.Counter())  # it has now and then one of its own


def troubles(output):
    """What stress-ng calls a failure, without the pid and the path."""
    return collections.Counter(re.sub(r"\[\d+\]|/\S*", "", line) for line in output.splitlines() if re.search(r"\b(fail|error):", line))


for stressor in Stress.STRESSORS:
    setattr(Stress, f"test_{stressor.replace('-', '_')}", lambda self, name=stressor: self.check(name))


if __name__ == "__main__":
    main()
