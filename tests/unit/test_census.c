/* SPDX-License-Identifier: MIT */
#include "census.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "bounded.h"
#include "child.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

enum { PAGE = 4096 };

/* How one process uses a file, by a census of it alone and by one of all; 0: not at all. */
static unsigned use_of(const struct segfs_identity *file, pid_t pid)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *all = NULL, *one = NULL;
	const struct segfs_user *users, *same;
	unsigned how = 0;
	size_t n;

	ck_assert_int_eq(segfs_census_take(file->dev, &all), 0);
	ck_assert_int_eq(segfs_census_take_of(file, &one), 0);
	n = segfs_census_find(all, file->ino, &users);
	ck_assert_uint_eq(segfs_census_find(one, file->ino, &same), n);
	for (size_t i = 0; i < n; i++) {
		ck_assert(i == 0 || users[i - 1].pid < users[i].pid);
		ck_assert_int_eq(users[i].pid, same[i].pid);
		ck_assert_uint_eq(users[i].how, same[i].how);
		if (users[i].pid == pid)
			how = users[i].how;
	}
	return how;
}

static void map(int fd, int protection, int flags)
{
	if (mmap(NULL, PAGE, protection, flags, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void hold_nothing(int fd)
{
	close(fd);
}

static void hold_open(int fd)
{
	(void)fd;
}

static void hold_to_read(int fd)
{
	if (open_again(fd, O_RDONLY) < 0)
		_exit(1);
	close(fd);
}

static void hold_to_write(int fd)
{
	if (open_again(fd, O_WRONLY) < 0)
		_exit(1);
	close(fd);
}

static void hold_path(int fd)
{
	if (open_again(fd, O_PATH) < 0)
		_exit(1);
	close(fd);
}

static void hold_flock(int fd)
{
	if (flock(fd, LOCK_SH) < 0)
		_exit(1);
}

static void hold_ofd_and_flock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK};

	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		_exit(1);
	hold_flock(fd);
}

/* So many that flags and lock of the open file are far apart in what /proc tells of it. */
static void hold_many_fcntl(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 1};

	for (lock.l_start = 0; lock.l_start < 4000; lock.l_start += 2)
		if (fcntl(fd, F_SETLK, &lock) < 0)
			_exit(1);
	hold_flock(fd);
}

static void map_to_read(int fd)
{
	map(fd, PROT_READ, MAP_SHARED);
}

static void map_to_write(int fd)
{
	map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static void map_privately(int fd)
{
	map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static void map_for_nothing(int fd)
{
	map(fd, PROT_NONE, MAP_SHARED);
}

static void map_twice_and_hold(int fd)
{
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED || open_again(fd, O_WRONLY) < 0)
		_exit(1);
	map_privately(fd);
}

enum {
	RW = SEGFS_USE_READ | SEGFS_USE_WRITE,
};

static const struct {
	void (*act)(int fd);
	unsigned how;
} uses[] = {
	{hold_nothing, 0},
	{hold_open, SEGFS_USE_OPEN | RW},
	{hold_to_read, SEGFS_USE_OPEN | SEGFS_USE_READ},
	{hold_to_write, SEGFS_USE_OPEN | SEGFS_USE_WRITE},
	{hold_path, 0},
	{hold_flock, SEGFS_USE_OPEN | RW | SEGFS_USE_FLOCK},
	{hold_ofd_and_flock, SEGFS_USE_OPEN | RW | SEGFS_USE_OFD | SEGFS_USE_FLOCK},
	{hold_many_fcntl, SEGFS_USE_OPEN | RW | SEGFS_USE_FCNTL | SEGFS_USE_FLOCK},
	{map_to_read, SEGFS_USE_MAPPED | SEGFS_USE_READ},
	{map_to_write, SEGFS_USE_MAPPED | RW},
	{map_privately, SEGFS_USE_MAPPED | SEGFS_USE_READ},
	{map_for_nothing, SEGFS_USE_MAPPED},
	{map_twice_and_hold, SEGFS_USE_MAPPED | SEGFS_USE_OPEN | RW},
};

START_TEST(take_finds_each_use_and_no_other)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, uses[_i].act);

	ck_assert_uint_eq(use_of(&file, pid), uses[_i].how ? uses[_i].how | SEGFS_USE_MOUNT : 0);
	end(pid);
}
END_TEST

