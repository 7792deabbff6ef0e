/* SPDX-License-Identifier: MIT */

/* .segfs/list and .segfs/orphans: the segments of a directory, and those of the store that nobody uses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "caller.h"
#include "census.h"
#include "control-page.h"
#include "control.h"
#include "creator.h"
#include "devices.h"
#include "lifetimes.h"
#include "locks.h"
#include "page-lock.h"
#include "table.h"
#include "util.h"
#include "view-file.h"
#include "walk.h"

/* What a list of segments is made from: one look at all processes, however many segments there are. */
struct look {
	fuse_req_t req;
	struct segfs_census *census; /* owned */
	struct segfs_locks *locks;   /* owned */
	struct table table;
	int error;
};

static void look_end(struct look *look)
{
	segfs_census_free(look->census);
	segfs_locks_free(look->locks);
	table_clear(&look->table);
}

static int look_begin(struct look *look, fuse_req_t req, size_t n_columns, const char *const titles[])
{
	const struct fs *fs = fs_of(req);
	int r;

	look->req = req;
	r = table_init(&look->table, n_columns, titles);
	if (r == 0)
		r = segfs_census_take(fs->dev, &look->census);
	if (r == 0)
		r = segfs_locks_read(&look->locks);
	return r;
}

/* A segment as the requester sees it: open if he may read it (-1 otherwise). 0 or -errno: not to be seen, or
 * no segment. */
static int open_seen(fuse_req_t req, int dir_fd, const char *name, struct stat *ret_st, int *ret_fd)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	if (fstatat(dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EINVAL;
	*ret_fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return 0;
}

/* Blanks say nothing in a dtype or a lifetime, but would be a new column. */
static void add_without_blanks(struct table *table, const char *text, char instead)
{
	SEGFS_FREE char *word = strdup(text);
	char *to = word;

	for (const char *from = text; word && *from; from++) {
		if (*from != ' ')
			*to++ = *from;
		else if (instead)
			*to++ = instead;
	}
	if (word)
		*to = '\0';
	table_add(table, word ?: "");
}

static void add_formatted(struct table *table, const struct segfs_segment *segment, const char *attribute)
{
	SEGFS_FREE char *text = NULL;

	segfs_segment_text(segment, attribute, &text);
	add_without_blanks(table, text ?: "", 0);
}

static void add_type(struct table *table, int fd)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};

	if (fd < 0 || segfs_segment_read(fd, &segment) < 0) {
		for (int i = 0; i < 3; i++)
			table_add(table, "");
		return;
	}
	table_add(table, segfs_kind_name(segment.kind));
	add_formatted(table, &segment, SEGFS_ATTR_DTYPE);
	if (segment.array.ndim == 0 && segfs_segment_format(&segment, SEGFS_ATTR_SHAPE, NULL, 0) == 0)
		table_add(table, "()");
	else
		add_formatted(table, &segment, SEGFS_ATTR_SHAPE);
}

static void add_lock(struct look *look, int dir_fd, int fd, ino_t ino)
{
	struct fs *fs = fs_of(look->req);
	SEGFS_CLEANUP(segfs_page_lock_clear) struct segfs_page_lock page = {};
	SEGFS_CLOSE int page_fd = control_find(fs, dir_fd, fd);
	const struct segfs_identity file = devices_identity(fs, ino);
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	page_lock_read(fs, page_fd, ino, look->census, &page, NULL);
	if (out)
		segfs_locks_print(look->locks, &file, SEGFS_LOCKS_COLUMN, look->census, &page, out);
	if (out && close_text(out, &text) == 0)
		table_add(&look->table, text);
	else
		table_add(&look->table, "");
}

static void add_lifetime(struct table *table, int fd, ino_t ino)
{
	char text[SEGFS_LIFETIME_MAX] = "";
	struct segfs_lifetime lifetime;

	if (fd >= 0 && lifetimes_get(fd, ino, &lifetime) == 0)
		segfs_lifetime_format(&lifetime, text);
	add_without_blanks(table, text, ':');
}

static void add_uses(struct look *look, int dir_fd, int fd, ino_t ino)
{
	const struct segfs_user *users;

	if (fd < 0) {
		table_add(&look->table, "");
		table_add(&look->table, "");
		return;
	}
	add_lock(look, dir_fd, fd, ino);
	table_printf(&look->table, "%zu", segfs_census_find(look->census, ino, &users));
}

