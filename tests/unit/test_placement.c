/* SPDX-License-Identifier: MIT */
#include "placement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

/* All that is tested is that of a kernel with NUMA, be it with one node. */
static bool have_numa(void)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	SEGFS_FREE char *text = NULL;

	return segfs_placement_get(fd, &text) >= 0 || (puts("not tested: no NUMA here"), false);
}

static int set(int fd, const char *text)
{
	size_t len = strlen(text);
	char *copy = bounded_copy(text, len);
	int r = segfs_placement_set(fd, copy, len);

	bounded_free(copy);
	return r;
}

static void check(int fd, const char *expected)
{
	SEGFS_FREE char *text = NULL;

	ck_assert_int_eq(segfs_placement_get(fd, &text), (ssize_t)strlen(expected));
	ck_assert_str_eq(text, expected);
}

START_TEST(get_of_a_new_file_is_default)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);

	if (have_numa())
		check(fd, "default");
}
END_TEST

START_TEST(set_is_what_get_says)
{
	static const char *const texts[] = {"interleave", "bind 0", "local", "default"};
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);

	if (!have_numa())
		return;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		ck_assert_int_eq(set(fd, texts[i]), 0);
		check(fd, texts[i]);
	}
}
END_TEST

START_TEST(set_what_is_none_is_refused_and_changes_nothing)
{
	static const char *const texts[] = {
		"",
		"bind",
		"bind ",
		"bind 4095",
		"bind 0,",
		"bind 0,4095",
		"bind x",
		"bind -1",
		"bind 0 ",
		"bind 0x",
		"bind  0",
		"local 0",
		"default 0",
		"interleave ",
		"nowhere",
		"Bind 0",
		"bind 99999999999999999999",
	};
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);

	if (!have_numa())
		return;
	ck_assert_int_eq(set(fd, "local"), 0);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		ck_assert_msg(set(fd, texts[i]) == -EINVAL, "'%s'", texts[i]);
	ck_assert_int_eq(segfs_placement_set(fd, "local\0x", 7), -EINVAL);
	check(fd, "local");
}
END_TEST

/* As the kernel tells it to a process that maps the file by itself. */
START_TEST(set_holds_for_who_maps_the_file_also_where_it_grows)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	char line[512];
	bool found = false;
	void *mapped;
	FILE *maps;

	if (!have_numa())
		return;
	ck_assert_int_eq(set(fd, "bind 0"), 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (1 << 20) - 4096);
	*(volatile char *)mapped = 1;
	maps = fopen("/proc/self/numa_maps", "re");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, " bind:0 ") != NULL;
	fclose(maps);
	ck_assert(found);
	munmap(mapped, 4096);
}
END_TEST

START_TEST(what_is_no_file_fails_untouched)
{
	char *text = (char *)UNTOUCHED;

	if (!have_numa())
		return;
	ck_assert_int_eq(set(-1, "local"), -EBADF);
	ck_assert_int_eq(segfs_placement_get(-1, &text), -EBADF);
	ck_assert_ptr_eq(text, (char *)UNTOUCHED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tc = tcase_create("placement");

	tcase_add_test(tc, get_of_a_new_file_is_default);
	tcase_add_test(tc, set_is_what_get_says);
	tcase_add_test(tc, set_what_is_none_is_refused_and_changes_nothing);
	tcase_add_test(tc, set_holds_for_who_maps_the_file_also_where_it_grows);
	tcase_add_test(tc, what_is_no_file_fails_untouched);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
