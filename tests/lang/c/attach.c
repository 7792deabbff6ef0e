// Attaches to a segment, a 4 x 5 array of doubles, shared with other processes.
// cc -o attach attach.c && ./attach /mnt/shm/NAME
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static void expect(const char *path, const char *name, const char *want)
{
	char value[256];
	ssize_t len = getxattr(path, name, value, sizeof(value) - 1);

	if (len < 0)
		err(1, "%s: %s", path, name);
	value[len] = '\0';
	if (strcmp(value, want) != 0)
		errx(1, "%s: %s is %s, not %s", path, name, value, want);
}

static double load(const double *cell) // another process writes it, so it is read anew each time
{
	double value;

	__atomic_load(cell, &value, __ATOMIC_ACQUIRE);
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(1, "usage: attach SEGMENT");
	expect(argv[1], "user.shm.dtype", "<f8");
	expect(argv[1], "user.shm.shape", "4,5");

	int fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", argv[1]);
	double(*a)[5] = mmap(NULL, sizeof(double[4][5]), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a == MAP_FAILED)
		err(1, "%s: mmap", argv[1]);
	close(fd); // the mapping stays

	if (a[1][2] != 12.5)
		errx(1, "%s: element [1,2] is %g, not 12.5", argv[1], a[1][2]);
	a[2][3] = 23.25;
	puts("ready");
	fflush(stdout);

	for (time_t end = time(NULL) + 20; load(&a[3][4]) != 99.0; usleep(1000))
		if (time(NULL) >= end)
			errx(1, "%s: element [3,4] is still %g after 20 s", argv[1], load(&a[3][4]));
	puts("seen");
}
