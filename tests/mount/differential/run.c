/* Performs a step on one side. */
#include "step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned char data[STEP_DATA];

static int fd_of(const struct side *side, const struct step *s)
{
	return side->fds[s->slot];
}

/* ---- opening ---- */

/* What is found by leaving the tree is one object for both sides (confine() in main.c), which would see each
 * other's locks on it. */
static bool is_outside(const struct side *side, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev != side->dev;
}

static int64_t keep(struct side *side, int slot, int fd)
{
	if (fd < 0)
		return -1;
	if (is_outside(side, fd))
		return close(fd);
	if (side->fds[slot] >= 0)
		close(side->fds[slot]);
	side->fds[slot] = fd;
	return 0;
}

static int64_t run_open(struct side *side, const struct step *s, char *note)
{
	return keep(side, s->slot, open(side->path, s->flags | O_CLOEXEC, s->mode));
}

/* From an open directory, which may have been moved or removed since. */
static int64_t run_openat(struct side *side, const struct step *s, char *note)
{
	return keep(side, s->other_slot, openat(fd_of(side, s), s->path, s->flags | O_CLOEXEC, s->mode));
}

static int64_t run_close(struct side *side, const struct step *s, char *note)
{
	int fd = fd_of(side, s);

	side->fds[s->slot] = -1;
	return close(fd);
}

/* ---- contents ---- */

static void fill_data(const struct step *s)
{
	for (int64_t i = 0; i < s->len; i++)
		data[i] = (unsigned char)(s->fill + (unsigned int)i);
}

static int64_t noted(char *note, int64_t n)
{
	if (n >= 0)
		words_of_bytes(note, STEP_NOTE, data, (size_t)n);
	return n;
}

static int64_t run_read(struct side *side, const struct step *s, char *note)
{
	return noted(note, read(fd_of(side, s), data, (size_t)s->len));
}

static int64_t run_pread(struct side *side, const struct step *s, char *note)
{
	return noted(note, pread(fd_of(side, s), data, (size_t)s->len, s->offset));
}

/*
 * A passthrough write is done by the kernel with segfs's credentials, without CAP_FSETID: set-ID bits go even
 * where the writer's own write would have left them (root's, a group member's). That is documented; so both
 * sides are without them before a write.
 */
static void drop_set_ids(int fd)
{
	uid_t user = geteuid();
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID)))
		return;
	if (syscall(SYS_setresuid, -1, 0, -1) < 0)
		abort();
	fchmod(fd, st.st_mode & 01777);
	if (syscall(SYS_setresuid, -1, user, -1) < 0)
		abort();
}

static int64_t run_write(struct side *side, const struct step *s, char *note)
{
	fill_data(s);
	drop_set_ids(fd_of(side, s));
	return write(fd_of(side, s), data, (size_t)s->len);
}

static int64_t run_pwrite(struct side *side, const struct step *s, char *note)
{
	fill_data(s);
	drop_set_ids(fd_of(side, s));
	return pwrite(fd_of(side, s), data, (size_t)s->len, s->offset);
}

static int64_t run_truncate(struct side *side, const struct step *s, char *note)
{
	return truncate(side->path, s->offset);
}

static int64_t run_ftruncate(struct side *side, const struct step *s, char *note)
{
	return ftruncate(fd_of(side, s), s->offset);
}

