/* What an environment has besides as often as its options say: the rule by which SSH comes in, where instances have a key, and
 * actions by time of its group. Options say what is wished for; what there is lies in the record with the terms on which it was
 * made, and one question at a time makes the second the first. */
#include "extra.h"

#include "base/clock.h"
#include "core/cloud.h"
#include "engine/scaling/cron.h"
#include "gen/autoscaling.h"
#include "gen/ec2.h"

#include <arpa/inet.h>

#define LAUNCH "aws:autoscaling:launchconfiguration"

/* --- SSH: "tcp,22,22,0.0.0.0/0" or a group in the place of the addresses */

struct source {
	struct str protocol, from; /* from: addresses, or a group */
	int64_t first, last;
};

static bool is_cidr(struct arena *a, struct str text)
{
	struct in6_addr address;
	int64_t bits = -1;
	struct str host = str_cut(&text, '/');
	const char *name = arena_dupz(a, host);
	bool four = inet_pton(AF_INET, name, &address) == 1, six = inet_pton(AF_INET6, name, &address) == 1;
	return (four || six) && str_to_i64(text, &bits) && bits >= 0 && bits <= (four ? 32 : 128);
}

static bool parse_source(struct arena *a, struct str text, struct source *ret)
{
	struct str protocol = str_trim(str_cut(&text, ',')), first = str_set(text) ? str_trim(str_cut(&text, ',')) : S(""),
	           last = str_set(text) ? str_trim(str_cut(&text, ',')) : S("");
	*ret = (struct source){.protocol = protocol, .from = str_set(text) ? str_trim(text) : S("")};
	return (str_is(protocol, "tcp") || str_is(protocol, "udp")) && str_to_i64(first, &ret->first) &&
	       str_to_i64(last, &ret->last) && ret->first >= 0 && ret->first <= ret->last && ret->last < 65536 &&
	       (str_starts(ret->from, S("sg-")) || is_cidr(a, ret->from));
}

bool extra_is_source(struct arena *a, struct str text)
{
	struct source s;
	return parse_source(a, text, &s);
}

static struct ec2_ip_permission_list permissions(struct arena *a, struct str terms)
{
	struct ec2_ip_permission_list l = {.set = true};
	struct ec2_ip_permission *p = LIST_ADD(a, &l);
	struct source from;
	if (!parse_source(a, terms, &from))
		return l;
	*p = (struct ec2_ip_permission){
	        .ip_protocol = from.protocol, .from_port = OPT_INT(from.first), .to_port = OPT_INT(from.last)};
	if (str_starts(from.from, S("sg-"))) {
		LIST_ADD(a, &p->user_id_group_pairs)->group_id = from.from;
		p->user_id_group_pairs.set = true;
	} else if (str_find_char(from.from, ':') >= 0) {
		LIST_ADD(a, &p->ipv6_ranges)->cidr_ipv6 = from.from;
		p->ipv6_ranges.set = true;
	} else {
		LIST_ADD(a, &p->ip_ranges)->cidr_ip = from.from;
		p->ip_ranges.set = true;
	}
	return l;
}

/* --- actions by time */

static struct str said(const struct environment_record *r, struct str action, const char *name)
{
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].namespace, SCHEDULED) && str_eq(r->options.v[i].resource_name, action) &&
		    str_is(r->options.v[i].option_name, name))
			return r->options.v[i].value;
	return STR_NONE;
}

static struct opt_int count_of(const struct environment_record *r, struct str action, const char *name)
{
	int64_t n;
	return str_to_i64(said(r, action, name), &n) ? OPT_INT(n) : (struct opt_int){0};
}

static struct opt_time time_of(const struct environment_record *r, struct str action, const char *name)
{
	int64_t ms;
	struct str text = said(r, action, name);
	return text.n && time_parse(text, &ms) ? OPT_TIME(ms) : (struct opt_time){0};
}

static struct str terms_of(struct arena *a, const struct environment_record *r, struct str action)
{
	static const char *const names[] = {"MinSize", "MaxSize", "DesiredCapacity", "StartTime", "EndTime", "Recurrence"};
	struct str all = S("");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct str one = said(r, action, names[i]);
		all = ARENA_CAT(a, all, str_set(one) ? one : S(""), S("|"));
	}
	return all;
}

/* The first option of each action. */
static bool is_first(const struct environment_record *r, uint32_t at)
{
	if (!str_is(r->options.v[at].namespace, SCHEDULED))
		return false;
	for (uint32_t i = 0; i < at; i++)
		if (str_is(r->options.v[i].namespace, SCHEDULED) &&
		    str_eq(r->options.v[i].resource_name, r->options.v[at].resource_name))
			return false;
	return true;
}

