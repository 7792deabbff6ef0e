/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * All states that a model can come to, by breadth first search, each kept once. Two questions: is one of them
 * wrong in itself, and is there one from which no way leads to an end that is allowed? The latter finds
 * deadlocks, and loops without an exit.
 */
#include <stdbool.h>
#include <stddef.h>

/* States are compared byte by byte: no padding. What is wrong is printed with the way to it. */
struct explore_model {
	size_t state_size;
	const void *first;
	/* Call explore_add() for each state that may come next. */
	void (*expand)(const void *state);
	/* Is all well that ends so? */
	bool (*is_end)(const void *state);
	void (*print)(const void *state);
};

/* From within expand(): a next state. `wrong`, unless NULL, says what was wrong with the step. */
void explore_add(const void *state, const char *wrong);

/* NULL if nothing is wrong, or what. The number of states in *ret_n. */
const char *explore(const struct explore_model *model, size_t *ret_n);
