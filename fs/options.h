/* SPDX-License-Identifier: MIT */
#pragma once

/* The command line: segfs [-fd] [-o OPTIONS] STORE MOUNTPOINT, with the options of mount(8) where they mean
 * something here. */
#include <stdbool.h>

/* -o huge=: when segments get huge pages (huge.h) without anyone asking. */
enum huge_mode {
	HUGE_AUTO,   /* what is reserved at once, what is used in the background */
	HUGE_NEVER,  /* not at all */
	HUGE_ALWAYS, /* as HUGE_AUTO, and whatever grows is reserved */
};

struct options {
	char *store, *mountpoint; /* absolute, owned */
	bool foreground, debug;
	bool worker;	     /* be a worker of a supervisor that runs already */
	bool reserve;	     /* growth through SETATTR brings its pages along */
	bool portable_names; /* of new segments */
	enum huge_mode huge;
	bool dry_run;	/* what would be removed at the end of its lifetime is only told of */
	bool root_only; /* only root may use the mount: the kernel is not given allow_other */
	/* MOUNT_ATTR_* of mount_setattr(2) that were asked for, and asked away; the rest is as on the store's
	 * own mount. */
	unsigned set_flags, clear_flags;
	unsigned threads;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* Parse; print what --help and --version ask for, or what is wrong and how it is right. OPTIONS_BAD leaves
 * *ret_options untouched. */
enum options_result options_parse(int argc, char **argv, struct options *ret_options);
void options_clear(struct options *options);
