/* Listeners of an environment's load balancer as its options have them (aws:elbv2:listener:default and :PORT): which there should
 * be, which there are, and one question at a time until both are the same. */
#include "environment.h"

#define NAMESPACE "aws:elbv2:listener:"
#define DEFAULT NAMESPACE "default"
enum { HTTP_PORT = 80 };

/* 0: it is no namespace of a listener. */
static int64_t port_of(struct str space)
{
	int64_t port = 0;
	if (str_is(space, DEFAULT))
		return HTTP_PORT;
	return str_starts(space, S(NAMESPACE)) && str_to_i64(str_from_at(space, strlen(NAMESPACE)), &port) && port > 0 &&
	                       port < 65536
	               ? port
	               : 0;
}

bool listener_is_port(struct str space)
{
	return !str_is(space, DEFAULT) && port_of(space) > 0;
}

static struct listener_wish wish_of(struct arena *a, const struct environment_record *r, struct str space)
{
	const char *of = arena_dupz(a, space);
	struct str policy = option_value(r, of, "SSLPolicy"), certificate = option_value(r, of, "SSLCertificateArns");
	return (struct listener_wish){.any = true,
	                              .wanted = !str_is(option_value(r, of, "ListenerEnabled"), "false"),
	                              .port = port_of(space),
	                              .protocol = option_value(r, of, "Protocol"),
	                              .certificate = certificate.n ? certificate : STR_NONE,
	                              .policy = policy.n ? policy : STR_NONE};
}

/* The first has the namespace that is always there. */
static uint32_t wishes(struct arena *a, const struct environment_record *r, struct listener_wish all[static LISTENERS_MAX])
{
	uint32_t n = 0;
	all[n++] = wish_of(a, r, S(DEFAULT));
	for (uint32_t i = 0; i < r->options.n; i++) {
		int64_t port = listener_is_port(r->options.v[i].namespace) ? port_of(r->options.v[i].namespace) : 0;
		bool had = !port || n == LISTENERS_MAX;
		for (uint32_t k = 0; k < n && !had; k++)
			had = all[k].port == port && k > 0;
		if (!had)
			all[n++] = wish_of(a, r, r->options.v[i].namespace);
	}
	uint32_t left = 0;
	for (uint32_t i = 0; i < n; i++)
		if (all[i].wanted)
			all[left++] = all[i];
	return left;
}

static struct str terms_of(struct arena *a, const struct listener_wish *w)
{
	return ARENA_CAT(a, w->protocol, S("|"), str_set(w->certificate) ? w->certificate : S(""), S("|"),
	                 str_set(w->policy) ? w->policy : S(""));
}

/* One that was made before there were others. */
static void take_over(struct arena *a, struct environment_record *r)
{
	if (r->listeners.n || !str_set(r->listener))
		return;
	*LIST_ADD(a, &r->listeners) =
	        (struct state_elasticbeanstalk_listening){.port = OPT_INT(HTTP_PORT), .arn = r->listener, .terms = S("HTTP||")};
	r->listeners.set = true;
}

struct listener_wish listener_next(struct arena *a, const struct environment_record *of)
{
	struct listener_wish all[LISTENERS_MAX];
	struct environment_record r = *of;
	uint32_t n = environment_balanced(&r) ? wishes(a, &r, all) : 0;
	take_over(a, &r);
	/* what is too much goes first, so that its port is free */
	for (uint32_t i = 0; i < r.listeners.n; i++) {
		bool wanted = false;
		for (uint32_t k = 0; k < n; k++)
			wanted |= all[k].port == r.listeners.v[i].port.v;
		if (!wanted)
			return (struct listener_wish){.any = true, .port = r.listeners.v[i].port.v, .arn = r.listeners.v[i].arn};
	}
	for (uint32_t k = 0; k < n; k++) {
		const struct state_elasticbeanstalk_listening *there = NULL;
		for (uint32_t i = 0; i < r.listeners.n; i++)
			there = r.listeners.v[i].port.v == all[k].port ? &r.listeners.v[i] : there;
		all[k].arn = there ? there->arn : STR_NONE;
		if (!there || !str_eq(there->terms, terms_of(a, &all[k])))
			return all[k];
	}
	return (struct listener_wish){0};
}

/* What has been asked for is so. */
static void done(const struct scope *s, struct environment_record *r, const struct listener_wish *w, struct str arn)
{
	uint32_t left = 0;
	take_over(s->arena, r);
	for (uint32_t i = 0; i < r->listeners.n; i++)
		if (r->listeners.v[i].port.v != w->port)
			r->listeners.v[left++] = r->listeners.v[i];
	r->listeners.n = left;
	r->listeners.set = true;
	if (w->wanted)
		*LIST_ADD(s->arena, &r->listeners) = (struct state_elasticbeanstalk_listening){
		        .port = OPT_INT(w->port), .arn = str_set(w->arn) ? w->arn : arn, .terms = terms_of(s->arena, w)};
	if (w->wanted && !str_set(w->arn))
		step_say(s, r, "Created Load Balancer listener named: ", arn);
	if (!w->wanted)
		step_say(s, r, "Deleted Load Balancer listener named: ", w->arn);
	r->listener = r->listeners.n ? r->listeners.v[0].arn : STR_NONE;
}

struct next listeners_step(const struct scope *s, struct environment_record *r, const struct answer *a, int64_t then)
{
	struct listener_wish w = listener_next(s->arena, r);
	bool gone = str_find(a->code, S("NotFound")) >= 0;
	if (!w.any)
		return step_go_on(r, then);
	if (a->kind == ASK_LISTENER && str_set(a->code) && (w.wanted || !gone))
		return step_failed(s, r, a->message);
	if (a->kind == ASK_LISTENER) {
		done(s, r, &w, a->first);
		return (struct next){.changed = true};
	}
	if (a->kind == ASK_BALANCER_OPEN && str_set(a->code) && !step_was_there(a))
		return step_failed(s, r, a->message);
	/* whom it is made for may come in */
	return step_ask(w.wanted && !str_set(w.arn) && a->kind != ASK_BALANCER_OPEN ? ASK_BALANCER_OPEN : ASK_LISTENER);
}

int listeners_check(struct call *c, const struct environment_record *r)
{
	struct listener_wish all[LISTENERS_MAX];
	uint32_t n = environment_balanced(r) ? wishes(c->arena, r, all) : 1;
	if (n == LISTENERS_MAX)
		return beanstalk_invalid(c, "There are too many listeners.");
	if (!n)
		return beanstalk_invalid(c, "At least one listener of the load balancer has to be enabled.");
	for (uint32_t i = 0; i < n && environment_balanced(r); i++) {
		for (uint32_t k = 0; k < i; k++)
			if (all[k].port == all[i].port)
				return beanstalk_invalid(c, "There are two listeners for port %lld.", (long long)all[i].port);
		if (str_is(all[i].protocol, "HTTPS") != str_set(all[i].certificate))
			return call_fail(
			        c, "ConfigurationValidationException", 400,
			        "Configuration validation exception: The listener of port %lld needs Protocol HTTPS together with "
			        "SSLCertificateArns.",
			        (long long)all[i].port);
	}
	if (n > 1 && str_is(option_value(r, "aws:elasticbeanstalk:command", "DeploymentPolicy"), "TrafficSplitting"))
		return beanstalk_invalid(c, "TrafficSplitting with more than one listener is not supported.");
	return CALL_OK;
}