START_TEST(take_tells_the_mount_from_the_store)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t opener = child(fd, hold_open), mapper = child(fd, map_to_read);

	file.dev[1] = file.dev[0];
	file.dev[0] = 0;
	ck_assert_uint_eq(use_of(&file, opener), SEGFS_USE_OPEN | RW | SEGFS_USE_STORE);
	ck_assert_uint_eq(use_of(&file, mapper), SEGFS_USE_MAPPED | SEGFS_USE_READ | SEGFS_USE_STORE);
	file.dev[1] = 0;
	ck_assert_uint_eq(use_of(&file, opener), 0);
	end(opener);
	end(mapper);
}
END_TEST

START_TEST(take_leaves_this_process_out)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	void *mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(mapped, MAP_FAILED);
	ck_assert_uint_eq(use_of(&file, getpid()), 0);
}
END_TEST

START_TEST(take_of_one_file_has_no_other)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *all = NULL, *one = NULL;
	SEGFS_CLOSE int first = file_on_tmpfs("x", 1), second = file_on_tmpfs("y", 1);
	struct segfs_identity a = identity_of(first), b = identity_of(second);
	const struct segfs_user *users;
	pid_t pid = child(first, hold_open); /* which has the second too */

	ck_assert_int_eq(segfs_census_take(a.dev, &all), 0);
	ck_assert_uint_eq(segfs_census_find(all, a.ino, &users), 1);
	ck_assert_uint_eq(segfs_census_find(all, b.ino, &users), 1);
	ck_assert_int_eq(users[0].pid, pid);
	ck_assert_int_eq(segfs_census_take_of(&a, &one), 0);
	ck_assert_uint_eq(segfs_census_find(one, a.ino, &users), 1);
	ck_assert_uint_eq(segfs_census_find(one, b.ino, &users), 0);
	ck_assert_ptr_null(users);
	end(pid);
}
END_TEST

START_TEST(take_lists_many_users_in_ascending_order)
{
	enum { N = 20 };
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	const struct segfs_user *users;
	pid_t pids[N];

	for (int i = 0; i < N; i++)
		pids[i] = child(fd, i % 2 ? hold_to_read : map_to_write);
	ck_assert_int_eq(segfs_census_take(file.dev, &census), 0);
	ck_assert_uint_eq(segfs_census_find(census, file.ino, &users), N);
	for (int i = 1; i < N; i++)
		ck_assert_int_lt(users[i - 1].pid, users[i].pid);
	for (int i = 0; i < N; i++)
		end(pids[i]);
}
END_TEST

/* Names that look like the line of another mapping, or like the numbers of one. */
static const char hostile[] = "a\n7f0000000000-7f0000001000 rw-s 00000000 ff:ff 1 \n 00:01 2 rw-s\\012";

START_TEST(take_reads_mappings_with_hostile_names)
{
	char dir[] = "/dev/shm/test-census-XXXXXX", path[PATH_MAX];
	struct segfs_identity file;
	pid_t pid;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, hostile);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	file = identity_of(fd);
	pid = child(fd, map_to_read);
	unlink(path);
	rmdir(dir);
	ck_assert_uint_eq(use_of(&file, pid), SEGFS_USE_MAPPED | SEGFS_USE_READ | SEGFS_USE_MOUNT);
	end(pid);
	close(fd);
}
END_TEST

/* A file so deep that its line in maps is longer than what is read at once; each newline takes four bytes. */
enum { DEPTH = 80 };

static int open_deep(char name[256])
{
	int fd;

	memset(name, '\n', 255);
	name[255] = '\0';
	memcpy(name, "test-census", strlen("test-census"));
	ck_assert_int_eq(chdir("/dev/shm"), 0);
	for (int i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(mkdir(name, 0700), 0);
		ck_assert_int_eq(chdir(name), 0);
	}
	fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	return fd;
}

static void remove_deep(const char *name)
{
	for (int i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(chdir(".."), 0);
		ck_assert_int_eq(rmdir(name), 0);
	}
}

static void map_a_lot(int fd)
{
	for (int i = 0; i < 50; i++)
		if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
			_exit(1);
}

static void map_last_of_many(int fd)
{
	int other = file_on_tmpfs("x", 1);

	for (int i = 0; i < 5000; i++)
		if (mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_NONE, MAP_SHARED, other, 0) == MAP_FAILED)
			_exit(1);
	map_to_write(fd);
}

