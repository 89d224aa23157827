/* Sessions and dispatch. Messages are read a bounded number a round; when the round ends, every router runs the batch that has
 * gathered, and only then are descriptors of new ports told, so that whoever gets one finds the rules in force. */
#include "engine/net/net.h"
#include "engine/net/heir.h"
#include "engine/net/link.h"
#include "engine/net/netem.h"
#include "engine/net/router.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SESSIONS_MAX = 8, MESSAGES_A_ROUND = 64, SEND_TRIES = 200, SEND_AGAIN_US = 5000, LOOPBACK = 1 };

struct session {
	struct list at;
	struct net *net;
	int fd;
	struct loop_fd *watch;
};

struct net {
	struct loop *loop;
	int listener, home;
	struct loop_fd *watch;
	struct list routers, sessions;
	struct peerings *peerings;
	struct heir *heir;
	unsigned session_count;
	bool delays;               /* the kernel has netem */
	struct session *api;       /* the one that has said HELLO last */
	union net_message message; /* the one that is being read */
};

int net_home(const struct net *net)
{
	return net->home;
}

struct peerings *net_peerings(const struct net *net)
{
	return net->peerings;
}

struct heir *net_heir(const struct net *net)
{
	return net->heir;
}

struct list *net_routers(struct net *net)
{
	return &net->routers;
}

struct loop *net_loop(struct net *net)
{
	return net->loop;
}

int net_make_namespace(const struct net *net)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd = sock < 0 ? -errno : ioctl(sock, SIOCGSKNS, 0);
	if (sock >= 0 && fd < 0)
		fd = -errno;
	if (sock >= 0)
		close(sock);
	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (setns(net->home, CLONE_NEWNET) < 0)
		die("cannot come back from a network namespace: %s", strerror(errno));
	return fd;
}

static struct router *find_router(struct net *net, const char *id)
{
	list_each (&net->routers, struct router, at, r)
		if (strcmp(r->id, id) == 0)
			return r;
	return NULL;
}

static struct router *named_router(struct net *net, const char *id)
{
	struct router *r = find_router(net, id);
	if (!r) {
		r = router_new(net, id);
		list_push(&net->routers, &r->at);
	}
	return r;
}

/* Where it was put, rather than where it is only named: a rule may name a group of another VPC. */
static struct thing *find_anywhere(struct net *net, const char *id)
{
	struct thing *named = NULL;
	list_each (&net->routers, struct router, at, r) {
		struct thing *t = thing_find(r, id);
		if (t && t->message)
			return t;
		named = named ? named : t;
	}
	return named;
}

static void drop_router(struct router *r)
{
	peerings_forget_router(net_peerings(r->net), r);
	list_remove(&r->at);
	router_free(r);
}

/* ---- answers ---- */

static void end_session(struct session *s)
{
	if (s->net->api == s)
		s->net->api = NULL;
	s->net->session_count--;
	loop_remove_fd(s->net->loop, s->watch);
	close(s->fd);
	list_remove(&s->at);
	free(s);
}

/* To api; one that does not read for a second is in no state to go on, and will come again. */
static void answer(struct net *net, const void *p, size_t n, int fd)
{
	for (int i = 0; net->api; i++) {
		int error = msg_send(net->api->fd, p, n, &fd, fd >= 0);
		if (!error)
			return;
		if (error != -EAGAIN || i == SEND_TRIES)
			end_session(net->api);
		else
			usleep(SEND_AGAIN_US);
	}
}

static void answer_about(struct net *net, uint32_t verb, const char *id, uint32_t value, int fd)
{
	struct net_header h = {.verb = verb, .value = value};
	memcpy(h.id, id, strlen(id));
	answer(net, &h, sizeof(h), fd);
}