static int wrong(struct call *c, struct str action, const char *why)
{
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: The scheduled action '%.*s' (Namespace: '" SCHEDULED "'): %s",
	                 STR_ARG(action), why);
}

int extra_check(struct call *c, const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->options.n; i++) {
		struct str action = r->options.v[i].resource_name;
		if (!is_first(r, i))
			continue;
		struct opt_int least = count_of(r, action, "MinSize"), most = count_of(r, action, "MaxSize"),
		               wanted = count_of(r, action, "DesiredCapacity");
		struct opt_time from = time_of(r, action, "StartTime"), to = time_of(r, action, "EndTime");
		if (!least.set && !most.set && !wanted.set)
			return wrong(c, action, "It needs MinSize, MaxSize or DesiredCapacity.");
		if ((least.set && most.set && least.v > most.v) || (least.set && wanted.set && least.v > wanted.v) ||
		    (most.set && wanted.set && wanted.v > most.v))
			return wrong(c, action, "DesiredCapacity has to be between MinSize and MaxSize.");
		if (!from.set && !said(r, action, "Recurrence").n)
			return wrong(c, action, "It needs StartTime or Recurrence.");
		if (from.set && to.set && to.ms <= from.ms)
			return wrong(c, action, "EndTime has to be after StartTime.");
	}
	return CALL_OK;
}

int extra_check_new(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		int64_t ms;
		bool time = str_is(l->v[i].namespace, SCHEDULED) &&
		            (str_is(l->v[i].option_name, "StartTime") || str_is(l->v[i].option_name, "EndTime"));
		if (time && time_parse(l->v[i].value, &ms) && ms < c->now_ms)
			return wrong(c, l->v[i].resource_name, "Its time is in the past.");
	}
	return CALL_OK;
}

/* --- what there is, and what there should be */

static bool ssh_wanted(const struct environment_record *r)
{
	return option_value(r, LAUNCH, "EC2KeyName").n && option_value(r, LAUNCH, "SSHSourceRestriction").n;
}

static bool action_wanted(const struct environment_record *r, struct str action)
{
	return environment_many(r) && !str_is(said(r, action, "Suspend"), "true");
}

struct state_elasticbeanstalk_extra *extra_there(const struct environment_record *r, enum extra_kind kind, struct str name)
{
	for (uint32_t i = 0; i < r->extras.n; i++)
		if (r->extras.v[i].kind.v == kind && str_eq(r->extras.v[i].name, name))
			return &r->extras.v[i];
	return NULL;
}

static struct extras wants(struct arena *a, const struct environment_record *r)
{
	struct extras l = {0};
	if (ssh_wanted(r))
		*LIST_ADD(a, &l) =
		        (struct extra){true, true, EXTRA_SSH, S(""), option_value(r, LAUNCH, "SSHSourceRestriction"), STR_NONE};
	for (uint32_t i = 0; i < r->options.n; i++) {
		struct str name = r->options.v[i].resource_name;
		if (is_first(r, i) && action_wanted(r, name))
			*LIST_ADD(a, &l) = (struct extra){true, true, EXTRA_ACTION, name, terms_of(a, r, name), STR_NONE};
	}
	routes_want(a, r, &l);
	return l;
}

/* Others have to go before they come on other terms. */
static bool may_change(enum extra_kind kind)
{
	return kind != EXTRA_SSH && kind != EXTRA_RULE && kind != EXTRA_TARGETS && kind != EXTRA_PORT;
}

/* Has nothing to be asked for as it goes. */
static bool goes_along(enum extra_kind kind)
{
	return kind == EXTRA_CHECKS || kind == EXTRA_ATTRIBUTES || kind == EXTRA_MEMBERS;
}

/* The first that is not as the options have it; !any: all are. What goes is first. */
static struct extra extra_next(struct arena *a, const struct environment_record *r)
{
	struct extras l = wants(a, r);
	for (int kind = EXTRA_KINDS - 1; kind >= 0; kind--)
		for (uint32_t i = 0; i < r->extras.n; i++) {
			const struct state_elasticbeanstalk_extra *had = &r->extras.v[i];
			bool stays = had->kind.v != kind;
			for (uint32_t k = 0; k < l.n && !stays; k++)
				stays = l.v[k].kind == (enum extra_kind)kind && str_eq(l.v[k].name, had->name) &&
				        (may_change(l.v[k].kind) || str_eq(l.v[k].terms, had->terms));
			if (!stays)
				return (struct extra){true, false, (enum extra_kind)kind, had->name, had->terms, had->arn};
		}
	for (uint32_t k = 0; k < l.n; k++) {
		const struct state_elasticbeanstalk_extra *had = extra_there(r, l.v[k].kind, l.v[k].name);
		if (!had || !str_eq(had->terms, l.v[k].terms))
			return l.v[k];
	}
	return (struct extra){0};
}