START_TEST(take_reads_mappings_with_long_lines)
{
	char name[256];
	int fd = open_deep(name);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, map_a_lot);

	ck_assert_uint_eq(use_of(&file, pid), SEGFS_USE_MAPPED | SEGFS_USE_OPEN | RW | SEGFS_USE_MOUNT);
	end(pid);
	close(fd);
	remove_deep(name);
}
END_TEST

START_TEST(take_reads_thousands_of_mappings)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t pid = child(fd, map_last_of_many);

	ck_assert_uint_eq(use_of(&file, pid), SEGFS_USE_MAPPED | RW | SEGFS_USE_MOUNT);
	end(pid);
}
END_TEST

static int of_main[2];

/* When the main thread has ended, its state is that of a zombie. */
static void *report_when_alone(void *data)
{
	char path[64], text[256];
	bool alone = false;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
	while (!alone) {
		ssize_t n;

		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[MAX(n, 0)] = '\0';
		alone = strstr(text, ") Z ") != NULL;
	}
	(void)!write(of_main[1], "", 1);
	for (;;)
		pause();
	return data;
}

START_TEST(take_finds_a_process_whose_first_thread_has_ended)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pthread_t thread;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(of_main), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_create(&thread, NULL, report_when_alone, NULL);
		pthread_exit(NULL);
	}
	ck_assert_int_eq(read(of_main[0], &byte, 1), 1);
	ck_assert(segfs_process_lives(pid));
	ck_assert_uint_eq(use_of(&file, pid), SEGFS_USE_OPEN | RW | SEGFS_USE_MOUNT);
	end(pid);
}
END_TEST

/* Processes that come and go all the while. */
static void fork_for_ever(int fd)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void start_forking(int fd)
{
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fork_for_ever(fd);
	}
}

START_TEST(take_survives_processes_that_end_meanwhile)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	pid_t stays = child(fd, map_to_write), busy = child(fd, start_forking);

	for (int i = 0; i < 20; i++) {
		SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
		const struct segfs_user *users;
		bool found = false;
		size_t n;

		ck_assert_int_eq(segfs_census_take(file.dev, &census), 0);
		n = segfs_census_find(census, file.ino, &users);
		for (size_t at = 0; at < n; at++)
			found |= users[at].pid == stays;
		ck_assert(found);
	}
	end(busy);
	end(stays);
}
END_TEST

START_TEST(attached_nobody_is_an_empty_list)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	struct segfs_pids pids;
	pid_t pid = child(fd, hold_nothing);

	ck_assert_int_eq(segfs_census_attached(&file, &pids), 0);
	ck_assert_uint_eq(pids.n, 0);
	end(pid);
}
END_TEST

static void (*const attachments[])(int) = {hold_open, map_to_read};

START_TEST(attached_by_descriptor_or_mapping_is_found)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	struct segfs_identity file = identity_of(fd);
	struct segfs_pids pids;
	pid_t pid = child(fd, attachments[_i]);

	ck_assert_int_eq(segfs_census_attached(&file, &pids), 0);
	ck_assert_uint_eq(pids.n, 1);
	ck_assert_int_eq(pids.list[0], pid);
	segfs_pids_clear(&pids);
	end(pid);
}
END_TEST

START_TEST(free_takes_nothing)
{
	ck_assert_ptr_null(segfs_census_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("census");
	TCase *tc = tcase_create("census");

	tcase_add_loop_test(tc, take_finds_each_use_and_no_other, 0, COUNT_OF(uses));
	tcase_add_test(tc, take_tells_the_mount_from_the_store);
	tcase_add_test(tc, take_leaves_this_process_out);
	tcase_add_test(tc, take_of_one_file_has_no_other);
	tcase_add_test(tc, take_lists_many_users_in_ascending_order);
	tcase_add_test(tc, take_reads_mappings_with_hostile_names);
	tcase_add_test(tc, take_reads_mappings_with_long_lines);
	tcase_add_test(tc, take_reads_thousands_of_mappings);
	tcase_add_test(tc, take_finds_a_process_whose_first_thread_has_ended);
	tcase_add_test(tc, take_survives_processes_that_end_meanwhile);
	tcase_add_test(tc, attached_nobody_is_an_empty_list);
	tcase_add_loop_test(tc, attached_by_descriptor_or_mapping_is_found, 0, COUNT_OF(attachments));
	tcase_add_test(tc, free_takes_nothing);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
