/* SPDX-License-Identifier: MIT */
#include "resize.h"

#include <errno.h>
#include <fcntl.h>

#include "caller.h"
#include "census.h"
#include "devices.h"
#include "huge.h"
#include "ops.h"
#include "process.h"
#include "reply.h"
#include "seal.h"
#include "util.h"

/* The backing id of a node that nobody has open would stand in the lease's way. */
static bool is_unused(struct fs *fs, uint64_t ino, int fd, off_t size, struct lease *ret_lease)
{
	return passthrough_retire(&fs->passthrough, &fs->nodes, ino) &&
	       lease_take(&fs->leases, ret_lease, fd, ino, F_WRLCK, size) == 0;
}

/* Whatever grows gets its pages, all or, with ENOSPC, nothing. */
static bool reserves(const struct fs *fs)
{
	return fs->options.reserve || fs->options.huge == HUGE_ALWAYS;
}

/* Huge pages take a descriptor for reading, too, which the requester may have no right to. */
static int grow_reserved(fuse_req_t req, uint64_t ino, off_t from, off_t to)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_RDWR);
	AS_CALLER int r = caller_become(req);
	struct space_wait wait = {};

	if (MIN(fd, r) < 0)
		return MIN(fd, r);
	do
		r = segfs_huge_reserve(fd, from, to);
	while (space_again(fs_of(req), &wait, r));
	return r;
}

static int resize_as_caller(fuse_req_t req, int fd, off_t to)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	return ftruncate(fd, to) < 0 ? -errno : 0;
}

/* Sealing first notes that, and then looks for writers: so the seal is looked for with the file open. */
int resize(fuse_req_t req, uint64_t ino, int fd, off_t size, bool asked)
{
	struct fs *fs = fs_of(req);
	struct lease lease = {};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (seal_holds(fd, st.st_ino))
		return -EPERM;
	if (size < st.st_size && !asked && !is_unused(fs, ino, fd, size, &lease))
		return -EBUSY;
	if (size > st.st_size && reserves(fs))
		r = grow_reserved(req, ino, st.st_size, size);
	else
		r = resize_as_caller(req, fd, size);
	lease_give_back(&fs->leases, &lease);
	if (r == 0 && size >= SEGFS_HUGE_PAGE)
		promoter_look(fs, ino);
	return r;
}

static int open_as_caller(fuse_req_t req, int fd)
{
	AS_CALLER int r = caller_become(req);

	return r < 0 ? r : op_reopen(fs_of(req), fd, O_WRONLY);
}

int resize_to_empty(fuse_req_t req, uint64_t ino, int fd, bool asked)
{
	SEGFS_CLOSE int open_fd = open_as_caller(req, fd);

	return open_fd < 0 ? open_fd : resize(req, ino, open_fd, 0, asked);
}

static int truncate_as_caller(fuse_req_t req, int fd, off_t size)
{
	AS_CALLER int r = caller_become(req);
	char path[SEGFS_FD_PATH_MAX];

	segfs_fd_path(fd, path);
	if (r == 0 && truncate(path, size) < 0)
		r = -errno;
	return r;
}

int resize_by_path(fuse_req_t req, uint64_t ino, int fd, off_t size, bool asked)
{
	SEGFS_CLOSE int open_fd = open_as_caller(req, fd);
	struct stat st;

	if (open_fd < 0)
		return open_fd;
	if (fstat(open_fd, &st) < 0)
		return -errno;
	if (size == st.st_size && !seal_holds(open_fd, st.st_ino))
		return truncate_as_caller(req, open_fd, size);
	return resize(req, ino, open_fd, size, asked);
}

/* The requester is a thread of its process. */
static pid_t process_of(fuse_req_t req)
{
	struct segfs_process process;
	pid_t pid = fuse_req_ctx(req)->pid;

	return segfs_process_read(pid, &process) < 0 ? pid : process.pid;
}

static int look_for_mappings(const struct fs *fs, ino_t number, pid_t requester)
{
	const struct segfs_identity file = devices_identity(fs, number);
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	const struct segfs_user *users;
	size_t n;
	int r;

	r = segfs_census_take_of(&file, &census);
	if (r < 0)
		return r;
	n = segfs_census_find(census, number, &users);
	for (size_t i = 0; i < n; i++)
		if (users[i].how & SEGFS_USE_MAPPED && users[i].pid != requester)
			return -ETXTBSY;
	return 0;
}

static void run(struct fs *fs, struct slow_job *slow)
{
	struct resize_job *job = (void *)slow;
	int r = look_for_mappings(fs, job->number, process_of(slow->req));

	if (r < 0)
		reply(slow->req, r);
	else
		job->resume(job);
}

void resize_ask(fuse_req_t req, ino_t number, void (*resume)(struct resize_job *job), struct resize_job *job)
{
	*job = (struct resize_job){.job = {.req = req, .run = run}, .resume = resume, .number = number};
	slow_lane_submit(fs_of(req), &job->job);
}
