/* SPDX-License-Identifier: MIT */
#include "robust.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <segfs/layout.h>
#include <stdio.h>

#include "atomics.h"
#include "bounded.h"
#include "file_on_tmpfs.h"
#include "futex.h"
#include "keeper.h"
#include "storm.h"
#include "suite.h"
#include "util.h"

/* An area like a control page: members in its first page, 64 words in the second. */
enum { SIZE = 8192, FIRST = 4096, STRIDE = 64, N_WORDS = 64, MEMBERS = 256 };

static const struct segfs_words words[] = {
	{.offset = FIRST, .stride = STRIDE, .n = N_WORDS},
	{.offset = MEMBERS,
	 .stride = sizeof(struct segfs_layout_member),
	 .n = SEGFS_MEMBERS,
	 .members = true},
};

static int new_file(void)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	return fd;
}

static struct segfs_robust *map(int fd)
{
	static struct segfs_robust
		*volatile last[256]; /* where a leak checker finds those that are never unmapped */
	static size_t n;
	struct segfs_robust *area = NULL;

	ck_assert_int_eq(segfs_robust_map(fd, SIZE, true, words, COUNT_OF(words), &area), 0);
	return last[n++ % COUNT_OF(last)] = area;
}

static uint32_t *word_of(struct segfs_robust *area, size_t i)
{
	return (uint32_t *)((char *)segfs_robust_data(area) + FIRST + i * STRIDE);
}

static uint32_t *slot_of(struct segfs_robust *area, uint32_t tid)
{
	return (uint32_t *)((char *)segfs_robust_data(area) + MEMBERS + tid % SEGFS_MEMBERS * 8);
}

static void take(struct segfs_robust *area, size_t i)
{
	uint32_t free = 0;
	int owner = segfs_robust_owner(area);

	ck_assert_int_gt(owner, 0);
	ck_assert(word_cas_seq_cst(word_of(area, i), &free, (uint32_t)owner));
}

static size_t count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* ------------------------------------------------------------------------------------------------------------
 */

static void assert_einval(size_t size, const struct segfs_words *of, size_t n)
{
	struct segfs_robust *area = (void *)UNTOUCHED;
	int fd = new_file();

	ck_assert_int_eq(segfs_robust_map(fd, size, true, of, n, &area), -EINVAL);
	ck_assert_ptr_eq(area, (void *)UNTOUCHED);
	close(fd);
}

START_TEST(map_impossible_is_einval)
{
	static const struct segfs_words bad[] = {
		{.offset = SIZE, .stride = 8, .n = 1},
		{.offset = 0, .stride = 8, .n = SIZE / 8 + 1},
		{.offset = 0, .stride = 4, .n = 2},
		{.offset = 4, .stride = 8, .n = 1},
		{.offset = 0, .stride = 0, .n = 2},
		{.offset = 8, .stride = SIZE_MAX - 7, .n = 3},
		{.offset = SIZE_MAX - 7, .stride = 8, .n = 1},
		{.members = true},
	};
	static const struct segfs_words twice[] = {
		{.stride = 8, .n = 1, .members = true},
		{.stride = 8, .n = 1, .members = true},
	};
	static const struct segfs_words many = {.stride = 8, .n = SEGFS_KEEPER_WORDS + 1};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_einval(SIZE, &bad[i], 1);
	assert_einval(SIZE, twice, 2);
	assert_einval(0, words, 2);
	assert_einval(SEGFS_ROBUST_MAX + 1, words, 2);
	assert_einval(SEGFS_ROBUST_MAX, &many, 1);
}
END_TEST

START_TEST(map_more_than_the_file_is_efault)
{
	struct segfs_robust *area = (void *)UNTOUCHED;
	int fd = new_file();

	ck_assert_int_eq(segfs_robust_map(fd, SIZE + 4096, true, words, 2, &area), -EFAULT);
	ck_assert_int_eq(segfs_robust_map(-1, SIZE, true, words, 2, &area), -EBADF);
	ck_assert_ptr_eq(area, (void *)UNTOUCHED);
	close(fd);
}
END_TEST

START_TEST(map_read_only_has_no_owner)
{
	struct segfs_robust *area;
	int fd = new_file();

	ck_assert_int_eq(segfs_robust_map(fd, SIZE, false, words, 2, &area), 0);
	ck_assert_int_eq(segfs_robust_owner(area), 0);
	ck_assert_uint_eq(*word_of(area, 0), 0);
	ck_assert_uint_eq(count_threads(), 1);
	ck_assert_ptr_null(segfs_robust_unmap(area));
	ck_assert_ptr_null(segfs_robust_unmap(NULL));
	close(fd);
}
END_TEST

