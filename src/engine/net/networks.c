/* What is wanted is kept as the very messages that say it. A change is sent at once where net is there; whenever a connection
 * begins - after a start of this side, of net, or of priv - everything is said again, and the other side compares. */
#include "engine/net/networks.h"

#include "base/log.h"
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"
#include "engine/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AGAIN_FIRST_US = 50 * 1000, AGAIN_MAX_US = 5 * 1000000 };

/* In the order in which they are said again: what others name comes first, and less has to wait. */
static const uint32_t kinds[] = {NET_VPC, NET_GROUP, NET_ACL, NET_SUBNET, NET_PORT, NET_BALANCE, NET_PEERING};

static void run(void *ctx);

static void run_soon(struct networks *n, int64_t delay_us)
{
	if (!n->again)
		n->again = loop_add_timer(n->loop, delay_us, run, n);
}

static struct want *find(const struct networks *n, const char *id)
{
	return map_get(&n->wants, str_from(id));
}

static void to_net(struct networks *n, const void *p, size_t bytes)
{
	if (n->greeted)
		line_send(&n->net, p, bytes, -1);
}

static void to_net_about(struct networks *n, uint32_t verb, const char *id, uint32_t value)
{
	struct net_header h = {.verb = verb, .value = value};
	memcpy(h.id, id, strlen(id));
	to_net(n, &h, sizeof(h));
}

/* ---- priv ---- */

static void to_priv(struct networks *n, uint32_t verb, uint32_t number, uint32_t address, int fd)
{
	struct link_request r = {.verb = verb, .number = number, .address = address};
	line_send(&n->priv, &r, sizeof(r), fd);
}

static bool overlap(const struct net_prefix *a, const struct net_prefix *b)
{
	uint32_t bits = a->bits < b->bits ? a->bits : b->bits;
	return !((a->base ^ b->base) & (bits ? ~0u << (32 - bits) : 0));
}

/* A VPC that has the addresses of our links for its own stays without a way out: nobody could tell them apart. */
static void ask_uplink(struct networks *n, struct want *vpc)
{
	if (vpc->ns_fd < 0 || !n->facts.outside || n->priv.fd < 0)
		return;
	for (size_t i = 0; i < vpc->message->h.value; i++)
		if (overlap(&vpc->message->vpc.prefixes[i], &n->share))
			return;
	to_priv(n, LINK_UPLINK, vpc->number, 0, vpc->ns_fd);
}

/* Leads the public addresses of a port into its VPC that are in one message and not in the other (NULL: none). */
static void change_publics(struct networks *n, uint32_t verb, const struct net_port *in, const struct net_port *not_in)
{
	struct want *vpc = find(n, in->vpc);
	if (!vpc || vpc->verb != NET_VPC || !vpc->linked)
		return;
	for (size_t i = 0; i < in->address_count; i++) {
		uint32_t address = in->addresses[i].public;
		bool other = false;
		for (size_t k = 0; not_in && strcmp(not_in->vpc, in->vpc) == 0 && k < not_in->address_count; k++)
			other = other || not_in->addresses[k].public == address;
		if (address && !other)
			to_priv(n, verb, vpc->number, address, -1);
	}
}

/* The same for the IPv6 blocks of a VPC, which the machine reaches as they are. */
static void change_prefixes6(struct networks *n, const struct want *vpc, uint32_t verb, const struct net_vpc *in,
                             const struct net_vpc *not_in)
{
	for (size_t i = 0; vpc->linked && i < in->prefix6_count; i++) {
		bool other = false;
		for (size_t k = 0; not_in && k < not_in->prefix6_count; k++)
			other = other || memcmp(&not_in->prefixes6[k], &in->prefixes6[i], sizeof(in->prefixes6[i])) == 0;
		struct link_request r = {.verb = verb, .number = vpc->number, .prefix6 = in->prefixes6[i]};
		if (!other)
			line_send(&n->priv, &r, sizeof(r), -1);
	}
}

/* What an earlier api has led into a VPC besides goes, once all is known that this one wants. */
static void settle_link(struct networks *n, const struct want *vpc)
{
	if (n->settled && vpc->linked)
		to_priv(n, LINK_SETTLED, vpc->number, 0, -1);
}

