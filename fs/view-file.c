/* SPDX-License-Identifier: MIT */
#include "view-file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <segfs/npy.h>
#include <segfs/segment.h>

#include "image.h"
#include "journal.h"
#include "reply.h"
#include "textview.h"
#include "util.h"
#include "view-copy.h"

/* What all open views together may hold in memory. Whoever opens pictures without closing them gets ENOMEM.
 */
#define RENDERED_MAX (512u << 20)
static _Atomic size_t rendered;

struct view_file {
	uint64_t id; /* of its node */
	enum view_kind kind;
	uint64_t dir; /* of its segment, as struct view has it */
	int fd;	      /* the segment, open for reading, or a copy of what is shown of it; owned; -1: none */
	struct segfs_segment segment;
	struct segfs_textview text;
	char *bytes; /* of a view made as a whole; or the header of a .npy file; owned */
	size_t n_bytes;
	size_t n_charged; /* of `rendered` */
};

static void file_free(struct view_file *file)
{
	if (!file)
		return;
	atomic_fetch_sub_explicit(&rendered, file->n_charged, memory_order_relaxed);
	segfs_textview_clear(&file->text);
	segfs_segment_clear(&file->segment);
	close_fd(&file->fd);
	free(file->bytes);
	free(file);
}

static void end_file(void *file)
{
	file_free(file);
}

static void file_cleanup(struct view_file **file)
{
	file_free(*file);
}
#define FREE_FILE SEGFS_CLEANUP(file_cleanup)

/* The bytes of an array, header left out. */
static uint64_t array_bytes(const struct segfs_array *array)
{
	uint64_t elements, bytes = 0;

	segfs_array_count(array, &elements, &bytes);
	return bytes;
}

static off_t text_size(const struct segfs_segment *segment)
{
	struct segfs_textview text;
	off_t size;
	int r = segfs_textview_init(&text, segment);

	if (r < 0)
		return 0; /* opening it tells why */
	size = (off_t)text.size;
	segfs_textview_clear(&text);
	return size;
}

static off_t image_size(const struct segfs_segment *segment)
{
	struct segfs_image image;

	if (segment->kind == SEGFS_KIND_RAW || segfs_image_init(&image, &segment->array) < 0)
		return -ENOENT;
	return (off_t)image.size;
}

static off_t npy_size(const struct segfs_segment *segment)
{
	if (segment->kind == SEGFS_KIND_RAW)
		return -ENOENT;
	return (off_t)(segfs_npy_format(&segment->array, NULL, 0) + array_bytes(&segment->array));
}

off_t view_file_size(enum view_kind kind, int fd)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	int r;

	if (kind != VIEW_TEXT && kind != VIEW_IMAGE && kind != VIEW_NPY)
		return 0;
	r = segfs_segment_read(fd, &segment);
	if (r < 0)
		return r;
	switch (kind) {
	case VIEW_TEXT:
		return text_size(&segment);
	case VIEW_IMAGE:
		return image_size(&segment);
	default:
		return npy_size(&segment);
	}
}

static int open_npy(struct view_file *file)
{
	if (file->segment.kind == SEGFS_KIND_RAW)
		return -ENOENT;
	file->n_bytes = segfs_npy_format(&file->segment.array, NULL, 0);
	file->bytes = malloc(file->n_bytes);
	if (!file->bytes)
		return -ENOMEM;
	segfs_npy_format(&file->segment.array, file->bytes, file->n_bytes);
	return 0;
}

/* Memory for a view made as a whole, or a copy, is asked for before it is made. */
static int charge(struct view_file *file, size_t n)
{
	file->n_charged += n;
	return atomic_fetch_add_explicit(&rendered, n, memory_order_relaxed) + n > RENDERED_MAX ? -ENOMEM : 0;
}

static int open_image(struct view_file *file)
{
	struct segfs_image image;
	int r;

	if (file->segment.kind == SEGFS_KIND_RAW)
		return -ENOENT;
	r = segfs_image_init(&image, &file->segment.array);
	if (r < 0)
		return r == -ENOTSUP ? -ENOENT : r;
	r = charge(file, image.size);
	if (r == 0)
		r = segfs_image_render(&image, &file->segment.array, file->fd, &file->bytes);
	file->n_bytes = image.size;
	return r;
}

static int print(fuse_req_t req, const struct view_file *file, FILE *out)
{
	struct fs *fs = fs_of(req);

	switch (file->kind) {
	case VIEW_INFO:
		return view_info_print(fs, file->dir, file->fd, &file->segment, out);
	case VIEW_LIST:
		return view_list_print(req, file->fd, out);
	case VIEW_ORPHANS:
		return view_orphans_print(req, out);
	case VIEW_METRICS:
		view_metrics_print(fs, out);
		return 0;
	default:
		view_status_print(fs, out);
		return 0;
	}
}

