/* POSIX ACLs as the kernel's extended attributes hold them (linux/posix_acl_xattr.h), built by hand. */
#include "step.h"

enum { ACL_USER_OBJ = 1, ACL_USER = 2, ACL_GROUP_OBJ = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32 };

struct acl_text {
	unsigned char *bytes;
	size_t len, max;
};

static void put(struct acl_text *acl, uint32_t number, int n_bytes)
{
	for (int i = 0; i < n_bytes && acl->len < acl->max; i++)
		acl->bytes[acl->len++] = (unsigned char)(number >> (8 * i));
}

static void put_entry(struct acl_text *acl, unsigned int tag, uint32_t id)
{
	/* Usually generous, so that the tree stays usable by somebody; once in a while no permission at all.
	 */
	unsigned int perm = rng_chance(60) ? 7 : (unsigned int)rng_below(8);

	put(acl, tag, 2);
	put(acl, rng_chance(1) ? 8 : perm, 2);
	put(acl, id, 4);
}

static void put_named(struct acl_text *acl)
{
	const struct user *user = &users[1 + rng_below(4)];

	if (rng_chance(70))
		put_entry(acl, ACL_USER, user->uid);
	put_entry(acl, ACL_GROUP_OBJ, UINT32_MAX);
	if (rng_chance(50))
		put_entry(acl, ACL_GROUP, user->groups[0]);
	/* Named entries without a mask are invalid. */
	if (!rng_chance(3))
		put_entry(acl, ACL_MASK, UINT32_MAX);
}

size_t acl_draw(unsigned char *value, size_t max)
{
	struct acl_text acl = {.bytes = value, .max = max};

	if (rng_chance(4))
		return rng_below(12); /* nothing, or bytes of no meaning */
	put(&acl, rng_chance(2) ? 1 : 2, 4);
	if (!rng_chance(2))
		put_entry(&acl, ACL_USER_OBJ, UINT32_MAX);
	if (rng_chance(70))
		put_named(&acl);
	else
		put_entry(&acl, ACL_GROUP_OBJ, UINT32_MAX);
	put_entry(&acl, ACL_OTHER, UINT32_MAX);
	return rng_chance(2) ? acl.len - 3 : acl.len;
}