static void ask_of(const struct question *q, const struct api *api, const char *operation, const void *in)
{
	call_op(q->cloud, q->owner, q->region, api, operation, in, q->done, q->ctx);
}

void extra_ask(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct extra e = extra_next(a, r);
	struct str group = environment_scaling_name(a, r);
	if (e.kind >= EXTRA_PORT)
		routes_ask(q, a, r, &e);
	else if (e.kind == EXTRA_SSH && e.wanted)
		ask_of(q, &ec2_api, "AuthorizeSecurityGroupIngress",
		       &(struct ec2_authorize_security_group_ingress_request){.group_id = r->group,
		                                                              .ip_permissions = permissions(a, e.terms)});
	else if (e.kind == EXTRA_SSH)
		ask_of(q, &ec2_api, "RevokeSecurityGroupIngress",
		       &(struct ec2_revoke_security_group_ingress_request){.group_id = r->group,
		                                                           .ip_permissions = permissions(a, e.terms)});
	else if (!e.wanted)
		ask_of(q, &autoscaling_api, "DeleteScheduledAction",
		       &(struct autoscaling_delete_scheduled_action_type){.auto_scaling_group_name = group,
		                                                          .scheduled_action_name = e.name});
	else
		ask_of(q, &autoscaling_api, "PutScheduledUpdateGroupAction",
		       &(struct autoscaling_put_scheduled_update_group_action_type){.auto_scaling_group_name = group,
		                                                                    .scheduled_action_name = e.name,
		                                                                    .min_size = count_of(r, e.name, "MinSize"),
		                                                                    .max_size = count_of(r, e.name, "MaxSize"),
		                                                                    .desired_capacity =
		                                                                            count_of(r, e.name, "DesiredCapacity"),
		                                                                    .start_time = time_of(r, e.name, "StartTime"),
		                                                                    .end_time = time_of(r, e.name, "EndTime"),
		                                                                    .recurrence = said(r, e.name, "Recurrence")});
}

static void forget(struct environment_record *r, struct state_elasticbeanstalk_extra *had)
{
	*had = r->extras.v[r->extras.n - 1];
	r->extras.n--;
}

/* What is refused is told once, and not asked for again before its terms are others. */
static void take(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	struct extra e = extra_next(s->arena, r);
	struct state_elasticbeanstalk_extra *had = extra_there(r, e.kind, e.name);
	struct str_list leave = {0}, join = {0};
	if (!e.any)
		return;
	if (!e.wanted) {
		forget(r, had);
		return;
	}
	if (str_set(a->code) && !step_was_there(a) && e.kind != EXTRA_MEMBERS)
		environment_event(s, r, "WARN", a->message);
	if (e.kind == EXTRA_TARGETS && str_set(a->first))
		step_say(s, r, "Created target group named: ", a->first);
	if (e.kind == EXTRA_MEMBERS)
		e.terms = routes_registered(s->arena, had, &e, &leave, &join);
	if (!had) {
		had = LIST_ADD(s->arena, &r->extras);
		r->extras.set = true;
	}
	*had = (struct state_elasticbeanstalk_extra){
	        .kind = OPT_INT(e.kind), .name = e.name, .terms = e.terms, .arn = str_set(a->first) ? a->first : STR_NONE};
}

bool extra_step(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	if (a->kind == ASK_EXTRA) {
		take(s, r, a);
		*ret = (struct next){.changed = true};
		return true;
	}
	if (a->kind != ASK_NOTHING)
		return false;
	struct extra e = extra_next(s->arena, r);
	if (!e.any)
		return false;
	*ret = step_ask(ASK_EXTRA);
	if (!e.wanted && goes_along(e.kind)) {
		forget(r, extra_there(r, e.kind, e.name));
		*ret = (struct next){.changed = true};
	}
	return true;
}

bool extra_end(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < r->extras.n; i++)
		if (r->extras.v[i].kind.v == EXTRA_TARGETS && str_set(r->extras.v[i].arn))
			r->extras.v[left++] = r->extras.v[i];
	r->extras.n = left;
	if (a->kind == ASK_EXTRA_DROP && left) {
		step_say(s, r, "Deleted target group named: ", r->extras.v[left - 1].arn);
		r->extras.n--;
		*ret = (struct next){.changed = true};
		return true;
	}
	*ret = step_ask(ASK_EXTRA_DROP);
	return left > 0;
}
