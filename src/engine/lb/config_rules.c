/* Rules: the first whose conditions all match sets txn.rule, and its action follows. Patterns become regular expressions in which
 * every byte but letters and digits is written as a number, so that nothing in them means anything to HAProxy's own parser. */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* ---- conditions ---- */

static void put_glob(struct buf *out, struct str s, const char *any, const char *one)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '*')
			buf_printf(out, "%s", any);
		else if (s.p[i] == '?')
			buf_printf(out, "%s", one);
		else if (ascii_is_alnum(s.p[i]))
			buf_add_char(out, s.p[i]);
		else
			buf_printf(out, "[\\x%02x]", (unsigned char)s.p[i]);
	}
}

static void put_text(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\'')
			buf_add_lit(out, "[\\x27]");
		else if ((unsigned char)s.p[i] >= ' ')
			buf_add_char(out, s.p[i]);
}

static void put_pattern(struct buf *out, const struct lb_condition *c, const char *value)
{
	buf_add_char(out, '\'');
	if (c->regex) {
		put_text(out, str_from(value));
	} else {
		buf_add_char(out, '^');
		put_glob(out, str_from(value), ".*", ".");
		buf_add_char(out, '$');
	}
	buf_add_char(out, '\'');
}

/* A parameter of the query: KEY=VALUE, or VALUE with any key or none. */
static void put_parameter(struct buf *out, const struct lb_value *v)
{
	buf_add_lit(out, "'(^|&)");
	if (v->key && v->key[0]) {
		put_glob(out, str_from(v->key), "[^&=]*", "[^&=]");
		buf_add_char(out, '=');
	} else {
		buf_add_lit(out, "([^&=]*=)?");
	}
	put_glob(out, str_from(v->value), "[^&]*", "[^&]");
	buf_add_lit(out, "(&|$)'");
}

/* HAProxy takes an address of IPv4 for one of ::ffff:0:0/96. A block around that is written as all the blocks beside it. */
static void put_source(struct buf *out, const char *name, const char *block)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
	uint8_t address[16];
	char text[INET6_ADDRSTRLEN];
	struct str rest = str_from(block), first = str_cut(&rest, '/');
	uint64_t bits = 128;
	snprintf(text, sizeof(text), "%.*s", (int)first.n, first.p);
	str_to_u64(rest, &bits);
	bool around = bits <= 96 && inet_pton(AF_INET6, text, address) == 1;
	for (unsigned i = 0; around && i < bits; i++)
		around = !((address[i / 8] ^ mapped[i / 8]) >> (7 - i % 8) & 1);
	buf_add_lit(out, "src");
	if (!around)
		buf_printf(out, " %s", block);
	for (unsigned i = (unsigned)bits; around && i < 96; i++) {
		memset(address, 0, sizeof(address));
		for (unsigned k = 0; k <= i; k++)
			address[k / 8] |= (uint8_t)(mapped[k / 8] & 0x80 >> k % 8);
		address[i / 8] ^= (uint8_t)(0x80 >> i % 8);
		if (i > bits && (i - bits) % 32 == 0) /* a line of HAProxy's has 64 words at most */
			buf_printf(out, "\n  acl %s src", name);
		buf_printf(out, " %s/%u", inet_ntop(AF_INET6, address, text, sizeof(text)), i + 1);
	}
}

static void put_condition(struct buf *out, const char *name, const struct lb_condition *c)
{
	for (size_t i = 0; i < c->value_count; i++) {
		const struct lb_value *v = &c->values[i];
		buf_printf(out, "  acl %s ", name);
		switch (c->field) {
		case LB_FIELD_HOST:
			buf_add_lit(out, "req.hdr(host),host_only -i -m reg -- ");
			put_pattern(out, c, v->value);
			break;
		case LB_FIELD_PATH:
			buf_add_lit(out, "path -m reg -- ");
			put_pattern(out, c, v->value);
			break;
		case LB_FIELD_HEADER:
			buf_printf(out, "req.fhdr(%s) -i -m reg -- ", c->header);
			put_pattern(out, c, v->value);
			break;
		case LB_FIELD_QUERY:
			buf_add_lit(out, "query -i -m reg -- ");
			put_parameter(out, v);
			break;
		case LB_FIELD_METHOD:
			buf_printf(out, "method -m str -- %s", v->value);
			break;
		case LB_FIELD_SOURCE_IP:
			put_source(out, name, v->value);
			break;
		}
		buf_add_char(out, '\n');
	}
}

/* ---- actions ---- */

void lb_config_format(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%')
			buf_add_lit(out, "%%");
		else if (s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '$')
			buf_printf(out, "\\%c", s.p[i]);
		else if ((unsigned char)s.p[i] >= ' ')
			buf_add_char(out, s.p[i]);
}

