/* The configuration of a balancer's nodes. One thing differs between nodes, their address, and comes from the environment. */
#include "config.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

/* Where the node's own program is asked, and functions too: the other end is link.c. */
#define HOME "169.254.170.2"
enum {
	HOME_PORT = 80,
	FUNCTION_BODY_BYTES = 1024 * 1024,
	FUNCTION_CONNECTIONS = 512, /* of one node at a time; the rest waits */
	HEADERS_BYTES = 64 * 1024,
	REWRITE_BYTES = 4096, /* what rules may add to a request that is as large as allowed */
	PLACES_MIN = 8,
	CONNECT_S = 10,
	WORKER_END_S = 3600, /* how long workers of before may go on with their connections */
};
/* Eight digits; a range of 2^32 is what rand has without one. */

/* HTTP/1.1's names as people write them; HAProxy keeps them in lower case. */
static const char *const header_names[] = {"Accept",
                                           "Accept-Encoding",
                                           "Accept-Language",
                                           "Accept-Ranges",
                                           "Access-Control-Allow-Credentials",
                                           "Age",
                                           "Allow",
                                           "Authorization",
                                           "Cache-Control",
                                           "Access-Control-Allow-Headers",
                                           "Connection",
                                           "Content-Range",
                                           "Content-Encoding",
                                           "Content-Language",
                                           "Access-Control-Allow-Methods",
                                           "Content-Type",
                                           "Content-Length",
                                           "Content-Location",
                                           "Content-Security-Policy",
                                           "Access-Control-Allow-Origin",
                                           "Cookie",
                                           "Date",
                                           "ETag",
                                           "Expect",
                                           "Content-Disposition",
                                           "Expires",
                                           "Host",
                                           "If-Match",
                                           "If-Modified-Since",
                                           "If-None-Match",
                                           "If-Range",
                                           "Keep-Alive",
                                           "Last-Modified",
                                           "Link",
                                           "Location",
                                           "Origin",
                                           "Pragma",
                                           "Range",
                                           "Referer",
                                           "Retry-After",
                                           "Server",
                                           "Set-Cookie",
                                           "TE",
                                           "Trailer",
                                           "Transfer-Encoding",
                                           "Upgrade",
                                           "User-Agent",
                                           "Vary",
                                           "Via",
                                           "WWW-Authenticate",
                                           "X-Amzn-Trace-Id",
                                           "X-Forwarded-For",
                                           "X-Forwarded-Port",
                                           "X-Forwarded-Proto",
                                           "Strict-Transport-Security",
                                           "X-Powered-By",
                                           "X-Requested-With",
                                           "X-Amzn-Tls-Version",
                                           "X-Amzn-Tls-Cipher-Suite",
                                           "X-Amzn-Mtls-Clientcert",
                                           "X-Amzn-Mtls-Clientcert-Serial-Number",
                                           "X-Amzn-Mtls-Clientcert-Issuer",
                                           "X-Amzn-Mtls-Clientcert-Subject",
                                           "X-Amzn-Mtls-Clientcert-Validity",
                                           "X-Amzn-Mtls-Clientcert-Leaf"};

size_t lb_config_group(const struct lb_balancer *b, const char *name)
{
	size_t i = 0;
	while (i < b->group_count && strcmp(b->groups[i].name, name) != 0)
		i++;
	return i;
}

void lb_config_token(const struct lb_balancer *b, const struct lb_group *g, const char *target, char ret[LB_TOKEN_CHARS + 1])
{
	unsigned char sum[32];
	CLEAN_BUF struct buf text = {0};
	buf_init(&text, 4096);
	buf_printf(&text, "%s\n%s", g->name, target);
	hmac_sha256(str_from(b->secret), buf_str(&text), sum);
	hex_encode(sum, sizeof(sum), ret);
	ret[LB_TOKEN_CHARS] = 0;
}

