#include "engine/net/conntrack.h"
#include "engine/net/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ESTABLISHED_S: how long an established connection may be silent in a new network namespace, by the kernel's constant. */
enum { ROOM = 65536, TUPLE_MAX = 256, ESTABLISHED_S = 5 * 24 * 3600 };

/* What is looked for, and what is done with it. */
struct walk {
	uint32_t address;
	uint16_t port;
	uint32_t idle_s;
	struct conntrack_counts count;
	/* original tuples of those that are to go, one after the other, each with its length before it */
	char *tuples;
	size_t n, cap;
};

static struct nlmsghdr *start(char *room, uint16_t type, uint16_t flags, uint32_t mark)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);
	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	*g = (struct nfgenmsg){.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	if (mark) {
		mnl_attr_put_u32(h, CTA_MARK, htonl(mark));
		mnl_attr_put_u32(h, CTA_MARK_MASK, 0xffffffff);
	}
	return h;
}

static const struct nlattr *inner(const struct nlattr *in, uint16_t type)
{
	const struct nlattr *a;
	if (!in)
		return NULL;
	mnl_attr_for_each_nested(a, in) if (mnl_attr_get_type(a) == type) return a;
	return NULL;
}

static bool answers_from(const struct nlattr *reply, const struct walk *w)
{
	const struct nlattr *address = inner(inner(reply, CTA_TUPLE_IP), CTA_IP_V4_SRC),
	                    *port = inner(inner(reply, CTA_TUPLE_PROTO), CTA_PROTO_SRC_PORT);
	return address && port && ntohl(mnl_attr_get_u32(address)) == w->address && ntohs(mnl_attr_get_u16(port)) == w->port;
}

static void keep_tuple(struct walk *w, const struct nlattr *tuple)
{
	size_t bytes = MNL_ALIGN(tuple->nla_len);
	if (bytes > TUPLE_MAX)
		return;
	if (w->n + bytes > w->cap) {
		size_t cap = w->cap ? 2 * w->cap : ROOM;
		char *more = realloc(w->tuples, cap);
		if (!more)
			return;
		w->tuples = more;
		w->cap = cap;
	}
	memcpy(w->tuples + w->n, tuple, bytes);
	w->n += bytes;
}

bool conntrack_idle(uint8_t tcp_state, uint32_t left_s, uint32_t idle_s)
{
	return idle_s && tcp_state == TCP_CONNTRACK_ESTABLISHED && left_s && left_s + idle_s <= ESTABLISHED_S;
}

static void look(const struct nlmsghdr *h, struct walk *w)
{
	const struct nlattr *a, *original = NULL, *reply = NULL, *tcp = NULL;
	uint32_t left_s = 0;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			original = a;
		if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY)
			reply = a;
		if (mnl_attr_get_type(a) == CTA_TIMEOUT)
			left_s = ntohl(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == CTA_PROTOINFO)
			tcp = inner(inner(a, CTA_PROTOINFO_TCP), CTA_PROTOINFO_TCP_STATE);
	}
	uint8_t state = tcp ? mnl_attr_get_u8(tcp) : TCP_CONNTRACK_ESTABLISHED;
	bool idle = tcp && original && conntrack_idle(state, left_s, w->idle_s),
	     lives = state > TCP_CONNTRACK_NONE && state < TCP_CONNTRACK_TIME_WAIT;
	w->count.flows += lives && !idle;
	w->count.connections += lives && !idle && tcp;
	if (idle || (w->address && original && answers_from(reply, w)))
		keep_tuple(w, original);
}

static int ask(int sock, const struct nlmsghdr *h, char *room, struct walk *w)
{
	if (send(sock, h, h->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(sock, room, ROOM, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int left = (int)n;
		for (const struct nlmsghdr *r = (void *)room; mnl_nlmsg_ok(r, left); r = mnl_nlmsg_next(r, &left)) {
			if (r->nlmsg_type == NLMSG_DONE)
				return 0;
			if (r->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(r))->error;
			if (w)
				look(r, w);
		}
	}
}

static int walk(uint32_t mark, struct walk *w)
{
	char question[NETLINK_ROOM], *room = malloc(ROOM);
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int error = sock < 0 ? -errno : room ? 0 : -ENOMEM;
	if (!error)
		error = ask(sock, start(question, IPCTNL_MSG_CT_GET, NLM_F_DUMP, mark), room, w);
	/* one that has ended meanwhile is no error */
	for (size_t at = 0; !error && at < w->n;) {
		const struct nlattr *tuple = (void *)(w->tuples + at);
		struct nlmsghdr *h = start(question, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 0);
		mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple), mnl_attr_get_payload(tuple));
		w->count.idle += ask(sock, h, room, NULL) == 0;
		at += MNL_ALIGN(tuple->nla_len);
	}
	if (sock >= 0)
		close(sock);
	free(room);
	free(w->tuples);
	return error;
}

int conntrack_count(uint32_t mark, uint32_t idle_s, struct conntrack_counts *ret)
{
	struct walk w = {.idle_s = idle_s};
	int error = walk(mark, &w);
	*ret = w.count;
	return error;
}

int conntrack_forget(uint32_t mark, uint32_t address, uint16_t port)
{
	struct walk w = {.address = address, .port = port};
	if (address)
		return walk(mark, &w);
	char question[NETLINK_ROOM];
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int error = sock < 0 ? -errno : netlink_ask(sock, start(question, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, mark), NULL, NULL);
	if (sock >= 0)
		close(sock);
	return error;
}
