/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>

#include "caller.h"
#include "fresh.h"
#include "huge.h"
#include "journal.h"
#include "process.h"
#include "reply.h"
#include "resize.h"
#include "seal.h"
#include "util.h"

/* Set by the kernel for execve(2) and nobody else (__FMODE_EXEC, include/linux/fs.h): open to run, which
 * needs no read permission. */
#define OPENED_TO_RUN 0x20

/* The most that one COPY_FILE_RANGE copies: a short count is a legal answer, and no request should take long.
 */
#define COPY_MAX (16 << 20)

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* With these there is more to an open than the right to read. */
#define BEYOND_READING (O_ACCMODE | O_TRUNC | O_NOATIME | O_DIRECT)

/*
 * Whether the requester may open the file in this way is found out by doing it. The descriptor is then of no
 * more use: the kernel opens the file behind the backing id with the requester's flags. Where to read is all
 * that is wanted, the store's kernel can be asked for a quarter of the time: no lease is in the way there
 * that the backing id's own descriptor does not meet.
 */
static int try_open_as_caller(fuse_req_t req, int fd, const struct stat *st, int flags)
{
	SEGFS_CLOSE int opened = -1;
	AS_CALLER int r = caller_become_before(req, st);

	if (r < 0)
		return r;
	if (flags & OPENED_TO_RUN)
		return faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
	if (!(flags & BEYOND_READING))
		return faccessat(fd, "", R_OK, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
	opened = op_reopen(fs_of(req), fd, flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC));
	return MIN(opened, 0);
}

static struct node_use use_of_request(int flags)
{
	return (struct node_use){.unique = journal_unique(), .writes = writes(flags)};
}

/* The file is opened without a lock held: that may have to wait for a lease, and who has the lease may want
 * the lock. */
static int use_backing(struct fs *fs, uint64_t ino, struct node_use *use)
{
	SEGFS_CLOSE int fd = -1;
	int id = node_use_backing(&fs->nodes, ino, use);

	if (id != 0)
		return id;
	fd = op_open_node(fs, ino, O_RDONLY);
	return fd < 0 ? fd : passthrough_open(&fs->passthrough, &fs->nodes, ino, fd, use);
}

/*
 * The backing id of a node for one more open. From here on it is in use, and the reaper leaves the file
 * alone. In the moment before that it may have removed it: -ESTALE, then, on which the kernel walks again and
 * finds nothing. Or it may have been sealed: -EPERM.
 */
static int take_up(fuse_req_t req, uint64_t ino, int fd, const struct stat *before, struct node_use *use)
{
	struct fs *fs = fs_of(req);
	int id = use_backing(fs, ino, use);
	struct stat st;
	int r = 0;

	if (id < 0)
		return id;
	if (use->writes)
		space_settle(fs, fuse_req_ctx(req)->pid);
	if (use->writes && seal_holds(fd, before->st_ino))
		r = -EPERM;
	else if (before->st_nlink > 0 && fstat(fd, &st) == 0 && st.st_nlink == 0)
		r = -ESTALE;
	if (r < 0)
		node_release_backing(&fs->nodes, use->handle);
	else if (before->st_size >= SEGFS_HUGE_PAGE)
		promoter_look(fs, ino);
	return r < 0 ? r : id;
}

/* Emptied by a worker that did not come to answer, it may have been written since. */
static int empty(fuse_req_t req, uint64_t ino, int fd, bool asked)
{
	int r = journal_is_done() ? 0 : resize_to_empty(req, ino, fd, asked);

	if (r == 0)
		journal_done();
	return r;
}

/* A backing id, or -errno; -EBUSY as of resize(), when *ret_number is the file's inode number. */
static int open_segment(fuse_req_t req, uint64_t ino, int flags, bool asked, struct node_use *use,
			ino_t *ret_number)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int fd = op_open_node(fs, ino, O_PATH);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	*ret_number = st.st_ino;
	r = fresh_check_file(req, ino, fd, &st, flags & OPENED_TO_RUN);
	if (r == 0)
		r = try_open_as_caller(req, fd, &st, flags);
	if (r == 0 && flags & O_TRUNC)
		r = empty(req, ino, fd, asked);
	return r < 0 ? r : take_up(req, ino, fd, &st, use);
}

static void reply_opened(fuse_req_t req, int id, const struct node_use *use)
{
	if (id < 0)
		reply(req, id);
	else if (reply_open(req, id, use->handle) == -ENOENT)
		node_release_backing(&fs_of(req)->nodes, use->handle);
}

/* O_TRUNC of a file that others have open. */
struct open_job {
	struct resize_job resize;
	uint64_t ino;
	int flags;
};