void lb_config_file(struct buf *bundle, const char *name, struct str bytes)
{
	buf_printf(bundle, "file %s %zu\n", name, bytes.n);
	buf_add_str(bundle, bytes);
}

/* ---- is it valid ---- */

/* What goes into the text as it is. */
static bool is_plain(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\'' || *s == '\\' || *s == '#' || (unsigned char)*s > '~')
			return false;
	return true;
}

static bool is_condition(const struct lb_condition *c)
{
	if (!c->value_count ||
	    (c->field == LB_FIELD_HEADER && (!c->header || !c->header[0] || !is_plain(c->header) || strpbrk(c->header, "(),"))))
		return false;
	for (size_t i = 0; i < c->value_count; i++)
		if (!c->values[i].value ||
		    ((c->field == LB_FIELD_METHOD || c->field == LB_FIELD_SOURCE_IP) && !is_plain(c->values[i].value)))
			return false;
	return true;
}

static bool is_action(const struct lb_balancer *b, const struct lb_action *a)
{
	if (a->kind == LB_REDIRECT)
		return a->status == 301 || a->status == 302;
	if (a->kind == LB_FIXED_RESPONSE)
		return a->status >= 200 && a->status < 600 && is_plain(a->content_type);
	for (size_t i = 0; i < a->share_count; i++)
		if (!a->shares[i].group || lb_config_group(b, a->shares[i].group) == b->group_count)
			return false;
	return a->share_count > 0;
}

static bool is_listener(const struct lb_balancer *b, const struct lb_listener *l)
{
	bool tls = l->protocol == LB_HTTPS || l->protocol == LB_TLS;
	bool kind =
	        b->network ? l->protocol >= LB_TCP && l->protocol <= LB_TCP_UDP : l->protocol == LB_HTTP || l->protocol == LB_HTTPS;
	if (!kind || !l->port || !l->rule_count || tls != (l->certificate_count > 0) || !is_plain(l->ciphers) ||
	    !is_plain(l->ciphersuites) || !is_plain(l->alpn) || l->rules[l->rule_count - 1].condition_count)
		return false;
	if ((l->mutual && !tls) || (l->mutual == LB_MUTUAL_VERIFY && (!l->authorities || !l->authorities[0])))
		return false;
	for (size_t i = 0; i < LB_MUTUAL_HEADERS; i++)
		if (!is_plain(l->mutual_headers[i]))
			return false;
	if (!is_plain(l->tls_version_header) || !is_plain(l->tls_cipher_header))
		return false;
	for (size_t i = 0; i < l->header_count; i++)
		if (!l->headers[i].name || !is_plain(l->headers[i].name) || !l->headers[i].value)
			return false;
	for (size_t i = 0; i < l->certificate_count; i++)
		if (!l->certificates[i].pem || strlen(l->certificates[i].pem) > LB_PEM_BYTES_MAX)
			return false;
	for (size_t i = 0; i < l->rule_count; i++) {
		const struct lb_rule *r = &l->rules[i];
		if (!is_action(b, &r->action) || (b->network && (r->action.kind != LB_FORWARD || r->condition_count)))
			return false;
		for (size_t k = 0; k < r->condition_count; k++)
			if (!is_condition(&r->conditions[k]))
				return false;
	}
	return true;
}

bool lb_config_check(const struct lb_balancer *b)
{
	if (!b->id || !b->id[0] || strlen(b->id) >= LB_ID_MAX || !b->secret || strlen(b->secret) < 16 ||
	    b->node_count > LB_NODES_MAX)
		return false;
	for (size_t i = 0; i < b->node_count; i++)
		if (!b->nodes[i].id || !b->nodes[i].id[0] || strlen(b->nodes[i].id) >= LB_ID_MAX)
			return false;
	for (size_t i = 0; i < b->group_count; i++) {
		const struct lb_group *g = &b->groups[i];
		if (!g->name || strlen(g->name) >= LB_NAME_MAX || g->target_count > LB_TARGETS_MAX || !is_plain(g->check.path) ||
		    !is_plain(g->check.matcher) || !is_plain(g->app_cookie))
			return false;
		for (size_t k = 0; k < g->target_count; k++)
			if (!g->targets[k].id)
				return false;
	}
	for (size_t i = 0; i < b->listener_count; i++)
		if (!is_listener(b, &b->listeners[i]))
			return false;
	return true;
}

