/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* Numbers of descriptors across an execve(2). */
enum { SOCKET = 3, FUSE, LEDGER, STORE, ABOVE, MOUNT, END };

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int link_send(int socket, enum link_kind kind, uint64_t value, int fd)
{
	struct link_message message = {.kind = kind, .value = value};
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS}};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int link_receive(int socket, struct link_message *ret_message, int *ret_fd)
{
	struct link_message message = {};
	struct iovec iov = {&message, sizeof(message)};
	union control control;
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	const struct cmsghdr *found;
	ssize_t n;

	do
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	found = CMSG_FIRSTHDR(&header);
	*ret_fd = -1;
	if (found && found->cmsg_type == SCM_RIGHTS && found->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(found), sizeof(*ret_fd));
	*ret_message = message;
	return 1;
}

int link_bequeath(const struct link *link)
{
	int fds[] = {link->socket, link->fuse, link->ledger, link->store, link->above, link->mount};

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		if (fds[i] < 0)
			continue;
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, END);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (fds[i] >= 0 && dup2(fds[i], SOCKET + (int)i) < 0)
			return -errno;
	return 0;
}

static int inherited(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fd;
}

struct link link_inherited(void)
{
	return (struct link){.socket = inherited(SOCKET),
			     .fuse = inherited(FUSE),
			     .ledger = inherited(LEDGER),
			     .store = inherited(STORE),
			     .above = inherited(ABOVE),
			     .mount = inherited(MOUNT)};
}
