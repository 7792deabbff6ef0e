/* SPDX-License-Identifier: MIT */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "suite.h"
#include "util.h"

/* A store, and what is outside of it; all on one tmpfs, so that handles of the one are good in the other. */
static char top[] = "/dev/shm/segfs-test-claim.XXXXXX";
static struct segfs_store store;

static void in_top(const char *command)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && %s", top, command);
	ck_assert_int_eq(system(text), 0);
}

/* What somebody does between a look at a name and its change, once; NULL: nothing. */
static const char *before_rename;

/* In the libc's place. */
int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned flags)
{
	const char *command = steal_pointer(&before_rename);

	if (command)
		in_top(command);
	return (int)syscall(SYS_renameat2, old_dir, old, new_dir, new, flags);
}

static bool exists(const char *path)
{
	char text[256];

	snprintf(text, sizeof(text), "%s/%s", top, path);
	return access(text, F_OK) == 0;
}

static void setup(void)
{
	char path[256];

	signal(SIGIO, SIG_IGN);
	ck_assert_ptr_nonnull(mkdtemp(top));
	in_top("mkdir store store/d outside && echo mine >store/d/x && echo other >outside/x");
	snprintf(path, sizeof(path), "%s/store", top);
	ck_assert_int_eq(segfs_store_open(path, &store), 0);
}

static void teardown(void)
{
	segfs_store_close(&store);
	in_top("rm -r store outside");
	rmdir(top);
}

static struct segfs_handle handle_of(const char *path)
{
	SEGFS_CLOSE int fd = openat(store.root_fd, path, O_PATH | O_CLOEXEC);
	struct segfs_handle handle;

	ck_assert_int_eq(segfs_store_handle(fd, &handle), 0);
	return handle;
}

static struct claim take(const char *path)
{
	struct segfs_handle handle = handle_of(path);
	struct claim claim;

	ck_assert_int_eq(claim_take(&store, &handle, &claim), 0);
	return claim;
}

START_TEST(remove_removes_what_was_hidden)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	ck_assert_str_eq(claim.path, "d/x");
	ck_assert_int_eq(claim_hide(&claim), 0);
	ck_assert(!exists("store/d/x") && exists("store/d/" CLAIM_HIDDEN "x"));
	ck_assert_int_eq(claim_remove(&claim), 0);
	claim_release(&claim);
	ck_assert(!exists("store/d/" CLAIM_HIDDEN "x"));
}
END_TEST

START_TEST(release_gives_the_name_back)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	ck_assert_int_eq(claim_hide(&claim), 0);
	claim_release(&claim);
	ck_assert(exists("store/d/x") && !exists("store/d/" CLAIM_HIDDEN "x"));
}
END_TEST

/* Where something is renamed meanwhile, anywhere on the machine, the kernel cannot tell where ".." leads. */
static int open_beneath(const char *path)
{
	int fd;

	do
		fd = claim_open_beneath(store.root_fd, path);
	while (fd == -EAGAIN);
	return fd;
}

/*
 * The kernel tells the path of an open file as it is now. By the time that it is walked, anything may be
 * there: each way out of the store has to be refused by the walk.
 */
START_TEST(open_beneath_leads_nowhere_else)
{
	in_top("ln -s ../outside store/out && ln -s d store/in");
	ck_assert_int_eq(open_beneath("out"), -ELOOP);
	ck_assert_int_eq(open_beneath("in"), -ELOOP);
	ck_assert_int_eq(open_beneath("../outside"), -EXDEV);
	ck_assert_int_eq(open_beneath("d/../../outside"), -EXDEV);
	ck_assert_int_eq(open_beneath(top), -EXDEV);
}
END_TEST

/* Between the look and the removal. */
START_TEST(remove_of_a_directory_that_became_a_symlink_stays_in_the_store)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	in_top("mv store/d store/e && ln -s ../outside store/d");
	ck_assert_int_eq(claim_hide(&claim), 0);
	ck_assert_int_eq(claim_remove(&claim), 0);
	claim_release(&claim);
	ck_assert(exists("outside/x") && !exists("store/e/x") && !exists("store/e/" CLAIM_HIDDEN "x"));
}
END_TEST

START_TEST(hide_of_a_name_that_means_another_file_is_refused)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	in_top("mv store/d/x store/d/y && echo other >store/d/x");
	ck_assert_int_eq(claim_hide(&claim), -EAGAIN);
	claim_release(&claim);
	ck_assert(exists("store/d/x") && exists("store/d/y"));
}
END_TEST

START_TEST(hide_of_a_name_that_comes_to_mean_another_file_leaves_it_that_name)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	before_rename = "mv store/d/x store/d/y && echo other >store/d/x";
	ck_assert_int_eq(claim_hide(&claim), -EAGAIN);
	ck_assert_ptr_null(before_rename);
	claim_release(&claim);
	in_top("grep -q other store/d/x && grep -q mine store/d/y");
	ck_assert(!exists("store/d/" CLAIM_HIDDEN "x"));
}
END_TEST

START_TEST(remove_of_what_was_exchanged_is_refused)
{
	struct claim claim = take("d/x");

	ck_assert_int_eq(claim_locate(&store, &claim), 0);
	ck_assert_int_eq(claim_hide(&claim), 0);
	in_top("mv store/d/" CLAIM_HIDDEN "x store/y && echo other >store/d/" CLAIM_HIDDEN "x");
	ck_assert_int_eq(claim_remove(&claim), -EAGAIN);
	claim_release(&claim);
	ck_assert(exists("store/y") && exists("store/d/" CLAIM_HIDDEN "x"));
}
END_TEST

START_TEST(take_of_what_is_in_use_is_refused)
{
	struct segfs_handle handle = handle_of("d/x");
	SEGFS_CLOSE int user = openat(store.root_fd, "d/x", O_RDONLY | O_CLOEXEC);
	struct claim claim;

	ck_assert_int_eq(claim_take(&store, &handle, &claim), -EAGAIN);
	close_fd(&user);
	in_top("ln store/d/x store/other");
	ck_assert_int_eq(claim_take(&store, &handle, &claim), -EMLINK);
	in_top("rm store/d/x store/other");
	ck_assert_int_eq(claim_take(&store, &handle, &claim), -ESTALE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("claim");
	TCase *tests = tcase_create("claim");

	if (geteuid() != 0)
		return 77; /* handles need CAP_DAC_READ_SEARCH */
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, remove_removes_what_was_hidden);
	tcase_add_test(tests, release_gives_the_name_back);
	tcase_add_test(tests, open_beneath_leads_nowhere_else);
	tcase_add_test(tests, remove_of_a_directory_that_became_a_symlink_stays_in_the_store);
	tcase_add_test(tests, hide_of_a_name_that_means_another_file_is_refused);
	tcase_add_test(tests, hide_of_a_name_that_comes_to_mean_another_file_leaves_it_that_name);
	tcase_add_test(tests, remove_of_what_was_exchanged_is_refused);
	tcase_add_test(tests, take_of_what_is_in_use_is_refused);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