/* ---- the parts ---- */

/* Checks go through HAProxy too, because the program's own client knows neither HTTP/2 nor who refused: a header says where to. */
static void put_common(struct buf *out)
{
	static const struct {
		const char *name, *server;
	} ways[] = {{"http", ""},
	            {"https", " ssl verify none alpn http/1.1"},
	            {"h2", " proto h2"},
	            {"h2s", " ssl verify none alpn h2"}};
	buf_printf(out,
	           "global\n  stats socket unix@admin.sock mode 600 level admin expose-fd listeners\n  lua-load agent.lua\n"
	           "  hard-stop-after %ds\n  tune.bufsize %d\n  tune.maxrewrite %d\n"
	           "  tune.http.maxhdr 1000\n  tune.ssl.default-dh-param 2048\n  ssl-default-server-options no-tls-tickets\n",
	           WORKER_END_S, HEADERS_BYTES + REWRITE_BYTES, REWRITE_BYTES);
	for (size_t i = 0; i < sizeof(header_names) / sizeof(header_names[0]); i++) {
		buf_add_lit(out, "  h1-case-adjust ");
		for (const char *p = header_names[i]; *p; p++)
			buf_add_char(out, ascii_lower(*p));
		buf_printf(out, " %s\n", header_names[i]);
	}
	buf_add_lit(
	        out,
	        "defaults checks\n  mode http\n  timeout connect 120s\n  timeout client 130s\n  timeout server 120s\n  retries 0\n"
	        "  option httpclose\n  option abortonclose\n  http-reuse never\n");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		buf_printf(out,
		           "listen check-%s from checks\n  bind unix@check-%s.sock mode 600\n"
		           "  http-request set-dst req.hdr(x-lb-ip)\n  http-request set-dst-port req.hdr(x-lb-port)\n"
		           "  http-request del-header x-lb-ip\n  http-request del-header x-lb-port\n"
		           "  http-response set-header x-lb-answered 1\n  server target 0.0.0.0:0%s\n",
		           ways[i].name, ways[i].name, ways[i].server);
}

static uint32_t or_default(uint32_t v, uint32_t d)
{
	return v ? v : d;
}

static void put_defaults(struct buf *out, const struct lb_balancer *b)
{
	uint32_t idle = or_default(b->idle_timeout_s, 60);
	buf_printf(
	        out,
	        "defaults app\n  mode http\n  log stdout len 16384 format raw local0\n  option dontlognull\n  option idle-close-on-response\n  timeout connect %ds\n  timeout client %us\n"
	        "  timeout server %us\n  timeout http-keep-alive %us\n  timeout http-request %us\n  timeout tunnel %us\n  retries 0\n"
	        "  option h1-case-adjust-bogus-client\n  option h1-case-adjust-bogus-server\n"
	        "  option http-restrict-req-hdr-names %s\n",
	        CONNECT_S, idle, idle, idle, idle, idle, b->drop_invalid_headers ? "delete" : "preserve");
	lb_pages_put(out);
}

/* Certificates that have expired, or whose authority says nothing of what it has revoked. */
enum { VERIFY_EXPIRED = 10, VERIFY_NO_LIST = 3 };

