/* The library that a runtime client loads to become a zygote. The client calls zygote_serve() when everything is loaded that its
 * copies are to have: here the process then stays, and here each copy begins. Built as zygote.so, with the same code that `priv`
 * itself uses for the way into a cell; it allocates once and starts no thread. */
#include "engine/cell/child.h"
#include "engine/cell/proto.h"
#include "engine/cell/zygote_proto.h"

#include "io/msg.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Returns in copies alone: inside their cell, with the stem's descriptor. The interpreter must do then what it does after a fork.
 */
__attribute__((visibility("default"))) int zygote_serve(void);

static struct {
	struct zygote_hello head;
	struct sock_filter filter[ZYGOTE_FILTER_MAX];
} hello;

static ssize_t next_message(void *p, size_t cap, int *fds, size_t max_fds, size_t *ret_nfds)
{
	for (;;) {
		struct pollfd wait = {.fd = ZYGOTE_FD, .events = POLLIN};
		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			_exit(1);
		ssize_t n = msg_recv(ZYGOTE_FD, p, cap, fds, max_fds, ret_nfds);
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			_exit(0); /* priv is gone */
		return n;
	}
}

static void meet(struct child_world *ret_world)
{
	int fds[3];
	size_t nfds;
	ssize_t n = next_message(&hello, sizeof(hello), fds, 3, &nfds);
	if (n < (ssize_t)sizeof(hello.head) || nfds != 3 || hello.head.filter_length > ZYGOTE_FILTER_MAX ||
	    (size_t)n != sizeof(hello.head) + hello.head.filter_length * sizeof(hello.filter[0]))
		_exit(1);
	*ret_world = (struct child_world){
	        .template_fd = fds[0],
	        .host_proc_fd = fds[1],
	        .host_net_ns_fd = fds[2],
	        .outbound = hello.head.outbound,
	        .filter = {.len = (unsigned short)hello.head.filter_length, .filter = hello.filter},
	};
}

static void answer(int error, pid_t pid)
{
	struct zygote_answer a = {.error = error, .pid = pid};
	if (msg_send(ZYGOTE_FD, &a, sizeof(a), NULL, 0) < 0)
		_exit(1);
}

static bool read_plan(const struct zygote_clone *c, const int *fds, size_t nfds, struct child_plan *plan)
{
	int all[ZYGOTE_CLONE_FDS];
	size_t n = 0;
	for (unsigned i = 0; i < ZYGOTE_CLONE_FDS; i++) {
		bool there = c->present >> i & 1;
		if (there && n == nfds)
			return false;
		all[i] = there ? fds[n++] : -1;
	}
	if (n != nfds || all[0] < 0 || all[1] < 0)
		return false;
	plan->control = all[0];
	plan->lifeline = all[1];
	plan->cgroup_into = all[2];
	memcpy(plan->cgroup_join, all + 3, sizeof(plan->cgroup_join));
	plan->slot = c->slot;
	plan->uid = c->uid;
	return true;
}

int zygote_serve(void)
{
	static struct child_world world;
	meet(&world);
	answer(0, 0);
	for (;;) {
		struct zygote_clone c;
		struct child_plan plan = {.world = &world, .image = true};
		int fds[ZYGOTE_CLONE_FDS];
		size_t nfds;
		pid_t pid = 0;
		ssize_t n = next_message(&c, sizeof(c), fds, ZYGOTE_CLONE_FDS, &nfds);
		int error = n == sizeof(c) && read_plan(&c, fds, nfds, &plan) ? child_clone(&plan, &pid) : -EINVAL;
		if (error == 1)
			return INIT_EXTRA_FD;
		msg_close_fds(fds, nfds);
		answer(error, pid);
	}
}
