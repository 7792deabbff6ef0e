/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "caller.h"
#include "fault.h"
#include "fresh.h"
#include "journal.h"
#include "ledger.h"
#include "link.h"
#include "log.h"
#include "mount.h"
#include "reply.h"
#include "util.h"

/* A file's generation tells it from an earlier one of the same inode number; the handle begins with it. */
static uint64_t generation_of(const struct segfs_handle *handle)
{
	uint32_t generation;

	memcpy(&generation, handle->bytes, sizeof(generation));
	return generation;
}

/*
 * One of several names of a file is asked for at each use: told only of another name, we could not see that
 * this one has come to mean another file.
 */
static double entry_timeout(const struct fuse_entry_param *entry, const char *name)
{
	if (name && strlen(name) > LEDGER_NAME_MAX)
		return 0; /* a worker that takes over could not tell the kernel to drop it */
	return !S_ISDIR(entry->attr.st_mode) && entry->attr.st_nlink > 1 ? 0 : entry->attr_timeout;
}

/* A file as it was found. */
struct found {
	int fd; /* of a directory; borrowed */
	struct stat st;
	struct segfs_handle handle;
};

/* What a listing need not tell again, as long as the kernel keeps it. */
static void note_shown(struct told *told, const struct fuse_entry_param *entry)
{
	double timeout_s = MIN(entry->entry_timeout, entry->attr_timeout);

	if (timeout_s == 0)
		return;
	told->shown = fresh_print(&entry->attr);
	told->shown_until_ms = fresh_now_ms() + (int64_t)(timeout_s / 2 * 1000);
}

static void complain_once(void)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&done))
		log_error("more than %u files are in use at once: further ones are refused (ENFILE)",
			  LEDGER_NODES - LEDGER_THREADS);
}

/* Asked before anything is made: what is refused afterwards would be there all the same. */
int op_check_room(struct fs *fs)
{
	if (ledger_has_room(&fs->ledger))
		return 0;
	complain_once();
	return -ENFILE;
}

static int remember(struct fs *fs, uint64_t parent, const char *name, const struct found *found,
		    struct fuse_entry_param *ret_entry)
{
	struct fuse_entry_param entry = {
		.ino = node_id(&fs->nodes, found->st.st_ino),
		.generation = generation_of(&found->handle),
		.attr = found->st,
	};
	struct told told = fresh_look(found->fd, &found->st);
	bool is_new;
	int r;

	entry.attr_timeout = parent ? op_timeout(fs, parent) : 0;
	entry.entry_timeout = entry_timeout(&entry, name);
	note_shown(&told, &entry);
	r = node_remember(&fs->nodes, found->st.st_ino, &found->handle, &told, parent, name, &is_new);
	if (r == -ENFILE)
		complain_once();
	if (r < 0)
		return r;
	if (name) /* what O_TMPFILE makes has a directory, but no name */
		names_note(&fs->names, parent, name, entry.ino);
	else if (!parent) /* the store's root, whose own watch it is */
		entry.attr_timeout = entry.entry_timeout = op_timeout(fs, entry.ino);
	if (is_new && S_ISDIR(entry.attr.st_mode))
		watch_add(fs, entry.ino, found->fd);
	*ret_entry = entry;
	return 0;
}

int op_entry_of(struct fs *fs, uint64_t parent, const char *name, int fd, struct fuse_entry_param *ret_entry)
{
	struct found found = {.fd = fd};
	int r;

	if (fstat(fd, &found.st) < 0)
		return -errno;
	r = segfs_store_handle(fd, &found.handle);
	return r < 0 ? r : remember(fs, parent, name, &found, ret_entry);
}

/* What is no directory is found in two system calls instead of four; unless it is by now another file. */
int op_entry_seen(struct fs *fs, uint64_t parent, int dir_fd, const char *name, const struct stat *st,
		  struct fuse_entry_param *ret_entry)
{
	struct found found = {.fd = -1, .st = *st};
	SEGFS_CLOSE int fd = -1;

