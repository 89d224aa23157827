/* ListServiceDeployments, DescribeServiceDeployments, DescribeServiceRevisions, StopServiceDeployment. */
#include "deployment.h"

#include "service_look.h"

enum { DESCRIBED_MAX = 20, LISTED_MAX = 100 };

struct name {
	struct str cluster, service, id;
};

/* arn:aws:ecs:REGION:ACCOUNT:TYPE/CLUSTER/SERVICE/ID */
static bool read_arn(struct call *c, const char *type, struct str arn, struct name *ret)
{
	struct str rest = str_starts(arn, S("arn:")) ? ecs_of_arn(c, type, arn) : STR_NONE;
	if (!str_set(rest))
		return false;
	*ret = (struct name){.cluster = str_cut(&rest, '/'), .service = str_cut(&rest, '/')};
	ret->id = rest;
	return ecs_name_good(ret->cluster) && ecs_name_good(ret->service) && ecs_name_good(ret->id);
}

static int bad_arn(struct call *c, struct str arn)
{
	return ecs_invalid(c, "Invalid identifier: %.*s", STR_ARG(arn));
}

/* --- lists */

static bool passes(const struct ecs_list_service_deployments_request *in, const struct ecs_service_deployment *d)
{
	bool status = !in->status.n;
	for (uint32_t i = 0; i < in->status.n; i++)
		status = status || str_eq(in->status.v[i], d->status);
	const struct ecs_created_at *t = in->created_at;
	return status && (!t || !t->before.set || d->created_at.ms < t->before.ms) &&
	       (!t || !t->after.set || d->created_at.ms > t->after.ms);
}

static struct ecs_service_deployment_brief brief(const struct ecs_service_deployment *d)
{
	return (struct ecs_service_deployment_brief){.service_deployment_arn = d->service_deployment_arn,
	                                             .service_arn = d->service_arn,
	                                             .cluster_arn = d->cluster_arn,
	                                             .started_at = d->started_at,
	                                             .created_at = d->created_at,
	                                             .finished_at = d->finished_at,
	                                             .target_service_revision_arn = d->target_service_revision->arn,
	                                             .status = d->status,
	                                             .status_reason = d->status_reason};
}

