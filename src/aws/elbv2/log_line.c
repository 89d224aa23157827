#include "log.h"

#include "base/buf.h"
#include "base/clock.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

/* 2024-05-01T12:00:00.123000Z */
static void put_time(struct buf *b, int64_t ms)
{
	struct arena CLEAN_ARENA a = {0};
	struct str t = time_format(&a, ms, TIME_ISO8601_MS);
	buf_printf(b, "%.*s000Z", (int)t.n - 1, t.p);
}

static void put_seconds(struct buf *b, int64_t ms)
{
	if (ms < 0)
		buf_printf(b, " -1");
	else
		buf_printf(b, " %lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}

static void put_word(struct buf *b, struct str s)
{
	buf_printf(b, " %.*s", STR_ARG(s.n ? s : S("-")));
}

/* Whatever would end the field or the line is written as a number, as nginx does. */
static void add_escaped(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == '"' || s.p[i] == '\\' || (unsigned char)s.p[i] >= 127)
			buf_printf(b, "\\x%02X", (unsigned char)s.p[i]);
		else
			buf_add_char(b, s.p[i]);
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_add_lit(b, " \"");
	add_escaped(b, s.n ? s : S("-"));
	buf_add_char(b, '"');
}

static const struct elb_seen_listener *listener_of(const struct elb_item *i, const struct lb_log *l)
{
	return l->listener >= 0 && (size_t)l->listener < i->listener_count ? &i->listeners[l->listener] : NULL;
}

static const char *type_of(const struct elb_item *i, const struct lb_log *l, bool tls)
{
	bool grpc = l->group >= 0 && (size_t)l->group < i->group_count && i->groups[l->group].grpc;
	return l->status == 101                      ? tls ? "wss" : "ws"
	       : grpc                                ? "grpcs"
	       : str_starts(l->version, S("HTTP/2")) ? "h2"
	       : tls                                 ? "https"
	                                             : "http";
}

static void put_request(struct buf *b, const struct lb_log *l, bool tls)
{
	struct str rest = l->host, host = str_set(rest) ? rest : S("-");
	ptrdiff_t colon = str_rfind_char(host, ':');
	if (colon >= 0 && str_find_char(str_from_at(host, (size_t)colon), ']') < 0)
		host = str_sub(host, 0, (size_t)colon);
	if (!str_set(l->method)) {
		buf_add_lit(b, " \"- - - \"");
		return;
	}
	buf_printf(b, " \"%.*s %s://", STR_ARG(l->method), tls ? "https" : "http");
	add_escaped(b, host);
	buf_printf(b, ":%lld", (long long)l->port);
	/* HTTP/2 and proxies' clients name all of it */
	ptrdiff_t scheme = str_find(l->url, S("://")),
	          path = scheme < 0 ? 0 : str_find_char(str_from_at(l->url, (size_t)scheme + 3), '/');
	add_escaped(b, scheme < 0 ? l->url : path < 0 ? S("/") : str_from_at(l->url, (size_t)(scheme + 3 + path)));
	buf_printf(b, " %.*s\"", STR_ARG(l->version));
}

static const char *certificate_of(const struct elb_seen_listener *s, struct str sum)
{
	for (size_t k = 0; s && k < s->certificate_count; k++)
		if (str_ieq(sum, str_from(s->certificates[k].sum)))
			return s->certificates[k].arn;
	return NULL;
}

struct str elb_log_access_line(struct arena *a, const struct elb_item *i, const struct lb_log *l)
{
	struct buf CLEAN_BUF b;
	const struct elb_seen_listener *s = listener_of(i, l);
	bool tls = s ? s->tls : str_set(l->protocol), ruled = s && l->rule >= 0 && (size_t)l->rule < s->rule_count;
	bool sent = str_set(l->target) && l->request_ms >= 0;
	const char *group = l->group >= 0 && (size_t)l->group < i->group_count ? i->groups[l->group].arn : NULL;
	bool function = group && i->groups[l->group].function;
	struct str target = function ? STR_NONE : l->target;
	buf_init(&b, LINE_MAX_BYTES);
	buf_printf(&b, "%s ", type_of(i, l, tls));
	put_time(&b, l->ended_ms);
	put_word(&b, i->path);
	put_word(&b, l->client);
	put_word(&b, target);
	put_seconds(&b, l->request_ms);
	put_seconds(&b, l->target_ms);
	put_seconds(&b, l->response_ms);
	buf_printf(&b, " %lld", l->client_left ? 460 : (long long)l->status);
	if (l->target_status && !l->fault.n)
		buf_printf(&b, " %lld", (long long)l->target_status);
	else
		buf_add_lit(&b, " -");
	buf_printf(&b, " %lld %lld", (long long)l->received_bytes, (long long)l->sent_bytes);
	put_request(&b, l, tls);
	put_quoted(&b, l->user_agent);
	put_word(&b, l->cipher);
	put_word(&b, l->protocol);
	put_word(&b, str_from(group));
	put_quoted(&b, l->trace);
	put_quoted(&b, tls ? l->host : STR_NONE);
	put_quoted(&b, str_from(tls ? certificate_of(s, l->certificate) : NULL));
	buf_printf(&b, " %s ", ruled ? s->rules[l->rule].priority : "-1");
	put_time(&b, l->begun_ms);
	put_quoted(&b, str_from(ruled ? s->rules[l->rule].action : NULL));
	put_quoted(&b, ruled && strcmp(s->rules[l->rule].action, "redirect") == 0 ? l->location : STR_NONE);
	put_quoted(&b, l->fault);
	put_quoted(&b, sent ? target : STR_NONE);
	put_quoted(&b, sent && l->target_status && !l->fault.n ? arena_printf(a, "%lld", (long long)l->target_status) : STR_NONE);
	put_quoted(&b, STR_NONE);
	put_quoted(&b, STR_NONE);
	put_word(&b, l->connection);
	put_quoted(&b, STR_NONE);
	put_quoted(&b, STR_NONE);
	put_quoted(&b, STR_NONE);
	return arena_dup(a, buf_str(&b));
}

/* AWS's words for OpenSSL's numbers of what is wrong with a client's certificate; 0: something else is wrong. */
static struct str fault_of(int fault)
{
	switch (fault) {
	case 0:
		return S("Failed:UnmappedConnectionError");
	case 2:  /* no issuer */
	case 18: /* signed by itself */
	case 19:
	case 20: /* no issuer here */
	case 21:
	case 27:
		return S("Failed:ClientCertUntrusted");
	case 9:
		return S("Failed:ClientCertNotYetValid");
	case 10:
		return S("Failed:ClientCertExpired");
	case 22: /* a chain that is too long, or longer than an authority allows */
	case 25:
		return S("Failed:ClientCertMaxChainDepthExceeded");
	case 23:
		return S("Failed:ClientCertCrlHit");
	case 3: /* no list, or one that cannot be read or believed now */
	case 5:
	case 8:
	case 11:
	case 12:
		return S("Failed:ClientCertCrlProcessingError");
	case 26:
		return S("Failed:ClientCertPurposeInvalid");
	case 28:
		return S("Failed:ClientCertRejected");
	default:
		return S("Failed:ClientCertInvalid");
	}
}

/* "240131235959Z" as "2024-01-31T23:59:59Z" */
static void put_day(struct buf *b, struct str t)
{
	static const char between[] = "--T::Z";
	buf_add_lit(b, "20");
	for (size_t i = 0; i < 6; i++)
		buf_printf(b, "%.2s%c", t.p + 2 * i, between[i]);
}

static void put_validity(struct buf *b, const struct lb_log *l)
{
	if (l->client_from.n != 13 || l->client_until.n != 13) {
		buf_add_lit(b, " -");
		return;
	}
	buf_add_lit(b, " NotBefore=");
	put_day(b, l->client_from);
	buf_add_lit(b, ";NotAfter=");
	put_day(b, l->client_until);
}

struct str elb_log_connection_line(struct arena *a, const struct elb_item *i, const struct lb_log *l)
{
	struct buf CLEAN_BUF b;
	bool tls = str_set(l->protocol);
	ptrdiff_t colon = str_rfind_char(l->client, ':');
	(void)i;
	buf_init(&b, LINE_MAX_BYTES);
	put_time(&b, l->begun_ms ? l->begun_ms : l->ended_ms);
	put_word(&b, str_sub(l->client, 0, (size_t)colon));
	put_word(&b, str_from_at(l->client, (size_t)colon + 1));
	buf_printf(&b, " %lld", (long long)l->port);
	put_word(&b, l->protocol);
	put_word(&b, l->cipher);
	if (tls && l->handshake_ms >= 0)
		put_seconds(&b, l->handshake_ms);
	else
		buf_add_lit(&b, " -");
	put_quoted(&b, l->client_name);
	put_validity(&b, l);
	put_word(&b, l->client_serial);
	put_word(&b, l->broken ? fault_of(l->client_fault) : tls ? S("Success") : S("-"));
	put_word(&b, l->connection);
	return arena_dup(a, buf_str(&b));
}

/* type time latency target group status code reason */
struct str elb_log_health_line(struct arena *a, const char *group, const char *target, const struct lb_check *c)
{
	struct buf CLEAN_BUF b;
	bool function = strcmp(c->kind, "function") == 0, grpc = strncmp(c->kind, "grpc", 4) == 0;
	struct str rest = str_from(group), name;
	str_cut(&rest, '/');
	name = str_cut(&rest, '/');
	buf_init(&b, LINE_MAX_BYTES);
	buf_printf(&b, "%s ", function ? "lambda" : grpc ? "grpc" : strcmp(c->kind, "h2s") == 0 ? "h2" : c->kind);
	put_time(&b, clock_wall_ms() - (int64_t)c->age_ms);
	buf_printf(&b, " %llu.%06llu ", (unsigned long long)(c->latency_us / 1000000),
	           (unsigned long long)(c->latency_us % 1000000));
	if (function)
		buf_printf(&b, "%s", target);
	else
		buf_printf(&b, "%u.%u.%u.%u:%u", c->address >> 24, c->address >> 16 & 255, c->address >> 8 & 255, c->address & 255,
		           c->port);
	put_word(&b, name);
	buf_printf(&b, c->fault == LB_CHECK_PASSED ? " PASS" : " FAIL");
	if (c->code || (grpc && c->fault != LB_CHECK_TIMEOUT && c->fault != LB_CHECK_FAILED))
		buf_printf(&b, " %u", c->code);
	else
		buf_add_lit(&b, " -");
	put_word(&b, c->fault == LB_CHECK_PASSED    ? STR_NONE
	             : c->fault == LB_CHECK_TIMEOUT ? S("RequestTimedOut")
	             : c->fault == LB_CHECK_FAILED  ? S("ConnectionReset")
	             : grpc                         ? S("GRPCUnexpectedStatus")
	             : c->code >= 500               ? S("TargetError")
	                                            : S("ResponseCodeMismatch"));
	return arena_dup(a, buf_str(&b));
}
