/* Everything that permissions decide about, as one function each. */
#include "case.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int tried_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	return fd < 0 ? -1 : close(fd);
}

static int open_read(const struct place *p)
{
	return tried_open(p->x, O_RDONLY);
}

static int open_write(const struct place *p)
{
	return tried_open(p->x, O_WRONLY);
}

static int open_both(const struct place *p)
{
	return tried_open(p->x, O_RDWR);
}

static int open_trunc(const struct place *p)
{
	return tried_open(p->x, O_WRONLY | O_TRUNC);
}

static int open_read_trunc(const struct place *p)
{
	return tried_open(p->x, O_RDONLY | O_TRUNC);
}

static int open_append(const struct place *p)
{
	return tried_open(p->x, O_WRONLY | O_APPEND);
}

static int open_creat(const struct place *p)
{
	return tried_open(p->x, O_RDWR | O_CREAT);
}

static int open_noatime(const struct place *p)
{
	return tried_open(p->x, O_RDONLY | O_NOATIME);
}

static int do_stat(const struct place *p)
{
	struct stat st;

	return stat(p->x, &st);
}

static int do_chmod(const struct place *p)
{
	return chmod(p->x, 0606);
}

static int do_chown(const struct place *p)
{
	return chown(p->x, STRANGER, (gid_t)-1);
}

static int do_chgrp(const struct place *p)
{
	return chown(p->x, (uid_t)-1, GROUP);
}

static int do_truncate(const struct place *p)
{
	return truncate(p->x, 5);
}

static int times_now(const struct place *p)
{
	return utimensat(AT_FDCWD, p->x, NULL, 0);
}

static int times_set(const struct place *p)
{
	struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};

	return utimensat(AT_FDCWD, p->x, times, 0);
}

static int do_unlink(const struct place *p)
{
	return unlink(p->x);
}

static int rename_over(const struct place *p)
{
	return rename(p->spare, p->x);
}

static int rename_away(const struct place *p)
{
	return rename(p->x, p->other);
}

static int rename_into_d(const struct place *p)
{
	return rename(p->spare, p->in_d);
}

static int do_link(const struct place *p)
{
	return link(p->x, p->other);
}

static int do_setxattr(const struct place *p)
{
	return setxattr(p->x, "user.note", "w", 1, 0);
}

static int set_acl_itself(const struct place *p)
{
	return setxattr(p->x, "system.posix_acl_access", "\2\0\0\0", 4, 0);
}

static int do_getxattr(const struct place *p)
{
	char value[8];

	return getxattr(p->x, "user.note", value, sizeof value) < 0 ? -1 : 0;
}

static int do_listxattr(const struct place *p)
{
	char list[4096];

	return listxattr(p->x, list, sizeof list) < 0 ? -1 : 0;
}

static int do_removexattr(const struct place *p)
{
	return removexattr(p->x, "user.note");
}

int do_opendir(const struct place *p)
{
	DIR *dir = opendir(p->d);

	return dir ? closedir(dir) : -1;
}

int list_inner(const struct place *p)
{
	DIR *dir = opendir(p->inner);

	return dir ? closedir(dir) : -1;
}

static int create_beside(const struct place *p)
{
	return tried_open(p->other, O_RDWR | O_CREAT | O_EXCL);
}

static int create_in_d(const struct place *p)
{
	return tried_open(p->in_d, O_RDWR | O_CREAT);
}

static int mkdir_in_d(const struct place *p)
{
	return mkdir(p->in_d, 0777);
}

static int symlink_in_d(const struct place *p)
{
	return symlink("x", p->in_d);
}

static int mkfifo_in_d(const struct place *p)
{
	return mkfifo(p->in_d, 0666);
}

static int do_rmdir(const struct place *p)
{
	return rmdir(p->d);
}

/* Where d may not be searched, even "is it there" is refused. */
static int stat_in_d(const struct place *p)
{
	struct stat st;

	return stat(p->in_d, &st);
}

int access_as(const struct place *p, int mode)
{
	return (int)syscall(SYS_faccessat2, AT_FDCWD, p->x, mode, AT_EACCESS);
}

static int access_read(const struct place *p)
{
	return access_as(p, R_OK);
}

static int access_write(const struct place *p)
{
	return access_as(p, W_OK);
}

static int access_exec(const struct place *p)
{
	return access_as(p, X_OK);
}

/* Never succeeds: where it is allowed, x is found to be no program (ENOEXEC). */
static int do_exec(const struct place *p)
{
	char *const none[] = {NULL};
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid == 0) {
		execve(p->x, none, none);
		_exit(errno);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	errno = WEXITSTATUS(status);
	return -1;
}

/* What was opened in time stays open. */
static int held_write(const struct place *p)
{
	return pwrite(p->held, "y", 1, 0) < 0 ? -1 : 0;
}

static int held_truncate(const struct place *p)
{
	return ftruncate(p->held, 7);
}

static int held_setxattr(const struct place *p)
{
	return fsetxattr(p->held, "user.note", "z", 1, 0);
}

static int held_getxattr(const struct place *p)
{
	char value[8];

	return fgetxattr(p->held, "user.note", value, sizeof value) < 0 ? -1 : 0;
}

const struct operation operations[] = {
	{"open to read", open_read, false, false},
	{"open to write", open_write, false, false},
	{"open to read and write", open_both, false, false},
	{"open with O_TRUNC", open_trunc, false, false},
	{"open to read with O_TRUNC", open_read_trunc, false, false},
	{"open to append", open_append, false, false},
	{"open with O_CREAT", open_creat, false, false},
	{"open with O_NOATIME", open_noatime, false, false},
	{"stat", do_stat, true, false},
	{"chmod", do_chmod, false, false},
	{"chown", do_chown, false, false},
	{"chown of the group", do_chgrp, false, false},
	{"truncate", do_truncate, false, false},
	{"utimens to now", times_now, false, false},
	{"utimens to a time", times_set, false, false},
	{"unlink", do_unlink, false, false},
	{"rename over it", rename_over, false, false},
	{"rename away", rename_away, false, false},
	{"rename into the directory d", rename_into_d, false, false},
	{"link", do_link, false, false},
	{"setxattr", do_setxattr, false, false},
	{"setxattr of an ACL", set_acl_itself, false, false},
	{"getxattr", do_getxattr, false, false},
	{"listxattr", do_listxattr, false, false},
	{"removexattr", do_removexattr, false, false},
	{"opendir of d", do_opendir, false, false},
	{"opendir of the containing directory", list_inner, false, false},
	{"create beside it", create_beside, false, false},
	{"create in d", create_in_d, false, false},
	{"mkdir in d", mkdir_in_d, false, false},
	{"symlink in d", symlink_in_d, false, false},
	{"mkfifo in d", mkfifo_in_d, false, false},
	{"stat of a missing name in d", stat_in_d, true, false},
	{"rmdir of d", do_rmdir, false, false},
	{"access to read", access_read, true, false},
	{"access to write", access_write, true, false},
	{"access to execute", access_exec, true, false},
	{"exec", do_exec, false, false},
	{"write through an open descriptor", held_write, false, true},
	{"ftruncate", held_truncate, false, true},
	{"fsetxattr", held_setxattr, false, true},
	{"fgetxattr", held_getxattr, false, true},
};
const size_t n_operations = sizeof operations / sizeof operations[0];
