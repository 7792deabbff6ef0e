/* SPDX-License-Identifier: MIT */
#include "succession.h"

#include <errno.h>
#include <fcntl.h>

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

/*
 * Let the kernel ask again for a node and its name. What it does not know is by now only in the ledger:
 * nobody has it open, and its backing id need not keep its memory.
 */
static void refresh(struct fs *fs, uint64_t ino)
{
	SEGFS_FREE char *name = NULL;
	struct node node;

	if (node_get_named(&fs->nodes, ino, &node, &name) < 0)
		return;
	if (name)
		transport_expire_entry(&fs->transport, node.parent, name);
	if (fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0) != -ENOENT) {
		node_trust(&fs->nodes, ino);
		return;
	}
	passthrough_retire(&fs->passthrough, &fs->nodes, ino);
	if (node_doubt(&fs->nodes, ino, &node))
		op_end_node(fs, &node);
}

/* An earlier worker can tell nobody any more of what he polls. */
static void wake_pollers(struct fs *fs)
{
	struct ledger_open *open;

	for (uint32_t at = 0; (open = ledger_open_next(&fs->ledger, &at));)
		if (open->poll)
			transport_notify_poll(&fs->transport, open->poll);
}

/* First all watches, then all looks: what happens between the two is told. */
int succession_settle(struct fs *fs)
{
	SEGFS_FREE uint64_t *inos = NULL;
	ssize_t n = node_list(&fs->nodes, &inos);
	int left_s = NODE_TRUSTED;

	wake_pollers(fs);
	for (ssize_t i = 0; i < n; i++)
		watch(fs, inos[i]);
	for (ssize_t i = 0; i < n; i++) {
		refresh(fs, inos[i]);
		left_s = MIN(left_s, node_doubt_left_s(&fs->nodes, inos[i]));
	}
	return left_s;
}

int succession_end_doubts(struct fs *fs)
{
	SEGFS_FREE uint64_t *inos = NULL;
	ssize_t n = node_list(&fs->nodes, &inos);
	int left_s = NODE_TRUSTED;

	for (ssize_t i = 0; i < n; i++) {
		if (node_doubt_left_s(&fs->nodes, inos[i]) == NODE_TRUSTED)
			continue;
		refresh(fs, inos[i]);
		left_s = MIN(left_s, node_doubt_left_s(&fs->nodes, inos[i]));
	}
	return left_s;
}
