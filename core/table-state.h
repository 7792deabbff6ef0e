/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The word `state` of a table's field (segfs/layout.h): taken apart, and what it changes to. Numbers only, so
 * that the model of the protocol (tests/model) runs on the same functions.
 */
#include <stdbool.h>
#include <stdint.h>

#include <segfs/layout.h>

#define SEGFS_TABLE_STEP UINT64_C(32) /* of the serial number */

static inline unsigned segfs_table_now(uint64_t state)
{
	return state & 3;
}

static inline unsigned segfs_table_kept(uint64_t state)
{
	return state >> 2 & 3;
}

static inline uint64_t segfs_table_serial(uint64_t state)
{
	return state >> 5;
}

static inline bool segfs_table_age_is_even(uint64_t age)
{
	return age % 2 == 0;
}

/* Has the field been helped into the age that comes after the odd `age`? */
static inline bool segfs_table_is_helped(uint64_t state, uint64_t age)
{
	return (state >> 4 & 1) != (age >> 1 & 1);
}

/* Has no copy that was `now` in `before` been begun anew? */
static inline bool segfs_table_is_whole(uint64_t before, uint64_t after)
{
	return segfs_table_serial(after) - segfs_table_serial(before) <= 1;
}

/* The copy to write into. */
static inline unsigned segfs_table_next(uint64_t state)
{
	unsigned next = (segfs_table_now(state) + 1) % SEGFS_TABLE_COPIES;

	return next == segfs_table_kept(state) ? (next + 1) % SEGFS_TABLE_COPIES : next;
}

static inline uint64_t segfs_table_after_commit(uint64_t state, unsigned copy)
{
	return ((state & ~UINT64_C(3)) | copy) + SEGFS_TABLE_STEP;
}

static inline uint64_t segfs_table_after_help(uint64_t state)
{
	return ((state & ~UINT64_C(12)) ^ 16) + SEGFS_TABLE_STEP + ((state & 3) << 2);
}
