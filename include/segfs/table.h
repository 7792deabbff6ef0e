/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A table: the named fields of one record in a file that any number of processes have open, each read and
 * written as a whole whatever the others do, and all of them read as they were at one moment. For settings,
 * counters, the state of a robot: values that are small, change often, and belong to different writers.
 *
 * Reading takes no lock and is never waited for; neither is a snapshot. Writers of the same field wait for
 * each other, those of different fields do not. Each may be killed at any instruction: a value is the one
 * before or the one after, never half of each. The format is in segfs/layout.h; a reader in pure numpy,
 * tests/lang/python/read_table.py, has a dozen lines.
 *
 * What this module does not do: it does not change several fields as one, because of a writer killed between
 * the first and the last there would remain a part. What belongs together is made one field, of a structured
 * type ("[('position', [('x', '<f8'), ('y', '<f8')]), ...]"): that is written as one.
 *
 * The file is read and written by strangers. Its header is checked once and never looked at again; whatever
 * they write later, calls end with a value, if a wrong one, or an error. But whoever can write to the file
 * can also make it shorter, which ends everybody who has it mapped with SIGBUS (see F_SEAL_SHRINK in
 * fcntl(2)).
 *
 * All functions may be called from any thread, segfs_table_close() once the others have returned. After
 * fork(2) the child can go on with the table. Not from a signal handler: it may have interrupted a writer.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <segfs/dtype.h>
#include <segfs/export.h>

SEGFS_BEGIN

struct segfs_table;

/*
 * Make the empty file `fd` (open for reading and writing) a table: its size, its pages, and all values zero.
 * The record is a structure: each field of `dtype` becomes a field of the table; a structure or a sub-array
 * within it is one value. Calls for one file must not overlap.
 *
 * 0, or -EINVAL (no structure; a field of no bytes), -ENAMETOOLONG (a field's name has more than 32 bytes),
 * -EMSGSIZE (the dtype has more than 3,903 characters), -EOVERFLOW, -EEXIST (the file is not empty), -ENOSPC
 * (no room for the pages), or -errno of fstat(2), fallocate(2), pwrite(2). The file is empty after a failure.
 */
SEGFS_PUBLIC int segfs_table_format(int fd, const struct segfs_dtype *dtype);

/*
 * Open the table in `fd`, which can be closed afterwards. Open for reading and writing, or for reading only;
 * then writing is refused.
 *
 * 0, or -EINVAL (no table, not one of this version, or damaged: entries that contradict the dtype, lie
 * outside of the file or upon each other), -EUSERS (hundreds of
 * processes have it open), -ENOMEM, or -errno of fstat(2), pread(2), mmap(2) or of making a
 * thread. Close it with segfs_table_close().
 */
SEGFS_PUBLIC int segfs_table_open(int fd, struct segfs_table **ret_table);

/*
 * Make a table at `path`, as segfs_table_format(), and open it; or open the one that is there. `dtype` is any
 * text that segfs_dtype_parse() takes. A new file gets the permissions `mode`, less the umask, and its name
 * last: nobody finds half of a table. `flags`: O_EXCL, there must be no file yet; or 0, and then all
 * processes can make the same call, whoever is first.
 *
 * Errors as of segfs_table_format() and segfs_table_open(), and -EEXIST (there is a file, and there must not
 * be), -EMEDIUMTYPE (the table that is there has another dtype), -EINVAL (also: no dtype, other flags, or
 * what is there is no table), or -errno of open(2) or linkat(2).
 */
SEGFS_PUBLIC int segfs_table_create(const char *path, int flags, mode_t mode, const char *dtype,
				    struct segfs_table **ret_table);

/* Takes NULL, returns NULL. */
SEGFS_PUBLIC struct segfs_table *segfs_table_close(struct segfs_table *table);

/* The record, of `itemsize` bytes. Lent until the table is closed. */
SEGFS_PUBLIC const struct segfs_dtype *segfs_table_dtype(const struct segfs_table *table);

/* One field, as the dtype has it. */
struct segfs_table_field {
	const char *name; /* lent until the table is closed */
	size_t size;	  /* bytes of a value */
	size_t offset;	  /* in the record, bytes */
};

