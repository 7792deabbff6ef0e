/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "child.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

static char *print(const struct segfs_locks *locks, const struct segfs_identity *file,
		   enum segfs_locks_style style, const struct segfs_census *census)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(segfs_locks_print(locks, file, style, census, NULL, out), 0);
	fclose(out);
	return text;
}

/* The locks of a file as they are now are these, in both styles; the formats take the same pids. */
static void assert_locks(const struct segfs_identity *file, const char *text, const char *column, pid_t pid,
			 pid_t other)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = NULL;
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	SEGFS_FREE char *got_text = NULL, *got_column = NULL;
	char expected_text[256], expected_column[256];

	snprintf(expected_text, sizeof(expected_text), text, pid, other);
	snprintf(expected_column, sizeof(expected_column), column, pid, other);
	ck_assert_int_eq(segfs_locks_read(&locks), 0);
	ck_assert_int_eq(segfs_census_take(file->dev, &census), 0);
	got_text = print(locks, file, SEGFS_LOCKS_TEXT, NULL);
	ck_assert_str_eq(got_text, expected_text);
	got_column = print(locks, file, SEGFS_LOCKS_COLUMN, census);
	ck_assert_str_eq(got_column, expected_column);
}

static void take_fcntl(int fd, int command, short type)
{
	struct flock lock = {.l_type = type, .l_len = 10};

	if (fcntl(fd, command, &lock) < 0)
		_exit(1);
}

static void hold_nothing(int fd)
{
	(void)fd;
}

static void hold_fcntl(int fd)
{
	take_fcntl(fd, F_SETLK, F_RDLCK);
}

static void hold_fcntl_exclusive(int fd)
{
	take_fcntl(fd, F_SETLK, F_WRLCK);
}

static void hold_ofd(int fd)
{
	take_fcntl(open_again(fd, O_RDWR), F_OFD_SETLK, F_WRLCK);
}

static void hold_flock(int fd)
{
	if (flock(open_again(fd, O_RDWR), LOCK_EX) < 0)
		_exit(1);
}

static void hold_flock_shared(int fd)
{
	if (flock(open_again(fd, O_RDWR), LOCK_SH) < 0)
		_exit(1);
}

/* The one who took the lock ends and leaves it, with the open file, to its parent. */
static void inherit_flock(int fd)
{
	int again = open_again(fd, O_RDWR);
	pid_t pid = fork();

	if (pid == 0)
		_exit(flock(again, LOCK_EX));
	waitpid(pid, NULL, 0);
}

static const struct {
	void (*act)(int fd);
	const char *text, *column;
} holds[] = {
	{hold_nothing, "unlocked", "-"},
	{hold_fcntl, "shared pid %d (fcntl)", "shared:%d(fcntl)"},
	{hold_fcntl_exclusive, "exclusive pid %d (fcntl)", "exclusive:%d(fcntl)"},
	{hold_ofd, "exclusive pid %d (ofd)", "exclusive:%d(ofd)"},
	{hold_flock, "exclusive pid %d (flock)", "exclusive:%d(flock)"},
	{hold_flock_shared, "shared pid %d (flock)", "shared:%d(flock)"},
	{inherit_flock, "exclusive pid %d (flock)", "exclusive:%d(flock)"},
};

START_TEST(print_names_the_holder_of_each_kind)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, holds[_i].act);

	assert_locks(&file, holds[_i].text, holds[_i].column, pid, 0);
	end(pid);
	assert_locks(&file, "unlocked", "-", 0, 0);
}
END_TEST

START_TEST(print_joins_holders_and_kinds)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t first = child(fd, hold_fcntl), second = child(fd, hold_fcntl), third = child(fd, hold_flock);
	char text[128], column[128];

	snprintf(text, sizeof(text), "exclusive pid %d (flock); shared pid %%d,%%d (fcntl)", third);
	snprintf(column, sizeof(column), "exclusive:%d(flock);shared:%%d,%%d(fcntl)", third);
	assert_locks(&file, text, column, MIN(first, second), MAX(first, second));
	end(first);
	end(second);
	end(third);
}
END_TEST

static pid_t wait_for_flock(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(flock(open_again(fd, O_RDWR), LOCK_EX));
	}
	return pid;
}

static bool locks_are(const struct segfs_identity *file, enum segfs_locks_style style,
		      const struct segfs_census *census, const char *expected)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = NULL;
	SEGFS_FREE char *text = NULL;

	ck_assert_int_eq(segfs_locks_read(&locks), 0);
	text = print(locks, file, style, census);
	return !strcmp(text, expected);
}

