/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <math.h>

#include "array-read.h"
#include "element.h"
#include "util.h"

#define RUN	     1024 /* elements */
#define N_RUNS	     (SEGFS_STATISTICS_MAX / RUN)
#define ITEMSIZE_MAX 16 /* of a real number */

/* Where a run begins. The runs of a small array leave out nothing. (Written so that nothing overflows.) */
static uint64_t run_start(uint64_t n_elements, uint64_t run)
{
	uint64_t last;

	if (n_elements <= SEGFS_STATISTICS_MAX)
		return run * RUN;
	last = n_elements - RUN;
	return last / (N_RUNS - 1) * run + last % (N_RUNS - 1) * run / (N_RUNS - 1);
}

/* `mean` holds the sum until the end. */
static void add(struct segfs_statistics *statistics, long double value)
{
	statistics->n_sampled++;
	if (isnan(value)) {
		statistics->n_nan++;
		return;
	}
	statistics->min = fminl(statistics->min, value);
	statistics->max = fmaxl(statistics->max, value);
	statistics->mean += value;
}

static int add_run(const struct segfs_array *array, int fd, uint64_t first, size_t n,
		   struct segfs_statistics *statistics)
{
	unsigned char elements[RUN * ITEMSIZE_MAX];
	int r = segfs_array_read(array, fd, first, n, elements);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		add(statistics, segfs_element_real(array->dtype, elements + i * array->dtype->itemsize));
	return 0;
}

int segfs_statistics_read(const struct segfs_array *array, int fd, struct segfs_statistics *ret_statistics)
{
	struct segfs_statistics statistics = {.min = NAN, .max = NAN};
	uint64_t n, n_bytes;
	int r;

	if (!segfs_element_is_real(array->dtype))
		return -ENOTSUP;
	r = segfs_array_count(array, &n, &n_bytes);
	for (uint64_t run = 0; r == 0 && run < N_RUNS; run++) {
		uint64_t first = run_start(n, run);

		if (first >= n)
			break;
		r = add_run(array, fd, first, MIN(RUN, n - first), &statistics);
	}
	if (r < 0)
		return r;
	statistics.mean /= (long double)(statistics.n_sampled - statistics.n_nan); /* 0 / 0 is NaN */
	*ret_statistics = statistics;
	return 0;
}
