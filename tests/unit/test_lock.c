/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "atomics.h"
#include "bounded.h"
#include "futex.h"
#include "page.h"
#include "storm.h"
#include "suite.h"

#define MS INT64_C(1000000)

/* Two who have the page mapped, though in one process; their locks are as strange to each other as those of
 * two processes. */
static struct segfs_robust *area_a, *area_b;
static struct segfs_layout_control *page, *page_b;
static uint32_t a, b;

static void setup(void)
{
	int fd = new_page();

	area_a = map_page(fd);
	area_b = map_page(fd);
	page = page_of(area_a);
	page_b = page_of(area_b);
	a = self_of(area_a);
	b = self_of(area_b);
	close(fd);
}

static void teardown(void)
{
	segfs_robust_unmap(area_a);
	segfs_robust_unmap(area_b);
}

static unsigned join(uint32_t self, int expected)
{
	unsigned slot = UNTOUCHED;

	ck_assert_int_eq(segfs_lock_join(page, self, 0, &slot), expected);
	return slot;
}

START_TEST(take_excludes_all_others)
{
	unsigned slot = UNTOUCHED;
	int64_t deadline = segfs_futex_deadline(5 * MS);

	ck_assert_int_eq(segfs_lock_take(page, a, 0), 0);
	ck_assert_int_eq(segfs_lock_take(page_b, b, 0), -EBUSY);
	ck_assert_int_eq(segfs_lock_take(page_b, b, 5 * MS), -ETIMEDOUT);
	ck_assert(segfs_futex_is_over(deadline));
	ck_assert_int_eq(segfs_lock_join(page_b, b, 0, &slot), -EBUSY);
	ck_assert_int_eq(segfs_lock_join(page_b, b, 5 * MS, &slot), -ETIMEDOUT);
	ck_assert_uint_eq(slot, UNTOUCHED);
	ck_assert_int_eq(segfs_lock_drop(page_b, b), -EPERM);
	ck_assert_int_eq(segfs_lock_drop(page, a), 0);
	ck_assert_int_eq(segfs_lock_drop(page, a), -EPERM);
	ck_assert_int_eq(segfs_lock_take(page_b, b, -1), 0);
	ck_assert_int_eq(segfs_lock_drop(page_b, b), 0);
	ck_assert_uint_eq(page->owner, 0);
}
END_TEST

START_TEST(join_lets_others_join_and_none_take)
{
	unsigned slot = join(a, 0), slot_b = join(b, 0), slot_c = join(a, 0);

	ck_assert_int_eq(segfs_lock_take(page, a, 0), -EBUSY);
	ck_assert_int_eq(segfs_lock_take(page, b, 5 * MS), -ETIMEDOUT);
	ck_assert_int_eq(segfs_lock_part(page, b, slot), -EPERM);
	ck_assert_int_eq(segfs_lock_part(page, a, slot), 0);
	ck_assert_int_eq(segfs_lock_part(page, a, slot), -EPERM);
	ck_assert_int_eq(segfs_lock_part(page, b, slot_b), 0);
	ck_assert_int_eq(segfs_lock_take(page, b, 0), -EBUSY);
	ck_assert_int_eq(segfs_lock_part(page, a, slot_c), 0);
	ck_assert_int_eq(segfs_lock_take(page, a, 0), 0);
	ck_assert_uint_eq(page->hint, 0);
	ck_assert_int_eq(segfs_lock_drop(page, a), 0);
}
END_TEST

