/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The wire to the kernel: /dev/fuse with two things added that libfuse before 3.17 does not know.
 *
 * The INIT reply is amended on its way out, to turn on FUSE_PASSTHROUGH, FUSE_HANDLE_KILLPRIV_V2 and, so that
 * views can be mapped, FUSE_DIRECT_IO_ALLOW_MMAP; and requests are counted by kind on their way in, and begun
 * in the journal. The kernel sends its INIT once: the supervisor has read it, and each worker is given it
 * again, and its reply dropped if an earlier worker has replied. Needs no patched libfuse, and is the same
 * code with every version since 3.13 (fuse_session_custom_io()).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct ledger_page;

#define TRANSPORT_OPCODES 64 /* opcodes 0..63 one by one; higher ones are counted as 0 */

struct transport {
	int fd;			      /* /dev/fuse, borrowed from the session's owner */
	_Atomic uint64_t init_unique; /* of the INIT request that waits for its reply; 0: none */
	_Atomic uint32_t offers;      /* the second word of flags of the kernel's INIT */
	bool replay;		      /* the kept INIT comes next */
	struct ledger_page *page;     /* INIT and counts, borrowed */
};

/* The supervisor's part: wait for the kernel's INIT and keep it. 0 or -errno. */
int transport_keep_init(int fd, struct ledger_page *page);

/* Make `session`, whose userdata is the struct fs around `transport`, read from and write to `fd`, beginning
 * with the kept INIT. 0 or -errno. */
int transport_attach(struct transport *transport, struct fuse_session *session, int fd,
		     struct ledger_page *page);

/* The kernel shall send again what has been read, by whomever, and not answered. Since Linux 6.9. 0 or
 * -errno. */
int transport_resend(const struct transport *transport);

/* Known after INIT. */
bool transport_has_passthrough(const struct transport *transport);

/*
 * The kernel shall ask again for a name before it next uses it, but keep what hangs on it until then.
 * (libfuse has this call under one name and two signatures.) 0 or -errno: -ENOENT if the kernel does not know
 * the name.
 */
int transport_expire_entry(struct transport *transport, uint64_t parent, const char *name);

/* The same of every name; but the kernel lets go of what is mounted on them, too, so only where nothing else
 * does. -EINVAL from a kernel older than 6.16. */
int transport_expire_all(const struct transport *transport);

/* Whoever polls a file shall look again: by the handle that the ledger has of it (libfuse only knows those of
 * this process). 0 or -errno. */
int transport_notify_poll(const struct transport *transport, uint64_t handle);

/* The name of a request kind, as the kernel's header has it; NULL if it has none. */
const char *transport_opcode_name(unsigned opcode);
