/* SPDX-License-Identifier: MIT */
#include "huge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "residency.h"
#include "suite.h"
#include "util.h"

#define NO_LIMIT UINT64_MAX / 2

enum { HUGE = SEGFS_HUGE_PAGE, PAGE = 4096 };

static int sparse_file(off_t size)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

static uint64_t bytes_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static off_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

static uint64_t huge_of(int fd)
{
	struct segfs_residency residency;

	ck_assert_int_eq(segfs_residency_read(fd, &residency), 0);
	lseek(fd, 0, SEEK_SET);
	return residency.huge;
}

/* `n` small pages from `offset` on, each full of its own number. */
static void write_pages(int fd, off_t offset, unsigned n)
{
	char page[PAGE];

	for (unsigned i = 0; i < n; i++) {
		memset(page, (int)((offset / PAGE + i) % 251 + 1), PAGE);
		ck_assert_int_eq(pwrite(fd, page, PAGE, offset + (off_t)i * PAGE), PAGE);
	}
}

static void check_pages(int fd, off_t offset, unsigned n)
{
	char page[PAGE];

	for (unsigned i = 0; i < n; i++) {
		char expected = (char)((offset / PAGE + i) % 251 + 1);

		ck_assert_int_eq(pread(fd, page, PAGE, offset + (off_t)i * PAGE), PAGE);
		ck_assert(page[0] == expected && !memcmp(page, page + 1, PAGE - 1));
	}
}

static void check_zeros(int fd, off_t offset, unsigned n)
{
	static const char zeros[PAGE];
	char page[PAGE];

	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(pread(fd, page, PAGE, offset + (off_t)i * PAGE), PAGE);
		ck_assert_mem_eq(page, zeros, PAGE);
	}
}

static struct segfs_huge_count promote(int fd, unsigned min_pages)
{
	struct segfs_huge_count count = {};
	uint64_t at = 0;

	ck_assert_int_ge(segfs_huge_promote(fd, min_pages, NO_LIMIT, &at, &count), 0);
	return count;
}

/* What is tested with them is not tested where the system has none to give. */
static bool have_huge_pages(void)
{
	SEGFS_CLOSE int fd = sparse_file(HUGE);

	write_pages(fd, 0, 1);
	return promote(fd, 1).n_huge == 1 || (puts("not tested: no huge pages here"), false);
}

START_TEST(promote_full_extents_makes_them_huge)
{
	SEGFS_CLOSE int fd = sparse_file(3 * HUGE);
	struct segfs_huge_count count;

	if (!have_huge_pages())
		return;
	write_pages(fd, 0, 3 * SEGFS_HUGE_PAGES);
	count = promote(fd, SEGFS_HUGE_PAGES);
	ck_assert_uint_eq(count.n_huge, 3);
	ck_assert_uint_eq(count.n_sparse, 0);
	ck_assert_uint_eq(count.n_refused, 0);
	ck_assert_uint_eq(huge_of(fd), 3 * HUGE);
	check_pages(fd, 0, 3 * SEGFS_HUGE_PAGES);
	ck_assert_uint_eq(promote(fd, SEGFS_HUGE_PAGES).n_huge, 3);
}
END_TEST

START_TEST(promote_sparse_extents_leaves_them_alone)
{
	SEGFS_CLOSE int fd = sparse_file(5LL << 30);
	struct segfs_huge_count count;

	write_pages(fd, 0, 255);
	write_pages(fd, 4 * HUGE + 7 * PAGE, 1);
	write_pages(fd, (3LL << 30) + PAGE, 255);
	count = promote(fd, 256);
	ck_assert_uint_eq(count.n_huge, 0);
	ck_assert_uint_eq(count.n_sparse, 3);
	ck_assert_uint_eq(bytes_of(fd), 511 * PAGE);
}
END_TEST

START_TEST(promote_what_is_resident_enough_fills_in_zeros)
{
	SEGFS_CLOSE int fd = sparse_file(5LL << 30);
	struct segfs_huge_count count;

	if (!have_huge_pages())
		return;
	write_pages(fd, HUGE + 256 * PAGE, 256);
	write_pages(fd, 3LL << 30, 300);
	write_pages(fd, 4LL << 30, 10);
	count = promote(fd, 256);
	ck_assert_uint_eq(count.n_huge, 2);
	ck_assert_uint_eq(count.n_sparse, 1);
	ck_assert_uint_eq(bytes_of(fd), 2 * HUGE + 10 * PAGE);
	check_zeros(fd, HUGE, 256);
	check_pages(fd, HUGE + 256 * PAGE, 256);
	check_pages(fd, 3LL << 30, 300);
	check_zeros(fd, (3LL << 30) + 300 * PAGE, 212);
}
END_TEST

START_TEST(promote_asked_for_everything_leaves_holes)
{
	SEGFS_CLOSE int fd = sparse_file(8 * HUGE);

	if (!have_huge_pages())
		return;
	write_pages(fd, 3 * HUGE, 1);
	ck_assert_uint_eq(promote(fd, 0).n_huge, 1);
	ck_assert_uint_eq(bytes_of(fd), HUGE);
}
END_TEST

