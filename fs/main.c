/* SPDX-License-Identifier: MIT */

/* segfs(8): from the command line to a supervisor, or to a worker of one. Read next: supervisor.h, worker.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "heap.h"
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

int main(int argc, char **argv)
{
	struct options options;
	int status;

	heap_keep_small(argv);
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
