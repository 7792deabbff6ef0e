/* SPDX-License-Identifier: MIT */

/*
 * The text view of each FILE named, one after the other, for numpy_reads_text.py and for looking at.
 *
 *	print_text FILE...
 */
#include <fcntl.h>
#include <stdio.h>

#include "textview.h"
#include "util.h"

#define PIECE (128 * 1024) /* what the kernel asks a file system for at a time */

static ssize_t print(const struct segfs_textview *view, int fd)
{
	static char buf[PIECE];
	uint64_t at = 0;
	ssize_t n;

	while ((n = segfs_textview_read(view, fd, buf, sizeof(buf), at)) > 0) {
		fwrite(buf, 1, (size_t)n, stdout);
		at += (uint64_t)n;
	}
	return n == 0 && at != view->size ? -EIO : n;
}

static int print_file(const char *path)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	SEGFS_CLEANUP(segfs_textview_clear) struct segfs_textview view = {};
	SEGFS_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = segfs_segment_read(fd, &segment);
	if (r == 0)
		r = segfs_textview_init(&view, &segment);
	return r < 0 ? r : (int)print(&view, fd);
}

int main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		int r = print_file(argv[i]);

		if (r < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
