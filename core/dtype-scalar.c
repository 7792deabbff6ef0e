/* SPDX-License-Identifier: MIT */

/*
 * Type strings ("<f8", "M8[25s]") and names ("float64").
 *
 * The tables hold what numpy 1 and numpy 2 agree on, on 64-bit Linux. Aliases that numpy 2 has removed
 * ("float_", "unicode_", "a5") and its comma strings ("f4,f8") are not taken, and neither are sizes written
 * as C's strtol() would read them ("i +8"), which numpy lets through by accident.
 */
#include "dtype-internal.h"

#include <stdio.h>

#define PYTHON_OBJECT  'O' /* known only to be refused */
#define LONG_DOUBLE    16  /* in memory, of which x86-64 uses 10 */
#define UNICODE_BYTES  4   /* of one character, UCS-4 */
#define UNIT_COUNT_MAX INT32_MAX

/* An element type before it is given memory. */
struct scalar {
	char kind; /* enum segfs_dtype_kind or PYTHON_OBJECT */
	bool big_endian;
	uint64_t itemsize;
	uint32_t unit_count;
	const char *unit;
};

/* Text not yet read. */
struct span {
	const char *at;
	size_t len;
};

struct alias {
	const char *text;
	char kind;
	uint8_t itemsize;
};

/* numpy's one-letter codes (dtype.char), which may follow a byte order. */
static const struct alias codes[] = {
	{"?", SEGFS_BOOL, 1},
	{"b", SEGFS_INT, sizeof(char)},
	{"h", SEGFS_INT, sizeof(short)},
	{"i", SEGFS_INT, sizeof(int)},
	{"l", SEGFS_INT, sizeof(long)},
	{"q", SEGFS_INT, sizeof(long long)},
	{"p", SEGFS_INT, sizeof(intptr_t)},
	{"B", SEGFS_UINT, sizeof(char)},
	{"H", SEGFS_UINT, sizeof(short)},
	{"I", SEGFS_UINT, sizeof(int)},
	{"L", SEGFS_UINT, sizeof(long)},
	{"Q", SEGFS_UINT, sizeof(long long)},
	{"P", SEGFS_UINT, sizeof(uintptr_t)},
	{"e", SEGFS_FLOAT, 2},
	{"f", SEGFS_FLOAT, sizeof(float)},
	{"d", SEGFS_FLOAT, sizeof(double)},
	{"g", SEGFS_FLOAT, LONG_DOUBLE},
	{"F", SEGFS_COMPLEX, 2 * sizeof(float)},
	{"D", SEGFS_COMPLEX, 2 * sizeof(double)},
	{"G", SEGFS_COMPLEX, 2 * LONG_DOUBLE},
	{"c", SEGFS_BYTES, 1},
	{"S", SEGFS_BYTES, 0},
	{"U", SEGFS_UNICODE, 0},
	{"V", SEGFS_VOID, 0},
	{"M", SEGFS_DATETIME, 8},
	{"m", SEGFS_TIMEDELTA, 8},
	{"O", PYTHON_OBJECT, 0},
};

