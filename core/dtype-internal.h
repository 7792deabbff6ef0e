/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the dtype module share: dtype-scalar.c reads type strings and names, dtype-descr.c Python
 * literals (which hold them), dtype-format.c writes, and dtype.c is what they have in common.
 */
#include <segfs/dtype.h>

#include "pyliteral.h"
#include "text.h"
#include "util.h"

#define SEGFS_DTYPE_NATIVE_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* numpy keeps an itemsize in a C int. */
#define SEGFS_DTYPE_ITEMSIZE_MAX INT32_MAX

/* A type string or a name, nothing around it. Errors as those of segfs_dtype_parse(). */
int segfs_dtype_parse_scalar(const char *text, size_t len, struct segfs_dtype **ret_dtype);

/* The next Python literal, a string or a descr list; what follows it is left alone. Errors likewise. */
int segfs_dtype_read(struct segfs_pyliteral *in, struct segfs_dtype **ret_dtype);

/*
 * Write a type as numpy.lib.format writes it into the header of a .npy file: the repr() of its descr, a
 * bfloat16 being two bytes of void. In Latin-1 or UTF-8. False if something in it is not Latin-1, where what
 * was written in that means nothing.
 */
bool segfs_dtype_put_numpy(struct segfs_text *out, const struct segfs_dtype *dtype, bool latin1);

/* Write lengths as a Python tuple: "()", "(3,)", "(3, 4)". */
void segfs_dtype_put_tuple(struct segfs_text *out, const uint64_t *shape, unsigned ndim);

/* Does this field only fill a gap? */
bool segfs_dtype_is_padding(const struct segfs_field *field);

/* Free what a field owns and zero it. */
void segfs_dtype_clear_field(struct segfs_field *field);

/* For SEGFS_CLEANUP(). */
static inline void segfs_dtype_cleanup(struct segfs_dtype **dtype)
{
	*dtype = segfs_dtype_free(*dtype);
}
