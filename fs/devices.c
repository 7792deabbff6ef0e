/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "note.h"
#include "util.h"

#define MOUNTS_NOTE NOTE_PREFIX "mounts"
#define STORE	    1 /* place in fs->dev */

static bool is_known(const struct fs *fs, dev_t dev)
{
	for (size_t i = 0; i < SEGFS_DEVICES_MAX; i++)
		if (fs->dev[i] == dev)
			return true;
	return false;
}

/* The number of one that nobody uses any more may by now be another file system's. */
static bool is_used(dev_t device)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	const dev_t dev[SEGFS_DEVICES_MAX] = {device};

	return segfs_census_take(dev, &census) == 0 && !segfs_census_is_empty(census);
}

/* "3a 3c 41": numbers in base 16, the latest first. */
static void read_former(struct fs *fs, ino_t root)
{
	char text[NOTE_MAX], *at = text;
	size_t n = STORE + 1;

	if (note_read(fs->store.root_fd, MOUNTS_NOTE, root, text) < 0)
		return;
	while (n < SEGFS_DEVICES_MAX && *at) {
		dev_t dev = strtoull(at, &at, 16);

		if (*at && *at++ != ' ')
			return;
		if (!is_known(fs, dev) && is_used(dev))
			fs->dev[n++] = dev;
	}
}

/* Of many mounts the oldest are left out. */
static void write_mounts(const struct fs *fs, ino_t root)
{
	char text[NOTE_MAX] = "";
	size_t len = 0;
	int r;

	for (size_t i = 0; i < SEGFS_DEVICES_MAX && len < sizeof(text) - 18; i++)
		if (i != STORE && fs->dev[i])
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						len ? " %" PRIx64 : "%" PRIx64, (uint64_t)fs->dev[i]);
	r = note_write(fs->store.root_fd, MOUNTS_NOTE, root, text);
	if (r < 0 && r != -EROFS)
		log_warning("noting the mount on %s: %s", fs->options.store, strerror(-r));
}

int devices_init(struct fs *fs, dev_t mount)
{
	struct ledger_page *page = fs->ledger.page;
	struct stat st;

	if (page->attached) {
		memcpy(fs->dev, page->dev, sizeof(fs->dev));
		return 0;
	}
	fs->dev[0] = mount;
	fs->dev[STORE] = fs->store.dev;
	if (fstat(fs->store.root_fd, &st) < 0)
		return -errno;
	read_former(fs, st.st_ino);
	write_mounts(fs, st.st_ino);
	memcpy(page->dev, fs->dev, sizeof(page->dev));
	return 0;
}

struct segfs_identity devices_identity(const struct fs *fs, ino_t ino)
{
	struct segfs_identity file = {.ino = ino};

	memcpy(file.dev, fs->dev, sizeof(file.dev));
	return file;
}
