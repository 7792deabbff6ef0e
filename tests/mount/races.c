/* SPDX-License-Identifier: MIT */

/*
 * races STORE MOUNTPOINT OUTSIDE SECONDS: an ordinary user against the daemon. In a store that all may write
 * to, some of his processes exchange files, symlinks, hard links and directories under a few names, others
 * ask the mount to open, change, remove and show what has these names; a client of root's does the same with
 * what is the user's, and root mounts something over a directory of the store now and then. Files that are
 * not the user's, in the store and OUTSIDE, must stay as they are, and no process of his may read a word of
 * them.
 *
 * Prints how often each was done and how often with success; exit status 1 if anything went wrong.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define USER		20001
#define TOKEN		"SECRET-TOKEN"
#define PUBLIC		"PUBLIC-WORDS"
#define TOKEN_HEX	"53 45 43 52 45 54"
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *store, *mountpoint, *outside;
static uint64_t seed;

enum { EXCHANGES, REQUESTS, ROOTS, MOUNTS, BAITS, TOGGLES, N_COUNTS };
enum { OUTSIDES = 4, N_BAITS = 50 };
static struct {
	_Atomic uint64_t tried[N_COUNTS], done[N_COUNTS];
	_Atomic bool failed;
	_Atomic uint64_t phase; /* odd while `toggle` and `toggle-dir` are closed to the user */
	ino_t outside[OUTSIDES];
} * shared;

/* In OUTSIDE, then in the store; none of them the user's. */
static const struct canary {
	bool is_outside;
	const char *name;
	mode_t mode;
} canaries[] = {
	{true, "secret", 0600},
	{true, "a", 0600},
	{true, "x", 0644},
	{true, "b", 0644},
	{false, "root-secret", 0600},
	{false, "root-public", 0644},
	{false, "root-dir/a", 0600},
	{false, "root-dir/x", 0644},
};

static const char *const names[] = {"a", "b", "x", "secret"};
static const char *const directories[] = {".", "d", "e", "over"};

static unsigned draw(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 11) % n;
}

static void fail(const char *what, const char *path)
{
	printf("FAILED: %s: %s\n", what, path);
	fflush(stdout);
	shared->failed = true;
}

static void count(int what, int r)
{
	shared->tried[what]++;
	shared->done[what] += r >= 0;
}

/* ---- canaries */

static void canary_path(const struct canary *canary, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", canary->is_outside ? outside : store, canary->name);
}

/* What everybody may read is no secret. Both are equally long. */
static const char *text_of(const struct canary *canary)
{
	return canary->mode & 0004 ? PUBLIC : TOKEN;
}

static void make_canary(const struct canary *canary)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	canary_path(canary, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text_of(canary), sizeof(TOKEN)) != sizeof(TOKEN) ||
	    fchmod(fd, canary->mode) < 0 || fsetxattr(fd, "user.note", text_of(canary), sizeof(TOKEN), 0) < 0)
		err(2, "%s", path);
	if (canary->is_outside && fstat(fd, &st) == 0)
		shared->outside[canary - canaries] = st.st_ino;
	close(fd);
}

static void check_canary(const struct canary *canary)
{
	char path[PATH_MAX], text[64] = {};
	struct stat st;
	int fd;

	canary_path(canary, path);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fail("gone", path);
		return;
	}
	if (st.st_uid != 0 || st.st_gid != 0 || (st.st_mode & 07777) != canary->mode)
		fail("owner or mode changed", path);
	if (read(fd, text, sizeof(text)) != sizeof(TOKEN) ||
	    memcmp(text, text_of(canary), sizeof(TOKEN)) != 0)
		fail("content changed", path);
	if (fgetxattr(fd, "user.note", text, sizeof(text)) != sizeof(TOKEN) || flistxattr(fd, NULL, 0) != 10)
		fail("attributes changed", path);
	close(fd);
}

static void check_canaries(void)
{
	for (size_t i = 0; i < COUNT_OF(canaries); i++)
		check_canary(&canaries[i]);
}

