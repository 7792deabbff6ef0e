/* SPDX-License-Identifier: MIT */

/*
 * The .npy headers that libsegfs writes, for numpy_writes_same.py to compare with numpy's.
 *
 *	write_npy_header [DTYPE SHAPE ORDER]...		a line of hexadecimal digits for each three
 */
#include <stdio.h>

#include <segfs/npy.h>

#include "util.h"

static void print_header(const struct segfs_array *array)
{
	size_t size = segfs_npy_format(array, NULL, 0);
	SEGFS_FREE unsigned char *header = malloc(size);

	if (!header)
		abort();
	segfs_npy_format(array, header, size);
	for (size_t i = 0; i < size; i++)
		printf("%02x", header[i]);
}

static int print_header_of(const char *dtype, const char *shape, const char *order)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {.order = order[0]};
	int r = segfs_dtype_parse(dtype, strlen(dtype), &array.dtype);

	if (r == 0)
		r = segfs_shape_parse(shape, strlen(shape), array.shape, &array.ndim);
	if (r == 0)
		print_header(&array);
	return r;
}

int main(int argc, char *argv[])
{
	for (int i = 1; i + 2 < argc; i += 3) {
		int r = print_header_of(argv[i], argv[i + 1], argv[i + 2]);

		if (r < 0)
			printf("%d", r);
		printf("\n");
	}
	return EXIT_SUCCESS;
}