static void uplink_answered(struct networks *n, const struct link_answer *a)
{
	list_each (&n->order, struct want, at, w) {
		if (w->verb != NET_VPC || w->number != a->r.number)
			continue;
		if (a->error) {
			snprintf(n->facts.why_not, sizeof(n->facts.why_not), "%s has no way out: %s", w->id, strerror(-a->error));
			continue;
		}
		w->linked = true;
		w->uplink = a->r.address;
		to_net_about(n, NET_UPLINK, w->id, a->r.address);
		list_each (&n->order, struct want, at, p)
			if (p->verb == NET_PORT && strcmp(p->message->port.vpc, w->id) == 0)
				change_publics(n, LINK_PUBLIC, &p->message->port, NULL);
		change_prefixes6(n, w, LINK_PREFIX6, &w->message->vpc, NULL);
		settle_link(n, w);
	}
}

/* Those of a net that has left nothing. */
static void forget_namespaces(struct networks *n)
{
	list_each (&n->order, struct want, at, w) {
		if (w->ns_fd >= 0)
			close(w->ns_fd);
		w->ns_fd = -1;
		w->linked = false;
	}
}

static void take_facts(struct networks *n, const struct link_answer *a)
{
	n->share = a->share;
	n->facts.outside = a->outside;
	n->facts.outside6 = a->outside6;
	snprintf(n->facts.why_not6, sizeof(n->facts.why_not6), "%.*s", (int)sizeof(a->why_not6) - 1, a->why_not6);
	if (a->r.verb == LINK_START) {
		forget_namespaces(n);
		n->facts.known = true;
		n->facts.works = !a->error;
		n->starting = false;
		n->again_us = a->error ? AGAIN_MAX_US : AGAIN_FIRST_US;
		run_soon(n, a->error ? AGAIN_MAX_US : 0);
	}
	snprintf(n->facts.why_not, sizeof(n->facts.why_not), "%.*s", (int)sizeof(a->why_not), a->why_not);
	list_each (&n->order, struct want, at, w)
		if (w->verb == NET_VPC && !w->linked)
			ask_uplink(n, w);
}

static void lose_priv(struct networks *n)
{
	line_close(&n->priv, n->loop);
	n->starting = false;
	list_each (&n->order, struct want, at, w)
		w->linked = false;
	run_soon(n, AGAIN_FIRST_US);
}

static void priv_speaks(void *ctx, uint32_t events)
{
	struct networks *n = ctx;
	if (events & EPOLLOUT)
		line_flush(&n->priv, n->loop);
	while (n->priv.fd >= 0) {
		struct link_answer a;
		ssize_t size = msg_recv(n->priv.fd, &a, sizeof(a), NULL, 0, NULL);
		if (size == -EAGAIN)
			return;
		if (size != sizeof(a)) {
			lose_priv(n);
			return;
		}
		if (a.r.verb == LINK_FACTS || a.r.verb == LINK_START)
			take_facts(n, &a);
		if (a.r.verb == LINK_UPLINK)
			uplink_answered(n, &a);
	}
}

static bool open_priv(struct networks *n)
{
	if (n->priv.fd >= 0)
		return true;
	int fd = cells_open_channel(n->cells, PRIV_CHANNEL_NETWORK);
	if (fd < 0)
		return false;
	line_open(&n->priv, n->loop, fd, priv_speaks, n);
	to_priv(n, LINK_FACTS, 0, 0, -1);
	return true;
}

/* ---- net ---- */

static void put(struct networks *n, struct want *w)
{
	if (w->anew)
		to_net_about(n, NET_REMOVE, w->id, 0);
	to_net(n, w->message, w->bytes);
}

static void say_everything(struct networks *n)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		list_each (&n->order, struct want, at, w)
			if (w->verb == kinds[i])
				put(n, w);
	if (n->settled)
		to_net_about(n, NET_SETTLED, "", 0);
	list_each (&n->order, struct want, at, w)
		if (w->balanced)
			to_net_about(n, NET_SETTLED, w->id, 0);
}

static void lose_net(struct networks *n)
{
	line_close(&n->net, n->loop);
	n->greeted = false;
	list_each (&n->order, struct want, at, w)
		w->has_stats = false;
	run_soon(n, n->again_us);
}

