/* SPDX-License-Identifier: MIT */
/*
 * Requests as the kernel sends them, one after the other, from three users and two processes; and between
 * them, changes that somebody makes in the store, time that passes, and workers that take over from each
 * other: then the last request may be sent again, as one whose reply the former worker owed, and has to be
 * answered as it was. What the kernel can be relied on for is so here too: node ids and file handles are
 * those it was given (but for a node id now and then), names end in NUL, lengths are right. All else is the
 * input's. Each request must be answered once, and each reply be in form.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "behind.h"
#include "daemon.h"
#include "guest.h"
#include "target.h"
#include "words.h"

#define MAX_STEPS   48
#define MAX_KNOWN   64
#define MAX_REQUEST 4096
#define MAX_REPLY   (1 << 20)
#define PATIENCE_MS 60000
#define INIT_UNIQUE 2
#define RESENT	    (UINT64_C(1) << 63)

#ifndef FUSE_INIT_EXT
#define FUSE_INIT_EXT (1 << 30)
#endif
#define OPCODE_TMPFILE 51

struct known {
	uint64_t node, lookups;
};

struct handle {
	uint64_t node, fh;
	bool is_dir;
};

struct uniques {
	uint64_t of[MAX_STEPS];
	size_t n;
};

/* The kernel's side. */
struct kernel {
	struct daemon daemon;
	uint64_t unique;
	struct known nodes[MAX_KNOWN];
	size_t n_nodes;
	struct handle handles[MAX_KNOWN];
	size_t n_handles;
	/* INTERRUPTs that may still be answered: libfuse does so, if at all, when the next request comes. */
	struct uniques interrupts;
	/* READs that wait for news, of which the reply comes at any time. */
	struct uniques waiting;
	/* The request being made, and what became of it. */
	char request[MAX_REQUEST];
	size_t len;
	int32_t error;
	bool is_lost; /* the reply does not reach anybody */
	bool waits;
};

/* How a request looks: its arguments, the names behind them, and which handle it wants. */
struct form {
	uint32_t opcode;
	uint16_t size;
	uint8_t n_names;
	enum { NODE, FILE_HANDLE, DIR_HANDLE } of;
	int16_t size_at; /* of a 32-bit length of the reply, which the kernel bounds; -1: none */
};

