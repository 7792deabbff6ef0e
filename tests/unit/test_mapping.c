/* SPDX-License-Identifier: MIT */
#include <segfs/mapping.h>
#include <segfs/npy.h>
#include <segfs/ring.h>
#include <segfs/segment.h>
#include <segfs/slots.h>
#include <segfs/table.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bounded.h"
#include "storm.h"
#include "suite.h"
#include "util.h"

static const uint64_t shape[] = {3, 4};

static void cleanup(struct segfs_mapping **mapping)
{
	*mapping = segfs_mapping_close(*mapping);
}

#define MAPPING SEGFS_CLEANUP(cleanup) struct segfs_mapping

/* A directory in /dev/shm as working directory. */
static char directory[] = "/dev/shm/segfs-unit.XXXXXX";

static void set_up(void)
{
	strcpy(directory, "/dev/shm/segfs-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static unsigned count_files(void)
{
	DIR *dir = opendir(".");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void tear_down(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	while ((entry = readdir(dir)))
		unlink(entry->d_name);
	closedir(dir);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

static int create(const char *path, int flags, const char *dtype, char order, struct segfs_mapping **ret)
{
	return segfs_mapping_create(path, flags, 0600, dtype, shape, COUNT_OF(shape), order, ret);
}

static struct segfs_mapping *created(const char *path, const char *dtype, char order)
{
	struct segfs_mapping *mapping;

	ck_assert_int_eq(create(path, O_EXCL, dtype, order, &mapping), 0);
	return mapping;
}

static struct segfs_mapping *opened(const char *path, int flags)
{
	struct segfs_mapping *mapping;

	ck_assert_int_eq(segfs_mapping_open(path, flags, NULL, &mapping), 0);
	return mapping;
}

static void assert_open_fails(const char *path, int flags, const char *dtype, int error)
{
	struct segfs_mapping *mapping = (void *)UNTOUCHED;

	ck_assert_int_eq(segfs_mapping_open(path, flags, dtype, &mapping), error);
	ck_assert_ptr_eq(mapping, (void *)UNTOUCHED);
}

static void assert_create_fails(const char *path, int flags, const char *dtype, char order, int error)
{
	struct segfs_mapping *mapping = (void *)UNTOUCHED;

	ck_assert_int_eq(create(path, flags, dtype, order, &mapping), error);
	ck_assert_ptr_eq(mapping, (void *)UNTOUCHED);
}

START_TEST(create_makes_a_described_segment_with_its_pages)
{
	MAPPING *mapping = created("grid", "float64", 'F');
	const struct segfs_array *array = segfs_mapping_array(mapping);
	char value[16] = "";
	struct stat st;

	ck_assert_int_eq(array->dtype->kind, SEGFS_FLOAT);
	ck_assert_uint_eq(array->ndim, 2);
	ck_assert_uint_eq(array->shape[1], 4);
	ck_assert_int_eq(array->order, 'F');
	ck_assert_int_eq(stat("grid", &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(st.st_size, 96);
	ck_assert_int_gt(st.st_blocks, 0);
	ck_assert_int_eq(getxattr("grid", SEGFS_ATTR_DTYPE, value, sizeof(value)), 3);
	ck_assert_str_eq(value, "<f8");
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(two_handles_share_elements)
{
	MAPPING *one = created("grid", "<f8", 'C'), *two = opened("grid", O_RDWR), *three = NULL;

	((double *)segfs_mapping_data(one))[5] = 4.5;
	ck_assert_double_eq(((double *)segfs_mapping_data(two))[5], 4.5);
	ck_assert_int_eq(create("grid", 0, "f8", 'C', &three), 0);
	ck_assert_double_eq(((double *)segfs_mapping_data(three))[5], 4.5);
}
END_TEST

START_TEST(create_of_another_array_is_refused)
{
	struct segfs_mapping *other = (void *)UNTOUCHED;

	segfs_mapping_close(created("grid", "<f8", 'C'));
	assert_create_fails("grid", O_EXCL, "<f8", 'C', -EEXIST);
	assert_create_fails("grid", 0, "<i8", 'C', -EMEDIUMTYPE);
	assert_create_fails("grid", 0, "<f8", 'F', -EMEDIUMTYPE);
	ck_assert_int_eq(segfs_mapping_create("grid", 0, 0600, "<f8", shape, 1, 'C', &other), -EMEDIUMTYPE);
	ck_assert_int_eq(segfs_mapping_create("grid", 0, 0600, "<f8", (uint64_t[]){4, 3}, 2, 'C', &other),
			 -EMEDIUMTYPE);
	ck_assert_ptr_eq(other, (void *)UNTOUCHED);
}
END_TEST

/* In one dimension C and F are the same, and are not told apart. */
START_TEST(create_in_one_dimension_knows_no_order)
{
	MAPPING *one = NULL, *two = NULL;

	ck_assert_int_eq(segfs_mapping_create("v", 0, 0600, "<f8", shape, 1, 'F', &one), 0);
	ck_assert_int_eq(segfs_mapping_create("v", 0, 0600, "<f8", shape, 1, 'C', &two), 0);
}
END_TEST

START_TEST(create_refused_leaves_no_file)
{
	struct segfs_mapping *mapping = (void *)UNTOUCHED;

	assert_create_fails("grid", 0, "O", 'C', -EINVAL);
	assert_create_fails("grid", 0, "<f8", 'K', -EINVAL);
	assert_create_fails("grid", O_RDONLY | O_TRUNC, "<f8", 'C', -EINVAL);
	assert_create_fails("", 0, "<f8", 'C', -ENOENT);
	assert_create_fails("missing/grid", 0, "<f8", 'C', -ENOENT);
	assert_create_fails("./", 0, "<f8", 'C', -EISDIR);
	assert_create_fails(".", 0, "<f8", 'C', -EISDIR);
	ck_assert_int_eq(
		segfs_mapping_create("grid", 0, 0600, "<f8", shape, SEGFS_MAX_NDIM + 1, 'C', &mapping),
		-EINVAL);
	ck_assert_int_eq(
		segfs_mapping_create("grid", 0, 0600, "<f8", (uint64_t[]){1ULL << 61}, 1, 'C', &mapping),
		-EOVERFLOW);
	ck_assert_ptr_eq(mapping, (void *)UNTOUCHED);
	ck_assert_uint_eq(count_files(), 0);
}
END_TEST

START_TEST(create_where_a_symlink_leads_nowhere_is_eexist)
{
	ck_assert_int_eq(symlink("nowhere", "grid"), 0);
	assert_create_fails("grid", 0, "<f8", 'C', -EEXIST);
	assert_create_fails("grid", O_EXCL, "<f8", 'C', -EEXIST);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(create_of_no_elements_has_no_data)
{
	MAPPING *empty = NULL, *again = NULL, *scalar = NULL;

	ck_assert_int_eq(segfs_mapping_create("empty", 0, 0600, "<f8", (uint64_t[]){0}, 1, 'C', &empty), 0);
	ck_assert_ptr_null(segfs_mapping_data(empty));
	ck_assert_int_eq(segfs_mapping_create("empty", 0, 0600, "<f8", (uint64_t[]){0}, 1, 'C', &again), 0);
	ck_assert_int_eq(segfs_mapping_create("scalar", 0, 0600, "<f8", NULL, 0, 'C', &scalar), 0);
	ck_assert_double_eq(*(double *)segfs_mapping_data(scalar), 0);
}
END_TEST

static void write_npy(const char *path, const char *header, size_t len)
{
	SEGFS_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, header, len), (ssize_t)len);
	ck_assert_int_eq(ftruncate(fd, (off_t)len + 96), 0);
}

START_TEST(open_finds_elements_behind_a_npy_header)
{
	MAPPING *described = created("grid", "<f8", 'C'), *mapping = NULL;
	char header[256];
	size_t len = segfs_npy_format(segfs_mapping_array(described), header, sizeof(header));

	write_npy("grid.npy", header, len);
	mapping = opened("grid.npy", O_RDWR);
	ck_assert_uint_eq(segfs_mapping_array(mapping)->offset, len);
	((double *)segfs_mapping_data(mapping))[0] = 1.5;
	ck_assert_int_eq(lseek(segfs_mapping_fd(mapping), (off_t)len, SEEK_SET), (off_t)len);
	ck_assert_int_eq(read(segfs_mapping_fd(mapping), header, 8), 8);
	ck_assert_mem_eq(header, &(double){1.5}, 8);
}
END_TEST

/* A header of an odd length, as no numpy writes it. */
START_TEST(open_misaligned_is_enotsup)
{
	static const char dict[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (12,), } \n";
	char header[10 + sizeof(dict)] = "\x93NUMPY\1";

	header[8] = sizeof(dict) - 1;
	memcpy(header + 10, dict, sizeof(dict));
	ck_assert_uint_ne((sizeof(header) - 1) % 8, 0);
	write_npy("odd.npy", header, sizeof(header) - 1);
	assert_open_fails("odd.npy", O_RDWR, NULL, -ENOTSUP);
}
END_TEST

START_TEST(open_refuses_what_is_no_such_array)
{
	MAPPING *same = NULL;

	segfs_mapping_close(created("grid", "<f8", 'C'));
	ck_assert_int_eq(segfs_mapping_open("grid", O_RDONLY, "float64", &same), 0);
	assert_open_fails("grid", O_RDWR, "<i8", -EMEDIUMTYPE);
	assert_open_fails("grid", O_RDWR, "no dtype", -EINVAL);
	assert_open_fails("grid", O_WRONLY, NULL, -EINVAL);
	assert_open_fails("grid", O_RDWR | O_CREAT, NULL, -EINVAL);
	assert_open_fails("missing", O_RDWR, NULL, -ENOENT);
	assert_open_fails(".", O_RDWR, NULL, -EISDIR);
	assert_open_fails(".", O_RDONLY, NULL, -EINVAL);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	assert_open_fails("fifo", O_RDWR, NULL, -EINVAL);
	assert_open_fails("fifo", O_RDONLY, NULL, -EINVAL);
	ck_assert_int_eq(close(open("raw", O_RDWR | O_CREAT, 0600)), 0);
	assert_open_fails("raw", O_RDWR, NULL, -ENODATA);
	ck_assert_int_eq(truncate("grid", 95), 0);
	assert_open_fails("grid", O_RDWR, NULL, -ENODATA);
}
END_TEST

static sigjmp_buf caught;

static void on_fault(int signum)
{
	siglongjmp(caught, signum);
}

START_TEST(open_for_reading_does_not_write)
{
	MAPPING *mapping = created("grid", "<f8", 'C'), *reader = opened("grid", O_RDONLY);
	volatile double *data = segfs_mapping_data(reader);
	int signum;

	((double *)segfs_mapping_data(mapping))[0] = 2.5;
	ck_assert_double_eq(data[0], 2.5);
	signal(SIGSEGV, on_fault);
	signum = sigsetjmp(caught, 1);
	if (signum == 0)
		data[0] = 3.5;
	ck_assert_int_eq(signum, SIGSEGV);
	ck_assert_double_eq(data[0], 2.5);
}
END_TEST

START_TEST(check_tells_what_others_have_changed)
{
	MAPPING *mapping = created("grid", "<f8", 'C');

	ck_assert_int_eq(segfs_mapping_check(mapping), 0);
	ck_assert_int_eq(truncate("grid", 200), 0);
	ck_assert_int_eq(segfs_mapping_check(mapping), 0);
	ck_assert_int_eq(setxattr("grid", SEGFS_ATTR_DTYPE, "<i8", 3, 0), 0);
	ck_assert_int_eq(segfs_mapping_check(mapping), -ESTALE);
	ck_assert_int_eq(setxattr("grid", SEGFS_ATTR_DTYPE, "<f8", 3, 0), 0);
	ck_assert_int_eq(setxattr("grid", SEGFS_ATTR_OFFSET, "8", 1, 0), 0);
	ck_assert_int_eq(segfs_mapping_check(mapping), -ESTALE);
	ck_assert_int_eq(removexattr("grid", SEGFS_ATTR_OFFSET), 0);
	ck_assert_int_eq(segfs_mapping_check(mapping), 0);
	ck_assert_int_eq(truncate("grid", 95), 0);
	ck_assert_int_eq(segfs_mapping_check(mapping), -ESTALE);
}
END_TEST

/* ---- control */

static struct segfs_control *control_of(struct segfs_mapping *mapping)
{
	struct segfs_control *control;

	ck_assert_int_eq(segfs_mapping_control(mapping, &control), 0);
	return control;
}

START_TEST(control_is_that_of_the_segment)
{
	MAPPING *one = created("grid", "<f8", 'C'), *two = opened("grid", O_RDONLY);
	struct segfs_control *control = control_of(one);
	uint64_t version;

	ck_assert_ptr_eq(control_of(one), control);
	ck_assert_int_eq(segfs_lock_exclusive(control, 0), 0);
	ck_assert_int_eq(segfs_publish(control, NULL), 0);
	ck_assert_int_eq(segfs_wait(control_of(two), 0, -1, &version), 0);
	ck_assert_uint_eq(version, 1);
	ck_assert_int_eq(segfs_lock_exclusive(control_of(two), 0), -EBADF);
	ck_assert_int_eq(segfs_unlock_exclusive(control), 0);
}
END_TEST

START_TEST(control_goes_with_the_file_and_not_with_the_name)
{
	MAPPING *one = created("grid", "<f8", 'C'), *two = NULL;
	struct segfs_control *control = (void *)UNTOUCHED;

	ck_assert_int_eq(rename("grid", "old"), 0);
	two = created("grid", "<f8", 'C');
	ck_assert_int_eq(segfs_publish(control_of(one), NULL), 0);
	ck_assert_uint_eq(segfs_version(control_of(two)), 0);
	segfs_mapping_close(one);
	one = opened("old", O_RDWR);
	ck_assert_uint_eq(segfs_version(control_of(one)), 1);
	segfs_mapping_close(one);
	one = opened("old", O_RDWR);
	ck_assert_int_eq(unlink("old"), 0);
	ck_assert_int_eq(segfs_mapping_control(one, &control), -ENOENT);
	ck_assert_ptr_eq(control, (void *)UNTOUCHED);
}
END_TEST

static void *ask_for_control(void *mapping)
{
	return control_of(mapping);
}

START_TEST(control_is_one_for_all_threads)
{
	enum { THREADS = 8 };
	pthread_t threads[THREADS];
	void *controls[THREADS];

	for (int round = 0; round < 50; round++) {
		MAPPING *mapping = NULL;

		ck_assert_int_eq(create("grid", 0, "<f8", 'C', &mapping), 0);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_for_control, mapping), 0);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_join(threads[i], &controls[i]), 0);
		for (int i = 0; i < THREADS; i++)
			ck_assert_ptr_eq(controls[i], control_of(mapping));
	}
}
END_TEST

/* ---- rings, tables and slots by their paths */

static int create_ring(const char *path, int flags, const char *dtype, uint64_t capacity, unsigned policy)
{
	struct segfs_ring *ring = (void *)UNTOUCHED;
	int r = segfs_ring_create(path, flags, 0600, dtype, shape, 2, capacity, policy, &ring);

	if (r == 0)
		segfs_ring_close(ring);
	else
		ck_assert_ptr_eq(ring, (void *)UNTOUCHED);
	return r;
}

START_TEST(ring_create_makes_one_ring_for_all)
{
	ck_assert_int_eq(create_ring("ring", 0, "f4", 10, SEGFS_RING_BLOCK), 0);
	ck_assert_int_eq(create_ring("ring", 0, "float32", 10, SEGFS_RING_BLOCK), 0);
	ck_assert_int_eq(create_ring("ring", O_EXCL, "<f4", 10, SEGFS_RING_BLOCK), -EEXIST);
	assert_open_fails("ring", O_RDWR, NULL, -ENODATA);
	ck_assert_int_eq(create_ring("ring", 0, "<f8", 10, SEGFS_RING_BLOCK), -EMEDIUMTYPE);
	ck_assert_int_eq(create_ring("ring", 0, "<f4", 1000, SEGFS_RING_BLOCK), -EMEDIUMTYPE);
	ck_assert_int_eq(create_ring("ring", 0, "<f4", 10, SEGFS_RING_OVERWRITE), -EMEDIUMTYPE);
	ck_assert_int_eq(create_ring("other", 0, "no dtype", 10, SEGFS_RING_BLOCK), -EINVAL);
	segfs_mapping_close(created("grid", "<f8", 'C'));
	ck_assert_int_eq(create_ring("grid", 0, "<f4", 10, SEGFS_RING_BLOCK), -EINVAL);
	ck_assert_uint_eq(count_files(), 2);
}
END_TEST

static int create_table(const char *path, int flags, const char *dtype)
{
	struct segfs_table *table = (void *)UNTOUCHED;
	int r = segfs_table_create(path, flags, 0600, dtype, &table);

	if (r == 0)
		segfs_table_close(table);
	else
		ck_assert_ptr_eq(table, (void *)UNTOUCHED);
	return r;
}

START_TEST(table_create_makes_one_table_for_all)
{
	ck_assert_int_eq(create_table("table", 0, "[('a', 'f8')]"), 0);
	ck_assert_int_eq(create_table("table", 0, "[('a', '<f8')]"), 0);
	ck_assert_int_eq(create_table("table", O_EXCL, "[('a', '<f8')]"), -EEXIST);
	assert_open_fails("table", O_RDWR, NULL, -ENODATA);
	ck_assert_int_eq(create_table("table", 0, "[('b', '<f8')]"), -EMEDIUMTYPE);
	ck_assert_int_eq(create_table("other", 0, "<f8"), -EINVAL);
	ck_assert_int_eq(create_table("other", 0, "no dtype"), -EINVAL);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(slots_create_makes_rows_of_their_own_lines)
{
	MAPPING *one = NULL, *two = NULL;
	struct segfs_mapping *other = (void *)UNTOUCHED;
	uint64_t *row;

	ck_assert_int_eq(segfs_slots_create("slots", 0, 0600, "<u8", NULL, 0, 10, &one), 0);
	ck_assert_int_eq(segfs_slots_create("slots", 0, 0600, "<u8", NULL, 0, 10, &two), 0);
	row = segfs_slots_row(segfs_mapping_array(one), segfs_mapping_data(one), 9);
	*row = 7;
	row = segfs_slots_row(segfs_mapping_array(two), segfs_mapping_data(two), 9);
	ck_assert_uint_eq(*row, 7);
	ck_assert_int_eq(segfs_slots_create("slots", 0, 0600, "<u8", NULL, 0, 11, &other), -EMEDIUMTYPE);
	ck_assert_int_eq(segfs_slots_create("none", 0, 0600, "S0", NULL, 0, 11, &other), -EINVAL);
	ck_assert_ptr_eq(other, (void *)UNTOUCHED);
}
END_TEST

/* ---- many at once, and killed */

static void create_and_remove(void *unused)
{
	for (int i = 0; i < 200; i++) {
		struct segfs_mapping *mapping;
		int r = create("grid", 0, "<f8", 'C', &mapping);

		if (r == 0)
			segfs_mapping_close(mapping);
		else if (r != -EEXIST)
			_exit(1);
		if (i % 3 == 0)
			unlink("grid");
	}
}

static void open_again_and_again(void *unused)
{
	for (int i = 0; i < 2000; i++) {
		struct segfs_mapping *mapping;
		int r = segfs_mapping_open("grid", O_RDONLY, "<f8", &mapping);

		if (r == 0)
			segfs_mapping_close(mapping);
		else if (r != -ENOENT)
			_exit(1);
	}
}

/* Whoever finds a file finds an array, whatever the others do. */
START_TEST(create_by_many_at_once_shows_nobody_half_of_it)
{
	pid_t pids[6];

	for (int i = 0; i < 6; i++)
		pids[i] = spawn(i < 3 ? create_and_remove : open_again_and_again, NULL);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(reap(pids[i]), 0);
}
END_TEST

static void create_for_ever(void *unused)
{
	for (;;) {
		struct segfs_mapping *mapping;

		if (create("grid", O_EXCL, "<f8", 'C', &mapping) == 0)
			segfs_mapping_close(mapping);
		unlink("grid");
	}
}

START_TEST(create_killed_leaves_a_whole_array_or_nothing)
{
	for (int i = 0; i < storm_length(100); i++) {
		pid_t pid = spawn(create_for_ever, NULL);

		sleep_us(200 + i * 13 % 1200);
		kill_child(pid);
		if (access("grid", F_OK) == 0)
			segfs_mapping_close(opened("grid", O_RDWR));
		unlink("grid");
		ck_assert_uint_eq(count_files(), 0);
	}
}
END_TEST

/* A tmpfs of four pages, in a mount namespace of its own. */
START_TEST(create_in_a_full_store_is_enospc)
{
	struct segfs_mapping *mapping = (void *)UNTOUCHED;
	uint64_t elements = 1 << 20;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", directory, "tmpfs", 0, "size=64k"), 0);
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(segfs_mapping_create("big", 0, 0600, "|u1", &elements, 1, 'C', &mapping), -ENOSPC);
	ck_assert_ptr_eq(mapping, (void *)UNTOUCHED);
	ck_assert_uint_eq(count_files(), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount2(directory, MNT_DETACH), 0);
	ck_assert_int_eq(chdir(directory), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mapping");
	TCase *tc = tcase_create("mapping");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, create_makes_a_described_segment_with_its_pages);
	tcase_add_test(tc, two_handles_share_elements);
	tcase_add_test(tc, create_of_another_array_is_refused);
	tcase_add_test(tc, create_in_one_dimension_knows_no_order);
	tcase_add_test(tc, create_refused_leaves_no_file);
	tcase_add_test(tc, create_where_a_symlink_leads_nowhere_is_eexist);
	tcase_add_test(tc, create_of_no_elements_has_no_data);
	tcase_add_test(tc, create_in_a_full_store_is_enospc);
	tcase_add_test(tc, open_finds_elements_behind_a_npy_header);
	tcase_add_test(tc, open_misaligned_is_enotsup);
	tcase_add_test(tc, open_refuses_what_is_no_such_array);
	tcase_add_test(tc, open_for_reading_does_not_write);
	tcase_add_test(tc, check_tells_what_others_have_changed);
	tcase_add_test(tc, control_is_that_of_the_segment);
	tcase_add_test(tc, control_goes_with_the_file_and_not_with_the_name);
	tcase_add_test(tc, control_is_one_for_all_threads);
	tcase_add_test(tc, ring_create_makes_one_ring_for_all);
	tcase_add_test(tc, table_create_makes_one_table_for_all);
	tcase_add_test(tc, slots_create_makes_rows_of_their_own_lines);
	tcase_add_test(tc, create_by_many_at_once_shows_nobody_half_of_it);
	tcase_add_test(tc, create_killed_leaves_a_whole_array_or_nothing);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
