/* What a node's HAProxy says of each request, taken apart. Strings are decoded and lie in the arena; absent: there was none. */
#pragma once
#include "base/arena.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { LB_LOG_NONE = -1 };

struct lb_log {
	bool broken;                /* a connection whose TLS failed: nothing but client, port and why is known */
	bool first;                 /* the first request of its connection */
	bool own;                   /* the balancer had to answer itself, by no rule's wish */
	int listener, rule, group;  /* by their place in what was put; LB_LOG_NONE: it came to none */
	int64_t port;               /* the listener's */
	struct str client, target;  /* "10.0.0.1:1234" */
	int64_t begun_ms, ended_ms; /* wall clock */
	int64_t request_ms, target_ms, response_ms, handshake_ms; /* -1: it did not come to that */
	int64_t status, target_status;                            /* 0: none */
	int64_t received_bytes, sent_bytes;
	struct str method, version, url, host, user_agent, trace;
	struct str cipher, protocol, certificate; /* certificate: hexadecimal SHA-1 of the one that was shown */
	struct str connection;                    /* "TID_..." */
	/* Of the client's certificate: OpenSSL's number for what is wrong with it or with one above it (0: nothing), and what it
	 * says: hexadecimal, "240131235959Z", "CN=Ann,O=Tests". */
	int client_fault;
	struct str client_serial, client_from, client_until, client_name;
	struct str location; /* of a redirect */
	struct str fault;    /* of a function */
	bool client_left;    /* before there was an answer */
};

/* False: it is no such line. */
bool lb_log_read(struct arena *a, struct str line, int64_t now_ms, struct lb_log *ret);
