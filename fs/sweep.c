/* SPDX-License-Identifier: MIT */
#include "sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control-page.h"
#include "control.h"
#include "fs.h"
#include "log.h"
#include "util.h"
#include "walk.h"

/* Who makes more directories of pages than these in one store keeps the pages of the others' segments. */
#define DIRS_MAX 4096

/* At least this long between two looks, and this many times as long as the last one took. */
#define PAUSE_NS INT64_C(100000000)
#define SHARE	 50

/* While a segment without a name lives on. */
#define RETRY_MIN_NS INT64_C(500000000)
#define RETRY_MAX_NS INT64_C(60000000000)

#define NS_PER_S INT64_C(1000000000)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ------------------------------------------------------------------------------------------------------------
 * The directories
 */

static bool add_dir(struct sweep *sweep, const struct segfs_handle *handle)
{
	struct segfs_handle *dirs;

	for (size_t i = 0; i < sweep->n_dirs; i++)
		if (!memcmp(&sweep->dirs[i], handle, sizeof(*handle)))
			return false;
	if (sweep->n_dirs == DIRS_MAX)
		return false;
	dirs = reallocarray(sweep->dirs, sweep->n_dirs + 1, sizeof(*dirs));
	if (!dirs)
		return false;
	sweep->dirs = dirs;
	dirs[sweep->n_dirs++] = *handle;
	return true;
}

/* One that is new may hold what was left behind. */
void sweep_know(struct fs *fs, int dir_fd)
{
	struct sweep *sweep = &fs->sweep;
	struct segfs_handle handle;

	if (!sweep->running || segfs_store_handle(dir_fd, &handle) < 0)
		return;
	pthread_mutex_lock(&sweep->lock);
	if (add_dir(sweep, &handle)) {
		sweep->wanted = true;
		pthread_cond_signal(&sweep->wake);
	}
	pthread_mutex_unlock(&sweep->lock);
}

void sweep_look(struct fs *fs)
{
	struct sweep *sweep = &fs->sweep;

	if (!sweep->running)
		return;
	pthread_mutex_lock(&sweep->lock);
	if (!sweep->wanted) {
		sweep->wanted = true;
		pthread_cond_signal(&sweep->wake);
	}
	pthread_mutex_unlock(&sweep->lock);
}

/* The i-th directory, open; -ENOENT behind the last. What is gone is forgotten. */
static int open_dir(struct fs *fs, size_t i)
{
	struct sweep *sweep = &fs->sweep;
	struct segfs_handle handle;
	bool is_there;
	int dir;

	do {
		pthread_mutex_lock(&sweep->lock);
		is_there = i < sweep->n_dirs;
		if (is_there)
			handle = sweep->dirs[i];
		pthread_mutex_unlock(&sweep->lock);
		if (!is_there)
			return -ENOENT;
		dir = segfs_store_open_handle(&fs->store, &handle, O_RDONLY | O_DIRECTORY);
		if (dir != -ESTALE)
			return dir;
		pthread_mutex_lock(&sweep->lock); /* others add at the end alone */
		sweep->dirs[i] = sweep->dirs[--sweep->n_dirs];
		pthread_mutex_unlock(&sweep->lock);
	} while (true);
}

