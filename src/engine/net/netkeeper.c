/* A link is known by the namespace that it leads to, so that an api which was started again finds the link of before in place and
 * connections go on; for the same reason what was led there stays until that api has said all that it wants. Public addresses are
 * routes in the machine's `local` table, over the link: more specific than 127.0.0.0/8, and gone with the link whatever happens. */
#include "engine/net/netkeeper.h"
#include "engine/cell/keeper.h"
#include "engine/net/link.h"
#include "engine/net/net.h"
#include "engine/net/network_proto.h"
#include "engine/net/outbound.h"
#include "engine/net/route6.h"
#include "engine/net/uplink.h"

#include "base/list.h"
#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAIN_TABLE = 254, LOCAL_TABLE = 255, PUBLICS_MAX = 256, UPLINKS_MAX = 1024, END_WAIT_MS = 3000, END_TRIES = 4 };

struct uplink {
	struct list at;
	uint32_t number; /* 0: api has not asked for it since it was started */
	ino_t ns;
	unsigned slot, ifindex;
	/* wanted: by the api that is there now */
	struct {
		uint32_t address;
		bool wanted;
	} publics[PUBLICS_MAX];
	size_t public_count;
	bool has_ipv6;
	struct {
		struct net_prefix6 is;
		bool wanted;
	} prefixes6[NETWORK_PREFIXES_MAX];
	size_t prefix6_count;
};

struct netkeeper {
	struct loop *loop;
	struct keeper *keeper;
	uint32_t uid_base;
	int run_dir, host_ns;
	int sock; /* to api */
	struct loop_fd *watch;
	int net; /* to net; -1: there is none */
	struct loop_fd *net_watch;
	int ready; /* net is being started: what it will say */
	struct loop_fd *ready_watch;
	struct list uplinks;
	unsigned count;
};

/* ---- the connection to net ---- */

static void hang_up_net(struct netkeeper *n)
{
	loop_remove_fd(n->loop, n->net_watch);
	n->net_watch = NULL;
	if (n->net >= 0)
		close(n->net);
	n->net = -1;
}

/* It says nothing to priv (what a stranger who listens there says is not read); when it closes, it is gone. Its heir may have all
 * that it had, so links stay until net is started or ended here; those that led to a namespace that is no more have gone with it.
 */
static void net_is_gone(void *ctx, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		hang_up_net(ctx);
}

static int find_net(struct netkeeper *n)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = net_connect(n->run_dir);
	if (fd < 0)
		return fd;
	/* whoever listens there must be a net: one of the users that are kept for it */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid < n->uid_base ||
	    peer.uid >= n->uid_base + OUTBOUND_SHARES) {
		close(fd);
		return -EPERM;
	}
	n->net = fd;
	n->net_watch = loop_add_fd(n->loop, fd, EPOLLHUP, net_is_gone, n);
	if (!n->net_watch)
		die("cannot watch net");
	return 0;
}

/* ---- links ---- */

static void remove_uplink(struct netkeeper *n, struct uplink *u)
{
	uplink_remove(keeper_outbound(n->keeper), u->slot);
	keeper_give_slot(n->keeper, u->slot);
	list_remove(&u->at);
	n->count--;
	free(u);
}

static struct uplink *find_number(struct netkeeper *n, uint32_t number)
{
	list_each (&n->uplinks, struct uplink, at, u)
		if (u->number == number)
			return u;
	return NULL;
}

static int lead_public(struct netkeeper *n, const struct uplink *u, uint32_t address, bool add)
{
	struct route r = {.table = LOCAL_TABLE,
	                  .base = address,
	                  .bits = 32,
	                  .kind = ROUTE_VIA,
	                  .ifindex = u->ifindex,
	                  .gateway = outbound_cell_address(keeper_outbound(n->keeper), u->slot)};
	int sock = link_socket();
	if (sock < 0)
		return sock;
	int error = add ? route_set(sock, &r) : route_remove(sock, &r);
	close(sock);
	return error;
}