static void check_read(const char *text, ssize_t n, const char *path)
{
	if (n > 0 &&
	    (memmem(text, (size_t)n, TOKEN, 8) || memmem(text, (size_t)n, TOKEN_HEX, strlen(TOKEN_HEX))))
		fail("revealed", path);
}

/* A file of the mount's may not be one outside, whatever leads to it. */
static void check_place(const struct stat *st, const char *path)
{
	struct stat top;

	if (stat(mountpoint, &top) < 0 || st->st_dev != top.st_dev)
		return;
	for (int i = 0; i < OUTSIDES; i++)
		if (st->st_ino == shared->outside[i])
			fail("found in the mount", path);
}

/* ---- the user, past the mount */

static const char *draw_name(void)
{
	return names[draw(COUNT_OF(names))];
}

static int open_own_directory(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", draw(4) ? store : mountpoint, directories[draw(2)]);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int make_own(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		return -1;
	if (write(fd, "mine", 4) == 4 && draw(2))
		fsetxattr(fd, "user.shm.dtype", "|u1", 3, 0);
	return close(fd);
}

static int point_outside(int dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", outside, name);
	return symlinkat(path, dir, name);
}

/* `e` is a symlink to OUTSIDE, `d` a directory; and the other way round. */
static int swap_directories(int dir)
{
	mkdirat(dir, "d", 0777);
	symlinkat(outside, dir, "e");
	return renameat2(dir, "d", dir, "e", RENAME_EXCHANGE);
}

static int exchange_once(int dir)
{
	const char *name = draw_name(), *other = draw_name();

	switch (draw(9)) {
	case 0:
	case 1:
		return make_own(dir, name);
	case 2:
		return point_outside(dir, name);
	case 3:
		return linkat(dir, draw(2) ? "root-secret" : "../root-secret", dir, name, 0);
	case 4:
	case 5:
		return renameat2(dir, name, dir, other, RENAME_EXCHANGE);
	case 6:
		return renameat(dir, name, dir, other);
	case 7:
		return unlinkat(dir, name, 0);
	default:
		return swap_directories(dir);
	}
}

static void exchange(void)
{
	int dir = open_own_directory();

	if (dir < 0)
		return;
	count(EXCHANGES, exchange_once(dir));
	close(dir);
}

/* ---- the user, by the mount */

static int try_read(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	check_read(text, read(fd, text, sizeof(text)), path);
	return close(fd);
}

static int try_write(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | flags, 0666);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = pwrite(fd, "written", 7, 0);
	close(fd);
	return (int)n;
}

static int try_attribute(const char *path)
{
	char value[256];
	ssize_t n = draw(2) ? getxattr(path, "user.note", value, sizeof(value))
			    : lgetxattr(path, "user.note", value, sizeof(value));

	check_read(value, n, path);
	return (int)n;
}

static int try_lifetime(const char *path)
{
	static const char *const lifetimes[] = {"ttl 1", "creator", "last-user"};
	const char *lifetime = lifetimes[draw(3)];

	return lsetxattr(path, "user.shm.lifetime", lifetime, strlen(lifetime), 0);
}

static int try_view(const char *directory, const char *name)
{
	static const char *const views[] = {"text/%s", "info/%s", "npy/%s.npy", "image/%s.png", "list"};
	char path[PATH_MAX], view[256];

	snprintf(view, sizeof(view), views[draw(COUNT_OF(views))], name);
	snprintf(path, sizeof(path), "%s/%s/.segfs/%s", mountpoint, directory, view);
	return try_read(path);
}

static int try_stat(const char *path)
{
	struct stat st;
	int r = draw(2) ? lstat(path, &st) : stat(path, &st);

	if (r == 0)
		check_place(&st, path);
	return r;
}

/* Closed before it was asked for, and still closed after the answer: then the answer is no. */
static int try_closed(void)
{
	static const char *const closed[] = {"toggle", "toggle-dir/x", ".segfs/text/toggle",
					     ".segfs/npy/toggle.npy", "toggle-dir/.segfs/text/x"};
	char path[PATH_MAX];
	uint64_t before = shared->phase;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", mountpoint, closed[draw(COUNT_OF(closed))]);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && before % 2 && shared->phase == before)
		fail("opened while it was closed", path);
	return fd < 0 ? fd : close(fd);
}

