"""user.shm.lifetime: who may say when a segment goes, what inherits it, and that segfs removes it then and never a moment too early."""

import errno
import os
import re
import signal
import socket
import subprocess
import time
import unittest.mock

from harness import PYTHON, Daemon, MountTest, eventually, main

LIFETIME = "user.shm.lifetime"
OWNER, OTHER = 20001, 20002
SECONDS = float(os.environ.get("LIFETIMES_SECONDS", "4"))  # of coming and going at random
CREATORS = 1000  # killed at once

# Creates or opens each of the segments and maps it, closing the descriptor; lets go when told to, or when killed.
ATTACH = """
import mmap, os, sys
pages = []
for path in sys.argv[1:]:
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    if os.fstat(fd).st_size == 0:
        os.ftruncate(fd, mmap.PAGESIZE)
    pages.append(mmap.mmap(fd, 0))
    os.close(fd)
print("ready", flush=True)
sys.stdin.readline()
pages.clear()
print("detached", flush=True)
sys.stdin.read()
"""

# Starts processes that make segments, each of its own pattern, and end, most often by SIGKILL.
OWNERS_WHO_DIE = """
import os, random, signal, sys, time
seconds, *directories = sys.argv[1:]
end, n = time.monotonic() + float(seconds), 0

def own(directory, number):
    for i in range(random.randint(1, 3)):
        name = f"{number}-{i}"
        fd = os.open(f"{directory}/.{name}", os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.write(fd, name.ljust(16).encode() * 256)
        os.rename(f"{directory}/.{name}", f"{directory}/{name}")
        if random.random() < 0.5:
            os.close(fd)
    time.sleep(random.random() / 4)
    if random.random() < 0.7:
        os.kill(os.getpid(), signal.SIGKILL)

for n in range(1 << 30):
    if time.monotonic() > end:
        break
    if n >= 8:
        assert os.wait()[1] in (0, signal.SIGKILL), "an owner has failed"
    if os.fork() == 0:
        random.seed(n)
        own(random.choice(directories), n)
        os._exit(0)
while True:
    try:
        assert os.wait()[1] in (0, signal.SIGKILL), "an owner has failed"
    except ChildProcessError:
        break
"""

# Attaches to whatever is there, by the mount or by the store, and holds it for a moment. What it has must be whole, and have its name.
VISITOR = """
import errno, mmap, os, random, sys, time
seconds, *directories = sys.argv[1:]
end, n = time.monotonic() + float(seconds), 0

def check(fd_or_path, ino):
    st = os.stat(fd_or_path)
    assert st.st_nlink == 1 and st.st_ino == ino, f"{fd_or_path}: taken"

while time.monotonic() < end:
    directory = random.choice(directories)
    names = [name for name in os.listdir(directory) if not name.startswith(".")]
    if not names:
        continue
    name = random.choice(names)
    try:
        fd = os.open(f"{directory}/{name}", random.choice((os.O_RDONLY, os.O_RDWR)))
    except FileNotFoundError:
        continue
    ino = os.fstat(fd).st_ino
    check(fd, ino)
    pages = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    if random.random() < 0.8:
        os.close(fd)
        fd = -1
    hold = time.monotonic() + random.choice((0, 0, 0.02, 0.02, 0.02, 1.2)) * random.random()
    while True:
        assert pages[:] == name.ljust(16).encode() * 256, f"{name}: not what it was"
        check(f"{directory}/{name}", ino)
        if time.monotonic() > hold:
            break
        time.sleep(0.01)
    pages.close()
    if fd >= 0:
        os.close(fd)
    n += 1
print(n, flush=True)
"""

