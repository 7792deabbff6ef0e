/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sole possession of a segment: the certainty that nobody has it open or mapped, and its removal.
 *
 * The certainty is a lease to write (fcntl(2), F_SETLEASE), which the kernel grants only where this is the
 * file's one open descriptor: another process's, a mapping whose descriptor is closed, one in another
 * container or on its way through a socket are all in its way, by the mount (passthrough) as by the store. A
 * descriptor with O_PATH is not: it gives no access. While the lease is held, whoever opens the file waits,
 * and the holder can see that somebody does. So nobody comes between the look and the removal:
 *
 *	claim_take()	 the lease
 *	claim_hide()	 the name goes, and nobody new finds the file
 *	(a pause)	 who had found it by then comes to wait for the lease
 *	claim_remove()	 unless somebody waits
 *	claim_release()	 who waits goes on; a name still hidden comes back
 *
 * What this module does not do: it does not decide, and it knows no wards, backing ids or locks. SIGIO, by
 * which the kernel tells that somebody waits, is to be ignored.
 */
#include <sys/types.h>

#include "store.h"

/* Names of this form are claim_hide()'s. A daemon killed meanwhile leaves them behind. */
#define CLAIM_HIDDEN ".segfs-removing."

/* How long after claim_hide() an opener may need from the name to the lease: some microseconds, but it may
 * lose the processor meanwhile. */
#define CLAIM_PAUSE_MS 10

struct claim {
	int fd; /* open for reading, with the lease; owned; -1: no claim */
	ino_t ino;
	int dir_fd;	/* of the directory it is in, once looked for; O_PATH, owned; -1 */
	char *path;	/* in the store, without a leading slash, as it was found; owned */
	char *name;	/* in dir_fd at present, owned; NULL: has none, or it has not been looked for */
	char *restored; /* its name before it was hidden, owned; NULL: is not hidden */
};
#define CLAIM_NONE                                                                                           \
	{                                                                                                    \
		.fd = -1, .dir_fd = -1                                                                       \
	}

/* Take it. 0; -EAGAIN: somebody has it open or mapped; -EMLINK: has another name, by which it would stay;
 * -ESTALE: is gone; or another -errno. */
int claim_take(const struct segfs_store *store, const struct segfs_handle *handle, struct claim *ret_claim);

/* Find its name: `claim->path`. 0 or -errno. */
int claim_locate(const struct segfs_store *store, struct claim *claim);

/* Open a directory (O_PATH) by its path, by which nothing outside of the open directory is reached, whatever
 * somebody makes of the path meanwhile: a symlink in it is -ELOOP. */
int claim_open_beneath(int dir_fd, const char *path);

/*
 * Hide it, once located. 0; -EAGAIN: it has been renamed meanwhile; or another -errno. A name too long to be
 * hidden stays: who opens it at the same time as it is removed may then get a file that has just been
 * removed.
 */
int claim_hide(struct claim *claim);

/* Remove it. 0; -EAGAIN: somebody waits to open it, or has linked or renamed it; or another -errno. */
int claim_remove(struct claim *claim);

/* Takes none. */
void claim_release(struct claim *claim);

/* Give a file its name back that a killed daemon has left hidden. 0, or -EEXIST if another has it now, or
 * another -errno. */
int claim_restore(int dir_fd, const char *hidden);