/* No session is resumed: whoever comes again is asked again, and what he has sent is there to be told of. */
static void put_mutual(struct buf *out, const struct lb_listener *l, size_t i)
{
	if (l->mutual == LB_MUTUAL_PASS) /* it has to have some authority */
		buf_printf(out,
		           " no-tls-tickets verify optional ca-verify-file listener%zu-0.pem crt-ignore-err all ca-ignore-err all",
		           i);
	if (l->mutual != LB_MUTUAL_VERIFY)
		return;
	buf_printf(out, " no-tls-tickets verify required %s listener%zu.ca", l->advertise ? "ca-file" : "ca-verify-file", i);
	if (l->revoked && l->revoked[0])
		buf_printf(out, " crl-file listener%zu.crl ca-ignore-err %d", i, VERIFY_NO_LIST);
	buf_printf(out, " crt-ignore-err %d", VERIFY_NO_LIST);
	if (l->ignore_expiry)
		buf_printf(out, ",%d", VERIFY_EXPIRED);
}

static void put_bind(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l, size_t i, bool six)
{
	static const char *const versions[] = {"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
	if (six)
		buf_printf(out, "  bind \"ipv6@${ADDRESS6}:%u\" v6only name six", l->port);
	else
		buf_printf(out, "  bind \"${ADDRESS}:%u\"", l->port);
	if (l->certificate_count) {
		buf_printf(out, " ssl crt-list listener%zu.list ssl-min-ver %s ssl-max-ver %s", i, versions[l->tls_min],
		           versions[l->tls_max]);
		if (l->ciphers && l->ciphers[0])
			buf_printf(out, " ciphers %s", l->ciphers);
		if (l->ciphersuites && l->ciphersuites[0])
			buf_printf(out, " ciphersuites %s", l->ciphersuites);
		put_mutual(out, l, i);
		if (!b->network)
			buf_printf(out, " alpn %s", b->http2 ? "h2,http/1.1" : "http/1.1");
		else if (l->alpn && l->alpn[0])
			buf_printf(out, " alpn %s", l->alpn);
	} else if (!b->network) {
		buf_add_lit(out, " proto h1"); /* HTTP/2 is for HTTPS alone */
	}
	buf_add_char(out, '\n');
}

static void put_frontend(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l, size_t i)
{
	buf_printf(out, "frontend f%zu from app\n", i);
	for (int six = 0; six <= b->ipv6; six++)
		put_bind(out, b, l, i, six);
	if (b->ipv6) /* bytes are counted by address */
		buf_add_lit(out, "  option socket-stats\n");
	buf_add_lit(out, "  tcp-request session set-var(sess.since) date\n"); /* for lb_guard_put() */
	if (b->access_log)
		lb_log_put(out, l);
	else
		buf_add_lit(out, "  log-format \"own %ST\"\n  http-response set-log-level silent\n");
	lb_guard_put(out, b);
	lb_rules_put(out, b, l);
	lb_headers_put_request(out, b, l);
	lb_headers_put_response(out, l);
	lb_guard_put_host(out, b, l);
	buf_add_lit(out, "  use_backend %[var(txn.group)]\n");
}

static unsigned places(const struct lb_group *g)
{
	unsigned n = PLACES_MIN;
	while (n < g->target_count + g->target_count / 4)
		n *= 2;
	return n;
}

static void put_cookie(struct buf *out, const struct lb_group *g, size_t i)
{
	static const char *const names[2][2] = {{"AWSALB", "AWSALBCORS"}, {"AWSALBAPP-0", "AWSALBAPP-1"}};
	bool app = g->stickiness == LB_STICKY_APP_COOKIE;
	for (int k = 0; k < 2 - app; k++)
		buf_printf(out, "  http-request set-var(txn.want) req.cook(%s),map(places%zu.map) if !{ var(txn.want) -m found }\n",
		           names[app][k], i);
	/* whom another target answers than the one that he came for */
	buf_add_lit(out, "  use-server %[var(txn.want)] if { var(txn.want) -m found }\n"
	                 "  stick-table type integer size 8 store http_req_cnt\n"
	                 "  http-response track-sc2 int(1) if !{ srv_name,strcmp(txn.want) eq 0 }\n");
	for (int k = 0; k < 2 - app; k++) {
		buf_printf(out,
		           "  http-response add-header Set-Cookie \"%s=%%[srv_name,map(tokens%zu.map)]; "
		           "Expires=%%[date(%u),http_date]; Path=/%s\"",
		           names[app][k], i, or_default(g->stickiness_s, 86400), k ? "; SameSite=None; Secure" : "");
		if (app)
			buf_printf(out, " if { res.cook(%s) -m found } || { var(txn.want) -m found }", g->app_cookie);
		buf_add_char(out, '\n');
	}
}

/* A function is asked through whoever looks after this node, who knows it by its group's token. The method is hidden from the
 * connection's beginning, which tells requests from what the agent says. */
static void put_function(struct buf *out, const struct lb_balancer *b, const struct lb_group *g)
{
	char token[LB_TOKEN_CHARS + 1];
	lb_config_token(b, g, "", token);
	buf_printf(out,
	           LB_REFUSE(400) " if { req.hdr(upgrade) -m found }\n" LB_REFUSE(
	                   413) " if { req.body_size gt %d }\n"
	                        "  http-request del-header x-lb- -m beg\n  http-request set-header X-Lb-Function %s\n"
	                        "  http-request set-header X-Lb-Method %%[method]\n  http-request set-method POST\n"
	                        "  http-response set-var(txn.fault) res.hdr(x-lb-fault)\n"
	                        "  http-response return status 413 content-type text/html file 413.html " LB_OWN
	                        " if { var(txn.fault) -m found } { status 413 }\n"
	                        "  http-response return status 502 content-type text/html file 502.html " LB_OWN
	                        " if { var(txn.fault) -m found }\n",
	           FUNCTION_BODY_BYTES, token);
}

static void put_backend(struct buf *out, const struct lb_balancer *b, const struct lb_group *g, size_t i)
{
	static const char *const algorithms[] = {"roundrobin", "leastconn", "random"};
	bool h2 = g->version != LB_HTTP1, tls = g->protocol == LB_HTTPS || g->protocol == LB_TLS;
	char limit[32];
	snprintf(limit, sizeof(limit), " maxconn %d", FUNCTION_CONNECTIONS);
	buf_printf(out, "backend g%zu from %s\n  balance %s\n", i, b->network ? "net" : "app",
	           g->stickiness == LB_STICKY_SOURCE_IP ? "source\n  hash-type consistent" : algorithms[g->algorithm]);
	if (!b->network) {
		lb_pages_put_backend(out);
		lb_guard_put_version(out, g);
		if (g->stickiness == LB_STICKY_COOKIE || (g->stickiness == LB_STICKY_APP_COOKIE && g->app_cookie))
			put_cookie(out, g, i);
	}
	if (g->function)
		put_function(out, b, g);
	buf_printf(out, "  server-template s 1-%u 127.0.0.1:1 weight 100 disabled%s%s%s%s\n", places(g),
	           tls ? " ssl verify none" : "",
	           b->network ? ""
	           : tls      ? (h2 ? " alpn h2" : " alpn http/1.1")
	           : h2       ? " proto h2"
	                      : "",
	           g->proxy_protocol_v2 ? " send-proxy-v2" : "", g->function ? limit : "");
}

bool lb_config_is_led(const struct lb_listener *l, const struct lb_group *g)
{
	return l->protocol != LB_TLS && (g->protocol == LB_TCP_UDP || g->preserve_client_ip) && !g->proxy_protocol_v2;
}

/* Which group by share a connection goes to, among those whose flows the router does not lead (of IPv6 it leads none). */
static void put_shares(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l, bool six)
{
	const struct lb_action *a = &l->rules[0].action;
	uint32_t sum = 0, below = 0;
	bool sole = a->share_count == 1;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t k = 0; k < a->share_count; k++) {
			size_t group = lb_config_group(b, a->shares[k].group);
			if (!six && lb_config_is_led(l, &b->groups[group]))
				continue;
			sum += pass ? 0 : a->shares[k].weight;
			below += pass ? a->shares[k].weight : 0;
			if (pass && sole)
				buf_printf(out, "  default_backend g%zu\n", group);
			else if (pass && a->shares[k].weight)
				buf_printf(out, "  use_backend g%zu if { var(sess.dice) -m int lt %u }\n", group, below);
		}
		if (!pass && !sole && sum)
			buf_printf(out, "  tcp-request content set-var(sess.dice) rand(%u)\n", sum);
	}
}

