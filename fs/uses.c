/* SPDX-License-Identifier: MIT */
#include "uses.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "util.h"

#define EVENTS (FAN_OPEN | FAN_CLOSE | FAN_DELETE_SELF)

/* Somebody who opens and closes without pause must not keep the reader here. */
#define MAX_READS 64

int uses_start(struct uses *uses)
{
	uses->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK |
					 FAN_UNLIMITED_MARKS,
				 O_RDONLY);
	return uses->fd < 0 ? -errno : 0;
}

void uses_stop(struct uses *uses)
{
	close_fd(&uses->fd);
}

static int mark(const struct uses *uses, int fd, unsigned how)
{
	char path[SEGFS_FD_PATH_MAX];

	segfs_fd_path(fd, path);
	return fanotify_mark(uses->fd, how, EVENTS, AT_FDCWD, path) < 0 ? -errno : 0;
}

int uses_watch(const struct uses *uses, int fd)
{
	return mark(uses, fd, FAN_MARK_ADD);
}

void uses_ignore(const struct uses *uses, int fd)
{
	mark(uses, fd, FAN_MARK_REMOVE);
}

/* The file is told by the same twelve bytes as name_to_handle_at(2) gives. */
static bool handle_of(const struct fanotify_event_metadata *event, struct segfs_handle *ret_handle)
{
	const struct fanotify_event_info_fid *info = (const void *)(event + 1);
	const struct file_handle *handle = (const void *)info->handle;

	if (event->event_len < sizeof(*event) + sizeof(*info) + sizeof(*handle) + sizeof(*ret_handle) ||
	    info->hdr.info_type != FAN_EVENT_INFO_TYPE_FID || handle->handle_bytes != sizeof(*ret_handle))
		return false;
	memcpy(ret_handle->bytes, handle->f_handle, sizeof(ret_handle->bytes));
	return true;
}

static void tell(const struct fanotify_event_metadata *event, uses_fn function, void *data)
{
	bool is_gone = event->mask & FAN_DELETE_SELF;
	struct segfs_handle handle;

	if (event->mask & FAN_Q_OVERFLOW)
		function(NULL, false, data);
	else if ((is_gone || event->pid != getpid()) && handle_of(event, &handle))
		function(&handle, is_gone, data);
}

void uses_read(const struct uses *uses, uses_fn function, void *data)
{
	_Alignas(struct fanotify_event_metadata) char buf[16 * 1024];
	ssize_t n;

	for (int i = 0; i < MAX_READS && (n = read(uses->fd, buf, sizeof(buf))) > 0; i++)
		for (const struct fanotify_event_metadata *event = (const void *)buf; FAN_EVENT_OK(event, n);
		     event = FAN_EVENT_NEXT(event, n))
			tell(event, function, data);
}
