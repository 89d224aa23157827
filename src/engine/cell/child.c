#include "engine/cell/child.h"
#include "engine/cell/confine.h"
#include "engine/cell/init.h"
#include "engine/cell/root.h"

#include "engine/net/link.h"
#include "io/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *child_step_name(enum child_step step)
{
	static const char *const names[CHILD_STEPS] = {"",
	                                               "control groups",
	                                               "the root file system",
	                                               "the network link",
	                                               "the listening sockets",
	                                               "the user namespace",
	                                               "seccomp"};
	return step < CHILD_STEPS ? names[step] : "?";
}

static int make_link(const struct child_plan *p, int host_netlink)
{
	const struct child_world *w = p->world;
	int inside = link_socket();
	if (inside < 0)
		return inside;
	char name[OUTBOUND_NAME_MAX];
	unsigned ours, theirs;
	int error = link_up(inside, 1); /* lo, which is the first link of every network namespace */
	if (!error && host_netlink >= 0) {
		outbound_link_name(&w->outbound, p->slot, name);
		error = link_add_veth(inside, "eth0", name, w->host_net_ns_fd);
		if (!error)
			error = link_index(host_netlink, name, &theirs);
		if (!error)
			error = link_set_forwarding(host_netlink, theirs, true);
		if (!error)
			error = link_add_address(host_netlink, theirs, outbound_host_address(&w->outbound, p->slot), 31);
		if (!error)
			error = link_up(host_netlink, theirs);
		if (!error)
			error = link_index(inside, "eth0", &ours);
		if (!error)
			error = link_add_address(inside, ours, outbound_cell_address(&w->outbound, p->slot), 31);
		if (!error)
			error = link_add_default_route(inside, ours, outbound_host_address(&w->outbound, p->slot));
	}
	close(inside);
	return error;
}

static int listen_at(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 512) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int set_up(const struct child_plan *p, int host_netlink, int listeners[2], uint32_t *ret_step)
{
	const struct child_world *w = p->world;
	static const char host_name[] = "sandbox";
	*ret_step = CHILD_CGROUP;
	int error = cgroup_join(p->cgroup_join);
	/* from inside the group, so that the new namespace's root is the group */
	if (!error && unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
		error = -errno;
	if (error)
		return error;
	*ret_step = CHILD_ROOT;
	if (sethostname(host_name, sizeof(host_name) - 1) < 0)
		return -errno;
	error = root_enter(w->template_fd, p->uid, 1 << 20);
	if (error)
		return error;
	*ret_step = CHILD_LINK;
	error = make_link(p, host_netlink);
	if (error)
		return error;
	*ret_step = CHILD_LISTEN;
	listeners[0] = listen_at(9001);
	listeners[1] = listen_at(4566);
	if (listeners[0] < 0 || listeners[1] < 0)
		return listeners[0] < 0 ? listeners[0] : listeners[1];
	*ret_step = CHILD_IDENTITY;
	error = confine_identity(p->uid, w->host_proc_fd);
	if (error)
		return error;
	*ret_step = CHILD_SECCOMP;
	return confine_syscalls(&w->filter);
}

/* Closes all descriptors but the two. */
static void keep_only(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;
	if (low > 0)
		close_range(0, (unsigned)low - 1, 0);
	if (high - low > 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

/* Comes back only in processes that INIT_IMAGE starts. */
static void run(const struct child_plan *p, int host_netlink)
{
	setpriority(PRIO_PROCESS, 0, 0);
	int listeners[2] = {-1, -1};
	struct child_report report = {0};
	report.error = set_up(p, host_netlink, listeners, &report.step);
	if (!report.error)
		report.step = CHILD_DONE;
	if (msg_send(p->lifeline, &report, sizeof(report), listeners, report.error ? 0 : 2) < 0 || report.error)
		_exit(1);
	keep_only(p->control, p->lifeline);
	init_serve(p->control, p->lifeline, p->image);
}

int child_clone(const struct child_plan *p, pid_t *ret_pid)
{
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS};
	if (p->image) {
		args.flags |= CLONE_PARENT; /* its exit signal is ours then */
	} else {
		args.flags |= CLONE_CLEAR_SIGHAND;
		args.exit_signal = SIGCHLD;
	}
	if (p->cgroup_into >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)p->cgroup_into;
	}
	int host_netlink = p->world->outbound.works ? link_socket() : -1;
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		run(p, host_netlink);
		return 1;
	}
	int error = pid < 0 ? -errno : 0;
	if (host_netlink >= 0)
		close(host_netlink);
	if (!error)
		*ret_pid = (pid_t)pid;
	return error;
}
