/* SPDX-License-Identifier: MIT */
/* ZeroMQ, PUSH to PULL over a Unix socket. */
#include <err.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "ring-peer.h"

static char address[64];
static void *socket_;

static void make(size_t size)
{
	snprintf(address, sizeof(address), "ipc:///tmp/segfs-bench-%d", (int)getpid());
}

static void start(bool producer, size_t size)
{
	void *context = zmq_ctx_new();
	int depth = (int)depth_of(size);

	socket_ = zmq_socket(context, producer ? ZMQ_PUSH : ZMQ_PULL);
	zmq_setsockopt(socket_, producer ? ZMQ_SNDHWM : ZMQ_RCVHWM, &depth, sizeof(depth));
	if (producer ? zmq_bind(socket_, address) : zmq_connect(socket_, address))
		errx(1, "%s: %s", address, zmq_strerror(zmq_errno()));
}

static void send(const void *frame, size_t size)
{
	if (zmq_send(socket_, frame, size, 0) < 0)
		errx(1, "%s", zmq_strerror(zmq_errno()));
}

static uint64_t receive(size_t size)
{
	zmq_msg_t message;
	uint64_t seen;

	zmq_msg_init(&message);
	if (zmq_msg_recv(&message, socket_, 0) != (int)size)
		errx(1, "%s", zmq_strerror(zmq_errno()));
	seen = look_at(zmq_msg_data(&message), size);
	zmq_msg_close(&message);
	return seen;
}

static void end(void)
{
	unlink(address + sizeof("ipc://") - 1);
}

const struct peer peer_zmq = {"ZeroMQ ipc", make, start, send, receive, end};
