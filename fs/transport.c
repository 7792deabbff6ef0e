/* SPDX-License-Identifier: MIT */
#include "transport.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault.h"
#include "fs.h"
#include "journal.h"
#include "ledger.h"
#include "link.h"
#include "log.h"
#include "order.h"
#include "util.h"

/* Kernel ABI that older copies of <linux/fuse.h> lack. */
#ifndef FUSE_INIT_EXT
#define FUSE_INIT_EXT (1 << 30)
#endif
#ifndef FUSE_HANDLE_KILLPRIV_V2
#define FUSE_HANDLE_KILLPRIV_V2 (1 << 28)
#endif
#define NOTIFY_RESEND		    7
#define NOTIFY_INC_EPOCH	    8
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

/* Of a buffer; the largest value of an attribute and its name fit in (XATTR_SIZE_MAX). */
#define POPULATED     (80 << 10)
#define SMALLEST_PAGE 4096

bool transport_has_passthrough(const struct transport *transport)
{
	return transport->offers & FLAGS2_PASSTHROUGH;
}

/* The kernel polls a file: libfuse keeps the handle by which it wants to be told to itself. */
static void note_poll(struct ledger *ledger, const char *request, size_t len)
{
	struct fuse_poll_in in;
	struct ledger_open *open;

	if (len < sizeof(struct fuse_in_header) + sizeof(in))
		return;
	memcpy(&in, request + sizeof(struct fuse_in_header), sizeof(in));
	open = in.flags & FUSE_POLL_SCHEDULE_NOTIFY ? ledger_open_of(ledger, in.fh) : NULL;
	if (open)
		open->poll = in.kh;
}

/* The first request after a time without any: from now on it looks after us. */
static void wake_supervisor(struct fs *fs)
{
	_Atomic bool *sleeps = &fs->transport.page->sleeps;

	if (*sleeps && atomic_exchange(sleeps, false))
		link_send(fs->supervisor, LINK_WAKE, 0, -1);
}

/* False: it is to be refused. */
static bool note_request(struct fs *fs, const char *request, size_t len)
{
	struct transport *transport = &fs->transport;
	struct fuse_in_header header;
	struct fuse_init_in init;

	if (len < sizeof(header))
		return true;
	memcpy(&header, request, sizeof(header));
	order_request(transport, header.opcode);
	atomic_fetch_add_explicit(
		&transport->page->counts[header.opcode < TRANSPORT_OPCODES ? header.opcode : 0], 1,
		memory_order_relaxed);
	if (header.opcode != FUSE_INIT) {
		bool wanted = journal_begin(header.unique);

		wake_supervisor(fs);
		if (header.opcode == FUSE_POLL)
			note_poll(&fs->ledger, request, len);
		if (wanted)
			fault_request(transport_opcode_name(header.opcode));
		fault_point();
		return wanted;
	}
	transport->init_unique = header.unique;
	memset(&init, 0, sizeof(init));
	memcpy(&init, request + sizeof(header), MIN(len - sizeof(header), sizeof(init)));
	transport->offers = init.flags & FUSE_INIT_EXT ? init.flags2 : 0;
	return true;
}

static ssize_t replay_init(struct transport *transport, void *buf, size_t len)
{
	size_t n = MIN(transport->page->init_len, len);

	transport->replay = false;
	memcpy(buf, transport->page->init, n);
	return (ssize_t)n;
}

/* What has crashed one worker after the other is an error to who asked for it. */
static void refuse(int fd, const char *request)
{
	struct fuse_out_header reply = {.len = sizeof(reply), .error = -EIO};
	struct fuse_in_header header;

	memcpy(&header, request, sizeof(header));
	reply.unique = header.unique;
	log_error("a request (%s) that has crashed several workers is refused",
		  transport_opcode_name(header.opcode) ?: "other");
	if (write(fd, &reply, sizeof(reply)) < 0)
		log_error("/dev/fuse: %s", strerror(errno));
	journal_end();
}

/*
 * While the kernel copies a request into memory that is not there yet, it gives up if this process is being
 * killed, by another thread's crash or from outside, and the request is not sent to the next worker but ends
 * with EIO (fuse_dev_do_read(), and get_user_pages() under it). So a buffer's memory is there before it is
 * used: as much of it as any request needs but a long write to a view.
 */
static void populate(char *buf, size_t len)
{
	static _Thread_local const char *populated;

	if (buf == populated)
		return;
	for (size_t i = 0; i < MIN(len, POPULATED); i += SMALLEST_PAGE)
		((volatile char *)buf)[i] = 0;
	populated = buf;
}

/* A mount that ends while a request is being read says so in another way (Linux fs/fuse/dev.c,
 * fuse_dev_do_read()). */
static ssize_t receive(int fd, void *buf, size_t len)
{
	ssize_t n = read(fd, buf, len);

	if (n < 0 && errno == ECONNABORTED)
		errno = ENODEV;
	return n;
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	struct fs *fs = userdata;
	ssize_t n;

	populate(buf, len);
	if (fs->transport.replay)
		n = replay_init(&fs->transport, buf, len);
	else
		n = receive(fd, buf, len);
	if (n <= 0 || note_request(fs, buf, (size_t)n))
		return n;
	refuse(fd, buf);
	errno = EAGAIN; /* nothing to be done about it */
	return -1;
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

static ssize_t write_ordinary(int fd, const struct iovec *iov, int count)
{
	ssize_t n;

	fault_point();
	n = writev(fd, iov, count);
	fault_point();
	return n;
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fs *fs = userdata;
	struct fuse_out_header header;
	ssize_t n;

	memcpy(&header, iov[0].iov_base, sizeof(header));
	if (header.unique != 0) {
		fault_reply();
		journal_let_go();
		order_reply(&fs->transport);
	}
	if (header.unique == 0 || header.unique != fs->transport.init_unique)
		return write_ordinary(fd, iov, count);
	fs->transport.init_unique = 0;
	n = header.error ? writev(fd, iov, count) : write_init_reply(fd, iov, count, &fs->transport);
	/* An earlier worker has replied. */
	return n < 0 && errno == ENOENT ? (ssize_t)header.len : n;
}

int transport_keep_init(int fd, struct ledger_page *page)
{
	char request[FUSE_MIN_READ_BUFFER];
	ssize_t n;

	do
		n = read(fd, request, sizeof(request));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n > sizeof(page->init))
		return -EPROTO;
	memcpy(page->init, request, (size_t)n);
	page->init_len = (uint32_t)n;
	return 0;
}

static int notify(const struct transport *transport, int kind)
{
	const struct fuse_out_header header = {.len = sizeof(header), .error = kind};

	return write(transport->fd, &header, sizeof(header)) < 0 ? -errno : 0;
}

int transport_resend(const struct transport *transport)
{
	return notify(transport, NOTIFY_RESEND);
}

int transport_expire_all(const struct transport *transport)
{
	return notify(transport, NOTIFY_INC_EPOCH);
}

int transport_attach(struct transport *transport, struct fuse_session *session, int fd,
		     struct ledger_page *page)
{
	static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};

	transport->fd = fd;
	transport->page = page;
	transport->replay = true;
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

int transport_notify_poll(const struct transport *transport, uint64_t handle)
{
	struct fuse_notify_poll_wakeup_out body = {.kh = handle};
	struct fuse_out_header header = {.len = sizeof(header) + sizeof(body), .error = FUSE_NOTIFY_POLL};
	struct iovec iov[] = {{&header, sizeof(header)}, {&body, sizeof(body)}};

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
