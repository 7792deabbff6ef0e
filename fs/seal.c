/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "note.h"
#include "util.h"

#define SEAL_NOTE NOTE_PREFIX "sealed"

/* Other threads of this process open files for an instant. */
#define LEASE_TRIES    10
#define LEASE_PAUSE_NS 2000000

bool seal_holds(int fd, ino_t ino)
{
	char text[NOTE_MAX];

	return note_read(fd, SEAL_NOTE, ino, text) >= 0;
}

/* The kernel grants a lease to read only where nobody has the file open, or mapped, to write. */
static bool has_writer(int fd)
{
	const struct timespec pause = {.tv_nsec = LEASE_PAUSE_NS};

	for (int i = 0; i < LEASE_TRIES; i++) {
		if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* `fd` is open for reading, with a lease from here on. */
static int seal_unwritten(struct fs *fs, uint64_t ino, int fd, const struct stat *st)
{
	if (node_has_writers(&fs->nodes, ino) || has_writer(fd))
		return -EBUSY;
	return fchmod(fd, st->st_mode & 07555) < 0 ? -errno : 0;
}

/*
 * The note comes first: whoever opens for writing is counted first and then looks for it (op_open()), so one
 * of the two sees the other.
 */
int seal_set(struct fs *fs, uint64_t ino, int fd, const struct stat *st)
{
	SEGFS_CLOSE int open_fd = segfs_store_reopen(&fs->store, fd, O_RDONLY);
	int r = open_fd;

	if (seal_holds(fd, st->st_ino))
		return 0;
	if (r >= 0)
		r = note_write(fd, SEAL_NOTE, st->st_ino, "1");
	if (r < 0)
		return r;
	r = seal_unwritten(fs, ino, open_fd, st);
	if (r < 0)
		note_remove(fd, SEAL_NOTE);
	return r;
}
