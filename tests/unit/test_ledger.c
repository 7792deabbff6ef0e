/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>

#include "new_ledger.h"
#include "steps.h"
#include "suite.h"
#include "util.h"

static struct ledger ledger;

static void setup(void)
{
	ledger = new_ledger();
}

static void teardown(void)
{
	ledger_unmap(&ledger);
}

static struct ledger_node *add_node(struct ledger *to, uint64_t id, const char *name)
{
	struct ledger_node *node = ledger_node_new(to);

	ck_assert_ptr_nonnull(node);
	ledger_node_name(node, 1, name);
	node->n_lookups = id + 1;
	node->id = id;
	return node;
}

static struct ledger_node *find_node(struct ledger *in, uint64_t id)
{
	struct ledger_node *node;

	for (uint32_t at = 0; (node = ledger_node_next(in, &at));)
		if (node->id == id)
			return node;
	return NULL;
}

static unsigned count_opens(struct ledger *in)
{
	unsigned n = 0;

	for (uint32_t at = 0; ledger_open_next(in, &at);)
		n++;
	return n;
}

static unsigned count_nodes(struct ledger *in)
{
	unsigned n = 0;

	for (uint32_t at = 0; ledger_node_next(in, &at);)
		n++;
	return n;
}

/* ---- one worker */

START_TEST(ledger_map_of_another_layout_is_refused)
{
	struct ledger other = {};
	int fd;

	ck_assert_int_eq(ledger_create(&fd), 0);
	ck_assert_int_eq(pwrite(fd, &(uint32_t){LEDGER_LAYOUT + 1}, 4, offsetof(struct ledger_page, layout)),
			 4);
	ck_assert_int_eq(ledger_map(&other, fd), -EPROTO);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(ledger_map(&other, fd), -EPROTO);
	ck_assert_ptr_null(other.page);
	close(fd);
}
END_TEST

START_TEST(node_new_begins_empty_whatever_the_record_held)
{
	struct ledger_node *node = add_node(&ledger, 5, "name"), *other;

	node->backing_id = 7;
	node->pinned = true;
	ledger_node_free(&ledger, node);
	other = ledger_node_new(&ledger);
	ck_assert_ptr_eq(other, node);
	ck_assert(other->id == 0 && other->n_lookups == 0 && other->backing_id == 0 && !other->pinned);
	ck_assert_uint_eq(other->parent, 0);
	ck_assert_uint_eq(other->name_len, LEDGER_NAME_NONE);
}
END_TEST

START_TEST(node_new_beyond_the_last_record_is_none)
{
	struct ledger_node *node = add_node(&ledger, 5, "name");

	ledger.page->n_nodes = LEDGER_NODES - 1;
	ck_assert_ptr_eq(ledger_node_new(&ledger), &ledger.nodes[LEDGER_NODES - 1]);
	ck_assert_ptr_null(ledger_node_new(&ledger));
	ledger_node_free(&ledger, node);
	ck_assert_ptr_eq(ledger_node_new(&ledger), node);
	ck_assert_ptr_null(ledger_node_new(&ledger));
	ledger_node_free(&ledger, NULL);
}
END_TEST

START_TEST(room_is_there_while_each_thread_may_have_a_node)
{
	struct ledger_node *node = add_node(&ledger, 5, "name");

	ledger.page->n_nodes = LEDGER_NODES - LEDGER_THREADS;
	ck_assert(ledger_has_room(&ledger));
	add_node(&ledger, 6, "other");
	ck_assert(!ledger_has_room(&ledger));
	ledger_node_free(&ledger, node);
	ck_assert(ledger_has_room(&ledger));
	add_node(&ledger, 7, "again");
	ck_assert(!ledger_has_room(&ledger));
}
END_TEST

