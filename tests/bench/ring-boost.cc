/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess's message_queue: messages are copied in and out of shared memory, under a mutex and two
 * conditions. */
#include <boost/interprocess/ipc/message_queue.hpp>

#include <cstdio>
#include <memory>
#include <vector>

#include <unistd.h>

#include "ring-peer.h"

using boost::interprocess::message_queue;

static char name[32];
static std::unique_ptr<message_queue> queue;
static std::vector<char> buffer;

static void make(size_t size)
{
	snprintf(name, sizeof(name), "segfs-bench-%d", (int)getpid());
	message_queue::remove(name);
	queue = std::make_unique<message_queue>(boost::interprocess::create_only, name, depth_of(size), size);
}

static void start(bool, size_t size)
{
	buffer.resize(size);
}

static void send(const void *frame, size_t size)
{
	queue->send(frame, size, 0);
}

static uint64_t receive(size_t size)
{
	message_queue::size_type received;
	unsigned priority;

	queue->receive(buffer.data(), size, received, priority);
	return look_at(buffer.data(), size);
}

static void end(void)
{
	queue.reset();
	message_queue::remove(name);
}

extern "C" const struct peer peer_boost = {"Boost message_queue", make, start, send, receive, end};
