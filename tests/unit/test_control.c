/* SPDX-License-Identifier: MIT */
#include <segfs/control.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <segfs/layout.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bounded.h"
#include "control-page.h"
#include "control-place.h"
#include "control-state.h"
#include "storm.h"
#include "suite.h"
#include "util.h"

#define MS INT64_C(1000000)

/* A tmpfs of the test's own, in a mount namespace of its own, with a segment in a directory. */
static char top[] = "/tmp/segfs-control-XXXXXX";
#define DIR_NAME "team"
#define SEGMENT	 DIR_NAME "/grid"

enum { USER = 1234, OTHER = 1235 };

static void write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void setup(void)
{
	strcpy(top, "/tmp/segfs-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", top, "tmpfs", 0, "mode=1777"), 0);
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(mkdir(DIR_NAME, 0777), 0);
	ck_assert_int_eq(chmod(DIR_NAME, 0777), 0);
	write_file(SEGMENT, "0123456789", 10, 0600);
}

static void teardown(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	umount2(top, MNT_DETACH);
	rmdir(top);
}

static struct segfs_control *open_control(const char *path, int flags)
{
	struct segfs_control *control = NULL;

	ck_assert_int_eq(segfs_control_open(path, flags, &control), 0);
	return control;
}

static void assert_error(const char *path, int flags, int error)
{
	struct segfs_control *control = (void *)UNTOUCHED;

	ck_assert_int_eq(segfs_control_open(path, flags, &control), error);
	ck_assert_ptr_eq(control, (void *)UNTOUCHED);
}

/* The path of the segment's page in a directory. */
static const char *page_in(const char *dir)
{
	static char path[128];
	struct stat st;

	ck_assert_int_eq(stat(SEGMENT, &st), 0);
	snprintf(path, sizeof(path), "%s" SEGFS_CONTROL_DIR "/%lu", dir, (unsigned long)st.st_ino);
	return path;
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st;
}

/* In a child that is this user: what opening the segment's control gives. */
static int open_as(uid_t uid, int flags)
{
	struct segfs_control *control;
	pid_t pid = fork();
	int r;

	if (pid == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(255);
		r = segfs_control_open(SEGMENT, flags, &control);
		if (r == 0)
			segfs_control_close(control);
		_exit(-r);
	}
	return -WEXITSTATUS(reap(pid));
}

/* ------------------------------------------------------------------------------------------------------------
 * Use
 */
START_TEST(lock_through_two_controls_excludes)
{
	struct segfs_control *one = open_control(SEGMENT, O_RDWR),
			     *two = open_control("team/../team/grid", O_RDWR);
	struct segfs_control_stat st;

	ck_assert_int_eq(segfs_lock_exclusive(one, 0), 0);
	ck_assert_int_eq(segfs_lock_exclusive(two, 0), -EBUSY);
	ck_assert_int_eq(segfs_lock_shared(two, MS), -ETIMEDOUT);
	ck_assert_int_eq(segfs_unlock_exclusive(two), -EPERM);
	segfs_control_stat(two, &st);
	ck_assert_uint_ne(st.exclusive_tid, 0);
	ck_assert_int_eq(segfs_unlock_exclusive(one), 0);
	ck_assert_int_eq(segfs_lock_shared(one, -1), 0);
	ck_assert_int_eq(segfs_lock_shared(one, -1), 0);
	ck_assert_int_eq(segfs_lock_shared(two, -1), 0);
	segfs_control_stat(two, &st);
	ck_assert_uint_eq(st.n_shared, 3);
	ck_assert_int_eq(segfs_unlock_shared(one), 0);
	ck_assert_int_eq(segfs_unlock_shared(one), 0);
	ck_assert_int_eq(segfs_unlock_shared(one), -EPERM);
	ck_assert_int_eq(segfs_lock_exclusive(one, 0), -EBUSY);
	ck_assert_int_eq(segfs_unlock_shared(two), 0);
	segfs_control_close(one);
	ck_assert_ptr_null(segfs_control_close(two));
	ck_assert_ptr_null(segfs_control_close(NULL));
}
END_TEST

