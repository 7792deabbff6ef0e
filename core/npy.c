/* SPDX-License-Identifier: MIT */
#include <segfs/npy.h>

#include <inttypes.h>
#include <stdio.h>

#include "dtype-internal.h"
#include "pyliteral.h"
#include "text.h"
#include "utf8.h"
#include "util.h"

/*
 * "\x93NUMPY", major, minor, the length of what follows (little-endian, two bytes in version 1.0, four in 2.0
 * and 3.0), and a Python dict in text: Latin-1 until 2.0, UTF-8 in 3.0, for the other field names.
 */
#define MAGIC	      "\x93NUMPY"
#define MAGIC_SIZE    6
#define LENGTH_AT     8
#define PREFIX_MAX    12
#define MAJOR_LATIN_1 2 /* the last version in that encoding */
#define MAJOR_UTF_8   3

/* What numpy pads to, so that the elements can be mapped aligned; and the digits of the longest length. */
#define ALIGNMENT     64
#define GROWTH_DIGITS 21

/* The keys met so far; each must be there once. */
enum {
	KEY_DESCR = 1,
	KEY_ORDER = 2,
	KEY_SHAPE = 4,
	KEY_ALL = KEY_DESCR | KEY_ORDER | KEY_SHAPE,
};

/* Bytes before the dict, or -EINVAL if this is no version that we know. */
static int prefix_size(const unsigned char *bytes, size_t len)
{
	if (len < LENGTH_AT || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0 || bytes[7] != 0)
		return -EINVAL;
	switch (bytes[6]) {
	case 1:
		return LENGTH_AT + 2;
	case 2:
	case 3:
		return LENGTH_AT + 4;
	default:
		return -EINVAL;
	}
}

SEGFS_PUBLIC ssize_t segfs_npy_header_size(const void *bytes, size_t len)
{
	const unsigned char *header = bytes;
	int prefix = prefix_size(header, len);
	uint64_t size = 0;

	if (prefix < 0 || (size_t)prefix > len)
		return -EINVAL;
	for (int i = prefix - 1; i >= LENGTH_AT; i--)
		size = size << 8 | header[i];
	size += (uint64_t)prefix;
	return size > SEGFS_NPY_HEADER_MAX ? -EMSGSIZE : (ssize_t)size;
}

/* Latin-1 is the first 256 code points; those above ASCII take two bytes. */
static int dup_as_utf8(const unsigned char *bytes, size_t len, char **ret_text, size_t *ret_len)
{
	char *text = reallocarray(NULL, len + 1, 2);
	size_t length = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		length += segfs_utf8_encode(bytes[i], text + length);
	*ret_text = text;
	*ret_len = length;
	return 0;
}

static int read_order(struct segfs_pyliteral *in, struct segfs_array *array)
{
	bool fortran;
	int r = segfs_pyliteral_read_bool(in, &fortran);

	if (r == 0)
		array->order = fortran ? 'F' : 'C';
	return r;
}

static int read_value(struct segfs_pyliteral *in, int key, struct segfs_array *array)
{
	switch (key) {
	case KEY_DESCR:
		return segfs_dtype_read(in, &array->dtype);
	case KEY_ORDER:
		return read_order(in, array);
	case KEY_SHAPE:
		return segfs_pyliteral_read_tuple(in, SEGFS_MAX_NDIM, array->shape, &array->ndim);
	default:
		return -EINVAL;
	}
}

static int read_key(struct segfs_pyliteral *in)
{
	SEGFS_FREE char *name = NULL;
	int r = segfs_pyliteral_read_string(in, &name);

	if (r < 0)
		return r;
	if (strcmp(name, "descr") == 0)
		return KEY_DESCR;
	if (strcmp(name, "fortran_order") == 0)
		return KEY_ORDER;
	return strcmp(name, "shape") == 0 ? KEY_SHAPE : -EINVAL;
}

/* One `key: value`, its key added to `keys`. */
static int read_entry(struct segfs_pyliteral *in, int *keys, struct segfs_array *array)
{
	int key = read_key(in);

	if (key < 0)
		return key;
	if ((*keys & key) != 0 || !segfs_pyliteral_accept(in, ':'))
		return -EINVAL;
	*keys |= key;
	return read_value(in, key, array);
}

/* The dict, and nothing after it but white space. */
static int read_dict(struct segfs_pyliteral *in, struct segfs_array *array)
{
	int keys = 0, r;

	if (!segfs_pyliteral_accept(in, '{'))
		return -EINVAL;
	for (size_t n = 0; (r = segfs_pyliteral_more(in, n, '}')) > 0; n++) {
		r = read_entry(in, &keys, array);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return keys == KEY_ALL && segfs_pyliteral_ended(in) ? 0 : -EINVAL;
}

/* The text after the prefix, of format version `major`. */
static int parse_text(const unsigned char *bytes, size_t len, int major, struct segfs_array *array)
{
	SEGFS_FREE char *utf8 = NULL;
	struct segfs_pyliteral in = {.next = (const char *)bytes, .end = (const char *)bytes + len};

	if (major <= MAJOR_LATIN_1) {
		size_t utf8_len;
		int r = dup_as_utf8(bytes, len, &utf8, &utf8_len);

		if (r < 0)
			return r;
		/* numpy takes Python 2's numbers in these versions only. */
		in = (struct segfs_pyliteral){.next = utf8, .end = utf8 + utf8_len, .python2 = true};
	}
	return read_dict(&in, array);
}

SEGFS_PUBLIC int segfs_npy_parse(const void *bytes, size_t len, struct segfs_array *ret_array)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
	const unsigned char *header = bytes;
	ssize_t size = segfs_npy_header_size(bytes, len);
	size_t prefix;
	int r;

	if (size < 0)
		return (int)size;
	if ((size_t)size > len)
		return -EINVAL;
	prefix = (size_t)prefix_size(header, len);
	r = parse_text(header + prefix, (size_t)size - prefix, header[MAGIC_SIZE], &array);
	if (r < 0)
		return r;
	array.offset = (uint64_t)size;
	*ret_array = array;
	array = (struct segfs_array){0};
	return 0;
}