/* The token is the ARN that was listed last. */
int ecs_list_service_deployments(struct call *c, const struct ecs_list_service_deployments_request *in,
                                 struct ecs_list_service_deployments_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_service_record r = {0};
	uint32_t limit, at = 0;
	out->service_deployments.set = true;
	if (ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK ||
	    ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str name = ecs_service_name(c, cluster.cluster_name, in->service);
	if (!str_set(name) || !ecs_service_find(&s, cluster.cluster_name, name, &r))
		return call_fail(c, "ServiceNotFoundException", 400, "Service not found.");
	struct ecs_service_deployments all = ecs_deployments_of(&s, r.cluster, r.name);
	if (in->next_token.n) {
		while (at < all.n && !str_eq(all.v[at].service_deployment_arn, in->next_token))
			at++;
		if (at++ == all.n)
			return ecs_invalid(c, "Invalid token value.");
	}
	for (; at < all.n; at++) {
		if (!passes(in, &all.v[at]))
			continue;
		if (out->service_deployments.n == limit) {
			out->next_token = out->service_deployments.v[limit - 1].service_deployment_arn;
			break;
		}
		*LIST_ADD(c->arena, &out->service_deployments) = brief(&all.v[at]);
	}
	return CALL_OK;
}

static int check_arns(struct call *c, const struct str_list *arns, const char *type, const char *what)
{
	struct name n;
	if (!arns->n)
		return ecs_invalid(c, "%s cannot be empty.", what);
	if (arns->n > DESCRIBED_MAX)
		return ecs_invalid(c, "%s can have at most %d items.", what, DESCRIBED_MAX);
	for (uint32_t i = 0; i < arns->n; i++)
		if (!read_arn(c, type, arns->v[i], &n))
			return bad_arn(c, arns->v[i]);
	return CALL_OK;
}

int ecs_describe_service_deployments(struct call *c, const struct ecs_describe_service_deployments_request *in,
                                     struct ecs_describe_service_deployments_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct name n;
	out->service_deployments.set = out->failures.set = true;
	if (check_arns(c, &in->service_deployment_arns, "service-deployment", "serviceDeploymentArns") != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->service_deployment_arns.n; i++) {
		struct ecs_service_deployment d = {0};
		struct str arn = in->service_deployment_arns.v[i];
		read_arn(c, "service-deployment", arn, &n);
		if (ecs_deployment_find(&s, n.cluster, n.service, n.id, &d))
			*LIST_ADD(c->arena, &out->service_deployments) = d;
		else
			ecs_failure(c, &out->failures, arn, "MISSING");
	}
	return CALL_OK;
}

int ecs_describe_service_revisions(struct call *c, const struct ecs_describe_service_revisions_request *in,
                                   struct ecs_describe_service_revisions_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct name n;
	out->service_revisions.set = out->failures.set = true;
	if (check_arns(c, &in->service_revision_arns, "service-revision", "serviceRevisionArns") != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->service_revision_arns.n; i++) {
		struct ecs_service_revision v = {0};
		struct str arn = in->service_revision_arns.v[i];
		read_arn(c, "service-revision", arn, &n);
		if (ecs_revision_find(&s, n.cluster, n.service, n.id, &v))
			*LIST_ADD(c->arena, &out->service_revisions) = v;
		else
			ecs_failure(c, &out->failures, arn, "MISSING");
	}
	return CALL_OK;
}

/* --- stopping */

int ecs_stop_service_deployment(struct call *c, const struct ecs_stop_service_deployment_request *in,
                                struct ecs_stop_service_deployment_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_service_deployment d = {0};
	struct state_ecs_service_record r = {0};
	struct name n;
	if (!read_arn(c, "service-deployment", in->service_deployment_arn, &n))
		return bad_arn(c, in->service_deployment_arn);
	if (!ecs_deployment_find(&s, n.cluster, n.service, n.id, &d) || !ecs_service_find(&s, n.cluster, n.service, &r))
		return call_fail(c, "ServiceDeploymentNotFoundException", 400, "The service deployment was not found.");
	out->service_deployment_arn = d.service_deployment_arn;
	if (ecs_deployment_over(&d))
		return call_fail(c, "ConflictException", 400, "The service deployment is %.*s and cannot be stopped.",
		                 STR_ARG(d.status));
	if (d.rollback) /* on its way back, it goes on */
		return CALL_OK;
	if (str_is(in->stop_type, "ABORT")) {
		struct str why = S("The service deployment was stopped by StopServiceDeployment.");
		service_give_up(&r, why, c->now_ms);
		ecs_deployment_end(&s, &r, "STOPPED", why, c->now_ms);
	} else if (service_can_roll_back(&r)) {
		service_give_up(&r, S("The service deployment was stopped by StopServiceDeployment."), c->now_ms);
		service_roll_back(&s, &r, S("Service deployment stopped by StopServiceDeployment:"), c->now_ms);
	} else {
		return call_fail(c, "ConflictException", 400,
		                 "The service deployment cannot be rolled back: there is no service revision that was deployed "
		                 "before it.");
	}
	ecs_service_put(&s, &r);
	return CALL_OK;
}

/* Deployments wait at lifecycle hooks, and none has such. */
int ecs_continue_service_deployment(struct call *c, const struct ecs_continue_service_deployment_request *in,
                                    struct ecs_continue_service_deployment_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_service_deployment d = {0};
	struct name n;
	(void)out;
	if (!read_arn(c, "service-deployment", in->service_deployment_arn, &n))
		return bad_arn(c, in->service_deployment_arn);
	if (!ecs_deployment_find(&s, n.cluster, n.service, n.id, &d))
		return call_fail(c, "ServiceDeploymentNotFoundException", 400, "The service deployment was not found.");
	return ecs_invalid(c, "The service deployment is %.*s and does not wait at the lifecycle hook '%.*s'.", STR_ARG(d.status),
	                   STR_ARG(in->hook_id));
}