	if (!S_ISDIR(found.st.st_mode) && segfs_store_handle_at(dir_fd, name, &found.handle) == 0 &&
	    segfs_handle_ino(&found.handle) == found.st.st_ino)
		return remember(fs, parent, name, &found, ret_entry);
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : op_entry_of(fs, parent, name, fd, ret_entry);
}

int op_entry(struct fs *fs, uint64_t parent, int dir_fd, const char *name, struct fuse_entry_param *ret_entry)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return op_entry_seen(fs, parent, dir_fd, name, &st, ret_entry);
}

static void reply_entry(fuse_req_t req, int r, const struct fuse_entry_param *entry)
{
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_entry(req, entry);
}

/* In the root that nobody sees (mount.h) there is one entry, the store's own root. */
static void lookup_store(fuse_req_t req, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	int r = -ENOENT;

	if (!strcmp(name, MOUNT_ENTRY))
		r = op_entry_of(fs, 0, NULL, fs->store.root_fd, &entry);
	reply_entry(req, r, &entry);
}

/*
 * As root: whether the requester may pass here was the kernel's to judge, and fresh_check_rights() makes sure
 * that it judged by the truth.
 */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	SEGFS_CLOSE int dir = -1;
	int r;

	if (parent == FUSE_ROOT_ID) {
		lookup_store(req, name);
		return;
	}
	r = fresh_check_rights(req, parent);
	if (r == 0)
		r = dir = op_open_node(fs, parent, O_PATH | O_DIRECTORY);
	if (r >= 0)
		r = op_entry(fs, parent, dir, name, &entry);
	reply_entry(req, r, &entry);
}

/* 0, or -errno of link_send(). */
static int tell_of_pin(struct fs *fs, enum link_kind kind, uint64_t ino, int fd)
{
	int r;

	fs->ledger.page->n_pin_words++;
	r = link_send(fs->supervisor, kind, ino, fd);
	if (r < 0)
		fs->ledger.page->n_pin_words--;
	return r;
}

/* A supervisor that is too far behind to be told finds it out by itself, once it has caught up. */
static void unpin(struct fs *fs, uint64_t ino)
{
	if (tell_of_pin(fs, LINK_UNPIN, ino, -1) == 0)
		return;
	fs->ledger.page->unpins_missed = true;
	link_send(fs->supervisor, LINK_WAKE, 0, -1);
}

void op_end_node(struct fs *fs, struct node *node)
{
	passthrough_close(&fs->passthrough, node->backing_id);
	watch_remove(fs, node->watch);
	if (node->pinned) {
		fault_at("END");
		unpin(fs, node->ino);
	}
	close_fd(&node->pin);
	node_ended(&fs->nodes, node);
}

void op_take_back(struct fs *fs, uint64_t ino)
{
	struct node node;

	if (node_take_back(&fs->nodes, ino, &node))
		op_end_node(fs, &node);
}

static void forget_node(struct fs *fs, uint64_t ino, uint64_t n)
{
	struct node node;
	bool doubted;

	if (node_forget(&fs->nodes, ino, n, &node, &doubted))
		op_end_node(fs, &node);
	else if (doubted)
		watch_doubt(fs);
}