START_TEST(promote_an_extent_that_the_file_does_not_fill_leaves_it_alone)
{
	SEGFS_CLOSE int fd = sparse_file(2 * HUGE - PAGE), small = sparse_file(HUGE - 1);

	write_pages(fd, HUGE, SEGFS_HUGE_PAGES - 1);
	write_pages(small, 0, SEGFS_HUGE_PAGES - 1);
	ck_assert_uint_eq(promote(fd, 1).n_huge, 0);
	ck_assert_uint_eq(promote(small, 1).n_huge, 0);
	ck_assert_uint_eq(bytes_of(fd), HUGE - PAGE);
	ck_assert_uint_eq(bytes_of(small), HUGE - PAGE);
}
END_TEST

START_TEST(promote_without_time_goes_extent_by_extent)
{
	SEGFS_CLOSE int fd = sparse_file(4LL << 30);
	struct segfs_huge_count count = {};
	static const off_t pages[] = {0, HUGE, 5 * HUGE, (3LL << 30) + 3 * HUGE};
	uint64_t at = 0;

	if (!have_huge_pages())
		return;
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		write_pages(fd, pages[i], 1);
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		ck_assert_uint_eq(at, (uint64_t)pages[i]);
		ck_assert_int_eq(segfs_huge_promote(fd, 1, 0, &at, &count), i + 1 < COUNT_OF(pages));
		ck_assert_uint_eq(count.n_huge, i + 1);
	}
	ck_assert_int_eq(segfs_huge_promote(fd, 1, 0, &at, &count), 0);
	ck_assert_uint_eq(count.n_huge, COUNT_OF(pages));
}
END_TEST

