/* SPDX-License-Identifier: MIT */
#include "page-lock.h"

#include <errno.h>
#include <sys/stat.h>

#include "devices.h"
#include "util.h"

#define STORE 1 /* place in fs->dev */

/* A page has one inode number in the store, and another where it is mapped through the mount. */
struct place {
	const struct fs *fs;
	ino_t inos[2];
	const struct segfs_census *census; /* borrowed; NULL: take one of each */
};

/* The page by its path in the store, or by that in a mount. */
static int take_census(const struct place *place, bool in_store, struct segfs_census **ret_census)
{
	struct segfs_identity file = devices_identity(place->fs, place->inos[!in_store]);

	for (size_t i = 0; i < SEGFS_DEVICES_MAX; i++)
		if ((i == STORE) != in_store)
			file.dev[i] = 0;
	return segfs_census_take_of(&file, ret_census);
}

static int add_holders(const struct place *place, const struct segfs_census *census,
		       const struct segfs_control_state *state, struct segfs_page_lock *lock)
{
	size_t n = lock->exclusive ? 1 : state->n_shared;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint32_t tid = lock->exclusive ? state->exclusive_tid : state->shared_tids[i];
		pid_t pid = segfs_control_state_holder(census, place->inos, COUNT_OF(place->inos), tid);

		if (pid > 0)
			r = segfs_pids_add(&lock->holders, pid);
	}
	return r;
}

static int find_holders(const struct place *place, const struct segfs_control_state *state,
			struct segfs_page_lock *lock)
{
	int r = 0;

	if (place->census)
		return add_holders(place, place->census, state, lock);
	for (int in_store = 0; r == 0 && in_store <= 1; in_store++) {
		SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;

		r = take_census(place, in_store, &census);
		if (r == 0)
			r = add_holders(place, census, state, lock);
	}
	return r;
}

int page_lock_read(const struct fs *fs, int page_fd, ino_t ino, const struct segfs_census *census,
		   struct segfs_page_lock *ret_lock, struct segfs_control_state *ret_state)
{
	SEGFS_CLEANUP(segfs_page_lock_clear) struct segfs_page_lock lock = {};
	struct place place = {.fs = fs, .census = census};
	struct segfs_control_state state;
	struct stat st;
	int r;

	if (page_fd < 0 || fstat(page_fd, &st) < 0)
		return -ENOENT;
	r = segfs_control_state_read(page_fd, &state);
	if (r < 0)
		return r == -EBADMSG ? -ENOENT : r;
	place.inos[0] = st.st_ino;
	place.inos[1] = view_id(VIEW_CTL, ino);
	lock.held = state.exclusive || state.n_shared > 0;
	lock.exclusive = state.n_shared == 0;
	lock.n_waiting = state.exclusive && state.n_shared > 0; /* for the others to go */
	if (lock.held)
		r = find_holders(&place, &state, &lock);
	if (r < 0)
		return r;
	*ret_lock = lock;
	lock = (struct segfs_page_lock){};
	if (ret_state)
		*ret_state = state;
	return 0;
}
