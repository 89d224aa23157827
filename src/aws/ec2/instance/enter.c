#include "aws/ec2/instance/enter.h"

#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/instances.h"
#include "core/gate.h"
#include "engine/vm/machine.h"

struct machine *ec2_enter_machine(struct cloud *cloud, struct str id)
{
	struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	struct desk_item *i = ec2->desk ? desk_item(ec2->desk, id) : NULL;
	return i && i->running ? i->machine : NULL;
}

bool ec2_instance_runs(struct call *c, struct str id)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	return ec2_find(&s, &ec2_kind_instance, id, &r) && ec2_enter_machine(c->cloud, id);
}

void ec2_instance_tags(struct call *c, struct str id, struct str_map *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (!ec2_find(&s, &ec2_kind_instance, id, &r))
		return;
	for (uint32_t k = 0; k < r.instance->tags.n; k++)
		*LIST_ADD(c->arena, ret) =
		        (struct str_map_entry){.key = r.instance->tags.v[k].key, .value = r.instance->tags.v[k].value};
}

static struct machine *running(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                               const char *action, struct str region, struct str id, unsigned *ret_status, struct str *ret_why)
{
	struct store_txn *t = store_begin(cloud->store, a);
	struct ec2_scope s = {.txn = t, .arena = a, .account = who->account, .region = region};
	struct state_ec2_instance_record record;
	struct authz az = {.action = str_from(action)};
	struct str_map tags = {0};
	bool known = ec2_find(&s, &ec2_kind_instance, id, &record);
	store_abort(t);
	az.resource = arena_printf(a, "arn:aws:ec2:%.*s:%.*s:instance/%.*s", STR_ARG(region), STR_ARG(who->account), STR_ARG(id));
	for (uint32_t k = 0; known && k < record.instance->tags.n; k++)
		*LIST_ADD(a, &tags) =
		        (struct str_map_entry){.key = record.instance->tags.v[k].key, .value = record.instance->tags.v[k].value};
	*ret_status = 403;
	/* who may not enter is not told either whether it is there */
	if (!gate_may(cloud->gate, r, who, region, &az, &tags, ret_why))
		return NULL;
	struct machine *m = known ? ec2_enter_machine(cloud, id) : NULL;
	*ret_status = known ? 409 : 404;
	if (!known)
		*ret_why = arena_printf(a, "The instance ID '%.*s' does not exist", STR_ARG(id));
	else if (!m)
		*ret_why = arena_printf(a, "The instance '%.*s' is %.*s and does not run", STR_ARG(id),
		                        STR_ARG(record.instance->state->name));
	else
		return m;
	return NULL;
}

struct machine *ec2_enter(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                          struct str region, struct str id, unsigned *ret_status, struct str *ret_why)
{
	return running(cloud, r, a, who, "ssm:StartSession", region, id, ret_status, ret_why);
}

bool ec2_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
             struct str id, struct workload_use *ret, unsigned *ret_status, struct str *ret_why)
{
	struct machine_usage use;
	struct machine *m = running(cloud, r, a, who, "ec2:DescribeInstances", region, id, ret_status, ret_why);
	if (!m)
		return false;
	machine_usage(m, &use);
	machine_look(m);
	*ret = (struct workload_use){.cpu_us = use.cpu_us, .memory_bytes = use.memory_bytes, .at_us = use.at_us};
	return true;
}
