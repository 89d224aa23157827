#include "engine/net/flow_read.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 65536, KEY_MAX = 4 + 2 * (16 + 4), ASK_ROOM = 256 };

/* One element, whichever of the two sets it is of. */
struct element {
	unsigned char key[KEY_MAX];
	uint64_t packets, bytes, age_ms;
};
struct elements {
	struct element *v;
	size_t n, cap;
	size_t key_bytes;
};

static uint64_t number(const struct nlattr *a)
{
	uint64_t v = 0;
	if (mnl_attr_get_payload_len(a) == sizeof(v))
		memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return be64toh(v);
}

static void read_counter(const struct nlattr *expression, struct element *e)
{
	const struct nlattr *a, *b;
	mnl_attr_for_each_nested(a, expression)
	{
		if (mnl_attr_get_type(a) != NFTA_EXPR_DATA)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			if (mnl_attr_get_type(b) == NFTA_COUNTER_PACKETS)
				e->packets = number(b);
			if (mnl_attr_get_type(b) == NFTA_COUNTER_BYTES)
				e->bytes = number(b);
		}
	}
}

static bool read_key(const struct nlattr *key, size_t bytes, struct element *e)
{
	const struct nlattr *a;
	mnl_attr_for_each_nested(a, key)
	{
		if (mnl_attr_get_type(a) != NFTA_DATA_VALUE || mnl_attr_get_payload_len(a) != bytes)
			continue;
		memcpy(e->key, mnl_attr_get_payload(a), bytes);
		return true;
	}
	return false;
}

static void read_element(const struct nlattr *element, struct elements *all)
{
	const struct nlattr *a;
	struct element e = {0};
	uint64_t left = 0;
	bool good = false;
	mnl_attr_for_each_nested(a, element)
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_SET_ELEM_KEY:
			good = read_key(a, all->key_bytes, &e);
			break;
		case NFTA_SET_ELEM_EXPIRATION:
			left = number(a);
			break;
		case NFTA_SET_ELEM_EXPR:
			read_counter(a, &e);
			break;
		default:
			break;
		}
	}
	if (!good)
		return;
	e.age_ms = left < FLOW_SET_LIFE_S * 1000ull ? FLOW_SET_LIFE_S * 1000ull - left : 0;
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 64;
		struct element *more = realloc(all->v, cap * sizeof(*more));
		if (!more)
			return;
		all->v = more;
		all->cap = cap;
	}
	all->v[all->n++] = e;
}

static void read_answer(const struct nlmsghdr *h, struct elements *all)
{
	const struct nlattr *a, *b;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(b, a) read_element(b, all);
	}
}

static int receive(int sock, char *room, struct elements *all)
{
	for (;;) {
		ssize_t n = recv(sock, room, ROOM, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int left = (int)n;
		for (const struct nlmsghdr *h = (void *)room; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
			if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
				read_answer(h, all);
		}
	}
}

static int read_set(int sock, char *room, bool ipv6, const char *name, struct elements *all)
{
	char ask[ASK_ROOM];
	struct nlmsghdr *h = mnl_nlmsg_put_header(ask);
	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	g->version = NFNETLINK_V0;
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, "q");
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, name);
	return send(sock, h, h->nlmsg_len, 0) < 0 ? -errno : receive(sock, room, all);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct element *)a)->key, ((const struct element *)b)->key, KEY_MAX);
}

static struct network_ip address(const unsigned char *p, bool ipv6)
{
	uint32_t v;
	if (ipv6)
		return network_ip6(p);
	memcpy(&v, p, sizeof(v));
	return network_ip4(ntohl(v));
}

/* Every part of a key begins at a multiple of four bytes. */
static struct network_flow flow_of(const struct element *e, struct flow_kind kind)
{
	const unsigned char *from = e->key + 4, *from_port = from + (kind.ipv6 ? 16 : 4);
	const unsigned char *to = from_port + (kind.ports ? 4 : 0), *to_port = to + (kind.ipv6 ? 16 : 4);
	struct network_flow f = {.protocol = e->key[0],
	                         .out = kind.out,
	                         .accepted = kind.accepted,
	                         .from = address(from, kind.ipv6),
	                         .to = address(to, kind.ipv6),
	                         .packets = e->packets,
	                         .bytes = e->bytes};
	if (kind.ports) {
		f.from_port = (uint16_t)(from_port[0] << 8 | from_port[1]);
		f.to_port = (uint16_t)(to_port[0] << 8 | to_port[1]);
	}
	return f;
}

static void append(struct flow_table *t, const struct network_flow *f)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct network_flow *more = realloc(t->flows, cap * sizeof(*more));
		if (!more)
			return;
		t->flows = more;
		t->cap = cap;
	}
	t->flows[t->n++] = *f;
}

int flow_read(const char *counted, const char *last, struct flow_kind kind, struct flow_table *t)
{
	size_t key_bytes = 4 + 2 * ((kind.ipv6 ? 16 : 4) + (kind.ports ? 4 : 0));
	struct elements first = {.key_bytes = key_bytes}, latest = {.key_bytes = key_bytes};
	char *room = malloc(ROOM);
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int error = sock < 0 || !room ? -ENOMEM : read_set(sock, room, kind.ipv6, counted, &first);
	int64_t now = clock_wall_ms();
	if (!error && first.n)
		error = read_set(sock, room, kind.ipv6, last, &latest);
	if (latest.n)
		qsort(latest.v, latest.n, sizeof(*latest.v), by_key);
	for (size_t i = 0; i < first.n && !error; i++) {
		const struct element *e = &first.v[i];
		const struct element *l = latest.n ? bsearch(e, latest.v, latest.n, sizeof(*e), by_key) : NULL;
		struct network_flow f = flow_of(e, kind);
		f.first_ms = now - (int64_t)e->age_ms;
		f.last_ms = l ? now - (int64_t)l->age_ms : now;
		if (f.last_ms < f.first_ms)
			f.last_ms = f.first_ms;
		append(t, &f);
	}
	if (sock >= 0)
		close(sock);
	free(room);
	free(first.v);
	free(latest.v);
	return error;
}