void net_tell_flows(struct net *net, const char *id, const struct network_flow *flows, size_t n, uint64_t missed)
{
	struct net_flows m = {.h = {.verb = NET_FLOWS, .value = (uint32_t)n}, .missed = missed};
	int fd = memfd_create("flows", MFD_CLOEXEC);
	memcpy(m.h.id, id, strlen(id));
	if (fd < 0 || write(fd, flows, n * sizeof(*flows)) != (ssize_t)(n * sizeof(*flows)))
		log_error("%s: flows are lost: %s", id, strerror(errno));
	else
		answer(net, &m, sizeof(m), fd);
	if (fd >= 0)
		close(fd);
}

static void answer_socket(const struct thing *t, enum network_socket kind, uint32_t tag, int fd)
{
	struct net_socket m = {.h = {.verb = NET_OPEN, .value = kind}, .tag = tag};
	memcpy(m.h.id, t->id, sizeof(m.h.id));
	answer(t->router->net, &m, sizeof(m), fd);
}

static void open_socket(const struct thing *t, enum network_socket kind, uint32_t tag)
{
	int fd = port_open_socket(t, kind);
	if (fd < 0)
		log_error("%s: no socket: %s", t->id, strerror(-fd));
	answer_socket(t, kind, tag, fd);
	if (fd >= 0)
		close(fd);
}

static void announce(struct router *r)
{
	if (r->announce && r->live) {
		r->announce = false;
		answer_about(r->net, NET_VPC, r->id, 0, r->ns_fd);
		for (uint32_t i = 0; i < NETWORK_LISTENERS; i++)
			if (r->listeners[i] >= 0)
				answer_about(r->net, NET_LISTENER, r->id, i, r->listeners[i]);
	}
	list_each (&r->things, struct thing, at, t)
		if (t->announce) {
			t->announce = false;
			answer_about(r->net, NET_PORT, t->id, t->device, port_has_sockets(t) ? -1 : t->fd);
			for (int i = 0; i < PORT_SOCKETS; i++)
				if (t->sockets[i] >= 0)
					answer_socket(t, i ? NETWORK_SOCKET_DNS_TCP : NETWORK_SOCKET_DNS, 0, t->sockets[i]);
		}
}

static void bequeath(struct net *net, bool all)
{
	list_each (&net->routers, struct router, at, r)
		router_bequeath(r, all);
	peerings_bequeath(net->peerings, all);
}

static void bequeath_all(void *ctx)
{
	bequeath(ctx, true);
}

static void end_of_round(void *ctx)
{
	struct net *net = ctx;
	peerings_update(net->peerings);
	list_each (&net->routers, struct router, at, r)
		router_flush(r);
	bequeath(net, false);
	if (net->api)
		list_each (&net->routers, struct router, at, r)
			announce(r);
	/* last: who waits for what has been made goes on meanwhile */
	list_each (&net->routers, struct router, at, r)
		router_remove_doomed(r);
}

/* ---- what is said ---- */

static void forget_seen(struct net *net)
{
	list_each (&net->routers, struct router, at, r) {
		r->seen = false;
		list_each (&r->things, struct thing, at, t)
			t->seen = t->announce = false;
	}
	peerings_forget_seen(net->peerings);
}

static void settle(struct net *net)
{
	peerings_settle(net->peerings);
	list_each (&net->routers, struct router, at, r) {
		if (!r->seen) {
			drop_router(r);
			continue;
		}
		/* a balance goes with its port, and before it: this walk bears that only what it is at is removed */
		list_each (&r->things, struct thing, at, t) {
			const struct thing *port =
			        t->verb == NET_BALANCE && t->message ? thing_find(r, t->message->balance.port) : NULL;
			if (t->verb == NET_BALANCE && (!port || !port->seen))
				thing_remove(t);
		}
		list_each (&r->things, struct thing, at, t)
			if (!t->seen && t->message && t->verb != NET_BALANCE)
				thing_remove(t);
	}
}

/* Balances go on over a start of api until it says what it wants: who serves is known only when nodes have spoken. */
static void settle_balances(struct net *net, const char *port)
{
	const struct thing *t = find_anywhere(net, port);
	if (t && t->verb == NET_PORT)
		balances_settle(t->router, port, false);
}

