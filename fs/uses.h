/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who opens and closes files, by either path: a fanotify(7) group with a mark on each file of interest.
 *
 * A mapping counts as the open file that it holds, so its end is a close, also where it went through the
 * mount: passthrough opens the store's file in the user's own context. What this process does itself is left
 * out. Opens and closes come in no certain number: like events merge.
 */
#include <stdbool.h>

#include "store.h"

struct uses {
	int fd; /* owned; -1: not to be had */
};

/* 0, or -errno where fanotify is not to be had: needs CAP_SYS_ADMIN. */
int uses_start(struct uses *uses);
void uses_stop(struct uses *uses);

/* Mark an open file (O_PATH is enough), once or again; a file that is removed loses its mark by itself. 0 or
 * -errno. */
int uses_watch(const struct uses *uses, int fd);
void uses_ignore(const struct uses *uses, int fd);

/* Called with the file that somebody has opened or closed, or which `is_gone`; with NULL: events were lost,
 * and any file may have been used. */
typedef void (*uses_fn)(const struct segfs_handle *handle, bool is_gone, void *data);

/* What has come since. */
void uses_read(const struct uses *uses, uses_fn function, void *data);