static int request_once(void)
{
	const char *directory = directories[draw(COUNT_OF(directories))];
	const char *name = draw(8) ? draw_name() : draw(2) ? "root-secret" : "root-dir/a";
	char path[PATH_MAX], other[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", mountpoint, directory, name);
	snprintf(other, sizeof(other), "%s/%s/%s", mountpoint, directories[draw(4)], draw_name());
	switch (draw(20)) {
	case 0:
	case 1:
		return try_read(path);
	case 2:
		return try_write(path, 0);
	case 3:
		return try_write(path, O_TRUNC);
	case 4:
		return try_write(path, O_CREAT);
	case 5:
		return chmod(path, draw(2) ? 0777 : 0600);
	case 6:
		return truncate(path, draw(100));
	case 7:
		return unlink(path);
	case 8:
		return rename(path, other);
	case 9:
		return link(path, other);
	case 10:
		return setxattr(path, draw(2) ? "user.note" : "user.shm.sealed", "1", 1, 0);
	case 11:
		return try_attribute(path);
	case 12:
		return try_lifetime(path);
	case 13:
		return chown(path, USER, USER);
	case 14:
		return try_stat(path);
	case 15:
	case 16:
		return try_closed();
	default:
		return try_view(directory, name);
	}
}

static void request(void)
{
	count(REQUESTS, request_once());
}

/* ---- root, by the mount: careful itself, so that only the daemon can be led astray */

static int open_beneath(int dir, const char *path, uint64_t flags)
{
	const struct open_how how = {.flags = flags | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* The same file, opened by way of the mount once more. */
static int empty(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_NONBLOCK | O_TRUNC | O_CLOEXEC);
	return again < 0 ? -1 : close(again);
}

static int change_own(int dir, const char *name)
{
	int fd = open_beneath(dir, name, O_RDWR | O_NONBLOCK), r = -1;
	struct stat st = {};

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0)
		check_place(&st, name);
	if (st.st_uid == USER) {
		r = fchmod(fd, draw(2) ? 0666 : 0600);
		r |= draw(8) ? ftruncate(fd, draw(2) ? st.st_size : 0) : empty(fd);
		r |= fchown(fd, USER, USER);
		fsetxattr(fd, "user.shm.lifetime", "ttl 1", 5, 0);
		r |= pwrite(fd, "root", 4, 0) == 4 ? 0 : -1;
	}
	close(fd);
	return r;
}

static void act_as_root(void)
{
	static int top = -1;
	int dir;

	if (top < 0)
		top = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = open_beneath(top, directories[draw(3)], O_PATH | O_DIRECTORY);
	if (dir < 0)
		return;
	switch (draw(4)) {
	case 0:
		count(ROOTS, unlinkat(dir, draw_name(), 0));
		break;
	case 1:
		count(ROOTS, renameat2(dir, draw_name(), dir, draw_name(), RENAME_NOREPLACE));
		break;
	default:
		count(ROOTS, change_own(dir, draw_name()));
	}
	close(dir);
}

/* What is mounted in the store is not in the store: the mount must not show it. */
static void mount_over(void)
{
	char path[PATH_MAX], secret[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s/over", store);
	snprintf(secret, sizeof(secret), "%s/over/secret", store);
	r = mount("tmpfs", path, "tmpfs", 0, "mode=755");
	count(MOUNTS, r);
	if (r < 0)
		return;
	fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, TOKEN, sizeof(TOKEN)) < 0)
		err(2, "%s", secret);
	close(fd);
	usleep(draw(20000));
	umount2(path, MNT_DETACH);
	usleep(draw(20000));
}

