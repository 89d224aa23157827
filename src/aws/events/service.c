#include "connection.h"
#include "kept.h"

#include "base/log.h"

#include <stdlib.h>

/* --- what permissions are about: a bus with its policy, or a rule */

static int about_bus(struct call *c, struct authz *az, struct str name)
{
	struct bus_name at;
	struct bus b;
	if (!bus_name_of(c, name, &at)) {
		az->resource = name;
		return CALL_OK;
	}
	az->resource = bus_arn(c->arena, &at);
	az->resource_account = at.account;
	if (bus_find(call_txn(c), c->arena, &at, &b)) {
		az->resource_policy = b.r.policy;
		authz_add_tags(c, az, "aws:ResourceTag", &b.r.tags);
	}
	return CALL_OK;
}

static int about_rule(struct call *c, struct authz *az, struct str bus, struct str name)
{
	struct bus_name at;
	struct bus b;
	struct rule r;
	if (!bus_name_of(c, bus, &at)) {
		az->resource = bus;
		return CALL_OK;
	}
	az->resource = rule_arn(c->arena, &at, name);
	az->resource_account = at.account;
	if (bus_find(call_txn(c), c->arena, &at, &b))
		az->resource_policy = b.r.policy;
	if (rule_find(call_txn(c), c->arena, &at, name, &r))
		authz_add_tags(c, az, "aws:ResourceTag", &r.r.tags);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	(void)c;
	az->resource = arn;
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct events_##type##_request *in = input; \
		return answer; \
	}
ABOUT(create_event_bus, about_bus(c, az, in->name))
ABOUT(update_event_bus, about_bus(c, az, in->name))
ABOUT(delete_event_bus, about_bus(c, az, in->name))
ABOUT(describe_event_bus, about_bus(c, az, in->name))
ABOUT(put_permission, about_bus(c, az, in->event_bus_name))
ABOUT(remove_permission, about_bus(c, az, in->event_bus_name))
ABOUT(list_rules, about_bus(c, az, in->event_bus_name))
ABOUT(put_rule, about_rule(c, az, in->event_bus_name, in->name))
ABOUT(delete_rule, about_rule(c, az, in->event_bus_name, in->name))
ABOUT(describe_rule, about_rule(c, az, in->event_bus_name, in->name))
ABOUT(enable_rule, about_rule(c, az, in->event_bus_name, in->name))
ABOUT(disable_rule, about_rule(c, az, in->event_bus_name, in->name))
ABOUT(put_targets, about_rule(c, az, in->event_bus_name, in->rule))
ABOUT(remove_targets, about_rule(c, az, in->event_bus_name, in->rule))
ABOUT(list_targets_by_rule, about_rule(c, az, in->event_bus_name, in->rule))
ABOUT(tag_resource, about_arn(c, az, in->resource_arn))
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))

static int about_kind(struct call *c, struct authz *az, const char *kind, struct str name)
{
	az->resource =
	        ARENA_CAT(c->arena, S("arn:aws:events:"), c->region, S(":"), c->account, S(":"), str_from(kind), S("/"), name);
	return CALL_OK;
}
ABOUT(create_connection, about_kind(c, az, "connection", in->name))
ABOUT(update_connection, about_kind(c, az, "connection", in->name))
ABOUT(describe_connection, about_kind(c, az, "connection", in->name))
ABOUT(deauthorize_connection, about_kind(c, az, "connection", in->name))
ABOUT(delete_connection, about_kind(c, az, "connection", in->name))
ABOUT(create_api_destination, about_kind(c, az, "api-destination", in->name))
ABOUT(update_api_destination, about_kind(c, az, "api-destination", in->name))
ABOUT(describe_api_destination, about_kind(c, az, "api-destination", in->name))
ABOUT(delete_api_destination, about_kind(c, az, "api-destination", in->name))
ABOUT(create_archive, about_kind(c, az, "archive", in->archive_name))
ABOUT(update_archive, about_kind(c, az, "archive", in->archive_name))
ABOUT(describe_archive, about_kind(c, az, "archive", in->archive_name))
ABOUT(delete_archive, about_kind(c, az, "archive", in->archive_name))
ABOUT(start_replay, about_kind(c, az, "replay", in->replay_name))
ABOUT(describe_replay, about_kind(c, az, "replay", in->replay_name))
ABOUT(cancel_replay, about_kind(c, az, "replay", in->replay_name))

