/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ownership in a local variable: SEGFS_CLEANUP() names the function that ends it when the scope is left,
 * a steal hands it over before that. So every return is a correct one.
 *
 *	SEGFS_FREE char *text = NULL;
 *	...
 *	*ret_text = steal_pointer(&text);
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `function` is given the variable's address, as clear() functions want it. */
#define SEGFS_CLEANUP(function) __attribute__((cleanup(function)))
#define SEGFS_FREE		SEGFS_CLEANUP(free_pointer)
#define SEGFS_CLOSE		SEGFS_CLEANUP(close_fd)

/* They look twice at the smaller or larger one: for values, not for words that others write. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define steal_pointer(pointer) ((__typeof__(*(pointer)))take_pointer(pointer))

/* memcpy, as a `char **` may not be looked at through a `void **`. */
static inline void *take_pointer(void *pointer)
{
	void *taken;

	memcpy(&taken, pointer, sizeof(taken));
	memset(pointer, 0, sizeof(taken));
	return taken;
}

static inline void free_pointer(void *pointer)
{
	free(take_pointer(pointer));
}

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Keeps errno, so that a caller can still save it after the scope has ended. */
static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(steal_fd(fd));
	errno = saved;
}

/* fclose(3) of what open_memstream(3) made. glibc says nothing if its last allocation has failed, but the
 * text is NULL then. 0 or -ENOMEM. */
static inline int close_text(FILE *out, char *const *text)
{
	return fclose(out) == 0 && *text ? 0 : -ENOMEM;
}
