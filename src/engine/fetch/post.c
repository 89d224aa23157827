#include "engine/fetch/post.h"

#include "engine/probe/probe.h"
#include "http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { HEADERS_MAX = 256, ANSWER_MAX = 64 * 1024 };

static bool may6(const struct in6_addr *a)
{
	return (a->s6_addr[0] & 0xe0) == 0x20; /* global unicast */
}

static bool may(void *ctx, const struct sockaddr *to)
{
	const struct post *p = ctx;
	if (p->anywhere)
		return true;
	if (to->sa_family == AF_INET)
		return probe_may(ntohl(((const struct sockaddr_in *)(const void *)to)->sin_addr.s_addr));
	return to->sa_family == AF_INET6 && may6(&((const struct sockaddr_in6 *)(const void *)to)->sin6_addr);
}

/* What an endpoint answers is of no use but to end well. */
static bool pass_over(void *ctx, struct str piece)
{
	(void)ctx, (void)piece;
	return true;
}

unsigned post_send(struct arena *a, const struct post *p, struct str *ret_why)
{
	struct http_header headers[HEADERS_MAX];
	struct http_client_reply reply;
	const char *why;
	struct http_client *c = http_client_new(NULL, NULL, &why);
	if (!c) {
		*ret_why = str_from(why);
		return 0;
	}
	unsigned n = p->header_count < HEADERS_MAX ? p->header_count : HEADERS_MAX;
	for (unsigned i = 0; i < n; i++)
		headers[i] = (struct http_header){.name = str_from(p->headers[i].name), .value = p->headers[i].value};
	const struct http_client_request q = {.method = p->method ? p->method : "POST",
	                                      .url = arena_dupz(a, p->url),
	                                      .headers = headers,
	                                      .header_count = n,
	                                      .body = p->body,
	                                      .timeout_us = p->timeout_us,
	                                      .max_body = ANSWER_MAX,
	                                      .on_body = p->ret_answer ? NULL : pass_over,
	                                      .may = may,
	                                      .ctx = (void *)(uintptr_t)p,
	                                      .cancel = p->cancel};
	int r = http_client_send(c, a, &q, &reply, ret_why);
	http_client_free(c);
	if (r < 0)
		return 0;
	if (p->ret_answer) {
		p->ret_answer->body = reply.body;
		p->ret_answer->retry_after = STR_NONE;
		for (unsigned i = 0; i < reply.header_count; i++)
			if (str_ieq(reply.headers[i].name, S("retry-after")))
				p->ret_answer->retry_after = reply.headers[i].value;
	}
	return reply.status;
}
