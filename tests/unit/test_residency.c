/* SPDX-License-Identifier: MIT */
#include "residency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE = SEGFS_HUGE_PAGE, PAGE = 4096 };

static int sparse_file(off_t size)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_blocks;
}

static struct segfs_residency residency_of(int fd)
{
	blkcnt_t before = blocks_of(fd);
	struct segfs_residency residency;

	ck_assert_int_eq(segfs_residency_read(fd, &residency), 0);
	ck_assert_int_eq(blocks_of(fd), before);
	ck_assert_uint_eq(residency.resident, (uint64_t)before * 512);
	return residency;
}

/* A page at `offset`, without a huge one. */
static void write_page(int fd, off_t offset)
{
	ck_assert_int_eq(pwrite(fd, "x", 1, offset), 1);
}

static void *map_aligned(int fd, off_t offset, size_t size)
{
	char *room = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *base = room + HUGE - (uintptr_t)room % HUGE;

	ck_assert_ptr_ne(room, MAP_FAILED);
	ck_assert_ptr_eq(mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset), base);
	return base;
}

/* Gives the file a huge page at `offset`; returns where it is mapped. False if this system has none to give.
 */
static bool make_huge(int fd, off_t offset)
{
	char *base = map_aligned(fd, offset, HUGE);
	bool made;

	*base = 1;
	made = madvise(base, HUGE, MADV_COLLAPSE) == 0;
	munmap(base, HUGE);
	return made;
}

/* What is tested with them is not tested where the system has none to give. */
static bool have_huge_pages(void)
{
	SEGFS_CLOSE int fd = sparse_file(HUGE);

	return make_huge(fd, 0) || (puts("not tested: no huge pages here"), false);
}

START_TEST(read_empty_file_is_nothing)
{
	SEGFS_CLOSE int fd = sparse_file(0);
	struct segfs_residency residency = residency_of(fd);

	ck_assert_uint_eq(residency.resident, 0);
	ck_assert_uint_eq(residency.huge, 0);
}
END_TEST

START_TEST(read_leaves_holes_alone)
{
	static const off_t pages[] = {0, 5 * HUGE + PAGE, 9 * HUGE, (3LL << 30) + 7};
	SEGFS_CLOSE int fd = sparse_file(5LL << 30);
	SEGFS_CLOSE int full = sparse_file(2 * HUGE);

	for (size_t i = 0; i < COUNT_OF(pages); i++)
		write_page(fd, pages[i]);
	/* A file with less than a huge page is not looked into. */
	for (off_t at = 0; at < HUGE; at += PAGE)
		write_page(fd, (1LL << 30) + at);
	ck_assert_uint_eq(residency_of(fd).huge, 0);
	ck_assert_uint_eq(residency_of(fd).resident, HUGE + COUNT_OF(pages) * PAGE);
	for (off_t at = 0; at < 2 * HUGE; at += PAGE)
		write_page(full, at);
	ck_assert_uint_eq(residency_of(full).huge, 0);
}
END_TEST

START_TEST(read_counts_huge_pages)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE);

	if (!have_huge_pages())
		return;
	ck_assert(make_huge(fd, HUGE));
	ck_assert_uint_eq(residency_of(fd).huge, HUGE);
	ck_assert(make_huge(fd, 3 * HUGE));
	write_page(fd, 0);
	ck_assert_uint_eq(residency_of(fd).huge, 2 * HUGE);
	ck_assert_uint_eq(residency_of(fd).resident, 2 * HUGE + PAGE);
	ck_assert(make_huge(fd, 0));
	ck_assert(make_huge(fd, 2 * HUGE));
	ck_assert_uint_eq(residency_of(fd).huge, 4 * HUGE);
}
END_TEST

START_TEST(read_counts_in_every_window)
{
	static const off_t extents[] = {0, (1LL << 30) - HUGE, 1LL << 30, 7LL << 30, (40LL << 30) - HUGE};
	SEGFS_CLOSE int fd = sparse_file(40LL << 30);

	if (!have_huge_pages())
		return;
	for (size_t i = 0; i < COUNT_OF(extents); i++)
		ck_assert(make_huge(fd, extents[i]));
	ck_assert_uint_eq(residency_of(fd).huge, COUNT_OF(extents) * HUGE);
}
END_TEST