static void remove_id(struct net *net, const char *id)
{
	struct router *r = find_router(net, id);
	if (r) {
		drop_router(r);
		return;
	}
	struct thing *t = find_anywhere(net, id);
	if (t)
		thing_remove(t);
	else
		peering_remove(net->peerings, id);
}

static void put_vpc(struct net *net, const struct net_vpc *m)
{
	struct router *r = named_router(net, m->h.id);
	bool anew = !r->seen || !r->live;
	int error = router_put(r, m);
	if (error)
		log_error("%s: %s", m->h.id, strerror(-error));
	r->announce = r->live && (anew || r->announce);
}

static void put_thing(struct net *net, const char *vpc, const void *m, size_t n)
{
	const struct net_header *h = m;
	struct thing *t = find_anywhere(net, h->id);
	struct router *r = named_router(net, vpc);
	/* an id that has been in another VPC, or of another kind, is another thing now */
	if (t && (t->router != r || t->verb != h->verb))
		thing_remove(t);
	t = thing_named(r, h->verb, h->id);
	if (t)
		thing_put(t, m, n);
}

static void answer_stats(struct net *net, const char *id)
{
	const struct router *r = find_router(net, id);
	struct thing *t = r ? NULL : find_anywhere(net, id);
	struct net_stats m = {.h = {.verb = NET_STATS}};
	struct net_vpc_stats vpc = {.h = {.verb = NET_STATS}};
	struct net_balance_stats balance = {.h = {.verb = NET_STATS}};
	memcpy(m.h.id, id, strlen(id));
	memcpy(balance.h.id, id, strlen(id));
	memcpy(vpc.h.id, id, strlen(id));
	if (r && r->live) {
		router_stats(r, &vpc.stats);
		answer(net, &vpc, sizeof(vpc), -1);
	}
	if (t && t->verb == NET_PORT && port_stats(t, &m.stats) == 0)
		answer(net, &m, sizeof(m), -1);
	if (t && t->verb == NET_BALANCE && balance_stats(t, &balance.stats) == 0)
		answer(net, &balance, sizeof(balance), -1);
}

static void obey(struct session *s, const union net_message *m, size_t n)
{
	struct net *net = s->net;
	struct net_hello hello = {.h = {.verb = NET_HELLO, .value = NETWORK_VERSION}, .delays = s->net->delays};
	if (m->h.verb == NET_END) {
		heir_end(net->heir);
		exit(0);
	}
	if (m->h.verb == NET_HELLO) {
		if (net->api && net->api != s)
			end_session(net->api);
		net->api = s;
		forget_seen(net);
		answer(net, &hello, sizeof(hello), -1);
		return;
	}
	if (net->api != s)
		return;
	struct router *r;
	struct thing *t;
	if (m->h.verb != NET_STATS && m->h.verb != NET_FLOWS && m->h.verb != NET_OPEN)
		peerings_touch(net->peerings);
	switch (m->h.verb) {
	case NET_VPC:
		put_vpc(net, &m->vpc);
		break;
	case NET_GROUP:
	case NET_ACL:
		put_thing(net, m->rules.vpc, m, n);
		break;
	case NET_SUBNET:
		put_thing(net, m->subnet.vpc, m, n);
		break;
	case NET_PORT:
		put_thing(net, m->port.vpc, m, n);
		break;
	case NET_BALANCE:
		put_thing(net, m->balance.vpc, m, n);
		break;
	case NET_PEERING:
		peering_put(net->peerings, &m->peering);
		break;
	case NET_REMOVE:
		remove_id(net, m->h.id);
		break;
	case NET_UPLINK:
		r = find_router(net, m->h.id);
		if (r)
			router_set_uplink(r, m->h.value);
		break;
	case NET_SETTLED:
		if (m->h.id[0])
			settle_balances(net, m->h.id);
		else
			settle(net);
		break;
	case NET_STATS:
		answer_stats(net, m->h.id);
		break;
	case NET_FLOWS:
		t = find_anywhere(net, m->h.id);
		if (t)
			flow_collect(t);
		break;
	case NET_OPEN:
		t = find_anywhere(net, m->h.id);
		if (t && t->verb == NET_PORT && t->message)
			open_socket(t, (enum network_socket)m->h.value, m->socket.tag);
		break;
	default:
		break;
	}
}