static const struct form forms[] = {
	{FUSE_LOOKUP, 0, 1, NODE, -1},
	{FUSE_LOOKUP, 0, 1, NODE, -1},
	{FUSE_GETATTR, sizeof(struct fuse_getattr_in), 0, NODE, -1},
	{FUSE_SETATTR, sizeof(struct fuse_setattr_in), 0, NODE, -1},
	{FUSE_READLINK, 0, 0, NODE, -1},
	{FUSE_SYMLINK, 0, 2, NODE, -1},
	{FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1, NODE, -1},
	{FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1, NODE, -1},
	{FUSE_UNLINK, 0, 1, NODE, -1},
	{FUSE_RMDIR, 0, 1, NODE, -1},
	{FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2, NODE, -1},
	{FUSE_LINK, sizeof(struct fuse_link_in), 1, NODE, -1},
	{FUSE_OPEN, sizeof(struct fuse_open_in), 0, NODE, -1},
	{FUSE_CREATE, sizeof(struct fuse_create_in), 1, NODE, -1},
	{OPCODE_TMPFILE, sizeof(struct fuse_create_in), 1, NODE, -1},
	{FUSE_READ, sizeof(struct fuse_read_in), 0, FILE_HANDLE, offsetof(struct fuse_read_in, size)},
	{FUSE_RELEASE, sizeof(struct fuse_release_in), 0, FILE_HANDLE, -1},
	{FUSE_OPENDIR, sizeof(struct fuse_open_in), 0, NODE, -1},
	{FUSE_READDIR, sizeof(struct fuse_read_in), 0, DIR_HANDLE, offsetof(struct fuse_read_in, size)},
	{FUSE_READDIRPLUS, sizeof(struct fuse_read_in), 0, DIR_HANDLE, offsetof(struct fuse_read_in, size)},
	{FUSE_RELEASEDIR, sizeof(struct fuse_release_in), 0, DIR_HANDLE, -1},
	{FUSE_STATFS, 0, 0, NODE, -1},
	{FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, 2, NODE, -1},
	{FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, 2, NODE, -1},
	{FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), 1, NODE, offsetof(struct fuse_getxattr_in, size)},
	{FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), 0, NODE, offsetof(struct fuse_getxattr_in, size)},
	{FUSE_REMOVEXATTR, 0, 1, NODE, -1},
	{FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), 0, FILE_HANDLE, -1},
	{FUSE_LSEEK, sizeof(struct fuse_lseek_in), 0, FILE_HANDLE, -1},
	{FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), 0, FILE_HANDLE, -1},
	{FUSE_FORGET, sizeof(struct fuse_forget_in), 0, NODE, -1},
	{FUSE_INTERRUPT, sizeof(struct fuse_interrupt_in), 0, NODE, -1},
	{FUSE_FLUSH, sizeof(struct fuse_flush_in), 0, FILE_HANDLE, -1},
	{FUSE_FSYNC, sizeof(struct fuse_fsync_in), 0, FILE_HANDLE, -1},
	{FUSE_ACCESS, sizeof(struct fuse_access_in), 0, NODE, -1},
	{FUSE_IOCTL, sizeof(struct fuse_ioctl_in), 0, FILE_HANDLE, -1},
	{FUSE_POLL, sizeof(struct fuse_poll_in), 0, FILE_HANDLE, -1},
	{63, 8, 0, NODE, -1}, /* none that there is */
	{FUSE_WRITE, sizeof(struct fuse_write_in), 0, FILE_HANDLE, offsetof(struct fuse_write_in, size)},
	{FUSE_BATCH_FORGET, sizeof(struct fuse_batch_forget_in), 0, NODE, -1},
};

static void put(struct kernel *kernel, const void *bytes, size_t len)
{
	MUST(kernel->len + len <= MAX_REQUEST);
	memcpy(kernel->request + kernel->len, bytes, len);
	kernel->len += len;
}

static void put_word(struct kernel *kernel, struct input *in, const struct words *words)
{
	char own[OWN_WORD];
	const char *text = draw_word(in, words, own);

	put(kernel, text, strlen(text) + 1);
}

static void begin(struct kernel *kernel, uint32_t opcode, uint64_t node, uint8_t user)
{
	const uint32_t uid = user % 3 == 0 ? 0 : 999u + user % 3;
	struct fuse_in_header header = {
		.opcode = opcode,
		.unique = kernel->unique += 2,
		.nodeid = node,
		.uid = uid,
		.gid = uid,
		.pid = (uint32_t)(user & 64 ? guest_pid() : getpid()),
	};

	kernel->len = 0;
	kernel->waits = false;
	put(kernel, &header, sizeof(header));
}

static void learn_node(struct kernel *kernel, uint64_t node)
{
	size_t i = 0;

	while (i < kernel->n_nodes && kernel->nodes[i].node != node)
		i++;
	if (i == MAX_KNOWN)
		return;
	if (i == kernel->n_nodes)
		kernel->nodes[kernel->n_nodes++] = (struct known){.node = node};
	kernel->nodes[i].lookups++;
}

static void learn_handle(struct kernel *kernel, uint64_t node, uint64_t fh, bool is_dir)
{
	MUST(kernel->n_handles < MAX_KNOWN);
	kernel->handles[kernel->n_handles++] = (struct handle){node, fh, is_dir};
}

static void learn_directory(struct kernel *kernel, const char *at, size_t len)
{
	struct fuse_direntplus entry;

	while (len > 0) {
		size_t size;

		MUST(len >= FUSE_NAME_OFFSET_DIRENTPLUS);
		memcpy(&entry, at, FUSE_NAME_OFFSET_DIRENTPLUS);
		size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + entry.dirent.namelen);
		MUST(size <= len && entry.dirent.namelen > 0);
		if (entry.entry_out.nodeid)
			learn_node(kernel, entry.entry_out.nodeid);
		at += size;
		len -= size;
	}
}