static void forget(struct fs *fs, uint64_t ino, uint64_t n)
{
	if (view_is(ino))
		passthrough_close(&fs->passthrough, view_forget(&fs->views, ino, n));
	else
		forget_node(fs, ino, n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	journal_let_go();
	forget(fs_of(req), ino, nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	journal_let_go();
	for (size_t i = 0; i < count; i++)
		forget(fs_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* What MKNOD, MKDIR and SYMLINK have to make. */
struct new_file {
	mode_t mode;	    /* with its type */
	dev_t rdev;	    /* of a device */
	const char *target; /* of a symlink */
};

/* Of a name in an open directory, 0: it leads nowhere. */
static ino_t number_at(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

/*
 * The name led nowhere when the request came first, and now it leads to what was to be made, by who asked for
 * it. (Somebody who works in the store as the same user may have made it in between. That cannot be told.)
 */
int op_open_made(fuse_req_t req, int dir, const char *name, mode_t type)
{
	SEGFS_CLOSE int fd = -1;
	ino_t now = number_at(dir, name);
	struct stat st;

	if (journal_before(0, now) != 0 || now == 0)
		return -ENOENT;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type ||
	    st.st_uid != fuse_req_ctx(req)->uid)
		return -ENOENT;
	return steal_fd(&fd);
}

static int make_as_caller(fuse_req_t req, int dir, const char *name, const struct new_file *file)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	if (S_ISDIR(file->mode))
		r = mkdirat(dir, name, file->mode & 07777);
	else if (S_ISLNK(file->mode))
		r = symlinkat(file->target, dir, name);
	else
		r = mknodat(dir, name, file->mode, file->rdev);
	return r < 0 ? -errno : 0;
}

static int make_once(fuse_req_t req, int dir, const char *name, const struct new_file *file)
{
	SEGFS_CLOSE int made = op_open_made(req, dir, name, file->mode & S_IFMT);
	struct space_wait wait = {};
	int r = MIN(made, 0);

	if (r != -ENOENT)
		return r;
	r = op_check_room(fs_of(req));
	if (r == 0)
		do
			r = make_as_caller(req, dir, name, file);
		while (space_again(fs_of(req), &wait, r));
	return r;
}

/* Found by its name, it may no longer be what was made: nothing is noted on the file of somebody else. */
static int finish_new(fuse_req_t req, uint64_t parent, int dir, const char *name,
		      struct fuse_entry_param *ret_entry)
{
	SEGFS_CLOSE int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid == fuse_req_ctx(req)->uid && (S_ISDIR(st.st_mode) || st.st_nlink == 1))
		op_note_new(req, dir, fd, &st, false);
	return op_entry_of(fs_of(req), parent, name, fd, ret_entry);
}

static void make(fuse_req_t req, uint64_t parent, const char *name, const struct new_file *file)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int dir = op_open_directory(req, parent, name);
	struct fuse_entry_param entry;
	int r = dir;

	if (r >= 0)
		r = S_ISREG(file->mode) ? op_check_name(fs, name) : 0;
	if (r == 0)
		r = make_once(req, dir, name, file);
	if (r == 0)
		r = finish_new(req, parent, dir, name, &entry);
	reply_entry(req, r, &entry);
}

/* mknod(2): without a type, it is an ordinary file. */
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	if (S_ISDIR(mode) || S_ISLNK(mode))
		reply(req, -EINVAL); /* these have requests of their own */
	else
		make(req, parent, name, &(struct new_file){.mode = mode, .rdev = rdev});
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, &(struct new_file){.mode = S_IFDIR | mode});
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make(req, parent, name, &(struct new_file){.mode = S_IFLNK, .target = target});
}

/* op_check_name() for a new name of a file, found by its name in a directory or by descriptor; none is kept
 * for what is no segment. */