START_TEST(close_while_holding_tells_the_next)
{
	struct segfs_control *one = open_control(SEGMENT, O_RDWR), *two = open_control(SEGMENT, O_RDWR);
	struct segfs_control_stat st;

	ck_assert_int_eq(segfs_lock_exclusive(one, 0), 0);
	segfs_control_close(one);
	segfs_control_stat(two, &st);
	ck_assert(st.holder_died);
	ck_assert_int_eq(segfs_lock_shared(two, 0), SEGFS_HOLDER_DIED);
	ck_assert_int_eq(segfs_unlock_shared(two), 0);
	ck_assert_int_eq(segfs_lock_exclusive(two, 0), SEGFS_HOLDER_DIED);
	ck_assert_int_eq(segfs_unlock_exclusive(two), 0);
	segfs_control_stat(two, &st);
	ck_assert_uint_eq(st.deaths, 1);
	ck_assert(!st.holder_died);
	ck_assert_int_eq(segfs_lock_exclusive(two, 0), 0);
	segfs_control_close(two);
}
END_TEST

START_TEST(read_only_waits_and_does_not_lock)
{
	struct segfs_control *writer = open_control(SEGMENT, O_RDWR),
			     *reader = open_control(SEGMENT, O_RDONLY);
	uint64_t version = UNTOUCHED;

	ck_assert_int_eq(segfs_lock_exclusive(reader, 0), -EBADF);
	ck_assert_int_eq(segfs_lock_shared(reader, 0), -EBADF);
	ck_assert_int_eq(segfs_unlock_exclusive(reader), -EBADF);
	ck_assert_int_eq(segfs_unlock_shared(reader), -EBADF);
	ck_assert_int_eq(segfs_publish(reader, &version), -EBADF);
	ck_assert_int_eq(segfs_wait(reader, 0, MS, &version), -ETIMEDOUT);
	ck_assert_uint_eq(version, UNTOUCHED);
	ck_assert_uint_eq(segfs_version(reader), 0);
	ck_assert_int_eq(segfs_publish(writer, NULL), 0);
	ck_assert_int_eq(segfs_publish(writer, &version), 0);
	ck_assert_uint_eq(version, 2);
	ck_assert_int_eq(segfs_wait(reader, 0, -1, &version), 0);
	ck_assert_uint_eq(version, 2);
	ck_assert_uint_eq(segfs_version(reader), 2);
	segfs_control_close(reader);
	segfs_control_close(writer);
}
END_TEST

START_TEST(fork_child_unlocks_nothing_of_its_parents)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);
	pid_t pid;

	ck_assert_int_eq(segfs_lock_shared(control, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(segfs_unlock_shared(control) != -EPERM || segfs_lock_shared(control, 0) != 0 ||
		      segfs_unlock_shared(control) != 0 || segfs_unlock_shared(control) != -EPERM);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(segfs_unlock_shared(control), 0);
	ck_assert_int_eq(segfs_lock_exclusive(control, 0), 0);
	segfs_control_close(control);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Where and whose
 */
START_TEST(page_is_at_the_top_of_the_mount)
{
	struct stat st, dir;

	segfs_control_close(open_control(SEGMENT, O_RDONLY));
	dir = stat_of(SEGFS_CONTROL_DIR);
	ck_assert_uint_eq(dir.st_mode, S_IFDIR | 01777);
	st = stat_of(page_in(""));
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(st.st_size, sizeof(struct segfs_layout_control));
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	ck_assert_int_eq(access(DIR_NAME "/" SEGFS_CONTROL_DIR, F_OK), -1);
}
END_TEST

START_TEST(page_is_in_the_nearest_directory_there_is)
{
	ck_assert_int_eq(mkdir(DIR_NAME "/" SEGFS_CONTROL_DIR, 0700), 0);
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	ck_assert_int_eq(access(page_in(DIR_NAME "/"), F_OK), 0);
	ck_assert_int_eq(access(SEGFS_CONTROL_DIR, F_OK), -1);
}
END_TEST

START_TEST(part_of_a_tmpfs_is_refused_unless_it_has_a_directory)
{
	ck_assert_int_eq(mkdir("part", 0700), 0);
	ck_assert_int_eq(mount(DIR_NAME, "part", "none", MS_BIND, NULL), 0);
	assert_error("part/grid", O_RDWR, -EXDEV);
	ck_assert_int_eq(mkdir(DIR_NAME "/" SEGFS_CONTROL_DIR, 0700), 0);
	segfs_control_close(open_control("part/grid", O_RDWR));
	ck_assert_int_eq(access(page_in("part/"), F_OK), 0);
}
END_TEST

START_TEST(page_has_owner_group_and_mode_of_the_segment)
{
	struct stat st;

	ck_assert_int_eq(chown(SEGMENT, USER, OTHER), 0);
	ck_assert_int_eq(chmod(SEGMENT, 0640), 0);
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	st = stat_of(page_in(""));
	ck_assert_uint_eq(st.st_uid, USER);
	ck_assert_uint_eq(st.st_gid, OTHER);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDONLY), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), -EACCES);
	ck_assert_int_eq(open_as(OTHER + 1, O_RDONLY), -EACCES);
	ck_assert_int_eq(chmod(SEGMENT, 0460), 0);
	ck_assert_int_eq(open_as(USER, O_RDONLY), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), 0);
	ck_assert_int_eq(chmod(SEGMENT, 0600), 0);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
	ck_assert_uint_eq(stat_of(page_in("")).st_mode, S_IFREG | 0600);
}
END_TEST