static int change_public(struct netkeeper *n, struct uplink *u, uint32_t address, bool add)
{
	size_t i = 0;
	while (i < u->public_count && u->publics[i].address != address)
		i++;
	if (add && i == PUBLICS_MAX)
		return -ENOSPC;
	if (!add && i == u->public_count)
		return 0;
	if (add) {
		/* it may come from another VPC, whose own message has not come yet */
		list_each (&n->uplinks, struct uplink, at, o)
			if (o != u)
				change_public(n, o, address, false);
		int error = lead_public(n, u, address, true);
		if (error)
			return error;
		u->public_count += i == u->public_count;
		u->publics[i].address = address;
		u->publics[i].wanted = true;
		return 0;
	}
	lead_public(n, u, address, false);
	u->publics[i] = u->publics[--u->public_count];
	return 0;
}

/* IPv6 blocks need no translation: a route leads to the VPC. */
static int lead_prefix6(struct netkeeper *n, const struct uplink *u, const struct net_prefix6 *p, bool add)
{
	struct route6 r = {.table = MAIN_TABLE, .bits = (uint8_t)p->bits, .kind = ROUTE_VIA, .ifindex = u->ifindex};
	memcpy(r.base, p->base, sizeof(r.base));
	network_outside6(outbound_cell_address(keeper_outbound(n->keeper), u->slot), r.gateway);
	int sock = link_socket();
	if (sock < 0)
		return sock;
	int error = add ? route6_set(sock, &r) : route6_remove(sock, &r);
	close(sock);
	return error;
}

static int change_prefix6(struct netkeeper *n, struct uplink *u, const struct net_prefix6 *p, bool add)
{
	size_t i = 0;
	while (i < u->prefix6_count && memcmp(&u->prefixes6[i].is, p, sizeof(*p)) != 0)
		i++;
	if (add && i < u->prefix6_count)
		u->prefixes6[i].wanted = true;
	if (!u->has_ipv6 || add == (i < u->prefix6_count))
		return 0;
	if (!add) {
		lead_prefix6(n, u, p, false);
		u->prefixes6[i] = u->prefixes6[--u->prefix6_count];
		return 0;
	}
	if (i == NETWORK_PREFIXES_MAX)
		return -ENOSPC;
	list_each (&n->uplinks, struct uplink, at, o)
		for (size_t k = 0; o != u && k < o->prefix6_count; k++)
			if (memcmp(&o->prefixes6[k].is, p, sizeof(*p)) == 0)
				return -EEXIST;
	int error = lead_prefix6(n, u, p, true);
	if (error)
		return error;
	u->prefixes6[u->prefix6_count].is = *p;
	u->prefixes6[u->prefix6_count++].wanted = true;
	return 0;
}

/* What the api before this one has led there, until it is said again. */
static void doubt(struct uplink *u)
{
	for (size_t i = 0; i < u->public_count; i++)
		u->publics[i].wanted = false;
	for (size_t i = 0; i < u->prefix6_count; i++)
		u->prefixes6[i].wanted = false;
}

static void settle(struct netkeeper *n, struct uplink *u)
{
	for (size_t i = u->public_count; i-- > 0;)
		if (!u->publics[i].wanted)
			change_public(n, u, u->publics[i].address, false);
	for (size_t i = u->prefix6_count; i-- > 0;) {
		struct net_prefix6 p = u->prefixes6[i].is;
		if (!u->prefixes6[i].wanted)
			change_prefix6(n, u, &p, false);
	}
}

static int stat_user_ns(pid_t pid, struct stat *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return stat(path, ret) < 0 ? -errno : 0;
}

/* The user namespace that net lives in. Who was connected with while one net was dead and its heir did not listen yet is asked
 * again who it is. */
