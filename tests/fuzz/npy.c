/* SPDX-License-Identifier: MIT */
/* .npy headers, in a file: what is accepted is an array, whose header as numpy writes it reads back. */
#include <segfs/npy.h>

#include "target.h"

static void round_trip(const struct segfs_array *array)
{
	size_t len = segfs_npy_format(array, NULL, 0);
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array again = {};
	SEGFS_FREE char *header = malloc(len);

	MUST(header && segfs_npy_format(array, header, len) == len);
	if (len > SEGFS_NPY_HEADER_MAX)
		return;
	MUST(segfs_npy_header_size(header, len) == (ssize_t)len);
	MUST(segfs_npy_parse(header, len, &again) == 0);
	MUST(again.ndim == array->ndim && again.offset == len);
	MUST(memcmp(again.shape, array->shape, array->ndim * sizeof(*array->shape)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {};
	SEGFS_CLOSE int fd = fuzz_file(data, size);
	uint64_t elements, bytes;

	if (segfs_npy_read(fd, &array) < 0) {
		MUST(!array.dtype);
		return 0;
	}
	MUST(array.offset <= size && array.ndim <= SEGFS_MAX_NDIM);
	segfs_array_check(&array, size);
	segfs_array_count(&array, &elements, &bytes);
	round_trip(&array);
	return 0;
}