/* Root closes a file and a directory to all others, says so, and opens them again. */
static void toggle(void)
{
	char file[PATH_MAX], directory[PATH_MAX];

	snprintf(file, sizeof(file), "%s/toggle", store);
	snprintf(directory, sizeof(directory), "%s/toggle-dir", store);
	count(TOGGLES, MIN(chmod(file, 0600), chmod(directory, 0700)));
	shared->phase++;
	usleep(draw(3000));
	shared->phase++;
	chmod(file, 0644);
	chmod(directory, 0755);
	usleep(draw(3000));
}

static void bait_names(int i, char directory[32], char link[32])
{
	snprintf(directory, 32, "bait-%d-%d", getpid(), i);
	snprintf(link, 32, "link-%d-%d", getpid(), i);
}

static void make_baits(int top, int i)
{
	char directory[32], link[32];
	int dir;

	bait_names(i, directory, link);
	mkdirat(top, directory, 0777);
	symlinkat(outside, top, link);
	dir = openat(top, directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t k = 0; k < COUNT_OF(names); k++) {
		int fd = openat(dir, names[k], O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		fsetxattr(fd, "user.shm.lifetime", "ttl 1", 5, 0);
		count(BAITS, fd);
		close(fd);
	}
	close(dir);
}

/*
 * Segments that the daemon is about to remove, in directories that are a symlink to OUTSIDE every other
 * moment: what is there has the same names.
 */
static void bait(void)
{
	static int first;
	char directory[32], link[32];
	int top = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < N_BAITS; i++)
		make_baits(top, first + i);
	for (time_t end = time(NULL) + 4; time(NULL) < end;) {
		for (int i = 0; i < N_BAITS; i++) {
			bait_names(first + i, directory, link);
			renameat2(top, directory, top, link, RENAME_EXCHANGE);
		}
	}
	first += N_BAITS;
	close(top);
}

/* ---- all together */

static void become_user(void)
{
	if (setgroups(0, NULL) < 0 || setgid(USER) < 0 || setuid(USER) < 0)
		err(2, "becoming a user");
}

static pid_t start(void (*act)(void), bool as_user)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(0);
	seed = (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
	if (as_user)
		become_user();
	for (;;)
		act();
}

static void prepare(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/root-dir", store);
	if (mkdir(path, 0755) < 0)
		err(2, "%s", path);
	snprintf(path, sizeof(path), "%s/over", store);
	if (mkdir(path, 0777) < 0 || chmod(path, 0777) < 0)
		err(2, "%s", path);
	for (size_t i = 0; i < COUNT_OF(canaries); i++)
		make_canary(&canaries[i]);
	snprintf(path, sizeof(path), "%s/toggle", store);
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644));
	setxattr(path, "user.shm.dtype", "|u1", 3, 0);
	setxattr(path, "user.shm.shape", "0", 1, 0);
	snprintf(path, sizeof(path), "%s/toggle-dir", store);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/toggle-dir/x", store);
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644));
}

static void report(void)
{
	static const char *const what[] = {"exchanges in the store", "requests of the user",
					   "requests of root",	     "mounts in the store",
					   "segments to be removed", "permissions withdrawn"};

	for (int i = 0; i < N_COUNTS; i++)
		printf("%s: %llu, of which %llu succeeded\n", what[i], (unsigned long long)shared->tried[i],
		       (unsigned long long)shared->done[i]);
}

int main(int argc, char **argv)
{
	void (*const acts[])(void) = {exchange,	   exchange,   request, request, request,
				      act_as_root, mount_over, toggle,	bait};
	pid_t pids[COUNT_OF(acts)];
	time_t end;

	if (argc != 5)
		errx(2, "usage: races STORE MOUNTPOINT OUTSIDE SECONDS");
	store = argv[1];
	mountpoint = argv[2];
	outside = argv[3];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(2, "mmap");
	prepare();
	for (size_t i = 0; i < COUNT_OF(acts); i++)
		pids[i] = start(acts[i], acts[i] == exchange || acts[i] == request || acts[i] == bait);
	for (end = time(NULL) + atoi(argv[4]); time(NULL) < end && !shared->failed; usleep(20000))
		check_canaries();
	for (size_t i = 0; i < COUNT_OF(acts); i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	check_canaries();
	report();
	return shared->failed;
}