static int stat_net(struct netkeeper *n, struct stat *ret)
{
	for (int tries = 0; tries < 2; tries++) {
		struct ucred peer;
		socklen_t size = sizeof(peer);
		if (n->net >= 0 && getsockopt(n->net, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
		    stat_user_ns(peer.pid, ret) == 0)
			return 0;
		hang_up_net(n);
		find_net(n);
	}
	return -EPERM;
}

/* Is this a network namespace of net's making? Anything else - the machine's own above all - is not linked. */
static int check_namespace(struct netkeeper *n, int fd, ino_t *ret_ns)
{
	struct stat owner, nets, own, st;
	if (fstat(fd, &st) < 0 || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || stat_net(n, &nets) < 0)
		return -EPERM;
	int user = ioctl(fd, NS_GET_USERNS);
	if (user < 0)
		return -EPERM;
	bool good = fstat(user, &owner) == 0 && stat("/proc/self/ns/user", &own) == 0 && owner.st_ino == nets.st_ino &&
	            owner.st_dev == nets.st_dev && owner.st_ino != own.st_ino;
	close(user);
	*ret_ns = st.st_ino;
	return good ? 0 : -EPERM;
}

/* A route socket in that namespace; the process is back in its own afterwards. */
static int socket_inside(const struct netkeeper *n, int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		return -errno;
	int sock = link_socket();
	if (setns(n->host_ns, CLONE_NEWNET) < 0)
		die("cannot come back from a network namespace: %s", strerror(errno));
	return sock;
}

static int make_link(struct netkeeper *n, struct uplink *u, int ns)
{
	const struct outbound *o = keeper_outbound(n->keeper);
	int host = link_socket(), inside = socket_inside(n, ns), error = host < 0 ? host : inside < 0 ? inside : 0;
	if (!error)
		error = uplink_make(o, u->slot, host, inside, n->host_ns, &u->ifindex, &u->has_ipv6);
	if (host >= 0)
		close(host);
	if (inside >= 0)
		close(inside);
	return error;
}

static int add_uplink(struct netkeeper *n, uint32_t number, int ns_fd, uint32_t *ret_address)
{
	const struct outbound *o = keeper_outbound(n->keeper);
	ino_t ns = 0;
	/* without our rules a link would be a way onto the machine */
	if (!o->works)
		return -ENOTSUP;
	int error = check_namespace(n, ns_fd, &ns);
	if (error)
		return error;
	struct uplink *same = NULL;
	list_each (&n->uplinks, struct uplink, at, u) {
		if (u->ns == ns)
			same = u;
		else if (u->number == number)
			remove_uplink(n, u);
	}
	if (same && !uplink_is_there(o, same->slot, same->ifindex)) {
		remove_uplink(n, same); /* another namespace that has got the same number */
		same = NULL;
	}
	if (same) {
		same->number = number;
		doubt(same);
		*ret_address = outbound_host_address(o, same->slot);
		return 0;
	}
	struct uplink *u = n->count < UPLINKS_MAX ? calloc(1, sizeof(*u)) : NULL;
	if (!u)
		return -ENOSPC;
	u->number = number;
	u->ns = ns;
	error = keeper_take_slot(n->keeper, &u->slot);
	if (error) {
		free(u);
		return -ENOSPC;
	}
	list_push(&n->uplinks, &u->at);
	n->count++;
	error = make_link(n, u, ns_fd);
	if (error)
		remove_uplink(n, u);
	else
		*ret_address = outbound_host_address(o, u->slot);
	return error;
}

/* ---- net itself ---- */

static void drop_uplinks(struct netkeeper *n)
{
	list_each (&n->uplinks, struct uplink, at, u)
		remove_uplink(n, u);
}

static void forget_net(struct netkeeper *n)
{
	hang_up_net(n);
	drop_uplinks(n);
}

static bool wait_for_end(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd};
	return poll(&p, 1, timeout_ms) == 1 && (p.revents & (POLLHUP | POLLERR));
}

/* By force, with its heir, which is in its group. The connection proves that its pid is still its own, unless that net died and its
 * heir does not listen yet: then nothing that lives in the machine's own user namespace may have to pay for it. */
