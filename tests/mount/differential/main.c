/*
 * differential: the same pseudo-random operations on two directories, which must answer alike.
 *
 *     differential [--ops N] [--seed S] [--users N] [--clean] [--tmpfile] [--without OP,...] [--verbose]
 *                  [--trace] DIR_A DIR_B
 *
 * DIR_A is a plain tmpfs, DIR_B the file system under test. Exit status: 0 alike, 1 a difference (told on
 * stdout with the command that replays it), 2 could not run. Needs root, to act as several users. Only one
 * process acts, so that a step is finished on A before B sees it.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	CHECK_EVERY = 5000, /* steps between comparisons of the whole trees */
	EMPTY_EVERY =
		20000, /* steps after which both start again from nothing, but for the open descriptors */
	REOPEN_EVERY = 500,  /* steps after which the top directory is opened to all again */
	STUCK_AFTER_S = 60,  /* seconds one step may take */
	ERRNOS_COUNTED = 134 /* Linux ends at EHWPOISON, 133 */
};

static struct {
	uint64_t ops, seed;
	int users;
	bool clean, tmpfile, verbose, trace;
	const char *without;
	const char *dirs[2];
} options = {.ops = 100000, .seed = 1, .users = 5};

static struct side side_a = {.top = "/a"}, side_b = {.top = "/b"};
static struct step step;
static struct result result_a, result_b;
static _Atomic uint64_t step_number; /* also read by the watchdog */
static uint64_t *tally;		     /* [operation][errno] */

static void oops(const char *what)
{
	fprintf(stderr, "differential: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- the two directories ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return ftw->level == 0 ? 0 : remove(path);
}

static int refuse_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return ftw->level;
}

static void refuse_files(const char *top, const char *name)
{
	if (!options.clean && nftw(top, refuse_one, 8, FTW_PHYS) != 0) {
		fprintf(stderr, "differential: %s is not empty; --clean empties it\n", name);
		exit(2);
	}
}

static void empty(const char *top, const char *name)
{
	if (nftw(top, remove_one, 8, FTW_PHYS | FTW_DEPTH) != 0)
		oops(name);
}

/* Attributes of an earlier run stay on the top directory. */
static void reset_top(const char *top, mode_t mode)
{
	char list[4096];
	ssize_t len = listxattr(top, list, sizeof list);

	for (char *p = list; p < list + len; p += strlen(p) + 1)
		removexattr(top, p);
	if (chown(top, 0, 0) < 0 || chmod(top, mode) < 0)
		oops(top);
}

static void bind(int fd, const char *target)
{
	char source[64];

	snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
	if (mkdir(target, 0755) < 0 || mount(source, target, NULL, MS_BIND, NULL) < 0)
		oops(target);
	/* A FUSE mount usually has these, a tmpfs not; device nodes are not to be opened on either. */
	if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID, NULL) < 0)
		oops("remount");
	close(fd);
}

/* Lets go of all that is not under the new root, lest somebody's file systems stay mounted here when he has
 * unmounted them. */
static void leave(const char *root)
{
	if (chdir(root) < 0 || mkdir("old", 0700) < 0 || syscall(SYS_pivot_root, ".", "old") < 0)
		oops("pivot_root");
	if (chdir("/") < 0 || umount2("/old", MNT_DETACH) < 0 || rmdir("/old") < 0)
		oops("umount");
}

/* Puts the two directories at /a and /b of a root that is otherwise empty and read-only. There, a path that
 * leaves its directory (by "..", or a symlink carried elsewhere) finds the same nothing from both sides. The
 * mounts are in a name space of our own and end with us. */
