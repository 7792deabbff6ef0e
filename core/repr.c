/* SPDX-License-Identifier: MIT */
#include "repr.h"

#include <inttypes.h>

#include "util.h"

/*
 * Beyond ASCII, what repr() escapes because str.isprintable() is false: the Unicode categories Cc, Cf, Cs,
 * Co, Zs, Zl and Zp, noncharacters, and the planes without characters. Other unassigned code points are left
 * out, as they change with each version of Python; either spelling is read back.
 */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{0x80, 0xa0},	    {0xad, 0xad},	{0x600, 0x605},	     {0x61c, 0x61c},	 {0x6dd, 0x6dd},
	{0x70f, 0x70f},	    {0x890, 0x891},	{0x8e2, 0x8e2},	     {0x1680, 0x1680},	 {0x180e, 0x180e},
	{0x2000, 0x200f},   {0x2028, 0x202f},	{0x205f, 0x206f},    {0x3000, 0x3000},	 {0xd800, 0xf8ff},
	{0xfdd0, 0xfdef},   {0xfeff, 0xfeff},	{0xffef, 0xfffb},    {0xfffe, 0xffff},	 {0x110bd, 0x110bd},
	{0x110cd, 0x110cd}, {0x13430, 0x13438}, {0x1bca0, 0x1bca3},  {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff},
	{0x2fffe, 0x2ffff}, {0x3fffe, 0xe00ff}, {0xe01f0, 0x10ffff},
};

bool segfs_repr_is_printable(uint32_t code)
{
	if (code < 0x80)
		return code >= ' ' && code < 0x7f;
	for (size_t i = 0; i < COUNT_OF(unprintable); i++) {
		if (code <= unprintable[i].last)
			return code < unprintable[i].first;
	}
	return true;
}

void segfs_repr_put_escape(struct segfs_text *out, uint32_t code)
{
	if (code == '\n')
		segfs_text_put(out, "\\n", 2);
	else if (code == '\r')
		segfs_text_put(out, "\\r", 2);
	else if (code == '\t')
		segfs_text_put(out, "\\t", 2);
	else if (code < 0x100)
		segfs_text_printf(out, "\\x%02" PRIx32, code);
	else if (code < 0x10000)
		segfs_text_printf(out, "\\u%04" PRIx32, code);
	else
		segfs_text_printf(out, "\\U%08" PRIx32, code);
}