static bool visit(const struct segfs_walk_entry *entry, void *data)
{
	struct fs *fs = data;
	SEGFS_CLOSE int dir = -1;

	if (entry->type == DT_DIR && !strcmp(entry->name, SEGFS_CONTROL_DIR))
		dir = openat(entry->dir_fd, entry->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		sweep_know(fs, dir);
	return !fs->sweep.stop;
}

/* A library may have made it behind the mount. */
static void know_root(struct fs *fs)
{
	SEGFS_CLOSE int dir =
		openat(fs->store.root_fd, SEGFS_CONTROL_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir >= 0)
		sweep_know(fs, dir);
}

/* ------------------------------------------------------------------------------------------------------------
 * The pages
 */

enum fate { NONE, GONE, NAMELESS, NAMED };

/*
 * A page, open for reading, and what has become of its segment. NONE: it is no page. What is in it is what
 * others have written: a page that names another segment than it is called by is of no use to anybody.
 */
static enum fate fate_of(struct fs *fs, int page, int *ret_segment)
{
	SEGFS_CLOSE int segment = -1;
	struct segfs_handle handle;
	struct stat st;

	if (segfs_control_page_segment(page, &handle) < 0)
		return NONE;
	segment = segfs_store_open_handle(&fs->store, &handle, O_PATH);
	if (segment == -ESTALE)
		return GONE;
	if (segment < 0 || fstat(segment, &st) < 0)
		return NAMED; /* who knows */
	*ret_segment = steal_fd(&segment);
	return st.st_nlink > 0 ? NAMED : NAMELESS;
}

static int open_page(int dir_fd, const char *name)
{
	if (!isdigit((unsigned char)*name))
		return -ENOENT;
	return openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * A segment without a name may live on for a backing id alone, kept for later: so it is if its name was given
 * to another file in the store.
 */
static enum fate retire(struct fs *fs, int page, int *segment)
{
	struct stat st;

	if (fstat(*segment, &st) < 0 ||
	    !passthrough_retire(&fs->passthrough, &fs->nodes, node_id(&fs->nodes, st.st_ino)))
		return NAMELESS;
	close_fd(segment);
	return fate_of(fs, page, segment);
}

/* True if it is to be looked at again. */
static bool sweep_page(struct fs *fs, int dir_fd, const char *name)
{
	SEGFS_CLOSE int page = open_page(dir_fd, name), segment = -1;
	enum fate fate = page < 0 ? NONE : fate_of(fs, page, &segment);

	if (fate == NAMELESS)
		fate = retire(fs, page, &segment);
	if (fate == GONE)
		segfs_control_page_take_away(dir_fd, name, page);
	return fate == NAMELESS;
}

static void close_stream(DIR **stream)
{
	if (*stream)
		closedir(*stream);
}

/* Takes the descriptor over. */
static bool sweep_dir(struct fs *fs, int dir_fd)
{
	SEGFS_CLEANUP(close_stream) DIR *stream = fdopendir(dir_fd);
	const struct dirent *dirent;
	bool again = false;

	if (!stream) {
		close(dir_fd);
		return false;
	}
	while (!fs->sweep.stop && (dirent = readdir(stream)))
		if (dirent->d_type == DT_REG)
			again |= sweep_page(fs, dirfd(stream), dirent->d_name);
	return again;
}

static bool sweep_all(struct fs *fs)
{
	bool again = false;
	int dir;

	know_root(fs);
	for (size_t i = 0; (dir = open_dir(fs, i)) != -ENOENT; i++)
		if (dir >= 0)
			again |= sweep_dir(fs, dir);
	return again;
}

/* ------------------------------------------------------------------------------------------------------------
 * The thread
 */

/* Sleep until somebody asks, or `until`, 0: for ever. `pausing`: not even if somebody asks. False: to end. */
static bool sleep_until(struct sweep *sweep, int64_t until, bool pausing)
{
	const struct timespec t = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
	bool stop;
	int r = 0;

	pthread_mutex_lock(&sweep->lock);
	while (!sweep->stop && (pausing || !sweep->wanted) && r != ETIMEDOUT)
		r = until > 0 ? pthread_cond_timedwait(&sweep->wake, &sweep->lock, &t)
			      : pthread_cond_wait(&sweep->wake, &sweep->lock);
	if (!pausing)
		sweep->wanted = false;
	stop = sweep->stop;
	pthread_mutex_unlock(&sweep->lock);
	return !stop;
}

static void *run(void *data)
{
	struct fs *fs = data;
	int64_t began, ended, retry_ns = RETRY_MIN_NS;
	bool again;

	segfs_walk(fs->store.root_fd, visit, fs);
	do {
		began = now_ns();
		again = sweep_all(fs);
		ended = now_ns();
		if (!sleep_until(&fs->sweep, ended + MAX(PAUSE_NS, SHARE * (ended - began)), true))
			break;
		retry_ns = again ? MIN(2 * retry_ns, RETRY_MAX_NS) : RETRY_MIN_NS;
	} while (sleep_until(&fs->sweep, again ? ended + retry_ns : 0, false));
	return NULL;
}

int sweep_start(struct fs *fs)
{
	struct sweep *sweep = &fs->sweep;
	pthread_condattr_t attr;
	int r;

	if (control_is_read_only(fs))
		return 0;
	pthread_mutex_init(&sweep->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sweep->wake, &attr);
	pthread_condattr_destroy(&attr);
	sweep->running = true; /* before the thread, which asks */
	r = -pthread_create(&sweep->thread, NULL, run, fs);
	if (r < 0)
		sweep->running = false;
	return r;
}

void sweep_stop(struct fs *fs)
{
	struct sweep *sweep = &fs->sweep;

	if (!sweep->running)
		return;
	pthread_mutex_lock(&sweep->lock);
	sweep->stop = true;
	pthread_cond_signal(&sweep->wake);
	pthread_mutex_unlock(&sweep->lock);
	pthread_join(sweep->thread, NULL);
	sweep->running = false;
	free(sweep->dirs);
}

/* ------------------------------------------------------------------------------------------------------------
 * A directory that goes
 */

static bool is_below(int fd, int dir_fd)
{
	char link[SEGFS_FD_PATH_MAX], path[PATH_MAX], dir[PATH_MAX];
	ssize_t n_path, n_dir;

	segfs_fd_path(fd, link);
	n_path = readlink(link, path, sizeof(path) - 1);
	segfs_fd_path(dir_fd, link);
	n_dir = readlink(link, dir, sizeof(dir));
	if (n_path < 0 || n_dir < 0)
		return true;
	path[n_path] = '\0';
	return n_path > n_dir && !memcmp(path, dir, (size_t)n_dir) && path[n_dir] == '/';
}

/* Nobody finds the page of a segment that has moved away: it is looked for above its new place. */
static int clear_page(struct fs *fs, int dir_fd, int control_fd, const char *name)
{
	SEGFS_CLOSE int page = open_page(control_fd, name), segment = -1;
	enum fate fate = page < 0 ? NONE : fate_of(fs, page, &segment);

	if (fate == NONE || (fate == NAMED && (segment < 0 || is_below(segment, dir_fd))))
		return -ENOTEMPTY;
	return segfs_control_page_take_away(control_fd, name, page);
}

static bool is_itself(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* A stream of what is in a directory, from its beginning; NULL and errno. */
static DIR *open_stream(int dir_fd, const char *name)
{
	SEGFS_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (stream)
		steal_fd(&fd);
	return stream;
}

static bool has_only_pages(int dir_fd)
{
	SEGFS_CLEANUP(close_stream) DIR *stream = open_stream(dir_fd, ".");
	const struct dirent *dirent;

	if (!stream)
		return false;
	while ((dirent = readdir(stream)))
		if (!is_itself(dirent->d_name) && strcmp(dirent->d_name, SEGFS_CONTROL_DIR))
			return false;
	return true;
}

int sweep_clear(struct fs *fs, int dir_fd)
{
	SEGFS_CLEANUP(close_stream) DIR *stream = NULL;
	const struct dirent *dirent;
	int r = 0;

	if (!has_only_pages(dir_fd))
		return -ENOTEMPTY;
	stream = open_stream(dir_fd, SEGFS_CONTROL_DIR);
	if (!stream)
		return -errno;
	while (r == 0 && (dirent = readdir(stream)))
		if (!is_itself(dirent->d_name))
			r = clear_page(fs, dir_fd, dirfd(stream), dirent->d_name);
	if (r == 0 && unlinkat(dir_fd, SEGFS_CONTROL_DIR, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}
