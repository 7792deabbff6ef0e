/* SPDX-License-Identifier: MIT */
#include "words.h"

static const char *const name_texts[] = {
	"file",
	"dir",
	"array",
	"secret",
	"link",
	"out",
	"hard",
	"inner",
	"new",
	".segfs",
	"store",
	"info",
	"text",
	"image",
	"npy",
	"list",
	"orphans",
	"status",
	"metrics",
	"ctl",
	"events",
	"array.png",
	"array.npy",
	"file.npy",
	".segfs-control",
	".",
	"..",
	"../outside/secret",
	"/outside/secret",
	"out/secret",
	"ring",
	"table",
	"slots",
	"empty",
};
static const char *const attribute_texts[] = {
	"user.shm.dtype",
	"user.shm.shape",
	"user.shm.order",
	"user.shm.offset",
	"user.shm.kind",
	"user.shm.lock",
	"user.shm.attached",
	"user.shm.lifetime",
	"user.shm.sealed",
	"user.shm.creator",
	"user.shm.version",
	"user.shm.huge",
	"user.other",
	"trusted.segfs.x",
	"security.capability",
	"system.posix_acl_access",
	"system.posix_acl_default",
	"trusted.segfs.lifetime",
	"user.shm.ring",
	"user.shm.table",
	"user.shm.slots",
	"user.shm.numa",
};
static const char *const value_texts[] = {
	"<f8",
	"2",
	"C",
	"0",
	"1",
	"creator",
	"last-user",
	"ttl 1",
	"keep",
	"[('a', '<u4'), ('b', '|S4')]",
	"(4, 4)",
	"F",
	"16",
	"float32",
	"block capacity 2 dtype <u2",
	"workers 2 shape 2 dtype <f8",
	"pid 1 uid 0 command x",
};

const struct words names = {name_texts, COUNT_OF(name_texts)};
const struct words attributes = {attribute_texts, COUNT_OF(attribute_texts)};
const struct words values = {value_texts, COUNT_OF(value_texts)};

const char *draw_word(struct input *in, const struct words *words, char ret_own[OWN_WORD])
{
	uint8_t which = draw_byte(in);

	if (which < 224)
		return words->texts[which % words->n];
	for (int i = 0; i < OWN_WORD - 1; i++)
		ret_own[i] = (char)draw_byte(in);
	ret_own[OWN_WORD - 1] = '\0';
	return ret_own;
}
