/* SPDX-License-Identifier: MIT */
/*
 * Attributes of a segment: lines `dtype=<f8`, set one after the other; `!` before a name writes the value
 * past all checks, as whoever owns the file in the store may; `size=N` changes the file's. What is then read
 * is an array within the file, or nothing.
 */
#include <segfs/segment.h>
#include <sys/xattr.h>

#include "target.h"

static void check_described(int fd)
{
	static const char *const names[] = {SEGFS_ATTR_DTYPE, SEGFS_ATTR_SHAPE, SEGFS_ATTR_ORDER,
					    SEGFS_ATTR_OFFSET};
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	char text[256];

	if (segfs_segment_read(fd, &segment) < 0)
		return;
	MUST(segment.kind == SEGFS_KIND_RAW || segfs_array_fits(&segment.array, segment.size) == 0);
	MUST(segment.kind != SEGFS_KIND_ARRAY || segfs_array_check(&segment.array, segment.size) == 0);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		MUST((segfs_segment_format(&segment, names[i], text, sizeof(text)) < 0) ==
		     (segment.kind == SEGFS_KIND_RAW));
}

static void set(int fd, const char *name, const char *value, size_t len)
{
	char whole[64];

	snprintf(whole, sizeof(whole), "user.shm.%s", name + (*name == '!'));
	if (!strcmp(name, "size"))
		MUST(ftruncate(fd, strtol(value, NULL, 10) & 0xffff) == 0);
	else if (*name == '!')
		fsetxattr(fd, whole, value, len, 0);
	else if (segfs_segment_set(fd, whole, value, len, 0) == 0)
		check_described(fd);
}

/* `len` bytes that end in NUL. */
static void run_line(int fd, char *line, size_t len)
{
	char *equals = memchr(line, '=', len);

	if (!equals)
		return;
	*equals = '\0';
	set(fd, line, equals + 1, len - (size_t)(equals + 1 - line));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_FREE char *lines = strndup((const char *)data, size);
	SEGFS_CLOSE int fd = fuzz_file("", 0);
	char *rest = lines, *line;

	while ((line = strsep(&rest, "\n")))
		run_line(fd, line, strlen(line));
	check_described(fd);
	return 0;
}