static int check_segment_name(const struct fs *fs, int fd, const char *name, const char *new_name)
{
	struct stat st;

	if (!fs->options.portable_names)
		return 0;
	if (fstatat(fd, name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return op_check_name(fs, new_name);
}

/* By way of /proc/self/fd, which needs no capability; the store's kernel still applies
 * fs.protected_hardlinks. */
static int link_as_caller(fuse_req_t req, int fd, int dir, const char *name)
{
	AS_CALLER int r = caller_become(req);
	char number[16];

	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%d", fd);
	r = linkat(fs_of(req)->store.proc_fd, number, dir, name, AT_SYMLINK_FOLLOW);
	return r < 0 ? -errno : 0;
}

/* The name led nowhere before, and to the file now: it has been linked. */
static int link_once(fuse_req_t req, int fd, int dir, const char *name)
{
	ino_t now = number_at(dir, name);
	struct space_wait wait = {};
	struct stat st;
	int r;

	if (journal_before(0, now) == 0 && now != 0 && fstat(fd, &st) == 0 && st.st_ino == now)
		return 0;
	do
		r = link_as_caller(req, fd, dir, name);
	while (space_again(fs_of(req), &wait, r));
	return r;
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int dir = op_open_directory(req, parent, name);
	SEGFS_CLOSE int fd = op_open_node(fs, ino, O_PATH);
	struct fuse_entry_param entry;
	int r = MIN(dir, fd);

	if (r >= 0)
		r = fresh_check_parent(req, ino); /* the way to the file itself is another one */
	if (r == 0)
		r = check_segment_name(fs, fd, "", name);
	if (r == 0)
		r = link_once(req, fd, dir, name);
	if (r == 0)
		r = op_entry_of(fs, parent, name, fd, &entry);
	if (r == 0 && S_ISREG(entry.attr.st_mode) && entry.attr.st_nlink == 1)
		reaper_look(fs, fd); /* by O_TMPFILE, it had no name when it got its lifetime */
	reply_entry(req, r, &entry);
}

/* A file about to lose its name, if it has one there. */
struct victim {
	int fd;	      /* O_PATH, owned; -1: nothing there */
	uint64_t ino; /* node id, 0: nothing there */
};

static void victim_clear(struct victim *victim)
{
	close_fd(&victim->fd);
}

static struct victim victim_at(struct fs *fs, int dir, const char *name)
{
	struct victim victim = {.fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)};
	struct stat st;

	if (victim.fd >= 0 && fstat(victim.fd, &st) == 0)
		victim.ino = node_id(&fs->nodes, st.st_ino);
	return victim;
}

/* A backing id survives this process, and is a pin as well. */
static void pin_for_successor(struct fs *fs, const struct victim *victim)
{
	struct node node;

	if (node_get(&fs->nodes, victim->ino, &node) < 0 || node.pinned || node.backing_id > 0)
		return;
	if (tell_of_pin(fs, LINK_PIN, victim->ino, victim->fd) < 0)
		return;
	/* Not known any more: another thread has forgotten it, and knew of no pin. */
	if (!node_note_pinned(&fs->nodes, victim->ino))
		unpin(fs, victim->ino);
}

/*
 * The name is gone. Somebody may still have the file open, without a backing id to keep it alive (a
 * directory, a FIFO, an O_PATH descriptor); so a descriptor does, until the kernel forgets it.
 */
static void bury(fuse_req_t req, struct victim *victim, uint64_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct stat st;

	node_unname(&fs->nodes, victim->ino, parent, name);
	if (victim->fd < 0 || fstat(victim->fd, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 0)
		return;
	sweep_look(fs);
	fuse_lowlevel_notify_inval_inode(fs->session, victim->ino, -1, 0); /* nothing watches it any more */
	pin_for_successor(fs, victim);
	if (node_pin(&fs->nodes, victim->ino, victim->fd))
		steal_fd(&victim->fd);
	space_note_removal(fs, fuse_req_ctx(req)->pid, victim->ino);
}

static int unlink_as_caller(fuse_req_t req, int dir, const char *name, int flags)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	return unlinkat(dir, name, flags) < 0 ? -errno : 0;
}

/* What is in the way of a directory that looks empty. */
static int clear_directory(struct fs *fs, int dir, const char *name)
{
	SEGFS_CLOSE int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : sweep_clear(fs, fd);
}

/* What the name led to when the request came first has gone: an earlier worker has removed it. */
static bool is_removed(struct fs *fs, struct victim *victim)
{
	uint64_t before = journal_before(0, victim->ino);

	if (before == 0 || before == victim->ino)
		return false;
	victim_clear(victim);
	*victim = (struct victim){.fd = op_open_node(fs, before, O_PATH | O_NOFOLLOW), .ino = before};
	return true;
}

static void remove_name(fuse_req_t req, uint64_t parent, const char *name, int flags)
{
	SEGFS_CLEANUP(victim_clear) struct victim victim = {.fd = -1};
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int dir = op_open_directory(req, parent, name);
	int r = dir;

	if (r >= 0) {
		victim = victim_at(fs, dir, name);
		r = is_removed(fs, &victim) ? 0 : unlink_as_caller(req, dir, name, flags);
		if (r == -ENOTEMPTY && clear_directory(fs, dir, name) == 0)
			r = unlink_as_caller(req, dir, name, flags);
	}
	if (r == 0)
		bury(req, &victim, parent, name);
	reply(req, r);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, AT_REMOVEDIR);
}

