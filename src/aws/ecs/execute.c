/* ExecuteCommand: a session of Session Manager in a container. The command starts when a client opens the session's channel. */
#include "container_instance.h"
#include "crew.h"
#include "enter.h"
#include "task.h"

#include "aws/ec2/ec2.h"
#include "aws/ssm/ssm.h"
#include "base/buf.h"
#include "base/json.h"

#define NOT_ENABLED \
	"The execute command failed because execute command was not enabled when the task was run or the execute command agent " \
	"isn't running. Wait and try again or run a new task with execute command enabled and try again."

/* Properties of the channel, as the document of AWS's has them. */
static struct str properties(struct call *c, struct str command)
{
	struct buf b;
	struct json_out o = json_out(&b);
	buf_init(&b, 1 << 20);
	json_open(&o, '{');
	json_key(&o, S("linux"));
	json_open(&o, '{');
	json_key(&o, S("commands"));
	json_string(&o, command);
	json_close(&o, '}');
	json_close(&o, '}');
	struct str text = b.overflow ? STR_NONE : arena_dup(c->arena, buf_str(&b));
	buf_done(&b);
	return text;
}

/* On a container instance the session is one of the instance's, in which the agent's guest/ecs_exec.py starts the command. The
 * session's own terminal is the command's: crun 1.8 would not pass on that its size changes. */
static bool through_instance(struct call *c, const struct state_ecs_task_record *r, const struct ecs_container *k,
                             struct ssm_session_spec *spec)
{
	static const char *const runtime[] = {ECS_ENTER_PROGRAM};
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_instance_record at = {0};
	struct str_list words = {0};
	struct str id = ecs_task_instance(r->task);
	if (!str_is(k->last_status, "RUNNING") || !ecs_instance_find(&s, r->cluster, id, &at) ||
	    !roster_connected(roster_of(c), id) || !ec2_instance_runs(c, at.instance->ec2_instance_id))
		return false;
	for (size_t i = 0; i < sizeof(runtime) / sizeof(*runtime); i++)
		*LIST_ADD(c->arena, &words) = str_from(runtime[i]);
	*LIST_ADD(c->arena, &words) = k->runtime_id;
	for (uint32_t i = 0; i < spec->words.n; i++)
		*LIST_ADD(c->arena, &words) = spec->words.v[i];
	spec->words = words;
	spec->place = at.instance->ec2_instance_id;
	spec->where = SSM_IN_INSTANCE;
	return true;
}

int ecs_execute_command(struct call *c, const struct ecs_execute_command_request *in, struct ecs_execute_command_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_task_record r = {0};
	struct ssm_session_spec *spec = arena_new(c->arena, struct ssm_session_spec);
	struct ssm_session_keys keys;
	struct str why;
	*spec = (struct ssm_session_spec){0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->interactive.v)
		return ecs_invalid(c, "Interactive is the only mode supported currently.");
	if (!ssm_words(c->arena, in->command, &spec->words))
		return ecs_invalid(c, "command must be a command line whose quotes are closed.");
	struct str id = ecs_task_id(c, cluster.cluster_name, in->task);
	if (!str_set(id) || !ecs_task_find(&s, cluster.cluster_name, id, &r))
		return ecs_invalid(c, "The referenced task was not found.");
	int index = ecs_enter_container(c->arena, r.task, in->container, &why);
	if (index < 0)
		return ecs_invalid(c, "%.*s.", STR_ARG(why));
	if (!r.task->enable_execute_command.v)
		return ecs_invalid(c, NOT_ENABLED);
	const struct ecs_container *k = &r.task->containers.v[index];
	spec->place = id;
	spec->where = SSM_IN_TASK;
	if (ecs_task_is_remote(r.task) ? !through_instance(c, &r, k, spec) : !ecs_enter_can(c->cloud, id, (unsigned)index))
		return call_fail(c, "TargetNotConnectedException", 0,
		                 "The execute command failed due to an internal error. Try again later.");
	spec->target =
	        arena_printf(c->arena, "ecs:%.*s_%.*s_%.*s", STR_ARG(cluster.cluster_name), STR_ARG(id), STR_ARG(k->runtime_id));
	spec->document = S("AmazonECS-ExecuteInteractiveCommand");
	spec->type = S("InteractiveCommands");
	spec->properties = properties(c, in->command);
	spec->container = k->name;
	if (ssm_session_begin(c, S("ecs-execute-command"), spec, &keys) != CALL_OK)
		return CALL_FAIL;
	struct ecs_session *session = arena_new(c->arena, struct ecs_session);
	*session = (struct ecs_session){.session_id = keys.id, .stream_url = keys.url, .token_value = keys.token};
	*out = (struct ecs_execute_command_response){.cluster_arn = cluster.cluster_arn,
	                                             .container_arn = k->container_arn,
	                                             .container_name = k->name,
	                                             .interactive = OPT_BOOL(true),
	                                             .session = session,
	                                             .task_arn = r.task->task_arn};
	return CALL_OK;
}
