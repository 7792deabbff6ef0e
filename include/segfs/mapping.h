/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An array in shared memory, by its path: make one or attach to one, and have its elements, its description
 * and its lock and version in one handle.
 *
 *	struct segfs_mapping *grid;
 *	int r = segfs_mapping_create("/mnt/shm/grid", 0, 0600, "<f8", shape, 2, 'C', &grid);
 *	double *a = segfs_mapping_data(grid);
 *
 * The path may be in a segfs mount or in a store, such as /dev/shm itself: without a mount everything here
 * works but what the daemon does, see README.md. What this module does not do: it keeps nobody from writing
 * while others read. For that there is segfs_mapping_control(), or flock(2) on segfs_mapping_fd(), which
 * programs in any language see.
 *
 * The elements are shared with strangers, who may change them at any time, and may make the file shorter in
 * the store (a mount refuses that): then touching what is gone ends the process with SIGBUS. The description
 * was checked and copied when the handle was made, and stays what it was.
 *
 * All functions may be called from any thread, but segfs_mapping_close() not while another is in one of these
 * for the same handle. After fork(2) the child can go on with it; about locks control.h has more.
 */
#include <sys/types.h>

#include <segfs/array.h>
#include <segfs/control.h>
#include <segfs/export.h>

SEGFS_BEGIN

struct segfs_mapping;

/*
 * Make an array at `path`, all zero, or attach to the one that is there; the handle is for reading and
 * writing. `dtype` is any text that segfs_dtype_parse() takes; shape and order are those of segfs_array,
 * `shape` may be NULL if ndim is 0. A new file gets the permissions `mode`, less the umask, its pages at
 * once, and its name last, so that nobody finds half of an array. `flags`: O_EXCL, there must be no file yet;
 * or 0, and then all processes can make the same call, whoever is first.
 *
 * 0 and a handle to be closed, or
 *
 *	-EEXIST		there is a file, and there must not be; or a symlink that leads nowhere
 *	-EINVAL		no dtype, no order, too many dimensions, other flags; or there is no regular file
 *	-EOVERFLOW	the array is too large for a file
 *	-ENOSPC		no room for its pages, or for its attributes
 *	-EMEDIUMTYPE	the array that is there has another dtype, shape or order
 *
 * or what segfs_mapping_open() returns for the file that is there, or -errno of open(2), linkat(2) or
 * fsetxattr(2) (-EOPNOTSUPP: on tmpfs, attributes need Linux 6.6). *ret_mapping is untouched on failure.
 */
SEGFS_PUBLIC int segfs_mapping_create(const char *path, int flags, mode_t mode, const char *dtype,
				      const uint64_t *shape, unsigned ndim, char order,
				      struct segfs_mapping **ret_mapping);

/*
 * Attach to the array at `path`, described by attributes or a .npy header. `flags`: O_RDWR; or O_RDONLY, with
 * which storing to an element is SIGSEGV, and control.h says what is refused. With a `dtype`, it must have
 * this one: for who casts the elements to a C type. NULL: any.
 *
 * 0 and a handle to be closed, or
 *
 *	-ENODATA	nothing that is valid says what is in it, or it is a ring or a table
 *	-EMEDIUMTYPE	another dtype
 *	-EINVAL		other flags, `dtype` is none, or the file is not a regular one
 *	-ENOTSUP	its elements are misaligned, as an unusual program wrote the .npy header
 *	-ESTALE		it was made shorter at this moment
 *
 * or -ENOMEM, or -errno of open(2), mmap(2) or what segfs_segment_read() calls.
 */
SEGFS_PUBLIC int segfs_mapping_open(const char *path, int flags, const char *dtype,
				    struct segfs_mapping **ret_mapping);

/* Unmap and close, its control as well. Takes NULL; returns NULL. */
SEGFS_PUBLIC struct segfs_mapping *segfs_mapping_close(struct segfs_mapping *mapping);

/* The description, lent. segfs_array_count() and segfs_array_strides() tell more. */
SEGFS_PUBLIC const struct segfs_array *segfs_mapping_array(const struct segfs_mapping *mapping);

/* The first element, aligned for the dtype; its file begins `offset` bytes before. NULL if the file is empty,
 * as that of an array without elements may be. */
SEGFS_PUBLIC void *segfs_mapping_data(const struct segfs_mapping *mapping);

/* The open file, lent: for flock(2), fcntl(2), fstat(2). */
SEGFS_PUBLIC int segfs_mapping_fd(const struct segfs_mapping *mapping);

/*
 * Is the file still as it was mapped? 0, or -ESTALE (others have made it too short for the array, or have
 * described it otherwise: attach anew), or what segfs_segment_read() returns. Says nothing about the next
 * moment.
 */
SEGFS_PUBLIC int segfs_mapping_check(const struct segfs_mapping *mapping);

/*
 * The control of this segment, for segfs_lock_exclusive(), segfs_publish(), segfs_wait() and the others of
 * control.h. Opened at the first call, with the flags of the handle, and lent until that is closed. 0, or as
 * segfs_control_open() (-ENOENT: it has been removed), or -ESTALE (it was being renamed: ask again).
 */
SEGFS_PUBLIC int segfs_mapping_control(struct segfs_mapping *mapping, struct segfs_control **ret_control);

SEGFS_END