/* Reads from the start of the file. The bytes read, fewer only at the end of the file, or -errno. */
static ssize_t read_start(int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buf + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

SEGFS_PUBLIC int segfs_npy_read(int fd, struct segfs_array *ret_array)
{
	SEGFS_FREE char *header = NULL;
	char prefix[PREFIX_MAX];
	ssize_t n;

	n = read_start(fd, prefix, sizeof(prefix));
	if (n < 0)
		return (int)n;
	n = segfs_npy_header_size(prefix, (size_t)n);
	if (n < 0)
		return (int)n;
	header = malloc((size_t)n);
	if (!header)
		return -ENOMEM;
	/* The prefix is read again with the rest: parse sees one copy, and refuses it if its length grew. */
	n = read_start(fd, header, (size_t)n);
	return n < 0 ? (int)n : segfs_npy_parse(header, (size_t)n, ret_array);
}

/* How the header of an array comes to look. */
struct layout {
	int major;
	bool fortran;
	size_t prefix, size; /* bytes before the dict, and of all */
};

/* As numpy has it, an order that makes no difference is C. */
static bool is_fortran(const struct segfs_array *array)
{
	struct segfs_array c = *array;

	c.order = 'C';
	return !segfs_array_equal(array, &c);
}

/* The blanks that numpy leaves behind a dict for the length along which a file can grow. */
static void put_spare(struct segfs_text *out, const struct segfs_array *array, bool fortran)
{
	char digits[GROWTH_DIGITS + 1];

	if (array->ndim > 0) {
		uint64_t grows = array->shape[fortran ? array->ndim - 1 : 0];
		int n = snprintf(digits, sizeof(digits), "%" PRIu64, grows);

		segfs_text_printf(out, "%*s", GROWTH_DIGITS - n, "");
	}
}

/* False if something in it is not Latin-1: in that encoding it is no dict then. */
static bool put_dict(struct segfs_text *out, const struct segfs_array *array, bool fortran, bool latin1)
{
	bool is_latin1;

	segfs_text_printf(out, "{'descr': ");
	is_latin1 = segfs_dtype_put_numpy(out, array->dtype, latin1);
	segfs_text_printf(out, ", 'fortran_order': %s, 'shape': ", fortran ? "True" : "False");
	segfs_dtype_put_tuple(out, array->shape, array->ndim);
	segfs_text_printf(out, ", }");
	put_spare(out, array, fortran);
	return is_latin1;
}

/* numpy pads by a whole unit where nothing is missing; the newline is in. */
static size_t padded(size_t size)
{
	return (size + 1) / ALIGNMENT * ALIGNMENT + ALIGNMENT;
}

/* The oldest version that can hold it. */
static struct layout lay_out(const struct segfs_array *array)
{
	struct layout layout = {.major = MAJOR_UTF_8, .fortran = is_fortran(array), .prefix = LENGTH_AT + 4};
	struct segfs_text text = segfs_text_start(NULL, 0);

	if (put_dict(&text, array, layout.fortran, true)) {
		layout.major =
			padded(LENGTH_AT + 2 + text.len) - LENGTH_AT - 2 <= UINT16_MAX ? 1 : MAJOR_LATIN_1;
	} else {
		text = segfs_text_start(NULL, 0);
		put_dict(&text, array, layout.fortran, false);
	}
	if (layout.major == 1)
		layout.prefix = LENGTH_AT + 2;
	layout.size = padded(layout.prefix + text.len);
	return layout;
}

static void write_header(const struct layout *layout, const struct segfs_array *array, char *header)
{
	size_t length = layout->size - layout->prefix;
	struct segfs_text text = segfs_text_start(header + layout->prefix, length);

	memcpy(header, MAGIC, MAGIC_SIZE);
	header[MAGIC_SIZE] = (char)layout->major;
	header[MAGIC_SIZE + 1] = 0;
	for (size_t i = LENGTH_AT; i < layout->prefix; i++)
		header[i] = (char)(length >> 8 * (i - LENGTH_AT));
	put_dict(&text, array, layout->fortran, layout->major <= MAJOR_LATIN_1);
	memset(text.buf + text.len, ' ', length - text.len);
	header[layout->size - 1] = '\n';
}

SEGFS_PUBLIC size_t segfs_npy_format(const struct segfs_array *array, void *buf, size_t size)
{
	struct layout layout = lay_out(array);

	if (layout.size <= size)
		write_header(&layout, array, buf);
	return layout.size;
}
