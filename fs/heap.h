/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How much memory the C library's malloc(3) keeps that nobody uses. Threads answer whichever request comes,
 * so what one has allocated another frees; and what lives long comes to lie between what is large and soon
 * gone (attributes, listings, views). Left to itself, the heap of a daemon goes up for hours.
 */

/* Keep little, from now on: what large uses need is given back at once, and no thread keeps any for itself.
 * glibc takes that order only from a program's environment, so the program may start once more from its
 * beginning. To be called first of all, by its only thread; does nothing where the C library is another. */
void heap_keep_small(char **argv);

/* Give back what has been freed, after much of it. Other threads that allocate wait meanwhile. Any thread. */
void heap_give_back(void);
