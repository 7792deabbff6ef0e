/* SPDX-License-Identifier: MIT */
#include "event-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "reply.h"
#include "util.h"

/* What one user, other than root, may have open. */
#define FILES_PER_USER 4096

void event_file_update(struct events *events, struct event_file *file)
{
	bool waits = file->first || file->polled;

	if (waits == file->waits)
		return;
	file->waits = waits;
	file->page->n_waiting += waits ? 1 : (size_t)-1;
	if (waits && file->page->n_waiting == 1)
		events_kick(events);
}

bool event_file_is_broken(const struct event_file *file)
{
	return file->page->broken || file->lost;
}

/* A version that is less than what was seen is another page's. */
void event_file_resume(struct event_file *file, uint64_t seen)
{
	file->seen = seen;
	file->lost = seen > file->page->count;
}

bool event_file_is_readable(const struct event_file *file)
{
	return file->at < file->len || event_file_is_broken(file) || file->page->count > file->seen;
}

void event_file_note(struct fs *fs, const struct event_file *file)
{
	struct ledger_open *open = ledger_open_of(&fs->ledger, file->id);

	if (open)
		open->note = file->seen;
}

/* Noted when it has been given: it may be told a second time, but is not lost. */
void event_file_give(struct event_file *file, fuse_req_t req, size_t size)
{
	struct fs *fs = fs_of(req);
	size_t n;

	if (file->at == file->len && event_file_is_broken(file)) {
		reply(req, -EIO);
		return;
	}
	if (file->at == file->len) {
		file->seen = file->page->count;
		file->len = (size_t)snprintf(file->line, sizeof(file->line), "%" PRIu64 "\n", file->seen);
		file->at = 0;
	}
	n = MIN(size, file->len - file->at);
	file->at += n;
	fuse_reply_buf(req, file->line + file->at - n, n);
	event_file_note(fs, file);
}

/* Takes the first blocked read out of its queue. */
static fuse_req_t take_read(struct events *events, struct event_file *file, size_t *ret_size)
{
	struct event_read *read = file->first;
	fuse_req_t req = read->req;

	file->first = read->next;
	if (!file->first)
		file->last = &file->first;
	*ret_size = read->size;
	HASH_DELETE(hh, events->reads, read);
	free(read);
	return req;
}

/* After a look at its page: those who wait for what is there now are told. True if there were any. */
static bool serve(struct events *events, struct event_file *file)
{
	bool any = false;
	size_t size;

	while (file->first && event_file_is_readable(file)) {
		fuse_req_t req = take_read(events, file, &size);

		event_file_give(file, req, size);
		any = true;
	}
	if (file->polled && event_file_is_readable(file)) {
		file->polled = false;
		fuse_lowlevel_notify_poll(file->handle);
		any = true;
	}
	event_file_update(events, file);
	return any;
}

bool event_file_serve_all(struct events *events, struct event_page *page)
{
	bool any = false;

	for (struct event_file *file = page->files; file; file = file->next)
		if (file->waits)
			any |= serve(events, file);
	return any;
}

struct event_file *event_file_find(struct events *events, uint64_t id)
{
	struct event_file *file;

	HASH_FIND(hh, events->files, &id, sizeof(id), file);
	return file;
}

/* The page of a segment that is mapped already, if that is still its page; or a new one. */
static int find_page(struct events *events, const struct segfs_handle *segment, int fd,
		     struct event_page **ret_page)
{
	struct event_page *page;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	HASH_FIND(hh, events->pages, segment, sizeof(*segment), page);
	if (page)
		event_page_look(page);
	if (page && (page->broken || page->ino != st.st_ino)) {
		page->broken = true;
		event_page_unlist(events, page);
		event_file_serve_all(events, page);
		page = NULL;
	}
	if (!page)
		return event_page_new(events, segment, fd, ret_page);
	*ret_page = page;
	return 0;
}

static int find_user(struct events *events, uid_t uid, struct event_user **ret_user)
{
	struct event_user *user;

	HASH_FIND(hh, events->users, &uid, sizeof(uid), user);
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return -ENOMEM;
		user->uid = uid;
		HASH_ADD(hh, events->users, uid, sizeof(user->uid), user);
		if (!user->hh.tbl) {
			free(user);
			return -ENOMEM;
		}
	}
	if (uid != 0 && user->n_files >= FILES_PER_USER)
		return -EMFILE;
	*ret_user = user;
	return 0;
}

static void user_put(struct events *events, struct event_user *user)
{
	if (user && user->n_files == 0) {
		HASH_DELETE(hh, events->users, user);
		free(user);
	}
}

static int insert(struct events *events, struct event_file *file)
{
	HASH_ADD(hh, events->files, id, sizeof(file->id), file);
	if (!file->hh.tbl)
		return -ENOMEM;
	file->next = file->page->files;
	file->page->files = file;
	file->user->n_files++;
	return 0;
}

int event_file_open(struct events *events, const struct segfs_handle *segment, int page_fd, uid_t uid,
		    int flags, uint64_t id)
{
	SEGFS_FREE struct event_file *file = calloc(1, sizeof(*file));
	int r = file ? find_user(events, uid, &file->user) : -ENOMEM;

	if (r < 0)
		return r;
	file->id = id;
	file->last = &file->first;
	file->reads = (flags & O_ACCMODE) != O_WRONLY;
	r = find_page(events, segment, page_fd, &file->page);
	if (r == 0)
		r = insert(events, file);
	if (r < 0) {
		event_page_put(events, file->page);
		user_put(events, file->user);
		return r;
	}
	file->seen = file->page->count;
	steal_pointer(&file); /* the table's now */
	return 0;
}

void event_file_free(struct events *events, struct event_file *file)
{
	struct event_file **at = &file->page->files;
	size_t size;

	while (file->first)
		reply(take_read(events, file, &size), -EINTR);
	file->polled = false;
	event_file_update(events, file);
	if (file->handle)
		fuse_pollhandle_destroy(file->handle);
	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	event_page_put(events, file->page);
	file->user->n_files--;
	user_put(events, file->user);
	HASH_DELETE(hh, events->files, file);
	free(file);
}

int event_file_enqueue(struct events *events, struct event_file *file, fuse_req_t req, size_t size)
{
	struct event_read *read = calloc(1, sizeof(*read));

	if (!read)
		return -ENOMEM;
	*read = (struct event_read){.req = req, .file = file, .size = size};
	HASH_ADD_PTR(events->reads, req, read);
	if (!read->hh.tbl) {
		free(read);
		return -ENOMEM;
	}
	*file->last = read;
	file->last = &read->next;
	return 0;
}

bool event_file_dequeue(struct events *events, fuse_req_t req)
{
	struct event_read *read, **at;
	struct event_file *file;

	HASH_FIND_PTR(events->reads, &req, read);
	if (!read)
		return false;
	file = read->file;
	for (at = &file->first; *at != read;)
		at = &(*at)->next;
	*at = read->next;
	if (file->last == &read->next)
		file->last = at;
	HASH_DELETE(hh, events->reads, read);
	free(read);
	event_file_update(events, file);
	return true;
}