/* #{host} and the like. */
static void put_template(struct buf *out, const char *template, const char *scheme)
{
	static const struct {
		struct str word;
		const char *value;
	} words[] = {{S_INIT("#{protocol}"), NULL},
	             {S_INIT("#{host}"), "%[req.hdr(host),host_only]"},
	             {S_INIT("#{port}"), "%[dst_port]"},
	             {S_INIT("#{path}"), "%[path,regsub(^/,)]"},
	             {S_INIT("#{query}"), "%[query]"}};
	enum { WORDS = sizeof(words) / sizeof(words[0]) };
	struct str rest = str_from(template);
	while (rest.n) {
		size_t i = 0;
		while (i < WORDS && !str_starts(rest, words[i].word))
			i++;
		if (i < WORDS) {
			buf_printf(out, "%s", words[i].value ? words[i].value : scheme);
			rest = str_from_at(rest, words[i].word.n);
		} else {
			lb_config_format(out, str_sub(rest, 0, 1));
			rest = str_from_at(rest, 1);
		}
	}
}

static void put_redirect(struct buf *out, const struct lb_action *a, size_t rule, const char *scheme)
{
	const char *title = a->status == 302 ? "302 Found" : "301 Moved Permanently";
	struct str protocol = str_from(a->protocol ? a->protocol : "#{protocol}");
	buf_printf(out,
	           "  http-request set-var-fmt(txn.asked) \"?%%[query]\" if { var(txn.rule) -m int %zu } { query -m len gt 0 }\n"
	           "  http-request return status %u content-type text/html string \"<html>\\r\\n<head><title>%s</title></head>"
	           "\\r\\n<body>\\r\\n<center><h1>%s</h1></center>\\r\\n</body>\\r\\n</html>\\r\\n\" " LB_OWN " hdr Location \"",
	           rule, a->status, title, title);
	if (str_is(protocol, "#{protocol}"))
		buf_printf(out, "%s", scheme);
	else
		buf_printf(out, "%s", str_ieq(protocol, S("HTTPS")) ? "https" : "http");
	buf_add_lit(out, "://");
	put_template(out, a->host ? a->host : "#{host}", scheme);
	buf_add_char(out, ':');
	put_template(out, a->port ? a->port : "#{port}", scheme);
	put_template(out, a->path ? a->path : "/#{path}", scheme);
	if (!a->query || str_is(str_from(a->query), "#{query}")) {
		buf_add_lit(out, "%[var(txn.asked)]");
	} else if (a->query[0]) {
		buf_add_char(out, '?');
		put_template(out, a->query, scheme);
	}
	buf_printf(out, "\" if { var(txn.rule) -m int %zu }\n", rule);
}

static void body_name(const struct lb_balancer *b, const struct lb_action *a, char *ret, size_t cap)
{
	size_t n = 0;
	for (size_t i = 0; i < b->listener_count; i++)
		for (size_t k = 0; k < b->listeners[i].rule_count; k++, n++)
			if (&b->listeners[i].rules[k].action == a) {
				snprintf(ret, cap, "body%zu", n);
				return;
			}
}

static void put_fixed(struct buf *out, const struct lb_balancer *b, const struct lb_action *a, size_t rule)
{
	char name[32] = "";
	body_name(b, a, name, sizeof(name));
	buf_printf(out, "  http-request return status %u ", a->status);
	if (a->body && a->body[0])
		buf_printf(out, "content-type \"%s\" file %s ",
		           a->content_type && a->content_type[0] ? a->content_type : "text/plain", name);
	buf_printf(out, LB_OWN " if { var(txn.rule) -m int %zu }\n", rule);
}

static void put_group_cookie(struct buf *out, const struct lb_action *a, size_t rule, size_t group, const char *token)
{
	for (int cors = 0; cors < 2; cors++)
		buf_printf(out,
		           "  http-response add-header Set-Cookie \"AWSALBTG%s=%s; Expires=%%[date(%u),http_date]; Path=/%s\" "
		           "if { var(txn.rule) -m int %zu } { var(txn.group) -m str g%zu }\n",
		           cors ? "CORS" : "", token, a->group_stickiness_s, cors ? "; SameSite=None; Secure" : "", rule, group);
}

/* HAProxy replaces the whole text: what is before and behind the match is put back. */
static void put_rewrite(struct buf *out, const struct lb_rewrite *w, size_t rule)
{
	buf_printf(out, "  http-request %s '^(.*?)(?:", w->host ? "replace-header Host" : "replace-pathq");
	put_text(out, str_from(w->regex));
	buf_add_lit(out, ")(.*)$' '\\1");
	for (const char *p = w->replace; *p; p++)
		if (*p == '$' && p[1] >= '1' && p[1] <= '7')
			buf_printf(out, "\\%d", *++p - '0' + 1);
		else if (*p == '%' || *p == '\\')
			buf_printf(out, "%c%c", *p, *p);
		else
			buf_add_char(out, *p);
	buf_printf(out, "\\%u' if { var(txn.rule) -m int %zu }\n", w->groups + 2, rule);
}

