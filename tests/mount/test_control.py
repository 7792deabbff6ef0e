"""Control pages through the mount: .segfs/ctl/NAME is the page that the library finds by the store's path, and goes with its segment."""

import ctypes
import errno
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import threading

from control_peer import CONTROL_PEER, Peer, sleeps
from harness import PYTHON, Daemon, MountTest, eventually, main, run

CONTROL = ".segfs-control"
PAGE = 8192
OWNER, OTHER = 20001, 20002

EBUSY, HOLDER_DIED = -errno.EBUSY, 1


def frames(path):
    """The frame numbers of a control page, by path."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), PAGE) as pages:
        view = (ctypes.c_char * PAGE).from_buffer(pages)
        address = ctypes.addressof(view)
        for at in range(0, PAGE, 4096):
            view[at]
        with open("/proc/self/pagemap", "rb") as pagemap:
            pagemap.seek(address // 4096 * 8)
            entries = struct.unpack("2Q", pagemap.read(16))
        del view
    assert all(entry >> 63 for entry in entries), "a page is not present"
    return [entry & ((1 << 55) - 1) for entry in entries]


def as_user(uid, code, *arguments):
    """The exit status of a program that one user runs: 0, or the errno by which it failed."""
    code = f"import os, sys, mmap\ntry:\n    {code}\nexcept OSError as error:\n    sys.exit(error.errno)"
    return subprocess.run([PYTHON, "-c", code, *map(str, arguments)], user=uid, group=uid, extra_groups=[]).returncode


class ControlTest(MountTest):
    def setUp(self):
        super().setUp()
        self.x = self.mnt / "x"
        self.x.write_bytes(bytes(4096))

    def ctl(self, name="x", directory="."):
        return self.mnt / directory / ".segfs/ctl" / name

    def page(self, name="x", place="."):
        """The page's file in the store."""
        return self.store / place / CONTROL / str((self.store / name).stat().st_ino)

    def pages(self, place="."):
        directory = self.store / place / CONTROL
        return os.listdir(directory) if directory.exists() else []

    def lock(self, name="x"):
        return os.getxattr(self.mnt / name, "user.shm.lock").decode()

    def version(self, name="x"):
        return os.getxattr(self.mnt / name, "user.shm.version").decode()

    def info(self, name="x"):
        return dict(line.split(":\t", 1) for line in (self.mnt / ".segfs/info" / name).read_text().splitlines())

    def peer(self, path, *mode, **options):
        peer = Peer(self, path, *mode, **options)
        self.assertEqual(peer.opened, 0)
        return peer

    def both_ways(self):
        return ((self.x, self.store / "x"), (self.store / "x", self.x))