static int open_printed(fuse_req_t req, struct view_file *file)
{
	FILE *out = open_memstream(&file->bytes, &file->n_bytes);
	int r;

	if (!out)
		return -ENOMEM;
	r = print(req, file, out);
	if (close_text(out, &file->bytes) < 0)
		r = -ENOMEM;
	return r < 0 ? r : charge(file, file->n_bytes);
}

/* From here on the view is of the copy. */
static int copy_subject(struct view_file *file)
{
	uint64_t size = view_copy_size(&file->segment);
	int copy;

	if (size > RENDERED_MAX)
		return -ENOMEM;
	copy = charge(file, size);
	if (copy == 0)
		copy = view_copy_take(file->fd, &file->segment);
	if (copy < 0)
		return copy;
	close_fd(&file->fd);
	file->fd = copy;
	return 0;
}

static bool needs_copy(const struct view_file *file)
{
	return file->kind != VIEW_INFO && view_copy_is_needed(&file->segment);
}

static int open_content(fuse_req_t req, struct view_file *file)
{
	int r = needs_copy(file) ? copy_subject(file) : 0;

	if (r < 0)
		return r;
	switch (file->kind) {
	case VIEW_TEXT:
		return segfs_textview_init(&file->text, &file->segment);
	case VIEW_NPY:
		return open_npy(file);
	case VIEW_IMAGE:
		return open_image(file);
	default:
		return open_printed(req, file);
	}
}

/* Takes the descriptor over, whatever comes of it. */
static int file_new(uint64_t id, const struct view *view, int fd, struct view_file **ret_file)
{
	FREE_FILE struct view_file *file = calloc(1, sizeof(*file));
	int r = 0;

	if (!file) {
		close_fd(&fd);
		return -ENOMEM;
	}
	file->id = id;
	file->kind = view->kind;
	file->dir = view->dir;
	file->fd = fd;
	if (file->kind >= VIEW_INFO) /* of one segment */
		r = segfs_segment_read(file->fd, &file->segment);
	if (r < 0)
		return r;
	*ret_file = steal_pointer(&file);
	return 0;
}

/*
 * The handle of a new one. In the ledger is how long it is: made anew by another worker, it may come out
 * longer or shorter, and whoever has read it to its end shall not read on.
 */
static uint64_t keep_open(struct fs *fs, struct view_file *file)
{
	uint64_t handle = ledger_open_new(&fs->ledger, journal_unique(), file->id, false);
	struct ledger_open *open = ledger_open_of(&fs->ledger, handle);

	if (!open)
		return 0;
	open->note = file->n_bytes;
	if (opened_restore(&fs->opened, handle, file, end_file))
		return handle;
	ledger_open_free(&fs->ledger, open);
	return 0;
}

void view_file_close(struct fs *fs, uint64_t handle)
{
	struct ledger_open *open = ledger_open_of(&fs->ledger, handle);

	file_free(opened_take(&fs->opened, handle));
	if (open)
		ledger_open_free(&fs->ledger, open);
}

/* Takes the file over. Read by the bytes and not by pages: a cache of the kernel's would only show what was.
 */
static void open_now(fuse_req_t req, struct view_file *file, const struct fuse_file_info *fi)
{
	struct fuse_file_info opened = *fi;
	int r = open_content(req, file);

	if (r == 0)
		opened.fh = keep_open(fs_of(req), file);
	if (r == 0 && opened.fh == 0)
		r = -ENOMEM;
	if (r < 0) {
		file_free(file);
		reply(req, r);
		return;
	}
	opened.direct_io = 1;
	/* An open that was interrupted meanwhile is not followed by a RELEASE. */
	if (fuse_reply_open(req, &opened) == -ENOENT)
		view_file_close(fs_of(req), opened.fh);
}

struct open_job {
	struct slow_job job;
	struct view_file *file; /* owned */
	struct fuse_file_info fi;
};

static void run_open(struct fs *fs, struct slow_job *job)
{
	struct open_job *open = (void *)job;

	open_now(job->req, steal_pointer(&open->file), &open->fi);
}

static void clear_open(struct slow_job *job)
{
	file_free(((struct open_job *)job)->file);
}

