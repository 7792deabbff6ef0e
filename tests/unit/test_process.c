/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

static struct segfs_identity identity_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (struct segfs_identity){.dev = {st.st_dev, 0}, .ino = st.st_ino};
}

/* A child that does `act` and then waits to be killed. Returns when it has. */
static pid_t child(int fd, void (*act)(int fd))
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act(fd);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void assert_locks(const struct segfs_identity *file, const char *format, pid_t pid)
{
	SEGFS_FREE char *text = NULL;
	char expected[128];

	snprintf(expected, sizeof(expected), format, pid);
	ck_assert_int_eq(segfs_process_locks(file, &text), 0);
	ck_assert_str_eq(text, expected);
}

static void hold_nothing(int fd)
{
	close(fd);
}

static void hold_open(int fd)
{
	(void)fd;
}

static void hold_mapped(int fd)
{
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void hold_fcntl(int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_len = 10};

	fcntl(fd, F_SETLK, &lock);
}

static void hold_ofd(int fd)
{
	struct flock lock = {.l_type = F_WRLCK};
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fcntl(open(path, O_RDWR), F_OFD_SETLK, &lock);
}

START_TEST(attached_nobody_is_an_empty_list)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	struct segfs_pids pids;
	pid_t pid = child(fd, hold_nothing);

	ck_assert_int_eq(segfs_process_attached(&file, &pids), 0);
	ck_assert_uint_eq(pids.n, 0);
	end(pid);
}
END_TEST

static void (*const attachments[])(int) = {hold_open, hold_mapped};

START_TEST(attached_by_descriptor_or_mapping_is_found)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	struct segfs_pids pids;
	pid_t pid = child(fd, attachments[_i]);

	ck_assert_int_eq(segfs_process_attached(&file, &pids), 0);
	ck_assert_uint_eq(pids.n, 1);
	ck_assert_int_eq(pids.list[0], pid);
	segfs_pids_clear(&pids);
	end(pid);
}
END_TEST

START_TEST(locks_of_each_kind_name_the_holder)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid;

	assert_locks(&file, "unlocked", 0);
	pid = child(fd, hold_fcntl);
	assert_locks(&file, "shared pid %d (fcntl)", pid);
	end(pid);
	pid = child(fd, hold_ofd);
	assert_locks(&file, "exclusive pid %d (ofd)", pid);
	end(pid);
	assert_locks(&file, "unlocked", 0);
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

	tcase_add_test(tc, attached_nobody_is_an_empty_list);
	tcase_add_loop_test(tc, attached_by_descriptor_or_mapping_is_found, 0, COUNT_OF(attachments));
	tcase_add_test(tc, locks_of_each_kind_name_the_holder);
	tcase_add_test(tc, read_start_is_that_of_the_fork);
	tcase_add_test(tc, read_self_gives_pid_start_and_command);
	tcase_add_test(tc, read_nobody_fails_untouched);
	tcase_add_test(tc, size_limit_is_the_process_own);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