START_TEST(owner_makes_a_page_and_others_do_not)
{
	ck_assert_int_eq(mkdir(SEGFS_CONTROL_DIR, 0), 0);
	ck_assert_int_eq(chmod(SEGFS_CONTROL_DIR, 01777), 0);
	ck_assert_int_eq(chown(SEGMENT, USER, 77), 0);
	ck_assert_int_eq(chmod(SEGMENT, 0666), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), -EPERM);
	ck_assert_int_eq(open_as(OTHER, O_RDONLY), -EPERM);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
	ck_assert_uint_eq(stat_of(page_in("")).st_uid, USER);
	ck_assert_uint_eq(stat_of(page_in("")).st_mode, S_IFREG | 0606); /* not in group 77 */
	ck_assert_int_eq(open_as(OTHER, O_RDWR), 0);
}
END_TEST

/* The first user of a tmpfs that is everybody's makes the directory, and others do not trust it. */
START_TEST(directory_of_another_user_is_ebadmsg)
{
	ck_assert_int_eq(chown(SEGMENT, USER, USER), 0);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
	ck_assert_uint_eq(stat_of(SEGFS_CONTROL_DIR).st_uid, USER);
	ck_assert_int_eq(chown(SEGMENT, OTHER, OTHER), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), -EBADMSG);
	ck_assert_int_eq(chown(SEGFS_CONTROL_DIR, 0, 0), 0);
	ck_assert_int_eq(chmod(SEGFS_CONTROL_DIR, 0777), 0);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), -EBADMSG);
}
END_TEST

START_TEST(page_of_another_user_is_ebadmsg_and_replaced_by_root)
{
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	ck_assert_int_eq(chown(SEGMENT, USER, USER), 0);
	ck_assert_int_eq(chown(page_in(""), OTHER, OTHER), 0);
	ck_assert_int_eq(chmod(page_in(""), 0666), 0);
	ck_assert_int_eq(open_as(USER, O_RDWR), -EBADMSG);
	ck_assert_int_eq(open_as(OTHER, O_RDWR), -EBADMSG);
	ck_assert_int_eq(open_as(0, O_RDWR), 0);
	ck_assert_uint_eq(stat_of(page_in("")).st_uid, USER);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
}
END_TEST

