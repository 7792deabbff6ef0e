/* SPDX-License-Identifier: MIT */
/* Shapes and lifetimes: short texts, each of which reads back. */
#include <segfs/array.h>

#include "lifetime.h"
#include "target.h"

static void try_shape(const char *text, size_t len)
{
	uint64_t shape[SEGFS_MAX_NDIM], again[SEGFS_MAX_NDIM];
	char canonical[SEGFS_MAX_NDIM * 21];
	unsigned ndim, ndim_again;

	if (segfs_shape_parse(text, len, shape, &ndim) < 0)
		return;
	MUST(ndim <= SEGFS_MAX_NDIM);
	len = segfs_shape_format(shape, ndim, canonical, sizeof(canonical));
	MUST(len < sizeof(canonical));
	MUST(segfs_shape_parse(canonical, len, again, &ndim_again) == 0 && ndim_again == ndim);
	MUST(memcmp(shape, again, ndim * sizeof(*shape)) == 0);
}

static void try_lifetime(const char *text, size_t len)
{
	struct segfs_lifetime lifetime, again;
	char canonical[SEGFS_LIFETIME_MAX];

	if (segfs_lifetime_parse(text, len, &lifetime) < 0)
		return;
	segfs_lifetime_format(&lifetime, canonical);
	MUST(segfs_lifetime_parse(canonical, strlen(canonical), &again) == 0);
	MUST(again.kind == lifetime.kind && (again.kind != SEGFS_TTL || again.ttl_s == lifetime.ttl_s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_FREE char *text = rest_copy(&(struct input){data, size});

	try_shape(text, size);
	try_lifetime(text, size);
	return 0;
}