START_TEST(map_of_exactly_a_list_works)
{
	static const struct segfs_words full = {.stride = 8, .n = SEGFS_KEEPER_WORDS};
	struct segfs_robust *area;
	int fd = new_file();

	ck_assert_int_eq(ftruncate(fd, 8 * SEGFS_KEEPER_WORDS), 0);
	ck_assert_int_eq(segfs_robust_map(fd, 8 * SEGFS_KEEPER_WORDS, true, &full, 1, &area), 0);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

START_TEST(unmap_marks_what_is_held)
{
	int fd = new_file();
	struct segfs_robust *area = map(fd), *other = map(fd);
	uint32_t owner = (uint32_t)segfs_robust_owner(area), owner2 = (uint32_t)segfs_robust_owner(other);

	ck_assert_uint_ne(owner, owner2);
	take(area, 0);
	take(area, 63);
	take(other, 5);
	word_or_seq_cst(word_of(area, 63), SEGFS_WAITERS);
	ck_assert_uint_eq(*slot_of(other, owner), owner);
	segfs_robust_unmap(area);
	ck_assert_uint_eq(*word_of(other, 0), SEGFS_OWNER_DIED);
	ck_assert_uint_eq(*word_of(other, 63), SEGFS_OWNER_DIED | SEGFS_WAITERS);
	ck_assert_uint_eq(*word_of(other, 5), owner2);
	ck_assert_uint_eq(*slot_of(other, owner), 0);
	ck_assert_uint_eq(*slot_of(other, owner2), owner2);
	segfs_robust_unmap(other);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Ends of a process.
 */
struct end {
	int fd;
	uint32_t ready;
	void (*how)(void);
};

static void by_kill(void)
{
	kill(getpid(), SIGKILL);
}

static void by_exit(void)
{
	exit(0);
}

static void by_exec(void)
{
	execl("/bin/true", "true", NULL);
}

static void by_core(void)
{
	abort();
}

static void *exec_in_thread(void *unused)
{
	(void)unused;
	by_exec();
	return NULL;
}

static void by_exec_of_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_in_thread, NULL);
	for (;;)
		pause();
}

static void *exit_in_thread(void *unused)
{
	(void)unused;
	sleep_us(1000);
	_exit(0);
}

static void by_exit_after_main_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exit_in_thread, NULL);
	pthread_exit(NULL);
}

static void take_and_end(void *arg)
{
	struct end *end = arg;
	struct segfs_robust *area = map(end->fd);

	take(area, 0);
	take(area, 63);
	word_store_release(&end->ready, 1);
	while (word_load_acquire(&end->ready) == 1)
		sleep_us(100);
	end->how();
}