START_TEST(node_name_keeps_what_has_room)
{
	struct ledger_node *node = ledger_node_new(&ledger);
	char name[LEDGER_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[LEDGER_NAME_MAX] = '\0';
	ledger_node_name(node, 3, name);
	ck_assert_uint_eq(node->name_len, LEDGER_NAME_MAX);
	ck_assert_str_eq(node->name, name);
	name[LEDGER_NAME_MAX] = 'x';
	name[LEDGER_NAME_MAX + 1] = '\0';
	ledger_node_name(node, 4, name);
	ck_assert(node->name_len == LEDGER_NAME_NONE && node->parent == 4);
	ledger_node_name(node, 4, "y");
	ck_assert_uint_eq(node->name_len, 1);
	ledger_node_name(node, 4, NULL);
	ck_assert_uint_eq(node->name_len, LEDGER_NAME_NONE);
}
END_TEST

START_TEST(open_is_found_by_its_request_and_by_its_handle)
{
	uint64_t handle = ledger_open_new(&ledger, 12, 5, true), ino = 0;
	struct ledger_open *open = ledger_open_of(&ledger, handle);

	ck_assert_ptr_nonnull(open);
	ck_assert(open->unique == 12 && open->ino == 5 && open->writes && open->note == 0 && open->poll == 0);
	ck_assert_uint_eq(ledger_open_find(&ledger, 12, &ino), handle);
	ck_assert_uint_eq(ino, 5);
	ino = 99;
	ck_assert_uint_eq(ledger_open_find(&ledger, 13, &ino), 0);
	ck_assert_uint_eq(ino, 99);
}
END_TEST

START_TEST(open_of_a_handle_that_has_ended_is_none)
{
	uint64_t handle = ledger_open_new(&ledger, 12, 5, true), next;

	ledger_open_of(&ledger, handle)->note = 1;
	ledger_open_free(&ledger, ledger_open_of(&ledger, handle));
	ck_assert_ptr_null(ledger_open_of(&ledger, handle));
	next = ledger_open_new(&ledger, 14, 6, false);
	ck_assert_uint_ne(next, handle);
	ck_assert_ptr_null(ledger_open_of(&ledger, handle));
	ck_assert(ledger_open_of(&ledger, next)->note == 0 && !ledger_open_of(&ledger, next)->writes);
	ck_assert_uint_eq(ledger.page->n_opens, 1);
}
END_TEST

START_TEST(open_of_a_handle_that_never_was_is_none)
{
	uint64_t handle = ledger_open_new(&ledger, 12, 5, true);

	ck_assert_ptr_null(ledger_open_of(&ledger, 0));
	ck_assert_ptr_null(ledger_open_of(&ledger, handle + 1));
	ck_assert_ptr_null(ledger_open_of(&ledger, UINT64_MAX));
	ck_assert_ptr_null(ledger_open_of(&ledger, UINT64_C(12) << 22));
}
END_TEST

START_TEST(open_new_beyond_the_last_record_is_none)
{
	uint64_t first = ledger_open_new(&ledger, 12, 5, true), last;

	ledger.page->n_opens = LEDGER_OPENS - 1;
	last = ledger_open_new(&ledger, 14, 6, true);
	ck_assert_ptr_eq(ledger_open_of(&ledger, last), &ledger.opens[LEDGER_OPENS - 1]);
	ck_assert_uint_eq(ledger_open_new(&ledger, 16, 7, true), 0);
	ledger_open_free(&ledger, ledger_open_of(&ledger, first));
	ck_assert_ptr_eq(ledger_open_of(&ledger, ledger_open_new(&ledger, 18, 8, true)), ledger.opens);
	ck_assert_uint_eq(ledger_open_new(&ledger, 20, 9, true), 0);
}
END_TEST

/* ---- one after the other */

/* Of a copy: no record is lost, and none given out that is in use. */
static void check_free_lists(struct ledger *copy)
{
	uint32_t n_nodes = copy->page->n_nodes, n_opens = copy->page->n_opens;
	unsigned nodes = count_nodes(copy), opens = count_opens(copy);

	for (uint32_t i = nodes; i < n_nodes; i++)
		add_node(copy, 1000 + i, "new");
	for (uint32_t i = opens; i < n_opens; i++)
		ck_assert_uint_ne(ledger_open_new(copy, 2000 + i, 1, false), 0);
	ck_assert(copy->page->n_nodes == n_nodes && copy->page->n_opens == n_opens);
	ck_assert(count_nodes(copy) == n_nodes && count_opens(copy) == n_opens);
}

START_TEST(take_over_makes_the_free_lists_anew)
{
	struct ledger_node *nodes[6];
	struct ledger *copy;

	for (uint64_t i = 0; i < COUNT_OF(nodes); i++) {
		nodes[i] = add_node(&ledger, 10 + i, "n");
		ledger_open_new(&ledger, 20 + i, 5, false);
	}
	for (unsigned i = 0; i < COUNT_OF(nodes); i += 2) {
		ledger_node_free(&ledger, nodes[i]);
		ledger_open_free(&ledger, &ledger.opens[i]);
	}
	copy = successor_of(&ledger);
	ck_assert_ptr_eq(ledger_node_new(copy), &copy->nodes[0]);
	ck_assert_ptr_eq(ledger_open_of(copy, ledger_open_new(copy, 30, 5, false)), &copy->opens[0]);
	check_free_lists(successor_of(&ledger));
	ck_assert(find_node(copy, 11) && find_node(copy, 13) && find_node(copy, 15));
}
END_TEST

START_TEST(take_over_sets_slots_free)
{
	struct ledger *copy;

	ledger.page->slots[3].tid = 7;
	ledger.page->slots[3].unique = 8;
	copy = successor_of(&ledger);
	ck_assert(copy->page->slots[3].tid == 0 && copy->page->slots[3].unique == 8);
}
END_TEST

/* What was there before the step that is looked at: nodes 10 and 11 and opens 20 and 22, between which a
 * record is free. */
static void fill(void)
{
	struct ledger_node *node;
	uint64_t handle;

	add_node(&ledger, 10, "ten");
	node = add_node(&ledger, 1, "free");
	add_node(&ledger, 11, "eleven");
	ledger_node_free(&ledger, node);
	ledger_open_new(&ledger, 20, 10, false);
	handle = ledger_open_new(&ledger, 1, 10, false);
	ledger_open_new(&ledger, 22, 11, true);
	ledger_open_free(&ledger, ledger_open_of(&ledger, handle));
}

static void check_kept(struct ledger *copy)
{
	uint64_t ino = 0;

	ck_assert(find_node(copy, 10) && find_node(copy, 10)->n_lookups == 11);
	ck_assert_str_eq(find_node(copy, 10)->name, "ten");
	ck_assert(ledger_open_find(copy, 20, &ino) && ino == 10);
}

static void act_open_new(void *data)
{
	ledger_open_new(&ledger, 24, 12, true);
	ledger_open_new(&ledger, 26, 13, true);
}

static void look_open_new(void *data)
{
	struct ledger *copy = successor_of(&ledger);
	unsigned *n_found = data, n = 0;

	for (uint64_t unique = 24; unique <= 26; unique += 2) {
		uint64_t ino = 0, handle = ledger_open_find(copy, unique, &ino);
		struct ledger_open *open = ledger_open_of(copy, handle);

		if (handle == 0)
			continue;
		n++;
		ck_assert_uint_eq(ino, unique / 2);
		ck_assert(open && open->writes && open->note == 0 && open->poll == 0);
	}
	ck_assert_uint_ge(n, *n_found);
	*n_found = n;
	ck_assert(n + 2 == count_opens(copy));
	check_kept(copy);
	check_free_lists(copy);
}

START_TEST(open_new_is_whole_or_not_at_all)
{
	unsigned n_found = 0;

	fill();
	ledger.opens[1].note = 99; /* of its former life */
	ledger.opens[1].poll = 99;
	each_step(act_open_new, look_open_new, &n_found);
	ck_assert_uint_eq(n_found, 2);
}
END_TEST

static void act_open_free(void *data)
{
	uint64_t ino;

	ledger_open_free(&ledger, ledger_open_of(&ledger, ledger_open_find(&ledger, 22, &ino)));
}

static void look_open_free(void *data)
{
	struct ledger *copy = successor_of(&ledger);
	uint64_t ino = 0;
	bool *was_there = data, is_there = ledger_open_find(copy, 22, &ino);

	ck_assert(*was_there || !is_there);
	*was_there = is_there;
	ck_assert(!is_there || ino == 11);
	check_kept(copy);
	check_free_lists(copy);
}

START_TEST(open_free_is_whole_or_not_at_all)
{
	bool was_there = true;

	fill();
	each_step(act_open_free, look_open_free, &was_there);
	ck_assert(!was_there);
}
END_TEST

static void act_nodes(void *data)
{
	add_node(&ledger, 12, "twelve");
	ledger_node_free(&ledger, find_node(&ledger, 11));
	add_node(&ledger, 13, "thirteen");
}

static void look_nodes(void *data)
{
	static const char *const names[] = {"eleven", "twelve", "thirteen"};
	struct ledger *copy = successor_of(&ledger);

	for (uint64_t id = 11; id <= 13; id++) {
		struct ledger_node *node = find_node(copy, id);

		if (!node)
			continue;
		ck_assert_uint_eq(node->n_lookups, id + 1);
		ck_assert_uint_eq(node->parent, 1);
		ck_assert_str_eq(node->name, names[id - 11]);
	}
	ck_assert(find_node(copy, 12) || find_node(copy, 11));
	ck_assert(!find_node(copy, 13) || !find_node(copy, 11));
	check_kept(copy);
	check_free_lists(copy);
}

START_TEST(node_is_whole_or_not_at_all)
{
	fill();
	each_step(act_nodes, look_nodes, NULL);
	ck_assert(!find_node(&ledger, 11) && find_node(&ledger, 12) && find_node(&ledger, 13));
	ck_assert_uint_eq(ledger.page->n_nodes, 3);
}
END_TEST

static void act_name(void *data)
{
	ledger_node_name(find_node(&ledger, 10), 2, "2-another");
	ledger_node_name(find_node(&ledger, 10), 3, "3");
}

static void look_name(void *data)
{
	struct ledger *copy = successor_of(&ledger);
	struct ledger_node *node = find_node(copy, 10);

	ck_assert_ptr_nonnull(node);
	if (node->name_len != LEDGER_NAME_NONE) {
		static const char *const names[] = {"ten", "2-another", "3"};

		ck_assert(node->parent >= 1 && node->parent <= 3);
		ck_assert_str_eq(node->name, names[node->parent - 1]);
		ck_assert_uint_eq(node->name_len, strlen(node->name));
	}
}

START_TEST(node_name_is_whole_or_unknown)
{
	fill();
	each_step(act_name, look_name, NULL);
	ck_assert_str_eq(find_node(&ledger, 10)->name, "3");
}
END_TEST

/* A backing id goes from its record, by way of `closing`, to its end. */
enum { OF_RECORD, CLOSING, CLOSED };

static void act_close(void *data)
{
	ledger_closing(&ledger, 7);
	find_node(&ledger, 10)->backing_id = 0;
	ledger_closed(&ledger, 7);
}

static void look_close(void *data)
{
	struct ledger *copy = successor_of(&ledger);
	int *stage = data, now = CLOSED;

	ck_assert(copy->page->closing[0] == 8 && find_node(copy, 11)->backing_id == 0);
	if (find_node(copy, 10)->backing_id == 7)
		now = OF_RECORD;
	if (copy->page->closing[1] == 7)
		now = now == OF_RECORD ? -1 : CLOSING;
	ck_assert(now == *stage || now == *stage + 1);
	*stage = now;
}

START_TEST(backing_id_is_of_its_record_or_to_be_closed)
{
	int stage = OF_RECORD;

	fill();
	find_node(&ledger, 10)->backing_id = 7;
	find_node(&ledger, 11)->backing_id = 8;
	ledger_closing(&ledger, 8); /* another thread's */
	ledger_closing(&ledger, 0);
	each_step(act_close, look_close, &stage);
	ck_assert_int_eq(stage, CLOSED);
}
END_TEST

START_TEST(closing_more_than_there_is_room_for_is_not_noted)
{
	for (int id = 1; id <= LEDGER_THREADS + 1; id++)
		ledger_closing(&ledger, id);
	ledger_closed(&ledger, LEDGER_THREADS + 1);
	ledger_closed(&ledger, 3);
	ck_assert_int_eq(ledger.page->closing[2], 0);
	ledger_closing(&ledger, 1000);
	ck_assert_int_eq(ledger.page->closing[2], 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tests = tcase_create("ledger");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, ledger_map_of_another_layout_is_refused);
	tcase_add_test(tests, node_new_begins_empty_whatever_the_record_held);
	tcase_add_test(tests, node_new_beyond_the_last_record_is_none);
	tcase_add_test(tests, room_is_there_while_each_thread_may_have_a_node);
	tcase_add_test(tests, node_name_keeps_what_has_room);
	tcase_add_test(tests, open_is_found_by_its_request_and_by_its_handle);
	tcase_add_test(tests, open_of_a_handle_that_has_ended_is_none);
	tcase_add_test(tests, open_of_a_handle_that_never_was_is_none);
	tcase_add_test(tests, open_new_beyond_the_last_record_is_none);
	tcase_add_test(tests, take_over_makes_the_free_lists_anew);
	tcase_add_test(tests, take_over_sets_slots_free);
	tcase_add_test(tests, open_new_is_whole_or_not_at_all);
	tcase_add_test(tests, open_free_is_whole_or_not_at_all);
	tcase_add_test(tests, node_is_whole_or_not_at_all);
	tcase_add_test(tests, node_name_is_whole_or_unknown);
	tcase_add_test(tests, backing_id_is_of_its_record_or_to_be_closed);
	tcase_add_test(tests, closing_more_than_there_is_room_for_is_not_noted);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