START_TEST(errors_are_told_apart)
{
	ck_assert_int_eq(symlink("team/grid", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	assert_error(SEGMENT, O_WRONLY, -EINVAL);
	assert_error(SEGMENT, O_RDWR | O_CREAT, -EINVAL);
	assert_error("missing", O_RDWR, -ENOENT);
	assert_error(DIR_NAME, O_RDWR, -EINVAL);
	assert_error("fifo", O_RDWR, -EINVAL);
	assert_error("/proc/version", O_RDONLY, -EMEDIUMTYPE);
	assert_error("", O_RDONLY, -ENOENT);
	segfs_control_close(open_control("link", O_RDWR));
	ck_assert_int_eq(access(page_in(""), F_OK), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * From outside
 */
static struct segfs_control_state state_of_page(void)
{
	int fd = open(page_in(""), O_RDONLY | O_CLOEXEC);
	struct segfs_control_state state;
	uint64_t version = UNTOUCHED;

	ck_assert_int_eq(segfs_control_state_read(fd, &state), 0);
	ck_assert_int_eq(segfs_control_state_version(fd, &version), 0);
	ck_assert_uint_eq(version, state.version);
	close(fd);
	return state;
}

START_TEST(state_tells_version_and_holders)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);
	struct segfs_control_state state;
	struct segfs_control_stat st;

	segfs_publish(control, NULL);
	ck_assert_int_eq(segfs_lock_exclusive(control, 0), 0);
	segfs_control_stat(control, &st);
	state = state_of_page();
	ck_assert_uint_eq(state.version, 1);
	ck_assert(state.exclusive);
	ck_assert_uint_eq(state.exclusive_tid, st.exclusive_tid);
	ck_assert_uint_eq(state.n_shared, 0);
	segfs_unlock_exclusive(control);
	ck_assert_int_eq(segfs_lock_shared(control, 0), 0);
	ck_assert_int_eq(segfs_lock_shared(control, 0), 0);
	state = state_of_page();
	ck_assert(!state.exclusive && !state.holder_died);
	ck_assert_uint_eq(state.n_shared, 2);
	ck_assert_uint_eq(state.shared_tids[1], st.exclusive_tid);
	segfs_control_close(control);
}
END_TEST

START_TEST(state_of_the_dead_is_no_holder)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);
	struct segfs_control_state state;
	pid_t pid = fork();

	if (pid == 0) {
		segfs_lock_exclusive(control, 0);
		_exit(0);
	}
	reap(pid);
	state = state_of_page();
	ck_assert(!state.exclusive && state.holder_died);
	ck_assert_uint_eq(state.deaths, 0);
	ck_assert_int_eq(segfs_lock_exclusive(control, 0), SEGFS_HOLDER_DIED);
	state = state_of_page();
	ck_assert(state.exclusive && !state.holder_died);
	ck_assert_uint_eq(state.deaths, 1);
	segfs_control_close(control);
}
END_TEST

START_TEST(state_of_a_cut_page_is_ebadmsg)
{
	struct segfs_control_state state = {.deaths = 77};
	uint64_t version = 77;
	int fd;

	segfs_control_close(open_control(SEGMENT, O_RDWR));
	fd = open(page_in(""), O_RDWR | O_CLOEXEC);
	for (off_t size = 0; size < (off_t)sizeof(struct segfs_layout_control); size += 61) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_control_state_read(fd, &state), -EBADMSG);
		if (size < 128)
			ck_assert_int_eq(segfs_control_state_version(fd, &version), -EBADMSG);
	}
	ck_assert_uint_eq(state.deaths + version, 77 + 77);
	close(fd);
}
END_TEST

START_TEST(page_is_found_and_says_whose_it_is)
{
	int segment = open(SEGMENT, O_RDONLY | O_CLOEXEC), dir = open(DIR_NAME, O_PATH | O_CLOEXEC);
	struct segfs_subject subject;
	struct segfs_handle handle;
	int control_dir, page, found = -1;

	ck_assert_int_eq(segfs_subject_read(segment, &subject), 0);
	ck_assert_int_eq(segfs_control_place_search(dir, 0, &found), -ENOENT);
	ck_assert_int_ge(found, 0);
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	control_dir = segfs_control_place_search(dir, 0, NULL);
	page = segfs_control_page_find(control_dir, &subject);
	ck_assert_int_ge(page, 0);
	ck_assert_int_eq(segfs_control_page_segment(page, &handle), 0);
	ck_assert_mem_eq(handle.bytes, subject.handle.bytes, sizeof(handle.bytes));
	ck_assert_int_eq(segfs_control_page_segment(segment, &handle), -EBADMSG);
	ck_assert_int_eq(segfs_control_page_take_away(control_dir, strrchr(page_in(""), '/') + 1, segment),
			 0);
	ck_assert_int_eq(access(page_in(""), F_OK), 0);
	ck_assert_int_eq(segfs_control_page_take_away(control_dir, strrchr(page_in(""), '/') + 1, page), 0);
	ck_assert_int_eq(access(page_in(""), F_OK), -1);
	ck_assert_int_eq(segfs_control_page_find(control_dir, &subject), -ENOENT);
}
END_TEST

