/* SPDX-License-Identifier: MIT */

/*
 * table SCOPE [BREAKAGE]: all interleavings of the protocol of the table's fields (segfs/layout.h), in small.
 *
 * Two fields, a writer of each, a taker of snapshots and a reader, each a small machine that does one
 * access to shared memory in a step; at any step one of them may be killed, and begins anew as its
 * successor. Values are numbered, and have two halves, written and read one after the other. Checked in
 * every state that can be reached: a reader's value is whole and was the field's between the read's begin
 * and end; so is a snapshot's pair of values; and from everywhere a way leads to the end. Memory is
 * sequentially consistent here: what fences are for, this does not see.
 *
 * A BREAKAGE leaves one rule out; the exit status is 0 if that is noticed, or if all is well without any.
 */
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "table-state.h"
#include "util.h"

enum { FIELDS = 2, COPIES = SEGFS_TABLE_COPIES, VALUES = 6 };
enum { FREE, HELD, DIED };
enum { WRITER_0, WRITER_1, TAKER, READER, MACHINES };

enum breakage { NONE, NO_HELP, NO_KEPT, LATE_READ, NO_AGE_CHECK, BLIND_COMMIT };

static const char *const breakages[] = {"none",	     "no-help",	     "no-kept",
					"late-read", "no-age-check", "blind-commit"};

/* How much each machine does, and how many kills there are. */
static const struct scope {
	const char *name;
	uint8_t work[MACHINES], kills;
} scopes[] = {
	{"reader", {4, 0, 0, 1}, 1},	    {"reader-and-snapshot", {5, 0, 1, 1}, 0},
	{"snapshot-kill", {1, 1, 1, 0}, 1}, {"snapshots-kill", {2, 0, 2, 0}, 1},
	{"two-writers", {2, 1, 1, 0}, 0},   {"two-snapshots", {1, 1, 2, 0}, 0},
};

struct machine {
	uint8_t at;	    /* the step that comes next */
	uint8_t back;	    /* where helping goes back to */
	uint8_t left;	    /* calls to make */
	uint8_t copy;	    /* of a writer */
	uint8_t age, field; /* of a helper */
	uint16_t state, helper_state;
	uint8_t halves[FIELDS][2]; /* read so far */
	uint8_t unused[2];	   /* no padding: worlds are hashed */
	uint64_t seen;		   /* which pairs of values there were since the call began */
};

struct world {
	struct {
		uint16_t state;
		uint8_t owner, unused;
		uint8_t halves[COPIES][2];
	} fields[FIELDS];
	uint8_t age, taker, kills, unused[5];
	struct machine machines[MACHINES];
};

static enum breakage broken;
static const struct scope *scope;

/* ------------------------------------------------------------------------------------------------------------
 * The steps. Numbers as in the switches below; helping is shared by writers and the taker.
 */
enum { HELP = 20, HELP_AGE, HELP_SWAP, HELP_END };

static bool swap_state(uint16_t *state, uint16_t expected, uint64_t value)
{
	if (*state != expected)
		return false;
	*state = (uint16_t)value;
	return true;
}

static bool swap_age(uint8_t *age, uint8_t expected)
{
	if (*age != expected)
		return false;
	*age = expected + 1;
	return true;
}

static void go_help(struct machine *m, uint8_t age, uint8_t back)
{
	m->age = age;
	m->field = 0;
	m->back = back;
	m->at = HELP;
}

static void next_field(struct machine *m)
{
	m->field++;
	m->at = m->field < FIELDS ? HELP : HELP_END;
}

static void step_help(struct world *w, struct machine *m)
{
	switch (m->at) {
	case HELP:
		m->helper_state = w->fields[m->field].state;
		m->at = HELP_AGE;
		break;
	case HELP_AGE:
		if (w->age != m->age && broken != NO_AGE_CHECK)
			m->at = m->back;
		else if (segfs_table_is_helped(m->helper_state, m->age))
			next_field(m);
		else
			m->at = HELP_SWAP;
		break;
	case HELP_SWAP:
		if (swap_state(&w->fields[m->field].state, m->helper_state,
			       segfs_table_after_help(m->helper_state)))
			next_field(m);
		else
			m->at = HELP;
		break;
	default:
		swap_age(&w->age, m->age);
		m->at = m->back;
	}
}