/* Of two reasons to refuse, FUSE sees the size limit first and tmpfs the flags that it does not have. */
static int64_t run_fallocate(struct side *side, const struct step *s, char *note)
{
	int r = fallocate(fd_of(side, s), s->flags, s->offset, s->len);

	if (r < 0 && errno == EFBIG && s->flags & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		errno = EOPNOTSUPP;
	return r;
}

/* Positions in a directory mean nothing outside it, and the kernel seeks in a FUSE directory by itself. */
static int64_t run_lseek(struct side *side, const struct step *s, char *note)
{
	struct stat st;

	if (fstat(fd_of(side, s), &st) == 0 && S_ISDIR(st.st_mode))
		return lseek(fd_of(side, s), 0, SEEK_SET);
	return lseek(fd_of(side, s), s->offset, s->flags);
}

static int64_t run_copy(struct side *side, const struct step *s, char *note)
{
	loff_t from = s->offset, to = s->other_offset;

	return copy_file_range(fd_of(side, s), &from, side->fds[s->other_slot], &to, (size_t)s->len, 0);
}

static int64_t run_fsync(struct side *side, const struct step *s, char *note)
{
	return fsync(fd_of(side, s));
}

static sigjmp_buf fault;

static void on_fault(int signal)
{
	siglongjmp(fault, 1);
}

/* Past the end of the file the access faults; that is a result like any other, told as EFAULT. */
static int64_t touch_page(volatile unsigned char *page, const struct step *s)
{
	struct sigaction action = {.sa_handler = on_fault}, old;
	int64_t seen = -1;

	sigaction(SIGBUS, &action, &old);
	if (sigsetjmp(fault, 1) == 0) {
		unsigned char byte = page[s->fill];

		if (s->flags & PROT_WRITE)
			page[s->fill] = (unsigned char)(byte + s->fill);
		msync((void *)(uintptr_t)page, 4096, MS_SYNC);
		seen = byte;
	} else {
		errno = EFAULT;
	}
	sigaction(SIGBUS, &old, NULL);
	return seen;
}

/* Reading a hole through a mapping gives it a clean page, which is data to SEEK_DATA until memory is
 * reclaimed: a later lseek would depend on the machine. */
static bool would_fill_hole(int fd, const struct step *s)
{
	struct stat st;
	off_t at, data_at;

	if (s->flags & PROT_WRITE || fstat(fd, &st) < 0 || s->offset >= st.st_size)
		return false;
	at = lseek(fd, 0, SEEK_CUR);
	data_at = lseek(fd, s->offset, SEEK_DATA);
	lseek(fd, at, SEEK_SET);
	return data_at != s->offset;
}

static int64_t run_mmap(struct side *side, const struct step *s, char *note)
{
	void *page = mmap(NULL, 4096, s->flags, MAP_SHARED, fd_of(side, s), s->offset);
	int64_t seen;
	int err;

	if (page == MAP_FAILED)
		return -1;
	seen = would_fill_hole(fd_of(side, s), s) ? 0 : touch_page(page, s);
	err = errno;
	munmap(page, 4096);
	errno = err;
	return seen;
}

static int64_t run_flock(struct side *side, const struct step *s, char *note)
{
	return flock(fd_of(side, s), s->flags);
}

/* Of the open file description: the process's own locks never conflict with each other. */
static int64_t run_lock(struct side *side, const struct step *s, char *note)
{
	struct flock lock = {.l_type = (short)s->flags, .l_start = s->offset, .l_len = s->len};

	return fcntl(fd_of(side, s), F_OFD_SETLK, &lock);
}

/* ---- attributes ---- */

static int64_t run_stat(struct side *side, const struct step *s, char *note)
{
	struct stat st;
	int r = fstatat(AT_FDCWD, side->path, &st, s->flags);

	if (r == 0)
		words_of_stat(note, STEP_NOTE, &st);
	return r;
}

static int64_t run_fstat(struct side *side, const struct step *s, char *note)
{
	struct stat st;
	int r = fstat(fd_of(side, s), &st);

	if (r == 0)
		words_of_stat(note, STEP_NOTE, &st);
	return r;
}

static int64_t run_access(struct side *side, const struct step *s, char *note)
{
	return syscall(SYS_faccessat2, AT_FDCWD, side->path, s->mode & 7, s->flags);
}

static int64_t run_chmod(struct side *side, const struct step *s, char *note)
{
	return chmod(side->path, s->mode);
}

static int64_t run_fchmod(struct side *side, const struct step *s, char *note)
{
	return fchmod(fd_of(side, s), s->mode);
}

static int64_t run_chown(struct side *side, const struct step *s, char *note)
{
	return fchownat(AT_FDCWD, side->path, s->uid, s->gid, s->flags);
}

static int64_t run_fchown(struct side *side, const struct step *s, char *note)
{
	return fchown(fd_of(side, s), s->uid, s->gid);
}

/* atime is compared just after it was set: later, reading may have moved it. */
static void note_times(char *note, const struct step *s, const struct stat *st)
{
	char atime[64] = "left", mtime[64] = "any";

	if (s->times[0].tv_nsec != UTIME_OMIT)
		words_of_time(atime, sizeof atime, &st->st_atim);
	if (!S_ISFIFO(st->st_mode)) /* as in words_of_stat() */
		words_of_time(mtime, sizeof mtime, &st->st_mtim);
	snprintf(note, STEP_NOTE, "atime %s mtime %s", atime, mtime);
}

static int64_t run_utimens(struct side *side, const struct step *s, char *note)
{
	struct stat st;
	int r = utimensat(AT_FDCWD, side->path, s->times, s->flags);

	if (r == 0 && fstatat(AT_FDCWD, side->path, &st, s->flags) == 0)
		note_times(note, s, &st);
	return r;
}

static int64_t run_futimens(struct side *side, const struct step *s, char *note)
{
	struct stat st;
	int r = futimens(fd_of(side, s), s->times);

	if (r == 0 && fstat(fd_of(side, s), &st) == 0)
		note_times(note, s, &st);
	return r;
}

static int64_t run_statvfs(struct side *side, const struct step *s, char *note)
{
	struct statvfs v;
	int r = statvfs(side->path, &v);

	if (r == 0)
		snprintf(note, STEP_NOTE, "block size %lu name max %lu", v.f_bsize, v.f_namemax);
	return r;
}

/* ---- names ---- */

static int64_t run_mkdir(struct side *side, const struct step *s, char *note)
{
	return mkdir(side->path, s->mode);
}

static int64_t run_mkdirat(struct side *side, const struct step *s, char *note)
{
	return mkdirat(fd_of(side, s), s->path, s->mode);
}

static int64_t run_rmdir(struct side *side, const struct step *s, char *note)
{
	return rmdir(side->path);
}

static int64_t run_unlink(struct side *side, const struct step *s, char *note)
{
	return unlink(side->path);
}

static int64_t run_unlinkat(struct side *side, const struct step *s, char *note)
{
	return unlinkat(fd_of(side, s), s->path, s->flags);
}

static int64_t run_symlink(struct side *side, const struct step *s, char *note)
{
	return symlink(s->other, side->path);
}

static int64_t run_readlink(struct side *side, const struct step *s, char *note)
{
	return noted(note, readlink(side->path, (char *)data, (size_t)s->len));
}

static int64_t run_link(struct side *side, const struct step *s, char *note)
{
	return linkat(AT_FDCWD, side->path, AT_FDCWD, side->other, s->flags);
}

/* A name for an open file, whose own name may be gone. */
static int64_t run_flink(struct side *side, const struct step *s, char *note)
{
	return linkat(fd_of(side, s), "", AT_FDCWD, side->path, AT_EMPTY_PATH);
}

static int64_t make_node(const struct side *side, const struct step *s, mode_t type)
{
	return mknod(side->path, type | s->mode, s->rdev);
}

static int64_t run_mkfile(struct side *side, const struct step *s, char *note)
{
	return make_node(side, s, s->fill % 2 ? S_IFREG : 0);
}

static int64_t run_mkfifo(struct side *side, const struct step *s, char *note)
{
	return make_node(side, s, S_IFIFO);
}

static int64_t run_mksocket(struct side *side, const struct step *s, char *note)
{
	return make_node(side, s, S_IFSOCK);
}

static int64_t run_mkdevice(struct side *side, const struct step *s, char *note)
{
	static const mode_t types[] = {S_IFCHR, S_IFBLK, S_IFDIR, S_IFCHR};

	return make_node(side, s, types[s->fill % 4]);
}

static int64_t run_rename(struct side *side, const struct step *s, char *note)
{
	return rename(side->path, side->other);
}

static int64_t run_rename2(struct side *side, const struct step *s, char *note)
{
	return renameat2(AT_FDCWD, side->path, AT_FDCWD, side->other, (unsigned int)s->flags);
}

static int64_t note_dir(DIR *dir, char *note)
{
	static char names[1024][256 + 4];
	char *sorted[1024];
	size_t n = 0, len = 0;

	for (struct dirent *d; n < 1024 && (d = readdir(dir)); n++) {
		snprintf(names[n], sizeof names[n], "%s:%d", d->d_name, (int)d->d_type);
		sorted[n] = names[n];
	}
	qsort(sorted, n, sizeof sorted[0], compare_names);
	for (size_t i = 0; i < n && len < STEP_NOTE - 512; i++)
		len += (size_t)sprintf(note + len, "%s ", sorted[i]);
	return (int64_t)n;
}

static int64_t run_readdir(struct side *side, const struct step *s, char *note)
{
	DIR *dir = opendir(side->path);
	int64_t n;

	if (!dir)
		return -1;
	n = note_dir(dir, note);
	closedir(dir);
	return n;
}

/* ---- extended attributes ---- */

static int64_t run_setxattr(struct side *side, const struct step *s, char *note)
{
	if (s->flags & AT_SYMLINK_NOFOLLOW)
		return lsetxattr(side->path, s->name, s->value, s->value_len,
				 s->flags & ~AT_SYMLINK_NOFOLLOW);
	return setxattr(side->path, s->name, s->value, s->value_len, s->flags);
}

static int64_t run_fsetxattr(struct side *side, const struct step *s, char *note)
{
	return fsetxattr(fd_of(side, s), s->name, s->value, s->value_len, s->flags);
}

static int64_t noted_value(char *note, const struct step *s, int64_t n)
{
	return s->len ? noted(note, n) : n;
}

static int64_t run_getxattr(struct side *side, const struct step *s, char *note)
{
	ssize_t (*get)(const char *, const char *, void *, size_t) = s->flags ? lgetxattr : getxattr;

	return noted_value(note, s, get(side->path, s->name, data, (size_t)s->len));
}

static int64_t run_fgetxattr(struct side *side, const struct step *s, char *note)
{
	return noted_value(note, s, fgetxattr(fd_of(side, s), s->name, data, (size_t)s->len));
}

static int64_t run_removexattr(struct side *side, const struct step *s, char *note)
{
	return s->flags ? lremovexattr(side->path, s->name) : removexattr(side->path, s->name);
}

static int64_t run_fremovexattr(struct side *side, const struct step *s, char *note)
{
	return fremovexattr(fd_of(side, s), s->name);
}

/* Live attributes may be listed on one side alone, so lengths are told without them. */
static int64_t note_list(char *note, ssize_t len)
{
	char *names[256];
	size_t n, at = 0;

	n = xattr_names((char *)data, len, names, 256);
	for (size_t i = 0; i < n && at < STEP_NOTE - 512; i++)
		at += (size_t)sprintf(note + at, "%s ", names[i]);
	return (int64_t)at;
}

static int64_t run_listxattr(struct side *side, const struct step *s, char *note)
{
	ssize_t (*list)(const char *, char *, size_t) = s->flags ? llistxattr : listxattr;
	ssize_t len = list(side->path, (char *)data, sizeof data);

	if (len < 0)
		return -1;
	len = note_list(note, len);
	if (len && list(side->path, (char *)data, 1) >= 0)
		strcat(note, "and one byte was room enough");
	return len;
}

static int64_t run_flistxattr(struct side *side, const struct step *s, char *note)
{
	ssize_t len = flistxattr(fd_of(side, s), (char *)data, sizeof data);

	return len < 0 ? -1 : note_list(note, len);
}

/* ---- the process: one for both sides, so the second call changes nothing ---- */

static int64_t run_umask(struct side *side, const struct step *s, char *note)
{
	static const mode_t masks[] = {022, 022, 002, 0, 077, 027};

	umask(masks[s->fill % 6]);
	return 0;
}

static int64_t run_limit(struct side *side, const struct step *s, char *note)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = s->fill % 4 ? limit.rlim_max : 9000;
	return setrlimit(RLIMIT_FSIZE, &limit);
}