/* Names, which stand alone. */
static const struct alias names[] = {
	{"bool", SEGFS_BOOL, 1},
	{"bool_", SEGFS_BOOL, 1},
	{"int8", SEGFS_INT, 1},
	{"int16", SEGFS_INT, 2},
	{"int32", SEGFS_INT, 4},
	{"int64", SEGFS_INT, 8},
	{"byte", SEGFS_INT, sizeof(char)},
	{"short", SEGFS_INT, sizeof(short)},
	{"intc", SEGFS_INT, sizeof(int)},
	{"int", SEGFS_INT, sizeof(long)},
	{"int_", SEGFS_INT, sizeof(long)},
	{"long", SEGFS_INT, sizeof(long)},
	{"longlong", SEGFS_INT, sizeof(long long)},
	{"intp", SEGFS_INT, sizeof(intptr_t)},
	{"uint8", SEGFS_UINT, 1},
	{"uint16", SEGFS_UINT, 2},
	{"uint32", SEGFS_UINT, 4},
	{"uint64", SEGFS_UINT, 8},
	{"ubyte", SEGFS_UINT, sizeof(char)},
	{"ushort", SEGFS_UINT, sizeof(short)},
	{"uintc", SEGFS_UINT, sizeof(int)},
	{"uint", SEGFS_UINT, sizeof(long)},
	{"ulong", SEGFS_UINT, sizeof(long)},
	{"ulonglong", SEGFS_UINT, sizeof(long long)},
	{"uintp", SEGFS_UINT, sizeof(uintptr_t)},
	{"float16", SEGFS_FLOAT, 2},
	{"float32", SEGFS_FLOAT, 4},
	{"float64", SEGFS_FLOAT, 8},
	{"float128", SEGFS_FLOAT, 16},
	{"half", SEGFS_FLOAT, 2},
	{"single", SEGFS_FLOAT, sizeof(float)},
	{"double", SEGFS_FLOAT, sizeof(double)},
	{"float", SEGFS_FLOAT, sizeof(double)}, /* Python's float, not C's */
	{"longdouble", SEGFS_FLOAT, LONG_DOUBLE},
	{"bfloat16", SEGFS_BFLOAT16, 2},
	{"complex64", SEGFS_COMPLEX, 8},
	{"complex128", SEGFS_COMPLEX, 16},
	{"complex256", SEGFS_COMPLEX, 32},
	{"csingle", SEGFS_COMPLEX, 2 * sizeof(float)},
	{"cdouble", SEGFS_COMPLEX, 2 * sizeof(double)},
	{"complex", SEGFS_COMPLEX, 2 * sizeof(double)},
	{"clongdouble", SEGFS_COMPLEX, 2 * LONG_DOUBLE},
	{"bytes", SEGFS_BYTES, 0},
	{"bytes_", SEGFS_BYTES, 0},
	{"str", SEGFS_UNICODE, 0},
	{"str_", SEGFS_UNICODE, 0},
	{"void", SEGFS_VOID, 0},
	{"object", PYTHON_OBJECT, 0},
	{"object_", PYTHON_OBJECT, 0},
};

/* What a time may begin with: a unit in brackets follows, or nothing. They may follow a byte order. */
static const struct alias times[] = {
	{"datetime64", SEGFS_DATETIME, 8},
	{"timedelta64", SEGFS_TIMEDELTA, 8},
	{"M8", SEGFS_DATETIME, 8},
	{"m8", SEGFS_TIMEDELTA, 8},
};

static const char *const units[] = {"Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"};

/* Kinds written with their number of bytes, and which numbers those may be, as a sum of powers of two. */
static const struct {
	char kind;
	uint64_t sizes;
} sized[] = {
	{SEGFS_BOOL, 1},
	{SEGFS_INT, 1 | 2 | 4 | 8},
	{SEGFS_UINT, 1 | 2 | 4 | 8},
	{SEGFS_FLOAT, 2 | 4 | 8 | 16},
	{SEGFS_COMPLEX, 8 | 16 | 32},
	{PYTHON_OBJECT, 4 | 8},
};

static bool span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

/* Takes `text` if the span begins with it. */
static bool accept(struct span *in, const char *text)
{
	size_t len = strlen(text);

	if (in->len < len || memcmp(in->at, text, len) != 0)
		return false;
	*in = (struct span){in->at + len, in->len - len};
	return true;
}

static bool find_alias(const struct alias *table, size_t n, struct span in, struct scalar *scalar)
{
	for (size_t i = 0; i < n; i++) {
		if (span_is(in, table[i].text)) {
			scalar->kind = table[i].kind;
			scalar->itemsize = table[i].itemsize;
			return true;
		}
	}
	return false;
}

static void accept_order(struct span *in, struct scalar *scalar)
{
	if (accept(in, ">"))
		scalar->big_endian = true;
	else if (accept(in, "<"))
		scalar->big_endian = false;
	else if (!accept(in, "="))
		accept(in, "|"); /* numpy reads "|f8" as native */
}

static bool accept_digit(struct span *in, uint64_t *digit)
{
	if (in->len == 0 || *in->at < '0' || *in->at > '9')
		return false;
	*digit = (uint64_t)(*in->at - '0');
	*in = (struct span){in->at + 1, in->len - 1};
	return true;
}

/* 0, or -EINVAL (no digit), -EOVERFLOW. */
static int read_number(struct span *in, uint64_t *ret_number)
{
	uint64_t number, digit;

	if (!accept_digit(in, &number))
		return -EINVAL;
	while (accept_digit(in, &digit)) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return -EOVERFLOW;
	}
	*ret_number = number;
	return 0;
}

static const char *find_unit(struct span in)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (span_is(in, units[i]))
			return units[i];
	}
	return NULL;
}

