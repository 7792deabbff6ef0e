/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "util.h"

struct walk {
	segfs_walk_fn visit;
	void *data;
	bool ended;
};

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int open_dir(int dir_fd, const char *name, DIR **ret_dir)
{
	SEGFS_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return -errno;
	steal_fd(&fd);
	*ret_dir = dir;
	return 0;
}

static bool is_itself(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int walk(struct walk *state, int dir_fd, const char *name, const char *path, unsigned depth);

static int visit(struct walk *state, DIR *dir, const struct dirent *dirent, const char *path, unsigned depth)
{
	SEGFS_FREE char *below = NULL;
	struct segfs_walk_entry entry = {
		.dir_fd = dirfd(dir), .name = dirent->d_name, .type = dirent->d_type};
	int r;

	if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", dirent->d_name) < 0) {
		below = NULL;
		return -ENOMEM;
	}
	entry.path = below;
	state->ended = !state->visit(&entry, state->data);
	if (state->ended || dirent->d_type != DT_DIR || depth == SEGFS_WALK_DEPTH)
		return 0;
	r = walk(state, dirfd(dir), dirent->d_name, below, depth + 1);
	return r == -ENOMEM ? r : 0;
}

static int walk(struct walk *state, int dir_fd, const char *name, const char *path, unsigned depth)
{
	SEGFS_CLEANUP(close_dir) DIR *dir = NULL;
	const struct dirent *dirent;
	int r = open_dir(dir_fd, name, &dir);

	while (r == 0 && !state->ended && (dirent = readdir(dir)))
		if (!is_itself(dirent->d_name))
			r = visit(state, dir, dirent, path, depth);
	return r;
}

int segfs_walk(int dir_fd, segfs_walk_fn function, void *data)
{
	struct walk start = {.visit = function, .data = data};

	return walk(&start, dir_fd, ".", "", 0);
}