static void learn(struct kernel *kernel, const char *body, size_t len)
{
	struct fuse_in_header header;
	struct fuse_entry_out entry;
	struct fuse_open_out open;

	memcpy(&header, kernel->request, sizeof(header));
	switch (header.opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_CREATE:
	case OPCODE_TMPFILE:
		MUST(len >= sizeof(entry));
		memcpy(&entry, body, sizeof(entry));
		if (entry.nodeid)
			learn_node(kernel, entry.nodeid);
		if (len == sizeof(entry))
			return;
		MUST(len == sizeof(entry) + sizeof(open));
		memcpy(&open, body + sizeof(entry), sizeof(open));
		learn_handle(kernel, entry.nodeid, open.fh, false);
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		MUST(len == sizeof(open));
		memcpy(&open, body, sizeof(open));
		learn_handle(kernel, header.nodeid, open.fh, header.opcode == FUSE_OPENDIR);
		return;
	case FUSE_READDIRPLUS:
		learn_directory(kernel, body, len);
		return;
	}
}

static void add(struct uniques *uniques, uint64_t unique)
{
	MUST(uniques->n < MAX_STEPS);
	uniques->of[uniques->n++] = unique;
}

/* False: it is not among them. */
static bool take_out(struct uniques *uniques, uint64_t unique)
{
	for (size_t i = 0; i < uniques->n; i++) {
		if (uniques->of[i] != unique)
			continue;
		uniques->of[i] = uniques->of[--uniques->n];
		return true;
	}
	return false;
}

/* Is it one that comes when it likes? Once at most. */
static bool is_late(struct kernel *kernel, const struct fuse_out_header *header)
{
	if (header->unique == 0) /* a notification */
		return true;
	if (take_out(&kernel->interrupts, header->unique)) {
		MUST(header->error == -EAGAIN);
		return true;
	}
	if (header->unique == INIT_UNIQUE && kernel->unique != INIT_UNIQUE) /* of another worker */
		return true;
	return take_out(&kernel->waiting, header->unique);
}

/* Takes one message. True: it is the reply that was waited for. Notifications need only be in form. */
static bool receive(struct kernel *kernel, bool is_wanted)
{
	static char message[MAX_REPLY];
	struct fuse_out_header header;
	ssize_t n = recv(kernel->daemon.kernel, message, sizeof(message), MSG_TRUNC);

	MUST(n >= (ssize_t)sizeof(header) && n <= (ssize_t)sizeof(message));
	memcpy(&header, message, sizeof(header));
	MUST(header.len == n);
	if (is_late(kernel, &header))
		return false;
	MUST(is_wanted && (header.unique & ~RESENT) == kernel->unique);
	MUST(header.error <= 0 && header.error > -4096 && (header.error == 0 || n == sizeof(header)));
	kernel->error = header.error;
	if (header.error == 0 && !kernel->is_lost)
		learn(kernel, message + sizeof(header), (size_t)n - sizeof(header));
	return true;
}