static void open_asked(struct resize_job *resize)
{
	const struct open_job *job = (const void *)resize;
	struct node_use use = use_of_request(job->flags);
	fuse_req_t req = resize->job.req;
	ino_t number;
	int id = open_segment(req, job->ino, job->flags, true, &use, &number);

	reply_opened(req, id, &use);
}

static void ask_to_open(fuse_req_t req, uint64_t ino, int flags, ino_t number)
{
	struct open_job *job = malloc(sizeof(*job));

	if (!job) {
		reply(req, -ENOMEM);
		return;
	}
	job->ino = ino;
	job->flags = flags;
	resize_ask(req, number, open_asked, &job->resize);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node_use use = use_of_request(fi->flags);
	ino_t number = 0;
	uint64_t opened;
	int r;

	if (!journal_is_resent() || !node_find_use(&fs_of(req)->nodes, &use, &opened, &r))
		r = open_segment(req, ino, fi->flags, false, &use, &number);
	if (r == -EBUSY && fi->flags & O_TRUNC)
		ask_to_open(req, ino, fi->flags, number);
	else
		reply_opened(req, r, &use);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);

	if (node_release_backing(&fs->nodes, fi->fh))
		space_note_close(fs);
	reply(req, 0);
	if (writes(fi->flags)) /* it may have grown by write(2), of which nothing else tells */
		promoter_look_at_written(fs, ino);
}

static ino_t number_of(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

/*
 * Make a file, or open what has got there behind the kernel's back, with every rule of open(2) that the
 * store's kernel has for O_CREAT. O_NONBLOCK: that could be a FIFO.
 */
static int create_as_caller(fuse_req_t req, int dir, const char *name, mode_t mode, int flags,
			    bool *ret_is_new)
{
	AS_CALLER int r = caller_become(req);
	struct fs *fs = fs_of(req);
	struct lease_wait lease_wait = {};
	struct space_wait space_wait = {};
	int fd;

	if (r < 0)
		return r;
	flags = (flags & ~OPENED_TO_RUN) | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	do {
		fd = openat(dir, name, flags | O_EXCL, mode);
		*ret_is_new = fd >= 0;
		if (fd < 0 && errno == EEXIST && !(flags & O_EXCL))
			fd = openat(dir, name, flags & ~O_TRUNC, mode);
		if (fd < 0)
			fd = -errno;
	} while ((fd == -EAGAIN && lease_again(fs, number_of(dir, name), &lease_wait)) ||
		 space_again(fs, &space_wait, fd));
	return fd;
}

/*
 * The node of an open file, and its backing id. A lookup that the kernel will not hear of is taken back. What
 * is to be emptied is opened as any other file is: -ESTALE makes the kernel look again, and find it.
 */
static int finish_create(fuse_req_t req, uint64_t parent, int dir, const char *name, int fd, bool is_new,
			 int flags, struct fuse_entry_param *ret_entry, struct node_use *use)
{
	struct fs *fs = fs_of(req);
	int r, id;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (!is_new && (flags & O_TRUNC || st.st_nlink == 0)))
		return -ESTALE;
	if (is_new)
		op_note_new(req, dir, fd, &st, true);
	r = op_entry_of(fs, parent, name, fd, ret_entry);
	if (r < 0)
		return r;
	id = take_up(req, ret_entry->ino, fd, &st, use);
	if (id < 0)
		op_take_back(fs, ret_entry->ino);
	return id;
}

/* r is what finish_create() gave, or an earlier -errno. */
static void reply_new_file(fuse_req_t req, int r, const struct fuse_entry_param *entry,
			   const struct node_use *use)
{
	if (r < 0)
		reply(req, r);
	else if (reply_create(req, entry, r, use->handle) == -ENOENT)
		node_release_backing(&fs_of(req)->nodes, use->handle);
}

/* An earlier worker has done all but answer. Its lookup has been counted. */
static bool is_opened(fuse_req_t req, uint64_t parent, const char *name, struct node_use *use,
		      struct fuse_entry_param *ret_entry, int *ret_id)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int fd = -1;
	uint64_t ino;

	if (!journal_is_resent() || !node_find_use(&fs->nodes, use, &ino, ret_id))
		return false;
	fd = op_open_node(fs, ino, O_PATH);
	if (fd < 0 || op_entry_of(fs, parent, name, fd, ret_entry) < 0)
		return false;
	op_take_back(fs, ino);
	return true;
}

/* The new file of an earlier worker, or a new one. Made by open(2), a file may be one that its maker cannot
 * open again: O_PATH. */