/* Is there anything in it for HAProxy? Else nobody listens, and who comes when no target serves is answered by a reset. */
static bool has_frontend(const struct lb_balancer *b, const struct lb_listener *l)
{
	const struct lb_action *a = &l->rules[0].action;
	for (size_t k = 0; k < a->share_count && l->protocol != LB_UDP; k++)
		if (!lb_config_is_led(l, &b->groups[lb_config_group(b, a->shares[k].group)]))
			return true;
	return false;
}

static void put_stream(struct buf *out, const struct lb_balancer *b, size_t i, const char *kind, bool from, bool to)
{
	const struct lb_listener *l = &b->listeners[i];
	buf_printf(out, "frontend f%zu%s from net\n", i, kind);
	for (int six = from; six <= to; six++)
		put_bind(out, b, l, i, six);
	buf_printf(out, "  timeout client %us\n", or_default(l->idle_timeout_s, 350));
	put_shares(out, b, l, from);
}

static void put_network(struct buf *out, const struct lb_balancer *b)
{
	buf_printf(out,
	           "defaults net\n  mode tcp\n  timeout connect %ds\n  timeout client 350s\n  timeout server 350s\n  retries 1\n"
	           "  option redispatch 1\n  log stdout len 256 format raw local0 err\n",
	           CONNECT_S);
	for (size_t i = 0; i < b->listener_count; i++) {
		const struct lb_listener *l = &b->listeners[i];
		bool sealed = l->protocol == LB_TLS;
		if (has_frontend(b, l))
			put_stream(out, b, i, sealed ? "t" : "", false, b->ipv6 && sealed);
		if (b->ipv6 && !sealed && l->protocol != LB_UDP)
			put_stream(out, b, i, "x", true, true);
	}
}