static bool is_answered(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

static void send_request(struct kernel *kernel)
{
	memcpy(kernel->request, &(uint32_t){(uint32_t)kernel->len}, sizeof(uint32_t));
	MUST(send(kernel->daemon.kernel, kernel->request, kernel->len, 0) == (ssize_t)kernel->len);
}

static void await_reply(struct kernel *kernel, bool wanted)
{
	struct pollfd poll_fd = {.fd = kernel->daemon.kernel, .events = POLLIN};
	bool got = false;

	while (wanted && !got) {
		int n = poll(&poll_fd, 1, PATIENCE_MS);

		if (n < 0 && errno == EINTR) /* libFuzzer's clock */
			continue;
		MUST(n == 1);
		got = receive(kernel, true);
	}
	while (poll(&poll_fd, 1, 0) == 1)
		receive(kernel, false);
}

static void ask(struct kernel *kernel, uint32_t opcode)
{
	send_request(kernel);
	daemon_serve(&kernel->daemon);
	await_reply(kernel, is_answered(opcode) && !kernel->waits);
	daemon_done();
}

/* What a version is read by is told of a second time, and not lost; and who asks a second time whether
 * somebody has a segment is told of another time. */
static bool is_answered_the_same(uint32_t opcode)
{
	return opcode != FUSE_READ;
}

/* The same twice, of two workers. */
static void ask_again(struct kernel *kernel, uint32_t opcode)
{
	struct fuse_in_header header;
	int32_t error;

	kernel->is_lost = true;
	send_request(kernel);
	daemon_serve(&kernel->daemon);
	await_reply(kernel, true);
	kernel->is_lost = false;
	error = kernel->error;
	daemon_replace(&kernel->daemon);
	memcpy(&header, kernel->request, sizeof(header));
	header.unique |= RESENT;
	memcpy(kernel->request, &header, sizeof(header));
	ask(kernel, opcode);
	if (kernel->error != error && is_answered_the_same(opcode)) {
		fprintf(stderr, "opcode %u was answered with %d, and sent again with %d\n", opcode, error,
			kernel->error);
		abort();
	}
}

static void initialize(struct kernel *kernel)
{
	/* struct fuse_init_in, of which older headers have less: version, readahead, and all flags. */
	static const uint32_t init[16] = {FUSE_KERNEL_VERSION, 39, 131072, 0x7fffffff | FUSE_INIT_EXT, 0x3f};

	begin(kernel, FUSE_INIT, 0, 0);
	put(kernel, init, sizeof(init));
	send_request(kernel);
	daemon_begin(&kernel->daemon);
	await_reply(kernel, true);
	daemon_done();
	learn_node(kernel, FUSE_ROOT_ID);
	begin(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, 0);
	put(kernel, "store", 6);
	ask(kernel, FUSE_LOOKUP);
	MUST(kernel->n_nodes == 2);
}

static struct known *draw_node(struct kernel *kernel, struct input *in)
{
	/* The root that users see is the one that most is asked of. */
	uint8_t which = draw_byte(in);

	return &kernel->nodes[which < 100 ? 1 : which % kernel->n_nodes];
}

static struct handle *find_handle(struct kernel *kernel, struct input *in, bool is_dir)
{
	size_t first = kernel->n_handles ? draw_byte(in) % kernel->n_handles : 0;

	for (size_t i = 0; i < kernel->n_handles; i++) {
		struct handle *handle = &kernel->handles[(first + i) % kernel->n_handles];

		if (handle->is_dir == is_dir)
			return handle;
	}
	return NULL;
}

/* Zeros, and a few words of the input's. */
static void fill(struct input *in, char *arguments, size_t size)
{
	for (int n = draw_byte(in) % 4; n > 0 && size > 0; n--) {
		size_t place = draw_byte(in) % size / 4 * 4, len = MIN(1u + draw_byte(in) % 8, size - place);
		uint64_t value = draw_number(in, (unsigned)len);

		memcpy(arguments + place, &value, len);
	}
}

/* Who reads events and wants to wait may wait for ever. */
static void correct_flags(struct kernel *kernel, const struct handle *handle, char *flags_of_read)
{
	bool is_events = view_is(handle->node) && view_kind_of(handle->node) == VIEW_EVENTS;
	uint32_t flags;

	memcpy(&flags, flags_of_read, sizeof(flags));
	kernel->waits = is_events && flags & 1;
	flags = O_RDWR | (kernel->waits ? 0 : O_NONBLOCK);
	memcpy(flags_of_read, &flags, sizeof(flags));
}

/* What the kernel vouches for. */
static void correct(struct kernel *kernel, struct input *in, const struct form *form, struct known *node,
		    const struct handle *handle, char *arguments)
{
	struct fuse_copy_file_range_in copy;
	uint32_t size;

	if (form->size_at >= 0) {
		memcpy(&size, arguments + form->size_at, sizeof(size));
		size &= form->of == NODE ? 0xffff : 0x1ffff;
		memcpy(arguments + form->size_at, &size, sizeof(size));
	}
	if (handle)
		memcpy(arguments, &handle->fh, sizeof(handle->fh));
	if (form->opcode == FUSE_READ)
		correct_flags(kernel, handle, arguments + offsetof(struct fuse_read_in, flags));
	if (form->opcode == FUSE_FORGET) {
		uint64_t n = MIN(node->lookups, 1u + draw_byte(in));

		node->lookups -= n;
		memcpy(arguments, &n, sizeof(n));
	} else if (form->opcode == FUSE_BATCH_FORGET) {
		memcpy(arguments, &(uint32_t){1}, sizeof(uint32_t));
	} else if (form->opcode == FUSE_INTERRUPT) {
		memcpy(arguments, &(uint64_t){kernel->unique - 2 * (draw_byte(in) % 4)}, 8);
		add(&kernel->interrupts, kernel->unique);
	} else if (form->opcode == FUSE_RENAME2 || form->opcode == FUSE_LINK) {
		memcpy(arguments, &draw_node(kernel, in)->node, 8);
	} else if (form->opcode == FUSE_COPY_FILE_RANGE) {
		const struct handle *to = find_handle(kernel, in, false);

		memcpy(&copy, arguments, sizeof(copy));
		copy.nodeid_out = to->node;
		copy.fh_out = to->fh;
		memcpy(arguments, &copy, sizeof(copy));
	}
}

/* SETXATTR: its length is that of the value, which ends in no NUL. */
static void put_names(struct kernel *kernel, struct input *in, const struct form *form, size_t arguments)
{
	bool is_attribute = form->opcode == FUSE_SETXATTR || form->opcode == FUSE_GETXATTR ||
			    form->opcode == FUSE_REMOVEXATTR;
	size_t before;

	if (form->n_names == 0)
		return;
	if (is_attribute)
		put_word(kernel, in, &attributes);
	else
		put_word(kernel, in, &names);
	before = kernel->len;
	if (form->opcode == FUSE_SETXATTR) {
		put_word(kernel, in, &values);
		kernel->len--;
		memcpy(kernel->request + arguments, &(uint32_t){(uint32_t)(kernel->len - before)}, 4);
	} else if (form->n_names == 2) {
		put_word(kernel, in, &names);
	}
}

static void forget_handle(struct kernel *kernel, struct handle *handle)
{
	*handle = kernel->handles[--kernel->n_handles];
}

/* All lookups of a node, in a batch of one. */
static void put_forgets(struct kernel *kernel, struct known *node)
{
	struct fuse_forget_one one = {.nodeid = node->node, .nlookup = node->lookups};

	put(kernel, &one, sizeof(one));
	node->lookups = 0;
}

/* As many bytes as it says. */
static void put_bytes(struct kernel *kernel, size_t arguments)
{
	static const char bytes[16];
	struct fuse_write_in write;

	memcpy(&write, kernel->request + arguments, sizeof(write));
	write.size %= sizeof(bytes);
	memcpy(kernel->request + arguments, &write, sizeof(write));
	put(kernel, bytes, write.size);
}

static bool is_forget(const struct form *form)
{
	return form->opcode == FUSE_FORGET || form->opcode == FUSE_BATCH_FORGET;
}

/* `again`: a worker is replaced that had it in hand. */
static void request(struct kernel *kernel, struct input *in, bool again)
{
	const struct form *form = &forms[draw_byte(in) % COUNT_OF(forms)];
	struct known *known = draw_node(kernel, in);
	struct handle *handle = form->of == NODE ? NULL : find_handle(kernel, in, form->of == DIR_HANDLE);
	char arguments[128] = {};
	uint64_t node = handle ? handle->node : known->node;
	uint8_t user = draw_byte(in);

	if ((form->of != NODE && !handle) || (is_forget(form) && known->lookups == 0))
		return;
	if (user > 250 && !handle && is_answered(form->opcode))
		node = draw_number(in, 8); /* of a time before this daemon */
	begin(kernel, form->opcode, node, user);
	fill(in, arguments, form->size);
	correct(kernel, in, form, known, handle, arguments);
	put(kernel, arguments, form->size);
	put_names(kernel, in, form, sizeof(struct fuse_in_header));
	if (form->opcode == FUSE_WRITE)
		put_bytes(kernel, sizeof(struct fuse_in_header));
	else if (form->opcode == FUSE_BATCH_FORGET)
		put_forgets(kernel, known);
	if (form->opcode == FUSE_RELEASE || form->opcode == FUSE_RELEASEDIR)
		forget_handle(kernel, handle);
	if (kernel->n_handles == MAX_KNOWN)
		return;
	if (kernel->waits)
		add(&kernel->waiting, kernel->unique);
	if (again && is_answered(form->opcode) && !kernel->waits)
		ask_again(kernel, form->opcode);
	else
		ask(kernel, form->opcode);
}

/* The process they come from ends, or time passes. */
static void pass_time(struct kernel *kernel, struct input *in)
{
	uint8_t what = draw_byte(in);

	if (what % 4 == 3)
		guest_kill();
	daemon_skip(&kernel->daemon, what);
}

/* Nobody waits any more. */
static void interrupt_all(struct kernel *kernel)
{
	while (kernel->waiting.n > 0) {
		const struct fuse_interrupt_in in = {.unique = kernel->waiting.of[0]};
		size_t n = kernel->waiting.n;

		begin(kernel, FUSE_INTERRUPT, 0, 0);
		put(kernel, &in, sizeof(in));
		add(&kernel->interrupts, kernel->unique);
		ask(kernel, FUSE_INTERRUPT);
		MUST(kernel->waiting.n < n);
	}
}

static void release_all(struct kernel *kernel)
{
	while (kernel->n_handles > 0) {
		struct handle handle = kernel->handles[--kernel->n_handles];
		uint32_t opcode = handle.is_dir ? FUSE_RELEASEDIR : FUSE_RELEASE;

		begin(kernel, opcode, handle.node, 0);
		put(kernel, &(struct fuse_release_in){.fh = handle.fh}, sizeof(struct fuse_release_in));
		ask(kernel, opcode);
	}
}

/* libfuse keeps an INTERRUPT until a request comes, and does not free what it still has at its end. */
static void flush_interrupts(struct kernel *kernel)
{
	for (size_t n = kernel->interrupts.n; n > 0; n--) {
		begin(kernel, FUSE_STATFS, FUSE_ROOT_ID, 0);
		ask(kernel, FUSE_STATFS);
	}
}

/* By a bit each. */
static struct options draw_options(struct input *in)
{
	uint8_t bits = draw_byte(in);

	return (struct options){
		.reserve = bits & 1,
		.portable_names = bits & 2,
		.dry_run = !(bits & 4), /* lest it matters how long it takes */
		.huge = bits & 8    ? HUGE_NEVER
			: bits & 16 ? HUGE_ALWAYS
				    : HUGE_AUTO,
		.threads = 1,
	};
}

static void step(struct kernel *kernel, struct input *in)
{
	switch (draw_byte(in) % 8) {
	case 7:
		act_behind(in);
		break;
	case 6:
		flush_interrupts(kernel);
		request(kernel, in, kernel->daemon.options.dry_run);
		break;
	case 4:
		pass_time(kernel, in);
		break;
	case 5:
		flush_interrupts(kernel);
		daemon_replace(&kernel->daemon);
		break;
	default:
		request(kernel, in, false);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel kernel;
	struct input in = {data, size};
	struct options options = draw_options(&in);

	kernel = (struct kernel){};
	guest_begin();
	daemon_start(&kernel.daemon, &options);
	initialize(&kernel);
	for (int i = 0; i < MAX_STEPS && in.size > 0; i++)
		step(&kernel, &in);
	interrupt_all(&kernel);
	release_all(&kernel);
	daemon_skip(&kernel.daemon, 1);
	flush_interrupts(&kernel);
	daemon_stop(&kernel.daemon);
	return 0;
}
