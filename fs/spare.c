/* SPDX-License-Identifier: MIT */
#include "spare.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "journal.h"
#include "util.h"

/* Threads that are never kept. */
#define AWAKE 2

/* Bytes: as many are reserved, or copied, in a millisecond or two. */
#define SHORT (4 << 20)

struct spare_aside {
	struct fuse_buf request; /* of the bytes below */
	struct spare_aside *next;
	char bytes[];
};

static _Thread_local bool serves;
static _Thread_local unsigned depth; /* of spare_take() */

void spare_init(struct spare *spare)
{
	pthread_mutex_init(&spare->lock, NULL);
	spare->last = &spare->first;
}

void spare_destroy(struct spare *spare)
{
	struct spare_aside *aside;

	while ((aside = spare->first)) {
		spare->first = aside->next;
		free(aside);
	}
	pthread_mutex_destroy(&spare->lock);
}

void spare_enter(void)
{
	serves = true;
}

/* With the lock held. */
static bool take(struct fs *fs)
{
	if (fs->spare.n_kept >= MAX(fs->options.threads, AWAKE + 1) - AWAKE)
		return false;
	fs->spare.n_kept++;
	depth = 1;
	return true;
}

bool spare_take(struct fs *fs)
{
	bool may;

	if (!serves)
		return true;
	if (depth > 0) {
		depth++;
		return true;
	}
	pthread_mutex_lock(&fs->spare.lock);
	may = take(fs);
	pthread_mutex_unlock(&fs->spare.lock);
	return may;
}

void spare_give_back(struct fs *fs)
{
	if (depth == 0 || --depth > 0)
		return;
	pthread_mutex_lock(&fs->spare.lock);
	fs->spare.n_kept--;
	pthread_mutex_unlock(&fs->spare.lock);
}

/* Copies what a request of this kind begins with, behind its header. False: it has not so much. */
static bool read_body(const struct fuse_buf *request, void *ret_body, size_t len)
{
	if (request->size < sizeof(struct fuse_in_header) + len)
		return false;
	memcpy(ret_body, (const char *)request->mem + sizeof(struct fuse_in_header), len);
	return true;
}

static bool is_long_fallocate(const struct fuse_buf *request)
{
	struct fuse_fallocate_in in;

	return read_body(request, &in, sizeof(in)) && in.length > SHORT;
}

static bool is_long_copy(const struct fuse_buf *request)
{
	struct fuse_copy_file_range_in in;

	return read_body(request, &in, sizeof(in)) && in.len > SHORT;
}

/* To make a file larger is to reserve, with these options. */
static bool is_long_resize(const struct fs *fs, const struct fuse_buf *request)
{
	struct fuse_setattr_in in;

	return (fs->options.reserve || fs->options.huge == HUGE_ALWAYS) &&
	       read_body(request, &in, sizeof(in)) && in.valid & FATTR_SIZE && in.size > SHORT;
}

/* An attribute of ours, of which some make the whole segment. */
static bool is_ours(const struct fuse_buf *request)
{
	static const char prefix[] = "user.shm.";

	return memmem(request->mem, request->size, prefix, sizeof(prefix) - 1);
}

static bool may_take_long(const struct fs *fs, const struct fuse_buf *request)
{
	struct fuse_in_header header;

	if (request->size < sizeof(header))
		return false;
	memcpy(&header, request->mem, sizeof(header));
	switch (header.opcode) {
	case FUSE_FALLOCATE:
		return is_long_fallocate(request);
	case FUSE_COPY_FILE_RANGE:
		return is_long_copy(request);
	case FUSE_SETATTR:
		return is_long_resize(fs, request);
	case FUSE_SETXATTR:
		return is_ours(request);
	default:
		return false;
	}
}

/* With the lock held. The journal comes first: another thread may begin it as soon as the lock is free. */
static bool put_aside(struct spare *spare, const struct fuse_buf *request)
{
	struct spare_aside *aside = malloc(sizeof(*aside) + request->size);

	if (!aside)
		return false;
	aside->request = (struct fuse_buf){.size = request->size, .mem = aside->bytes};
	aside->next = NULL;
	memcpy(aside->bytes, request->mem, request->size);
	journal_put_aside();
	*spare->last = aside;
	spare->last = &aside->next;
	spare->n_aside++;
	return true;
}

/* Whether it may and what follows if not is one step: so whoever gives back comes to see what was put aside.
 */
bool spare_admit(struct fs *fs, const struct fuse_buf *request)
{
	bool aside;

	if (!may_take_long(fs, request))
		return true;
	pthread_mutex_lock(&fs->spare.lock);
	aside = !take(fs) && put_aside(&fs->spare, request);
	pthread_mutex_unlock(&fs->spare.lock);
	return !aside;
}

static struct spare_aside *take_next(struct fs *fs)
{
	struct spare *spare = &fs->spare;
	struct spare_aside *aside = NULL;

	pthread_mutex_lock(&spare->lock);
	if (spare->first && take(fs)) {
		aside = spare->first;
		spare->first = aside->next;
		if (!spare->first)
			spare->last = &spare->first;
		spare->n_aside--;
	}
	pthread_mutex_unlock(&spare->lock);
	return aside;
}

struct fuse_buf *spare_next(struct fs *fs)
{
	struct spare_aside *aside = fs->spare.n_aside > 0 ? take_next(fs) : NULL;
	struct fuse_in_header header;

	if (!aside)
		return NULL;
	memcpy(&header, aside->bytes, sizeof(header));
	journal_begin(header.unique);
	return &aside->request;
}
