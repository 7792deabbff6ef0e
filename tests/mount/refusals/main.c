/*
 * refusals: who may not do a thing to a file in the store may not do it through the mount either.
 *
 *     refusals [--verbose] [--every N] PLAIN_DIR MOUNT_DIR STORE_DIR
 *
 * STORE_DIR is the directory behind MOUNT_DIR, PLAIN_DIR a plain tmpfs. Each case makes the same few files in
 * STORE_DIR and PLAIN_DIR, does one operation as one user on MOUNT_DIR and on PLAIN_DIR, and wants the same
 * errno. The second half of the cases changes permissions behind the mount just before the operation. Exit
 * status: 0 alike, 1 differences (one line each), 2 could not run. Needs root.
 *
 * --every N: only each Nth case. With a number prime to that of the operations, 42, each of them has its
 * turn.
 *
 * A case's files: outer/inner/{x,d,spare}; x is a segment, d a directory, spare a file of whoever acts.
 */
#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/*
 * stat and access, which the kernel answers from its cache, may lag 10 ms behind a change of the store, and
 * so may a refusal that the kernel makes by itself. How long it takes is not this test's business: a busy
 * machine may take longer.
 */
enum { LAG_STEP_US = 5000, LAG_STEPS = 400 };

/* ---- users ---- */

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	int n_groups;
	gid_t groups[2];
};

static const struct user alice = {"alice", OWNER, 30001, 2, {30001, GROUP}};
static const struct user bob = {"bob", STRANGER, 30002, 1, {30002}};
static const struct user carol = {"carol", 20003, 30003, 2, {30003, GROUP}};
static const struct user *const actors[] = {&bob, &carol, &alice};

static void oops(const char *what)
{
	fprintf(stderr, "refusals: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void act_as(uid_t uid)
{
	if (syscall(SYS_setresuid, -1, uid, -1) < 0)
		oops("setresuid");
}

/* Everything but the user id, so that between a change as root and the operation lies one call only. */
static void join_groups_of(const struct user *user)
{
	if (syscall(SYS_setgroups, user->n_groups, user->groups) < 0 ||
	    syscall(SYS_setresgid, -1, user->gid, -1) < 0)
		oops("setgroups");
}

/* ---- the three directories ---- */

static struct place plain, mounted, store;

static void name_place(struct place *p, const char *top, unsigned int n)
{
	char dir[256];

	snprintf(dir, sizeof dir, "%.200s/refusals-%u", top, n);
	snprintf(p->outer, sizeof p->outer, "%s", dir);
	snprintf(p->inner, sizeof p->inner, "%s/inner", dir);
	snprintf(p->x, sizeof p->x, "%s/inner/x", dir);
	snprintf(p->d, sizeof p->d, "%s/inner/d", dir);
	snprintf(p->spare, sizeof p->spare, "%s/inner/spare", dir);
	snprintf(p->other, sizeof p->other, "%s/inner/other", dir);
	snprintf(p->in_d, sizeof p->in_d, "%s/inner/d/new", dir);
	p->held = -1;
}

/* Bytes that no loader knows: exec, where it is allowed, fails with ENOEXEC and returns. */
static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "not a program", 13) != 13 || fsetxattr(fd, "user.note", "v", 1, 0) < 0)
		oops(path);
	close(fd);
}