static void put_config(struct buf *out, const struct lb_balancer *b)
{
	put_common(out);
	for (size_t i = 0; i < b->listener_count; i++)
		if (b->listeners[i].mutual) {
			buf_add_lit(out, "global\n  tune.ssl.cachesize 0\n");
			break;
		}
	if (b->network) {
		put_network(out, b);
	} else {
		put_defaults(out, b);
		for (size_t i = 0; i < b->listener_count; i++)
			put_frontend(out, b, &b->listeners[i], i);
	}
	for (size_t i = 0; i < b->group_count; i++)
		put_backend(out, b, &b->groups[i], i);
}

/* ---- the whole ---- */

static void put_certificates(struct buf *bundle, const struct lb_listener *l, size_t i)
{
	CLEAN_BUF struct buf list = {0};
	char name[64];
	buf_init(&list, 65536);
	for (size_t k = 0; k < l->certificate_count; k++) {
		snprintf(name, sizeof(name), "listener%zu-%zu.pem", i, k);
		lb_config_file(bundle, name, str_from(l->certificates[k].pem));
		buf_printf(&list, "%s\n", name);
	}
	snprintf(name, sizeof(name), "listener%zu.list", i);
	if (l->certificate_count)
		lb_config_file(bundle, name, buf_str(&list));
	if (l->mutual != LB_MUTUAL_VERIFY)
		return;
	snprintf(name, sizeof(name), "listener%zu.ca", i);
	lb_config_file(bundle, name, str_from(l->authorities));
	snprintf(name, sizeof(name), "listener%zu.crl", i);
	if (l->revoked && l->revoked[0])
		lb_config_file(bundle, name, str_from(l->revoked));
}

