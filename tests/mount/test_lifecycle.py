"""How a mount begins and ends: into the background when it answers, clean at each end, one line for each refusal."""

import contextlib
import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import SEGFS, PYTHON, eventually, is_mountpoint, main, run, unmount

USAGE, REFUSED = 1, 32  # exit statuses
STRANGER = 20001

# Maps a segment and closes it. Then, for each line it gets: is the last page what the line says? Then it writes "mapped" to the first.
MAPPER = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
pages = mmap.mmap(fd, 0)
os.close(fd)
print("ready", flush=True)
for line in sys.stdin:
    word = line.strip().encode()
    pages[:6] = b"mapped"
    print("seen" if pages[-len(word):] == word else "missed", flush=True)
"""


def processes_of(path):
    """Whoever has been started with `path` on the command line, ourselves and the dead left out."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name != str(os.getpid()) and b"segfs" in os.path.basename(words[0]) and os.fsencode(path) in b"\0".join(words):
            found.append(int(entry.name))
    return found


def mount_line(path):
    with open("/proc/self/mounts") as mounts:
        return next((line.split() for line in mounts if line.split()[1] == str(path)), None)


class LifecycleTest(unittest.TestCase):
    """self.store: a private tmpfs. self.mnt: an empty directory, for the test to mount on."""

    def setUp(self):
        signal.alarm(120)
        self.addCleanup(signal.alarm, 0)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="segfs-test."))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        self.addCleanup(self.kill_all)
        self.store = self.tmpfs("store")
        self.mnt = self.mountpoint("mnt")

    def tmpfs(self, name):
        path = self.directory / name
        path.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", path)
        self.addCleanup(unmount, path)
        return path

    def mountpoint(self, name):
        path = self.directory / name
        path.mkdir()
        self.addCleanup(unmount, path)
        return path

    def kill_all(self):
        """SIGKILL to each process of this test's mounts, until there is none."""
        for pid in processes_of(self.directory):
            with contextlib.suppress(ProcessLookupError):  # a worker ends with its supervisor
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not processes_of(self.directory), what="the death of the daemon")

    def segfs(self, *words, **options):
        return subprocess.run([SEGFS, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options)

    def mount(self, *options, store=None, mnt=None):
        """As from a shell: in the background when this returns."""
        done = self.segfs(*options, store or self.store, mnt or self.mnt)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def foreground(self, *options):
        """A daemon that is our child, so that its exit status is seen."""
        process = subprocess.Popen([SEGFS, "-f", *options, self.store, self.mnt], stderr=subprocess.PIPE, text=True)

        def end():
            process.kill()
            process.wait()
            process.stderr.close()

        self.addCleanup(end)
        for line in process.stderr:
            if " mounted on " in line:
                return process
        raise AssertionError(f"segfs -f has ended: {process.wait()}")

    def map(self, name, size=3 * mmap.PAGESIZE):
        """A process that has a segment mapped by way of the mount."""
        (self.mnt / name).write_bytes(bytes(size))
        process = subprocess.Popen([PYTHON, "-c", MAPPER, self.mnt / name], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

        self.addCleanup(end)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def assert_mapping_shares_pages_with_the_store(self, process, name):
        for word in ("first", "second"):
            with open(self.store / name, "r+b") as file:
                file.seek(-len(word), os.SEEK_END)
                file.write(word.encode())
            process.stdin.write(word + "\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "seen\n")
            with open(self.store / name, "r+b") as file:
                self.assertEqual(file.read(6), b"mapped")
                file.seek(0)
                file.write(bytes(6))

    def assert_gone(self):
        """No mount, no process, and the mountpoint is an ordinary empty directory again."""
        eventually(lambda: not is_mountpoint(self.mnt), what="the end of the mount")
        eventually(lambda: not processes_of(self.directory), what="the end of the daemon")
        self.assertEqual(os.listdir(self.mnt), [])
        self.assertEqual(self.mnt.stat().st_dev, self.directory.stat().st_dev)


class Start(LifecycleTest):
    def test_the_mount_answers_when_the_command_returns(self):
        (self.store / "x").write_bytes(b"x" * 10)
        for _ in range(20):
            done = self.segfs(self.store, self.mnt)
            size = (self.mnt / "x").stat().st_size
            line = mount_line(self.mnt)
            self.assertEqual((done.returncode, done.stdout, done.stderr, size), (0, "", "", 10))
            self.assertEqual((line[0], line[2]), (str(self.store), "fuse.segfs"))
            self.assertLessEqual({"rw", "allow_other", "default_permissions"}, set(line[3].split(",")))
            run("umount", self.mnt)
            self.assert_gone()

    def test_the_background_daemon_holds_nothing_of_its_starter(self):
        self.mount()
        (daemon, *_) = processes_of(self.directory)
        self.assertEqual(os.readlink(f"/proc/{daemon}/cwd"), "/")
        self.assertEqual({os.readlink(f"/proc/{daemon}/fd/{fd}") for fd in range(3)}, {"/dev/null"})
        self.assertNotEqual(os.getsid(daemon), os.getsid(0))

    def test_relative_paths(self):
        done = self.segfs("-o", f"comment={self.directory}", "store", "mnt", cwd=self.directory)  # the comment: for processes_of()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (self.mnt / "x").write_bytes(b"x")
        self.assertEqual((self.store / "x").read_bytes(), b"x")
        run("umount", self.mnt)
        self.assert_gone()

    def test_help_and_version(self):
        for option, text in [("--help", "Usage: segfs "), ("-h", "Usage: segfs "), ("--version", "segfs "), ("-V", "segfs ")]:
            with self.subTest(option=option):
                done = self.segfs(option)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(done.stdout.startswith(text), done.stdout)


class Options(LifecycleTest):
    def test_ro_refuses_every_change(self):
        (self.store / "x").write_bytes(b"x")
        self.mount("-o", "ro")
        self.assertIn("ro", mount_line(self.mnt)[3].split(","))
        changes = {
            "write": lambda: os.open(self.mnt / "x", os.O_WRONLY),
            "create": lambda: os.open(self.mnt / "y", os.O_WRONLY | os.O_CREAT),
            "mkdir": lambda: os.mkdir(self.mnt / "d"),
            "unlink": lambda: os.unlink(self.mnt / "x"),
            "rename": lambda: os.rename(self.mnt / "x", self.mnt / "y"),
            "chmod": lambda: os.chmod(self.mnt / "x", 0o600),
            "truncate": lambda: os.truncate(self.mnt / "x", 0),
            "setxattr": lambda: os.setxattr(self.mnt / "x", "user.note", b"x"),
            "typing": lambda: os.setxattr(self.mnt / "x", "user.shm.dtype", b"u1"),
        }
        for name, change in changes.items():
            with self.subTest(name), self.assertRaisesRegex(OSError, "Read-only file system"):
                change()
        self.assertEqual((self.mnt / "x").read_bytes(), b"x")
        self.assertEqual(os.listdir(self.store), ["x"])

    def test_root_only_keeps_others_out(self):
        (self.store / "x").write_bytes(b"x")
        script = "import os, sys\ntry: os.stat(sys.argv[1]); print('in')\nexcept OSError as e: print(e.strerror)"
        look = lambda: subprocess.run([PYTHON, "-c", script, self.mnt / "x"], user=STRANGER, group=STRANGER, extra_groups=[],
                                      capture_output=True, text=True).stdout.strip()
        self.mount("-o", "root_only")
        self.assertEqual(look(), "Permission denied")
        self.assertEqual((self.mnt / "x").read_bytes(), b"x")
        run("umount", self.mnt)
        self.assert_gone()
        self.mount()
        self.assertEqual(look(), "in")

    def test_words_meant_for_mount_and_fstab_are_accepted(self):
        self.mount("-o", "defaults,nofail,x-systemd.automount,_netdev,noauto,rw,nosuid")
        options = mount_line(self.mnt)[3].split(",")
        self.assertLessEqual({"rw", "nosuid"}, set(options))

    def test_every_generic_option_of_mount_is_accepted(self):
        """The list in mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS"; those of SELinux and remount left out."""
        words = ("async sync atime noatime auto noauto defaults dev nodev diratime nodiratime dirsync exec noexec group iversion "
                 "noiversion mand nomand _netdev nofail relatime norelatime strictatime nostrictatime lazytime nolazytime suid nosuid "
                 "silent loud owner user nouser users ro rw nosymfollow x-any.word X-any.word comment=any")
        for word in words.split():
            with self.subTest(option=word):
                self.mount("-o", word)
                run("umount", self.mnt)
                self.assert_gone()

    def test_the_last_of_two_opposites_counts(self):
        self.mount("-o", "ro,nosuid,noexec", "-o", "rw,exec")
        options = mount_line(self.mnt)[3].split(",")
        self.assertIn("rw", options)
        self.assertIn("nosuid", options)
        self.assertNotIn("noexec", options)


class End(LifecycleTest):
    def test_umount(self):
        self.mount()
        run("umount", self.mnt)
        self.assert_gone()

    def test_fusermount(self):
        self.mount()
        run("fusermount3", "-u", self.mnt)
        self.assert_gone()

    def test_a_signal_ends_the_background_daemon(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                self.mount()
                (daemon, *_) = processes_of(self.directory)
                os.kill(daemon, number)
                self.assert_gone()

    def test_a_signal_ends_the_foreground_daemon_with_status_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                daemon = self.foreground()
                daemon.send_signal(number)
                self.assertEqual(daemon.wait(20), 0)
                self.assert_gone()

    def test_umount_ends_the_foreground_daemon_with_status_0(self):
        daemon = self.foreground()
        run("umount", self.mnt)
        self.assertEqual(daemon.wait(20), 0)
        self.assert_gone()

    def test_umount_is_refused_while_a_segment_is_open_and_harms_nothing(self):
        self.mount()
        with open(self.mnt / "x", "w+b", buffering=0) as file:
            self.assertNotEqual(subprocess.run(["umount", self.mnt], capture_output=True).returncode, 0)
            file.write(b"still here")
            self.assertEqual((self.mnt / "x").read_bytes(), b"still here")
        run("umount", self.mnt)
        self.assert_gone()

    def test_a_mapping_keeps_the_mount_busy_and_survives_umount_l(self):
        """As on any file system: the mapping holds the mount, and the daemon ends with the last of them."""
        self.mount()
        process = self.map("x")
        self.assertNotEqual(subprocess.run(["umount", self.mnt], capture_output=True).returncode, 0)
        run("umount", "-l", self.mnt)
        self.assertFalse(is_mountpoint(self.mnt))
        self.assert_mapping_shares_pages_with_the_store(process, "x")
        process.kill()
        self.assert_gone()

    def test_a_mapping_survives_sigterm(self):
        self.mount()
        process = self.map("x")
        (daemon, *_) = processes_of(self.directory)
        os.kill(daemon, signal.SIGTERM)
        self.assert_gone()
        self.assert_mapping_shares_pages_with_the_store(process, "x")

    def test_an_open_segment_stays_readable_and_writable_after_sigterm(self):
        self.mount()
        fd = os.open(self.mnt / "x", os.O_RDWR | os.O_CREAT)
        os.write(fd, b"before")
        (daemon, *_) = processes_of(self.directory)
        os.kill(daemon, signal.SIGTERM)
        self.assert_gone()
        self.assertEqual(os.pread(fd, 100, 0), b"before")
        os.pwrite(fd, b"after!", 0)
        self.assertEqual((self.store / "x").read_bytes(), b"after!")
        with contextlib.suppress(OSError):  # ENOTCONN: nobody is left to be told of the close, which happens all the same
            os.close(fd)

    def test_a_mapping_survives_sigkill(self):
        self.mount()
        process = self.map("x")
        self.kill_all()
        self.assert_mapping_shares_pages_with_the_store(process, "x")

    def test_the_store_can_be_mounted_again_after_sigkill(self):
        self.mount()
        (self.mnt / "x").write_bytes(b"kept")
        self.kill_all()
        run("umount", "-l", self.mnt)
        self.mount()
        self.assertEqual((self.mnt / "x").read_bytes(), b"kept")


class Several(LifecycleTest):
    def test_two_stores(self):
        other_store, other_mnt = self.tmpfs("store2"), self.mountpoint("mnt2")
        self.mount()
        self.mount(store=other_store, mnt=other_mnt)
        (self.mnt / "x").write_bytes(b"one")
        (other_mnt / "x").write_bytes(b"two")
        self.assertEqual((self.store / "x").read_bytes(), b"one")
        self.assertEqual((other_store / "x").read_bytes(), b"two")
        run("umount", self.mnt)
        eventually(lambda: len(processes_of(self.directory)) == len(processes_of(other_mnt)), what="the end of one daemon")
        self.assertEqual((other_mnt / "x").read_bytes(), b"two")

    def test_one_store_on_two_mountpoints_shares_pages(self):
        other = self.mountpoint("mnt2")
        self.mount()
        self.mount(mnt=other)
        (self.mnt / "x").write_bytes(bytes(mmap.PAGESIZE))
        with open(self.mnt / "x", "r+b") as one, open(other / "x", "r+b") as two:
            first, second = mmap.mmap(one.fileno(), 0), mmap.mmap(two.fileno(), 0)
            first[:5] = b"hello"
            self.assertEqual(second[:5], b"hello")
            first.close()
            second.close()
        run("umount", self.mnt)
        self.assertEqual((other / "x").read_bytes()[:5], b"hello")

    def test_a_folder_of_a_store(self):
        (self.store / "d").mkdir()
        self.mount(store=self.store / "d")
        (self.mnt / "x").write_bytes(b"x")
        self.assertEqual(os.listdir(self.store / "d"), ["x"])


class Refusals(LifecycleTest):
    """One line on stderr with the cause and what to do about it, and nothing left behind, in the background as in the foreground."""

    def assert_refused(self, status, pattern, *words, store=None, mnt=None, prefix=(), program=SEGFS, **options):
        words = words or (store or self.store, mnt or self.mnt)
        before = mount_line(self.mnt)
        for flags in ((), ("-f",)):
            with self.subTest(flags=flags):
                done = subprocess.run([*prefix, program, *flags, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      timeout=60, **options)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertRegex(done.stderr, re.compile(pattern, re.IGNORECASE))
                self.assertTrue(done.stderr.startswith("segfs: "), done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.returncode, status)
                self.assertEqual(mount_line(self.mnt), before)
                if not before:
                    self.assert_gone()

    def test_store_missing(self):
        path = self.directory / "nowhere"
        self.assert_refused(USAGE, f"store {path}: no such file or directory; .*mkdir", store=path)

    def test_store_not_a_directory(self):
        path = self.store / "file"
        path.touch()
        self.assert_refused(REFUSED, f"store {path}.*not a directory; .*", store=path)

    def test_store_not_on_tmpfs(self):
        self.assert_refused(REFUSED, "store /proc is not on tmpfs; .*/dev/shm", store="/proc")

    def test_mountpoint_missing(self):
        path = self.directory / "nowhere"
        self.assert_refused(USAGE, f"mountpoint {path}: no such file or directory; mkdir {path}", mnt=path)

    def test_mountpoint_not_a_directory(self):
        path = self.directory / "file"
        path.touch()
        self.assert_refused(REFUSED, f"mountpoint {path}.*not a directory; .*", mnt=path)

    def test_mountpoint_busy(self):
        self.mount()
        (self.mnt / "x").write_bytes(b"x")
        self.assert_refused(REFUSED, f"mountpoint {self.mnt}: busy.*; umount {self.mnt}")
        self.assertEqual((self.mnt / "x").read_bytes(), b"x")

    def test_mountpoint_dead(self):
        self.mount()
        self.kill_all()
        self.assert_refused(REFUSED, f"mountpoint {self.mnt}: .*dead.*; umount -f -l {self.mnt}")

    def test_not_root(self):
        program = shutil.copy(SEGFS, self.directory / "segfs")  # where it was built may be out of a stranger's reach
        self.assert_refused(REFUSED, "needs root.*sudo segfs", program=program, user=STRANGER, group=STRANGER, extra_groups=[])

    def test_root_without_the_capability(self):
        drop = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")
        self.assert_refused(REFUSED, "CAP_SYS_ADMIN", prefix=drop)

    def without_device(self, hide):
        """A command prefix: the rest runs in a mount namespace of its own, after `hide`."""
        return "unshare", "--mount", "--propagation", "private", "sh", "-c", f'{hide} && exec "$@"', "sh"

    def test_no_device(self):
        self.assert_refused(REFUSED, "no /dev/fuse.*modprobe fuse", prefix=self.without_device("mount -t tmpfs tmpfs /dev"))

    def test_something_else_in_the_place_of_the_device(self):
        self.assert_refused(REFUSED, "/dev/fuse", prefix=self.without_device("mount --bind /dev/null /dev/fuse"))

    def test_device_not_permitted(self):
        """As in a container whose device cgroup leaves it out, here by a mount that has no devices."""
        hide = (f"cd {self.directory} && mount -t tmpfs -o nodev tmpfs mnt && mknod mnt/fuse c 10 229"
                " && mount --bind mnt/fuse /dev/fuse && umount -l mnt")
        self.assert_refused(REFUSED, "/dev/fuse: permission denied", prefix=self.without_device(hide))

    def test_unknown_option(self):
        self.assert_refused(USAGE, "unknown option 'no_such_thing'.*--help", "-o", "ro,no_such_thing", self.store, self.mnt)

    def test_unknown_flag(self):
        for flag in ("-x", "--no-such-flag"):
            self.assert_refused(USAGE, f"{flag.strip('-')}.*--help", flag, self.store, self.mnt)

    def test_flag_without_its_word(self):
        self.assert_refused(USAGE, "-o: .*--help", "-o")

    def test_wrong_number_of_words(self):
        self.assert_refused(USAGE, "store and a mountpoint .*--help", self.store)
        self.assert_refused(USAGE, "store and a mountpoint .*--help", self.store, self.mnt, "third")

    def test_no_words_at_all(self):
        done = self.segfs()
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (USAGE, "", 1))
        self.assertIn("segfs --help", done.stderr)

    def test_bad_threads(self):
        for value in ("", "x", "0", "-1", "1000000", "4x", "99999999999999999999"):
            self.assert_refused(USAGE, f"threads={value}: a number from .* to ", "-o", f"threads={value}", self.store, self.mnt)


if __name__ == "__main__":
    main()
