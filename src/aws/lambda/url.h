/* Function URLs: http://ID.lambda-url.REGION.localhost:PORT/ (and ID.lambda-url.REGION.on.aws) leads to a function or an alias of
 * it. url.c has the operations and all addresses in memory, url_call.c serves requests, url_event.c spells them for the function
 * and reads its answer, without effects. Loop thread alone. */
#pragma once
#include "aws/lambda/invocation.h"
#include "core/listen.h"

struct url {
	struct arena arena; /* holds the strs below */
	struct str id, key;
	struct str account, region, name, qualifier; /* qualifier absent: none */
	struct lambda_function_url_config *config;
};
struct urls *urls_open(struct lambda *l);
void urls_close(struct urls *u); /* NULL is harmless */
/* The URL of that host. False: it is no address of a function. *ret NULL: nobody has it. */
bool url_of_host(const struct lambda *l, struct str host, const struct url **ret);

/* url_call.c, for service.c */
call_resume_fn *url_intercept(struct call *c);
struct str url_address(struct arena *a, struct str host, struct str path);

/* --- url_event.c */
struct url_request {
	struct str id, domain, request_id, source_ip;
	bool tls;
	int64_t now_ms;
	const struct principal *caller; /* anonymous: none is named */
	struct str method, path, query; /* query: raw; absent: none */
	const struct listen_header *headers;
	size_t header_count;
	struct str body;
};
/* The event of payload format 2.0. */
struct str url_event(struct arena *a, const struct url_request *q);
struct url_answer {
	unsigned status;
	struct listen_header *headers;
	size_t header_count;
	struct str body;
};
/* What a buffered function answered. False: it is malformed. */
bool url_answer(struct arena *a, struct str payload, struct url_answer *ret);
/* What a streaming function says before its body: status, headers, cookies. */
bool url_prelude(struct arena *a, struct str json, struct url_answer *ret);
/* The headers that a URL's CORS wants in replies to that origin (absent: none was named), and no others. */
void url_cors(struct arena *a, const struct lambda_cors *cors, struct str origin, bool preflight, struct url_answer *ret);