static void kill_net(const struct netkeeper *n)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct stat nets, own;
	if (getsockopt(n->net, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || stat_user_ns(peer.pid, &nets) < 0 ||
	    stat_user_ns(getpid(), &own) < 0 || nets.st_ino == own.st_ino)
		return;
	pid_t group = getpgid(peer.pid);
	kill(group > 1 && group != getpgrp() ? -group : peer.pid, SIGKILL);
}

/* One that dies of something else while it is told to end has an heir, who does not know: that one is told too. */
static void end_net(struct netkeeper *n)
{
	struct net_header end = {.verb = NET_END};
	for (int tries = 0; tries < END_TRIES && (n->net >= 0 || find_net(n) == 0); tries++) {
		if ((msg_send(n->net, &end, sizeof(end), NULL, 0) < 0 || !wait_for_end(n->net, END_WAIT_MS)) &&
		    !wait_for_end(n->net, 0)) {
			kill_net(n);
			wait_for_end(n->net, END_WAIT_MS);
		}
		hang_up_net(n);
	}
	forget_net(n);
	unlinkat(n->run_dir, NET_SOCKET, 0);
}

/* ---- requests ---- */

static void answer(struct netkeeper *n, const struct link_answer *a)
{
	if (n->sock >= 0 && msg_send(n->sock, a, sizeof(*a), NULL, 0) < 0)
		shutdown(n->sock, SHUT_RDWR);
}

static void answer_facts(struct netkeeper *n, uint32_t verb, int error, const char *why_not)
{
	const struct outbound *o = keeper_outbound(n->keeper);
	struct link_answer a = {
	        .r.verb = verb, .error = error, .outside = o->works, .outside6 = o->works6, .share = {o->base, o->prefix_bits}};
	snprintf(a.why_not, sizeof(a.why_not), "%s", error ? why_not : o->why_not);
	snprintf(a.why_not6, sizeof(a.why_not6), "%s", o->works ? o->why_not6 : a.why_not);
	answer(n, &a);
}

static void net_is_ready(void *ctx, uint32_t events)
{
	struct netkeeper *n = ctx;
	struct net_ready r = {.error = -EPIPE, .why_not = "networks: net ended while it was started"};
	(void)events;
	ssize_t size = read(n->ready, &r, sizeof(r));
	if (size < 0 && errno == EAGAIN)
		return;
	if (size == sizeof(r))
		r.why_not[sizeof(r.why_not) - 1] = 0;
	loop_remove_fd(n->loop, n->ready_watch);
	n->ready_watch = NULL;
	close(n->ready);
	n->ready = -1;
	if (!r.error && (r.error = find_net(n)) != 0)
		snprintf(r.why_not, sizeof(r.why_not), "networks: net does not answer: %s", strerror(-r.error));
	if (r.error)
		log_warn("%s", r.why_not);
	answer_facts(n, LINK_START, r.error, r.why_not);
}

static void start_net(struct netkeeper *n)
{
	struct stat data;
	if (n->ready_watch)
		return; /* the answer comes */
	/* api has found nobody there, or nobody whom it understands */
	end_net(n);
	struct net_config c = {.run_dir = n->run_dir, .uid = n->uid_base + keeper_outbound(n->keeper)->share};
	int error = fstatat(n->run_dir, "..", &data, 0) < 0 ? -errno : 0;
	c.service_uid = data.st_uid;
	c.service_gid = data.st_gid;
	if (!error)
		error = net_start(&c, &n->ready);
	if (error) {
		n->ready = -1;
		answer_facts(n, LINK_START, error, "networks: net cannot be started");
		return;
	}
	n->ready_watch = loop_add_fd(n->loop, n->ready, EPOLLIN, net_is_ready, n);
	if (!n->ready_watch)
		die("cannot watch net");
}