static uint8_t value_now(const struct world *w, unsigned field)
{
	return w->fields[field].halves[segfs_table_now(w->fields[field].state)][0];
}

static uint64_t pair_bit(unsigned a, unsigned b)
{
	return UINT64_C(1) << (a * VALUES + b);
}

/* The first values are 0, then 1, 2, 3: a writer's next is one more than what it writes over. */
static void step_writer(struct world *w, struct machine *m, unsigned field)
{
	uint16_t *state = &w->fields[field].state;
	uint8_t *owner = &w->fields[field].owner;

	switch (m->at) {
	case 0:
		*owner = HELD;
		m->at++;
		break;
	case 1:
		m->state = *state;
		m->copy = (uint8_t)segfs_table_next(broken == NO_KEPT ? m->state & ~12u : m->state);
		m->at++;
		break;
	case 2:
	case 3:
		w->fields[field].halves[m->copy][m->at - 2] = value_now(w, field) + 1;
		m->at++;
		break;
	case 4:
		m->state = *state;
		m->at++;
		break;
	case 5:
		if (segfs_table_age_is_even(w->age) || broken == NO_HELP)
			m->at++;
		else
			go_help(m, w->age, 4);
		break;
	case 6:
		if (broken == BLIND_COMMIT)
			m->state = *state;
		m->at = swap_state(state, m->state, segfs_table_after_commit(m->state, m->copy)) ? 7 : 4;
		break;
	default:
		*owner = FREE;
		m->left--;
		m->at = 0;
	}
}

static bool is_right(const struct machine *m, unsigned n_fields)
{
	uint64_t pairs = 0;

	for (unsigned i = 0; i < n_fields; i++) {
		if (m->halves[i][0] != m->halves[i][1])
			return false;
	}
	for (unsigned b = 0; b < VALUES; b++)
		pairs |= pair_bit(m->halves[0][0], n_fields > 1 ? m->halves[1][0] : b);
	return (m->seen & pairs) != 0;
}

/* False if it ends in a record that never was. */
static bool step_taker(struct world *w, struct machine *m)
{
	unsigned field = (m->at - 4u) / 3, copy = segfs_table_kept(m->state);

	switch (m->at) {
	case 0:
		w->taker = HELD;
		m->at = 1;
		return true;
	case 1:
		m->age = w->age;
		if (segfs_table_age_is_even(m->age))
			m->at = 2;
		else
			go_help(m, m->age, 1);
		return true;
	case 2:
		if (swap_age(&w->age, m->age))
			go_help(m, m->age + 1, 4);
		else
			m->at = 1;
		return true;
	case 4:
	case 7:
		m->state = w->fields[field].state;
		break;
	case 5:
	case 6:
	case 8:
	case 9:
		m->halves[field][(m->at - 5) % 3] = w->fields[field].halves[copy][(m->at - 5) % 3];
		break;
	case 10:
		if (w->age != m->age + 1) {
			m->at = 1;
			return true;
		}
		if (!is_right(m, FIELDS))
			return false;
		break;
	default:
		w->taker = FREE;
		m->left--;
		m->at = 0;
		return true;
	}
	m->at++;
	return true;
}

static bool step_reader(struct world *w, struct machine *m)
{
	unsigned tolerance = broken == LATE_READ ? 1 : 0;

	switch (m->at) {
	case 0:
		m->state = w->fields[0].state;
		break;
	case 1:
	case 2:
		m->halves[0][m->at - 1] = w->fields[0].halves[segfs_table_now(m->state)][m->at - 1];
		break;
	default:
		m->at = 0;
		if (segfs_table_serial(w->fields[0].state) - segfs_table_serial(m->state) > 1 + tolerance)
			return true;
		m->left--;
		return is_right(m, 1);
	}
	m->at++;
	return true;
}

/* ------------------------------------------------------------------------------------------------------------
 * All of them.
 */
