/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backoff.h"
#include "fault.h"
#include "note.h"
#include "util.h"

#define SEAL_NOTE NOTE_PREFIX "sealed"

bool seal_holds(int fd, ino_t ino)
{
	char text[NOTE_MAX];

	return note_read(fd, SEAL_NOTE, ino, text) >= 0;
}

/*
 * The note comes first: whoever opens for writing is counted first and then looks for it (op_open()), so one
 * of the two sees the other. `open_fd` has the lease, as long as nobody waits to open the file for writing.
 */
static int seal_noted(struct fs *fs, uint64_t ino, int fd, int open_fd, const struct stat *st)
{
	int r = note_write(fd, SEAL_NOTE, st->st_ino, "1");

	if (r < 0)
		return r;
	fault_at("SEAL");
	if (node_has_writers(&fs->nodes, ino) || fcntl(open_fd, F_GETLEASE) != F_RDLCK)
		r = -EBUSY;
	else if (fchmod(open_fd, st->st_mode & 07777 & ~WRITE_BITS) < 0)
		r = -errno;
	if (r < 0)
		note_remove(fd, SEAL_NOTE);
	return r;
}

/*
 * The kernel grants a lease to read only where nobody has the file open, or mapped, to write: in the store
 * too. Noted, but with write bits, it is the work of a worker that did not come to the end of it.
 */
static int seal(struct fs *fs, uint64_t ino, int fd)
{
	SEGFS_CLOSE int open_fd = segfs_store_reopen(&fs->store, fd, O_RDONLY | O_NONBLOCK);
	struct lease lease;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!(st.st_mode & WRITE_BITS) && seal_holds(fd, st.st_ino))
		return 0;
	if (open_fd < 0)
		return open_fd;
	if (node_has_writers(&fs->nodes, ino) ||
	    lease_take(&fs->leases, &lease, open_fd, st.st_ino, F_RDLCK, -1) < 0)
		return -EBUSY;
	r = seal_noted(fs, ino, fd, open_fd, &st);
	lease_give_back(&fs->leases, &lease);
	return r;
}

/*
 * That a writer has closed the file is told by a request of its own, which another thread may have in hand;
 * and other threads of this process open files for an instant.
 */
int seal_set(struct fs *fs, uint64_t ino, int fd)
{
	unsigned n = 0;
	int r;

	do {
		pthread_mutex_lock(&fs->rights_lock);
		r = seal(fs, ino, fd);
		pthread_mutex_unlock(&fs->rights_lock);
	} while ((r == -EBUSY || r == -EAGAIN) && backoff_again(fs, &n));
	return r;
}