/* The inside of "[25s]". A count of 0, which numpy would take, measures nothing. */
static int parse_unit(struct span in, struct scalar *scalar)
{
	uint64_t count = 1;

	if (span_is(in, "generic"))
		return 0;
	if (in.len > 0 && *in.at >= '0' && *in.at <= '9' && read_number(&in, &count) < 0)
		return -EINVAL;
	scalar->unit = find_unit(in);
	if (!scalar->unit || count == 0 || count > UNIT_COUNT_MAX)
		return -EINVAL;
	scalar->unit_count = (uint32_t)count;
	return 0;
}

/* A datetime or timedelta; -ENOENT if it is none. */
static int parse_time(struct span in, struct scalar *scalar)
{
	for (size_t i = 0; i < COUNT_OF(times); i++) {
		if (!accept(&in, times[i].text))
			continue;
		scalar->kind = times[i].kind;
		scalar->itemsize = times[i].itemsize;
		if (in.len == 0)
			return 0;
		if (!accept(&in, "[") || in.len == 0 || in.at[in.len - 1] != ']')
			return -EINVAL;
		in.len--;
		return parse_unit(in, scalar);
	}
	return -ENOENT;
}

static bool size_is_known(char kind, uint64_t size)
{
	for (size_t i = 0; i < COUNT_OF(sized); i++) {
		if (sized[i].kind == kind)
			return (sized[i].sizes & size) != 0 && (size & (size - 1)) == 0;
	}
	return false;
}

/* A kind and its size: "f8", "S10", "U5". */
static int parse_sized(struct span in, struct scalar *scalar)
{
	uint64_t size;
	int r;

	if (in.len == 0)
		return -EINVAL;
	scalar->kind = *in.at;
	in = (struct span){in.at + 1, in.len - 1};
	r = read_number(&in, &size);
	if (r < 0)
		return r;
	if (in.len > 0)
		return -EINVAL;
	switch (scalar->kind) {
	case SEGFS_BYTES:
	case SEGFS_VOID:
		scalar->itemsize = size;
		return 0;
	case SEGFS_UNICODE:
		return __builtin_mul_overflow(size, UNICODE_BYTES, &scalar->itemsize) ? -EOVERFLOW : 0;
	default:
		scalar->itemsize = size;
		return size_is_known(scalar->kind, size) ? 0 : -EINVAL;
	}
}

static int parse_scalar(struct span in, struct scalar *scalar)
{
	int r;

	if (find_alias(names, COUNT_OF(names), in, scalar))
		return 0;
	accept_order(&in, scalar);
	if (find_alias(codes, COUNT_OF(codes), in, scalar))
		return 0;
	r = parse_time(in, scalar);
	return r == -ENOENT ? parse_sized(in, scalar) : r;
}

static size_t alignment_of(const struct scalar *scalar)
{
	switch (scalar->kind) {
	case SEGFS_COMPLEX:
		return scalar->itemsize / 2;
	case SEGFS_UNICODE:
		return UNICODE_BYTES;
	case SEGFS_BYTES:
	case SEGFS_VOID:
		return 1;
	default:
		return scalar->itemsize;
	}
}

static bool has_byte_order(const struct scalar *scalar)
{
	return scalar->kind != SEGFS_BYTES && scalar->kind != SEGFS_VOID && scalar->itemsize != 1;
}

static int new_scalar(const struct scalar *scalar, struct segfs_dtype **ret_dtype)
{
	struct segfs_dtype *dtype = calloc(1, sizeof(*dtype));

	if (!dtype)
		return -ENOMEM;
	dtype->kind = (enum segfs_dtype_kind)scalar->kind;
	dtype->big_endian = scalar->big_endian && has_byte_order(scalar);
	dtype->itemsize = scalar->itemsize;
	dtype->alignment = alignment_of(scalar);
	dtype->unit_count = scalar->unit_count;
	snprintf(dtype->unit, sizeof(dtype->unit), "%s", scalar->unit);
	*ret_dtype = dtype;
	return 0;
}

int segfs_dtype_parse_scalar(const char *text, size_t len, struct segfs_dtype **ret_dtype)
{
	struct scalar scalar = {.big_endian = SEGFS_DTYPE_NATIVE_BIG, .unit = "", .unit_count = 1};
	int r = parse_scalar((struct span){text, len}, &scalar);

	if (r < 0)
		return r;
	if (scalar.kind == PYTHON_OBJECT)
		return -ENOTSUP;
	if (scalar.itemsize > SEGFS_DTYPE_ITEMSIZE_MAX)
		return -EOVERFLOW;
	return new_scalar(&scalar, ret_dtype);
}