START_TEST(full_store_is_enospc)
{
	char options[32];

	segfs_control_close(open_control(SEGMENT, O_RDWR));
	ck_assert_int_eq(unlink(page_in("")), 0);
	snprintf(options, sizeof(options), "size=%ld", 4 * sysconf(_SC_PAGESIZE));
	ck_assert_int_eq(mount("none", top, "none", MS_REMOUNT, options), 0);
	write_file("filler", (char[8192]){0}, 8192, 0600);
	assert_error(SEGMENT, O_RDWR, -ENOSPC);
	ck_assert_int_eq(access(page_in(""), F_OK), -1);
}
END_TEST

static void assert_replaced(const struct segfs_layout_control *page)
{
	uint64_t version;
	struct segfs_control *control;

	write_file(page_in(""), page, sizeof(*page), 0600);
	control = open_control(SEGMENT, O_RDWR);
	ck_assert_int_eq(segfs_publish(control, &version), 0);
	ck_assert_uint_eq(version, 1);
	segfs_control_close(control);
}

static void read_page(struct segfs_layout_control *ret_page)
{
	int fd = open(page_in(""), O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(read(fd, ret_page, sizeof(*ret_page)), sizeof(*ret_page));
	close(fd);
}

START_TEST(page_left_by_another_segment_is_replaced)
{
	static struct segfs_layout_control page;

	segfs_control_close(open_control(SEGMENT, O_RDWR));
	read_page(&page);
	page.event.count = 1000;
	page.handle[0] ^= 1;
	assert_replaced(&page);
	page.ino++;
	assert_replaced(&page);
}
END_TEST

static void race(void *arg)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(segfs_lock_exclusive(control, -1), 0);
		++*(volatile uint64_t *)arg;
		ck_assert_int_eq(segfs_unlock_exclusive(control), 0);
	}
	segfs_control_close(control);
}

/* All come to the same page, whether there is none or one of no use. */
START_TEST(open_by_many_at_once_makes_one_page)
{
	uint64_t *counter = shared_memory(4096);
	static struct segfs_layout_control page;
	pid_t pids[8];

	segfs_control_close(open_control(SEGMENT, O_RDWR));
	read_page(&page);
	page.handle[0] ^= 1;
	for (int round = 0; round < storm_length(30); round++) {
		*counter = 0;
		ck_assert_int_eq(unlink(page_in("")), 0);
		if (round % 2)
			write_file(page_in(""), &page, sizeof(page), 0600);
		else
			rename(SEGFS_CONTROL_DIR, "away");
		for (int i = 0; i < 8; i++)
			pids[i] = spawn(race, counter);
		for (int i = 0; i < 8; i++)
			ck_assert_int_eq(reap(pids[i]), 0);
		ck_assert_uint_eq(*counter, 800);
		rmdir("away");
	}
}
END_TEST

static void make_and_die(void *unused)
{
	struct segfs_control *control;

	segfs_control_open(SEGMENT, O_RDWR, &control);
	pause();
}

/* A page is whole or is not there, whenever its maker is killed. */
START_TEST(kill_while_making_leaves_a_whole_page_or_none)
{
	pid_t pid;

	for (int i = 0; i < storm_length(200); i++) {
		unlink(page_in(""));
		pid = spawn(make_and_die, NULL);
		sleep_us(i * 13 % 1200);
		kill_child(pid);
		ck_assert_int_eq(open_as(0, O_RDWR), 0);
	}
}
END_TEST

