/* SPDX-License-Identifier: MIT */
#include "passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "caller.h"
#include "fault.h"
#include "ledger.h"
#include "node.h"
#include "store.h"
#include "util.h"
#include "view.h"

/* Kernel ABI since Linux 6.9 (include/uapi/linux/fuse.h), which older headers lack. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

void passthrough_init(struct passthrough *passthrough, int fuse_fd, struct ledger *ledger)
{
	passthrough->fd = fuse_fd;
	passthrough->ledger = ledger;
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

static void note_last(const struct passthrough *passthrough, int id)
{
	passthrough->ledger->page->last_backing_id = id;
}

/* An id that is none is none afterwards, too. */
static void end(const struct passthrough *passthrough, int id)
{
	uint32_t number = (uint32_t)id;

	ioctl(passthrough->fd, BACKING_CLOSE, &number);
	ledger_closed(passthrough->ledger, id);
}

/*
 * Ids are given out upwards, one after the other (idr_alloc_cyclic()), and to one thread at a time: between
 * the last that was noted and a new one there are those that nobody has noted.
 */
static void end_unnoted(const struct passthrough *passthrough, int new_id)
{
	for (int id = passthrough->ledger->page->last_backing_id + 1; id < new_id; id++)
		end(passthrough, id);
}

static void end_closing(const struct passthrough *passthrough)
{
	const struct ledger_page *page = passthrough->ledger->page;

	for (size_t i = 0; i < LEDGER_THREADS; i++)
		if (page->closing[i])
			end(passthrough, page->closing[i]);
}

/* A file of the store, without a name; or, where the store takes no more, one of the memory that a tmpfs is
 * of. A store that is full, or read-only, is served like any other. */
static int open_nameless(const struct segfs_store *store)
{
	int fd = openat(store->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EROFS))
		fd = memfd_create("segfs-probe", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int passthrough_probe(struct passthrough *passthrough, const struct segfs_store *store)
{
	SEGFS_CLOSE int fd = open_nameless(store);
	int id;

	end_closing(passthrough);
	if (fd < 0)
		return fd;
	id = backing_open(passthrough, fd);
	if (id < 0)
		return id;
	end_unnoted(passthrough, id);
	end(passthrough, id);
	note_last(passthrough, id);
	return 0;
}

/* The kernel takes the path from `fd` and opens that anew with the flags of each user. */
static int register_node(struct passthrough *passthrough, struct node_table *nodes, uint64_t ino, int fd,
			 struct node_use *use)
{
	int id = node_use_backing(nodes, ino, use);

	if (id != 0)
		return id;
	id = backing_open(passthrough, fd);
	if (id <= 0)
		return id;
	node_set_backing(nodes, ino, id);
	note_last(passthrough, id);
	return node_use_backing(nodes, ino, use);
}

int passthrough_open(struct passthrough *passthrough, struct node_table *nodes, uint64_t ino, int fd,
		     struct node_use *use)
{
	int id;

	pthread_mutex_lock(&passthrough->lock);
	id = register_node(passthrough, nodes, ino, fd, use);
	pthread_mutex_unlock(&passthrough->lock);
	return id;
}

static int register_view(struct passthrough *passthrough, struct view_table *views, uint64_t view, int fd,
			 struct node_use *use)
{
	int id = view_use_backing(views, view, use);

	if (id != 0)
		return id;
	id = backing_open(passthrough, fd);
	if (id <= 0)
		return id;
	view_set_backing(views, view, id);
	note_last(passthrough, id);
	return view_use_backing(views, view, use);
}

int passthrough_open_view(struct passthrough *passthrough, struct view_table *views, uint64_t view, int fd,
			  struct node_use *use)
{
	int id;

	pthread_mutex_lock(&passthrough->lock);
	id = register_view(passthrough, views, view, fd, use);
	pthread_mutex_unlock(&passthrough->lock);
	return id;
}

void passthrough_release_view(struct passthrough *passthrough, struct view_table *views, uint64_t view,
			      uint64_t handle)
{
	pthread_mutex_lock(&passthrough->lock);
	passthrough_close(passthrough, view_release_backing(views, view, handle));
	pthread_mutex_unlock(&passthrough->lock);
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

void passthrough_close(const struct passthrough *passthrough, int id)
{
	if (id <= 0)
		return;
	fault_at("END");
	end(passthrough, id);
}
