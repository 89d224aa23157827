#include "engine/net/dhcp.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };
enum {
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_HOST_NAME = 12,
	OPTION_DOMAIN = 15,
	OPTION_MTU = 26,
	OPTION_NTP = 42,
	OPTION_NETBIOS = 44,
	OPTION_NETBIOS_NODE = 46,
	OPTION_ADDRESS = 50,
	OPTION_LEASE = 51,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_END = 255,
};
/* An address is an interface's as long as the interface is there; clients ask again now and then, and when they start. */
enum { LEASE_S = 0x7fffffff, FIXED = 236, MAGIC = 0x63825363 };

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static void set32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

struct asked {
	uint8_t type;
	uint32_t address, server; /* 0: not said */
};

static bool read_options(const uint8_t *p, const uint8_t *end, struct asked *a)
{
	while (p < end && *p != OPTION_END) {
		if (*p == 0) {
			p++;
			continue;
		}
		if (end - p < 2 || end - p - 2 < p[1])
			return false;
		if (*p == OPTION_TYPE && p[1] == 1)
			a->type = p[2];
		if (*p == OPTION_ADDRESS && p[1] == 4)
			a->address = get32(p + 2);
		if (*p == OPTION_SERVER && p[1] == 4)
			a->server = get32(p + 2);
		p += 2 + p[1];
	}
	return true;
}

struct writer {
	uint8_t *p;
	size_t n;
};

static void option(struct writer *w, uint8_t code, const void *value, size_t n)
{
	/* the fixed options and two names of 63 letters always fit */
	if (n == 0 || n > 255 || w->n + 2 + n >= DHCP_ANSWER_MAX)
		return;
	w->p[w->n] = code;
	w->p[w->n + 1] = (uint8_t)n;
	memcpy(w->p + w->n + 2, value, n);
	w->n += 2 + n;
}

static void option32(struct writer *w, uint8_t code, uint32_t v)
{
	uint8_t bytes[4];
	set32(bytes, v);
	option(w, code, bytes, sizeof(bytes));
}

static void option_servers(struct writer *w, uint8_t code, const uint32_t servers[NETWORK_DHCP_SERVERS], uint32_t own)
{
	uint8_t bytes[4 * NETWORK_DHCP_SERVERS];
	size_t n = 0;
	for (; n < NETWORK_DHCP_SERVERS && servers[n]; n++)
		set32(bytes + 4 * n, servers[n] == NETWORK_DHCP_OWN ? own : servers[n]);
	option(w, code, bytes, 4 * n);
}

size_t dhcp_answer(const void *request, size_t n, const struct dhcp_lease *lease, uint8_t answer[DHCP_ANSWER_MAX], uint32_t *ret_to)
{
	const uint8_t *q = request;
	struct asked asked = {0};
	if (n < FIXED + 4 || q[0] != 1 || q[1] != 1 || q[2] != 6 || get32(q + FIXED) != MAGIC ||
	    memcmp(q + 28, lease->mac, 6) != 0 || !read_options(q + FIXED + 4, q + n, &asked))
		return 0;
	uint32_t client = get32(q + 12);
	uint8_t type;
	if (asked.type == DISCOVER) {
		type = OFFER;
	} else if (asked.type == REQUEST) {
		if (asked.server && asked.server != lease->router)
			return 0;
		uint32_t wanted = asked.address ? asked.address : client;
		type = wanted == lease->address ? ACK : NAK;
	} else if (asked.type == INFORM && client == lease->address) {
		type = ACK;
	} else {
		return 0;
	}
	memset(answer, 0, DHCP_ANSWER_MAX);
	answer[0] = 2;
	answer[1] = 1;
	answer[2] = 6;
	memcpy(answer + 4, q + 4, 4);   /* transaction */
	memcpy(answer + 10, q + 10, 2); /* flags */
	memcpy(answer + 28, q + 28, 6);
	set32(answer + FIXED, MAGIC);
	struct writer w = {answer, FIXED + 4};
	option(&w, OPTION_TYPE, &type, 1);
	option32(&w, OPTION_SERVER, lease->router);
	if (type != NAK) {
		uint8_t mtu[2] = {(uint8_t)(lease->mtu >> 8), (uint8_t)lease->mtu};
		set32(answer + 12, client);
		if (asked.type != INFORM) {
			set32(answer + 16, lease->address);
			option32(&w, OPTION_LEASE, LEASE_S);
		}
		option32(&w, OPTION_MASK, ~0u << (32 - lease->mask_bits));
		option32(&w, OPTION_ROUTER, lease->router);
		static const uint32_t own[NETWORK_DHCP_SERVERS] = {NETWORK_DHCP_OWN};
		option_servers(&w, OPTION_DNS, lease->servers.dns[0] ? lease->servers.dns : own, lease->dns);
		option_servers(&w, OPTION_NTP, lease->servers.ntp, 0);
		option_servers(&w, OPTION_NETBIOS, lease->servers.netbios, 0);
		uint8_t node = (uint8_t)lease->servers.netbios_node;
		option(&w, OPTION_NETBIOS_NODE, &node, node ? 1 : 0);
		option(&w, OPTION_MTU, mtu, sizeof(mtu));
		option(&w, OPTION_HOST_NAME, lease->host_name, strlen(lease->host_name));
		option(&w, OPTION_DOMAIN, lease->domain, strlen(lease->domain));
	}
	answer[w.n++] = OPTION_END;
	*ret_to = client && type == ACK && client == lease->address ? client : ~0u;
	/* some clients drop what is shorter than BOOTP's packet */
	return w.n < 300 ? 300 : w.n;
}
