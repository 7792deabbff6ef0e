/* SPDX-License-Identifier: MIT */

/*
 * table-peer FILE: makes FILE a table and writes it at full speed, one process a field, until the end of its
 * input. For each line of input, a field's name, it reads that field and prints its count and its value; for
 * an empty line, all of them as of one moment. Each value is told by its count: `wide` holds it in all
 * places, `half` as a half of it, and `b` is never ahead of `a`.
 */
#include <segfs/table.h>

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#define RECORD                                                                                               \
	"[('a', '<u8'), ('', '|V3'), ('b', '<u8'), ('wide', '<u8', (40,)), ('pair', [('count', '<u8'), "     \
	"('half', '<f8')])]"

enum { A, B, WIDE, PAIR };

struct __attribute__((packed)) record {
	uint64_t a;
	char padding[3];
	uint64_t b, wide[40];
	struct {
		uint64_t count;
		double half;
	} pair;
};

static void write_field(struct segfs_table *table, unsigned field, const void *bytes)
{
	if (segfs_table_write(table, field, bytes, -1) < 0)
		errx(1, "write");
}

static void write_counts(struct segfs_table *table)
{
	for (uint64_t i = 1;; i++) {
		write_field(table, A, &i);
		write_field(table, B, &i);
	}
}

static void write_wide(struct segfs_table *table)
{
	uint64_t wide[40];

	for (uint64_t i = 1;; i++) {
		for (size_t k = 0; k < COUNT_OF(wide); k++)
			wide[k] = i;
		write_field(table, WIDE, wide);
	}
}

static void write_pair(struct segfs_table *table)
{
	struct {
		uint64_t count;
		double half;
	} pair;

	for (uint64_t i = 1;; i++) {
		pair.count = i;
		pair.half = (double)i / 2;
		write_field(table, PAIR, &pair);
	}
}

static pid_t start(struct segfs_table *table, void (*run)(struct segfs_table *table))
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(table);
	_exit(0);
}

static void answer(struct segfs_table *table, const char *name)
{
	uint64_t value[40], count;
	struct record all;

	if (*name != '\0') {
		if (segfs_table_read(table, (unsigned)segfs_table_find(table, name), value, &count) < 0)
			errx(1, "read of %s", name);
		printf("%" PRIu64 " %" PRIu64 "\n", count, value[0]);
	} else {
		if (segfs_table_snapshot(table, &all, -1) < 0)
			errx(1, "snapshot");
		printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", all.a, all.b, all.wide[39],
		       all.pair.count);
	}
	fflush(stdout);
}

static struct segfs_table *make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct segfs_dtype *dtype;
	struct segfs_table *table;

	if (fd < 0)
		err(1, "%s", path);
	if (segfs_dtype_parse(RECORD, strlen(RECORD), &dtype) < 0 || segfs_table_format(fd, dtype) < 0 ||
	    segfs_table_open(fd, &table) < 0)
		errx(1, "%s: no table", path);
	segfs_dtype_free(dtype);
	close(fd);
	return table;
}

int main(int argc, char **argv)
{
	struct segfs_table *table;
	char line[64];
	pid_t pids[3];

	if (argc != 2)
		errx(2, "usage: table-peer FILE");
	table = make(argv[1]);
	pids[0] = start(table, write_counts);
	pids[1] = start(table, write_wide);
	pids[2] = start(table, write_pair);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		answer(table, line);
	}
	for (size_t i = 0; i < COUNT_OF(pids); i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	segfs_table_close(table);
	return 0;
}
