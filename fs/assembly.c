/* SPDX-License-Identifier: MIT */
#include "assembly.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "devices.h"
#include "fresh.h"
#include "fs.h"
#include "ops.h"
#include "util.h"

void assembly_init(struct fs *fs, const struct options *options)
{
	*fs = (struct fs){
		.options = *options,
		.supervisor = -1,
		.control_above = -1,
		.store = {.root_fd = -1, .proc_fd = -1},
		.watch = {.inotify = -1, .wake = -1},
		.reaper = {.wake = -1, .timer = -1, .epoll = -1, .uses.fd = -1},
		.workers.ended = -1,
	};
	fresh_init(fs);
	names_init(&fs->names);
	space_init(&fs->space);
	spare_init(&fs->spare);
	leases_init(&fs->leases);
}

static int init_nodes(struct fs *fs)
{
	struct segfs_handle handle;
	struct told told;
	struct stat st;
	int r;

	if (fstat(fs->store.root_fd, &st) < 0)
		return -errno;
	r = segfs_store_handle(fs->store.root_fd, &handle);
	if (r < 0)
		return r;
	told = fresh_look(fs->store.root_fd, &st);
	r = node_table_init(&fs->nodes, st.st_ino, &handle, &told, &fs->ledger);
	return r < 0 ? r : view_table_init(&fs->views, &fs->ledger);
}

/* The session closes its descriptor, the one that was lent stays. */
static int open_session(struct fs *fs, int fuse_fd)
{
	char name[] = "segfs", debug[] = "-d", *argv[] = {name, debug, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(fs->options.debug ? 2 : 1, argv);
	int fd = fcntl(fuse_fd, F_DUPFD_CLOEXEC, 0);
	int r = fd < 0 ? -errno : 0;

	if (r < 0)
		return r;
	fs->session = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	r = fs->session ? transport_attach(&fs->transport, fs->session, fd, fs->ledger.page) : -ENOMEM;
	if (r < 0)
		close(fd);
	return r;
}

int assembly_open(struct fs *fs, dev_t device, int fuse_fd)
{
	int r;

	ledger_take_over(&fs->ledger);
	opened_init(&fs->opened, ++fs->ledger.page->n_workers);
	r = init_nodes(fs);
	if (r == 0)
		r = devices_init(fs, device);
	return r < 0 ? r : open_session(fs, fuse_fd);
}

int assembly_start(struct fs *fs)
{
	int r;

	space_start(fs);
	r = sweep_start(fs);
	if (r == 0)
		r = watch_start(fs);
	if (r == 0)
		r = slow_lane_start(fs);
	if (r == 0)
		r = reaper_start(fs);
	if (r == 0)
		r = promoter_start(fs);
	return r < 0 ? r : events_start(fs);
}

void assembly_end(struct fs *fs)
{
	workers_stop(fs);
	spare_destroy(&fs->spare);
	promoter_stop(fs);
	reaper_stop(fs);
	watch_stop(fs);
	slow_lane_stop(fs);
	sweep_stop(fs);
	events_stop(fs);
	if (fs->session)
		fuse_session_destroy(fs->session);
	node_table_destroy(&fs->nodes);
	view_table_destroy(&fs->views);
	names_destroy(&fs->names);
	opened_destroy(&fs->opened);
	segfs_store_close(&fs->store);
	leases_destroy(&fs->leases);
	ledger_unmap(&fs->ledger);
}