/* Takes and releases many locks, of which some come before any other in the kernel's list. */
static void come_and_go(int fd)
{
	enum { N = 150 };

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (struct flock lock = {.l_len = 1};; lock.l_start = (lock.l_start + 2) % (2 * N)) {
		lock.l_type = lock.l_type == F_UNLCK && rand() % 2 ? F_WRLCK : F_UNLCK;
		fcntl(fd, F_SETLK, &lock);
	}
}

/* The kernel gives out the list in pieces, from which what changes makes others disappear, or come twice. */
START_TEST(read_while_others_come_and_go_is_right)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1), other = file_on_tmpfs("y", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, hold_flock), first = child(other, come_and_go),
	      second = child(other, come_and_go);
	char text[64];

	snprintf(text, sizeof(text), "exclusive pid %d (flock)", pid);
	for (int i = 0; i < 200; i++)
		ck_assert(locks_are(&file, SEGFS_LOCKS_TEXT, NULL, text));
	end(first);
	end(second);
	end(pid);
}
END_TEST

/* Until the kernel lists both who wait, if need be until Check ends it: one who is interrupted begins anew.
 */
START_TEST(print_counts_those_who_wait)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, hold_flock), first = wait_for_flock(fd), second = wait_for_flock(fd);
	char text[64], column[64];

	snprintf(text, sizeof(text), "exclusive pid %d (flock), 2 waiting", pid);
	snprintf(column, sizeof(column), "exclusive:%d(flock)+2", pid);
	ck_assert_int_eq(segfs_census_take(file.dev, &census), 0);
	while (!locks_are(&file, SEGFS_LOCKS_TEXT, NULL, text))
		;
	while (!locks_are(&file, SEGFS_LOCKS_COLUMN, census, column))
		;
	end(first);
	end(second);
	end(pid);
}
END_TEST

START_TEST(print_without_a_trace_of_the_holder_says_unknown)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1), again = open_again(fd, O_RDWR);
	struct segfs_identity file = identity_of(fd);

	take_fcntl(again, F_OFD_SETLK, F_WRLCK); /* this process, which a census leaves out */
	assert_locks(&file, "exclusive pid unknown (ofd)", "exclusive:unknown(ofd)", 0, 0);
}
END_TEST

START_TEST(one_read_answers_for_many_files)
{
	enum { N = 100 };
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = NULL;
	struct segfs_identity files[N];
	char expected[64];
	int fds[N];

	for (int i = 0; i < N; i++) {
		fds[i] = file_on_tmpfs("x", 1);
		files[i] = identity_of(fds[i]);
		if (i % 3)
			take_fcntl(fds[i], F_SETLK, i % 3 == 1 ? F_RDLCK : F_WRLCK);
	}
	ck_assert_int_eq(segfs_locks_read(&locks), 0);
	for (int i = 0; i < N; i++) {
		SEGFS_FREE char *text = print(locks, &files[i], SEGFS_LOCKS_COLUMN, NULL);

		snprintf(expected, sizeof(expected), "%s:%d(fcntl)", i % 3 == 1 ? "shared" : "exclusive",
			 getpid());
		ck_assert_str_eq(text, i % 3 ? expected : "-");
		close(fds[i]);
	}
}
END_TEST

START_TEST(print_of_another_device_is_unlocked)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);

	take_fcntl(fd, F_SETLK, F_WRLCK);
	file.dev[0]++;
	assert_locks(&file, "unlocked", "-", 0, 0);
	file.dev[1] = file.dev[0] - 1; /* the same, through the store */
	assert_locks(&file, "exclusive pid %d (fcntl)", "exclusive:%d(fcntl)", getpid(), 0);
}
END_TEST

START_TEST(free_takes_nothing)
{
	ck_assert_ptr_null(segfs_locks_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("locks");
	TCase *tc = tcase_create("locks");

	tcase_add_loop_test(tc, print_names_the_holder_of_each_kind, 0, COUNT_OF(holds));
	tcase_add_test(tc, print_joins_holders_and_kinds);
	tcase_add_test(tc, print_counts_those_who_wait);
	tcase_add_test(tc, read_while_others_come_and_go_is_right);
	tcase_add_test(tc, print_without_a_trace_of_the_holder_says_unknown);
	tcase_add_test(tc, one_read_answers_for_many_files);
	tcase_add_test(tc, print_of_another_device_is_unlocked);
	tcase_add_test(tc, free_takes_nothing);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
