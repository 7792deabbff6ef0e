/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The wire to the kernel: /dev/fuse with two things added that libfuse before 3.17 does not know.
 *
 * The INIT reply is amended on its way out, to turn on FUSE_PASSTHROUGH, FUSE_HANDLE_KILLPRIV_V2 and, so that
 * views can be mapped, FUSE_DIRECT_IO_ALLOW_MMAP; and requests are counted by kind on their way in. Needs no
 * patched libfuse, and is the same code with every version since 3.13 (fuse_session_custom_io()).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_session;

#define TRANSPORT_OPCODES 64 /* opcodes 0..63 one by one; higher ones are counted as 0 */

struct transport {
	int fd;			      /* /dev/fuse, borrowed from the session's owner */
	_Atomic uint64_t init_unique; /* of the INIT request that waits for its reply; 0: none */
	_Atomic uint32_t offers;      /* the second word of flags of the kernel's INIT */
	_Atomic uint64_t counts[TRANSPORT_OPCODES];
};

/* Make `session`, whose userdata is the struct fs around `transport`, read from and write to `fd`. 0 or
 * -errno. */
int transport_attach(struct transport *transport, struct fuse_session *session, int fd);

/* Known after INIT. */
bool transport_has_passthrough(const struct transport *transport);

/*
 * The kernel shall ask again for a name before it next uses it, but keep what hangs on it until then.
 * (libfuse has this call under one name and two signatures.) 0 or -errno: -ENOENT if the kernel does not know
 * the name.
 */
int transport_expire_entry(struct transport *transport, uint64_t parent, const char *name);

/* The name of a request kind, as the kernel's header has it; NULL if it has none. */
const char *transport_opcode_name(unsigned opcode);