static void confine(void)
{
	int a, b;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		oops("unshare");
	a = open(options.dirs[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a < 0)
		oops(options.dirs[0]);
	b = open(options.dirs[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b < 0)
		oops(options.dirs[1]);
	if (mount("none", "/tmp", "tmpfs", 0, "mode=755") < 0)
		oops("mount");
	bind(a, "/tmp/a");
	bind(b, "/tmp/b");
	leave("/tmp");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		oops("remount");
}

/* ---- users ---- */

/* Raw calls act on this thread alone. Only the effective ids change: root is kept to come back to. */
static void become(const struct user *user)
{
	static const struct user *now = &users[0];

	if (user == now)
		return;
	if (syscall(SYS_setresuid, -1, 0, -1) < 0 ||
	    syscall(SYS_setgroups, user->n_groups, user->groups) < 0 ||
	    syscall(SYS_setresgid, -1, user->gid, -1) < 0 || syscall(SYS_setresuid, -1, user->uid, -1) < 0)
		oops("cannot change user");
	now = user;
}

/* ---- reports ---- */

static void print_replay(FILE *out)
{
	fprintf(out,
		"replay: differential --ops %" PRIu64 " --seed %" PRIu64 " --users %d --clean%s%s%s %s %s\n",
		step_number, options.seed, options.users, options.tmpfile ? " --tmpfile" : "",
		options.without ? " --without " : "", options.without ? options.without : "", options.dirs[0],
		options.dirs[1]);
}

static void print_step(FILE *out)
{
	fprintf(out, "seed %" PRIu64 " step %" PRIu64 ": ", options.seed, step_number);
	step_print(out, &step);
}

static void print_results(FILE *out)
{
	fputs("  A: ", out);
	result_print(out, &result_a);
	fputs("  B: ", out);
	result_print(out, &result_b);
}

static void print_tally(void)
{
	for (size_t i = 0; i < n_ops; i++) {
		const uint64_t *row = tally + i * ERRNOS_COUNTED;

		printf("%-16s ok %" PRIu64, ops[i].name, row[0]);
		for (int err = 1; err < ERRNOS_COUNTED; err++)
			if (row[err])
				printf(" %s %" PRIu64, strerrorname_np(err), row[err]);
		putchar('\n');
	}
}

/* A request that is never answered blocks this program for good; say which one it was. */
static void *watch(void *unused)
{
	uint64_t seen = 0;

	for (;;) {
		sleep(STUCK_AFTER_S);
		if (step_number == seen && seen) {
			printf("stuck for %d s\n", STUCK_AFTER_S);
			print_step(stdout);
			print_replay(stdout);
			fflush(stdout);
			_exit(1);
		}
		seen = step_number;
	}
	return unused;
}

static void start_watchdog(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, watch, NULL) != 0)
		oops("pthread_create");
	pthread_detach(thread);
}

/* ---- the loop ---- */

static bool same_result(void)
{
	return result_a.err == result_b.err && result_a.value == result_b.value &&
	       strcmp(result_a.note, result_b.note) == 0;
}

static bool one_step(const struct draw_limits *limits)
{
	step_draw(&step, limits);
	step_number++;
	become(&users[step.user]);
	step_run(&side_a, &step, &result_a);
	step_run(&side_b, &step, &result_b);
	if (options.trace) {
		print_step(stdout);
		print_results(stdout);
	}
	tally[(size_t)(step.op - ops) * ERRNOS_COUNTED + (size_t)(result_a.err % ERRNOS_COUNTED)]++;
	if (same_result())
		return true;
	puts("results differ");
	print_step(stdout);
	print_results(stdout);
	return false;
}

static bool check_trees(void)
{
	long n;

	become(&users[0]);
	n = tree_compare(side_a.top, side_b.top);
	if (n < 0) {
		printf("found after step %" PRIu64 " of seed %" PRIu64 "; the last was\n", step_number,
		       options.seed);
		print_step(stdout);
	} else if (options.verbose) {
		printf("step %" PRIu64 ": %ld files alike\n", step_number, n);
	}
	return n >= 0;
}

/* Sooner or later a step closes the top directory to all but root. Sticky and not, in turn: in a sticky one
 * few can remove or rename anything. */
