/* One message to an endpoint that somebody else named: an HTTP(S) request whose answer is a status. Blocking: for threads of
 * io/work alone. Called by aws/sns and aws/events.
 *
 * Like a health checker it refuses addresses that nobody on the internet could reach, this machine's own and its networks', unless
 * whoever named the endpoint sits at this machine and could ask there himself. Redirects are not followed. */
#pragma once
#include "base/arena.h"

#include <stdatomic.h>

struct post_header {
	const char *name;
	struct str value;
};
/* More of an answer than its status, in the arena. */
struct post_answer {
	struct str body;        /* at most 64 KiB */
	struct str retry_after; /* absent: the header is not there */
};
struct post {
	const char *method; /* NULL: POST */
	struct str url;
	const struct post_header *headers;
	unsigned header_count;
	struct str body;
	bool anywhere; /* this machine's own addresses too */
	int64_t timeout_us;
	const atomic_bool *cancel;
	struct post_answer *ret_answer; /* NULL: it is not wanted */
};
/* The status; 0: there was no answer, and *ret_why (in the arena) says why. */
unsigned post_send(struct arena *a, const struct post *p, struct str *ret_why);