static void spoken_to(void *ctx, uint32_t events)
{
	struct session *s = ctx;
	struct net *net = s->net;
	(void)events;
	for (int i = 0; i < MESSAGES_A_ROUND; i++) {
		ssize_t n = msg_recv(s->fd, &net->message, sizeof(net->message), NULL, 0, NULL);
		if (n == -EAGAIN)
			return;
		if (n <= 0 || network_check(&net->message, (size_t)n) < 0) {
			if (n != 0)
				log_error("a message that is none: closing");
			end_session(s);
			return;
		}
		obey(s, &net->message, (size_t)n);
		bool there = false;
		list_each (&net->sessions, struct session, at, o)
			there = there || o == s;
		if (!there)
			return;
	}
}

static void accept_session(void *ctx, uint32_t events)
{
	struct net *net = ctx;
	(void)events;
	int fd = accept4(net->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct session *s = net->session_count < SESSIONS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		close(fd);
		return;
	}
	*s = (struct session){.net = net, .fd = fd};
	s->watch = loop_add_fd(net->loop, fd, EPOLLIN, spoken_to, s);
	if (!s->watch)
		die("cannot watch a session");
	list_push(&net->sessions, &s->at);
	net->session_count++;
}

/* ---- what an earlier net has left ---- */

static void take_over(struct net *net, struct list *legacies)
{
	/* there may be another death before all is done */
	list_each (legacies, struct legacy, at, l)
		heir_tell(net->heir, l);
	list_each (legacies, struct legacy, at, l)
		if (l->message->h.verb == NET_VPC)
			router_inherit(named_router(net, l->id), l);
	list_each (legacies, struct legacy, at, l) {
		struct router *r = find_router(net, l->router);
		if (l->message->h.verb == NET_PEERING)
			peering_put(net->peerings, &l->message->peering);
		else if (r && l->message->h.verb != NET_VPC)
			thing_inherit(r, l);
	}
	list_each (legacies, struct legacy, at, l)
		legacy_free(l);
	list_each (&net->routers, struct router, at, r) {
		int error = router_take_over(r);
		if (error) {
			log_error("%s: it cannot be taken over: %s", r->id, strerror(-error));
			drop_router(r);
		}
	}
	peerings_touch(net->peerings);
	end_of_round(net);
}

void net_serve(int listener, int home_ns_fd, struct list *legacies, unsigned deaths)
{
	struct net *net = calloc(1, sizeof(*net));
	if (!net)
		die("out of memory");
	*net = (struct net){.loop = loop_new(), .listener = listener, .home = home_ns_fd};
	list_init(&net->routers);
	list_init(&net->sessions);
	net->peerings = peerings_new(net);
	net->watch = loop_add_fd(net->loop, listener, EPOLLIN, accept_session, net);
	if (!net->watch)
		die("cannot listen");
	net->heir = heir_new(net->loop, listener, home_ns_fd, deaths, bequeath_all, net);
	loop_on_round(net->loop, end_of_round, net);
	int sock = link_socket();
	net->delays = sock >= 0 && netem_works(sock, LOOPBACK);
	if (sock >= 0)
		close(sock);
	if (legacies)
		take_over(net, legacies);
	/* once more where it was an earlier net's: the kernel notes who listens as of this moment */
	if (listen(listener, NET_BACKLOG) < 0)
		die("cannot listen");
	loop_run(net->loop);
}
