/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>
#include <linux/fuse.h>

/* No FLUSH at close(2), which has nothing to do and would be an error once the daemon is gone; and
 * passthrough. */
#define OPEN_FLAGS ((1U << 5 /* FOPEN_NOFLUSH */) | (1U << 7 /* FOPEN_PASSTHROUGH */))

/* Of a stream: each read and write comes as it is; no position, so that who writes does not wait for who
 * reads by the same descriptor (pread(2) and lseek(2) are ESPIPE). */
#define STREAM_FLAGS ((1U << 0 /* FOPEN_DIRECT_IO */) | (1U << 4 /* FOPEN_STREAM */) | (1U << 5))

/* struct fuse_open_out since Linux 6.9, which made the backing id of its padding. */
struct open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};
_Static_assert(sizeof(struct open_out) == sizeof(struct fuse_open_out), "the OPEN reply has one size");

struct create_out {
	struct fuse_entry_out entry;
	struct open_out open;
};
_Static_assert(sizeof(struct create_out) == sizeof(struct fuse_entry_out) + sizeof(struct open_out),
	       "no padding");

static struct open_out passthrough_to(int backing_id, uint64_t handle)
{
	return (struct open_out){.fh = handle, .open_flags = OPEN_FLAGS, .backing_id = backing_id};
}

static struct fuse_attr attr_of(const struct stat *st)
{
	return (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

int reply_open(fuse_req_t req, int backing_id, uint64_t handle)
{
	struct open_out out = passthrough_to(backing_id, handle);

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

int reply_open_stream(fuse_req_t req, uint64_t fh)
{
	struct open_out out = {.fh = fh, .open_flags = STREAM_FLAGS};

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

int reply_create(fuse_req_t req, const struct fuse_entry_param *entry, int backing_id, uint64_t handle)
{
	struct create_out out = {
		.entry =
			{
				.nodeid = entry->ino,
				.generation = entry->generation,
				.entry_valid = (uint64_t)entry->entry_timeout,
				.attr_valid = (uint64_t)entry->attr_timeout,
				.attr = attr_of(&entry->attr),
			},
		.open = passthrough_to(backing_id, handle),
	};

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

void reply_xattr(fuse_req_t req, const char *value, size_t len, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		reply(req, -ERANGE);
	else
		fuse_reply_buf(req, value, len);
}
