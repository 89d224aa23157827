/* Task definitions: RegisterTaskDefinition, DescribeTaskDefinition, DeregisterTaskDefinition, DeleteTaskDefinitions.
 *
 * A family's record counts its revisions and remembers the last number, which is never given again, even when all are deleted. */
#include "task.h"

enum { REVISIONS_MAX = 1000000, DELETED_MAX = 10 };

const struct record_type ecs_definition_row = {&state_ecs_api, "DefinitionRecord"},
                         ecs_family_row = {&state_ecs_api, "FamilyRecord"};

/* --- rows */

struct str ecs_families_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("ecs"), S("family"), c->account, c->region);
}

static struct str family_key(struct call *c, struct str family)
{
	return KEY(c->arena, S("ecs"), S("family"), c->account, c->region, family);
}

struct str ecs_definitions_under(struct call *c, struct str family)
{
	if (!str_set(family))
		return KEY_UNDER(c->arena, S("ecs"), S("definition"), c->account, c->region);
	return KEY_UNDER(c->arena, S("ecs"), S("definition"), c->account, c->region, family);
}

struct str ecs_definition_key(struct call *c, struct str family, int64_t revision)
{
	return KEY(c->arena, S("ecs"), S("definition"), c->account, c->region, family,
	           arena_printf(c->arena, "%08lld", (long long)revision));
}

bool ecs_definition_name(struct call *c, struct str text, struct ecs_definition_name *ret)
{
	struct str rest = ecs_of_arn(c, "task-definition", text), family = str_cut(&rest, ':');
	int64_t revision = 0;
	if (!ecs_name_good(family) || (str_set(rest) && (!str_to_i64(rest, &revision) || revision < 1 || revision > INT32_MAX)))
		return false;
	*ret = (struct ecs_definition_name){family, revision};
	return true;
}

static bool read_row(struct call *c, struct str value, struct state_ecs_definition_record *ret)
{
	return record_read(c->arena, value, &ecs_definition_row, ret);
}

bool ecs_definition_find(struct call *c, const struct ecs_definition_name *name, struct state_ecs_definition_record *ret)
{
	if (name->revision)
		return record_get(call_txn(c), c->arena, ecs_definition_key(c, name->family, name->revision), &ecs_definition_row,
		                  ret);
	struct ecs_walk w;
	if (ecs_walk_begin(c, &w, ecs_definitions_under(c, name->family), STR_NONE, true) != CALL_OK)
		return false;
	while (ecs_walk_next(&w))
		if (read_row(c, w.value, ret) && str_is(ret->definition->status, "ACTIVE"))
			return true;
	return false;
}

bool ecs_definition_in(const struct ecs_scope *s, struct str arn, struct state_ecs_definition_record *ret)
{
	struct str name = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1), family = str_cut(&name, ':');
	int64_t revision;
	if (!str_to_i64(name, &revision))
		return false;
	struct str key = KEY(s->arena, S("ecs"), S("definition"), s->account, s->region, family,
	                     arena_printf(s->arena, "%08lld", (long long)revision));
	return record_get(s->txn, s->arena, key, &ecs_definition_row, ret);
}

void ecs_definition_put(struct call *c, const struct state_ecs_definition_record *r)
{
	record_put(call_txn(c), c->arena, ecs_definition_key(c, r->definition->family, r->definition->revision.v),
	           &ecs_definition_row, r);
}

static void count(struct call *c, struct str family, int64_t active, int64_t inactive)
{
	struct state_ecs_family_record f = {0};
	record_get(call_txn(c), c->arena, family_key(c, family), &ecs_family_row, &f);
	f.active = OPT_INT(f.active.v + active);
	f.inactive = OPT_INT(f.inactive.v + inactive);
	record_put(call_txn(c), c->arena, family_key(c, family), &ecs_family_row, &f);
}

