/* SPDX-License-Identifier: MIT */

/*
 * What libsegfs makes of types and .npy files, one line each, for numpy_agrees.py to compare with numpy.
 *
 *	describe dtype TEXT...	canonical <tab> itemsize <tab> alignment <tab> offsets of the named fields
 *	describe npy FILE...	the same, and <tab> shape <tab> order <tab> offset
 *
 * What is refused gives a line with the error's number, -22.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include <segfs/segfs.h>

#include "dtype-internal.h"

static void print_dtype(const struct segfs_dtype *dtype)
{
	size_t len = segfs_dtype_format(dtype, NULL, 0);
	SEGFS_FREE char *text = malloc(len + 1);

	if (!text)
		abort();
	segfs_dtype_format(dtype, text, len + 1);
	printf("%s\t%zu\t%zu\t", text, dtype->itemsize, dtype->alignment);
	for (size_t i = 0; i < dtype->n_fields; i++) {
		if (!segfs_dtype_is_padding(&dtype->fields[i]))
			printf("%zu ", dtype->fields[i].offset);
	}
}

static int describe_dtype(const char *text)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	int r = segfs_dtype_parse(text, strlen(text), &dtype);

	if (r == 0)
		print_dtype(dtype);
	return r;
}

static int describe_npy(const char *path)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
	SEGFS_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char shape[21 * SEGFS_MAX_NDIM];
	int r = segfs_npy_read(fd, &array);

	if (r < 0)
		return r;
	print_dtype(array.dtype);
	segfs_shape_format(array.shape, array.ndim, shape, sizeof(shape));
	printf("\t%s\t%c\t%" PRIu64, shape, array.order, array.offset);
	return 0;
}

int main(int argc, char *argv[])
{
	bool npy = argc > 1 && strcmp(argv[1], "npy") == 0;

	for (int i = 2; i < argc; i++) {
		int r = npy ? describe_npy(argv[i]) : describe_dtype(argv[i]);

		if (r < 0)
			printf("%d", r);
		printf("\n");
	}
	return EXIT_SUCCESS;
}
