/* SPDX-License-Identifier: MIT */

/* segfs(8): from the command line to a supervisor, or to a worker of one. Read next: supervisor.h, worker.h.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "link.h"
#include "log.h"
#include "options.h"
#include "supervisor.h"
#include "worker.h"

/* Exit statuses, as of mount(8). */
enum { EXIT_USAGE = 1, EXIT_BUG = 4, EXIT_MOUNT = 32 };

static int run(const struct options *options, int argc, char **argv)
{
	int r = options->foreground ? 0 : background_enter(EXIT_MOUNT);

	if (r < 0)
		log_error("going to the background: %s", strerror(-r));
	else
		r = supervisor_run(options, argc, argv);
	if (r == -ECHILD)
		return EXIT_BUG;
	return r < 0 ? EXIT_MOUNT : EXIT_SUCCESS;
}

static int run_worker(const struct options *options)
{
	const struct link link = link_inherited();

	background_leave(options);
	return worker_run(options, &link);
}

/* From here on, memory is mapped for each use and given back at once: among others what open_memstream(3)
 * begins with. */
#define LARGE (8 << 10)

/*
 * Threads answer whichever request comes, so what one has allocated another frees: with an arena for each of
 * them, all creep up for hours to what the largest has needed. So does the one arena, as what lives long
 * comes to lie between what is large and short-lived (attributes, listings, views).
 */
static void keep_heap_small(void)
{
#ifdef M_ARENA_MAX /* glibc */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
}

int main(int argc, char **argv)
{
	struct options options;
	int status;

	keep_heap_small();
	switch (options_parse(argc, argv, &options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	status = options.worker ? run_worker(&options) : run(&options, argc, argv);
	options_clear(&options);
	return status;
}
