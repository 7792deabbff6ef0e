/* SPDX-License-Identifier: MIT */

/*
 * Parameters that a trainer updates often, and workers read whenever they like: always whole, never waiting.
 *
 *	train write /mnt/shm/NAME UPDATES
 *	train read /mnt/shm/NAME UPDATES
 */
#include <segfs/table.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Step and weights belong together: they are one field, and so written as one. The rate is on its own. */
#define N_WEIGHTS 256
#define RECORD	  "[('model', [('step', '<u8'), ('weights', '<f8', (256,))]), ('rate', '<f8')]"

struct model {
	uint64_t step;
	double weights[N_WEIGHTS];
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "train: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

static int train(struct segfs_table *table, uint64_t n_updates)
{
	int model_field = segfs_table_find(table, "model"), rate_field = segfs_table_find(table, "rate");
	struct model model = {0};
	double rate = 1;
	int r = 0;

	while (r >= 0 && model.step < n_updates) {
		model.step++;
		for (int i = 0; i < N_WEIGHTS; i++) /* here: a step of gradient descent */
			model.weights[i] = (double)model.step;
		r = segfs_table_write(table, (unsigned)model_field, &model, -1);
		rate *= 0.999;
		if (r >= 0)
			r = segfs_table_write(table, (unsigned)rate_field, &rate, -1);
	}
	return r < 0 ? fail("write", r) : EXIT_SUCCESS;
}

static int check(const struct model *model, uint64_t last)
{
	for (int i = 0; i < N_WEIGHTS; i++)
		if (model->weights[i] != (double)model->step)
			return -EILSEQ; /* weights of different steps */
	return model->step < last ? -EILSEQ : 0;
}

static int work(struct segfs_table *table, uint64_t n_updates)
{
	int field = segfs_table_find(table, "model");
	struct model model = {0};
	uint64_t last = 0, n_reads = 0, n_written;
	int r;

	while (last < n_updates) {
		r = segfs_table_read(table, (unsigned)field, &model, &n_written);
		if (r == -EAGAIN) /* a trainer that does nothing else is too fast for us: once more */
			continue;
		if (r == 0)
			r = check(&model, last);
		if (r < 0)
			return fail("read", r);
		last = model.step;
		n_reads++;
		usleep(100); /* here: the work */
	}
	printf("step %" PRIu64 " reads %" PRIu64 "\n", last, n_reads);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct segfs_table *table;
	int r;

	if (argc != 4 || (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0)) {
		fputs("usage: train write|read SEGMENT UPDATES\n", stderr);
		return 2;
	}
	r = segfs_table_create(argv[2], 0, 0644, RECORD, &table);
	if (r < 0)
		return fail(argv[2], r);
	r = (strcmp(argv[1], "write") == 0 ? train : work)(table, strtoull(argv[3], NULL, 10));
	segfs_table_close(table);
	return r;
}