/* Takes the file over. */
static void open_later(fuse_req_t req, struct view_file *file, const struct fuse_file_info *fi)
{
	struct open_job *open = malloc(sizeof(*open));

	if (!open) {
		file_free(file);
		reply(req, -ENOMEM);
		return;
	}
	*open = (struct open_job){
		.job = {.req = req, .run = run_open, .clear = clear_open}, .file = file, .fi = *fi};
	slow_lane_submit(fs_of(req), &open->job);
}

void view_file_open(fuse_req_t req, uint64_t id, const struct view *view, int fd,
		    const struct fuse_file_info *fi)
{
	struct view_file *file;
	int r = file_new(id, view, fd, &file);

	if (r < 0)
		reply(req, r);
	else if ((file->kind == VIEW_TEXT || file->kind == VIEW_NPY) && !needs_copy(file))
		open_now(req, file, fi);
	else
		open_later(req, file, fi);
}

/* Of what was made as a whole, or of the header of a .npy file. */
static size_t read_bytes(const struct view_file *file, char *buf, size_t size, off_t offset)
{
	size_t n;

	if ((uint64_t)offset >= file->n_bytes)
		return 0;
	n = MIN(size, file->n_bytes - (size_t)offset);
	memcpy(buf, file->bytes + offset, n);
	return n;
}

static ssize_t read_npy(const struct view_file *file, char *buf, size_t size, off_t offset)
{
	uint64_t bytes = array_bytes(&file->segment.array), at;
	size_t n = read_bytes(file, buf, size, offset);
	ssize_t more;

	at = (uint64_t)offset + n - file->n_bytes;
	if (n == size || at >= bytes)
		return (ssize_t)n;
	more = pread(file->fd, buf + n, MIN(size - n, bytes - at), (off_t)(file->segment.array.offset + at));
	return more < 0 ? -errno : (ssize_t)n + more;
}

void view_file_read(fuse_req_t req, struct view_file *file, size_t size, off_t offset)
{
	SEGFS_FREE char *buf = malloc(size);
	ssize_t n;

	if (!buf)
		n = -ENOMEM;
	else if (file->kind == VIEW_TEXT)
		n = segfs_textview_read(&file->text, file->fd, buf, size, (uint64_t)offset);
	else if (file->kind == VIEW_NPY)
		n = read_npy(file, buf, size, offset);
	else
		n = (ssize_t)read_bytes(file, buf, size, offset);
	if (n < 0)
		reply(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

struct read_job {
	struct slow_job job;
	struct view_file *file; /* owned */
	uint64_t handle;
	size_t size;
	off_t offset;
};

/* What was shorter ends where it did, unless it is read from its beginning. */
static void cut(struct fs *fs, const struct read_job *read)
{
	struct ledger_open *open = ledger_open_of(&fs->ledger, read->handle);
	struct view_file *file = read->file;

	if (!open || file->kind == VIEW_NPY)
		return;
	if (read->offset == 0)
		open->note = file->n_bytes;
	file->n_bytes = MIN(file->n_bytes, open->note);
}

/* Another READ of the same may have been quicker. */
static int restore(fuse_req_t req, struct read_job *read, struct view_file **ret_file)
{
	struct fs *fs = fs_of(req);
	struct view_file *known = opened_get(&fs->opened, read->handle);
	int r = known ? 0 : open_content(req, read->file);

	if (r < 0)
		return r;
	if (!known) {
		cut(fs, read);
		known = opened_restore(&fs->opened, read->handle, read->file, end_file);
		if (known == read->file)
			read->file = NULL; /* the table's now */
	}
	*ret_file = known;
	return known ? 0 : -ENOMEM;
}

static void run_read(struct fs *fs, struct slow_job *job)
{
	struct read_job *read = (void *)job;
	struct view_file *file;
	int r = restore(job->req, read, &file);

	if (r < 0)
		reply(job->req, r);
	else
		view_file_read(job->req, file, read->size, read->offset);
}

static void clear_read(struct slow_job *job)
{
	file_free(((struct read_job *)job)->file);
}

void view_file_read_anew(fuse_req_t req, uint64_t id, const struct view *view, int fd, uint64_t handle,
			 size_t size, off_t offset)
{
	struct read_job *read = malloc(sizeof(*read));
	struct view_file *file;
	int r = file_new(id, view, fd, &file);

	if (r == 0 && !read) {
		file_free(file);
		r = -ENOMEM;
	}
	if (r < 0) {
		free(read);
		reply(req, r);
		return;
	}
	*read = (struct read_job){.job = {.req = req, .run = run_read, .clear = clear_read},
				  .file = file,
				  .handle = handle,
				  .size = size,
				  .offset = offset};
	slow_lane_submit(fs_of(req), &read->job);
}
