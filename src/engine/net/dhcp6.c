/* Addresses are an interface's as long as the record says so. They are lent for minutes, as Amazon does, so that a guest learns
 * soon what it was given or lost meanwhile: with each renewal it gets all that it has now, and an end to what it has no more. */
#include "engine/net/dhcp6.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

enum { SOLICIT = 1, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE, INFORMATION = 11 };
enum { CLIENT_ID = 1, SERVER_ID, IA_NA, IA_ADDRESS = 5, STATUS = 13, RAPID_COMMIT = 14 };
enum { SUCCESS, NO_ADDRESSES = 2, NO_BINDING, NOT_ON_LINK };
enum { PREFERRED_S = 140, VALID_S = 450, RENEW_S = 70, REBIND_S = 112 };
enum { DUID_BYTES = 10, CLIENT_ID_MAX = 130, IA_FIXED = 12, ADDRESS_BYTES = 24, LOST_MAX = 8 };

struct bytes {
	const uint8_t *p;
	size_t n;
};
struct asked {
	uint8_t type;
	struct bytes client, server, ia; /* p NULL: not said; ia: the first one */
	bool rapid;
};
struct writer {
	uint8_t *p;
	size_t n;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The next option of what is left; false: no whole one. */
static bool next_option(struct bytes *left, uint16_t *ret_code, struct bytes *ret)
{
	if (left->n < 4 || left->n - 4 < get16(left->p + 2))
		return false;
	*ret_code = get16(left->p);
	*ret = (struct bytes){left->p + 4, get16(left->p + 2)};
	left->p += 4 + ret->n;
	left->n -= 4 + ret->n;
	return true;
}

static bool read_request(struct bytes left, struct asked *a)
{
	uint16_t code;
	struct bytes value;
	while (left.n) {
		if (!next_option(&left, &code, &value))
			return false;
		if (code == CLIENT_ID && value.n && value.n <= CLIENT_ID_MAX)
			a->client = value;
		if (code == SERVER_ID)
			a->server = value;
		if (code == IA_NA && value.n >= IA_FIXED && !a->ia.p)
			a->ia = value;
		a->rapid |= code == RAPID_COMMIT;
	}
	return true;
}

/* What is written always fits: a client's id, 15 addresses and the few that are lost. */
static void put(struct writer *w, const void *p, size_t n)
{
	if (w->n + n > DHCP6_ANSWER_MAX)
		return;
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void put16(struct writer *w, uint16_t v)
{
	v = htons(v);
	put(w, &v, sizeof(v));
}

static void put32(struct writer *w, uint32_t v)
{
	v = htonl(v);
	put(w, &v, sizeof(v));
}

static void option(struct writer *w, uint16_t code, const void *value, size_t n)
{
	put16(w, code);
	put16(w, (uint16_t)n);
	put(w, value, n);
}

static void status(struct writer *w, uint16_t code)
{
	uint8_t value[2] = {0, (uint8_t)code};
	option(w, STATUS, value, sizeof(value));
}

static void put_address(struct writer *w, const uint8_t address[16], bool valid)
{
	put16(w, IA_ADDRESS);
	put16(w, ADDRESS_BYTES);
	put(w, address, 16);
	put32(w, valid ? PREFERRED_S : 0);
	put32(w, valid ? VALID_S : 0);
}

static bool has(const struct dhcp6_lease *l, const uint8_t address[16])
{
	for (size_t i = 0; i < l->address_count; i++)
		if (memcmp(l->addresses[i], address, 16) == 0)
			return true;
	return false;
}

/* Calls nothing and writes nothing with w NULL. Returns how many of the client's addresses are not the interface's. */
static unsigned lost(const struct dhcp6_lease *l, struct bytes ia, struct writer *w)
{
	struct bytes left = {ia.p + IA_FIXED, ia.n - IA_FIXED}, value;
	uint16_t code;
	unsigned n = 0;
	while (next_option(&left, &code, &value)) {
		if (code != IA_ADDRESS || value.n < ADDRESS_BYTES || has(l, value.p))
			continue;
		if (w && n < LOST_MAX)
			put_address(w, value.p, false);
		n++;
	}
	return n;
}

static void put_ia(struct writer *w, const struct dhcp6_lease *l, const struct asked *a)
{
	size_t at = w->n;
	bool ending = a->type == RELEASE || a->type == DECLINE;
	put16(w, IA_NA);
	put16(w, 0);
	put(w, a->ia.p, 4);
	put32(w, ending ? 0 : RENEW_S);
	put32(w, ending ? 0 : REBIND_S);
	if (ending) {
		status(w, SUCCESS);
	} else if (!l->address_count) {
		status(w, a->type == RENEW || a->type == REBIND ? NO_BINDING : NO_ADDRESSES);
	} else {
		for (size_t i = 0; i < l->address_count; i++)
			put_address(w, l->addresses[i], true);
		if (a->type == RENEW || a->type == REBIND)
			lost(l, a->ia, w);
	}
	uint16_t n = htons((uint16_t)(w->n - at - 4));
	memcpy(w->p + at + 2, &n, sizeof(n));
}

size_t dhcp6_answer(const void *request, size_t n, const struct dhcp6_lease *lease, uint8_t answer[DHCP6_ANSWER_MAX])
{
	const uint8_t *q = request;
	struct asked a = {0};
	uint8_t duid[DUID_BYTES] = {0, 3, 0, 1};
	memcpy(duid + 4, lease->server_mac, 6);
	if (n < 4 || !read_request((struct bytes){q + 4, n - 4}, &a))
		return 0;
	a.type = q[0];
	bool known = a.type == SOLICIT || a.type == REQUEST || a.type == CONFIRM || a.type == RENEW || a.type == REBIND ||
	             a.type == RELEASE || a.type == DECLINE || a.type == INFORMATION;
	bool to_one = a.type == REQUEST || a.type == RENEW || a.type == RELEASE || a.type == DECLINE;
	bool ours = a.server.n == sizeof(duid) && memcmp(a.server.p, duid, sizeof(duid)) == 0;
	if (!known || (!a.client.p && a.type != INFORMATION) || (to_one ? !ours : a.server.p && !ours))
		return 0;
	struct writer w = {answer, 0};
	uint8_t type = a.type == SOLICIT && !a.rapid ? ADVERTISE : REPLY;
	put(&w, &type, 1);
	put(&w, q + 1, 3); /* transaction */
	option(&w, SERVER_ID, duid, sizeof(duid));
	if (a.client.p)
		option(&w, CLIENT_ID, a.client.p, a.client.n);
	if (a.type == SOLICIT && a.rapid)
		option(&w, RAPID_COMMIT, "", 0);
	if (a.type == CONFIRM)
		status(&w, a.ia.p && lost(lease, a.ia, NULL) ? NOT_ON_LINK : SUCCESS);
	else if (a.ia.p)
		put_ia(&w, lease, &a);
	return w.n;
}