# Opens each segment when the grace after its last use is just over, and so segfs about to remove it. It is either there to stay, or gone.
# On a busy machine that is later than on an idle one: after each that was gone the next ones come a little sooner, and the other way round.
LATECOMER = """
import heapq, os, random, sys, time
seconds, *directories = sys.argv[1:]
end, n, late = time.monotonic() + float(seconds), 0, 0
plan = [(0, str(i), True) for i in range(200)]
grace = 0.51
held = {}

while plan and plan[0][0] < end:
    when, name, attach = heapq.heappop(plan)
    time.sleep(max(0, when - time.monotonic()))
    if attach:
        directory = random.choice(directories)
        try:
            fd = os.open(f"{directory}/{name}", random.choice((os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_NONBLOCK)))
            assert os.pread(fd, 100, 0) == name.encode(), f"{name}: not what it was"
            n += 1
            grace += 0.001
        except BlockingIOError:
            assert directory != directories[0], f"{name}: EAGAIN by the mount"
            fd = None
        except FileNotFoundError:
            late += 1
            grace -= 0.001
            fd = os.open(f"{directories[0]}/{name}", os.O_CREAT | os.O_RDWR)
            if os.fstat(fd).st_size == 0:
                os.write(fd, name.encode())
        held[name] = fd
    elif held[name] is not None:
        fd = held[name]
        assert os.fstat(fd).st_nlink == 1, f"{name}: taken while open"
        for directory in directories:
            assert os.stat(f"{directory}/{name}").st_ino == os.fstat(fd).st_ino, f"{name}: replaced while open"
        os.close(fd)
    pause = 0.03 if attach else grace + random.uniform(-0.015, 0.015)
    heapq.heappush(plan, (time.monotonic() + pause, name, not attach))
print(n, late, flush=True)
"""


def get(path):
    return os.getxattr(path, LIFETIME).decode()


def put(path, value, flags=0):
    os.setxattr(path, LIFETIME, value.encode(), flags)


def later(seconds):
    """For lifetimes that are a time."""
    end = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > end)


