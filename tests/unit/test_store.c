/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

#define TEMPLATE "/dev/shm/segfs-unit.XXXXXX"
static char directory[sizeof(TEMPLATE)];
static struct segfs_store store = {.root_fd = -1, .proc_fd = -1};

/* A fresh directory in /dev/shm as a store. */
static void set_up(void)
{
	memcpy(directory, TEMPLATE, sizeof(directory));
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(segfs_store_open(directory, &store), 0);
}

static void tear_down(void)
{
	segfs_store_close(&store);
	rmdir(directory);
}

static int make(const char *name)
{
	int fd = openat(store.root_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(open_wrong_place_fails_untouched)
{
	struct segfs_store other = {.root_fd = UNTOUCHED};

	ck_assert_int_eq(segfs_store_open("/proc", &other), -EMEDIUMTYPE);
	ck_assert_int_eq(segfs_store_open("/dev/shm/no/such", &other), -ENOENT);
	ck_assert_int_eq(other.root_fd, UNTOUCHED);
}
END_TEST

START_TEST(handle_finds_the_file_under_any_name)
{
	SEGFS_CLOSE int fd = make("a"), found = -1;
	struct segfs_handle handle, same;
	struct stat st, st_found;

	ck_assert_int_eq(segfs_store_handle(fd, &handle), 0);
	ck_assert_int_eq(segfs_store_handle_at(store.root_fd, "a", &same), 0);
	ck_assert_mem_eq(&handle, &same, sizeof(handle));
	ck_assert_int_eq(renameat(store.root_fd, "a", store.root_fd, "b"), 0);
	found = segfs_store_open_handle(&store, &handle, O_RDONLY);
	ck_assert_int_ge(found, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(fstat(found, &st_found), 0);
	ck_assert_uint_eq(st.st_ino, st_found.st_ino);
	unlinkat(store.root_fd, "b", 0);
}
END_TEST

START_TEST(handle_of_a_removed_file_is_stale)
{
	struct segfs_handle handle;

	close(make("a"));
	ck_assert_int_eq(segfs_store_handle_at(store.root_fd, "a", &handle), 0);
	ck_assert_int_eq(unlinkat(store.root_fd, "a", 0), 0);
	ck_assert_int_eq(segfs_store_open_handle(&store, &handle, O_RDONLY), -ESTALE);
}
END_TEST

START_TEST(handle_of_garbage_is_stale)
{
	struct segfs_handle handle;

	memset(&handle, 0xa5, sizeof(handle));
	ck_assert_int_eq(segfs_store_open_handle(&store, &handle, O_RDONLY), -ESTALE);
}
END_TEST

START_TEST(handle_of_a_symlink_is_its_own)
{
	SEGFS_CLOSE int fd = -1;
	struct segfs_handle handle;
	struct stat st;

	ck_assert_int_eq(symlinkat("/etc/passwd", store.root_fd, "l"), 0);
	ck_assert_int_eq(segfs_store_handle_at(store.root_fd, "l", &handle), 0);
	fd = segfs_store_open_handle(&store, &handle, O_PATH);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	unlinkat(store.root_fd, "l", 0);
}
END_TEST

START_TEST(reopen_gives_another_open_file)
{
	SEGFS_CLOSE int fd = make("a"), path = -1, again = -1;

	path = openat(store.root_fd, "a", O_PATH | O_CLOEXEC);
	again = segfs_store_reopen(&store, path, O_WRONLY | O_NOFOLLOW);
	ck_assert_int_ge(again, 0);
	ck_assert_int_eq(write(again, "x", 1), 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 1);
	ck_assert_int_eq(read(again, &(char){0}, 1), -1);
	unlinkat(store.root_fd, "a", 0);
}
END_TEST

static void *give_back(void *fd)
{
	/* Much less than the 100 ms that are waited: the machine may be busy. */
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	fcntl(*(int *)fd, F_SETLEASE, F_UNLCK);
	return NULL;
}

/* The file of the store, or -errno. */
static int await(int path)
{
	unsigned n_waits = 0;
	int fd;

	do
		fd = segfs_store_reopen(&store, path, O_RDONLY | O_NONBLOCK);
	while (segfs_store_await_lease(fd, &n_waits));
	return fd;
}

START_TEST(a_lease_is_waited_for_but_not_for_ever)
{
	SEGFS_CLOSE int holder = -1, path = -1, again = -1;
	pthread_t thread;

	signal(SIGIO, SIG_IGN);
	close(make("a"));
	path = openat(store.root_fd, "a", O_PATH | O_CLOEXEC);
	holder = segfs_store_reopen(&store, path, O_RDONLY);
	ck_assert_int_eq(fcntl(holder, F_SETLEASE, F_WRLCK), 0);
	ck_assert_int_eq(await(path), -EAGAIN);
	ck_assert_int_eq(pthread_create(&thread, NULL, give_back, &holder), 0);
	again = await(path);
	ck_assert_int_ge(again, 0);
	pthread_join(thread, NULL);
	unlinkat(store.root_fd, "a", 0);
}
END_TEST

START_TEST(fd_path_reaches_attributes_of_a_path_descriptor)
{
	SEGFS_CLOSE int fd = make("a"), path_fd = openat(store.root_fd, "a", O_PATH | O_CLOEXEC);
	char path[SEGFS_FD_PATH_MAX], value[8];

	segfs_fd_path(path_fd, path);
	ck_assert_int_eq(setxattr(path, "user.note", "hi", 2, 0), 0);
	ck_assert_int_eq(fgetxattr(fd, "user.note", value, sizeof(value)), 2);
	unlinkat(store.root_fd, "a", 0);
}
END_TEST

START_TEST(getxattr_reaches_attributes_of_a_path_descriptor)
{
	SEGFS_CLOSE int fd = make("a"), path = openat(store.root_fd, "a", O_PATH | O_CLOEXEC);
	const char *name = "trusted.segfs.test";
	char value[8];

	ck_assert_int_eq(segfs_store_getxattr(&store, path, name, value, sizeof(value)), -ENODATA);
	ck_assert_int_eq(fsetxattr(fd, name, "value", 5, 0), 0);
	ck_assert_int_eq(segfs_store_getxattr(&store, path, name, NULL, 0), 5);
	ck_assert_int_eq(segfs_store_getxattr(&store, path, name, value, 4), -ERANGE);
	ck_assert_int_eq(segfs_store_getxattr(&store, path, name, value, sizeof(value)), 5);
	ck_assert_mem_eq(value, "value", 5);
	unlinkat(store.root_fd, "a", 0);
}
END_TEST

START_TEST(what_is_mounted_below_does_not_exist)
{
	char path[64];

	ck_assert_int_eq(mkdirat(store.root_fd, "d", 0700), 0);
	snprintf(path, sizeof(path), "%s/d", directory);
	ck_assert_int_eq(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	ck_assert_int_eq(mkdirat(store.root_fd, "d/seen", 0700), 0);
	ck_assert_int_eq(umount(path), 0);
	ck_assert_int_eq(unlinkat(store.root_fd, "d/seen", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(store.root_fd, "d", AT_REMOVEDIR), 0);
}
END_TEST

/* Why these tests cannot run here; NULL if they can. */
static const char *obstacle(void)
{
	int r;

	if (geteuid() != 0)
		return "opening a store needs root";
	r = segfs_store_open("/dev/shm", &store);
	segfs_store_close(&store);
	return r == -ENOSYS ? "valgrind does not know open_tree(2)" : NULL;
}

static TCase *store_tests(void)
{
	TCase *tests = tcase_create("store");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, open_wrong_place_fails_untouched);
	tcase_add_test(tests, handle_finds_the_file_under_any_name);
	tcase_add_test(tests, handle_of_a_removed_file_is_stale);
	tcase_add_test(tests, handle_of_garbage_is_stale);
	tcase_add_test(tests, handle_of_a_symlink_is_its_own);
	tcase_add_test(tests, reopen_gives_another_open_file);
	tcase_add_test(tests, a_lease_is_waited_for_but_not_for_ever);
	tcase_add_test(tests, fd_path_reaches_attributes_of_a_path_descriptor);
	tcase_add_test(tests, getxattr_reaches_attributes_of_a_path_descriptor);
	tcase_add_test(tests, what_is_mounted_below_does_not_exist);
	return tests;
}

int main(void)
{
	const char *reason = obstacle();
	Suite *suite;

	if (reason) {
		printf("SKIP store: %s\n", reason);
		return 77;
	}
	suite = suite_create("store");
	suite_add_tcase(suite, store_tests());
	return run_suite(suite);
}
