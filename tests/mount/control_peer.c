/* SPDX-License-Identifier: MIT */

/*
 * A program with the control page of a segment: control-peer PATH [r]. Does what it reads, a line each, and
 * says what came of it: the function's result, or for `version`, `publish` and `wait` the version. With `r`
 * the control is for reading only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <segfs/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t act(struct segfs_control *control, const char *what, uint64_t number)
{
	uint64_t version = 0;
	int r;

	if (!strcmp(what, "lock"))
		return segfs_lock_exclusive(control, -1);
	if (!strcmp(what, "trylock"))
		return segfs_lock_exclusive(control, 0);
	if (!strcmp(what, "unlock"))
		return segfs_unlock_exclusive(control);
	if (!strcmp(what, "share"))
		return segfs_lock_shared(control, -1);
	if (!strcmp(what, "unshare"))
		return segfs_unlock_shared(control);
	if (!strcmp(what, "version"))
		return (int64_t)segfs_version(control);
	if (!strcmp(what, "publish"))
		r = segfs_publish(control, &version);
	else if (!strcmp(what, "wait"))
		r = segfs_wait(control, number, -1, &version);
	else
		r = -EINVAL;
	return r < 0 ? r : (int64_t)version;
}

int main(int argc, char **argv)
{
	struct segfs_control *control;
	char line[64], what[32];
	int r;

	if (argc < 2)
		return 2;
	r = segfs_control_open(argv[1], argc > 2 ? O_RDONLY : O_RDWR, &control);
	printf("%d\n", r);
	fflush(stdout);
	if (r < 0)
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t number = 0;

		if (sscanf(line, "%31s %" SCNu64, what, &number) < 1)
			continue;
		printf("%" PRId64 "\n", act(control, what, number));
		fflush(stdout);
	}
	segfs_control_close(control);
	return 0;
}
