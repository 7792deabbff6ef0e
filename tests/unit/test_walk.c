/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "suite.h"
#include "util.h"

#define TEMPLATE "/dev/shm/segfs-unit.XXXXXX"
static char directory[sizeof(TEMPLATE)];
static int root = -1;

/* What a walk has seen, "path type" by line, in the order of the visits. */
struct seen {
	char text[4096];
	size_t len;
	unsigned n, enough;
};

static bool see(const struct segfs_walk_entry *entry, void *data)
{
	struct seen *seen = data;
	struct stat st;

	ck_assert_int_eq(fstatat(entry->dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(IFTODT(st.st_mode), entry->type);
	seen->len +=
		(size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, "%s\n", entry->path);
	return ++seen->n != seen->enough;
}

static const char *find(const struct seen *seen, const char *line)
{
	const char *found = strstr(seen->text, line);

	ck_assert_msg(found, "not seen: %s", line);
	return found;
}

static void set_up(void)
{
	memcpy(directory, TEMPLATE, sizeof(directory));
	ck_assert_ptr_nonnull(mkdtemp(directory));
	root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root, 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void tear_down(void)
{
	close_fd(&root);
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_file(const char *name)
{
	SEGFS_CLOSE int fd = openat(root, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
}

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdirat(root, name, 0700), 0);
}

START_TEST(walk_of_an_empty_directory_sees_nothing)
{
	struct seen seen = {};

	ck_assert_int_eq(segfs_walk(root, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 0);
}
END_TEST

START_TEST(walk_sees_everything_a_directory_before_what_is_in_it)
{
	struct seen seen = {};

	make_file("a");
	make_dir("d");
	make_dir("d/e");
	make_file("d/e/b");
	make_file("d/.hidden");
	ck_assert_int_eq(mkfifoat(root, "fifo", 0600), 0);
	ck_assert_int_eq(segfs_walk(root, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 6);
	find(&seen, "a\n");
	find(&seen, "fifo\n");
	find(&seen, "d/.hidden\n");
	ck_assert(find(&seen, "d\n") < find(&seen, "d/e\n"));
	ck_assert(find(&seen, "d/e\n") < find(&seen, "d/e/b\n"));
}
END_TEST

START_TEST(walk_does_not_follow_a_symlink)
{
	struct seen seen = {};

	make_dir("d");
	make_file("d/a");
	ck_assert_int_eq(symlinkat("d", root, "link"), 0);
	ck_assert_int_eq(symlinkat("/", root, "out"), 0);
	ck_assert_int_eq(segfs_walk(root, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 4);
}
END_TEST

START_TEST(walk_ends_when_told_to)
{
	make_dir("d");
	make_file("d/a");
	make_dir("e");
	make_file("e/a");
	for (unsigned enough = 1; enough <= 4; enough++) {
		struct seen seen = {.enough = enough};

		ck_assert_int_eq(segfs_walk(root, see, &seen), 0);
		ck_assert_uint_eq(seen.n, enough);
	}
}
END_TEST

static bool remove_it(const struct segfs_walk_entry *entry, void *data)
{
	unsigned *n = data;

	++*n;
	unlinkat(entry->dir_fd, entry->name, entry->type == DT_DIR ? AT_REMOVEDIR : 0);
	return true;
}

START_TEST(walk_passes_over_what_is_removed_meanwhile)
{
	struct seen seen = {};
	unsigned n = 0;

	make_dir("d");
	make_dir("e");
	make_file("a");
	ck_assert_int_eq(segfs_walk(root, remove_it, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(segfs_walk(root, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 0);
}
END_TEST

static bool count(const struct segfs_walk_entry *entry, void *data)
{
	(void)entry;
	++*(unsigned *)data;
	return true;
}

START_TEST(walk_ends_at_its_depth)
{
	char path[4 * SEGFS_WALK_DEPTH] = "d";
	unsigned n = 0;

	for (unsigned depth = 0; depth < SEGFS_WALK_DEPTH + 10; depth++) {
		make_dir(path);
		strcat(path, "/d");
	}
	ck_assert_int_eq(segfs_walk(root, count, &n), 0);
	ck_assert_uint_eq(n, SEGFS_WALK_DEPTH + 1);
}
END_TEST

START_TEST(walk_keeps_no_descriptor)
{
	int before = dup(root), after;
	unsigned n = 0;

	make_dir("d");
	make_dir("d/e");
	close(before);
	ck_assert_int_eq(segfs_walk(root, count, &n), 0);
	after = dup(root);
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

START_TEST(walk_of_no_directory_fails)
{
	SEGFS_CLOSE int fd = -1;
	unsigned n = 0;

	make_file("a");
	fd = openat(root, "a", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(segfs_walk(fd, count, &n), -ENOTDIR);
	ck_assert_int_eq(segfs_walk(-1, count, &n), -EBADF);
	ck_assert_uint_eq(n, 0);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("walk");
	Suite *suite = suite_create("walk");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, walk_of_an_empty_directory_sees_nothing);
	tcase_add_test(tests, walk_sees_everything_a_directory_before_what_is_in_it);
	tcase_add_test(tests, walk_does_not_follow_a_symlink);
	tcase_add_test(tests, walk_ends_when_told_to);
	tcase_add_test(tests, walk_passes_over_what_is_removed_meanwhile);
	tcase_add_test(tests, walk_ends_at_its_depth);
	tcase_add_test(tests, walk_keeps_no_descriptor);
	tcase_add_test(tests, walk_of_no_directory_fails);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