START_TEST(promote_what_is_not_open_to_read_fails)
{
	SEGFS_CLOSE int fd = sparse_file(2 * HUGE), write_only = -1;
	struct segfs_huge_count count = {};
	uint64_t at = 0;
	char path[32];

	write_pages(fd, 0, SEGFS_HUGE_PAGES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	write_only = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(segfs_huge_promote(write_only, 1, NO_LIMIT, &at, &count), -EACCES);
	ck_assert_int_eq(segfs_huge_promote(-1, 1, NO_LIMIT, &at, &count), -EBADF);
	ck_assert_uint_eq(count.n_huge + count.n_refused + count.n_sparse, 0);
}
END_TEST

/* Another process shrinks and fills the file all the while: that is no SIGBUS. */
START_TEST(promote_survives_a_file_that_shrinks)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE);
	pid_t pid = fork();

	if (pid == 0) {
		for (;;) {
			(void)!ftruncate(fd, 0);
			(void)!fallocate(fd, 0, 0, 4 * HUGE);
			for (off_t at = 0; at < 4 * HUGE; at += PAGE)
				(void)!pwrite(fd, "x", 1, at);
		}
	}
	for (int i = 0; i < 300; i++) {
		struct segfs_huge_count count = {};
		uint64_t at = 0;

		ck_assert_int_ge(segfs_huge_promote(fd, 1, NO_LIMIT, &at, &count), 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

/* Words count up in shared memory: what was written last is what is read back, or a page has been lost or an
 * old one brought back. */
static void count_up(volatile uint64_t *words, size_t n, const _Atomic bool *stop)
{
	for (uint64_t round = 1; !*stop; round++)
		for (size_t i = 0; i < n; i++) {
			if (words[i] != round - 1)
				_exit(1);
			words[i] = round;
		}
	_exit(0);
}

enum { N_WRITERS = 2, WRITER_SIZE = 4 * HUGE };

static void start_writers(char *mapped, const _Atomic bool *stop, pid_t *pids)
{
	for (int i = 0; i < N_WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			count_up((void *)(mapped + (size_t)i * WRITER_SIZE), WRITER_SIZE / sizeof(uint64_t),
				 stop);
	}
}

static void end_writers(_Atomic bool *stop, const pid_t *pids)
{
	*stop = true;
	for (int i = 0; i < N_WRITERS; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		ck_assert_int_eq(status, 0);
	}
	*stop = false;
}

/* From the first touch of the first page until all are huge, and a while beyond. */
START_TEST(promote_harms_no_writer)
{
	_Atomic bool *stop = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[N_WRITERS];

	if (!have_huge_pages())
		return;
	for (int round = 0; round < 10; round++) {
		SEGFS_CLOSE int fd = sparse_file(N_WRITERS * WRITER_SIZE);
		char *mapped = mmap(NULL, N_WRITERS * WRITER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		ck_assert_ptr_ne(mapped, MAP_FAILED);
		start_writers(mapped, stop, pids);
		for (int i = 0; i < 1000 && promote(fd, 1).n_huge < N_WRITERS * WRITER_SIZE / HUGE; i++)
			usleep(1000);
		usleep(10000);
		end_writers(stop, pids);
		munmap(mapped, N_WRITERS * WRITER_SIZE);
	}
}
END_TEST

START_TEST(reserve_leaves_the_same_file_as_fallocate)
{
	static const struct {
		off_t size, from, to;
	} cases[] = {
		{0, 0, 8 * HUGE},
		{0, 0, HUGE - 1},
		{0, 0, 3 * HUGE + 5},
		{100, 100, 5 * HUGE},
		{3 * HUGE, HUGE + 1, 4 * HUGE + 1},
		{8 * HUGE, HUGE, 2 * HUGE},
		{8 * HUGE, 2 * HUGE - PAGE, 6 * HUGE + PAGE},
		{0, 7 * HUGE, 9 * HUGE},
		{0, (1LL << 30) - HUGE, (1LL << 30) + HUGE},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SEGFS_CLOSE int ours = sparse_file(cases[i].size), other = sparse_file(cases[i].size);

		ck_assert_int_eq(segfs_huge_reserve(ours, cases[i].from, cases[i].to), 0);
		ck_assert_int_eq(fallocate(other, 0, cases[i].from, cases[i].to - cases[i].from), 0);
		ck_assert_int_eq(size_of(ours), size_of(other));
		ck_assert_uint_eq(bytes_of(ours), bytes_of(other));
	}
}
END_TEST

START_TEST(reserve_takes_huge_pages)
{
	SEGFS_CLOSE int fd = sparse_file(0);

	if (!have_huge_pages())
		return;
	ck_assert_int_eq(segfs_huge_reserve(fd, 0, 5 * HUGE + 100), 0);
	ck_assert_uint_eq(huge_of(fd), 5 * HUGE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	check_zeros(fd, 0, 5 * SEGFS_HUGE_PAGES);
	ck_assert_int_eq(segfs_huge_reserve(fd, 0, 5 * HUGE + 100), 0);
	ck_assert_uint_eq(huge_of(fd), 5 * HUGE);
}
END_TEST

START_TEST(reserve_keeps_what_is_there)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE);

	write_pages(fd, 3 * PAGE, 5);
	write_pages(fd, 2 * HUGE - PAGE, 2);
	ck_assert_int_eq(segfs_huge_reserve(fd, 0, 4 * HUGE), 0);
	ck_assert_uint_eq(bytes_of(fd), 4 * HUGE);
	check_zeros(fd, 0, 3);
	check_pages(fd, 3 * PAGE, 5);
	check_pages(fd, 2 * HUGE - PAGE, 2);
	check_zeros(fd, 2 * HUGE + PAGE, 511);
	if (have_huge_pages())
		ck_assert_uint_eq(huge_of(fd), HUGE);
}
END_TEST

START_TEST(reserve_where_it_is_not_allowed_is_fallocate)
{
	SEGFS_CLOSE int fd = sparse_file(0);

	segfs_huge_allow(false);
	ck_assert_int_eq(segfs_huge_reserve(fd, 0, 2 * HUGE), 0);
	segfs_huge_allow(true);
	ck_assert_uint_eq(bytes_of(fd), 2 * HUGE);
	ck_assert_uint_eq(huge_of(fd), 0);
}
END_TEST

static bool is_limited(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_blocks > 0;
}

START_TEST(reserve_what_cannot_be_fails_as_fallocate_does)
{
	SEGFS_CLOSE int fd = sparse_file(HUGE), read_only = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(segfs_huge_reserve(read_only, 0, 2 * HUGE), -EBADF);
	ck_assert_int_eq(segfs_huge_reserve(-1, 0, 2 * HUGE), -EBADF);
	ck_assert_int_eq(segfs_huge_reserve(fd, 0, 0), -EINVAL);
	ck_assert_int_eq(segfs_huge_reserve(fd, -HUGE, HUGE), -EINVAL);
	ck_assert_int_eq(segfs_huge_reserve(fd, HUGE, 0), -EINVAL);
	if (is_limited(fd))
		ck_assert_int_eq(segfs_huge_reserve(fd, 0, (off_t)1 << 50), -ENOSPC);
	ck_assert_int_eq(size_of(fd), HUGE);
	ck_assert_uint_eq(bytes_of(fd), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("huge");
	TCase *tc = tcase_create("huge");

	tcase_add_test(tc, promote_full_extents_makes_them_huge);
	tcase_add_test(tc, promote_sparse_extents_leaves_them_alone);
	tcase_add_test(tc, promote_what_is_resident_enough_fills_in_zeros);
	tcase_add_test(tc, promote_asked_for_everything_leaves_holes);
	tcase_add_test(tc, promote_an_extent_that_the_file_does_not_fill_leaves_it_alone);
	tcase_add_test(tc, promote_without_time_goes_extent_by_extent);
	tcase_add_test(tc, promote_what_is_not_open_to_read_fails);
	tcase_add_test(tc, promote_survives_a_file_that_shrinks);
	tcase_add_test(tc, promote_harms_no_writer);
	tcase_add_test(tc, reserve_leaves_the_same_file_as_fallocate);
	tcase_add_test(tc, reserve_takes_huge_pages);
	tcase_add_test(tc, reserve_keeps_what_is_there);
	tcase_add_test(tc, reserve_where_it_is_not_allowed_is_fallocate);
	tcase_add_test(tc, reserve_what_cannot_be_fails_as_fallocate_does);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
