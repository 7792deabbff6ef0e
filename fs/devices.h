/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Under which devices the files of the store are in use: /proc names a mapping by the device of the mount
 * that it was made through, also after that mount has gone. So each daemon notes its mount on the store's
 * root (note.h), for those that come after it; these leave out a mount that nobody uses any
 * more.
 */
#include "fs.h"

/* Fill in fs->dev: this mount's, the store's, those of former mounts. Note this mount's. An earlier worker of
 * the same mount has done so. 0 or -errno. */
int devices_init(struct fs *fs, dev_t mount);

/* The file with this inode number of the store, as a census knows it. */
struct segfs_identity devices_identity(const struct fs *fs, ino_t ino);
