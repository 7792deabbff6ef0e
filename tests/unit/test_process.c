/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "bounded.h"
#include "child.h"
#include "file_on_tmpfs.h"
#include "procfs.h"
#include "suite.h"
#include "util.h"

static void do_nothing(int fd)
{
	(void)fd;
}

/* The directories that a process was looked at by. */
struct looks {
	unsigned n, enough;
};

static bool count_look(int dir_fd, void *data)
{
	struct looks *looks = data;

	ck_assert_int_eq(faccessat(dir_fd, "stat", F_OK, 0), 0);
	return ++looks->n == looks->enough;
}

START_TEST(look_at_a_process_of_one_thread_has_nowhere_else_to_go)
{
	struct looks looks = {.enough = 2};
	pid_t pid = child(-1, do_nothing);

	ck_assert(!segfs_process_look(pid, count_look, &looks));
	ck_assert_uint_eq(looks.n, 1);
	end(pid);
}
END_TEST

static void *wait_for_ever(void *fd)
{
	for (;;)
		pause();
	return fd;
}

static void start_threads(int fd)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
			_exit(1);
}

START_TEST(look_goes_through_the_threads_until_one_is_enough)
{
	struct looks looks = {.enough = 3}, never = {};
	pid_t pid = child(-1, start_threads);

	ck_assert(segfs_process_look(pid, count_look, &looks));
	ck_assert_uint_eq(looks.n, 3);
	ck_assert(!segfs_process_look(pid, count_look, &never));
	ck_assert_uint_eq(never.n, 4);
	end(pid);
}
END_TEST

START_TEST(look_at_nobody_is_false)
{
	struct looks looks = {.enough = 1};

	ck_assert(!segfs_process_look(0x7fffffff, count_look, &looks));
	ck_assert_uint_eq(looks.n, 0);
}
END_TEST

START_TEST(lives_until_it_is_a_zombie)
{
	pid_t pid = child(-1, do_nothing);
	siginfo_t info;

	ck_assert(segfs_process_lives(pid));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(!segfs_process_lives(pid));
	waitpid(pid, NULL, 0);
	ck_assert(!segfs_process_lives(pid));
}
END_TEST

START_TEST(pids_are_ascending_without_duplicates)
{
	static const pid_t added[] = {7, 812, 7, 3, 100, 812, 3};
	SEGFS_CLEANUP(segfs_pids_clear) struct segfs_pids pids = {};
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	segfs_pids_print(&pids, out);
	for (size_t i = 0; i < COUNT_OF(added); i++)
		ck_assert_int_eq(segfs_pids_add(&pids, added[i]), 0);
	segfs_pids_print(&pids, out);
	fclose(out);
	ck_assert_str_eq(text, "3,7,100,812");
}
END_TEST

/* A file of /proc's kind: the first line is longer than any room, the last has no newline. */
START_TEST(lines_of_any_length_come_one_by_one)
{
	SEGFS_CLEANUP(segfs_lines_close) struct segfs_lines lines;
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	static char line[200000];
	char path[32];

	memset(line, 'x', sizeof(line) - 1);
	dprintf(fd, "%s\n\nsecond\n%.70000s\n%.65535s\n%.65534s\nlast", line, line, line, line);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(segfs_lines_open(&lines, AT_FDCWD, path), 0);
	ck_assert_uint_eq(strspn(segfs_lines_next(&lines), "x"), 65535);
	ck_assert_str_eq(segfs_lines_next(&lines), "");
	ck_assert_str_eq(segfs_lines_next(&lines), "second");
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(strspn(segfs_lines_next(&lines), "x"), i < 2 ? 65535 : 65534);
	ck_assert_str_eq(segfs_lines_next(&lines), "last");
	ck_assert_ptr_null(segfs_lines_next(&lines));
	ck_assert_ptr_null(segfs_lines_next(&lines));
}
END_TEST

START_TEST(lines_of_nothing_fail)
{
	SEGFS_CLEANUP(segfs_lines_close) struct segfs_lines lines;

	ck_assert_int_eq(segfs_lines_open(&lines, AT_FDCWD, "/proc/self/nothing"), -ENOENT);
}
END_TEST

START_TEST(read_start_is_that_of_the_fork)
{
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK), now;
	struct segfs_process process;
	struct timespec uptime;

	ck_assert_int_eq(segfs_process_read(getpid(), &process), 0);
	clock_gettime(CLOCK_BOOTTIME, &uptime);
	now = (uint64_t)uptime.tv_sec * per_second;
	ck_assert_uint_le(process.start_ticks, now + per_second);
	ck_assert_uint_ge(process.start_ticks + 60 * per_second, now);
}
END_TEST

START_TEST(read_self_gives_pid_start_and_command)
{
	struct segfs_process process, again;

	prctl(PR_SET_NAME, "a (b) c d");
	ck_assert_int_eq(segfs_process_read(getpid(), &process), 0);
	ck_assert_int_eq(process.pid, getpid());
	ck_assert_str_eq(process.command, "a (b) c d");
	ck_assert_uint_gt(process.start_ticks, 0);
	ck_assert_int_eq(segfs_process_read(getpid(), &again), 0);
	ck_assert_uint_eq(process.start_ticks, again.start_ticks);
}
END_TEST

START_TEST(read_nobody_fails_untouched)
{
	struct segfs_process process = {.start_ticks = UNTOUCHED};

	ck_assert_int_eq(segfs_process_read(0x7fffffff, &process), -ESRCH);
	ck_assert_uint_eq(process.start_ticks, UNTOUCHED);
}
END_TEST

START_TEST(size_limit_is_the_process_own)
{
	struct rlimit limit = {12345, RLIM_INFINITY};

	ck_assert_uint_eq(segfs_process_size_limit(0x7fffffff), UINT64_MAX);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(segfs_process_size_limit(getpid()), 12345);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tc = tcase_create("process");

	tcase_add_test(tc, look_at_a_process_of_one_thread_has_nowhere_else_to_go);
	tcase_add_test(tc, look_goes_through_the_threads_until_one_is_enough);
	tcase_add_test(tc, look_at_nobody_is_false);
	tcase_add_test(tc, lives_until_it_is_a_zombie);
	tcase_add_test(tc, pids_are_ascending_without_duplicates);
	tcase_add_test(tc, lines_of_any_length_come_one_by_one);
	tcase_add_test(tc, lines_of_nothing_fail);
	tcase_add_test(tc, read_start_is_that_of_the_fork);
	tcase_add_test(tc, read_self_gives_pid_start_and_command);
	tcase_add_test(tc, read_nobody_fails_untouched);
	tcase_add_test(tc, size_limit_is_the_process_own);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
