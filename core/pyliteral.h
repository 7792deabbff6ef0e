/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The few Python literals that dtypes, shapes and .npy headers are written in: strings, lengths, booleans,
 * and the brackets and commas around them, as ast.literal_eval() reads them.
 *
 * A cursor over bounded text that nobody vouches for: it never looks at or beyond `end`, and NUL is a byte
 * like any other. All functions skip white space first. After one has failed, the cursor is anywhere; outputs
 * are untouched. What it does not do: floats, bytes literals (numpy.lib.format takes them neither as names
 * nor as types), operators, comments, and the joining of adjacent strings, none of which numpy writes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segfs_pyliteral {
	const char *next; /* borrowed; the first byte not yet read */
	const char *end;
	bool python2; /* numbers may end in L, as Python 2 wrote them */
};

/* A `close` that stands for the end of the text. */
#define SEGFS_PYLITERAL_END '\0'

/* Leave out the white space that the text ends in. */
void segfs_pyliteral_trim_end(struct segfs_pyliteral *in);

/* Is nothing left but white space? */
bool segfs_pyliteral_ended(struct segfs_pyliteral *in);

/* Is `c` next? accept() also takes it. */
bool segfs_pyliteral_peek(struct segfs_pyliteral *in, char c);
bool segfs_pyliteral_accept(struct segfs_pyliteral *in, char c);

/*
 * Called before each item of a list, tuple or dict whose opening bracket was taken, and of which `n_read`
 * items were: takes the comma between two items or the `close` after the last. 1 if an item follows, 0 if
 * that was all, or -EINVAL.
 */
int segfs_pyliteral_more(struct segfs_pyliteral *in, size_t n_read, char close);

/*
 * A string as UTF-8, NUL-terminated, to be freed. 0, or -EINVAL (also if it holds a NUL, a surrogate, invalid
 * UTF-8 or an escape that repr() does not write), -ENOMEM.
 */
int segfs_pyliteral_read_string(struct segfs_pyliteral *in, char **ret_text);

/* True or False. 0 or -EINVAL. */
int segfs_pyliteral_read_bool(struct segfs_pyliteral *in, bool *ret_value);

/* A decimal number of at least 0. 0, or -EINVAL, -EOVERFLOW (above INT64_MAX). */
int segfs_pyliteral_read_length(struct segfs_pyliteral *in, uint64_t *ret_length);

/*
 * Lengths and commas up to `close`, the opening bracket being taken.
 * 0, or -EINVAL (also if there are more than `max`), -EOVERFLOW, -ENOMEM.
 */
int segfs_pyliteral_read_lengths(struct segfs_pyliteral *in, char close, unsigned max, uint64_t *ret_lengths,
				 unsigned *ret_count);

/* A tuple of lengths: "()", "(3,)", but not "(3)", a number to Python. Returns as read_lengths(). */
int segfs_pyliteral_read_tuple(struct segfs_pyliteral *in, unsigned max, uint64_t *ret_lengths,
			       unsigned *ret_count);