/* The node id of a name; 0 if it leads nowhere. */
static uint64_t node_at(struct fs *fs, int dir, const char *name)
{
	ino_t ino = number_at(dir, name);

	return ino ? node_id(&fs->nodes, ino) : 0;
}

static int rename_as_caller(fuse_req_t req, int dir, const char *name, int new_dir, const char *new_name,
			    unsigned flags)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	return renameat2(dir, name, new_dir, new_name, flags) < 0 ? -errno : 0;
}

/* A name, and what it leads to. */
struct place {
	uint64_t parent;
	const char *name;
	int dir; /* owned, O_PATH */
	struct victim file;
};

static void place_clear(struct place *place)
{
	close_fd(&place->dir);
	victim_clear(&place->file);
}

static int check_names(const struct fs *fs, const struct place *from, const struct place *to, unsigned flags)
{
	int r = check_segment_name(fs, from->dir, from->name, to->name);

	if (r == 0 && flags & RENAME_EXCHANGE)
		r = check_segment_name(fs, to->dir, to->name, from->name);
	return r;
}

/*
 * Both places, as they were when the request came first. True if it has been done since: the new name leads
 * to what the old one led to. (Two names of one file: rename(2) does nothing, any number of times.)
 */
static bool is_renamed(struct fs *fs, struct place *from, struct place *to)
{
	uint64_t now, moved, replaced;

	from->file.ino = node_at(fs, from->dir, from->name);
	to->file = victim_at(fs, to->dir, to->name);
	now = to->file.ino;
	moved = journal_before(0, from->file.ino);
	replaced = journal_before(1, now);
	if (moved == 0 || now != moved || replaced == moved)
		return false;
	from->file.ino = moved;
	victim_clear(&to->file);
	to->file = (struct victim){.fd = -1, .ino = replaced};
	if (replaced)
		to->file.fd = op_open_node(fs, replaced, O_PATH | O_NOFOLLOW);
	return true;
}

static void note_renamed(fuse_req_t req, const struct place *from, struct place *to, unsigned flags)
{
	struct fs *fs = fs_of(req);

	if (to->file.ino == from->file.ino)
		return;
	if (flags & RENAME_EXCHANGE)
		node_move(&fs->nodes, to->file.ino, from->parent, from->name);
	else
		bury(req, &to->file, to->parent, to->name);
	node_move(&fs->nodes, from->file.ino, to->parent, to->name);
	names_note(&fs->names, from->parent, from->name, flags & RENAME_EXCHANGE ? to->file.ino : 0);
	names_note(&fs->names, to->parent, to->name, from->file.ino);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
	       unsigned int flags)
{
	SEGFS_CLEANUP(place_clear)
	struct place from = {parent, name, op_open_directory(req, parent, name), .file.fd = -1};
	SEGFS_CLEANUP(place_clear)
	struct place to = {newparent, newname, op_open_directory(req, newparent, newname), .file.fd = -1};
	struct fs *fs = fs_of(req);
	int r = MIN(from.dir, to.dir);

	if (r >= 0)
		r = check_names(fs, &from, &to, flags);
	if (r == 0 && !is_renamed(fs, &from, &to))
		r = rename_as_caller(req, from.dir, name, to.dir, newname, flags);
	if (r == 0)
		note_renamed(req, &from, &to, flags);
	reply(req, r);
}