class Lifetime(MountTest):
    """What the attribute says, and who may set it."""

    def setUp(self):
        super().setUp()
        self.path = self.mnt / "x"
        self.path.write_bytes(bytes(100))

    def put_as(self, uid, path, value):
        """The error's number, 0 for none."""
        script = "import os, sys\ntry: os.setxattr(sys.argv[1], 'user.shm.lifetime', sys.argv[2].encode()); print(0)\nexcept OSError as e: print(e.errno)"
        done = subprocess.run([PYTHON, "-c", script, path, value], user=uid, group=uid, extra_groups=[], text=True, capture_output=True, check=True)
        return int(done.stdout)

    def test_keep_is_what_an_unset_one_says(self):
        self.assertEqual((get(self.path), get(self.mnt)), ("keep", "keep"))

    def test_values(self):
        for value in ("creator", "last-user", "ttl 60", "ttl 1000000000", "keep"):
            put(self.path, value)
            self.assertEqual(get(self.path), value)

    def test_nonsense_is_refused_and_changes_nothing(self):
        put(self.path, "ttl 1000")
        for value in ("", "ttl", "ttl 0", "ttl -1", "ttl 1000000001", "ttl 5s", "Keep", "forever", "creator\n"):
            with self.subTest(value=value), self.assertErrno(errno.EINVAL):
                put(self.path, value)
        self.assertEqual(get(self.path), "ttl 1000")

    def test_it_is_not_listed_nor_copied(self):
        put(self.path, "ttl 1000")
        self.assertNotIn(LIFETIME, os.listxattr(self.path))
        subprocess.run(["cp", "-a", self.path, self.mnt / "copy"], check=True)
        subprocess.run(["cp", "-a", self.store / "x", self.store / "twin"], check=True)
        self.assertEqual((get(self.mnt / "copy"), get(self.mnt / "twin")), ("keep", "keep"))

    def test_removing_it_is_keep(self):
        put(self.path, "ttl 1000")
        os.removexattr(self.path, LIFETIME)
        self.assertEqual(get(self.path), "keep")
        os.removexattr(self.path, LIFETIME)

    def test_flags(self):
        with self.assertErrno(errno.ENODATA):
            put(self.path, "ttl 1000", os.XATTR_REPLACE)
        put(self.path, "ttl 1000", os.XATTR_CREATE)
        with self.assertErrno(errno.EEXIST):
            put(self.path, "ttl 2000", os.XATTR_CREATE)
        put(self.path, "ttl 3000", os.XATTR_REPLACE)
        self.assertEqual(get(self.path), "ttl 3000")

    def test_what_is_said_behind_the_mount_is_ignored_and_hidden(self):
        (self.mnt / "d").mkdir()
        for name in ("x", "d"):
            os.setxattr(self.store / name, LIFETIME, b"ttl 1")
            self.assertEqual(get(self.mnt / name), "keep")
            self.assertNotIn(LIFETIME, os.listxattr(self.mnt / name))
        put(self.path, "ttl 1000")
        for note in ("lifetime", "use", "whatever"):
            self.assertNotIn(f"trusted.segfs.{note}", os.listxattr(self.path))
            with self.assertErrno(errno.EPERM):
                os.setxattr(self.path, f"trusted.segfs.{note}", b"")

    def test_creator_needs_a_known_one(self):
        (self.store / "y").write_bytes(b"")
        with self.assertErrno(errno.EINVAL):
            put(self.mnt / "y", "creator")
        put(self.mnt / "y", "last-user")

    def test_links_have_none(self):
        (self.mnt / "l").symlink_to("x")
        with self.assertErrno(errno.EPERM, errno.EOPNOTSUPP):
            os.setxattr(self.mnt / "l", LIFETIME, b"ttl 1", follow_symlinks=False)

    def test_owner_and_root_may_set_it(self):
        os.chown(self.path, OWNER, OWNER)
        self.path.chmod(0o666)
        self.assertEqual(self.put_as(OWNER, self.path, "ttl 1000"), 0)
        self.assertEqual(self.put_as(OTHER, self.path, "ttl 1"), errno.EPERM)
        self.assertEqual(get(self.path), "ttl 1000")
        put(self.path, "keep")

    def test_owner_who_may_not_unlink_may_not_set_it(self):
        (self.mnt / "d").mkdir(0o755)
        path = self.mnt / "d" / "x"
        path.write_bytes(b"")
        os.chown(path, OWNER, OWNER)
        self.assertEqual(self.put_as(OWNER, path, "ttl 1"), errno.EACCES)
        os.chown(self.mnt / "d", OWNER, OWNER)
        self.assertEqual(self.put_as(OWNER, path, "ttl 1000"), 0)

    def test_owner_of_a_directory_may_set_it_for_what_comes(self):
        (self.mnt / "d").mkdir(0o777)
        os.chown(self.mnt / "d", OWNER, OWNER)
        self.mnt.chmod(0o755)
        self.assertEqual(self.put_as(OWNER, self.mnt / "d", "ttl 1000"), 0)
        (self.mnt / "d").chmod(0o777)
        self.assertEqual(self.put_as(OTHER, self.mnt / "d", "ttl 1"), errno.EPERM)

    def test_who_may_not_read_the_file_does_not_learn_it(self):
        self.path.chmod(0o600)
        script = "import os, sys\ntry: os.getxattr(sys.argv[1], 'user.shm.lifetime'); print(0)\nexcept OSError as e: print(e.errno)"
        done = subprocess.run([PYTHON, "-c", script, self.path], user=OWNER, group=OWNER, extra_groups=[], text=True, capture_output=True, check=True)
        self.assertEqual(int(done.stdout), errno.EACCES)

    def test_what_is_new_in_a_directory_inherits_it(self):
        d = self.mnt / "d"
        d.mkdir()
        (d / "before").write_bytes(b"")
        put(d, "ttl 1000")
        (d / "created").write_bytes(b"")
        os.mknod(d / "made")
        (d / "e" / "f").mkdir(parents=True)
        (d / "e" / "f" / "deep").write_bytes(b"")
        os.rename(self.path, d / "moved")
        os.mkfifo(d / "fifo")
        (self.store / "d" / "behind").write_bytes(b"")
        names = ("before", "created", "made", "e", "e/f", "e/f/deep", "moved", "behind")
        self.assertEqual({name for name in names if get(d / name) == "ttl 1000"}, {"created", "made", "e", "e/f", "e/f/deep"})
        self.assertEqual({get(d / name) for name in ("before", "moved", "behind")}, {"keep"})

    def test_what_is_opened_again_does_not_inherit(self):
        put(self.mnt, "ttl 1000")
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR))
        self.assertEqual(get(self.path), "keep")