/* ---- the table ---- */

static const struct flag_name open_names[] = {
	{O_PATH, "O_PATH"},
	{O_TMPFILE, "O_TMPFILE"},
	{O_RDWR, "O_RDWR"},
	{O_WRONLY, "O_WRONLY"},
	{O_CREAT, "O_CREAT"},
	{O_EXCL, "O_EXCL"},
	{O_TRUNC, "O_TRUNC"},
	{O_APPEND, "O_APPEND"},
	{O_NOFOLLOW, "O_NOFOLLOW"},
	{O_DIRECTORY, "O_DIRECTORY"},
	{O_NOATIME, "O_NOATIME"},
	{O_NONBLOCK, "O_NONBLOCK"},
	{0, NULL},
};
static const struct flag_name at_names[] = {
	{AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}, {AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"}, {0, NULL}};
static const struct flag_name access_names[] = {{AT_EACCESS, "AT_EACCESS"}, {0, NULL}};
static const struct flag_name unlink_names[] = {{AT_REMOVEDIR, "AT_REMOVEDIR"}, {0, NULL}};
static const struct flag_name xattr_flag_names[] = {{XATTR_CREATE, "XATTR_CREATE"},
						    {XATTR_REPLACE, "XATTR_REPLACE"},
						    {AT_SYMLINK_NOFOLLOW, "on the symlink itself"},
						    {0, NULL}};
static const struct flag_name rename_names[] = {{RENAME_NOREPLACE, "RENAME_NOREPLACE"},
						{RENAME_EXCHANGE, "RENAME_EXCHANGE"},
						{RENAME_WHITEOUT, "RENAME_WHITEOUT"},
						{0, NULL}};
static const struct flag_name fallocate_names[] = {{FALLOC_FL_KEEP_SIZE, "KEEP_SIZE"},
						   {FALLOC_FL_PUNCH_HOLE, "PUNCH_HOLE"},
						   {FALLOC_FL_COLLAPSE_RANGE, "COLLAPSE_RANGE"},
						   {FALLOC_FL_ZERO_RANGE, "ZERO_RANGE"},
						   {FALLOC_FL_INSERT_RANGE, "INSERT_RANGE"},
						   {FALLOC_FL_UNSHARE_RANGE, "UNSHARE_RANGE"},
						   {0, NULL}};
static const struct flag_name whence_names[] = {{0, "SEEK_SET"},	  {SEEK_HOLE, "SEEK_HOLE"},
						{SEEK_DATA, "SEEK_DATA"}, {SEEK_END, "SEEK_END"},
						{SEEK_CUR, "SEEK_CUR"},	  {0, NULL}};
static const struct flag_name map_names[] = {{PROT_READ, "PROT_READ"}, {PROT_WRITE, "PROT_WRITE"}, {0, NULL}};
static const struct flag_name flock_names[] = {
	{LOCK_NB, "LOCK_NB"}, {LOCK_SH, "LOCK_SH"}, {LOCK_EX, "LOCK_EX"}, {LOCK_UN, "LOCK_UN"}, {0, NULL}};
static const struct flag_name lock_names[] = {
	{0, "F_RDLCK"}, {F_WRLCK, "F_WRLCK"}, {F_UNLCK, "F_UNLCK"}, {0, NULL}};

#define P   PART_PATH
#define PF  (PART_PATH | PART_FLAGS)
#define S   PART_SLOT
#define SF  (PART_SLOT | PART_FLAGS)
#define RNG (PART_OFFSET | PART_LEN)

struct op ops[] = {
	{"open", 90, PF | PART_MODE | S, 'f', open_names, draw_open_flags, run_open},
	{"openat", 15, PF | PART_MODE | S | PART_IN_SLOT | PART_OTHER_SLOT, 'f', open_names, draw_open_flags,
	 run_openat},
	{"close", 6, S, 0, NULL, NULL, run_close},
	{"read", 12, S | PART_LEN, 0, NULL, NULL, run_read},
	{"pread", 20, S | RNG, 0, NULL, NULL, run_pread},
	{"write", 15, S | PART_LEN | PART_FILL, 0, NULL, NULL, run_write},
	{"pwrite", 25, S | RNG | PART_FILL, 0, NULL, NULL, run_pwrite},
	{"truncate", 12, P | PART_OFFSET, 'f', NULL, NULL, run_truncate},
	{"ftruncate", 15, S | PART_OFFSET, 0, NULL, NULL, run_ftruncate},
	{"fallocate", 20, SF | RNG, 0, fallocate_names, draw_fallocate_flags, run_fallocate},
	{"lseek", 20, SF | PART_OFFSET, 0, whence_names, draw_whence, run_lseek},
	{"copy_file_range", 15, S | PART_OTHER_SLOT | RNG | PART_OTHER_OFFSET, 0, NULL, NULL, run_copy},
	{"fsync", 2, S, 0, NULL, NULL, run_fsync},
	{"mmap", 20, SF | PART_OFFSET | PART_FILL, 0, map_names, draw_map_flags, run_mmap},
	{"flock", 10, SF, 0, flock_names, draw_flock_flags, run_flock},
	{"ofd_lock", 10, SF | RNG, 0, lock_names, draw_lock_type, run_lock},
	{"stat", 50, PF, '*', at_names, draw_at_flags, run_stat},
	{"fstat", 25, S, 0, NULL, NULL, run_fstat},
	{"access", 30, PF | PART_MODE, '*', access_names, draw_access_flags, run_access},
	{"chmod", 30, P | PART_MODE, '*', NULL, NULL, run_chmod},
	{"fchmod", 10, S | PART_MODE, 0, NULL, NULL, run_fchmod},
	{"chown", 25, PF | PART_OWNER, '*', at_names, draw_at_flags, run_chown},
	{"fchown", 10, S | PART_OWNER, 0, NULL, NULL, run_fchown},
	{"utimensat", 20, PF | PART_TIMES, '*', at_names, draw_at_flags, run_utimens},
	{"futimens", 10, S | PART_TIMES, 0, NULL, NULL, run_futimens},
	{"statvfs", 3, P, 'd', NULL, NULL, run_statvfs},
	{"mkdir", 40, P | PART_MODE, 'd', NULL, NULL, run_mkdir},
	{"mkdirat", 8, S | PART_IN_SLOT | P | PART_MODE, 'd', NULL, NULL, run_mkdirat},
	{"rmdir", 20, P, 'd', NULL, NULL, run_rmdir},
	{"unlink", 40, P, 'f', NULL, NULL, run_unlink},
	{"unlinkat", 8, SF | PART_IN_SLOT | P, '*', unlink_names, draw_unlink_flags, run_unlinkat},
	{"symlink", 30, P | PART_OTHER, 's', NULL, NULL, run_symlink},
	{"readlink", 12, P | PART_LEN, 's', NULL, NULL, run_readlink},
	{"link", 25, PF | PART_OTHER, 'f', at_names, draw_link_flags, run_link},
	{"flink", 5, S | P, 'f', NULL, NULL, run_flink},
	{"mkfile", 5, P | PART_MODE | PART_FILL, 'f', NULL, NULL, run_mkfile},
	{"mkfifo", 5, P | PART_MODE, 'f', NULL, NULL, run_mkfifo},
	{"mksocket", 4, P | PART_MODE, 'f', NULL, NULL, run_mksocket},
	{"mkdevice", 5, P | PART_MODE | PART_RDEV | PART_FILL, 'f', NULL, NULL, run_mkdevice},
	{"rename", 35, P | PART_OTHER, '*', NULL, NULL, run_rename},
	{"renameat2", 25, PF | PART_OTHER, '*', rename_names, draw_rename_flags, run_rename2},
	{"readdir", 25, P, 'd', NULL, NULL, run_readdir},
	{"setxattr", 35, PF | PART_NAME | PART_VALUE, '*', xattr_flag_names, draw_lxattr_flags, run_setxattr},
	{"fsetxattr", 10, SF | PART_NAME | PART_VALUE, 0, xattr_flag_names, draw_xattr_flags, run_fsetxattr},
	{"getxattr", 25, PF | PART_NAME | PART_LEN, '*', xattr_flag_names, draw_at_flags, run_getxattr},
	{"fgetxattr", 8, S | PART_NAME | PART_LEN, 0, NULL, NULL, run_fgetxattr},
	{"listxattr", 12, PF, '*', xattr_flag_names, draw_at_flags, run_listxattr},
	{"flistxattr", 5, S, 0, NULL, NULL, run_flistxattr},
	{"removexattr", 15, PF | PART_NAME, '*', xattr_flag_names, draw_at_flags, run_removexattr},
	{"fremovexattr", 5, S | PART_NAME, 0, NULL, NULL, run_fremovexattr},
	{"umask", 3, PART_FILL, 0, NULL, NULL, run_umask},
	{"limit_file_size", 2, PART_FILL, 0, NULL, NULL, run_limit},
};
const size_t n_ops = sizeof ops / sizeof ops[0];

void step_run(struct side *side, const struct step *s, struct result *ret)
{
	snprintf(side->path, sizeof side->path, "%s/%s", side->top, s->path);
	snprintf(side->other, sizeof side->other, "%s/%s", side->top, s->other);
	ret->note[0] = '\0';
	errno = 0;
	ret->value = s->op->run(side, s, ret->note);
	ret->err = ret->value < 0 ? errno : 0;
}