START_TEST(remove_takes_the_page_away)
{
	int top_fd = open(".", O_PATH | O_CLOEXEC), dir;

	ck_assert_int_eq(segfs_control_dir_open(top_fd, 0, false), -ENOENT);
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	dir = segfs_control_dir_open(top_fd, 0, false);
	ck_assert_int_ge(dir, 0);
	ck_assert_int_eq(segfs_control_page_remove(dir, stat_of(SEGMENT).st_ino), 0);
	ck_assert_int_eq(access(page_in(""), F_OK), -1);
	ck_assert_int_eq(segfs_control_page_remove(dir, stat_of(SEGMENT).st_ino), 0);
	close(dir);
	close(top_fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Hostile pages
 */
START_TEST(page_that_is_no_file_is_ebadmsg)
{
	segfs_control_close(open_control(SEGMENT, O_RDWR));
	ck_assert_int_eq(rename(page_in(""), "page"), 0);
	ck_assert_int_eq(symlink("../page", page_in("")), 0);
	assert_error(SEGMENT, O_RDWR, -EBADMSG);
	ck_assert_int_eq(unlink(page_in("")), 0);
	ck_assert_int_eq(mkdir(page_in(""), 0700), 0);
	assert_error(SEGMENT, O_RDWR, -EBADMSG);
	ck_assert_int_eq(rmdir(page_in("")), 0);
	ck_assert_int_eq(rmdir(SEGFS_CONTROL_DIR), 0);
	write_file(SEGFS_CONTROL_DIR, "", 0, 0600);
	assert_error(SEGMENT, O_RDWR, -EBADMSG);
	ck_assert_int_eq(unlink(SEGFS_CONTROL_DIR), 0);
	ck_assert_int_eq(symlink(DIR_NAME, SEGFS_CONTROL_DIR), 0);
	assert_error(SEGMENT, O_RDWR, -EBADMSG);
}
END_TEST

/* Seen by the owner; root would put another in its place. */
static int open_spoiled(const void *bytes, size_t len)
{
	write_file(page_in(""), bytes, len, 0666);
	return open_as(USER, O_RDWR);
}

static void use_all(struct segfs_control *control)
{
	struct segfs_control_stat st;
	uint64_t version;

	segfs_lock_exclusive(control, 0);
	segfs_lock_shared(control, 0);
	segfs_wait(control, 5, 0, &version);
	segfs_publish(control, &version);
	segfs_control_stat(control, &st);
	segfs_unlock_shared(control);
	segfs_unlock_exclusive(control);
}

START_TEST(header_spoiled_anywhere_is_refused)
{
	static struct segfs_layout_control page;

	ck_assert_int_eq(chown(SEGMENT, USER, USER), 0);
	ck_assert_int_eq(open_as(USER, O_RDWR), 0);
	ck_assert_int_eq(chmod(page_in(""), 0666), 0);
	read_page(&page);
	for (size_t len = 0; len < sizeof(page); len = len < 80 ? len + 1 : len * 2)
		ck_assert_int_eq(open_spoiled(&page, len), -EBADMSG);
	for (size_t i = 0; i < 16; i++) { /* magic, version, size; others make it another segment's */
		((uint8_t *)&page)[i] ^= 0x55;
		ck_assert_int_eq(open_spoiled(&page, sizeof(page)), -EBADMSG);
		((uint8_t *)&page)[i] ^= 0x55;
	}
	ck_assert_int_eq(open_spoiled(&page, sizeof(page)), 0);
}
END_TEST

/* Each byte of what changes, spoiled while the page is in use: all calls return. */
START_TEST(page_spoiled_anywhere_hangs_nobody)
{
	static const uint8_t values[] = {0, 1, 0x40, 0x80, 0xff, 0x55};
	struct segfs_control *one = open_control(SEGMENT, O_RDWR), *two = open_control(SEGMENT, O_RDWR);
	int fd = open(page_in(""), O_RDWR | O_CLOEXEC);

	for (size_t i = 64; i < sizeof(struct segfs_layout_control); i++) {
		segfs_lock_shared(two, 0);
		ck_assert_int_eq(pwrite(fd, &values[i % COUNT_OF(values)], 1, (off_t)i), 1);
		use_all(one);
		use_all(two);
	}
	segfs_control_close(one);
	segfs_control_close(two);
	close(fd);
}
END_TEST

static void spoil_for_ever(void *unused)
{
	int fd = open(page_in(""), O_RDWR | O_CLOEXEC);

	for (;;) {
		uint32_t word = (uint32_t)random() << (random() % 32);

		if (pwrite(fd, &word, 4, 64 + 4 * (random() % 2032)) != 4)
			_exit(1);
	}
}

START_TEST(page_spoiled_all_the_time_hangs_nobody)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR), *again;
	pid_t pid = spawn(spoil_for_ever, NULL);

	for (int i = 0; i < storm_length(1000); i++) {
		use_all(control);
		segfs_lock_exclusive(control, MS / 10);
		segfs_lock_shared(control, MS / 10);
		if (i % 10 == 0 && segfs_control_open(SEGMENT, O_RDWR, &again) == 0)
			segfs_control_close(again);
	}
	kill_child(pid);
	segfs_control_close(control);
}
END_TEST