/* A waiter sleeps when the process ends; no nap ends its sleep. */
START_TEST(end_of_process_marks_and_wakes)
{
	static void (*const ways[])(void) = {
		by_kill, by_exit, by_exec, by_core, by_exec_of_thread, by_exit_after_main_thread,
	};
	struct end *end = shared_memory(4096);
	struct segfs_robust *area;
	uint32_t held;
	pid_t pid;

	*end = (struct end){.fd = new_file(), .how = ways[_i]};
	area = map(end->fd);
	pid = spawn(take_and_end, end);
	wait_for_word(&end->ready, 1);
	held = word_or_seq_cst(word_of(area, 63), SEGFS_WAITERS);
	ck_assert_uint_eq(held, *word_of(area, 0));
	ck_assert_uint_eq(*slot_of(area, held), held);
	word_store_release(&end->ready, 2);
	while (*word_of(area, 63) == (held | SEGFS_WAITERS))
		ck_assert_int_eq(segfs_futex_wait(word_of(area, 63), held | SEGFS_WAITERS,
						  segfs_futex_deadline(60000000000), INT64_MAX),
				 0);
	ck_assert_uint_eq(*word_of(area, 63), SEGFS_OWNER_DIED | SEGFS_WAITERS);
	reap(pid);
	ck_assert_uint_eq(*word_of(area, 0), SEGFS_OWNER_DIED);
	ck_assert_uint_eq(*slot_of(area, held), SEGFS_OWNER_DIED);
	segfs_robust_unmap(area);
	close(end->fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * fork
 */
static void take_in_child(void *arg)
{
	struct segfs_robust *area = arg;

	take(area, 1);
	if (count_threads() != 2)
		_exit(1);
}

START_TEST(fork_child_owns_for_itself)
{
	int fd = new_file();
	struct segfs_robust *area = map(fd);
	uint32_t owner = (uint32_t)segfs_robust_owner(area);

	take(area, 0);
	ck_assert_int_eq(reap(spawn(take_in_child, area)), 0);
	ck_assert_uint_eq(*word_of(area, 0), owner);
	ck_assert_uint_eq(*word_of(area, 1), SEGFS_OWNER_DIED);
	ck_assert_uint_eq(*slot_of(area, owner), owner);
	ck_assert_int_eq(segfs_robust_owner(area), (int)owner);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

/* _Fork() runs no handlers of pthread_atfork(3), as clone(2) called by hand runs none. */
START_TEST(fork_without_handlers_is_noticed)
{
	int fd = new_file();
	struct segfs_robust *area = map(fd);
	int owner = segfs_robust_owner(area);
	pid_t pid = _Fork();

	if (pid == 0)
		_exit(segfs_robust_owner(area) == owner);
	ck_assert_int_eq(reap(pid), 0);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

static void unmap_in_child(void *arg)
{
	segfs_robust_unmap(arg);
}

START_TEST(fork_child_that_unmaps_leaves_the_parents_words)
{
	int fd = new_file();
	struct segfs_robust *area = map(fd);
	uint32_t owner = (uint32_t)segfs_robust_owner(area);

	take(area, 0);
	ck_assert_int_eq(reap(spawn(unmap_in_child, area)), 0);
	ck_assert_uint_eq(*word_of(area, 0), owner);
	ck_assert_uint_eq(*slot_of(area, owner), owner);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Many areas, and others at work on the list
 */
enum { MANY = 120 }; /* areas of 65 words: four lists */

static void map_many(void *arg)
{
	const int *fds = arg;
	struct segfs_robust *areas[MANY];

	for (int i = 0; i < MANY; i++)
		areas[i] = map(fds[i]);
	for (int i = 0; i < MANY; i += 3) /* also from the middle of lists */
		areas[i] = segfs_robust_unmap(areas[i]);
	for (int i = 0; i < MANY; i++)
		if (areas[i]) {
			take(areas[i], 0);
			take(areas[i], 63);
		}
	if (count_threads() > 1 + 8)
		_exit(1);
	_exit(2);
}

START_TEST(many_areas_are_all_marked)
{
	struct segfs_robust *area;
	int fds[MANY];

	for (int i = 0; i < MANY; i++)
		fds[i] = new_file();
	ck_assert_int_eq(WEXITSTATUS(reap(spawn(map_many, fds))), 2);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(segfs_robust_map(fds[i], SIZE, false, words, 2, &area), 0);
		ck_assert_uint_eq(*word_of(area, 0), i % 3 ? SEGFS_OWNER_DIED : 0);
		ck_assert_uint_eq(*word_of(area, 63), i % 3 ? SEGFS_OWNER_DIED : 0);
		segfs_robust_unmap(area);
		close(fds[i]);
	}
}
END_TEST

struct storm {
	int held, others[4];
	uint32_t ready;
};

static void *map_and_unmap(void *arg)
{
	struct storm *storm = arg;

	struct segfs_robust *area = NULL;

	for (unsigned i = 0;; i++) {
		if (segfs_robust_map(storm->others[i % 4], SIZE, true, words, COUNT_OF(words), &area) == 0)
			segfs_robust_unmap(area);
	}
	return NULL;
}

/* The word is on a list that two threads link to and unlink from all the time. */
static void hold_in_storm(void *arg)
{
	struct storm *storm = arg;
	struct segfs_robust *filler[9];
	pthread_t thread;

	for (int i = 0; i < 9; i++) /* from here on keepers are shared */
		filler[i] = map(storm->others[0]);
	take(map(storm->held), 7);
	(void)filler;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread, NULL, map_and_unmap, storm);
	word_store_release(&storm->ready, 1);
	for (;;)
		pause();
}

START_TEST(list_is_whole_at_every_instruction)
{
	struct storm *storm = shared_memory(4096);
	struct segfs_robust *area;
	pid_t pid;

	storm->held = new_file();
	for (int i = 0; i < 4; i++)
		storm->others[i] = new_file();
	area = map(storm->held);
	for (int i = 0; i < storm_length(150); i++) {
		word_store_release(word_of(area, 7), 0);
		word_store_release(&storm->ready, 0);
		pid = spawn(hold_in_storm, storm);
		wait_for_word(&storm->ready, 1);
		sleep_us(i * 37 % 1000);
		kill_child(pid);
		ck_assert_uint_eq(*word_of(area, 7), SEGFS_OWNER_DIED);
	}
	segfs_robust_unmap(area);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * What others do to us
 */
static void hold_beside_a_cut_file(void *arg)
{
	const int *fds = arg;

	take(map(fds[0]), 0);
	take(map(fds[1]), 0);
	take(map(fds[2]), 0);
	if (ftruncate(fds[1], 0) < 0)
		_exit(1);
}

START_TEST(cut_file_does_not_spoil_other_areas)
{
	int fds[] = {new_file(), new_file(), new_file()};
	struct segfs_robust *area;

	ck_assert_int_eq(reap(spawn(hold_beside_a_cut_file, fds)), 0);
	for (int i = 0; i < 3; i += 2) {
		area = map(fds[i]);
		ck_assert_uint_eq(*word_of(area, 0), SEGFS_OWNER_DIED);
		segfs_robust_unmap(area);
	}
}
END_TEST

START_TEST(unmap_of_a_cut_file_survives)
{
	int fd = new_file();
	struct segfs_robust *area = map(fd);

	take(area, 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

START_TEST(member_slots_full_is_eusers)
{
	struct segfs_robust *area = (void *)UNTOUCHED;
	int fd = new_file();
	uint32_t one = 1;

	for (int i = 0; i < SEGFS_MEMBERS; i++)
		ck_assert_int_eq(pwrite(fd, &one, 4, MEMBERS + 8 * i), 4);
	ck_assert_int_eq(segfs_robust_map(fd, SIZE, true, words, 2, &area), -EUSERS);
	ck_assert_ptr_eq(area, (void *)UNTOUCHED);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Namespaces: two processes that are both number 1, with threads of the same numbers.
 */
struct far {
	int fd;
	uint32_t owner[2], go;
};

static void live_in_namespace(struct far *far, int i)
{
	struct segfs_robust *area = map(far->fd);

	if (getpid() != 1)
		_exit(1);
	take(area, (size_t)i);
	word_store_release(&far->owner[i], (uint32_t)segfs_robust_owner(area));
	while (word_load_acquire(&far->go) <= (uint32_t)i)
		sleep_us(100);
	_exit(0);
}

static pid_t spawn_in_namespace(struct far *far, int i)
{
	pid_t outer = fork(), pid;

	if (outer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID) < 0)
			_exit(2);
		pid = fork();
		if (pid == 0)
			live_in_namespace(far, i);
		_exit(WEXITSTATUS(reap(pid)));
	}
	for (int tries = 0; word_load_acquire(&far->owner[i]) == 0; tries++) {
		ck_assert_int_lt(tries, 600000);
		sleep_us(100);
	}
	return outer;
}

START_TEST(namespaces_do_not_mark_each_others_words)
{
	struct far *far = shared_memory(4096);
	struct segfs_robust *area;
	pid_t pids[2];

	far->fd = new_file();
	area = map(far->fd);
	for (int i = 0; i < 2; i++)
		pids[i] = spawn_in_namespace(far, i);
	ck_assert_uint_ne(far->owner[0], far->owner[1]); /* 2, they both would be */
	for (uint32_t i = 0; i < 2; i++) {
		word_store_release(&far->go, i + 1);
		ck_assert_int_eq(reap(pids[i]), 0);
		ck_assert_uint_eq(*word_of(area, 0), SEGFS_OWNER_DIED);
		ck_assert_uint_eq(*word_of(area, 1), i == 0 ? far->owner[1] : SEGFS_OWNER_DIED);
	}
	segfs_robust_unmap(area);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("robust");
	TCase *tcase = tcase_create("robust");

	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, map_impossible_is_einval);
	tcase_add_test(tcase, map_more_than_the_file_is_efault);
	tcase_add_test(tcase, map_read_only_has_no_owner);
	tcase_add_test(tcase, map_of_exactly_a_list_works);
	tcase_add_test(tcase, unmap_marks_what_is_held);
	tcase_add_loop_test(tcase, end_of_process_marks_and_wakes, 0, 6);
	tcase_add_test(tcase, fork_child_owns_for_itself);
	tcase_add_test(tcase, fork_without_handlers_is_noticed);
	tcase_add_test(tcase, fork_child_that_unmaps_leaves_the_parents_words);
	tcase_add_test(tcase, many_areas_are_all_marked);
	tcase_add_test(tcase, list_is_whole_at_every_instruction);
	tcase_add_test(tcase, cut_file_does_not_spoil_other_areas);
	tcase_add_test(tcase, unmap_of_a_cut_file_survives);
	tcase_add_test(tcase, member_slots_full_is_eusers);
	if (geteuid() == 0)
		tcase_add_test(tcase, namespaces_do_not_mark_each_others_words);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