class Pages(ControlTest):
    def test_the_frames_are_those_of_the_file_in_the_store(self):
        through = frames(self.ctl())
        self.assertGreater(min(through), 0)
        self.assertEqual(through, frames(self.page()))

    def test_it_looks_like_its_segment(self):
        os.chown(self.x, OWNER, OTHER)
        self.x.chmod(0o640)
        st = self.ctl().stat()
        self.assertEqual((st.st_mode, st.st_uid, st.st_gid, st.st_size), (0o100640, OWNER, OTHER, PAGE))
        self.ctl().open("rb").close()
        page = self.page().stat()
        self.assertEqual((page.st_mode, page.st_uid, page.st_gid, page.st_size), (0o100640, OWNER, OTHER, PAGE))

    def test_looking_makes_no_page(self):
        self.ctl().stat()
        os.listdir(self.mnt / ".segfs/ctl")
        self.assertEqual(self.version(), "0")
        self.assertEqual(self.lock(), "unlocked")
        self.info()
        self.assertEqual(os.listdir(self.store), ["x"])

    def test_opens_of_all_kinds_at_once(self):
        files = [os.open(self.ctl(), flags) for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR)]
        os.pwrite(files[2], b"!", PAGE - 1)
        self.assertEqual(os.pread(files[0], 1, PAGE - 1), b"!")
        self.assertEqual(self.page().read_bytes()[-1:], b"!")
        for file in files:
            os.close(file)
        self.assertEqual(self.ctl().read_bytes()[-1:], b"!")

    def test_a_mapping_outlives_its_descriptor_and_other_opens(self):
        with open(self.ctl(), "r+b") as file:
            pages = mmap.mmap(file.fileno(), PAGE)
        for _ in range(20):
            with open(self.ctl(), "r+b") as file, mmap.mmap(file.fileno(), PAGE) as again:
                again[PAGE - 1] = (again[PAGE - 1] + 1) % 256
        self.assertEqual(pages[PAGE - 1], 20)

    def test_opening_in_many_threads_makes_one_page(self):
        def work():
            for _ in range(50):
                os.close(os.open(self.ctl(), os.O_RDWR))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.pages()), 1)

    def test_nobody_cuts_or_changes_it_through_the_mount(self):
        with open(self.ctl(), "r+b") as file:
            for attempt in (
                lambda: os.truncate(self.ctl(), 0),
                lambda: os.ftruncate(file.fileno(), 0),
                lambda: os.posix_fallocate(file.fileno(), 0, 2 * PAGE),
                lambda: os.open(self.ctl(), os.O_RDWR | os.O_TRUNC),
                lambda: os.chmod(self.ctl(), 0o666),
                lambda: os.chown(self.ctl(), OTHER, OTHER),
                lambda: os.unlink(self.ctl()),
                lambda: os.rename(self.ctl(), self.mnt / "y"),
                lambda: os.link(self.ctl(), self.mnt / "y"),
            ):
                with self.assertErrno(errno.EPERM, errno.EXDEV):
                    attempt()
        self.assertEqual(self.page().stat().st_size, PAGE)

    def test_rights_are_those_of_the_segment(self):
        os.chown(self.x, OWNER, OWNER)
        read, write = "os.open(sys.argv[1], os.O_RDONLY)", "os.open(sys.argv[1], os.O_RDWR)"
        for mode, may_read, may_write in ((0o600, errno.EACCES, errno.EACCES), (0o644, 0, errno.EACCES), (0o666, 0, 0)):
            self.x.chmod(mode)
            self.assertEqual(as_user(OWNER, write, self.ctl()), 0)
            self.assertEqual(as_user(OTHER, read, self.ctl()), may_read)
            self.assertEqual(as_user(OTHER, write, self.ctl()), may_write)

    def test_a_user_makes_the_page_of_anothers_segment(self):
        """On a bare store only the owner can; the daemon acts as root."""
        os.chown(self.x, OWNER, OWNER)
        self.x.chmod(0o666)
        peer = self.peer(self.x, user=OTHER, group=OTHER, extra_groups=[])
        self.assertEqual(peer.do("publish"), 1)
        self.assertEqual(self.page().stat().st_uid, OWNER)

    def test_in_a_directory_the_nearest_place_counts(self):
        for name in ("a", "a/b"):
            (self.mnt / name).mkdir()
        (self.mnt / "a/b/y").write_bytes(b"y")
        (self.store / "a" / CONTROL).mkdir()
        (self.store / "a" / CONTROL).chmod(0o1777)
        self.assertEqual(self.peer(self.mnt / "a/b/y").do("publish"), 1)
        self.assertEqual(self.peer(self.store / "a/b/y").do("publish"), 2)
        self.assertEqual(self.pages("a"), [str((self.store / "a/b/y").stat().st_ino)])
        self.assertEqual(self.version("a/b/y"), "2")


