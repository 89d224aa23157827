/* One look at an endpoint, as Route 53's health checkers have it: a TCP connection, an HTTP(S) request, a string in what comes
 * back. It runs on the loop and ends within some seconds. Certificates are not checked. Called by aws/route53.
 *
 * It looks from this machine's own network, so it refuses (probe_may) what a checker on the internet could not reach either: this
 * machine's services on loopback, private and link-local networks. The cloud's public addresses are on loopback, and are let. */
#pragma once
#include "base/str.h"
#include "io/loop.h"

struct probe_about {
	uint32_t address; /* host byte order */
	uint16_t port;
	bool http, tls;
	const char *host, *path, *agent; /* HTTP; copied */
	const char *sni;                 /* TLS; NULL: none is sent */
	struct str search;               /* absent: the status is enough */
};
struct probe;
/* How long the steps took; 0: it did not come to that. The first byte is counted from the request on. */
struct probe_times {
	int64_t connect_us, handshake_us, first_byte_us;
};
/* why: "HTTP Status Code 200, OK", a line that lives during the call. The probe is gone then. */
typedef void probe_done_fn(void *ctx, bool good, const char *why, const struct probe_times *took);
/* done comes later, once. */
struct probe *probe_start(struct loop *l, const struct probe_about *about, probe_done_fn *done, void *ctx);
void probe_cancel(struct probe *p); /* NULL is harmless */

/* May a probe go to this address? */
bool probe_may(uint32_t address);