static void hold_exclusively(void *ready)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);

	segfs_lock_exclusive(control, -1);
	__atomic_store_n((uint32_t *)ready, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

START_TEST(every_death_is_told)
{
	struct segfs_control *control = open_control(SEGMENT, O_RDWR);
	uint32_t *ready = shared_memory(4096);
	struct segfs_control_stat st;
	int n = storm_length(300);
	pid_t pid;

	for (int i = 0; i < n; i++) {
		*ready = 0;
		pid = spawn(hold_exclusively, ready);
		wait_for_word(ready, 1);
		kill_child(pid);
		ck_assert_int_eq(segfs_lock_exclusive(control, -1), SEGFS_HOLDER_DIED);
		ck_assert_int_eq(segfs_unlock_exclusive(control), 0);
	}
	segfs_control_stat(control, &st);
	ck_assert_uint_eq(st.deaths, (unsigned)n);
	segfs_control_close(control);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tcase = tcase_create("control");

	if (geteuid() != 0) {
		puts("SKIP: mounts a tmpfs, which takes root");
		return 77;
	}
	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lock_through_two_controls_excludes);
	tcase_add_test(tcase, close_while_holding_tells_the_next);
	tcase_add_test(tcase, read_only_waits_and_does_not_lock);
	tcase_add_test(tcase, fork_child_unlocks_nothing_of_its_parents);
	tcase_add_test(tcase, page_is_at_the_top_of_the_mount);
	tcase_add_test(tcase, page_is_in_the_nearest_directory_there_is);
	tcase_add_test(tcase, part_of_a_tmpfs_is_refused_unless_it_has_a_directory);
	tcase_add_test(tcase, page_has_owner_group_and_mode_of_the_segment);
	tcase_add_test(tcase, owner_makes_a_page_and_others_do_not);
	tcase_add_test(tcase, directory_of_another_user_is_ebadmsg);
	tcase_add_test(tcase, page_of_another_user_is_ebadmsg_and_replaced_by_root);
	tcase_add_test(tcase, errors_are_told_apart);
	tcase_add_test(tcase, state_tells_version_and_holders);
	tcase_add_test(tcase, state_of_the_dead_is_no_holder);
	tcase_add_test(tcase, state_of_a_cut_page_is_ebadmsg);
	tcase_add_test(tcase, page_is_found_and_says_whose_it_is);
	tcase_add_test(tcase, full_store_is_enospc);
	tcase_add_test(tcase, page_left_by_another_segment_is_replaced);
	tcase_add_test(tcase, open_by_many_at_once_makes_one_page);
	tcase_add_test(tcase, kill_while_making_leaves_a_whole_page_or_none);
	tcase_add_test(tcase, remove_takes_the_page_away);
	tcase_add_test(tcase, page_that_is_no_file_is_ebadmsg);
	tcase_add_test(tcase, header_spoiled_anywhere_is_refused);
	tcase_add_test(tcase, page_spoiled_anywhere_hangs_nobody);
	tcase_add_test(tcase, page_spoiled_all_the_time_hangs_nobody);
	tcase_add_test(tcase, every_death_is_told);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