START_TEST(read_counts_the_last_huge_page_of_an_odd_size)
{
	SEGFS_CLOSE int fd = sparse_file(2 * HUGE);

	if (!have_huge_pages())
		return;
	ck_assert(make_huge(fd, 0));
	ck_assert(make_huge(fd, HUGE));
	/* Truncation splits the page, writing behind it does not make it one again. */
	ck_assert_int_eq(ftruncate(fd, HUGE + 100), 0);
	ck_assert_uint_eq(residency_of(fd).huge, HUGE);
}
END_TEST

/* The file is mapped by the process itself, at neighbouring addresses and with huge pages. */
START_TEST(read_is_not_confused_by_other_mappings)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE), other = sparse_file(4 * HUGE);
	volatile char *mapped[20];

	if (!have_huge_pages())
		return;
	ck_assert(make_huge(fd, HUGE));
	ck_assert(make_huge(other, 0) && make_huge(other, HUGE));
	for (size_t i = 0; i < COUNT_OF(mapped); i++) {
		mapped[i] = map_aligned(i % 2 ? fd : other, 0, 4 * HUGE);
		(void)mapped[i][HUGE];
	}
	ck_assert_uint_eq(residency_of(fd).huge, HUGE);
	ck_assert_uint_eq(residency_of(other).huge, 2 * HUGE);
	for (size_t i = 0; i < COUNT_OF(mapped); i++)
		ck_assert_int_eq(mapped[i][HUGE], 1);
}
END_TEST

static unsigned mappings_of_this_process(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	int c;

	while ((c = fgetc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

START_TEST(read_leaves_no_mapping_behind)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE);
	unsigned before;

	if (!have_huge_pages())
		return;
	ck_assert(make_huge(fd, 0));
	before = mappings_of_this_process();
	for (int i = 0; i < 100; i++)
		residency_of(fd);
	/* Not equal: the allocator may have mapped something for itself. */
	ck_assert_uint_lt(mappings_of_this_process(), before + 50);
}
END_TEST

/* Another process shrinks and fills the file all the while: that is no SIGBUS. */
START_TEST(read_survives_a_file_that_shrinks)
{
	SEGFS_CLOSE int fd = sparse_file(4 * HUGE);
	struct segfs_residency residency;
	pid_t pid;

	if (!have_huge_pages())
		return;
	ck_assert(make_huge(fd, 0));
	pid = fork();
	if (pid == 0) {
		for (;;) {
			(void)!ftruncate(fd, 0);
			for (off_t at = 0; at < 4 * HUGE; at += HUGE / 2)
				(void)!pwrite(fd, "x", 1, at);
			(void)!fallocate(fd, 0, 0, 4 * HUGE);
		}
	}
	for (int i = 0; i < 500; i++)
		ck_assert_int_eq(segfs_residency_read(fd, &residency), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(read_what_cannot_be_read_fails_untouched)
{
	struct segfs_residency residency = {UNTOUCHED, UNTOUCHED};
	SEGFS_CLOSE int fd = sparse_file(0);
	SEGFS_CLOSE int write_only = -1;
	char path[32];

	ck_assert_int_eq(posix_fallocate(fd, 0, HUGE), 0);
	for (off_t at = 0; at < HUGE; at += PAGE)
		write_page(fd, at);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	write_only = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(segfs_residency_read(write_only, &residency), -EACCES);
	ck_assert_int_eq(segfs_residency_read(-1, &residency), -EBADF);
	ck_assert_uint_eq(residency.resident, UNTOUCHED);
	ck_assert_uint_eq(residency.huge, UNTOUCHED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("residency");
	TCase *tc = tcase_create("residency");

	tcase_add_test(tc, read_empty_file_is_nothing);
	tcase_add_test(tc, read_leaves_holes_alone);
	tcase_add_test(tc, read_what_cannot_be_read_fails_untouched);
	tcase_add_test(tc, read_counts_huge_pages);
	tcase_add_test(tc, read_counts_in_every_window);
	tcase_add_test(tc, read_counts_the_last_huge_page_of_an_odd_size);
	tcase_add_test(tc, read_is_not_confused_by_other_mappings);
	tcase_add_test(tc, read_leaves_no_mapping_behind);
	tcase_add_test(tc, read_survives_a_file_that_shrinks);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
