/* Who calls: the key that signed a request, looked up before its body is read, and the signature, checked once what it covers is
 * there. */
#include "core/gate_call.h"

#include "base/clock.h"
#include "base/hash.h"

static bool call_is_s3(const struct gate_call *g)
{
	return str_is(str_from(g->api->id), "s3");
}

enum gate_next gate_refuse_signature(struct gate_call *g, enum sigv4_fault fault)
{
	struct call *c = &g->call;
	struct sigv4_words words = {0};
	sigv4_fault_words(c->arena, fault, &g->signature, c->protocol, call_is_s3(g), clock_machine_ms(), &words);
	call_fail(c, arena_dupz(c->arena, words.code), words.status, "%.*s", STR_ARG(words.message));
	c->error.fields = words.fields;
	return GATE_REPLY;
}

static struct str host_name(struct str host)
{
	if (host.n && host.p[0] == '[')
		return str_sub(host, 0, (size_t)(str_find_char(host, ']') + 1));
	return str_cut(&host, ':');
}

static bool is_under(struct str name, struct str domain)
{
	return name.n > domain.n && str_ieq(str_from_at(name, name.n - domain.n), domain);
}

bool gate_host_is_local(struct str host)
{
	struct str name = host_name(host);
	if (str_ieq(name, S("localhost")) || is_under(name, S(".localhost")) || is_under(name, S(".amazonaws.com")) ||
	    str_is(name, "[::1]"))
		return true;
	bool numeric = name.n > 0;
	for (size_t i = 0; i < name.n; i++)
		numeric = numeric && (ascii_is_digit(name.p[i]) || name.p[i] == '.');
	return numeric;
}

static bool origin_is_local(struct str origin)
{
	ptrdiff_t at = str_find(origin, S("://"));
	return at >= 0 && gate_host_is_local(str_from_at(origin, (size_t)at + 3)) &&
	       !is_under(host_name(str_from_at(origin, (size_t)at + 3)), S(".amazonaws.com"));
}

/* The published pair opens the cloud to whoever sits at this machine, not to code in a sandbox, nor to a web page from elsewhere
 * that this machine's browser happens to show (which sends Origin, or reaches us by a name of its own). */
static bool well_known_is_welcome(struct gate_call *g)
{
	struct str origin = call_header(&g->call, S("origin"));
	return gate_trusts_well_known(g->gate) && !g->from_cell && gate_host_is_local(http_head(g->call.http)->host) &&
	       (!str_set(origin) || origin_is_local(origin));
}

enum gate_next gate_find_key(struct gate_call *g)
{
	struct call *c = &g->call;
	if ((g->taken && !g->taken_checked) || g->signature.form == SIGV4_UNSIGNED)
		return GATE_NEXT;
	const struct identity_source *from = &c->cloud->identity;
	enum key_state state = from->find_key(from->ctx, g->signature.access_key_id, g->signature.token, c->now_ms, &g->credential);
	if (state == KEY_GOOD && g->credential.well_known && !well_known_is_welcome(g)) {
		principal_unref(g->credential.principal);
		state = KEY_UNKNOWN;
	}
	switch (state) {
	case KEY_GOOD:
		break;
	case KEY_INACTIVE:
		return gate_refuse_signature(g, SIGV4_FAULT_KEY_INACTIVE);
	case KEY_EXPIRED:
		return gate_refuse_signature(g, SIGV4_FAULT_TOKEN_EXPIRED);
	case KEY_BAD_TOKEN:
		return gate_refuse_signature(g, SIGV4_FAULT_TOKEN_BAD);
	default:
		return gate_refuse_signature(g, SIGV4_FAULT_KEY_UNKNOWN);
	}
	c->caller = g->credential.principal;
	c->account = c->caller->account;
	return GATE_NEXT;
}

static const struct principal *anonymous(void)
{
	static struct principal *nobody;
	if (!nobody)
		nobody = principal_new(PRINCIPAL_ANONYMOUS, S("anonymous"));
	return principal_ref(nobody);
}

enum gate_next gate_verify(struct gate_call *g)
{
	struct call *c = &g->call;
	if (g->signature.form == SIGV4_UNSIGNED || (g->taken && !g->taken_checked)) {
		bool open =
		        g->taken || (c->op && (c->op->flags & OPERATION_UNSIGNED)) || (c->row && (c->row->flags & OP_ANONYMOUS));
		/* Without an operation to be open, S3 still says that it is not provided; nothing is told that the model does not
		 * say. */
		if (!open)
			return gate_refuse_signature(g, SIGV4_FAULT_MISSING);
		c->caller = anonymous();
		c->account = c->caller->account;
		return GATE_NEXT;
	}
	struct str body_hash = STR_NONE;
	struct str body = str_set(g->compressed) ? g->compressed : g->wire.body;
	if (!gate_streams_in(g))
		body_hash = body.n ? hash_hex(c->arena, HASH_SHA256, body) : SIGV4_EMPTY_HASH;
	enum sigv4_fault fault =
	        sigv4_check(c->arena, &g->signature, g->credential.secret, &g->signed_request, body_hash, clock_machine_ms());
	if (fault != SIGV4_GOOD)
		return gate_refuse_signature(g, fault);
	const struct identity_source *from = &c->cloud->identity;
	if (from->used)
		from->used(from->ctx, c->caller, g->signature.service, c->region, c->now_ms);
	return GATE_NEXT;
}
