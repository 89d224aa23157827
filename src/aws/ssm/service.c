#include "rows.h"
#include "sessions.h"

#include "aws/ec2/ec2.h"
#include "base/log.h"

#include <stdlib.h>

/* --- what permissions are about */

static void about(struct call *c, struct authz *az, struct str name)
{
	struct state_ssm_parameter_record p;
	az->resource = ssm_arn(c, name);
	az->keys = NULL;
	az->key_count = 0;
	if (ssm_find(c, name, &p))
		authz_add_tags(c, az, "aws:ResourceTag", &p.tags);
}

static int about_name(struct call *c, struct authz *az, struct str text)
{
	about(c, az, ssm_reference(c, text).name);
	return CALL_OK;
}

/* Every one must be allowed: all but the last are asked here, the last by the gate. */
static int about_names(struct call *c, struct authz *az, const struct str_list *texts)
{
	for (uint32_t i = 0; i < texts->n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		about(c, az, ssm_reference(c, texts->v[i]).name);
	}
	return CALL_OK;
}

static int about_tagged(struct call *c, struct authz *az, struct str type, struct str id)
{
	if (str_is(type, "Parameter"))
		return about_name(c, az, id);
	az->resource = S("*");
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct ssm_##type##_request *in = input; \
		return answer; \
	}
ABOUT(get_parameter, about_name(c, az, in->name))
ABOUT(get_parameters, about_names(c, az, &in->names))
ABOUT(get_parameter_history, about_name(c, az, in->name))
ABOUT(delete_parameter, about_name(c, az, in->name))
ABOUT(delete_parameters, about_names(c, az, &in->names))
ABOUT(label_parameter_version, about_name(c, az, in->name))
ABOUT(unlabel_parameter_version, about_name(c, az, in->name))
ABOUT(remove_tags_from_resource, about_tagged(c, az, in->resource_type, in->resource_id))
ABOUT(list_tags_for_resource, about_tagged(c, az, in->resource_type, in->resource_id))

/* Who may read a path may read all that is below it, whatever is said of that. */
static int about_get_parameters_by_path(struct call *c, const void *input, struct authz *az)
{
	const struct ssm_get_parameters_by_path_request *in = input;
	struct str path = in->path;
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	az->resource = ssm_arn(c, path);
	authz_add(c, az, "ssm:Recursive", in->recursive.v ? S("true") : S("false"));
	return CALL_OK;
}

static int about_describe_parameters(struct call *c, const void *input, struct authz *az)
{
	(void)input;
	az->resource = arena_printf(c->arena, "arn:aws:ssm:%.*s:%.*s:*", STR_ARG(c->region), STR_ARG(c->account));
	return CALL_OK;
}

