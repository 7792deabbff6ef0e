/* SPDX-License-Identifier: MIT */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "log.h"
#include "util.h"

/* O_NONBLOCK: somebody else may have a lease, perhaps another segfs on the same store. */
int claim_take(const struct segfs_store *store, const struct segfs_handle *handle, struct claim *ret_claim)
{
	SEGFS_CLOSE int fd = segfs_store_open_handle(store, handle, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink != 1)
		return st.st_nlink == 0 ? -ESTALE : -EMLINK;
	*ret_claim = (struct claim)CLAIM_NONE;
	ret_claim->fd = steal_fd(&fd);
	ret_claim->ino = st.st_ino;
	return 0;
}

int claim_open_beneath(int dir_fd, const char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* "/d/x": the store is a mount of its own, and its root the root of all its paths. */
static int read_path(int fd, char ret_path[PATH_MAX])
{
	char link[SEGFS_FD_PATH_MAX];
	ssize_t n;

	segfs_fd_path(fd, link);
	n = readlink(link, ret_path, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret_path[n] = '\0';
	return *ret_path == '/' ? 0 : -ENOENT; /* moved out of it */
}

int claim_locate(const struct segfs_store *store, struct claim *claim)
{
	SEGFS_FREE char *name = NULL, *whole = NULL;
	SEGFS_CLOSE int dir_fd = -1;
	char path[PATH_MAX], *slash;
	int r;

	r = read_path(claim->fd, path);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	whole = strdup(path + 1);
	name = strdup(slash + 1);
	if (!whole || !name)
		return -ENOMEM;
	*slash = '\0';
	dir_fd = claim_open_beneath(store->root_fd, slash == path ? "." : path + 1);
	if (dir_fd < 0)
		return dir_fd;
	claim->dir_fd = steal_fd(&dir_fd);
	claim->path = steal_pointer(&whole);
	claim->name = steal_pointer(&name);
	return 0;
}

static bool leads_to(const struct claim *claim, const char *name)
{
	struct stat st;

	return fstatat(claim->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == claim->ino;
}

static int rename_to(int dir_fd, const char *from, const char *to)
{
	return renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/* The name may come to mean another file at any moment, so what has been renamed is looked at afterwards. */
static int hide_as(struct claim *claim, const char *hidden)
{
	int r;

	if (!leads_to(claim, claim->name))
		return -EAGAIN;
	r = rename_to(claim->dir_fd, claim->name, hidden);
	if (r < 0)
		return r;
	if (leads_to(claim, hidden))
		return 0;
	rename_to(claim->dir_fd, hidden, claim->name);
	return -EAGAIN;
}

static bool is_hidden(const char *name)
{
	return !strncmp(name, CLAIM_HIDDEN, strlen(CLAIM_HIDDEN));
}

int claim_hide(struct claim *claim)
{
	SEGFS_FREE char *hidden = NULL;
	int r;

	if (is_hidden(claim->name) || strlen(CLAIM_HIDDEN) + strlen(claim->name) > NAME_MAX)
		return 0;
	if (asprintf(&hidden, CLAIM_HIDDEN "%s", claim->name) < 0) {
		hidden = NULL;
		return -ENOMEM;
	}
	r = hide_as(claim, hidden);
	if (r < 0)
		return r;
	claim->restored = claim->name;
	claim->name = steal_pointer(&hidden);
	return 0;
}

int claim_remove(struct claim *claim)
{
	struct stat st;

	if (fstat(claim->fd, &st) < 0)
		return -errno;
	if (st.st_nlink != 1 || !leads_to(claim, claim->name) || fcntl(claim->fd, F_GETLEASE) != F_WRLCK)
		return -EAGAIN;
	if (unlinkat(claim->dir_fd, claim->name, 0) < 0)
		return -errno;
	free_pointer(&claim->name);
	free_pointer(&claim->restored);
	return 0;
}

/* It keeps the hidden name if another file has got the old one: neither may be lost. */
static void show(struct claim *claim)
{
	int r;

	if (!leads_to(claim, claim->name))
		return;
	r = rename_to(claim->dir_fd, claim->name, claim->restored);
	if (r < 0)
		log_warning("%s was opened as it was about to be removed, and is now called %s: %s",
			    claim->path, claim->name, strerror(-r));
}

void claim_release(struct claim *claim)
{
	if (claim->restored)
		show(claim);
	close_fd(&claim->dir_fd);
	close_fd(&claim->fd);
	free_pointer(&claim->path);
	free_pointer(&claim->name);
	free_pointer(&claim->restored);
}

int claim_restore(int dir_fd, const char *hidden)
{
	return rename_to(dir_fd, hidden, hidden + strlen(CLAIM_HIDDEN));
}