static void add_segment(struct look *look, int dir_fd, const char *name)
{
	SEGFS_CLOSE int fd = -1;
	struct stat st;

	if (open_seen(look->req, dir_fd, name, &st, &fd) < 0)
		return;
	table_add(&look->table, name);
	add_type(&look->table, fd);
	table_printf(&look->table, "%jd", (intmax_t)st.st_size);
	add_uses(look, dir_fd, fd, st.st_ino);
	add_lifetime(&look->table, fd, st.st_ino);
}

static int is_segment(const struct dirent *dirent)
{
	return dirent->d_type == DT_REG && strcmp(dirent->d_name, VIEW_NAME);
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

int view_list_print(fuse_req_t req, int dir_fd, FILE *out)
{
	static const char *const titles[] = {"NAME",  "KIND", "DTYPE",	   "SHAPE",
					     ">SIZE", "LOCK", ">ATTACHED", "LIFETIME"};
	SEGFS_CLEANUP(look_end) struct look look = {};
	struct dirent **names;
	int n, r;

	r = look_begin(&look, req, COUNT_OF(titles), titles);
	if (r < 0)
		return r;
	n = scandirat(dir_fd, ".", &names, is_segment, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		add_segment(&look, dir_fd, names[i]->d_name);
	free_names(names, n);
	return table_print(&look.table, out);
}

/* "3d04h", "5h12m", "7m03s": two units are enough. */
static void add_age(struct table *table, int64_t seconds)
{
	if (seconds >= 86400)
		table_printf(table, "%" PRId64 "d%02" PRId64 "h", seconds / 86400, seconds % 86400 / 3600);
	else if (seconds >= 3600)
		table_printf(table, "%" PRId64 "h%02" PRId64 "m", seconds / 3600, seconds % 3600 / 60);
	else
		table_printf(table, "%" PRId64 "m%02" PRId64 "s", MAX(seconds, 0) / 60, MAX(seconds, 0) % 60);
}

/* Since it was created, as far as the kernel knows, else since its last
 * change. */
static int64_t age_of(int dir_fd, const char *name)
{
	struct statx stx;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_CTIME, &stx) < 0)
		return 0;
	return time(NULL) - (stx.stx_mask & STATX_BTIME ? stx.stx_btime.tv_sec : stx.stx_ctime.tv_sec);
}

static bool still_runs(const struct segfs_process *process)
{
	struct segfs_process now;

	return segfs_process_read(process->pid, &now) == 0 && now.start_ticks == process->start_ticks &&
	       segfs_process_lives(process->pid);
}

static void add_creator(struct table *table, int fd, ino_t ino)
{
	struct segfs_process creator;

	if (fd < 0 || creator_get(fd, ino, &creator) < 0)
		table_add(table, "");
	else
		table_printf(table, "%d:%s%s", creator.pid, creator.command,
			     still_runs(&creator) ? "" : "(ended)");
}

static void add_orphan(struct look *look, const struct segfs_walk_entry *entry)
{
	const struct segfs_user *users;
	SEGFS_CLOSE int fd = -1;
	struct stat st;

	if (open_seen(look->req, entry->dir_fd, entry->name, &st, &fd) < 0 ||
	    segfs_census_find(look->census, st.st_ino, &users) > 0)
		return;
	table_add(&look->table, entry->path);
	table_printf(&look->table, "%jd", (intmax_t)st.st_size);
	add_age(&look->table, age_of(entry->dir_fd, entry->name));
	table_printf(&look->table, "%u", st.st_uid);
	add_creator(&look->table, fd, st.st_ino);
	add_lifetime(&look->table, fd, st.st_ino);
}

static bool is_control_page(const char *path)
{
	const char *at = strstr(path, SEGFS_CONTROL_DIR "/");

	return at && (at == path || at[-1] == '/');
}

/* The walk is the requester's, and what segfs notes of a file is for root to read. */
static bool visit(const struct segfs_walk_entry *entry, void *data)
{
	struct look *look = data;

	if (entry->type != DT_REG || is_control_page(entry->path))
		return true;
	caller_restore();
	add_orphan(look, entry);
	return caller_become(look->req) == 0;
}

static int walk_as_caller(struct look *look)
{
	AS_CALLER int r = caller_become(look->req);

	return r < 0 ? r : segfs_walk(fs_of(look->req)->store.root_fd, visit, look);
}

int view_orphans_print(fuse_req_t req, FILE *out)
{
	static const char *const titles[] = {"NAME", ">SIZE", ">AGE", ">UID", "CREATOR", "LIFETIME"};
	SEGFS_CLEANUP(look_end) struct look look = {};
	int r;

	r = look_begin(&look, req, COUNT_OF(titles), titles);
	if (r == 0)
		r = walk_as_caller(&look);
	return r < 0 ? r : table_print(&look.table, out);
}