/* Fields are numbered from 0, without the padding of the dtype. 0, or -EINVAL (there are not so many). */
SEGFS_PUBLIC int segfs_table_field(const struct segfs_table *table, unsigned field,
				   struct segfs_table_field *ret_field);

/* The number of the field of that name, or -ENOENT. */
SEGFS_PUBLIC int segfs_table_find(const struct segfs_table *table, const char *name);

/*
 * Give a field the value `bytes`, of the field's size. Another writer of this field is waited for until
 * `timeout_ns` have passed (0: not at all; negative: however long).
 *
 * 0; or 1, and the value is written as well: the writer before was killed at it, after or before its value
 * became the field's. Or -EINVAL (no such field), -EACCES (open for reading only), -ETIMEDOUT, -EAGAIN (the
 * words of the field keep changing as no writer would change them), -EFAULT (the file was cut), or -errno of
 * making a thread (in the child of a fork, once).
 */
SEGFS_PUBLIC int segfs_table_write(struct segfs_table *table, unsigned field, const void *bytes,
				   int64_t timeout_ns);

/*
 * The value of a field, and how many had been written with it (0: none yet, all zero). Never waits.
 *
 * 0, or -EINVAL (no such field), -ENOMEM (only for more than 4 KiB), -EAGAIN (many times over, two more
 * values were written while this one was copied).
 */
SEGFS_PUBLIC int segfs_table_read(const struct segfs_table *table, unsigned field, void *ret_bytes,
				  uint64_t *ret_count);

/*
 * All fields as they were at one moment between this call's begin and its end: there was an instant at which
 * each of them had the value that is in the record. So if a writer always changes `a` before `b`, no record
 * has the new `b` with the old `a`. The record is `dtype->itemsize` bytes as the dtype lays them out; padding
 * is zero.
 *
 * No writer waits for this, and none can make it fail, however fast. Others who take a snapshot at this
 * moment are waited for until `timeout_ns` have passed (as of segfs_table_write()). Where the table is open
 * for reading only, it takes instead a moment without writing, as long as it takes to read all fields twice,
 * within `timeout_ns`: a table whose writers do not pause is to be opened for writing.
 *
 * 0, or -EAGAIN (not within the time, or the words keep changing as no one would change them), -EFAULT (the
 * file was cut), -ENOMEM (only for more than 4 KiB), or -errno of making a thread (in the child of a fork,
 * once).
 */
SEGFS_PUBLIC int segfs_table_snapshot(struct segfs_table *table, void *ret_record, int64_t timeout_ns);

/* A table for people and programs that look on. */
struct segfs_table_status {
	struct segfs_dtype *dtype; /* of the record; owned */
	unsigned n_fields;
	uint64_t *counts; /* how many values had been written to each field; owned */
	uint64_t writes;  /* all of them together */
	uint64_t snapshots;
	void *record; /* all fields as they were at one moment; owned; NULL: larger than was asked for */
};

/*
 * Look at the table in an open file, with pread(2), without mapping it, and so without SIGBUS when it is cut.
 * The record is read too if it has no more than `record_max` bytes, and is then of one moment, as are the
 * counts; that takes a moment without writing, as of segfs_table_snapshot() where the table is open for
 * reading only, and is given up after some 20 ms. Without the record nothing is waited for.
 *
 * 0, or as segfs_table_open(), or -EAGAIN (the writers did not pause), -ESTALE (the file has become too
 * short). *ret_status is untouched on failure; free what it owns with segfs_table_status_clear().
 */
SEGFS_PUBLIC int segfs_table_status(int fd, size_t record_max, struct segfs_table_status *ret_status);

SEGFS_PUBLIC void segfs_table_status_clear(struct segfs_table_status *status);

/* Write a status in one line, without the end of the line:
 *	fields 5 record 231 writes 812 snapshots 4
 * Returns as segfs_dtype_format(). */
SEGFS_PUBLIC size_t segfs_table_status_format(const struct segfs_table_status *status, char *buf,
					      size_t size);

SEGFS_END
