/* Lines of HAProxy's log: the format (config.c puts it in) and its reader stand together. Words are separated by blanks; what comes
 * from strangers is percent-encoded and at the end, so a line that was cut short has lost nothing else. */
#include "config.h"
#include "lb_log.h"

#include "base/uri.h"

#include <stdio.h>

enum { URL_MAX = 3000, WORD_MAX = 1000 };

void lb_log_put(struct buf *out, const struct lb_listener *l)
{
	/* of the client's certificate: what is wrong with it or with one above it, and what it says of itself */
	char who[200];
	snprintf(who, sizeof(who),
	         l->mutual ? "%%[ssl_c_err] %%[ssl_c_ca_err] %%[ssl_c_serial,hex] %%[ssl_c_notbefore] %%[ssl_c_notafter] "
	                     "%%[ssl_c_s_dn(,0,rfc2253),bytes(0,%d),url_enc]"
	                   : "- - - - - -",
	         WORD_MAX);
	buf_printf(
	        out,
	        "  http-request set-var(txn.host) req.hdr(host),bytes(0,%d)\n  http-request set-var(txn.agent) req.fhdr(user-agent),bytes(0,%d)\n"
	        "  http-request set-var(txn.url) url,bytes(0,%d)\n  http-request set-var(txn.asked_trace) req.fhdr(x-amzn-trace-id),bytes(0,%d)\n"
	        "  http-request set-var-fmt(sess.tid) \"TID_%%[rand,hex,lower,bytes(8,8)]%%[rand,hex,lower,bytes(8,8)]\" "
	        "if !{ var(sess.tid) -m found }\n"
	        "  http-request set-var(txn.first) bool(1) if !{ var(sess.seen) -m found }\n  http-request set-var(sess.seen) bool(1)\n"
	        "  http-response set-var(txn.answer) status\n"
	        "  http-after-response set-var(txn.location) res.hdr(location),bytes(0,%d)\n",
	        WORD_MAX, WORD_MAX, URL_MAX, WORD_MAX, URL_MAX);
	buf_printf(
	        out,
	        "  error-log-format \"broken %%ci %%cp %%fp %%ST %%f %%[var(sess.seen)] %%[var(sess.tid)] %%[ssl_fc_cipher] %%[ssl_fc_protocol] %s\"\n"
	        "  log-format \"access %%f %%[var(txn.fixed)] %%[var(txn.first)] %%[var(txn.rule)] %%ci %%cp %%fp %%b %%s %%si %%sp "
	        "%%TR %%Tw %%Tc %%Tr %%Td %%Ta %%Th %%[var(txn.begun)] %%ST %%[var(txn.answer)] %%U %%B %%ts %%HM %%HV "
	        "%%[ssl_fc_cipher] %%[ssl_fc_protocol] %%[ssl_f_sha1,hex] %%[var(sess.tid)] %s %%[var(txn.fault),url_enc] "
	        "%%[var(txn.number)] %%[var(txn.asked_trace),url_enc] %%[var(txn.host),url_enc] %%[var(txn.agent),url_enc] "
	        "%%[var(txn.location),url_enc] %%[var(txn.url),url_enc]\"\n",
	        who, who);
}

struct words {
	struct arena *arena;
	struct str rest;
};

static struct str word(struct words *w)
{
	struct str s = str_set(w->rest) ? str_cut(&w->rest, ' ') : STR_NONE;
	return str_is(s, "-") || !s.n ? STR_NONE : s;
}

static int64_t number(struct words *w, int64_t none)
{
	struct str s = word(w);
	int64_t n = none;
	while (s.n && s.p[0] == '+')
		s = str_from_at(s, 1);
	str_to_i64(s, &n);
	return n;
}

static struct str text(struct words *w)
{
	struct str s = word(w), decoded = str_set(s) ? uri_decode(w->arena, s) : STR_NONE;
	return str_set(decoded) ? decoded : s;
}

/* "f0", "g12" */
static int place(struct str name, char kind)
{
	uint64_t n = 0;
	return name.n > 1 && name.p[0] == kind && str_to_u64(str_from_at(name, 1), &n) && n < 10000 ? (int)n : LB_LOG_NONE;
}