static void obey(struct netkeeper *n, const struct link_request *r, int fd)
{
	struct link_answer a = {.r = *r};
	struct uplink *u = r->number ? find_number(n, r->number) : NULL;
	switch (r->verb) {
	case LINK_FACTS:
		answer_facts(n, LINK_FACTS, 0, "");
		return;
	case LINK_START:
		start_net(n);
		return;
	case LINK_END:
		end_net(n);
		break;
	case LINK_UPLINK:
		a.error = add_uplink(n, r->number, fd, &a.r.address);
		break;
	case LINK_UNLINK:
		if (u)
			remove_uplink(n, u);
		break;
	case LINK_PUBLIC:
	case LINK_PRIVATE:
		a.error = u ? change_public(n, u, r->address, r->verb == LINK_PUBLIC) : -ENOENT;
		break;
	case LINK_PREFIX6:
	case LINK_NO_PREFIX6:
		a.error = u ? change_prefix6(n, u, &r->prefix6, r->verb == LINK_PREFIX6) : -ENOENT;
		break;
	case LINK_SETTLED:
		if (u)
			settle(n, u);
		break;
	default:
		break;
	}
	answer(n, &a);
}

static void hang_up(struct netkeeper *n)
{
	loop_remove_fd(n->loop, n->watch);
	n->watch = NULL;
	if (n->sock >= 0)
		close(n->sock);
	n->sock = -1;
	list_each (&n->uplinks, struct uplink, at, u)
		u->number = 0;
}

static void asked(void *ctx, uint32_t events)
{
	struct netkeeper *n = ctx;
	(void)events;
	for (int i = 0; i < 16 && n->sock >= 0; i++) {
		struct link_request r;
		int fd = -1;
		size_t nfds;
		ssize_t size = msg_recv(n->sock, &r, sizeof(r), &fd, 1, &nfds);
		if (size == -EAGAIN)
			return;
		if (size <= 0 || link_check(&r, (size_t)size) < 0 || (nfds == 1) != (r.verb == LINK_UPLINK)) {
			msg_close_fds(&fd, nfds);
			if (size != 0)
				log_error("a request about networks that is none: closing");
			hang_up(n);
			return;
		}
		obey(n, &r, fd);
		msg_close_fds(&fd, nfds);
	}
}

void netkeeper_serve(struct netkeeper *n, int sock)
{
	hang_up(n);
	n->sock = sock;
	n->watch = loop_add_fd(n->loop, sock, EPOLLIN, asked, n);
	if (!n->watch)
		die("cannot watch api");
}

struct netkeeper *netkeeper_new(struct loop *l, struct keeper *keeper, const struct netkeeper_config *config)
{
	struct netkeeper *n = calloc(1, sizeof(*n));
	if (!n)
		die("out of memory");
	*n = (struct netkeeper){.loop = l,
	                        .keeper = keeper,
	                        .uid_base = config->uid_base + OUTBOUND_SHARES * OUTBOUND_SLOTS,
	                        .run_dir = -1,
	                        .sock = -1,
	                        .net = -1,
	                        .ready = -1};
	list_init(&n->uplinks);
	n->host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int data = open(config->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (data >= 0 && (mkdirat(data, "run", 0755) == 0 || errno == EEXIST))
		n->run_dir = openat(data, "run", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (data >= 0)
		close(data);
	if (n->host_ns < 0 || n->run_dir < 0)
		log_warn("no networks: %s/run: %s", config->data_dir, strerror(errno));
	else
		find_net(n);
	return n;
}

void netkeeper_free(struct netkeeper *n, bool end)
{
	if (!n)
		return;
	hang_up(n);
	if (n->ready_watch) {
		loop_remove_fd(n->loop, n->ready_watch);
		/* it is about to listen, or about to end */
		struct pollfd p = {.fd = n->ready, .events = POLLIN};
		if (end && poll(&p, 1, END_WAIT_MS) == 1)
			find_net(n);
		close(n->ready);
	}
	if (end)
		end_net(n);
	else
		forget_net(n);
	if (n->run_dir >= 0)
		close(n->run_dir);
	if (n->host_ns >= 0)
		close(n->host_ns);
	free(n);
}