/* The next net may have taken over what the last one had: then the links are there, and so is all that was given away. */
static void take_namespace(struct networks *n, struct want *vpc, int *fd)
{
	struct stat had, is;
	bool same = vpc->ns_fd >= 0 && fstat(vpc->ns_fd, &had) == 0 && fstat(*fd, &is) == 0 && had.st_ino == is.st_ino &&
	            had.st_dev == is.st_dev;
	if (!same) {
		if (vpc->ns_fd >= 0)
			close(vpc->ns_fd);
		vpc->ns_fd = *fd;
		*fd = -1;
		vpc->linked = false;
		vpc->told = 0;
	}
	if (vpc->linked)
		to_net_about(n, NET_UPLINK, vpc->id, vpc->uplink);
	else
		ask_uplink(n, vpc);
}

/* False: that was told before. */
static bool is_news(struct want *w, uint32_t kind)
{
	bool news = !(w->told & 1u << kind);
	w->told |= 1u << kind;
	return news;
}

static bool is_new_device(struct want *port, uint32_t device)
{
	if (device && device == port->device)
		return false;
	port->device = device;
	port->told = 0;
	port->anew = false;
	return true;
}

static void take_answer(struct networks *n, const union net_answer *m, size_t size, int *fd)
{
	struct want *w = m->h.verb == NET_HELLO ? NULL : find(n, m->h.id);
	if (m->h.verb == NET_HELLO) {
		if (m->h.value != NETWORK_VERSION) {
			/* another program's net: priv ends it and starts ours */
			n->replace = true;
			lose_net(n);
			return;
		}
		n->greeted = n->facts.known = n->facts.works = true;
		n->facts.delays = m->hello.delays;
		n->again_us = AGAIN_FIRST_US;
		say_everything(n);
	} else if (m->h.verb == NET_FLOWS && size == sizeof(m->flows) && *fd >= 0) {
		networks_take_flows(n, &m->flows, *fd);
	} else if (w && m->h.verb == NET_VPC && w->verb == NET_VPC && *fd >= 0) {
		take_namespace(n, w, fd);
	} else if (w && m->h.verb == NET_LISTENER && w->verb == NET_VPC && m->h.value < NETWORK_LISTENERS && *fd >= 0) {
		if (!is_news(w, m->h.value))
			return;
		int given = *fd;
		*fd = -1;
		n->events->listener(n->ctx, w->id, (enum network_listener)m->h.value, given);
	} else if (w && m->h.verb == NET_PORT && w->verb == NET_PORT) {
		if (!is_new_device(w, m->h.value))
			return;
		int given = *fd;
		*fd = -1;
		n->events->port(n->ctx, w->id, given);
	} else if (w && m->h.verb == NET_OPEN && w->verb == NET_PORT && size == sizeof(m->socket) && n->events->socket) {
		if (!m->socket.tag && (m->h.value > NETWORK_SOCKET_DNS_TCP || !is_news(w, m->h.value)))
			return;
		int given = *fd;
		*fd = -1;
		n->events->socket(n->ctx, w->message->port.vpc, w->id, (enum network_socket)m->h.value, m->socket.tag, given);
	} else if (w && m->h.verb == NET_STATS && w->verb == NET_PORT && size == sizeof(m->stats)) {
		w->stats = m->stats.stats;
		w->has_stats = true;
	} else if (w && m->h.verb == NET_STATS && w->verb == NET_BALANCE && size == sizeof(m->balance)) {
		w->balance = m->balance.stats;
		w->has_stats = true;
	} else if (w && m->h.verb == NET_STATS && w->verb == NET_VPC && size == sizeof(m->vpc)) {
		w->vpc = m->vpc.stats;
		w->has_stats = true;
	}
}

static void net_speaks(void *ctx, uint32_t events)
{
	struct networks *n = ctx;
	if (events & EPOLLOUT)
		line_flush(&n->net, n->loop);
	while (n->net.fd >= 0) {
		union net_answer m = {0};
		int fd = -1;
		size_t nfds;
		ssize_t size = msg_recv(n->net.fd, &m, sizeof(m), &fd, 1, &nfds);
		if (size == -EAGAIN)
			return;
		if (size < (ssize_t)sizeof(m.h) || !memchr(m.h.id, 0, sizeof(m.h.id))) {
			msg_close_fds(&fd, nfds);
			lose_net(n);
			return;
		}
		take_answer(n, &m, (size_t)size, &fd);
		msg_close_fds(&fd, 1);
	}
}