static void put_forward(struct buf *out, const struct lb_balancer *b, const struct lb_action *a, size_t rule)
{
	uint32_t sum = 0, below = 0;
	char token[LB_TOKEN_CHARS + 1];
	for (size_t i = 0; i < a->share_count; i++)
		sum += a->shares[i].weight;
	if (!sum) {
		buf_printf(out,
		           "  http-request return status 503 content-type text/html file 503.html " LB_OWN
		           " if { var(txn.rule) -m int %zu }\n",
		           rule);
		return;
	}
	if (a->group_stickiness_s && a->share_count > 1)
		for (size_t i = 0; i < a->share_count; i++) {
			size_t group = lb_config_group(b, a->shares[i].group);
			lb_config_token(b, &b->groups[group], "", token);
			buf_printf(
			        out,
			        "  http-request set-var(txn.group) str(g%zu) if { var(txn.rule) -m int %zu } "
			        "{ req.cook(AWSALBTG) -m str %s } || { var(txn.rule) -m int %zu } { req.cook(AWSALBTGCORS) -m str %s }\n",
			        group, rule, token, rule, token);
			put_group_cookie(out, a, rule, group, token);
		}
	if (a->share_count > 1)
		buf_printf(out, "  http-request set-var(txn.dice) rand(%u) if { var(txn.rule) -m int %zu }\n", sum, rule);
	for (size_t i = 0; i < a->share_count; i++) {
		if (!a->shares[i].weight)
			continue;
		below += a->shares[i].weight;
		buf_printf(
		        out,
		        "  http-request set-var(txn.group) str(g%zu) if { var(txn.rule) -m int %zu } !{ var(txn.group) -m found }",
		        lb_config_group(b, a->shares[i].group), rule);
		if (below < sum)
			buf_printf(out, " { var(txn.dice) -m int lt %u }", below);
		buf_add_char(out, '\n');
	}
}

/* A table counts requests: by how many rules were asked (the default one is not counted, and costs nothing where it is alone), and
 * by their kinds (config_guard.c). agent.lua reads it, to whom keys that are numbers would come as their lowest byte. */
static void put_tally(struct buf *out, const struct lb_listener *l)
{
	size_t last = l->rule_count - 1;
	buf_printf(out, "  stick-table type string len 8 size %zu store http_req_cnt\n", last + 8 + LB_KINDS);
	if (last)
		buf_printf(out,
		           "  http-request track-sc0 int(%zu) if { var(txn.rule) -m int %zu }\n"
		           "  http-request track-sc0 var(txn.rule),add(1) if !{ var(txn.rule) -m int %zu }\n",
		           last, last, last);
}

void lb_rules_put(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l)
{
	char name[48];
	for (size_t i = 0; i < l->rule_count; i++)
		for (size_t k = 0; k < l->rules[i].condition_count; k++) {
			snprintf(name, sizeof(name), "r%zu_%zu", i, k);
			put_condition(out, name, &l->rules[i].conditions[k]);
		}
	for (size_t i = 0; i < l->rule_count; i++) {
		buf_printf(out, "  http-request set-var(txn.rule) int(%zu) if !{ var(txn.rule) -m found }", i);
		for (size_t k = 0; k < l->rules[i].condition_count; k++)
			buf_printf(out, " r%zu_%zu", i, k);
		buf_add_char(out, '\n');
	}
	put_tally(out, l);
	for (size_t i = 0; i < l->rule_count; i++) {
		const struct lb_action *a = &l->rules[i].action;
		if (a->kind != LB_FORWARD && !b->access_log)
			buf_printf(out, "  http-request set-log-level silent if { var(txn.rule) -m int %zu }\n", i);
		if (a->kind != LB_FORWARD && b->access_log)
			buf_printf(out, "  http-request set-var(txn.fixed) bool(1) if { var(txn.rule) -m int %zu }\n", i);
		for (size_t k = 0; k < l->rules[i].rewrite_count; k++)
			put_rewrite(out, &l->rules[i].rewrites[k], i);
		if (a->kind == LB_FORWARD)
			put_forward(out, b, a, i);
		else if (a->kind == LB_REDIRECT)
			put_redirect(out, a, i, l->protocol == LB_HTTPS ? "https" : "http");
		else
			put_fixed(out, b, a, i);
	}
}

void lb_rules_files(struct buf *bundle, const struct lb_balancer *b)
{
	char name[32];
	for (size_t i = 0; i < b->listener_count; i++)
		for (size_t k = 0; k < b->listeners[i].rule_count; k++) {
			const struct lb_action *a = &b->listeners[i].rules[k].action;
			if (a->kind != LB_FIXED_RESPONSE || !a->body || !a->body[0])
				continue;
			body_name(b, a, name, sizeof(name));
			lb_config_file(bundle, name, str_from(a->body));
		}
}