static void make_files(const struct place *p, const struct user *actor)
{
	if (mkdir(p->outer, 0700) < 0 || mkdir(p->inner, 0700) < 0 || mkdir(p->d, 0700) < 0)
		oops(p->outer);
	make_file(p->x);
	make_file(p->spare);
	if (chown(p->spare, actor->uid, GROUP) < 0)
		oops(p->spare);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_files(struct place *p)
{
	if (nftw(p->outer, remove_one, 8, FTW_PHYS | FTW_DEPTH) < 0)
		oops(p->outer);
}

/* ---- permissions ---- */

/* `acl` gives rwx to the actor by name, whatever the mode says of others. */
struct state {
	mode_t mode;
	bool actors_own;
	bool acl;
};

static void set_acl(const char *path, const struct user *actor, mode_t mode)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entries[5];
	} acl = {2,
		 {{1, (uint16_t)(mode >> 6 & 7), UINT32_MAX},
		  {2, 7, actor->uid},
		  {4, (uint16_t)(mode >> 3 & 7), UINT32_MAX},
		  {16, 7, UINT32_MAX},
		  {32, (uint16_t)(mode & 7), UINT32_MAX}}};

	if (setxattr(path, "system.posix_acl_access", &acl, sizeof acl, 0) < 0)
		oops(path);
}

/* What already is as wanted is not touched, so that a change is one call; but an ACL that goes leaves its
 * mask as the group bits, and those go after it. */
static void change(const char *path, const struct user *actor, const struct state *from,
		   const struct state *to)
{
	if (!from || from->actors_own != to->actors_own)
		if (chown(path, to->actors_own ? actor->uid : alice.uid, GROUP) < 0)
			oops(path);
	if (from && from->acl && !to->acl && removexattr(path, "system.posix_acl_access") < 0)
		oops(path);
	if (!from || from->mode != to->mode || (from->acl && !to->acl))
		if (chmod(path, to->mode) < 0)
			oops(path);
	if (to->acl)
		set_acl(path, actor, to->mode);
}

/* ---- cases ---- */

/* Which of a case's files changes behind the mount. */
enum target { NOTHING, OUTER, INNER, X, D };

struct scene {
	struct state outer, inner, x, d;
	enum target target;
	struct state after;
};

static struct {
	unsigned int n, every, cases, differences, late;
	bool verbose;
	const char *plain_dir, *mount_dir, *store_dir;
} run;

static const char *path_of(const struct place *p, enum target target)
{
	switch (target) {
	case OUTER:
		return p->outer;
	case INNER:
		return p->inner;
	case X:
		return p->x;
	case D:
		return p->d;
	case NOTHING:
		break;
	}
	return NULL;
}

static const struct state *before(const struct scene *scene)
{
	const struct state *states[] = {NULL, &scene->outer, &scene->inner, &scene->x, &scene->d};

	return states[scene->target];
}

static void set_up(const struct place *p, const struct scene *scene, const struct user *actor)
{
	make_files(p, actor);
	change(p->x, actor, NULL, &scene->x);
	change(p->d, actor, NULL, &scene->d);
	change(p->inner, actor, NULL, &scene->inner);
	change(p->outer, actor, NULL, &scene->outer);
}

/* Looks at everything, so that whatever the mount remembers about it is from before the change. */
static void warm_up(struct place *p, const struct operation *op)
{
	struct stat st;
	char value[8];

	stat(p->outer, &st);
	stat(p->inner, &st);
	stat(p->d, &st);
	stat(p->x, &st);
	stat(p->other, &st);
	stat(p->in_d, &st);
	for (int mode = 1; mode <= 4; mode *= 2)
		access_as(p, mode);
	getxattr(p->x, "system.posix_acl_access", value, sizeof value);
	list_inner(p);
	do_opendir(p);
	close(open(p->x, O_RDONLY | O_CLOEXEC));
	p->held = op->holds ? open(p->x, O_RDWR | O_CLOEXEC) : -1;
}

static void change_behind(const struct scene *scene, const struct user *actor)
{
	if (scene->target == NOTHING)
		return;
	change(path_of(&plain, scene->target), actor, before(scene), &scene->after);
	change(path_of(&store, scene->target), actor, before(scene), &scene->after);
}

static int errno_of(const struct operation *op, const struct place *p)
{
	return op->run(p) < 0 ? errno : 0;
}

static void print_state(const struct state *s)
{
	printf("0%o%s%s", (unsigned int)s->mode, s->actors_own ? " own" : "", s->acl ? " +acl" : "");
}

