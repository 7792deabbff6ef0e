/* SPDX-License-Identifier: MIT */
#include "fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "caller.h"
#include "fs.h"
#include "util.h"

/* The depth of directories beyond which a path is not followed up; PATH_MAX allows no more than 2,048. */
#define MAX_DEPTH 2048

/* Hardly any request that the kernel let pass is longer on its way than this, within a directory; and none to
 * run a file, for which walking the path once more is all that the doubt costs. */
#define IN_FLIGHT_MS 50
#define RUN_MS	     60000

/* inotify has long told the kernel of a change this old (seconds). */
#define SETTLED 1

/* ls -l asks for the ACL of a file no later than this after it was told of it, or else once more. */
#define ACL_MS 1000

void fresh_init(struct fs *fs)
{
	pthread_mutex_init(&fs->rights_lock, NULL);
	pthread_mutex_init(&fs->fresh.lock, NULL);
}

/* FNV-1a, never 0. Good enough to see that a value is another one; the kernel judges by the value itself. */
static uint64_t hash(const unsigned char *bytes, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

static uint64_t hash_acl(int fd)
{
	unsigned char value[4096];
	char path[SEGFS_FD_PATH_MAX];
	ssize_t n;

	segfs_fd_path(fd, path);
	n = getxattr(path, FRESH_ACL, value, sizeof(value));
	return n < 0 ? 0 : hash(value, (size_t)n);
}

/* A file that changes just now may change once more within the same tick, which cannot be seen. */
static bool is_settled(const struct stat *st)
{
	return st->st_ctim.tv_sec + SETTLED < time(NULL);
}

/*
 * After the node was told, so that a change is seen in any case: one before this call by this call, and one
 * after it by its event, which finds the node. (There is none where the file has got another name in a
 * directory that is not watched, and is changed by that: so it is not believed for long.)
 */
void fresh_learn_acl(struct fs *fs, uint64_t ino, int dir_fd, const char *name, const struct stat *st)
{
	int64_t now_ms = fresh_now_ms();

	if (!S_ISREG(st->st_mode) || !is_settled(st) || now_ms > fs->fresh.acl_asked_ms + ACL_MS)
		return;
	if (segfs_getxattr_at(dir_fd, name, FRESH_ACL, NULL, 0) == -ENODATA)
		node_note_no_acl(&fs->nodes, ino, &st->st_ctim, now_ms + ACL_MS);
}

bool fresh_has_no_acl(struct fs *fs, uint64_t ino)
{
	int64_t now_ms = fresh_now_ms();
	struct node node;

	fs->fresh.acl_asked_ms = now_ms;
	return node_get(&fs->nodes, ino, &node) == 0 && now_ms < node.told.no_acl_until_ms;
}

uint64_t fresh_print(const struct stat *st)
{
	const uint64_t all[] = {
		st->st_ino,
		st->st_mode,
		st->st_nlink,
		st->st_uid,
		st->st_gid,
		st->st_rdev,
		(uint64_t)st->st_size,
		(uint64_t)st->st_blocks,
		(uint64_t)st->st_atim.tv_sec,
		(uint64_t)st->st_atim.tv_nsec,
		(uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};

	return hash((const unsigned char *)all, sizeof(all));
}

struct told fresh_look(int fd, const struct stat *st)
{
	return (struct told){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = st->st_nlink,
		.size = st->st_size,
		.ctime = st->st_ctim,
		.acl = S_ISDIR(st->st_mode) ? hash_acl(fd) : 0,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool unchanged(const struct told *told, const struct stat *st)
{
	return same_time(&told->ctime, &st->st_ctim) && told->mode == st->st_mode &&
	       told->uid == st->st_uid && told->gid == st->st_gid && told->size == st->st_size &&
	       told->nlink == st->st_nlink;
}

/* May other people do with it what they like now than before, or run it as somebody else? */
static bool rights_changed(const struct told *a, const struct told *b)
{
	return a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->acl != b->acl;
}

static void invalidate(struct fs *fs, uint64_t ino)
{
	fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}

static bool leads_to(struct fs *fs, uint64_t parent, const char *name, ino_t ino)
{
	SEGFS_CLOSE int dir = node_open(&fs->nodes, &fs->store, parent, O_PATH | O_DIRECTORY);
	struct stat st;

	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino;
}

/*
 * Does the name by which the kernel came still lead to the file? Whatever happens to a name changes the
 * file's ctime, so it is looked up only if that has moved. A file that lost its name long ago is rightly
 * reached by other means (/proc/self/fd); one that lost it just now, or lost one of several, is probably
 * reached by a name that the kernel should have dropped.
 */
static bool name_holds(struct fs *fs, uint64_t ino, const struct stat *st)
{
	SEGFS_FREE char *name = NULL;
	struct node node;

	if (node_get_named(&fs->nodes, ino, &node, &name) < 0)
		return false;
	if (!name || is_settled(st))
		return true;
	if (!S_ISDIR(st->st_mode) && st->st_nlink < node.name_nlink)
		return false;
	if (!leads_to(fs, node.parent, name, st->st_ino))
		return false;
	node_confirm_name(&fs->nodes, ino, st);
	return true;
}

int64_t fresh_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A change was seen: the kernel shall ask, and until every request that it let pass by the old rights must
 * have arrived, we judge ourselves. */
static void renew(struct fs *fs, const struct node *node, struct told *now)
{
	if (rights_changed(&node->told, now))
		now->judge_until_ms = fresh_now_ms() + (S_ISDIR(now->mode) ? IN_FLIGHT_MS : RUN_MS);
	invalidate(fs, node->ino);
	node_tell(&fs->nodes, node->ino, now);
}

/* Notes what a file looks like now, which is not what the kernel was told. 0 or -errno. */
static int note_change(fuse_req_t req, uint64_t ino, int fd, struct node *ret_node)
{
	struct fs *fs = fs_of(req);
	struct node node;
	struct told now;
	struct stat st;
	int r;

	r = node_get(&fs->nodes, ino, &node);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	now = fresh_look(fd, &st);
	now.judge_until_ms = node.told.judge_until_ms; /* somebody else may just have noted the change */
	renew(fs, &node, &now);
	node.told = now;
	*ret_node = node;
	return 0;
}

static int check(fuse_req_t req, const struct node *node, int fd, const struct stat *st, bool names)
{
	struct fs *fs = fs_of(req);
	struct node now = *node;
	int r;

	if (names && !same_time(&node->name_ctime, &st->st_ctim) && !name_holds(fs, node->ino, st))
		return -ESTALE;
	if (!unchanged(&node->told, st)) {
		pthread_mutex_lock(&fs->rights_lock);
		r = note_change(req, node->ino, fd, &now);
		pthread_mutex_unlock(&fs->rights_lock);
		if (r < 0)
			return r;
	}
	if (!S_ISDIR(st->st_mode) || now.told.judge_until_ms == 0 || fresh_now_ms() > now.told.judge_until_ms)
		return 0;
	return caller_may(req, fd, st, X_OK) < 0 ? -EACCES : 0;
}

static int check_path(fuse_req_t req, uint64_t dir, bool names)
{
	struct fs *fs = fs_of(req);
	struct node node;

	for (unsigned depth = 0; dir != 0 && depth < MAX_DEPTH; dir = node.parent, depth++) {
		SEGFS_CLOSE int opened = -1;
		int fd = fs->store.root_fd;
		struct stat st;
		int r;

		if (node_get(&fs->nodes, dir, &node) < 0)
			return 0; /* forgotten: nobody came by it */
		if (dir != NODE_ROOT)
			fd = opened = segfs_store_open_handle(&fs->store, &node.handle, O_PATH);
		if (fd < 0 || fstat(fd, &st) < 0)
			return -ESTALE;
		r = check(req, &node, fd, &st, names);
		if (r < 0)
			return r;
	}
	return 0;
}

int fresh_check_path(fuse_req_t req, uint64_t dir)
{
	return check_path(req, dir, true);
}

int fresh_check_rights(fuse_req_t req, uint64_t dir)
{
	return check_path(req, dir, false);
}

int fresh_check_parent(fuse_req_t req, uint64_t ino)
{
	struct node node;
	int r;

	r = node_get(&fs_of(req)->nodes, ino, &node);
	return r < 0 ? r : fresh_check_path(req, node.parent);
}

/* Who was told to walk again; forgotten after a second, should he not have come. */
static void walk_again(struct fs *fs, pid_t pid)
{
	struct fresh *fresh = &fs->fresh;

	pthread_mutex_lock(&fresh->lock);
	fresh->walks[fresh->n++ % COUNT_OF(fresh->walks)] =
		(struct fresh_walk){.pid = pid, .until_ms = fresh_now_ms() + SETTLED * 1000};
	pthread_mutex_unlock(&fresh->lock);
}

static bool has_walked_again(struct fs *fs, pid_t pid)
{
	struct fresh *fresh = &fs->fresh;
	bool found = false;

	pthread_mutex_lock(&fresh->lock);
	for (size_t i = 0; i < COUNT_OF(fresh->walks); i++) {
		struct fresh_walk *walk = &fresh->walks[i];

		if (walk->until_ms == 0 || walk->pid != pid)
			continue;
		found = found || fresh_now_ms() <= walk->until_ms;
		walk->until_ms = 0;
	}
	pthread_mutex_unlock(&fresh->lock);
	return found;
}

/*
 * A file has been found by another name than before: two have changed places, say, and only one of the names
 * has been asked for since. The kernel shall hear of both; but it may have come by the other one already, by
 * which it still finds this file. On the second walk it has asked for every name.
 */
static int check_renamed(struct fs *fs, uint64_t ino)
{
	if (watch_sync(fs))
		node_settle_name(&fs->nodes, ino);
	return -ESTALE;
}

int fresh_check_file(fuse_req_t req, uint64_t ino, int fd, const struct stat *st, bool to_run)
{
	struct fs *fs = fs_of(req);
	pid_t pid = fuse_req_ctx(req)->pid;
	bool again = has_walked_again(fs, pid);
	struct node node;
	int r;

	r = node_get(&fs->nodes, ino, &node);
	if (r == 0 && node.renamed && !again)
		r = check_renamed(fs, ino);
	if (r == 0)
		r = check(req, &node, fd, st, true);
	if (r == 0 && to_run &&
	    (node.told.mode != st->st_mode || (node.told.judge_until_ms > fresh_now_ms() && !again)))
		r = -ESTALE;
	if (r == 0)
		r = fresh_check_path(req, node.parent);
	if (r == -ESTALE)
		walk_again(fs, pid);
	return r;
}

static bool refresh(struct fs *fs, uint64_t ino)
{
	SEGFS_CLOSE int fd = -1;
	struct told now;
	struct node node;
	struct stat st;

	if (node_get(&fs->nodes, ino, &node) < 0)
		return false;
	fd = segfs_store_open_handle(&fs->store, &node.handle, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	now = fresh_look(fd, &st);
	if (unchanged(&node.told, &st) && now.acl == node.told.acl)
		return false;
	renew(fs, &node, &now);
	return rights_changed(&node.told, &now);
}

bool fresh_refresh(struct fs *fs, uint64_t ino)
{
	bool changed;

	pthread_mutex_lock(&fs->rights_lock);
	changed = refresh(fs, ino);
	pthread_mutex_unlock(&fs->rights_lock);
	return changed;
}

bool fresh_refresh_seen(struct fs *fs, uint64_t ino, const struct stat *st)
{
	struct node node;

	if (node_get(&fs->nodes, ino, &node) < 0)
		return false;
	if (!S_ISDIR(st->st_mode) && unchanged(&node.told, st)) /* a directory's ACL is not in `st` */
		return false;
	return fresh_refresh(fs, ino);
}

void fresh_note(struct fs *fs, uint64_t ino, int fd)
{
	struct stat st;
	struct told now;

	if (fstat(fd, &st) < 0)
		return;
	now = fresh_look(fd, &st);
	node_tell(&fs->nodes, ino, &now);
}
