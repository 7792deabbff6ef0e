/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What to make of an empty segment, as text: the values that user.shm.ring, .table and .slots are set to.
 *
 *	block capacity 64 shape 480,640 dtype <f4	or `overwrite`
 *	[('gain', '<f8'), ('offset', '<f8')]
 *	workers 8 shape 3 dtype <f8
 *
 * Words are apart by blanks. `dtype` is the last and takes the rest of the text; `shape`, of a frame or of a
 * row and without blanks in it, may be left out: one element. Text is `len` bytes of anything and need not
 * end in NUL.
 *
 * Each makes the file `fd` (open for reading and writing) with the function that is named, and returns as
 * that does; -EINVAL for any text that is no recipe, and any dtype that is none. Calls for one file must not
 * overlap.
 */
#include <stddef.h>

/* By segfs_ring_format(). */
int segfs_recipe_ring(int fd, const char *text, size_t len);

/* By segfs_table_format(). */
int segfs_recipe_table(int fd, const char *text, size_t len);

/* By segfs_slots_format(). */
int segfs_recipe_slots(int fd, const char *text, size_t len);