static void report(const struct operation *op, const struct scene *scene, const struct user *actor,
		   const int *errs)
{
	static const char *const names[] = {"", "outer", "inner", "x", "d"};

	printf("%s: %s by %s; outer ", errs[0] == errs[1] ? "alike" : "DIFFERS", op->name, actor->name);
	print_state(&scene->outer);
	fputs(" inner ", stdout);
	print_state(&scene->inner);
	fputs(" x ", stdout);
	print_state(&scene->x);
	fputs(" d ", stdout);
	print_state(&scene->d);
	if (scene->target != NOTHING) {
		printf("; then behind the mount %s to ", names[scene->target]);
		print_state(&scene->after);
	}
	printf(": plain %s, mount %s\n", strerrorname_np(errs[0]), strerrorname_np(errs[1]));
}

static void finish_case(void)
{
	act_as(0);
	if (plain.held >= 0)
		close(plain.held);
	if (mounted.held >= 0)
		close(mounted.held);
	remove_files(&plain);
	remove_files(&store);
}

/*
 * What is taken away behind the mount must be gone at the next instruction. What is given may come late, and
 * who is refused either way may be told EPERM for EACCES at first: there the kernel itself judged, by what it
 * last heard.
 */
static bool is_refusal(int err)
{
	return err == EACCES || err == EPERM;
}

static int errno_in_time(const struct operation *op, int wanted)
{
	int err = -1;

	for (int i = 0; i < LAG_STEPS && err != wanted; i++) {
		usleep(LAG_STEP_US);
		err = errno_of(op, &mounted);
	}
	return err;
}

static void one_case(const struct operation *op, const struct scene *scene, const struct user *actor)
{
	int errs[2];

	run.cases++;
	/* A new name each time: what the mount remembers of another case must not matter. */
	name_place(&plain, run.plain_dir, run.cases);
	name_place(&mounted, run.mount_dir, run.cases);
	name_place(&store, run.store_dir, run.cases);
	set_up(&plain, scene, actor);
	set_up(&store, scene, actor);
	join_groups_of(actor);
	act_as(actor->uid);
	warm_up(&plain, op);
	warm_up(&mounted, op);
	act_as(0);
	change_behind(scene, actor);
	act_as(actor->uid);
	errs[1] = errno_of(op, &mounted);
	errs[0] = errno_of(op, &plain);
	if (errs[0] != errs[1] && scene->target != NOTHING && (op->only_looks || is_refusal(errs[1]))) {
		run.late++;
		errs[1] = errno_in_time(op, errs[0]);
	}
	run.differences += errs[0] != errs[1];
	if (errs[0] != errs[1] || run.verbose)
		report(op, scene, actor, errs);
	finish_case();
}

static void all_operations(const struct scene *scene)
{
	for (size_t a = 0; a < N_OF(actors); a++)
		for (size_t o = 0; o < n_operations; o++)
			if (run.n++ % run.every == 0)
				one_case(&operations[o], scene, actors[a]);
}

/* ---- first half: modes as they stand ---- */

static void standing_modes(void)
{
	static const mode_t for_files[] = {0600, 0640, 0660, 0000, 0444, 0004, 0644, 0666, 0755, 0711};
	static const mode_t for_dirs[] = {0700, 0711, 0755, 01777, 0777, 0750, 0733};
	struct scene scene = {.outer = {.mode = 0755}, .target = NOTHING};

	for (size_t f = 0; f < N_OF(for_files); f++) {
		for (size_t d = 0; d < N_OF(for_dirs); d++) {
			scene.x.mode = for_files[f];
			scene.inner.mode = for_dirs[d];
			/* Another one than the containing directory's, so that d is reached. */
			scene.d.mode = for_dirs[(d + f) % N_OF(for_dirs)];
			all_operations(&scene);
		}
	}
}

/* ---- second half: changes behind the mount ---- */

