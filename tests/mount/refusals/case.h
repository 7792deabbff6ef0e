/* What the two files of this program share: a case's files, and the operations tried on them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	GROUP = 40000,	 /* of every file: alice's and carol's, not bob's */
	OWNER = 20001,	 /* alice */
	STRANGER = 20002 /* bob */
};

/* One case's files, seen in one of the three directories. */
struct place {
	char outer[512], inner[512], x[512], d[512], spare[512];
	char other[512]; /* a free name beside x */
	char in_d[512];	 /* a free name in d */
	int held;	 /* x, opened by the actor before anything changed; or -1 */
};

/* One thing to try. `run` returns 0, or -1 with errno set. */
struct operation {
	const char *name;
	int (*run)(const struct place *place);
	bool only_looks; /* may lag for a moment behind a change of a directory */
	bool holds;	 /* acts on a descriptor opened before */
};

extern const struct operation operations[];
extern const size_t n_operations;

/* Of x, by effective ids; mode as for access(2). */
int access_as(const struct place *place, int mode);
int do_opendir(const struct place *place);
int list_inner(const struct place *place);
