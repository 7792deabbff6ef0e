/* SPDX-License-Identifier: MIT */
#include "transport.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs.h"
#include "util.h"

/* Kernel ABI that older copies of <linux/fuse.h> lack. */
#ifndef FUSE_INIT_EXT
#define FUSE_INIT_EXT (1 << 30)
#endif
#ifndef FUSE_HANDLE_KILLPRIV_V2
#define FUSE_HANDLE_KILLPRIV_V2 (1 << 28)
#endif
#define FLAGS2_DIRECT_IO_ALLOW_MMAP (UINT32_C(1) << (36 - 32))
#define FLAGS2_PASSTHROUGH	    (UINT32_C(1) << (37 - 32))

/* struct fuse_init_out since Linux 6.9, which named the first of its unused words. */
struct init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth, unused[6];
};
_Static_assert(sizeof(struct init_out) == sizeof(struct fuse_init_out), "the INIT reply has one size");

/* struct fuse_notify_inval_entry_out since Linux 6.2, which made flags of its padding. */
struct inval_entry {
	uint64_t parent;
	uint32_t namelen, flags;
};
#define EXPIRE_ONLY 1
_Static_assert(sizeof(struct inval_entry) == sizeof(struct fuse_notify_inval_entry_out), "one size");

bool transport_has_passthrough(const struct transport *transport)
{
	return transport->offers & FLAGS2_PASSTHROUGH;
}

static void note_request(struct transport *transport, const char *request, size_t len)
{
	struct fuse_in_header header;
	struct fuse_init_in init;

	if (len < sizeof(header))
		return;
	memcpy(&header, request, sizeof(header));
	atomic_fetch_add_explicit(&transport->counts[header.opcode < TRANSPORT_OPCODES ? header.opcode : 0],
				  1, memory_order_relaxed);
	if (header.opcode != FUSE_INIT)
		return;
	transport->init_unique = header.unique;
	memset(&init, 0, sizeof(init));
	memcpy(&init, request + sizeof(header), MIN(len - sizeof(header), sizeof(init)));
	transport->offers = init.flags & FUSE_INIT_EXT ? init.flags2 : 0;
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	struct fs *fs = userdata;
	ssize_t n = read(fd, buf, len);

	if (n > 0)
		note_request(&fs->transport, buf, (size_t)n);
	return n;
}

/* Only for the one reply: the flags must be right before the kernel sees the first request. */
static ssize_t write_init_reply(int fd, const struct iovec *iov, int count, const struct transport *transport)
{
	struct iovec amended[2];
	struct init_out reply;

	if (count != 2 || iov[1].iov_len < sizeof(reply))
		return writev(fd, iov, count);
	memcpy(&reply, iov[1].iov_base, sizeof(reply));
	reply.flags |= FUSE_INIT_EXT | FUSE_HANDLE_KILLPRIV_V2;
	reply.flags2 |= transport->offers & (FLAGS2_PASSTHROUGH | FLAGS2_DIRECT_IO_ALLOW_MMAP);
	if (transport_has_passthrough(transport))
		reply.max_stack_depth = 1;
	amended[0] = iov[0];
	amended[1] = (struct iovec){&reply, sizeof(reply)};
	return writev(fd, amended, 2);
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fs *fs = userdata;
	struct fuse_out_header header;

	memcpy(&header, iov[0].iov_base, sizeof(header));
	if (header.unique == 0 || header.unique != fs->transport.init_unique)
		return writev(fd, iov, count);
	fs->transport.init_unique = 0;
	return header.error ? writev(fd, iov, count) : write_init_reply(fd, iov, count, &fs->transport);
}

int transport_attach(struct transport *transport, struct fuse_session *session, int fd)
{
	static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};

	transport->fd = fd;
	return fuse_session_custom_io(session, &io, fd);
}

int transport_expire_entry(struct transport *transport, uint64_t parent, const char *name)
{
	size_t len = strlen(name);
	struct inval_entry body = {.parent = parent, .namelen = (uint32_t)len, .flags = EXPIRE_ONLY};
	struct fuse_out_header header = {.error = FUSE_NOTIFY_INVAL_ENTRY};
	struct iovec iov[] = {
		{&header, sizeof(header)},
		{&body, sizeof(body)},
		{(void *)(uintptr_t)name, len + 1},
	};

	header.len = (uint32_t)(sizeof(header) + sizeof(body) + len + 1);
	return writev(transport->fd, iov, COUNT_OF(iov)) < 0 ? -errno : 0;
}

const char *transport_opcode_name(unsigned opcode)
{
	static const char *const names[TRANSPORT_OPCODES] = {
		[FUSE_LOOKUP] = "LOOKUP",
		[FUSE_FORGET] = "FORGET",
		[FUSE_GETATTR] = "GETATTR",
		[FUSE_SETATTR] = "SETATTR",
		[FUSE_READLINK] = "READLINK",
		[FUSE_SYMLINK] = "SYMLINK",
		[FUSE_MKNOD] = "MKNOD",
		[FUSE_MKDIR] = "MKDIR",
		[FUSE_UNLINK] = "UNLINK",
		[FUSE_RMDIR] = "RMDIR",
		[FUSE_RENAME] = "RENAME",
		[FUSE_LINK] = "LINK",
		[FUSE_OPEN] = "OPEN",
		[FUSE_READ] = "READ",
		[FUSE_WRITE] = "WRITE",
		[FUSE_STATFS] = "STATFS",
		[FUSE_RELEASE] = "RELEASE",
		[FUSE_FSYNC] = "FSYNC",
		[FUSE_SETXATTR] = "SETXATTR",
		[FUSE_GETXATTR] = "GETXATTR",
		[FUSE_LISTXATTR] = "LISTXATTR",
		[FUSE_REMOVEXATTR] = "REMOVEXATTR",
		[FUSE_FLUSH] = "FLUSH",
		[FUSE_INIT] = "INIT",
		[FUSE_OPENDIR] = "OPENDIR",
		[FUSE_READDIR] = "READDIR",
		[FUSE_RELEASEDIR] = "RELEASEDIR",
		[FUSE_FSYNCDIR] = "FSYNCDIR",
		[FUSE_GETLK] = "GETLK",
		[FUSE_SETLK] = "SETLK",
		[FUSE_SETLKW] = "SETLKW",
		[FUSE_ACCESS] = "ACCESS",
		[FUSE_CREATE] = "CREATE",
		[FUSE_INTERRUPT] = "INTERRUPT",
		[FUSE_BMAP] = "BMAP",
		[FUSE_DESTROY] = "DESTROY",
		[FUSE_IOCTL] = "IOCTL",
		[FUSE_POLL] = "POLL",
		[FUSE_BATCH_FORGET] = "BATCH_FORGET",
		[FUSE_FALLOCATE] = "FALLOCATE",
		[FUSE_READDIRPLUS] = "READDIRPLUS",
		[FUSE_RENAME2] = "RENAME2",
		[FUSE_LSEEK] = "LSEEK",
		[FUSE_COPY_FILE_RANGE] = "COPY_FILE_RANGE",
		[51] = "TMPFILE",
		[52] = "STATX",
	};

	return opcode < TRANSPORT_OPCODES ? names[opcode] : NULL;
}
