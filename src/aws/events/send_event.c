/* Another bus as a target. The event goes on as it is, with its id, source and account, which PutEvents would not take; so who
 * sends it is asked for here. A schedule's input becomes an event of its own, by PutEvents. */
#include "send.h"

#include "core/authz.h"

#include <errno.h>
#include <string.h>

struct keys {
	struct str source_arn, account, principal;
};

static bool key_of(void *ctx, struct str key, struct str_list *ret)
{
	struct keys *k = ctx;
	struct str *value = str_ieq(key, S("aws:SourceArn"))          ? &k->source_arn
	                    : str_ieq(key, S("aws:SourceAccount"))    ? &k->account
	                    : str_ieq(key, S("aws:PrincipalAccount")) ? &k->account
	                    : str_ieq(key, S("aws:PrincipalArn"))     ? &k->principal
	                                                              : NULL;
	if (!value || !value->n)
		return false;
	*ret = (struct str_list){.v = value, .n = 1, .set = true};
	return true;
}

static bool may(struct sending *s, const struct bus *to)
{
	const struct identity_source *source = &s->cloud->identity;
	struct principal_policies policies = {0};
	struct keys keys = {s->row->rule, s->account, s->as->kind == PRINCIPAL_ROLE ? s->as->issuer_arn : s->as->arn};
	const struct authz_context context = {.arena = s->arena, .key = key_of, .ctx = &keys};
	const struct authz az = {.action = S("events:PutEvents"),
	                         .resource = bus_arn(s->arena, &to->at),
	                         .resource_account = to->at.account,
	                         .resource_policy = to->r.policy};
	struct authz_decision d;
	if (source->policies)
		source->policies(source->ctx, s->as, &policies);
	authz_evaluate(&context, s->as, &policies, &az, &d);
	return d.result == AUTHZ_ALLOW;
}

static void written(void *ctx, int result, uint64_t revision)
{
	struct sending *s = ctx;
	(void)revision;
	if (result < 0)
		send_end(s, SEND_LATER, "INTERNAL_ERROR", str_from(strerror(-result)));
	else
		send_end(s, SEND_DONE, NULL, STR_NONE);
}

static void forward(struct sending *s)
{
	struct arn_parts arn = send_arn(s->row->target->arn);
	struct happening h = {.cloud = s->cloud,
	                      .arena = s->arena,
	                      .bus = {arn.account, arn.region, str_from_at(arn.rest, S("event-bus/").n)},
	                      .text = s->payload,
	                      .now_ms = s->row->accepted.ms,
	                      .forwarded = true};
	struct bus to;
	h.txn = store_begin(s->cloud->store, s->arena);
	if (!bus_find(h.txn, s->arena, &h.bus, &to) || !may(s, &to)) {
		bool there = bus_find(h.txn, s->arena, &h.bus, &to);
		store_abort(h.txn);
		send_end(s, SEND_REFUSED, there ? "NO_PERMISSIONS" : "NO_RESOURCE",
		         there ? S("The event bus does not allow events of this account.") : S("The event bus does not exist."));
		return;
	}
	events_take(&h);
	store_commit(h.txn, written, s);
}

static void put(void *ctx, struct call *sub)
{
	struct sending *s = ctx;
	const struct events_put_events_response *out = sub->out;
	if (!str_set(sub->error.code) && out->failed_entry_count.v)
		send_end(s, SEND_REFUSED, "SDK_CLIENT_ERROR", arena_dup(s->arena, out->entries.v[0].error_message));
	else
		send_answered(s, sub);
}

void send_event(struct sending *s)
{
	if (!str_set(s->row->schedule)) {
		forward(s);
		return;
	}
	struct events_put_events_request_entry entry = {.source = s->row->source,
	                                                .detail_type = s->row->detail_type,
	                                                .detail = s->payload,
	                                                .event_bus_name = s->row->target->arn};
	const struct events_put_events_request in = {.entries = {.v = &entry, .n = 1, .set = true}};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &events_api, "PutEvents", &in, put, s);
}