static int connect_net(const struct networks *n)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/run", n->data_dir);
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	int fd = net_connect(dir);
	close(dir);
	return fd;
}

static bool wants_vpc(const struct networks *n)
{
	list_each (&n->order, struct want, at, w)
		if (w->verb == NET_VPC)
			return true;
	return false;
}

/* One step towards being connected to both. */
static void run(void *ctx)
{
	struct networks *n = ctx;
	n->again = NULL;
	if (!n->cells || (!wants_vpc(n) && n->net.fd < 0))
		return;
	bool priv = open_priv(n);
	if (!priv) {
		run_soon(n, AGAIN_FIRST_US * 4);
		return;
	}
	if (n->net.fd >= 0 || n->starting)
		return;
	int fd = n->replace ? -ECONNREFUSED : connect_net(n);
	if (fd >= 0) {
		line_open(&n->net, n->loop, fd, net_speaks, n);
		struct net_header hello = {.verb = NET_HELLO};
		line_send(&n->net, &hello, sizeof(hello), -1);
		return;
	}
	n->replace = false;
	n->starting = true;
	n->again_us = n->again_us * 2 < AGAIN_MAX_US ? n->again_us * 2 : AGAIN_MAX_US;
	to_priv(n, LINK_START, 0, 0, -1);
}

/* ---- the face ---- */

struct networks *networks_new(struct loop *l, struct cells *cells, const char *data_dir, const struct network_events *events,
                              void *ctx)
{
	struct networks *n = calloc(1, sizeof(*n));
	if (!n)
		die("out of memory");
	*n = (struct networks){
	        .loop = l, .cells = cells, .data_dir = data_dir, .events = events, .ctx = ctx, .again_us = AGAIN_FIRST_US};
	list_init(&n->order);
	line_init(&n->net);
	line_init(&n->priv);
	if (!cells) {
		n->facts.known = true;
		snprintf(n->facts.why_not, sizeof(n->facts.why_not), "networks need a cloud that was started by root");
	}
	return n;
}

void networks_forget(struct networks *n, struct want *w)
{
	if (w->verb == NET_PORT && w->message->port.kind == NETWORK_ANSWERS && n->events && n->events->socket)
		n->events->socket(n->ctx, w->message->port.vpc, w->id, NETWORK_SOCKET_DNS, 0, -1);
	list_remove(&w->at);
	map_remove(&n->wants, str_from(w->id));
	if (w->ns_fd >= 0)
		close(w->ns_fd);
	free(w->message);
	free(w);
}

void networks_free(struct networks *n)
{
	if (!n)
		return;
	list_each (&n->order, struct want, at, w)
		networks_forget(n, w);
	loop_remove_timer(n->loop, n->again);
	line_close(&n->net, n->loop);
	line_close(&n->priv, n->loop);
	map_done(&n->wants);
	free(n);
}

void networks_drop_all(struct networks *n)
{
	struct net_header end = {.verb = NET_END};
	list_each (&n->order, struct want, at, w)
		networks_forget(n, w);
	int fd = n->net.fd >= 0 ? dup(n->net.fd) : connect_net(n);
	if (fd >= 0) {
		msg_send(fd, &end, sizeof(end), NULL, 0);
		close(fd);
	}
	/* it sees to it that the end comes */
	if (n->priv.fd >= 0)
		to_priv(n, LINK_END, 0, 0, -1);
	line_close(&n->net, n->loop);
	n->greeted = false;
}

void networks_settled(struct networks *n)
{
	n->settled = true;
	if (!wants_vpc(n)) {
		networks_drop_all(n);
		return;
	}
	to_net_about(n, NET_SETTLED, "", 0);
	list_each (&n->order, struct want, at, w)
		if (w->verb == NET_VPC)
			settle_link(n, w);
}

struct want *networks_find(const struct networks *n, const char *id)
{
	return find(n, id);
}

void networks_tell(struct networks *n, uint32_t verb, const char *id)
{
	if (find(n, id))
		to_net_about(n, verb, id, 0);
}

const struct network_facts *networks_facts(const struct networks *n)
{
	return &n->facts;
}