static const struct {
	enum target target;
	struct state before, after;
} changes[] = {
	/* Stricter, then more permissive, for each. */
	{X, {.mode = 0666}, {.mode = 0600}},
	{X, {.mode = 0600}, {.mode = 0666}},
	{X, {.mode = 0644}, {.mode = 0000}},
	{X, {.mode = 0000}, {.mode = 0644}},
	{X, {.mode = 0660}, {.mode = 0600}},
	{X, {.mode = 0640}, {.mode = 0660}},
	{X, {.mode = 0755}, {.mode = 0644}},
	{X, {.mode = 0644}, {.mode = 0755}},
	{X, {.mode = 0600, .actors_own = true}, {.mode = 0600}},
	{X, {.mode = 0600}, {.mode = 0600, .actors_own = true}},
	{X, {.mode = 0600, .acl = true}, {.mode = 0600}},
	{X, {.mode = 0600}, {.mode = 0600, .acl = true}},
	{INNER, {.mode = 0755}, {.mode = 0700}},
	{INNER, {.mode = 0700}, {.mode = 0755}},
	{INNER, {.mode = 0777}, {.mode = 0700}},
	{INNER, {.mode = 0700}, {.mode = 0777}},
	{INNER, {.mode = 0711}, {.mode = 0700}},
	{INNER, {.mode = 0777}, {.mode = 0755}},
	{INNER, {.mode = 0755}, {.mode = 0777}},
	{INNER, {.mode = 0777}, {.mode = 01777}},
	{INNER, {.mode = 01777}, {.mode = 0777}},
	{INNER, {.mode = 0770}, {.mode = 0700}},
	{INNER, {.mode = 0700, .actors_own = true}, {.mode = 0700}},
	{INNER, {.mode = 0700}, {.mode = 0700, .actors_own = true}},
	{INNER, {.mode = 0700, .acl = true}, {.mode = 0700}},
	{INNER, {.mode = 0700}, {.mode = 0700, .acl = true}},
	{OUTER, {.mode = 0755}, {.mode = 0700}},
	{OUTER, {.mode = 0700}, {.mode = 0755}},
	{OUTER, {.mode = 0700, .acl = true}, {.mode = 0700}},
	{OUTER, {.mode = 0700}, {.mode = 0700, .acl = true}},
	{D, {.mode = 0777}, {.mode = 0700}},
	{D, {.mode = 0700}, {.mode = 0777}},
	{D, {.mode = 0777}, {.mode = 0711}},
	{D, {.mode = 0700, .actors_own = true}, {.mode = 0700}},
	{D, {.mode = 0700}, {.mode = 0700, .actors_own = true}},
};

static void changed_modes(void)
{
	for (size_t i = 0; i < N_OF(changes); i++) {
		struct scene scene = {{.mode = 0755}, {.mode = 0777}, {.mode = 0666},
				      {.mode = 0777}, NOTHING,	      {0}};
		struct state *states[] = {NULL, &scene.outer, &scene.inner, &scene.x, &scene.d};

		scene.target = changes[i].target;
		*states[scene.target] = changes[i].before;
		scene.after = changes[i].after;
		all_operations(&scene);
	}
}

int main(int argc, char **argv)
{
	run.every = 1;
	for (argv++; *argv && **argv == '-'; argv++) {
		if (strcmp(*argv, "--verbose") == 0)
			run.verbose = true;
		else if (strcmp(*argv, "--every") == 0 && argv[1])
			run.every = (unsigned int)strtoul(*++argv, NULL, 10);
		else
			break;
	}
	if (run.every == 0 || !argv[0] || !argv[1] || !argv[2] || argv[3]) {
		fputs("usage: refusals [--verbose] [--every N] PLAIN_DIR MOUNT_DIR STORE_DIR\n", stderr);
		return 2;
	}
	run.plain_dir = argv[0];
	run.mount_dir = argv[1];
	run.store_dir = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	standing_modes();
	changed_modes();
	printf("%u cases, %u differences; %u seen late\n", run.cases, run.differences, run.late);
	return run.differences ? 1 : 0;
}
