/* SPDX-License-Identifier: MIT */
/* A fuzz target without libFuzzer: runs it on each file named and on all in each directory named. */
#include <dirent.h>
#include <err.h>
#include <sys/stat.h>

#include "target.h"

/* In a block of exactly its size, as libFuzzer gives it. */
static void run_file(int dir, const char *name)
{
	SEGFS_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	SEGFS_FREE uint8_t *bytes = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", name);
	bytes = malloc((size_t)st.st_size);
	if (read(fd, bytes, (size_t)st.st_size) != st.st_size)
		err(1, "%s", name);
	printf("%s\n", name);
	fflush(stdout); /* it may be the last that is heard */
	LLVMFuzzerTestOneInput(bytes, (size_t)st.st_size);
}

static int run_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		err(1, "%s", path);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(dirfd(dir), entry->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	struct stat st;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			n += run_directory(argv[i]);
		} else {
			run_file(AT_FDCWD, argv[i]);
			n++;
		}
	}
	printf("%d inputs\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
