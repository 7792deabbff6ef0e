/* SPDX-License-Identifier: MIT */

/*
 * A gigabyte that is loaded once and read by many workers, who share its memory.
 *
 *	load_once load /mnt/shm/NAME [MEBIBYTES]
 *	load_once work /mnt/shm/NAME
 *
 * cc -O2 -o load_once load_once.c $(pkg-config --cflags --libs segfs)
 */
#include <segfs/mapping.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *path, int error)
{
	fprintf(stderr, "load_once: %s: %s\n", path, strerror(-error));
	return EXIT_FAILURE;
}

/* It gets its name when it is loaded: who finds it finds all of it. */
static int load(const char *path, uint64_t mebibytes)
{
	uint64_t n = mebibytes * (1 << 20) / sizeof(double);
	struct segfs_mapping *mapping;
	char loading[4096];
	double *a;
	int r;

	snprintf(loading, sizeof(loading), "%s_loading", path);
	r = segfs_mapping_create(loading, O_EXCL, 0644, "<f8", &n, 1, 'C', &mapping);
	if (r < 0)
		return fail(loading, r);
	a = segfs_mapping_data(mapping);
	for (uint64_t i = 0; i < n; i++) /* here: from a file, a database, a simulation */
		a[i] = (double)i;
	segfs_mapping_close(mapping);
	return rename(loading, path) < 0 ? fail(path, -errno) : EXIT_SUCCESS;
}

/* Open for reading only: a worker that writes by mistake hurts itself, not the others. */
static int work(const char *path)
{
	struct segfs_mapping *mapping;
	uint64_t n, bytes;
	const double *a;
	double sum = 0;
	int r;

	while ((r = segfs_mapping_open(path, O_RDONLY, "<f8", &mapping)) == -ENOENT)
		usleep(10000);
	if (r < 0)
		return fail(path, r);
	segfs_array_count(segfs_mapping_array(mapping), &n, &bytes);
	a = segfs_mapping_data(mapping);
	for (uint64_t i = 0; i < n; i++)
		sum += a[i];
	printf("%.0f\n", sum);
	fflush(stdout);
	getchar(); /* stays until its input ends, for whoever wants to look at it in /proc */
	segfs_mapping_close(mapping);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "load") == 0)
		return load(argv[2], argc > 3 ? strtoull(argv[3], NULL, 10) : 1024);
	if (argc == 3 && strcmp(argv[1], "work") == 0)
		return work(argv[2]);
	fputs("usage: load_once load SEGMENT [MEBIBYTES] | load_once work SEGMENT\n", stderr);
	return 2;
}