/* What lb_log_put() says of a client's certificate. */
static void take_certificate(struct words *w, struct lb_log *ret)
{
	int64_t own = number(w, 0), above = number(w, 0);
	ret->client_fault = (int)(own ? own : above);
	ret->client_serial = word(w);
	ret->client_from = word(w);
	ret->client_until = word(w);
	ret->client_name = text(w);
}

static struct str joined(struct words *w, struct str address, struct str port)
{
	return str_set(address) && str_set(port) ? ARENA_CAT(w->arena, address, S(":"), port) : STR_NONE;
}

static int64_t sum(int64_t a, int64_t b)
{
	return (a > 0 ? a : 0) + (b > 0 ? b : 0);
}

bool lb_log_read(struct arena *a, struct str line, int64_t now_ms, struct lb_log *ret)
{
	struct words w = {a, line};
	struct str kind = word(&w), address, port;
	*ret = (struct lb_log){
	        .listener = LB_LOG_NONE, .rule = LB_LOG_NONE, .group = LB_LOG_NONE, .handshake_ms = -1, .ended_ms = now_ms};
	if (str_is(kind, "broken")) {
		address = word(&w);
		port = word(&w);
		ret->client = joined(&w, address, port);
		ret->port = number(&w, 0);
		ret->status = number(&w, 0);
		ret->listener = place(word(&w), 'f');
		ret->first = !str_set(word(&w));
		ret->connection = word(&w);
		ret->cipher = word(&w);
		ret->protocol = word(&w);
		take_certificate(&w, ret);
		if (str_is(ret->cipher, "(NONE)"))
			ret->cipher = STR_NONE;
		ret->request_ms = ret->target_ms = ret->response_ms = -1;
		ret->begun_ms = now_ms;
		ret->own = ret->status > 0; /* bytes that were no request */
		ret->broken = !ret->own;
		return str_set(ret->client);
	}
	if (!str_is(kind, "access"))
		return false;
	ret->listener = place(word(&w), 'f');
	bool wished = str_set(word(&w));
	ret->first = str_set(word(&w));
	ret->rule = (int)number(&w, LB_LOG_NONE);
	address = word(&w);
	port = word(&w);
	ret->client = joined(&w, address, port);
	ret->port = number(&w, 0);
	ret->group = place(word(&w), 'g');
	bool server = place(word(&w), 's') != LB_LOG_NONE;
	address = word(&w);
	port = word(&w);
	ret->target = server ? joined(&w, address, port) : STR_NONE;
	int64_t head = number(&w, -1), queue = number(&w, -1), connect = number(&w, -1), target = number(&w, -1),
	        data = number(&w, -1);
	int64_t all = number(&w, -1);
	ret->handshake_ms = number(&w, -1);
	ret->begun_ms = number(&w, 0);
	bool sent = server && connect >= 0;
	ret->request_ms = sent ? sum(head, sum(queue, connect)) : -1;
	ret->target_ms = sent ? target : -1;
	ret->response_ms = sent && target >= 0 ? data : -1;
	if (!ret->begun_ms)
		ret->begun_ms = now_ms - (all > 0 ? all : 0);
	else if (all >= 0)
		ret->ended_ms = ret->begun_ms + all;
	ret->status = number(&w, 0);
	ret->target_status = number(&w, 0);
	ret->received_bytes = number(&w, 0);
	ret->sent_bytes = number(&w, 0);
	struct str state = word(&w);
	ret->own = !wished && !ret->target_status;
	ret->client_left = ret->own && state.n && state.p[0] == 'C' && ret->rule != LB_LOG_NONE;
	ret->method = word(&w);
	ret->version = word(&w);
	if (str_is(ret->method, "<BADREQ>"))
		ret->method = ret->version = STR_NONE;
	ret->cipher = word(&w);
	ret->protocol = word(&w);
	ret->certificate = word(&w);
	ret->connection = word(&w);
	take_certificate(&w, ret);
	ret->fault = text(&w);
	struct str made = word(&w), asked = text(&w);
	ptrdiff_t root = str_find(asked, S("Root="));
	ret->trace = root < 0 ? (str_set(made) ? ARENA_CAT(a, S("Root="), made) : STR_NONE)
	                      : ARENA_CAT(a, S("Self="), str_set(made) ? made : S(""), S(";"), asked);
	ret->host = text(&w);
	ret->user_agent = text(&w);
	ret->location = text(&w);
	ret->url = text(&w);
	return str_set(ret->client);
}
