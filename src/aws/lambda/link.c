/* Links that download deployment packages: signed by this process, good for ten minutes and until it ends. */
#include "aws/lambda/code.h"

#include "base/hash.h"
#include "core/listen.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path is one of Lambda's own, so that the gate hands the unsigned request to this service. */
#define LINK_PATH "/2015-03-31/functions/"
#define LINK_QUERY "package=zip"

static struct str link_signature(struct arena *a, const struct lambda *l, struct str code, struct str expires)
{
	unsigned char mac[32];
	char hex[65];
	hmac_sha256(str_of(l->url_key, sizeof(l->url_key)), ARENA_CAT(a, code, S("\n"), expires), mac);
	hex_encode(mac, 32, hex);
	return arena_dup(a, str_from(hex));
}

struct str code_link(struct call *c, struct str code)
{
	struct str expires = arena_printf(c->arena, "%lld", (long long)(c->now_ms / 1000 + 600));
	struct str signature = link_signature(c->arena, lambda_of(c->cloud), code, expires);
	return ARENA_CAT(c->arena, str_from(c->cloud->endpoint), S(LINK_PATH), code, S("?" LINK_QUERY "&expires="), expires,
	                 S("&signature="), signature);
}

static bool is_digest(struct str s)
{
	unsigned char raw[32];
	return s.n == 64 && hex_decode(s, raw, sizeof(raw));
}

static int serve_link(struct call *c)
{
	struct str rest = listen_path(c->http), code = STR_NONE;
	while (str_set(rest))
		code = str_cut(&rest, '/');
	struct str expires = call_query(c, S("expires")), signature = call_query(c, S("signature"));
	int64_t until = 0;
	struct lambda *l = lambda_of(c->cloud);
	c->reply.kind = REPLY_MEMORY;
	if (!is_digest(code) || !str_set(expires) || !str_set(signature) || !str_to_i64(expires, &until) ||
	    until * 1000 < c->now_ms || !hash_equal(signature, link_signature(c->arena, l, code, expires))) {
		call_reply_status(c, 403);
		call_reply_header(c, S("Content-Type"), S("text/plain"));
		c->reply.memory = S("This link is not valid any more.\n");
		return CALL_OK;
	}
	char file[1024];
	snprintf(file, sizeof(file), "%s/lambda/zip/%.64s.zip", c->cloud->data_dir, code.p);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		if (fd >= 0)
			close(fd);
		call_reply_status(c, 404);
		call_reply_header(c, S("Content-Type"), S("text/plain"));
		c->reply.memory = S("The code is not there any more.\n");
		return CALL_OK;
	}
	call_reply_status(c, 200);
	call_reply_header(c, S("Content-Type"), S("application/zip"));
	c->reply = (struct reply_body){.kind = REPLY_FILE, .fd = fd, .length = (uint64_t)st.st_size};
	return CALL_OK;
}

call_resume_fn *code_intercept(struct call *c)
{
	if (!c->http || !str_starts(listen_query(c->http), S(LINK_QUERY)))
		return NULL;
	return str_starts(listen_path(c->http), S(LINK_PATH)) ? serve_link : NULL;
}
