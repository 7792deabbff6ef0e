/* SPDX-License-Identifier: MIT */
#include "futex.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "child.h"
#include "file_on_tmpfs.h"
#include "suite.h"

#define MS INT64_C(1000000)

static uint32_t word = 1;

static int64_t now_ns(void)
{
	return segfs_futex_deadline(0);
}

START_TEST(deadline_negative_is_never)
{
	ck_assert_int_eq(segfs_futex_deadline(-1), SEGFS_FUTEX_NEVER);
	ck_assert_int_eq(segfs_futex_deadline(INT64_MIN), SEGFS_FUTEX_NEVER);
	ck_assert_int_eq(segfs_futex_deadline(INT64_MAX), SEGFS_FUTEX_NEVER);
}
END_TEST

START_TEST(wait_for_another_value_returns_at_once)
{
	ck_assert_int_eq(segfs_futex_wait(&word, 2, SEGFS_FUTEX_NEVER, INT64_MAX), 0);
}
END_TEST

START_TEST(wait_until_deadline_times_out)
{
	int64_t deadline = segfs_futex_deadline(5 * MS);

	ck_assert_int_eq(segfs_futex_wait(&word, 1, deadline, INT64_MAX), -ETIMEDOUT);
	ck_assert_int_ge(now_ns(), deadline);
	ck_assert_int_eq(segfs_futex_wait(&word, 1, deadline, INT64_MAX), -ETIMEDOUT);
	ck_assert_int_eq(segfs_futex_wait(&word, 1, segfs_futex_deadline(0), INT64_MAX), -ETIMEDOUT);
}
END_TEST

START_TEST(wait_longer_than_a_nap_looks_again)
{
	int64_t begin = now_ns();

	ck_assert_int_eq(segfs_futex_wait(&word, 1, SEGFS_FUTEX_NEVER, 5 * MS), 0);
	ck_assert_int_ge(now_ns(), begin + 5 * MS);
}
END_TEST

static void ignore(int signal)
{
	(void)signal;
}

START_TEST(wait_after_a_signal_looks_again)
{
	struct sigaction action = {.sa_handler = ignore};
	struct itimerval timer = {.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000}, none = {};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	ck_assert_int_eq(segfs_futex_wait(&word, 1, segfs_futex_deadline(60000 * MS), INT64_MAX), 0);
	setitimer(ITIMER_REAL, &none, NULL);
}
END_TEST

/* Sleeps on the file's first word, mapped for reading only, and ends when it has changed. */
static void sleep_on(int fd)
{
	const uint32_t *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	if (fork() != 0)
		return;
	while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0)
		if (segfs_futex_wait(shared, 0, SEGFS_FUTEX_NEVER, INT64_MAX) < 0)
			_exit(1);
	_exit(0);
}

START_TEST(wake_reaches_a_reader_in_another_process)
{
	int fd = file_on_tmpfs("\0\0\0\0", 4), status;
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	sleep_on(fd);
	__atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
	segfs_futex_wake(shared, SEGFS_FUTEX_ALL);
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	close(fd);
}
END_TEST

START_TEST(wait_for_any_of_several_ends_with_each)
{
	int fd = file_on_tmpfs("\0\0\0\0", 4), status;
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), own[3] = {0};
	struct segfs_futex_word words[] = {{&own[0], 0}, {shared, 0}, {&own[2], 0}};

	ck_assert_int_eq(segfs_futex_wait_any(words, 3, segfs_futex_deadline(1000000)), -ETIMEDOUT);
	own[2] = 1;
	ck_assert_int_eq(segfs_futex_wait_any(words, 3, SEGFS_FUTEX_NEVER), 0);
	own[2] = 0;
	if (fork() == 0) {
		while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0)
			segfs_futex_wait_any(words, 3, SEGFS_FUTEX_NEVER);
		_exit(0);
	}
	__atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
	segfs_futex_wake(shared, SEGFS_FUTEX_ALL);
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(segfs_futex_wait_any(words, SEGFS_FUTEX_WORDS + 1, 0), -EINVAL);
	close(fd);
}
END_TEST

/* valgrind looks at the word itself, before it lets the kernel do so. */
static bool is_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

START_TEST(wait_on_a_cut_file_says_so)
{
	int fd = file_on_tmpfs("\0\0\0\0", 4);
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(segfs_futex_wait(shared, 0, SEGFS_FUTEX_NEVER, INT64_MAX), -EFAULT);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("futex");
	TCase *tcase = tcase_create("futex");

	tcase_add_test(tcase, deadline_negative_is_never);
	tcase_add_test(tcase, wait_for_another_value_returns_at_once);
	tcase_add_test(tcase, wait_until_deadline_times_out);
	tcase_add_test(tcase, wait_longer_than_a_nap_looks_again);
	tcase_add_test(tcase, wait_after_a_signal_looks_again);
	tcase_add_test(tcase, wake_reaches_a_reader_in_another_process);
	if (!is_under_valgrind()) { /* which knows no futex_waitv(2) either */
		tcase_add_test(tcase, wait_for_any_of_several_ends_with_each);
		tcase_add_test(tcase, wait_on_a_cut_file_says_so);
	}
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