static void add_request_tags(struct call *c, struct authz *az, const struct ssm_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

/* Tags at creation are a second permission, as they are afterwards. */
static int about_put_parameter(struct call *c, const void *input, struct authz *az)
{
	const struct ssm_put_parameter_request *in = input;
	about_name(c, az, in->name);
	add_request_tags(c, az, &in->tags);
	if (in->tags.n) {
		struct authz tagging = *az;
		tagging.action = S("ssm:AddTagsToResource");
		if (!call_authorize(c, &tagging))
			return CALL_FAIL;
	}
	authz_add(c, az, "ssm:Overwrite", in->overwrite.v ? S("true") : S("false"));
	return CALL_OK;
}

static int about_add_tags_to_resource(struct call *c, const void *input, struct authz *az)
{
	const struct ssm_add_tags_to_resource_request *in = input;
	about_tagged(c, az, in->resource_type, in->resource_id);
	add_request_tags(c, az, &in->tags);
	return CALL_OK;
}

/* --- sessions */

/* The instance, and the document too where one is named. */
static int about_start_session(struct call *c, const void *input, struct authz *az)
{
	const struct ssm_start_session_request *in = input;
	struct str name = in->document_name;
	struct str_map tags = {0};
	if (name.n) {
		bool aws = str_starts(name, S("AWS-"));
		struct authz document = {.action = S("ssm:StartSession")};
		document.resource = str_starts(name, S("arn:"))
		                            ? name
		                            : arena_printf(c->arena, "arn:aws:ssm:%.*s:%.*s:document/%.*s", STR_ARG(c->region),
		                                           STR_ARG(aws ? S("") : c->account), STR_ARG(name));
		if (!call_authorize(c, &document))
			return CALL_FAIL;
	}
	az->resource = arena_printf(c->arena, "arn:aws:ec2:%.*s:%.*s:instance/%.*s", STR_ARG(c->region), STR_ARG(c->account),
	                            STR_ARG(in->target));
	ec2_instance_tags(c, in->target, &tags);
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	authz_add_tags(c, az, "ssm:resourceTag", &tags);
	authz_add(c, az, "ssm:SessionDocumentAccessCheck", name.n ? S("true") : S("false"));
	return CALL_OK;
}

/* AWS tags a session with whose and where it is; policies ask for that. */
static int about_session(struct call *c, struct authz *az, struct str id)
{
	struct state_ssm_session_record r = {0};
	az->resource =
	        arena_printf(c->arena, "arn:aws:ssm:%.*s:%.*s:session/%.*s", STR_ARG(c->region), STR_ARG(c->account), STR_ARG(id));
	if (!ssm_session_find(c, id, &r))
		return CALL_OK;
	struct str_map tags = {0};
	*LIST_ADD(c->arena, &tags) = (struct str_map_entry){S("aws:ssmmessages:session-id"), r.owner_id};
	*LIST_ADD(c->arena, &tags) = (struct str_map_entry){S("aws:ssmmessages:target-id"), r.target};
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	authz_add_tags(c, az, "ssm:resourceTag", &tags);
	return CALL_OK;
}
ABOUT(resume_session, about_session(c, az, in->session_id))
ABOUT(terminate_session, about_session(c, az, in->session_id))

/* --- the table */

static const struct service_op ops[] = {
        OP(ssm, add_tags_to_resource, AddTagsToResource, .resource = about_add_tags_to_resource,
           .missing = "resources other than parameters"),
        OP(ssm, delete_parameter, DeleteParameter, .resource = about_delete_parameter),
        OP(ssm, delete_parameters, DeleteParameters, .resource = about_delete_parameters),
        OP(ssm, describe_parameters, DescribeParameters, .resource = about_describe_parameters, .flags = OP_READ),
        OP(ssm, describe_sessions, DescribeSessions, .flags = OP_READ),
        OP(ssm, get_connection_status, GetConnectionStatus, .flags = OP_READ),
        OP(ssm, get_parameter, GetParameter, .resource = about_get_parameter, .flags = OP_READ,
           .missing = "parameters of other accounts"),
        OP(ssm, get_parameter_history, GetParameterHistory, .resource = about_get_parameter_history, .flags = OP_READ),
        OP(ssm, get_parameters, GetParameters, .resource = about_get_parameters, .flags = OP_READ,
           .missing = "parameters of other accounts"),
        OP(ssm, get_parameters_by_path, GetParametersByPath, .resource = about_get_parameters_by_path, .flags = OP_READ),
        OP(ssm, label_parameter_version, LabelParameterVersion, .resource = about_label_parameter_version),
        OP(ssm, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ,
           .missing = "resources other than parameters"),
        OP(ssm, put_parameter, PutParameter, .resource = about_put_parameter,
           .missing = "parameter policies, the data type aws:ssm:integration"),
        OP(ssm, remove_tags_from_resource, RemoveTagsFromResource, .resource = about_remove_tags_from_resource,
           .missing = "resources other than parameters"),
        OP(ssm, resume_session, ResumeSession, .resource = about_resume_session),
        OP(ssm, start_session, StartSession, .resource = about_start_session,
           .missing = "documents other than SSM-SessionManagerRunShell and AWS-StartInteractiveCommand, targets other than "
                      "instances"),
        OP(ssm, terminate_session, TerminateSession, .resource = about_terminate_session),
        OP(ssm, unlabel_parameter_version, UnlabelParameterVersion, .resource = about_unlabel_parameter_version),
};

/* The state that start() makes reads the key again. */
static void ssm_prepare(const char *data_dir, bool ephemeral)
{
	(void)ephemeral;
	struct ssm_state s = {0};
	ssm_key_open(&s, data_dir);
	explicit_bzero(&s, sizeof(s));
}

static int ssm_start(struct cloud *cloud, void **ret_state)
{
	struct ssm_state *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (ssm)");
	s->cloud = cloud;
	int r = ssm_key_open(s, cloud->data_dir);
	if (r < 0)
		log_error("ssm: %s/ssm.key cannot be read or made, so there are no SecureStrings: %s", cloud->data_dir,
		          strerror(-r));
	cloud->seal = &s->seal;
	s->sessions = sessions_new(cloud);
	*ret_state = s;
	return 0;
}

static void ssm_stop(void *state)
{
	struct ssm_state *s = state;
	if (s) {
		s->cloud->seal = NULL;
		sessions_free(s->sessions);
		explicit_bzero(&s->seal, sizeof(s->seal));
	}
	free(s);
}

static bool ssm_busy(void *state)
{
	const struct ssm_state *s = state;
	return s && sessions_busy(s->sessions);
}

struct sessions *ssm_sessions(struct cloud *cloud)
{
	struct ssm_state *s = cloud_state(cloud, &ssm_service);
	return s->sessions;
}

struct ssm_state *ssm_state(const struct call *c)
{
	return cloud_state(c->cloud, &ssm_service);
}

const struct service ssm_service = {
        .api = &ssm_api,
        .iam_prefix = "ssm",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .prepare = ssm_prepare,
        .start = ssm_start,
        .stop = ssm_stop,
        .busy = ssm_busy,
};
