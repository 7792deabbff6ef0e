/* SPDX-License-Identifier: MIT */
#include "passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "caller.h"
#include "node.h"
#include "store.h"
#include "util.h"

/* Kernel ABI since Linux 6.9 (include/uapi/linux/fuse.h), which older headers lack. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

void passthrough_init(struct passthrough *passthrough, int fuse_fd)
{
	passthrough->fd = fuse_fd;
	pthread_mutex_init(&passthrough->lock, NULL);
}

/*
 * The kernel keeps the credentials of this moment for every later write. Without CAP_FSETID such a write
 * takes set-user-ID and set-group-ID bits away from the file, as the writer's own write to the store would.
 */
static int backing_open(const struct passthrough *passthrough, int fd)
{
	struct backing_map map = {.fd = fd};
	int id;

	caller_drop_fsetid();
	id = ioctl(passthrough->fd, BACKING_OPEN, &map);
	if (id < 0)
		id = -errno;
	caller_regain_fsetid();
	return id;
}

int passthrough_probe(struct passthrough *passthrough, const struct segfs_store *store)
{
	SEGFS_CLOSE int fd = openat(store->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int id;

	if (fd < 0 && errno == EROFS) /* a store that nobody can write to has nothing to probe with */
		return 0;
	if (fd < 0)
		return -errno;
	id = backing_open(passthrough, fd);
	if (id < 0)
		return id;
	passthrough_close(passthrough, id);
	return 0;
}

static int register_node(struct passthrough *passthrough, const struct segfs_store *store,
			 struct node_table *nodes, uint64_t ino)
{
	/* The kernel takes the path from it and opens that anew with the flags of each user. Open for
	 * writing, it would keep the store's file from being run (ETXTBSY). */
	SEGFS_CLOSE int fd = node_open(nodes, store, ino, O_RDONLY);
	int id;

	if (fd < 0)
		return fd;
	id = backing_open(passthrough, fd);
	if (id > 0)
		node_set_backing(nodes, ino, id);
	return id;
}

int passthrough_open(struct passthrough *passthrough, const struct segfs_store *store,
		     struct node_table *nodes, uint64_t ino, bool writes)
{
	int id = node_use_backing(nodes, ino, writes);

	if (id != 0)
		return id;
	pthread_mutex_lock(&passthrough->lock);
	id = node_use_backing(nodes, ino, writes);
	if (id == 0) {
		id = register_node(passthrough, store, nodes, ino);
		if (id > 0)
			id = node_use_backing(nodes, ino, writes);
	}
	pthread_mutex_unlock(&passthrough->lock);
	return id;
}

bool passthrough_retire(struct passthrough *passthrough, struct node_table *nodes, uint64_t ino)
{
	bool unused;
	int id;

	pthread_mutex_lock(&passthrough->lock);
	unused = node_take_backing(nodes, ino, &id);
	passthrough_close(passthrough, id);
	pthread_mutex_unlock(&passthrough->lock);
	return unused;
}

void passthrough_close(struct passthrough *passthrough, int id)
{
	uint32_t number = (uint32_t)id;

	if (id > 0)
		ioctl(passthrough->fd, BACKING_CLOSE, &number);
}