/* What AWS shows of a definition, empty lists included. */
static struct ecs_task_definition *show(struct call *c, const struct ecs_task_definition *d)
{
	struct ecs_task_definition *shown = arena_new(c->arena, struct ecs_task_definition);
	*shown = *d;
	shown->volumes.set = shown->placement_constraints.set = true;
	for (uint32_t i = 0; i < shown->container_definitions.n; i++) {
		struct ecs_container_definition *k = &shown->container_definitions.v[i];
		k->port_mappings.set = k->environment.set = k->mount_points.set = k->volumes_from.set = k->system_controls.set =
		        true;
	}
	return shown;
}

/* --- register */

int ecs_role_take(struct call *c, struct str given, struct str *ret)
{
	if (!given.n) {
		*ret = STR_NONE;
		return CALL_OK;
	}
	struct str head = arena_printf(c->arena, "arn:aws:iam::%.*s:role/", STR_ARG(c->account));
	if (!str_starts(given, S("arn:")))
		*ret = ARENA_CAT(c->arena, head, given);
	else if (str_starts(given, head) && given.n > head.n)
		*ret = given;
	else
		return ecs_client_error(c, "Role is not valid");
	struct authz az = {.action = S("iam:PassRole"), .resource = *ret};
	authz_add(c, &az, "iam:PassedToService", S("ecs-tasks.amazonaws.com"));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

static int next_revision(struct call *c, struct str family, int64_t *ret)
{
	struct state_ecs_family_record f = {0};
	record_get(call_txn(c), c->arena, family_key(c, family), &ecs_family_row, &f);
	if (f.last.v >= REVISIONS_MAX)
		return call_fail(c, "LimitExceededException", 400, "A task definition family can have at most %d revisions.",
		                 REVISIONS_MAX);
	f.last = OPT_INT(f.last.v + 1);
	f.active = OPT_INT(f.active.v + 1);
	record_put(call_txn(c), c->arena, family_key(c, family), &ecs_family_row, &f);
	*ret = f.last.v;
	return CALL_OK;
}

int ecs_register_task_definition(struct call *c, const struct ecs_register_task_definition_request *in,
                                 struct ecs_register_task_definition_response *out)
{
	struct ecs_task_definition d = {
	        .family = in->family,
	        .network_mode = in->network_mode,
	        .container_definitions = in->container_definitions,
	        .volumes = in->volumes,
	        .placement_constraints = in->placement_constraints,
	        .requires_compatibilities = in->requires_compatibilities,
	        .cpu = in->cpu.n ? in->cpu : STR_NONE,
	        .memory = in->memory.n ? in->memory : STR_NONE,
	        .pid_mode = in->pid_mode,
	        .ipc_mode = in->ipc_mode,
	        .proxy_configuration = in->proxy_configuration,
	        .inference_accelerators = in->inference_accelerators,
	        .ephemeral_storage = in->ephemeral_storage,
	        .runtime_platform = in->runtime_platform,
	        .enable_fault_injection = in->enable_fault_injection,
	        .status = S("ACTIVE"),
	        .registered_at = OPT_TIME(c->now_ms),
	        .registered_by = c->caller->arn,
	};
	if (ecs_role_take(c, in->task_role_arn, &d.task_role_arn) != CALL_OK ||
	    ecs_role_take(c, in->execution_role_arn, &d.execution_role_arn) != CALL_OK || ecs_definition_check(c, &d) != CALL_OK ||
	    ecs_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	int64_t revision;
	if (next_revision(c, d.family, &revision) != CALL_OK)
		return CALL_FAIL;
	d.revision = OPT_INT(revision);
	d.task_definition_arn =
	        ecs_arn(c, arena_printf(c->arena, "task-definition/%.*s:%lld", STR_ARG(d.family), (long long)revision));
	ecs_definition_attributes(c, &d);
	struct state_ecs_definition_record r = {.definition = &d, .tags = in->tags};
	ecs_definition_put(c, &r);
	out->task_definition = show(c, &d);
	out->tags = in->tags;
	return CALL_OK;
}

/* --- the others */

int ecs_describe_task_definition(struct call *c, const struct ecs_describe_task_definition_request *in,
                                 struct ecs_describe_task_definition_response *out)
{
	struct ecs_definition_name name;
	struct state_ecs_definition_record r;
	if (!ecs_definition_name(c, in->task_definition, &name) || !ecs_definition_find(c, &name, &r))
		return ecs_client_error(c, "Unable to describe task definition.");
	out->task_definition = show(c, r.definition);
	for (uint32_t i = 0; i < in->include.n; i++)
		if (str_is(in->include.v[i], "TAGS"))
			out->tags = r.tags;
	out->tags.set = true;
	return CALL_OK;
}

static int get_revision(struct call *c, struct str text, struct state_ecs_definition_record *ret)
{
	struct ecs_definition_name name;
	if (!ecs_definition_name(c, text, &name))
		return ecs_client_error(
		        c,
		        "The specified task definition does not exist. Specify a valid account, family, revision and try again.");
	if (!name.revision)
		return ecs_client_error(c, "Revision is missing.");
	if (!ecs_definition_find(c, &name, ret))
		return ecs_client_error(
		        c,
		        "The specified task definition does not exist. Specify a valid account, family, revision and try again.");
	return CALL_OK;
}

int ecs_deregister_task_definition(struct call *c, const struct ecs_deregister_task_definition_request *in,
                                   struct ecs_deregister_task_definition_response *out)
{
	struct state_ecs_definition_record r;
	if (get_revision(c, in->task_definition, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.definition->status, "DELETE_IN_PROGRESS"))
		return ecs_client_error(c, "The specified task definition is being deleted.");
	if (str_is(r.definition->status, "ACTIVE")) {
		r.definition->status = S("INACTIVE");
		r.definition->deregistered_at = OPT_TIME(c->now_ms);
		ecs_definition_put(c, &r);
		count(c, r.definition->family, -1, 1);
	}
	out->task_definition = show(c, r.definition);
	return CALL_OK;
}

static bool delete_one(struct call *c, struct str text, struct ecs_delete_task_definitions_response *out)
{
	struct state_ecs_definition_record r;
	struct ecs_definition_name name;
	if (!ecs_definition_name(c, text, &name) || !name.revision)
		return false;
	if (!ecs_definition_find(c, &name, &r)) {
		ecs_failure(c, &out->failures, text, "MISSING");
		return true;
	}
	if (str_is(r.definition->status, "ACTIVE")) {
		*LIST_ADD(c->arena, &out->failures) = (struct ecs_failure){
		        .arn = r.definition->task_definition_arn,
		        .reason = S("TASK_DEFINITION_ACTIVE"),
		        .detail = S(
		                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."),
		};
		return true;
	}
	r.definition->status = S("DELETE_IN_PROGRESS");
	r.definition->delete_requested_at = OPT_TIME(c->now_ms);
	store_delete(call_txn(c), ecs_definition_key(c, name.family, name.revision));
	count(c, name.family, 0, -1);
	*LIST_ADD(c->arena, &out->task_definitions) = *show(c, r.definition);
	return true;
}

int ecs_delete_task_definitions(struct call *c, const struct ecs_delete_task_definitions_request *in,
                                struct ecs_delete_task_definitions_response *out)
{
	out->task_definitions.set = out->failures.set = true;
	if (!in->task_definitions.n || in->task_definitions.n > DELETED_MAX)
		return ecs_invalid(c, "taskDefinitions must have from 1 to %d items.", DELETED_MAX);
	for (uint32_t i = 0; i < in->task_definitions.n; i++)
		if (!delete_one(c, in->task_definitions.v[i], out))
			return ecs_client_error(c, "Revision is missing.");
	return CALL_OK;
}