class Locks(ControlTest):
    def test_both_paths_meet_in_lock_and_version(self):
        for first, second in self.both_ways():
            with self.subTest(first=first):
                one, two = self.peer(first), self.peer(second)
                self.assertEqual(one.do("lock"), 0)
                self.assertEqual(two.do("trylock"), EBUSY)
                self.assertEqual(one.do("unlock"), 0)
                self.assertEqual(two.do("trylock"), 0)
                self.assertEqual(two.do("unlock"), 0)
                before = one.do("version")
                two.begin("wait", before)
                sleeps(two)
                self.assertEqual(one.do("publish"), before + 1)
                self.assertEqual(two.result(), before + 1)
                self.assertEqual(self.version(), str(before + 1))
        self.assertEqual(len(self.pages()), 1)

    def test_killed_holder_is_told_and_shown(self):
        for first, second in self.both_ways():
            with self.subTest(first=first):
                one, two = self.peer(first), self.peer(second)
                deaths = int(self.info()["Deaths"])
                self.assertEqual(self.info()["Version"], "0")
                self.assertEqual(one.do("lock"), 0)
                two.begin("lock")
                sleeps(two)
                one.kill()
                self.assertEqual(two.result(), HOLDER_DIED)
                self.assertEqual(int(self.info()["Deaths"]), deaths + 1)
                two.kill()
                self.assertEqual(self.lock(), "unlocked")
                self.assertEqual(self.info()["Lock"], "unlocked; holder died")
                last = self.peer(first)
                self.assertEqual(last.do("trylock"), HOLDER_DIED)
                self.assertEqual(last.do("unlock"), 0)

    def test_holders_are_named_by_either_path(self):
        for first, second in self.both_ways():
            with self.subTest(first=first):
                one, two, three = self.peer(first), self.peer(second), self.peer(first)
                self.assertIn(one.do("lock"), (0, HOLDER_DIED))
                self.assertEqual(self.lock(), f"exclusive pid {one.pid} (page)")
                self.assertEqual(self.info()["Lock"], f"exclusive pid {one.pid} (page)")
                self.assertIn(f"exclusive:{one.pid}(page)", (self.mnt / ".segfs/list").read_text())
                one.do("unlock")
                two.do("share"), three.do("share"), three.do("share")
                self.assertEqual(self.lock(), f"shared pid {two.pid},{three.pid} (page)")
                one.begin("lock")
                eventually(lambda: self.lock() == f"shared pid {two.pid},{three.pid} (page), 1 waiting")
                for peer in (one, two, three):
                    peer.kill()
                self.assertEqual(self.lock(), "unlocked")

    def test_beside_a_kernel_lock(self):
        peer = self.peer(self.x)
        peer.do("lock")
        process = subprocess.Popen(["flock", self.x, "sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        eventually(lambda: self.lock() == f"exclusive pid {process.pid} (flock); exclusive pid {peer.pid} (page)")
        subprocess.run(["pkill", "-P", str(process.pid)], check=True)

    def test_holder_that_nobody_knows_is_unknown(self):
        """By a thread id that is none: somebody writes nonsense."""
        peer = self.peer(self.x)
        tid = (1 << 22) + 480  # no pid is so high
        with open(self.page(), "r+b") as page:
            page.seek(64), page.write(struct.pack("<I", tid))
            page.seek(256 + 8 * (tid % 480)), page.write(struct.pack("<I", tid))
        self.assertEqual(self.lock(), "exclusive pid unknown (page)")

    def test_holder_in_another_pid_namespace_is_named_by_its_pid_here(self):
        process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", CONTROL_PEER, self.x], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "0\n")
        process.stdin.write("lock\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "0\n")
        child = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        self.assertEqual(self.lock(), f"exclusive pid {child} (page)")

    def test_attributes_accept_what_they_report(self):
        for name, value in (("lock", b"exclusive pid 812 (page)"), ("lock", b"shared pid 7,8 (page)"), ("version", b"812"), ("version", b"0")):
            os.setxattr(self.x, f"user.shm.{name}", value)
        with self.assertErrno(errno.EOPNOTSUPP):
            os.setxattr(self.x, "user.shm.version", b"many")
        self.assertEqual(self.version(), "0")
        self.assertIn('user.shm.version="0"', run("getfattr", "-d", "--absolute-names", self.x))

    def test_attached_are_those_of_the_segment_alone(self):
        self.peer(self.x)
        self.assertEqual(os.getxattr(self.x, "user.shm.attached"), b"")


class Hidden(ControlTest):
    def setUp(self):
        super().setUp()
        (self.mnt / "d").mkdir()
        (self.mnt / "d/y").write_bytes(b"y")
        (self.store / "d" / CONTROL).mkdir()
        (self.store / "d" / CONTROL).chmod(0o1777)
        self.peer(self.x).do("publish")
        self.peer(self.store / "d/y").do("publish")
        self.assertEqual((len(self.pages()), len(self.pages("d"))), (1, 1))

    def test_no_listing_shows_it(self):
        for command in (["find", "."], ["du", "-a"], ["ls", "-aR"], ["bash", "-O", "dotglob", "-c", "echo * */*"], ["cat", ".segfs/list", "d/.segfs/list", ".segfs/orphans"]):
            out = run(*command, cwd=self.mnt)
            self.assertNotIn(CONTROL, out)
        self.assertEqual(sorted(run("find", ".", "-type", "f", cwd=self.mnt).split()), ["./d/y", "./x"])

    def test_orphans_leave_pages_out(self):
        lines = (self.mnt / ".segfs/orphans").read_text().splitlines()[1:]
        self.assertEqual(sorted(line.split()[0] for line in lines), ["d/y", "x"])

    def test_rsync_tar_and_cp_copy_no_page(self):
        for i, command in enumerate(("rsync -a {}/ {}", "cp -a {}/. {}", "tar -C {} -cf - . | tar -C {} -xf -")):
            copy = self.directory / f"copy{i}"
            copy.mkdir()
            run("sh", "-c", command.format(self.mnt, copy))
            self.assertEqual(sorted(os.listdir(copy)), ["d", "x"])
            self.assertEqual(os.listdir(copy / "d"), ["y"])

    def test_the_name_is_not_there_and_cannot_be_made(self):
        name = self.mnt / CONTROL
        for attempt in (lambda: name.stat(), lambda: os.listdir(name), lambda: name.rmdir(), lambda: name.rename(self.mnt / "z"), lambda: open(name / "1")):
            with self.assertErrno(errno.ENOENT):
                attempt()
        for attempt in (
            lambda: name.mkdir(),
            lambda: name.write_bytes(b""),
            lambda: name.symlink_to("x"),
            lambda: os.link(self.x, name),
            lambda: os.rename(self.x, name),
            lambda: os.rename(self.mnt / "d", name),
            lambda: os.mkfifo(name),
        ):
            with self.assertErrno(errno.EPERM):
                attempt()

    def test_rm_r_of_a_directory_with_pages(self):
        with open(self.mnt / "d/y"):  # open still: its page is in the way as well
            run("rm", "-r", self.mnt / "d")
        self.assertFalse((self.store / "d").exists())

    def test_rmdir_leaves_pages_of_segments_that_are_there(self):
        with self.assertErrno(errno.ENOTEMPTY):
            (self.mnt / "d").rmdir()
        self.assertEqual(len(self.pages("d")), 1)

    def test_rmdir_removes_nothing_that_is_no_page(self):
        (self.mnt / "d/y").unlink()
        (self.store / "d" / CONTROL / "mine").write_text("mine")
        with self.assertErrno(errno.ENOTEMPTY):
            (self.mnt / "d").rmdir()
        self.assertEqual((self.store / "d" / CONTROL / "mine").read_text(), "mine")


class Ends(ControlTest):
    """A page goes with its segment, whichever way that goes, and not before."""

    def setUp(self):
        super().setUp()
        (self.mnt / "stays").write_bytes(b"stays")
        for name in ("x", "stays"):
            peer = self.peer(self.mnt / name)
            peer.do("publish")
            peer.end()
        self.assertEqual(len(self.pages()), 2)

    def end_daemon(self):
        self.daemon.process.send_signal(signal.SIGTERM)
        self.daemon.process.wait()

    def assertGone(self):
        eventually(lambda: len(self.pages()) == 1, what="the removal of the page")
        self.assertEqual(self.version("stays"), "1")

    def test_unlinked_through_the_mount(self):
        self.x.unlink()
        self.assertGone()

    def test_unlinked_in_the_store(self):
        (self.store / "x").unlink()
        self.assertGone()

    def test_replaced_through_the_mount(self):
        (self.mnt / "new").write_bytes(b"new")
        (self.mnt / "new").rename(self.x)
        self.assertGone()
        self.assertEqual(self.version(), "0")

    def test_replaced_in_the_store(self):
        (self.store / "new").write_bytes(b"new")
        (self.store / "new").rename(self.store / "x")
        self.assertGone()

    def test_reaped(self):
        os.setxattr(self.x, "user.shm.lifetime", b"ttl 1")
        self.assertGone()

    def test_last_link(self):
        os.link(self.x, self.mnt / "link")
        self.x.unlink()
        self.peer(self.mnt / "link").do("publish")
        self.assertEqual(self.version("link"), "2")
        (self.mnt / "link").unlink()
        self.assertGone()

    def test_open_without_a_name_it_stays_until_closed(self):
        file = open(self.x, "rb")
        self.x.unlink()
        (self.mnt / "z").write_bytes(b"")
        (self.mnt / "z").unlink()  # each of these is a reason to look
        self.assertEqual(os.getxattr(file.fileno(), "user.shm.version"), b"1")
        self.assertEqual(len(self.pages()), 2)
        file.close()
        self.assertGone()

    def test_renamed_it_stays(self):
        self.x.rename(self.mnt / "renamed")
        (self.mnt / "z").write_bytes(b"")
        (self.mnt / "z").unlink()
        peer = self.peer(self.mnt / "renamed")
        self.assertEqual(peer.do("version"), 1)
        self.assertEqual(len(self.pages()), 2)

    def test_while_no_daemon_was_there(self):
        self.end_daemon()
        (self.store / "x").unlink()
        self.daemon = Daemon(self.store, self.mnt)
        self.addCleanup(self.daemon.stop)
        self.assertGone()

    def test_read_only_nothing_is_removed_or_made(self):
        self.end_daemon()
        self.daemon = Daemon(self.store, self.mnt, "-o", "ro")
        self.addCleanup(self.daemon.stop)
        (self.store / "other").write_bytes(b"")
        with self.assertErrno(errno.EROFS):
            self.ctl("other").open("rb")
        with self.assertErrno(errno.EROFS):
            self.ctl("x").open("r+b")
        self.assertEqual(len(self.ctl("x").read_bytes()), PAGE)
        (self.store / "x").unlink()
        (self.store / "other").unlink()
        self.assertEqual(len(self.pages()), 2)

    def test_many_come_and_go_and_no_living_one_loses_its_page(self):
        peers = [self.peer(self.mnt / "stays") for _ in range(3)]
        for i in range(200):
            path = self.mnt / f"n{i % 7}"
            path.write_bytes(b"")
            os.close(os.open(self.ctl(path.name), os.O_RDWR))
            peers[i % 3].do("publish")
            path.unlink()
        self.assertEqual(self.version("stays"), "201")
        eventually(lambda: len(self.pages()) == 2, what="the removal of the pages")


class Hostile(ControlTest):
    """The owner of a page can do with its file in the store what he likes."""

    def setUp(self):
        super().setUp()
        os.close(os.open(self.ctl(), os.O_RDWR))

    def use(self):
        """All that the daemon does with a page. None of it may fail for the page's sake."""
        self.version(), self.lock(), self.info()
        (self.mnt / ".segfs/list").read_text()

    def assertMended(self):
        """Whoever opens it next has a page."""
        with open(self.ctl(), "r+b") as file:
            self.assertEqual(file.read(8), b"SEGFSCTL")
        self.assertEqual(self.page().stat().st_size, PAGE)

    def test_cut_to_any_length(self):
        for size in (0, 1, 63, 64, 130, 4096, 5000, PAGE - 1, 2 * PAGE):
            os.truncate(self.page(), size)
            self.use()
            self.assertMended()

    def test_garbage(self):
        for i in range(30):
            whole = self.page().read_bytes()
            self.page().write_bytes(os.urandom(PAGE) if i % 2 else whole[:64] + os.urandom(PAGE - 64))
            self.use()
            self.assertMended()

    def test_of_another_owner(self):
        os.chown(self.page(), OTHER, OTHER)
        self.use()
        self.assertMended()
        self.assertEqual(self.page().stat().st_uid, 0)

    def test_not_a_file(self):
        for make in (os.mkfifo, lambda path: os.symlink(self.x, path)):
            self.page().unlink()
            make(self.page())
            self.use()
            (self.mnt / "z").write_bytes(b"")
            (self.mnt / "z").unlink()
            self.use()
        with self.assertErrno(errno.EBADMSG):
            self.ctl().open("r+b")
        self.page().unlink()
        self.assertMended()

    def test_of_a_segment_that_is_gone_only_itself_goes(self):
        """A copy of the page of a dead segment, under the name of a living one, and hard links about it."""
        dead = self.page().read_bytes()
        (self.mnt / "y").write_bytes(b"y")
        os.close(os.open(self.ctl("y"), os.O_RDWR))
        victim = self.store / "victim"
        victim.write_bytes(dead)
        os.link(victim, self.store / CONTROL / "12345")
        (self.store / CONTROL / "notes").write_bytes(dead)
        (self.store / CONTROL / "999999").symlink_to("../victim")
        self.x.unlink()
        eventually(lambda: "12345" not in self.pages(), what="the removal of the page")
        self.assertEqual(victim.read_bytes(), dead)
        self.assertEqual(sorted(self.pages()), sorted([str((self.store / "y").stat().st_ino), "notes", "999999"]))

    def test_the_directory_is_anothers(self):
        (self.store / CONTROL).rename(self.store / "old")
        (self.store / CONTROL).mkdir()
        os.chown(self.store / CONTROL, OTHER, OTHER)
        self.use()
        with self.assertErrno(errno.EBADMSG):
            self.ctl().open("rb")


class Above(MountTest):
    """The store is a part of a tmpfs, and programs outside of it use the same pages."""

    def setUp(self):
        super().setUp()
        (self.store / "sub").mkdir()
        (self.store / "sub/x").write_bytes(b"x")
        self.inner = self.directory / "inner"
        self.inner.mkdir()

    def begin(self):
        daemon = Daemon(self.store / "sub", self.inner)
        self.addCleanup(daemon.stop)

    def check(self):
        one, two = Peer(self, self.inner / "x"), Peer(self, self.store / "sub/x")
        self.assertEqual((one.opened, two.opened), (0, 0))
        self.assertEqual(one.do("lock"), 0)
        self.assertEqual(two.do("trylock"), EBUSY)
        self.assertEqual(two.do("publish"), one.do("version"))
        self.assertEqual(os.getxattr(self.inner / "x", "user.shm.lock").decode(), f"exclusive pid {one.pid} (page)")

    def test_the_library_was_first(self):
        self.assertEqual(Peer(self, self.store / "sub/x").opened, 0)
        self.begin()
        self.check()
        self.assertFalse((self.store / "sub" / CONTROL).exists())

    def test_the_library_came_between(self):
        self.begin()
        self.assertEqual(Peer(self, self.store / "sub/x").opened, 0)
        self.check()

    def test_the_mount_was_first(self):
        self.begin()
        self.assertEqual(Peer(self, self.inner / "x").opened, 0)
        self.check()
        self.assertTrue((self.store / "sub" / CONTROL).exists())


class Covered(MountTest):
    def test_a_mount_over_its_own_store(self):
        (self.store / "x").write_bytes(b"x")
        before = Peer(self, self.store / "x")
        self.assertEqual(before.do("lock"), 0)
        daemon = Daemon(self.store, self.store)
        self.addCleanup(daemon.stop)
        after = Peer(self, self.store / "x")
        self.assertEqual(after.do("trylock"), EBUSY)
        self.assertEqual(os.listdir(self.store), ["x"])
        self.assertEqual(os.getxattr(self.store / "x", "user.shm.lock").decode(), f"exclusive pid {before.pid} (page)")
        after.begin("lock")
        sleeps(after)
        before.kill()
        self.assertEqual(after.result(), HOLDER_DIED)
        after.kill()


if __name__ == "__main__":
    main()
