/* SPDX-License-Identifier: MIT */
#pragma once

/* What Python's repr() makes of the characters of a string. */
#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Does repr() leave this code point as it is, quotes and backslash apart? */
bool segfs_repr_is_printable(uint32_t code);

/* Write "\n", "\x7f", "\u2028", "\U000e0001". */
void segfs_repr_put_escape(struct segfs_text *out, uint32_t code);