void lb_config_bundle(struct buf *bundle, const struct lb_balancer *b)
{
	CLEAN_BUF struct buf text = {0};
	char name[32];
	buf_init(&text, LB_BUNDLE_BYTES_MAX);
	put_config(&text, b);
	bundle->overflow |= text.overflow;
	lb_pages_files(bundle);
	lb_rules_files(bundle, b);
	for (size_t i = 0; i < b->listener_count; i++)
		put_certificates(bundle, &b->listeners[i], i);
	for (size_t i = 0; i < b->group_count; i++) {
		snprintf(name, sizeof(name), "places%zu.map", i);
		lb_config_file(bundle, name, S(""));
		snprintf(name, sizeof(name), "tokens%zu.map", i);
		lb_config_file(bundle, name, S(""));
	}
	lb_config_file(bundle, "haproxy.cfg", buf_str(&text));
}

void lb_config_boot(struct buf *out)
{
	put_common(out);
}

/* ---- who is wanted ---- */

static const char *check_kind(const struct lb_group *g)
{
	bool tls = g->check.protocol == LB_HTTPS;
	if (g->check.disabled)
		return "none";
	if (g->function)
		return "function";
	if (g->check.protocol != LB_HTTP && !tls)
		return "tcp";
	if (g->version == LB_GRPC)
		return tls ? "grpcs" : "grpc";
	if (g->version == LB_HTTP2)
		return tls ? "h2s" : "h2";
	return tls ? "https" : "http";
}

bool lb_config_is_near(const struct lb_group *g, const char *zone, const char *here)
{
	bool anywhere = !zone || !zone[0] || strcmp(zone, "all") == 0;
	return g->cross_zone || anywhere || strcmp(zone, here ? here : "") == 0;
}

void lb_config_wanted(struct buf *out, const struct lb_balancer *b, const struct lb_node *n)
{
	char token[LB_TOKEN_CHARS + 1];
	for (size_t i = 0; i < b->group_count; i++) {
		const struct lb_group *g = &b->groups[i];
		const struct lb_health_check *c = &g->check;
		bool grpc = g->version == LB_GRPC;
		lb_config_token(b, g, "", token);
		buf_printf(out, "group g%zu %s %s %u %u %u %u %u %u %u %u %s %s -%s%s%s\n", i, token, check_kind(g), c->port,
		           or_default(c->interval_s, 30), or_default(c->timeout_s, 5), or_default(c->healthy, 5),
		           or_default(c->unhealthy, 2), g->slow_start_s, or_default(g->healthy_min_count, 1),
		           g->healthy_min_percent,
		           c->matcher && c->matcher[0] ? c->matcher
		           : grpc                      ? "12"
		                                       : "200",
		           c->path && c->path[0] ? c->path
		           : grpc                ? "/AWS.ALB/healthcheck"
		                                 : "/",
		           g->keep_drained ? "" : "g", g->cut_unhealthy ? "u" : "", g->log_checks ? "l" : "");
		for (size_t k = 0; k < g->target_count; k++) {
			const struct lb_target *t = &g->targets[k];
			if (!lb_config_is_near(g, t->zone, n->zone))
				continue;
			lb_config_token(b, g, t->id, token);
			if (g->function)
				buf_printf(out, "target %s " HOME " %d %s\n", token, HOME_PORT, t->draining ? "drain" : "on");
			else
				buf_printf(out, "target %s %u.%u.%u.%u %u %s\n", token, t->address >> 24, t->address >> 16 & 255,
				           t->address >> 8 & 255, t->address & 255, t->port, t->draining ? "drain" : "on");
		}
	}
}