START_TEST(join_after_64_is_refused_until_one_parts)
{
	unsigned slots[SEGFS_CONTROL_READERS], slot = UNTOUCHED;

	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		slots[i] = join(a, 0);
	ck_assert_uint_eq(page->hint, UINT64_MAX);
	ck_assert_uint_eq(join(b, -EBUSY), UNTOUCHED);
	ck_assert_int_eq(segfs_lock_join(page, b, 5 * MS, &slot), -ETIMEDOUT);
	ck_assert_int_eq(segfs_lock_part(page, a, slots[7]), 0);
	ck_assert_uint_eq(join(b, 0), slots[7]);
	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		ck_assert_int_eq(segfs_lock_part(page, i == 7 ? b : a, slots[i]), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Deaths
 */
static void take_and_die(void *unused)
{
	segfs_lock_take(page, self_of(area_a), -1);
	kill(getpid(), SIGKILL);
}

static void join_and_die(void *unused)
{
	unsigned slot;

	segfs_lock_join(page, self_of(area_a), -1, &slot);
	kill(getpid(), SIGKILL);
}

START_TEST(take_after_a_death_is_told_once)
{
	reap(spawn(take_and_die, NULL));
	ck_assert_uint_eq(page->owner, SEGFS_OWNER_DIED);
	ck_assert_int_eq(segfs_lock_take(page, a, 0), 1);
	ck_assert_uint_eq(page->deaths, 1);
	ck_assert_int_eq(segfs_lock_drop(page, a), 0);
	ck_assert_int_eq(segfs_lock_take(page, b, 0), 0);
	ck_assert_int_eq(segfs_lock_drop(page, b), 0);
	reap(spawn(take_and_die, NULL));
	ck_assert_int_eq(segfs_lock_take(page, b, -1), 1);
	ck_assert_uint_eq(page->deaths, 2);
}
END_TEST

START_TEST(join_after_a_death_is_told_until_somebody_took)
{
	unsigned slot;

	reap(spawn(take_and_die, NULL));
	for (int i = 0; i < 3; i++) {
		slot = join(a, 1);
		ck_assert_int_eq(segfs_lock_take(page, b, 0), -EBUSY);
		ck_assert_int_eq(segfs_lock_take(page, b, MS), -ETIMEDOUT);
		ck_assert_int_eq(segfs_lock_part(page, a, slot), 0);
	}
	ck_assert_uint_eq(page->deaths, 0);
	ck_assert_int_eq(segfs_lock_take(page, b, 0), 1);
	ck_assert_int_eq(segfs_lock_drop(page, b), 0);
	ck_assert_uint_eq(page->deaths, 1);
	join(a, 0);
}
END_TEST

START_TEST(take_after_a_reader_died_is_not_told)
{
	for (int i = 0; i < 3; i++)
		reap(spawn(join_and_die, NULL));
	ck_assert_uint_ne(page->hint, 0);
	ck_assert_int_eq(segfs_lock_take(page, a, 0), 0);
	ck_assert_uint_eq(page->hint, 0);
	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		ck_assert_uint_eq(page->readers[i].owner, 0);
}
END_TEST

START_TEST(join_takes_the_slots_of_dead_readers)
{
	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		page->readers[i].owner = SEGFS_OWNER_DIED;
	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		join(a, 0);
	join(b, -EBUSY);
}
END_TEST

static void take_late(void *unused)
{
	_exit(segfs_lock_take(page, self_of(area_a), 60000 * MS));
}

static void join_late(void *unused)
{
	unsigned slot;

	_exit(segfs_lock_join(page, self_of(area_a), 60000 * MS, &slot));
}

/* One who waits is woken by whoever lets go, and told if that was by dying. */
START_TEST(waiter_gets_what_is_let_go)
{
	static void (*const late[])(void *) = {take_late, join_late};
	void (*act)(void *) = late[_i & 1];
	bool dies = _i & 2;
	pid_t pid;

	ck_assert_int_eq(segfs_lock_take(page, a, 0), 0);
	pid = spawn(act, NULL);
	while (!(word_load_acquire(&page->owner) & SEGFS_WAITERS))
		sleep_us(100);
	if (dies)
		area_a = segfs_robust_unmap(area_a);
	else
		segfs_lock_drop(page, a);
	ck_assert_int_eq(WEXITSTATUS(reap(pid)), dies);
	page = page_b;
}
END_TEST

START_TEST(writer_waits_for_a_reader_to_part)
{
	unsigned slot = join(a, 0);
	pid_t pid = spawn(take_late, NULL);

	while (!(word_load_acquire(&page->readers[slot].owner) & SEGFS_WAITERS))
		sleep_us(100);
	join(b, -EBUSY);
	segfs_lock_part(page, a, slot);
	ck_assert_int_eq(reap(pid), 0);
}
END_TEST

START_TEST(child_of_fork_does_not_hold_its_parents_lock)
{
	pid_t pid;

	ck_assert_int_eq(segfs_lock_take(page, a, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(segfs_lock_drop(page, self_of(area_a)) != -EPERM ||
		      segfs_lock_take(page, self_of(area_a), 0) != -EBUSY);
	ck_assert_int_eq(reap(pid), 0);
	ck_assert_int_eq(segfs_lock_drop(page, a), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Storms: processes that take, join and are killed, over data that shows it if the lock does not hold.
 */
struct storm {
	uint32_t inside;       /* the writer that is in */
	uint64_t left, right;  /* equal, but in the hands of a writer */
	uint32_t broken;       /* a line number */
	uint32_t taken, told;  /* counts of what was returned */
	uint32_t joined, died; /* ... and of kills that met a writer inside */
	struct {
		uint32_t inside; /* 1: this process writes */
		uint8_t apart[60];
	} workers[4];
};

static struct storm *storm;

#define HOLDS(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			word_store_relaxed(&storm->broken, __LINE__);                                        \
	} while (0)

static void write_in_storm(uint32_t self, uint32_t i)
{
	int r = segfs_lock_take(page, self, -1);

	word_store_release(&storm->workers[i].inside, 1);
	HOLDS(r >= 0);
	if (r == 1) {
		word_add_seq_cst(&storm->told, 1);
		word_store_relaxed(&storm->inside, 0);
		storm->left = storm->right = 0;
	}
	HOLDS(word_exchange_seq_cst(&storm->inside, i + 1) == 0);
	HOLDS(storm->left == storm->right);
	__atomic_store_n(&storm->left, storm->left + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&storm->right, storm->right + 1, __ATOMIC_RELAXED);
	HOLDS(word_exchange_seq_cst(&storm->inside, 0) == i + 1);
	word_store_release(&storm->workers[i].inside, 0);
	HOLDS(segfs_lock_drop(page, self) == 0);
	word_add_seq_cst(&storm->taken, 1);
}

static void read_in_storm(uint32_t self)
{
	unsigned slot;
	int r = segfs_lock_join(page, self, -1, &slot);

	HOLDS(r >= 0);
	HOLDS(r == 1 || storm->left == storm->right);
	HOLDS(r == 1 || word_load_relaxed(&storm->inside) == 0);
	HOLDS(segfs_lock_part(page, self, slot) == 0);
	word_add_seq_cst(&storm->joined, 1);
}

static void work_in_storm(void *arg)
{
	uint32_t i = *(uint32_t *)arg, self = self_of(area_a);

	for (unsigned k = i;; k++) {
		if (k % 3)
			read_in_storm(self);
		else
			write_in_storm(self, i);
	}
}

/* A death inside was told to one writer each, or is still to be told. */
static void assert_told(void)
{
	uint32_t pending = word_load_acquire(&page->owner) & SEGFS_OWNER_DIED ? 1 : 0;

	ck_assert_uint_eq(storm->broken, 0);
	ck_assert_uint_ge(page->deaths + pending, storm->died);
	ck_assert_uint_ge(page->deaths, storm->told);
}

START_TEST(storm_of_kills_breaks_nothing)
{
	uint32_t numbers[] = {0, 1, 2, 3};
	pid_t pids[4];

	storm = shared_memory(sizeof(*storm));
	for (int i = 0; i < 4; i++)
		pids[i] = spawn(work_in_storm, &numbers[i]);
	for (int k = 0; k < storm_length(600); k++) {
		uint32_t before = storm->taken + storm->joined;
		int i = k % 4;

		sleep_us(k * 131 % 1500);
		kill_child(pids[i]);
		storm->died += word_exchange_seq_cst(&storm->workers[i].inside, 0);
		pids[i] = spawn(work_in_storm, &numbers[i]);
		ck_assert_uint_eq(word_load_relaxed(&storm->broken), 0);
		while (k % 16 == 0 &&
		       word_load_acquire(&storm->taken) + word_load_acquire(&storm->joined) <= before)
			sleep_us(100); /* they go on */
	}
	for (int i = 0; i < 4; i++) {
		kill_child(pids[i]);
		storm->died += word_exchange_seq_cst(&storm->workers[i].inside, 0);
	}
	assert_told();
	ck_assert_int_ge(segfs_lock_take(page, a, 0), 0);
	printf("storm: %u taken, %u joined, %u died inside, %u deaths told\n", storm->taken, storm->joined,
	       storm->died, page->deaths);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * What strangers write into the page
 */
START_TEST(word_of_somebody_who_is_not_there_is_healed)
{
	page->owner = 12345;
	ck_assert_int_eq(segfs_lock_take(page, a, 0), 1);
	ck_assert_uint_eq(page->members[12345 % SEGFS_MEMBERS].owner, 0);
	ck_assert_int_eq(segfs_lock_drop(page, a), 0);
	page->owner = 12345 | SEGFS_WAITERS;
	join(a, 1);
	page->readers[5].owner = 12346;
	page->hint |= 1 << 5;
	segfs_lock_part(page, a, a % SEGFS_CONTROL_READERS);
	ck_assert_int_eq(segfs_lock_take(page, a, 0), 1);
}
END_TEST

START_TEST(word_of_a_member_is_not_healed)
{
	page->owner = b;
	ck_assert_int_eq(segfs_lock_take(page, a, 0), -EBUSY);
	ck_assert_int_eq(segfs_lock_take(page, a, 60 * MS), -ETIMEDOUT);
	ck_assert_uint_eq(page->owner, b | SEGFS_WAITERS);
}
END_TEST

static uint32_t random_word(void)
{
	static const uint32_t some[] = {0, SEGFS_OWNER_DIED, SEGFS_WAITERS, SEGFS_OWNER_TID, UINT32_MAX, 1};
	uint32_t i = (uint32_t)random() % 16;

	return i < 6 ? some[i] : i < 8 ? a : i < 10 ? b : (uint32_t)random() << 1 ^ (uint32_t)random();
}

static void scramble(struct segfs_layout_control *of)
{
	uint32_t *words = (uint32_t *)of;

	for (int n = random() % 8; n >= 0; n--) {
		uint32_t *places[] = {&of->owner,
				      &of->crowd,
				      (uint32_t *)&of->hint,
				      &of->readers[random() % SEGFS_CONTROL_READERS].owner,
				      &of->members[random() % SEGFS_MEMBERS].owner,
				      &words[(size_t)random() % (sizeof(*of) / 4)]};

		word_store_relaxed(places[random() % 6], random_word());
	}
}

/* Whatever they return: they do so, and in time. */
static void call_all(void)
{
	unsigned slot = 0;

	segfs_lock_take(page, a, 0);
	segfs_lock_take(page_b, b, MS / 10);
	segfs_lock_join(page, a, 0, &slot);
	ck_assert_uint_lt(slot, SEGFS_CONTROL_READERS);
	segfs_lock_join(page_b, b, MS / 10, &slot);
	segfs_lock_part(page, a, slot);
	segfs_lock_drop(page_b, b);
	segfs_lock_drop(page, a);
}

START_TEST(nonsense_in_the_page_hangs_nothing)
{
	for (int i = 0; i < storm_length(3000); i++) {
		scramble(page);
		call_all();
	}
}
END_TEST

static void scramble_for_ever(void *unused)
{
	for (;;)
		scramble(page);
}

START_TEST(nonsense_while_in_use_hangs_nothing)
{
	pid_t pid = spawn(scramble_for_ever, NULL);

	for (int i = 0; i < storm_length(1000); i++)
		call_all();
	kill_child(pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock");
	TCase *tcase = tcase_create("lock");

	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, take_excludes_all_others);
	tcase_add_test(tcase, join_lets_others_join_and_none_take);
	tcase_add_test(tcase, join_after_64_is_refused_until_one_parts);
	tcase_add_test(tcase, take_after_a_death_is_told_once);
	tcase_add_test(tcase, join_after_a_death_is_told_until_somebody_took);
	tcase_add_test(tcase, take_after_a_reader_died_is_not_told);
	tcase_add_test(tcase, join_takes_the_slots_of_dead_readers);
	tcase_add_loop_test(tcase, waiter_gets_what_is_let_go, 0, 4);
	tcase_add_test(tcase, writer_waits_for_a_reader_to_part);
	tcase_add_test(tcase, child_of_fork_does_not_hold_its_parents_lock);
	tcase_add_test(tcase, storm_of_kills_breaks_nothing);
	tcase_add_test(tcase, word_of_somebody_who_is_not_there_is_healed);
	tcase_add_test(tcase, word_of_a_member_is_not_healed);
	tcase_add_test(tcase, nonsense_in_the_page_hangs_nothing);
	tcase_add_test(tcase, nonsense_while_in_use_hangs_nothing);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