static void reopen_top(void)
{
	mode_t mode = step_number / REOPEN_EVERY % 2 ? 0777 : 01777;

	become(&users[0]);
	reset_top(side_a.top, mode);
	reset_top(side_b.top, mode);
}

/* Old trees fill with what nobody may touch any more. */
static void empty_both(void)
{
	become(&users[0]);
	empty(side_a.top, options.dirs[0]);
	empty(side_b.top, options.dirs[1]);
}

static bool run_all(void)
{
	struct draw_limits limits = {options.users, options.tmpfile, &side_a};

	while (step_number < options.ops) {
		if (!one_step(&limits))
			return false;
		if (step_number % REOPEN_EVERY == 0)
			reopen_top();
		if (step_number % CHECK_EVERY == 0 && !check_trees())
			return false;
		if (step_number % EMPTY_EVERY == 0)
			empty_both();
	}
	return check_trees();
}

/* ---- command line ---- */

static void usage(void)
{
	fputs("usage: differential [--ops N] [--seed S] [--users N] [--clean] [--tmpfile] [--without OP,...]\n"
	      "                    [--verbose] [--trace] DIR_A DIR_B\n",
	      stderr);
	exit(2);
}

/* While a file system is being written, what it lacks can be left out. */
static void leave_out(const char *list)
{
	char *names = strdup(list);

	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < n_ops && strcmp(ops[i].name, name) != 0)
			i++;
		if (i == n_ops) {
			fprintf(stderr, "differential: no operation is called %s\n", name);
			exit(2);
		}
		ops[i].weight = 0;
	}
	free(names);
	options.without = list;
}

static void take_option(int c)
{
	switch (c) {
	case 'o':
		options.ops = strtoull(optarg, NULL, 0);
		break;
	case 's':
		options.seed = strtoull(optarg, NULL, 0);
		break;
	case 'u':
		options.users = atoi(optarg);
		break;
	case 'w':
		leave_out(optarg);
		break;
	case 'c':
		options.clean = true;
		break;
	case 't':
		options.tmpfile = true;
		break;
	case 'v':
		options.verbose = true;
		break;
	case 'x':
		options.trace = true;
		break;
	default:
		usage();
	}
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"ops", required_argument, NULL, 'o'},
		{"seed", required_argument, NULL, 's'},
		{"users", required_argument, NULL, 'u'},
		{"clean", no_argument, NULL, 'c'},
		{"tmpfile", no_argument, NULL, 't'},
		{"verbose", no_argument, NULL, 'v'},
		{"without", required_argument, NULL, 'w'},
		{"trace", no_argument, NULL, 'x'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
		take_option(c);
	if (argc - optind != 2 || options.users < 1 || options.users > USERS_MAX)
		usage();
	options.dirs[0] = argv[optind];
	options.dirs[1] = argv[optind + 1];
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void prepare_side(struct side *side, const char *name)
{
	struct stat st;

	refuse_files(side->top, name);
	empty(side->top, name);
	reset_top(side->top, 01777);
	if (stat(side->top, &st) < 0)
		oops(name);
	side->dev = st.st_dev;
	for (int i = 0; i < STEP_SLOTS; i++)
		side->fds[i] = -1;
}

static void prepare(void)
{
	confine();
	prepare_side(&side_a, options.dirs[0]);
	prepare_side(&side_b, options.dirs[1]);
	tally = calloc(n_ops * ERRNOS_COUNTED, sizeof *tally);
	if (!tally)
		oops("calloc");
	umask(022);
	/* Refusals are results here. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	rng_seed(options.seed);
	start_watchdog();
}

int main(int argc, char **argv)
{
	double start;
	bool same;

	parse(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare();
	start = now_s();
	same = run_all();
	become(&users[0]);
	if (options.verbose)
		print_tally();
	if (!same)
		print_replay(stdout);
	else
		printf("seed %" PRIu64 ": %" PRIu64 " steps alike, %.0f a second\n", options.seed,
		       step_number, (double)step_number / (now_s() - start));
	return same ? 0 : 1;
}
