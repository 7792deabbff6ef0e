/* SPDX-License-Identifier: MIT */
#pragma once

/* Names of files, of views, of attributes, and values of these: bytes alone would hardly guess them. New ones
 * go to the end, lest the corpus comes to mean something else. */
#include "target.h"

struct words {
	const char *const *texts;
	size_t n;
};

extern const struct words names, attributes, values;

#define OWN_WORD 16

/* One of them, or a few bytes of the input's own up to the first NUL. */
const char *draw_word(struct input *in, const struct words *words, char ret_own[OWN_WORD]);
