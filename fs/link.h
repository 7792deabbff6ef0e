/* SPDX-License-Identifier: MIT */
#pragma once

/* What supervisor and worker say to each other, over a socket of packets, and what a worker begins with. */
#include <stdint.h>

enum link_kind {
	/* From the worker. */
	LINK_HELLO = 1, /* it is there, and can read the ledger */
	LINK_CANARY,	/* this thread's end is that of the process; the value is its id */
	LINK_READY,	/* it serves */
	LINK_PONG,
	LINK_PIN,   /* keep this file open: it has lost its last name; the value is its node id */
	LINK_UNPIN, /* and no longer */
	LINK_WAKE,  /* a request has come: ledger_page.sleeps */
	/* From the supervisor. */
	LINK_GO, /* the one before it is gone: serve */
	LINK_PING,
	LINK_STOP, /* the mount is being taken away: end */
};

struct link_message {
	uint32_t kind, unused;
	uint64_t value;
};

/* The descriptors of a worker: its own copies if it is a process of another binary, else the supervisor's. */
struct link {
	int socket, fuse, ledger, store;
	int above; /* control_open_above(); -1: nothing */
	int mount; /* until it is attached; then -1, as it would keep the file system alive beyond umount(8)
		    */
};

/* Does not wait. `fd` goes along, -1: none. 0, -EAGAIN: the other one is far behind; or another -errno. */
int link_send(int socket, enum link_kind kind, uint64_t value, int fd);

/* Waits. *ret_fd: the descriptor that came along, the caller's, or -1. 1; 0: the other one has ended; or
 * -errno. */
int link_receive(int socket, struct link_message *ret_message, int *ret_fd);

/* Give a child that is about to be another program its descriptors; there, ask what they are. 0 or -errno. */
int link_bequeath(const struct link *link);
struct link link_inherited(void);