static int create(fuse_req_t req, int dir, const char *name, mode_t mode, int flags, bool *ret_is_new)
{
	int fd = op_open_made(req, dir, name, S_IFREG), r;

	*ret_is_new = true;
	if (fd != -ENOENT)
		return fd;
	r = op_check_room(fs_of(req));
	return r < 0 ? r : create_as_caller(req, dir, name, mode, flags, ret_is_new);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int dir = op_open_directory(req, parent, name);
	SEGFS_CLOSE int fd = -1;
	struct node_use use = use_of_request(fi->flags);
	struct fuse_entry_param entry;
	bool is_new = false;
	int r = dir;

	if (r >= 0 && is_opened(req, parent, name, &use, &entry, &r)) {
		reply_new_file(req, r, &entry, &use);
		return;
	}
	if (r >= 0)
		r = op_check_name(fs_of(req), name);
	if (r == 0)
		r = fd = create(req, dir, name, mode, fi->flags, &is_new);
	if (r >= 0)
		r = finish_create(req, parent, dir, name, fd, is_new, fi->flags, &entry, &use);
	reply_new_file(req, r, &entry, &use);
}

static int tmpfile_as_caller(fuse_req_t req, int dir, mode_t mode, int flags)
{
	AS_CALLER int r = caller_become(req);
	struct space_wait wait = {};
	int fd;

	if (r < 0)
		return r;
	do {
		fd = openat(dir, ".", (flags & ~(OPENED_TO_RUN | O_CREAT)) | O_TMPFILE | O_CLOEXEC, mode);
		if (fd < 0)
			fd = -errno;
	} while (space_again(fs_of(req), &wait, fd));
	return fd;
}

void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int dir = op_open_directory(req, parent, NULL);
	SEGFS_CLOSE int fd = -1;
	struct node_use use = use_of_request(fi->flags);
	struct fuse_entry_param entry;
	int r = dir;

	if (r >= 0 && is_opened(req, parent, NULL, &use, &entry, &r)) {
		reply_new_file(req, r, &entry, &use);
		return;
	}
	if (r >= 0)
		r = fd = tmpfile_as_caller(req, dir, mode, fi->flags);
	if (r >= 0)
		r = finish_create(req, parent, dir, NULL, fd, true, fi->flags, &entry, &use);
	reply_new_file(req, r, &entry, &use);
}

/*
 * tmpfs counts pages beyond the end of the file against RLIMIT_FSIZE, which FUSE leaves out and which is the
 * requester's, not this process's. (A size that grows is checked by the kernel before we are asked.)
 */
static int check_size_limit(fuse_req_t req, int fd, int mode, off_t end)
{
	struct stat st;

	if (mode != FALLOC_FL_KEEP_SIZE || fstat(fd, &st) < 0 || end <= st.st_size)
		return 0;
	return (uint64_t)end > segfs_process_size_limit(fuse_req_ctx(req)->pid) ? -EFBIG : 0;
}

/*
 * What follows acts on a file that the requester has open already: that was judged then. It becomes the
 * requester all the same, since set-user-ID bits go when somebody without CAP_FSETID changes the file.
 */
static int allocate_as_caller(fuse_req_t req, int fd, int mode, off_t offset, off_t length)
{
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	if (mode == 0)
		return segfs_huge_reserve(fd, offset, offset + length);
	return fallocate(fd, mode, offset, length) < 0 ? -errno : 0;
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_RDWR);
	struct space_wait wait = {};
	off_t end;
	int r = fd;

	if (r >= 0 && __builtin_add_overflow(offset, length, &end))
		r = -EFBIG;
	if (r >= 0)
		r = check_size_limit(req, fd, mode, end);
	if (r >= 0)
		do
			r = allocate_as_caller(req, fd, mode, offset, length);
		while (space_again(fs_of(req), &wait, r));
	if (r == 0 && end >= SEGFS_HUGE_PAGE)
		promoter_look(fs_of(req), ino);
	reply(req, r);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_RDONLY);
	off_t found = fd;

	if (fd >= 0)
		found = lseek(fd, off, whence);
	if (fd < 0 || found == (off_t)-1)
		reply(req, fd < 0 ? fd : -errno);
	else
		fuse_reply_lseek(req, found);
}

static ssize_t copy_as_caller(fuse_req_t req, int in, off_t in_off, int out, off_t out_off, size_t len,
			      unsigned flags)
{
	AS_CALLER int r = caller_become(req);
	ssize_t n;

	if (r < 0)
		return r;
	n = copy_file_range(in, &in_off, out, &out_off, MIN(len, (size_t)COPY_MAX), flags);
	return n < 0 ? -errno : n;
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi, size_t len, int flags)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int in_fd = op_open_node(fs, in, O_RDONLY);
	SEGFS_CLOSE int out_fd = op_open_node(fs, out, O_WRONLY);
	struct space_wait wait = {};
	ssize_t n = MIN(in_fd, out_fd);

	if (n >= 0)
		do
			n = copy_as_caller(req, in_fd, in_off, out_fd, out_off, len, (unsigned)flags);
		while (space_again(fs, &wait, (int)MIN(n, 0)));
	if (n < 0)
		reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}
