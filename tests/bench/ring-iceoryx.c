/* SPDX-License-Identifier: MIT */
/* iceoryx 2.0 by its C binding; its daemon, iox-roudi, must be running. The consumer polls, and the producer
 * waits for it. */
#include <err.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/types.h>
#include <stdio.h>
#include <unistd.h>

#include "ring-peer.h"

static iox_pub_storage_t publisher_storage;
static iox_sub_storage_t subscriber_storage;
static iox_pub_t publisher;
static iox_sub_t subscriber;
static char topic[32];

static void make(size_t size)
{
	static int n;

	snprintf(topic, sizeof(topic), "ring-%d-%d", (int)getpid(), n++);
}

static void start_producer(void)
{
	iox_pub_options_t options;

	iox_pub_options_init(&options);
	options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	publisher = iox_pub_init(&publisher_storage, "segfs", "bench", topic, &options);
	while (!iox_pub_has_subscribers(publisher))
		usleep(100);
}

static void start_consumer(size_t size)
{
	iox_sub_options_t options;

	iox_sub_options_init(&options);
	options.queueCapacity = depth_of(size);
	options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	subscriber = iox_sub_init(&subscriber_storage, "segfs", "bench", topic, &options);
}

static void start(bool producer, size_t size)
{
	char name[32];

	snprintf(name, sizeof(name), "segfs-bench-%d", (int)getpid());
	iox_runtime_init(name);
	if (producer)
		start_producer();
	else
		start_consumer(size);
}

static void send(const void *frame, size_t size)
{
	void *to;

	while (iox_pub_loan_chunk(publisher, &to, (uint32_t)size) != AllocationResult_SUCCESS)
		;
	memcpy(to, frame, size);
	iox_pub_publish_chunk(publisher, to);
}

static uint64_t receive(size_t size)
{
	const void *frame;
	uint64_t seen;

	while (iox_sub_take_chunk(subscriber, &frame) != ChunkReceiveResult_SUCCESS)
		;
	seen = look_at(frame, size);
	iox_sub_release_chunk(subscriber, frame);
	return seen;
}

static void end(void)
{
}

const struct peer peer_iceoryx = {"iceoryx", make, start, send, receive, end};
