/* SPDX-License-Identifier: MIT */
#include "explore.h"

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STATES = 1 << 25 };

struct edge {
	uint32_t from, to;
};

static const struct explore_model *model;
static char *states; /* n_states of state_size, in the order in which they were found */
static uint32_t *parents, *table, current;
static size_t n_states, states_room, table_size, n_edges, edges_room;
static struct edge *edges;
static const char *wrong_step;
static uint32_t wrong_from, wrong_to;

static void *grow(void *memory, size_t n, size_t size)
{
	memory = reallocarray(memory, n, size);
	if (!memory)
		err(1, "memory");
	return memory;
}

static char *state_at(size_t i)
{
	return states + i * model->state_size;
}

static uint64_t hash(const void *state)
{
	uint64_t h = 0, word;

	for (size_t at = 0; at < model->state_size; at += sizeof(word)) {
		size_t left = model->state_size - at;

		word = 0;
		memcpy(&word, (const char *)state + at, left < sizeof(word) ? left : sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return h;
}

/* Where a state is in the table, or would be; 0 there means nothing, i + 1 state i. */
static uint32_t *find(const void *state)
{
	size_t at = hash(state) & (table_size - 1);

	while (table[at] != 0 && memcmp(state_at(table[at] - 1), state, model->state_size) != 0)
		at = (at + 1) & (table_size - 1);
	return &table[at];
}

static void grow_table(void)
{
	table_size = table_size ? 2 * table_size : 1 << 16;
	free(table);
	table = calloc(table_size, sizeof(*table));
	if (!table)
		err(1, "memory");
	for (size_t i = 0; i < n_states; i++)
		*find(state_at(i)) = (uint32_t)i + 1;
}

static uint32_t add_state(const void *state)
{
	uint32_t *place;

	if (2 * n_states >= table_size)
		grow_table();
	place = find(state);
	if (*place != 0)
		return *place - 1;
	if (n_states == MAX_STATES)
		errx(1, "more than %d states", MAX_STATES);
	if (n_states == states_room) {
		states_room = states_room ? 2 * states_room : 1 << 12;
		states = grow(states, states_room, model->state_size);
		parents = grow(parents, states_room, sizeof(*parents));
	}
	memcpy(state_at(n_states), state, model->state_size);
	parents[n_states] = current;
	*place = (uint32_t)++n_states;
	return (uint32_t)n_states - 1;
}

void explore_add(const void *state, const char *wrong)
{
	uint32_t to = add_state(state);

	if (n_edges == edges_room) {
		edges_room = edges_room ? 2 * edges_room : 1 << 14;
		edges = grow(edges, edges_room, sizeof(*edges));
	}
	edges[n_edges++] = (struct edge){.from = current, .to = to};
	if (wrong && !wrong_step) {
		wrong_step = wrong;
		wrong_from = current;
		wrong_to = to;
	}
}

static void print_way(uint32_t to)
{
	if (to != 0)
		print_way(parents[to]);
	model->print(state_at(to));
}

/* The edges by where they lead: those into state i are ret_from[ret_first[i]] up to ret_first[i + 1]. */
static void turn_round(uint32_t **ret_first, uint32_t **ret_from)
{
	uint32_t *first = grow(NULL, n_states + 2, sizeof(*first)),
		 *from = grow(NULL, n_edges + 1, sizeof(*from));

	memset(first, 0, (n_states + 2) * sizeof(*first));
	for (size_t e = 0; e < n_edges; e++)
		first[edges[e].to + 2]++;
	for (size_t i = 2; i < n_states + 2; i++)
		first[i] += first[i - 1];
	for (size_t e = 0; e < n_edges; e++)
		from[first[edges[e].to + 1]++] = edges[e].from;
	*ret_first = first;
	*ret_from = from;
}

/* Marks all states from which an end can be reached, going back from the ends. Returns one that is not. */
static size_t find_trapped(void)
{
	uint32_t *first, *from, *stack = grow(NULL, n_states + 1, sizeof(*stack));
	bool *good = grow(NULL, n_states, sizeof(*good));
	size_t depth = 0, i;

	turn_round(&first, &from);
	for (i = 0; i < n_states; i++) {
		good[i] = model->is_end(state_at(i));
		if (good[i])
			stack[depth++] = (uint32_t)i;
	}
	while (depth > 0) {
		uint32_t to = stack[--depth];

		for (uint32_t e = first[to]; e < first[to + 1]; e++)
			if (!good[from[e]]) {
				good[from[e]] = true;
				stack[depth++] = from[e];
			}
	}
	for (i = 0; i < n_states && good[i]; i++)
		;
	free(first);
	free(from);
	free(good);
	free(stack);
	return i;
}

const char *explore(const struct explore_model *what, size_t *ret_n)
{
	char *copy = grow(NULL, 1, what->state_size); /* what is found moves while it grows */
	size_t trapped;

	model = what;
	current = 0;
	add_state(model->first);
	for (size_t i = 0; i < n_states && !wrong_step; i++) {
		current = (uint32_t)i;
		memcpy(copy, state_at(i), model->state_size);
		model->expand(copy);
	}
	free(copy);
	*ret_n = n_states;
	if (wrong_step) {
		print_way(wrong_from);
		model->print(state_at(wrong_to));
		return wrong_step;
	}
	trapped = find_trapped();
	if (trapped == n_states)
		return NULL;
	print_way((uint32_t)trapped);
	return "no way leads to an end";
}
