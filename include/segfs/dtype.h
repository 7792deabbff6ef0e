/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Element types: numpy's type strings ("<f8"), names ("float64") and descr lists
 * ("[('a', '<f4'), ('b', '|u1', (3,))]"), parsed into a tree and written back in one canonical form.
 *
 * The rules are those of numpy's array interface protocol (the `typestr` and `descr` items of
 * __array_interface__) and of numpy.lib.format. What this module does not do: it never looks at data, and it
 * knows no object arrays (a pointer means nothing in another process).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <segfs/export.h>

SEGFS_BEGIN

/* The letter of numpy's dtype.kind, but for bfloat16, which numpy has only through ml_dtypes. */
enum segfs_dtype_kind {
	SEGFS_BOOL = 'b',
	SEGFS_INT = 'i',
	SEGFS_UINT = 'u',
	SEGFS_FLOAT = 'f', /* IEEE 754 of 2, 4 or 8 bytes; the C compiler's long double of 16 */
	SEGFS_BFLOAT16 = 'B',
	SEGFS_COMPLEX = 'c',
	SEGFS_TIMEDELTA = 'm',
	SEGFS_DATETIME = 'M',
	SEGFS_BYTES = 'S',   /* fixed length, padded with NUL */
	SEGFS_UNICODE = 'U', /* UCS-4, itemsize is 4 times its length */
	SEGFS_VOID = 'V',    /* raw bytes, or a structure if it has fields */
};

struct segfs_field;

/* One element type. Made by segfs_dtype_parse(); read its members, do not write them. */
struct segfs_dtype {
	enum segfs_dtype_kind kind;
	bool big_endian;     /* false where byte order has no meaning */
	size_t itemsize;     /* bytes; 0 for "S0", "U0", "V0" */
	size_t alignment;    /* numpy's dtype.alignment: 1 for a structure, as descr lists are packed */
	char unit[8];	     /* of a datetime or timedelta: "ns", "D", ...; "" for numpy's generic unit */
	uint32_t unit_count; /* 25 in "[25s]"; 1 if not named */
	size_t n_fields;     /* 0 unless a structure */
	struct segfs_field *fields; /* owned */
};

/*
 * A member of a structure. Padding, which numpy's descr writes as ('', '|V4'), is kept as a field without a
 * name; neighbouring padding is joined, and padding of no bytes dropped.
 */
struct segfs_field {
	char *name;  /* UTF-8, "" for padding; owned */
	char *title; /* NULL unless given as (title, name); owned */
	struct segfs_dtype *dtype;
	size_t offset;	 /* bytes from the start of the structure */
	unsigned ndim;	 /* of a sub-array; 0: a single element */
	uint64_t *shape; /* ndim lengths, owned; NULL if ndim is 0 */
};

/*
 * Parse a type: a type string with or without byte order ("<f8", "f8", "=f8", "|u1"), a name ("float64",
 * "bool", "datetime64[ns]", "bfloat16"), or a descr list, nested as deep as 16. Text is `len` bytes and need
 * not end in NUL; white space around it is ignored. Native order is resolved to '<' or '>'.
 *
 * 0, or -EINVAL (not a type, or an empty structure, one of more than 1,024 fields, a duplicate field name or
 * title, a nameless field that is not padding, an unknown unit), -ENOTSUP (holds Python objects), -EOVERFLOW
 * (itemsize does not fit 31 bits, numpy's limit), -ENOMEM. *ret_dtype is untouched on failure; free it with
 * segfs_dtype_free(). Any thread.
 */
SEGFS_PUBLIC int segfs_dtype_parse(const char *text, size_t len, struct segfs_dtype **ret_dtype);

/*
 * Free a type and all below it; NULL is fine. Always NULL, so that `d = segfs_dtype_free(d)` leaves nothing
 * dangling.
 */
SEGFS_PUBLIC struct segfs_dtype *segfs_dtype_free(struct segfs_dtype *dtype);

/*
 * Write a type in its canonical form: what Python prints for numpy.lib.format.dtype_to_descr(), and
 * "bfloat16". Parsing it again gives an equal type. At most `size` bytes are written, NUL included; the
 * return value is the length without NUL, as of snprintf(3): a value of `size` or more means that it was cut.
 */
SEGFS_PUBLIC size_t segfs_dtype_format(const struct segfs_dtype *dtype, char *buf, size_t size);

/* Same kind, order, size, unit and fields (names, titles, offsets, sub-arrays). */
SEGFS_PUBLIC bool segfs_dtype_equal(const struct segfs_dtype *a, const struct segfs_dtype *b);

SEGFS_END