class Reaped(MountTest):
    """self.dir: a directory in the mount, for segments with a lifetime; self.behind: the same in the store."""

    def setUp(self):
        super().setUp()
        self.dir, self.behind = self.mnt / "d", self.store / "d"
        self.dir.mkdir()

    def attach(self, *paths, command=()):
        """A process that has segments mapped, and made those that were not there."""
        process = self.start(ATTACH, *paths) if not command else self.start_by(command, ATTACH, *paths)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def start_by(self, command, code, *arguments):
        process = subprocess.Popen([*command, PYTHON, "-c", code, *map(str, arguments)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def detach(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "detached\n")

    def kill(self, process):
        process.kill()
        process.wait()

    def gone(self, *names):
        """Wait until segfs has removed these from self.dir, by either path."""
        for name in names:
            eventually(lambda: not (self.dir / name).exists() and not (self.behind / name).exists(), what=f"the end of {name}")

    def said(self, text):
        eventually(lambda: text in self.daemon.log(), what=f"the line {text}")

    def outlives_another(self, name):
        """What would go now if segfs did not see that it has to stay, does stay: another one, whose time comes later, goes."""
        witness = self.mnt / "witness"
        put(self.mnt, "last-user")
        self.kill(self.attach(witness))
        put(self.mnt, "keep")
        eventually(lambda: not witness.exists(), what="the end of the witness")
        self.assertTrue((self.dir / name).exists() and (self.behind / name).exists(), f"{name} has been taken")

    def restart(self, how, *options):
        if how == signal.SIGKILL:
            self.daemon.kill()
        else:
            self.daemon.process.send_signal(how)
            self.daemon.process.wait()
        self.daemon = Daemon(self.store, self.mnt, *self.options, *options)
        self.addCleanup(self.daemon.stop)

    def status(self, key):
        lines = (self.mnt / ".segfs" / "status").read_text().splitlines()
        return int(next(line.split("\t")[1] for line in lines if line.startswith(f"{key}:")))


class Creator(Reaped):
    def setUp(self):
        super().setUp()
        put(self.dir, "creator")

    def test_segment_goes_with_its_creator(self):
        process = self.attach(self.dir / "x")
        self.kill(process)
        self.gone("x")
        self.said(f"removed {self.behind}/x: its creator, pid {process.pid} (python3), has ended\n")
        self.assertEqual(self.status("RemovedCreator"), 1)
        self.assertIn('segfs_removed_total{reason="creator"} 1\n', (self.mnt / ".segfs" / "metrics").read_text())
        self.assertEqual(self.status("Wards"), 0)

    def test_segment_stays_while_its_creator_lives(self):
        process = self.attach(self.dir / "x")
        self.detach(process)
        self.outlives_another("x")
        self.kill(process)
        self.gone("x")

    def test_segment_stays_while_a_survivor_has_it_mapped(self):
        for number, path in enumerate((self.dir, self.behind)):
            with self.subTest(path=path):
                name = f"x{number}"
                owner = self.attach(self.dir / name)
                survivor = self.attach(path / name)
                self.kill(owner)
                self.outlives_another(name)
                self.detach(survivor)
                self.gone(name)

    def test_segment_stays_while_a_descriptor_is_on_its_way(self):
        """Nobody has it open: it is in a socket."""
        owner = self.attach(self.dir / "x")
        ours, theirs = socket.socketpair()
        fd = os.open(self.dir / "x", os.O_RDWR)
        socket.send_fds(ours, [b"x"], [fd])
        os.close(fd)
        self.kill(owner)
        self.outlives_another("x")
        os.close(socket.recv_fds(theirs, 1, 1)[1][0])
        self.gone("x")
        ours.close()
        theirs.close()

    def test_segment_stays_while_another_pid_and_mount_namespace_has_it(self):
        owner = self.attach(self.dir / "x")
        stranger = self.attach(self.dir / "x", command=("unshare", "-pmf", "--mount-proc"))
        self.kill(owner)
        self.outlives_another("x")
        self.detach(stranger)
        self.gone("x")

    def test_creator_may_run_another_program(self):
        script = "import os, sys\nos.open(sys.argv[1], os.O_CREAT)\nos.execlp('cat', 'cat')"
        process = self.start(script, self.dir / "x")
        eventually((self.dir / "x").exists)
        eventually(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("cat"))
        self.outlives_another("x")
        self.kill(process)
        self.gone("x")

    def test_creator_may_have_lost_its_first_thread(self):
        script = """
import ctypes, os, sys, threading, time
fd = os.open(sys.argv[1], os.O_CREAT)
os.close(fd)
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).pthread_exit(None)
"""
        process = self.start(script, self.dir / "x")
        eventually((self.dir / "x").exists)
        self.outlives_another("x")
        self.kill(process)
        self.gone("x")

    def test_pid_used_again_is_another_process(self):
        """It is no news to a daemon that has seen the creator end, so this is for one that has not."""
        for _ in range(50):
            owner = self.attach(self.dir / "x")
            self.daemon.kill()
            self.kill(owner)
            with open("/proc/sys/kernel/ns_last_pid", "w") as last:
                last.write(str(owner.pid - 1))
            other = subprocess.Popen(["sleep", "60"])
            self.addCleanup(other.wait)
            self.addCleanup(other.kill)
            self.daemon = Daemon(self.store, self.mnt)
            self.addCleanup(self.daemon.stop)
            self.gone("x")
            if other.pid == owner.pid:
                return
        self.skipTest("the pid was not to be had")


def kill_all(pids, parent):
    """If the one who waits for them still does: then no pid has been used again."""
    for pid in pids if parent.poll() is None else ():
        os.kill(pid, signal.SIGKILL)


class LastUser(Reaped):
    def setUp(self):
        super().setUp()
        put(self.dir, "last-user")

    def test_segment_goes_with_its_last_user(self):
        for number, path in enumerate((self.dir, self.behind)):
            with self.subTest(path=path):
                name = f"x{number}"
                first = self.attach(self.dir / name)
                second = self.attach(path / name)
                self.detach(first)
                self.outlives_another(name)
                self.detach(second)
                self.gone(name)
                self.said(f"removed {self.behind}/{name}: its last user has gone\n")
        self.assertEqual(self.status("RemovedLastUser"), 4, "with the two witnesses")

    def test_segment_that_nobody_has_used_yet_stays(self):
        os.mknod(self.dir / "x")
        os.getxattr(self.dir / "x", "user.shm.kind")
        self.outlives_another("x")
        self.kill(self.attach(self.dir / "x"))
        self.gone("x")

    def test_use_counts_from_when_it_was_set(self):
        path = self.dir / "x"
        (self.behind / "x").write_bytes(bytes(4096))
        put(path, "last-user")
        self.outlives_another("x")
        self.kill(self.attach(self.behind / "x"))
        self.gone("x")

    def test_who_has_it_when_it_is_set_is_a_user(self):
        (self.behind / "x").write_bytes(bytes(4096))
        user = self.attach(self.behind / "x")
        put(self.dir / "x", "last-user")
        self.outlives_another("x")
        self.detach(user)
        self.gone("x")

    def test_who_has_it_for_a_moment_when_it_is_set_is_a_user(self):
        for number in range(20):
            (self.behind / f"x{number}").write_bytes(bytes(4096))
            with open(self.dir / f"x{number}", "rb+"):
                put(self.dir / f"x{number}", "last-user")
        for number in range(20):
            self.gone(f"x{number}")

    def test_keep_is_kept(self):
        user = self.attach(self.dir / "x")
        put(self.dir / "x", "keep")
        self.kill(user)
        self.outlives_another("x")

    def test_segment_is_found_under_its_new_name(self):
        (self.dir / "e").mkdir()
        user = self.attach(self.dir / "x")
        os.rename(self.behind / "x", self.behind / "e" / "y")
        (self.behind / "x").write_bytes(b"another")
        self.kill(user)
        self.gone("e/y")
        self.assertEqual((self.dir / "x").read_bytes(), b"another")

    def test_segment_with_another_name_stays(self):
        user = self.attach(self.dir / "x")
        os.link(self.dir / "x", self.dir / "y")
        self.kill(user)
        self.outlives_another("x")
        os.unlink(self.behind / "y")
        self.gone("x")

    def test_odd_names(self):
        names = ("a b\nc\\", "x" * 255, ".hidden", "ü", "\udcff")
        for name in names:
            self.kill(self.attach(self.dir / name))
        self.gone(*names)
        self.said("/a\\040b\\012c\\134: its last user has gone\n")

    def test_nameless_file_that_gets_a_name(self):
        try:
            fd = os.open(self.dir, os.O_TMPFILE | os.O_RDWR)
        except OSError as error:
            self.assertEqual(error.errno, errno.EOPNOTSUPP)
            self.skipTest("built with a libfuse that has no O_TMPFILE")
        os.link(f"/proc/self/fd/{fd}", self.dir / "x", src_dir_fd=0, follow_symlinks=True)
        self.outlives_another("x")
        os.close(fd)
        self.gone("x")

    def test_its_memory_is_given_back(self):
        path = self.dir / "x"
        path.write_bytes(bytes(64 << 20))
        self.gone("x")
        eventually(lambda: os.statvfs(self.store).f_bfree > (os.statvfs(self.store).f_blocks - (1 << 10)))

    def test_segfs_itself_is_not_in_its_way(self):
        """It looks, after a close for writing, whether huge pages are of use: of many segments, some just as they are being removed."""
        for number in range(1000):
            (self.dir / str(number)).write_bytes(b"x")
        hidden, names = set(), {"0"}
        while names:
            names = set(os.listdir(self.behind))
            self.assertFalse(names & hidden, "hidden to be removed, and shown again")
            hidden |= {name.removeprefix(".segfs-removing.") for name in names if name.startswith(".")}
        self.assertTrue(hidden)

    def test_cached_name_is_gone_at_once(self):
        user = self.attach(self.dir / "x")
        os.stat(self.dir / "x")
        self.kill(user)
        eventually(lambda: "removed " in self.daemon.log())
        with self.assertErrno(errno.ENOENT):
            os.open(self.dir / "x", os.O_RDWR)
        eventually(lambda: os.listdir(self.dir) == [], seconds=1)

    def test_what_a_killed_daemon_has_left_hidden_comes_back(self):
        user = self.attach(self.dir / "x")
        self.daemon.kill()
        os.rename(self.behind / "x", self.behind / ".segfs-removing.x")
        (self.behind / ".segfs-removing.mine").write_bytes(b"")
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        eventually((self.dir / "x").exists)
        self.assertEqual(set(os.listdir(self.dir)), {"x", ".segfs-removing.mine"})
        self.kill(user)
        self.gone("x")


class Ttl(Reaped):
    def test_segment_goes_when_left_alone_for_long_enough(self):
        put(self.dir, "ttl 1")
        user = self.attach(self.dir / "x")
        before = time.monotonic()
        self.kill(user)
        self.gone("x")
        self.assertGreaterEqual(time.monotonic() - before, 1)
        self.said(f"removed {self.behind}/x: nobody had it attached for 1 s\n")
        self.assertEqual(self.status("RemovedTtl"), 1)

    def test_segment_that_nobody_uses_counts_from_when_it_was_set(self):
        (self.behind / "x").write_bytes(b"")
        while time.clock_gettime_ns(time.CLOCK_BOOTTIME) % 1_000_000 < 800_000:
            pass  # the daemon counts whole milliseconds: one has nearly passed
        before = time.monotonic()
        put(self.dir / "x", "ttl 2")
        while (self.behind / "x").exists() and time.monotonic() - before < 2:
            pass
        self.assertGreaterEqual(time.monotonic() - before, 2)
        self.gone("x")

    def test_user_keeps_it_and_starts_it_anew(self):
        put(self.dir, "ttl 1")
        user = self.attach(self.dir / "x")
        self.outlives_another("x")
        self.outlives_another("x")
        before = time.monotonic()
        self.detach(user)
        self.gone("x")
        self.assertGreaterEqual(time.monotonic() - before, 1)


class AThousand(Reaped):
    """So many processes make a segment each and are killed: all are gone within about two seconds of the time that the lifetime
    gives them, but for the one that a survivor has mapped, its descriptor closed."""

    def check(self, lifetime, reason):
        put(self.dir, lifetime)
        makers = subprocess.Popen([os.environ["MAKERS"], str(CREATORS), str(self.dir)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(makers.stdout.close)
        self.addCleanup(makers.wait)
        pids = [int(makers.stdout.readline()) for _ in range(CREATORS)]
        self.addCleanup(kill_all, pids, makers)
        eventually(lambda: self.status("Wards") == CREATORS, what="a ward of each")
        survivor = self.attach(self.dir / "50")
        kill_all(pids, makers)
        self.assertEqual(makers.wait(), 0)
        dead = time.monotonic()
        eventually(lambda: os.listdir(self.dir) == ["50"], what="the end of the others")
        print(f"{lifetime}: {CREATORS - 1} segments gone {time.monotonic() - dead:.2f} s after their makers", end=" ", flush=True)
        self.detach(survivor)
        self.gone("50")
        self.said("/50: ")
        said = re.findall(rf"removed .*/d/(\d+): {reason}\n", self.daemon.log())
        return pids, said

    def test_creator(self):
        pids, said = self.check("creator", r"its creator, pid (\d+) \(makers\), has ended")
        self.assertEqual(sorted((int(name), int(pid)) for name, pid in said), list(enumerate(pids)))

    def test_last_user(self):
        _, said = self.check("last-user", "its last user has gone")
        self.assertEqual(sorted(map(int, said)), list(range(CREATORS)))

    def test_ttl(self):
        _, said = self.check("ttl 1", "nobody had it attached for 1 s")
        self.assertEqual(sorted(map(int, said)), list(range(CREATORS)))


class Restart(Reaped):
    """What a daemon was to do, the next one does."""

    def test_lifetimes_survive(self):
        lifetimes = ("creator", "last-user", "ttl 1")
        for how in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(how=how):
                names = [f"{lifetime}-{how}" for lifetime in lifetimes]
                for name, lifetime in zip(names, lifetimes):
                    (self.dir / name).mkdir()
                    put(self.dir / name, lifetime)
                owner = self.attach(*(self.dir / name / word for name in names for word in ("left", "held")))
                holder = self.attach(*(self.behind / name / "held" for name in names))
                self.restart_without(how, owner)
                self.gone(*(f"{name}/left" for name in names))
                self.outlives_another(f"{names[0]}/held")
                self.assertEqual([os.listdir(self.dir / name) for name in names], [["held"]] * 3)
                self.detach(holder)
                self.gone(*(f"{name}/held" for name in names))

    def restart_without(self, how, process):
        """The process ends while no daemon is there to see it."""
        if how == signal.SIGKILL:
            self.daemon.kill()
        else:
            self.daemon.expect(" is in use: detached")
            self.daemon.process.send_signal(how)
            self.daemon.process.wait()
        self.kill(process)
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)

    def test_living_creator_is_found_again(self):
        put(self.dir, "creator")
        owner = self.attach(self.dir / "x")
        self.detach(owner)
        self.restart(signal.SIGKILL)
        self.outlives_another("x")
        self.kill(owner)
        self.gone("x")

    def test_ttl_is_not_started_anew(self):
        put(self.dir, "ttl 3")
        user = self.attach(self.dir / "x")
        before = time.monotonic()
        self.kill(user)
        eventually(lambda: b" idle " in os.getxattr(self.behind / "x", "trusted.segfs.use"))
        later(1.5)
        self.restart(signal.SIGKILL)
        self.gone("x")
        self.assertGreaterEqual(time.monotonic() - before, 3)
        self.assertLess(time.monotonic() - before, 4.5)

    def test_ttl_of_what_was_left_meanwhile_starts_then(self):
        """Nobody knows when: at the latest, now."""
        put(self.dir, "ttl 1")
        user = self.attach(self.dir / "x")
        self.daemon.kill()
        self.kill(user)
        later(1)
        before = time.monotonic()
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        self.gone("x")
        self.assertGreaterEqual(time.monotonic() - before, 1)

    def test_ttl_of_what_was_used_meanwhile_starts_then(self):
        put(self.dir, "ttl 2")
        self.kill(self.attach(self.dir / "x"))
        eventually(lambda: b" idle " in os.getxattr(self.behind / "x", "trusted.segfs.use"))
        self.daemon.kill()
        later(1.5)
        self.kill(self.attach(self.behind / "x"))
        before = time.monotonic()  # nobody is there to see it: it counts from the start of the next
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        self.gone("x")
        self.assertGreaterEqual(time.monotonic() - before, 2)

    def test_read_only_mount_removes_nothing(self):
        put(self.dir, "last-user")
        user = self.attach(self.dir / "x")
        self.restart(signal.SIGKILL, "-o", "ro")
        self.kill(user)
        self.assertEqual(self.status("Wards"), 0)
        self.restart(signal.SIGTERM)
        self.gone("x")


class DryRun(Reaped):
    options = ("-o", "dry-run")

    def test_nothing_is_removed_but_told(self):
        self.daemon.expect("would remove ")
        for name, lifetime in (("a", "creator"), ("b", "last-user"), ("c", "ttl 1")):
            put(self.dir, lifetime)
            self.kill(self.attach(self.dir / name))
        eventually(lambda: self.daemon.log().count("would remove ") == 3)
        self.kill(self.attach(self.dir / "b"))
        put(self.dir, "last-user")
        self.kill(self.attach(self.dir / "d"))
        eventually(lambda: self.daemon.log().count("would remove ") == 4)
        self.assertEqual(sorted(os.listdir(self.behind)), ["a", "b", "c", "d"])
        self.assertNotIn("removed ", self.daemon.log())
        self.assertIn(f"would remove {self.behind}/b: its last user has gone\n", self.daemon.log())


class WithoutEvents(Reaped):
    """Where the kernel tells neither of opens nor of ends, the daemon looks by itself."""

    def setUp(self):
        if "WITHOUT_EVENTS" not in os.environ:
            self.skipTest("WITHOUT_EVENTS names no library to preload")
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        with unittest.mock.patch.dict(os.environ, LD_PRELOAD=os.environ["WITHOUT_EVENTS"], ASAN_OPTIONS=asan):
            super().setUp()
        self.daemon.expect("warning: fanotify: ")

    def test_lifetimes(self):
        for lifetime in ("creator", "last-user", "ttl 1"):
            (self.dir / lifetime).mkdir()
            put(self.dir / lifetime, lifetime)
        os.mknod(self.dir / "last-user" / "unused")
        owner = self.attach(*(self.dir / lifetime / name for lifetime in ("creator", "last-user", "ttl 1") for name in ("left", "held")))
        holder = self.attach(*(self.behind / lifetime / "held" for lifetime in ("creator", "last-user", "ttl 1")))
        self.assertIn("looked at each second", self.daemon.log())
        self.kill(owner)
        self.gone("creator/left", "last-user/left", "ttl 1/left")
        self.outlives_another("creator/held")
        self.assertEqual([sorted(os.listdir(self.dir / lifetime)) for lifetime in ("creator", "last-user", "ttl 1")], [["held"], ["held", "unused"], ["held"]])
        self.detach(holder)
        self.gone("creator/held", "last-user/held", "ttl 1/held")
        self.assertEqual(os.listdir(self.dir / "last-user"), ["unused"])


class ComingAndGoing(Reaped):
    """The promise: however they come and go, nobody loses what he has."""

    def test_who_comes_at_the_last_moment_has_it_or_finds_nothing(self):
        put(self.dir, "last-user")
        process = self.start(LATECOMER, SECONDS, self.dir, self.behind)
        answer = process.stdout.read()
        self.assertEqual(process.wait(), 0)
        n, late = map(int, answer.split())
        self.assertTrue(n > 0 and late > 0)
        print(f"{n} in time, {late} late", end=" ", flush=True)

    def test_no_segment_is_taken_from_anybody(self):
        for name in ("creator", "last-user", "ttl 1"):
            (self.dir / name).mkdir()
            put(self.dir / name, name)
        directories = [path / name for path in (self.dir, self.behind) for name in ("creator", "last-user", "ttl 1")]
        processes = [self.start(OWNERS_WHO_DIE, SECONDS, *directories[:3]), *(self.start(VISITOR, SECONDS, *directories) for _ in range(6))]
        visits = [process.stdout.read() for process in processes]
        self.assertEqual([process.wait() for process in processes], [0] * len(processes))
        eventually(lambda: not any(os.listdir(path) for path in directories), what="the end of all")
        print(f"{sum(map(int, visits[1:]))} visits, {self.daemon.log().count('removed ')} removals", end=" ", flush=True)


class ReadOnly(MountTest):
    options = ("-o", "ro")

    def test_nothing_is_set(self):
        (self.store / "x").write_bytes(b"")
        with self.assertErrno(errno.EROFS):
            put(self.mnt / "x", "ttl 1")


if __name__ == "__main__":
    main()