/* A public address is at one port. Where it moves, whoever had it hears so first, in whatever order the two are told. */
static void take_public(struct networks *n, const struct want *to, uint32_t address)
{
	list_each (&n->order, struct want, at, o)
		for (size_t k = 0; o != to && o->verb == NET_PORT && k < o->message->port.address_count; k++)
			if (o->message->port.addresses[k].public == address) {
				struct net_port less = o->message->port;
				less.addresses[k].public = 0;
				networks_want(n, &less, o->bytes);
			}
}

int networks_want(struct networks *n, const void *message, size_t bytes)
{
	const union net_message *m = message;
	if (network_check(message, bytes) < 0)
		return -EINVAL;
	struct want *w = find(n, m->h.id);
	if (w && w->verb != m->h.verb)
		return -EINVAL;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			die("out of memory");
		/* where nobody heard that one of this id went, it may still be there */
		bool anew = m->h.verb == NET_PORT && n->settled;
		*w = (struct want){.verb = m->h.verb, .ns_fd = -1, .number = ++n->next_number, .anew = anew};
		memcpy(w->id, m->h.id, sizeof(w->id));
		list_push(&n->order, &w->at);
		map_put(&n->wants, str_from(w->id), w);
	} else if (w->bytes == bytes && memcmp(w->message, message, bytes) == 0) {
		return 0;
	}
	union net_message *copy = calloc(1, bytes), *had = w->message;
	if (!copy)
		die("out of memory");
	memcpy(copy, message, bytes);
	w->message = copy;
	w->bytes = bytes;
	for (size_t i = 0; m->h.verb == NET_PORT && i < m->port.address_count; i++)
		if (m->port.addresses[i].public)
			take_public(n, w, m->port.addresses[i].public);
	to_net(n, copy, bytes);
	if (m->h.verb == NET_PORT) {
		if (had)
			change_publics(n, LINK_PRIVATE, &had->port, &copy->port);
		change_publics(n, LINK_PUBLIC, &copy->port, had ? &had->port : NULL);
	}
	if (m->h.verb == NET_VPC && had) {
		change_prefixes6(n, w, LINK_NO_PREFIX6, &had->vpc, &copy->vpc);
		change_prefixes6(n, w, LINK_PREFIX6, &copy->vpc, &had->vpc);
	}
	free(had);
	if (!n->greeted)
		run_soon(n, 0);
	return 0;
}

static const char *vpc_of(const struct want *w)
{
	switch (w->verb) {
	case NET_GROUP:
	case NET_ACL:
		return w->message->rules.vpc;
	case NET_SUBNET:
		return w->message->subnet.vpc;
	case NET_PORT:
		return w->message->port.vpc;
	case NET_BALANCE:
		return w->message->balance.vpc;
	default:
		return "";
	}
}

void network_remove(struct networks *n, const char *id)
{
	struct want *w = find(n, id);
	if (!w)
		return;
	if (w->verb == NET_PORT) {
		change_publics(n, LINK_PRIVATE, &w->message->port, NULL);
		list_each (&n->order, struct want, at, o)
			if (o->verb == NET_BALANCE && strcmp(o->message->balance.port, w->id) == 0)
				networks_forget(n, o);
	}
	to_net_about(n, NET_REMOVE, w->id, 0);
	if (w->verb == NET_VPC) {
		if (n->priv.fd >= 0)
			to_priv(n, LINK_UNLINK, w->number, 0, -1);
		list_each (&n->order, struct want, at, o)
			if (o != w && strcmp(vpc_of(o), w->id) == 0)
				networks_forget(n, o);
	}
	networks_forget(n, w);
}

void network_renew_port(struct networks *n, const char *id)
{
	struct want *w = find(n, id);
	if (!w || w->verb != NET_PORT)
		return;
	w->anew = true;
	put(n, w);
}

bool network_open_socket(struct networks *n, const char *id, enum network_socket kind, uint32_t tag)
{
	struct net_socket m = {.h = {.verb = NET_OPEN, .value = kind}, .tag = tag};
	const struct want *w = find(n, id);
	if (!w || w->verb != NET_PORT || !n->greeted)
		return false;
	memcpy(m.h.id, w->id, sizeof(m.h.id));
	to_net(n, &m, sizeof(m));
	return true;
}
