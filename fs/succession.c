/* SPDX-License-Identifier: MIT */
#include "succession.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "formers.h"
#include "ops.h"
#include "util.h"

static void watch(struct fs *fs, uint64_t ino)
{
	SEGFS_CLOSE int fd = -1;
	struct node node;

	if (node_get(&fs->nodes, ino, &node) < 0 || !S_ISDIR(node.told.mode) || node.watch >= 0)
		return;
	fd = node_open(&fs->nodes, &fs->store, ino, O_PATH | O_DIRECTORY);
	if (fd >= 0)
		watch_add(fs, ino, fd);
}

/* The directory of the last name, open (O_PATH): names of one mostly come in a row. */
struct place {
	uint64_t ino;
	int fd; /* owned, -1: none */
};

static void leave(struct place *place)
{
	close_fd(&place->fd);
}

static int enter(struct fs *fs, struct place *place, uint64_t ino)
{
	if (place->fd < 0 || place->ino != ino) {
		leave(place);
		*place = (struct place){ino, node_open(&fs->nodes, &fs->store, ino, O_PATH | O_DIRECTORY)};
	}
	return place->fd;
}

/* A name that has gone meanwhile is dropped, which lets go of the file and so of its memory (watch.c). */
static void refresh_name(struct fs *fs, struct place *place, uint64_t parent, const char *name)
{
	int dir = enter(fs, place, parent);
	struct stat st;

	if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		fuse_lowlevel_notify_inval_entry(fs->session, parent, name, strlen(name));
	else
		transport_expire_entry(&fs->transport, parent, name);
}

/*
 * Let the kernel ask again for a node and its name. What it does not know is by now only in the ledger:
 * nobody has it open, and its backing id need not keep its memory. Returns what node_doubt_left_s() does.
 */
static int refresh(struct fs *fs, struct place *place, uint64_t ino)
{
	SEGFS_FREE char *name = NULL;
	struct node node;

	if (node_get_named(&fs->nodes, ino, &node, &name) < 0)
		return NODE_TRUSTED;
	if (name)
		refresh_name(fs, place, node.parent, name);
	if (fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0) != -ENOENT) {
		node_trust(&fs->nodes, ino);
		return NODE_TRUSTED;
	}
	passthrough_retire(&fs->passthrough, &fs->nodes, ino);
	if (node_doubt(&fs->nodes, ino, &node))
		op_end_node(fs, &node);
	return node_doubt_left_s(&fs->nodes, ino);
}

/* An earlier worker can tell nobody any more of what he polls. */
static void wake_pollers(struct fs *fs)
{
	struct ledger_open *open;

	for (uint32_t at = 0; (open = ledger_open_next(&fs->ledger, &at));)
		if (open->poll)
			transport_notify_poll(&fs->transport, open->poll);
}

/* By which an earlier worker knew a file; or this one, if a request was quicker. */
static void refresh_formers(struct fs *fs, struct place *place)
{
	char name[LEDGER_NAME_MAX + 1];
	uint64_t parent;

	for (uint32_t at = 0; formers_next(&fs->ledger, &at, &parent, name);)
		refresh_name(fs, place, parent, name);
	if (formers_are_lost(&fs->ledger))
		transport_expire_all(&fs->transport);
}

/* First all watches, then all looks: what happens between the two is told. */
int succession_settle(struct fs *fs)
{
	SEGFS_FREE uint64_t *inos = NULL;
	ssize_t n = node_list(&fs->nodes, &inos);
	SEGFS_CLEANUP(leave) struct place place = {.fd = -1};
	int left_s = NODE_TRUSTED, next_s;

	wake_pollers(fs);
	for (ssize_t i = 0; i < n; i++)
		watch(fs, inos[i]);
	for (ssize_t i = 0; i < n; i++) {
		next_s = refresh(fs, &place, inos[i]);
		left_s = MIN(left_s, next_s);
	}
	refresh_formers(fs, &place);
	return left_s;
}

int succession_end_doubts(struct fs *fs)
{
	SEGFS_FREE uint64_t *inos = NULL;
	ssize_t n = node_list(&fs->nodes, &inos);
	SEGFS_CLEANUP(leave) struct place place = {.fd = -1};
	int left_s = NODE_TRUSTED, next_s;

	for (ssize_t i = 0; i < n; i++) {
		if (node_doubt_left_s(&fs->nodes, inos[i]) == NODE_TRUSTED)
			continue;
		next_s = refresh(fs, &place, inos[i]);
		left_s = MIN(left_s, next_s);
	}
	return left_s;
}
