/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The attributes that segfs gives to a segment: user.shm.*. Stored ones are extended attributes of the file
 * in the store, checked when set through the mount; live ones are computed when read, and three of them make
 * an empty file a ring, a table or slots when they are set; the lifetime is a note (lifetimes.h). Regular
 * files have them, and directories a lifetime; on anything else, and under any other name, an attribute is
 * the store's alone.
 */
#include "fs.h"

enum attribute {
	ATTRIBUTE_OTHER,  /* not ours */
	ATTRIBUTE_HIDDEN, /* our own notes on a file: not to be seen or set through the mount */
	ATTRIBUTE_LIFETIME,
	ATTRIBUTE_STORED,
	ATTRIBUTE_SEALED,
	ATTRIBUTE_KIND,
	ATTRIBUTE_CREATOR,
	ATTRIBUTE_VERSION,
	ATTRIBUTE_LOCK,
	ATTRIBUTE_ATTACHED,
	ATTRIBUTE_HUGE,
	ATTRIBUTE_NUMA,
	ATTRIBUTE_RING,
	ATTRIBUTE_TABLE,
	ATTRIBUTE_SLOTS,
};

enum attribute attribute_of(const char *name);
/* Does a file of this type have it? */
bool attribute_concerns(enum attribute attribute, mode_t type);
static inline bool attribute_is_live(enum attribute attribute)
{
	return attribute >= ATTRIBUTE_KIND;
}
/* Can it be set to what is not there yet? */
static inline bool attribute_is_settable(enum attribute attribute)
{
	return !attribute_is_live(attribute) || attribute >= ATTRIBUTE_RING;
}

/*
 * The value of a stored attribute, or of user.shm.kind, .creator, .sealed, .lifetime, .numa, .ring, .table or
 * .slots, of the open segment `fd`, which for .lifetime may also be a directory. *ret_value is to be freed.
 * Its length, or -ENODATA, or another -errno.
 */
ssize_t attribute_read(enum attribute attribute, const char *name, int fd, ino_t ino, char **ret_value);

/*
 * Is this a value that a live attribute could have been read as? Copying tools write back what they have
 * read: that is accepted, and discarded. Whoever wants to change what cannot be set, and writes something
 * else, shall be told.
 */
bool attribute_is_reported_form(enum attribute attribute, const char *value, size_t len);

/* Does setting it make something of an empty file? */
static inline bool attribute_makes(enum attribute attribute)
{
	return attribute >= ATTRIBUTE_RING;
}

/* Check and store one, or make of an empty file what it says, with the credentials that the thread has now.
 * `fd` is open for reading and writing. 0 or -errno. */
int attribute_store(enum attribute attribute, const char *name, int fd, ino_t ino, const char *value,
		    size_t len, int flags);

/*
 * As attribute_store() of one that makes something, begun when the file was empty by somebody who may not
 * have come to its end: what is made already stays as it is.
 */
int attribute_make_again(enum attribute attribute, const char *name, int fd, ino_t ino, const char *value,
			 size_t len, int flags);

/*
 * Make the list of names that the mount shows from the store's own (NUL-terminated names, `n` bytes). `fd` is
 * the segment open for reading, or -1 where the requester may not read it or it is no segment: then nothing
 * is added. *ret_list is to be freed. Its length, or -errno.
 */
ssize_t attribute_list(const char *names, size_t n, bool is_root, bool is_segment, int fd, ino_t ino,
		       char **ret_list);