/* Every bus that an entry names is asked about; of the last one the gate asks. */
static int about_put_events(struct call *c, const void *input, struct authz *az)
{
	const struct events_put_events_request *in = input;
	for (uint32_t i = 0; i < in->entries.n; i++) {
		struct authz one = {.action = S("events:PutEvents")};
		bool last = i + 1 == in->entries.n;
		struct authz *of = last ? az : &one;
		about_bus(c, of, in->entries.v[i].event_bus_name);
		if (str_set(in->entries.v[i].source))
			authz_add(c, of, "events:source", in->entries.v[i].source);
		if (str_set(in->entries.v[i].detail_type))
			authz_add(c, of, "events:detail-type", in->entries.v[i].detail_type);
		if (!last && !call_authorize(c, of))
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- the table */

static const struct service_op ops[] = {
        OP(events, cancel_replay, CancelReplay, .resource = about_cancel_replay),
        OP(events, create_api_destination, CreateApiDestination, .resource = about_create_api_destination),
        OP(events, create_archive, CreateArchive, .resource = about_create_archive, .missing = "KMS keys"),
        OP(events, create_connection, CreateConnection, .resource = about_create_connection, .missing = "private APIs, KMS keys"),
        OP(events, create_event_bus, CreateEventBus, .resource = about_create_event_bus,
           .missing = "partner event sources, KMS keys, logs of buses"),
        OP(events, deauthorize_connection, DeauthorizeConnection, .resource = about_deauthorize_connection),
        OP(events, delete_api_destination, DeleteApiDestination, .resource = about_delete_api_destination),
        OP(events, delete_archive, DeleteArchive, .resource = about_delete_archive),
        OP(events, delete_connection, DeleteConnection, .resource = about_delete_connection),
        OP(events, delete_event_bus, DeleteEventBus, .resource = about_delete_event_bus),
        OP(events, delete_rule, DeleteRule, .resource = about_delete_rule),
        OP(events, describe_api_destination, DescribeApiDestination, .resource = about_describe_api_destination, .flags = OP_READ),
        OP(events, describe_archive, DescribeArchive, .resource = about_describe_archive, .flags = OP_READ),
        OP(events, describe_connection, DescribeConnection, .resource = about_describe_connection, .flags = OP_READ),
        OP(events, describe_event_bus, DescribeEventBus, .resource = about_describe_event_bus, .flags = OP_READ),
        OP(events, describe_replay, DescribeReplay, .resource = about_describe_replay, .flags = OP_READ),
        OP(events, describe_rule, DescribeRule, .resource = about_describe_rule, .flags = OP_READ),
        OP(events, disable_rule, DisableRule, .resource = about_disable_rule),
        OP(events, enable_rule, EnableRule, .resource = about_enable_rule),
        OP(events, list_api_destinations, ListApiDestinations, .flags = OP_READ),
        OP(events, list_archives, ListArchives, .flags = OP_READ),
        OP(events, list_connections, ListConnections, .flags = OP_READ),
        OP(events, list_event_buses, ListEventBuses, .flags = OP_READ),
        OP(events, list_replays, ListReplays, .flags = OP_READ),
        OP(events, list_rule_names_by_target, ListRuleNamesByTarget, .flags = OP_READ),
        OP(events, list_rules, ListRules, .resource = about_list_rules, .flags = OP_READ),
        OP(events, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(events, list_targets_by_rule, ListTargetsByRule, .resource = about_list_targets_by_rule, .flags = OP_READ),
        OP(events, put_events, PutEvents, .resource = about_put_events, .missing = "global endpoints"),
        OP(events, put_permission, PutPermission, .resource = about_put_permission),
        OP(events, put_rule, PutRule, .resource = about_put_rule),
        OP(events, put_targets, PutTargets, .resource = about_put_targets,
           .missing = "targets other than functions, queues, topics, log groups, buses, API destinations and tasks of ECS"),
        OP(events, remove_permission, RemovePermission, .resource = about_remove_permission),
        OP(events, remove_targets, RemoveTargets, .resource = about_remove_targets),
        OP(events, start_replay, StartReplay, .resource = about_start_replay),
        OP(events, tag_resource, TagResource, .resource = about_tag_resource),
        OP(events, test_event_pattern, TestEventPattern, .flags = OP_READ),
        OP(events, untag_resource, UntagResource, .resource = about_untag_resource),
        OP(events, update_api_destination, UpdateApiDestination, .resource = about_update_api_destination),
        OP(events, update_archive, UpdateArchive, .resource = about_update_archive, .missing = "KMS keys"),
        OP(events, update_connection, UpdateConnection, .resource = about_update_connection, .missing = "private APIs, KMS keys"),
        OP(events, update_event_bus, UpdateEventBus, .resource = about_update_event_bus, .missing = "KMS keys, logs of buses"),
};

/* --- beginning and end */

static int events_start(struct cloud *cloud, void **ret_state)
{
	struct events_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (events)");
	s->cloud = cloud;
	*ret_state = s;
	s->rules = event_rules_new(cloud);
	s->connections = connections_new(cloud);
	s->deliveries = deliveries_new(cloud);
	s->firings = firings_new(s);
	s->replays = replays_new(s);
	archives_tick_start(s);
	events_listen(s);
	return 0;
}

static void events_stop(void *state)
{
	struct events_state *s = state;
	if (!s)
		return;
	events_listen(NULL);
	loop_remove_timer(s->cloud->loop, s->tick);
	replays_free(s->replays);
	firings_free(s->firings);
	deliveries_free(s->deliveries);
	connections_free(s->connections);
	event_rules_free(s->rules);
	kept_close(s->kept);
	free(s);
}

const struct service events_service = {
        .api = &events_api,
        .iam_prefix = "events",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .body_limit_bytes = 8 * 1024 * 1024, /* 1 MiB of details with every character escaped */
        .start = events_start,
        .stop = events_stop,
};
