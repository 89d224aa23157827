/* A small HTTP client for the command line and for threads: one request at a time, blocking, over TCP, TLS or a Unix socket.
 *
 * libcurl does the work and is loaded at the first request, so that a daemon linked with this pays nothing for it. Results live in
 * the caller's arena; errors are messages, because a command prints them. Not for the loop's thread of a role. */
#pragma once
#include "http/http.h"

#include <stdatomic.h>

struct http_client;
struct sockaddr;

/* unix_path: connect there whatever the URL's host says; ca_pem: trust this authority alone. Either may be NULL. NULL and *ret_why
 * (a constant) when libcurl is not installed. */
struct http_client *http_client_new(const char *unix_path, const char *ca_pem, const char **ret_why);
void http_client_free(struct http_client *c);

/* One exchange. `body` absent: none is sent. `on_body` gets the reply's pieces as they come and may end the exchange by returning
 * false; NULL: the whole body, at most max_body bytes (0: 64 MiB), comes in reply->body. */
typedef bool http_client_body_fn(void *ctx, struct str piece);
struct http_client_request {
	const char *method, *url;
	const struct http_header *headers;
	unsigned header_count;
	struct str body;
	int64_t timeout_us; /* for the whole exchange; 0: none */
	size_t max_body;
	http_client_body_fn *on_body;
	void *ctx;
	/* May it connect there? Asked with every address that the name resolves to; NULL: anywhere. */
	bool (*may)(void *ctx, const struct sockaddr *to);
	const atomic_bool *cancel; /* ends the exchange, within about a second, when another thread sets it; NULL: nobody will */
};
struct http_client_reply {
	unsigned status;
	const struct http_header *headers; /* of the last response, interim ones left out */
	unsigned header_count;
	struct str body;
};
/* 0; -ECONNREFUSED, -ETIMEDOUT, -EMSGSIZE, -ECANCELED (on_body or cancel said so), -EINVAL (URL), -EPROTO (TLS, anything else);
 * *ret_why is one line in the arena. */
int http_client_send(struct http_client *c, struct arena *a, const struct http_client_request *q,
                     struct http_client_reply *ret_reply, struct str *ret_why);