static uint8_t *word_of(struct world *w, unsigned machine)
{
	return machine == TAKER ? &w->taker : &w->fields[machine].owner;
}

static bool can_step(struct world *w, unsigned machine)
{
	const struct machine *m = &w->machines[machine];

	return m->left > 0 && (machine == READER || m->at > 0 || *word_of(w, machine) != HELD);
}

/* Notes the pair of this moment for those whose call has begun. */
static void note_pair(struct world *w)
{
	uint64_t pair = pair_bit(value_now(w, 0), value_now(w, 1));

	for (unsigned i = TAKER; i < MACHINES; i++)
		w->machines[i].seen = w->machines[i].left == 0 ? 0
				      : w->machines[i].at == 0 ? pair
							       : w->machines[i].seen | pair;
}

static bool step(struct world *w, unsigned machine)
{
	struct machine *m = &w->machines[machine];
	bool right = true;

	if (m->at >= HELP)
		step_help(w, m);
	else if (machine == TAKER)
		right = step_taker(w, m);
	else if (machine == READER)
		right = step_reader(w, m);
	else
		step_writer(w, m, machine);
	note_pair(w);
	return right;
}

static bool can_be_killed(const struct world *w, unsigned machine)
{
	return w->kills > 0 && machine != READER && w->machines[machine].at > 0;
}

static void kill_machine(struct world *w, unsigned machine)
{
	struct machine *m = &w->machines[machine];

	*word_of(w, machine) = DIED;
	w->kills--;
	*m = (struct machine){.left = m->left};
	note_pair(w);
}

static struct world begin(void)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	w.kills = scope->kills;
	for (unsigned i = 0; i < MACHINES; i++)
		w.machines[i].left = scope->work[i];
	note_pair(&w);
	return w;
}

static bool is_end(const void *state)
{
	const struct world *w = state;

	for (unsigned i = 0; i < MACHINES; i++) {
		if (w->machines[i].left > 0)
			return false;
	}
	return true;
}

static void expand(const void *state)
{
	for (unsigned i = 0; i < MACHINES; i++) {
		struct world w = *(const struct world *)state;
		const char *wrong;

		if (!can_step(&w, i))
			continue;
		wrong = step(&w, i) ? NULL : "what was read was never so";
		explore_add(&w, wrong);
		w = *(const struct world *)state;
		if (can_be_killed(&w, i)) {
			kill_machine(&w, i);
			explore_add(&w, NULL);
		}
	}
}

static void print(const void *state)
{
	const struct world *w = state;

	printf("age %u", w->age);
	for (unsigned i = 0; i < FIELDS; i++)
		printf(", field %u: now %u kept %u serial %u", i, segfs_table_now(w->fields[i].state),
		       segfs_table_kept(w->fields[i].state), w->fields[i].state >> 5);
	for (unsigned i = 0; i < MACHINES; i++)
		printf("%s%u", i ? " " : "; at ", w->machines[i].at);
	putchar('\n');
}

static const char *search(void)
{
	struct world first = begin();
	struct explore_model model = {sizeof(first), &first, expand, is_end, print};
	const char *found;
	size_t n;

	found = explore(&model, &n);
	printf("%s, %s: %zu states, %s\n", scope->name, breakages[broken], n,
	       found ? found : "nothing wrong");
	return found;
}

static void choose(int argc, char **argv)
{
	size_t i = 0;

	if (argc < 2 || argc > 3)
		errx(2, "usage: table SCOPE [BREAKAGE]");
	while (i < COUNT_OF(scopes) && strcmp(scopes[i].name, argv[1]) != 0)
		i++;
	if (i == COUNT_OF(scopes))
		errx(2, "%s: no such scope", argv[1]);
	scope = &scopes[i];
	while (argc > 2 && broken < COUNT_OF(breakages) && strcmp(breakages[broken], argv[2]) != 0)
		broken++;
	if (broken == COUNT_OF(breakages))
		errx(2, "%s: no such breakage", argv[2]);
}

int main(int argc, char **argv)
{
	choose(argc, argv);
	return (search() == NULL) == (broken == NONE) ? 0 : 1;
}
