/* SPDX-License-Identifier: MIT */
/* Type strings, names and descr lists: what is accepted is written in a form that reads back to the same. */
#include <segfs/dtype.h>

#include "dtype-internal.h"
#include "target.h"

static void round_trip(const struct segfs_dtype *dtype)
{
	size_t len = segfs_dtype_format(dtype, NULL, 0);
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *again = NULL;
	SEGFS_FREE char *text = malloc(len + 1), *text_again = malloc(len + 1);

	MUST(text && text_again);
	MUST(segfs_dtype_format(dtype, text, len + 1) == len && strlen(text) == len);
	MUST(segfs_dtype_parse(text, len, &again) == 0);
	MUST(segfs_dtype_equal(dtype, again));
	MUST(segfs_dtype_format(again, text_again, len + 1) == len && !strcmp(text, text_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	SEGFS_FREE char *text = rest_copy(&(struct input){data, size});

	if (segfs_dtype_parse(text, size, &dtype) == 0)
		round_trip(dtype);
	else
		MUST(!dtype);
	return 0;
}
