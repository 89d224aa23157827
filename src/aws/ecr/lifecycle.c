/* PutLifecyclePolicy, GetLifecyclePolicy, DeleteLifecyclePolicy, StartLifecyclePolicyPreview, GetLifecyclePolicyPreview. */
#include "aws/ecr/lifecycle.h"
#include "aws/ecr/rows.h"

enum { PREVIEW_PAGE = 100 };

static int check(struct call *c, struct str text, struct lifecycle_rules *ret)
{
	struct str why;
	if (ecr_lifecycle_read(c->arena, text, ret, &why))
		return CALL_OK;
	return ecr_invalid(c,
	                   "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
	                   "failure: %.*s'",
	                   STR_ARG(why));
}

int ecr_check_lifecycle(struct call *c, struct str text)
{
	struct lifecycle_rules rules;
	return check(c, text, &rules);
}

static void soon(struct call *c)
{
	ecr_janitor_soon(ecr_state(c)->janitor);
}

static void put_row(struct call *c, const struct ecr_place *p, const struct state_ecr_repository_record *r)
{
	record_put(call_txn(c), c->arena, ecr_repository_key(c->arena, p), ECR_ROW("Repository"), r);
}

int ecr_put_lifecycle_policy(struct call *c, const struct ecr_put_lifecycle_policy_request *in,
                             struct ecr_put_lifecycle_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct lifecycle_rules rules;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK ||
	    check(c, in->lifecycle_policy_text, &rules) != CALL_OK)
		return CALL_FAIL;
	r.lifecycle = in->lifecycle_policy_text;
	r.lifecycle_evaluated = (struct opt_time){0};
	put_row(c, &p, &r);
	call_after_commit(c, soon);
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->lifecycle_policy_text = r.lifecycle;
	return CALL_OK;
}

static int get_policy(struct call *c, struct str registry_id, struct str name, struct ecr_place *ret_place,
                      struct state_ecr_repository_record *ret)
{
	if (ecr_get(c, registry_id, name, ret_place, ret) != CALL_OK)
		return CALL_FAIL;
	if (str_set(ret->lifecycle))
		return CALL_OK;
	return call_fail(c, "LifecyclePolicyNotFoundException", 0,
	                 "Lifecycle policy does not exist for the repository with name '%.*s' in the registry with id '%.*s'",
	                 STR_ARG(ret_place->name), STR_ARG(ret_place->account));
}

int ecr_get_lifecycle_policy(struct call *c, const struct ecr_get_lifecycle_policy_request *in,
                             struct ecr_get_lifecycle_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (get_policy(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->lifecycle_policy_text = r.lifecycle;
	out->last_evaluated_at = r.lifecycle_evaluated;
	return CALL_OK;
}

int ecr_delete_lifecycle_policy(struct call *c, const struct ecr_delete_lifecycle_policy_request *in,
                                struct ecr_delete_lifecycle_policy_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	if (get_policy(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->lifecycle_policy_text = r.lifecycle;
	out->last_evaluated_at = r.lifecycle_evaluated;
	r.lifecycle = STR_NONE;
	r.lifecycle_evaluated = (struct opt_time){0};
	put_row(c, &p, &r);
	return CALL_OK;
}

/* --- previews: what would go now; the answer is kept until the next one */

static struct str preview_key(struct call *c, const struct ecr_place *p)
{
	return KEY(c->arena, S("ecr"), S("preview"), p->account, p->region, p->name);
}

int ecr_start_lifecycle_policy_preview(struct call *c, const struct ecr_start_lifecycle_policy_preview_request *in,
                                       struct ecr_start_lifecycle_policy_preview_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct lifecycle_rules rules;
	struct state_ecr_preview_record preview = {0};
	bool own = str_set(in->lifecycle_policy_text);
	if ((own ? ecr_get(c, in->registry_id, in->repository_name, &p, &r)
	         : get_policy(c, in->registry_id, in->repository_name, &p, &r)) != CALL_OK)
		return CALL_FAIL;
	preview.policy = own ? in->lifecycle_policy_text : r.lifecycle;
	if (check(c, preview.policy, &rules) != CALL_OK)
		return CALL_FAIL;
	unsigned n;
	struct lifecycle_image *images = ecr_lifecycle_images(call_txn(c), c->arena, &p, &n);
	ecr_lifecycle_apply(&rules, images, n, c->now_ms);
	for (unsigned i = 0; i < n; i++)
		if (images[i].priority)
			*LIST_ADD(c->arena, &preview.results) = (struct state_ecr_preview_result){
			        images[i].digest, images[i].tags, OPT_TIME(images[i].pushed_ms), OPT_INT(images[i].priority)};
	record_put(call_txn(c), c->arena, preview_key(c, &p), ECR_ROW("Preview"), &preview);
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->lifecycle_policy_text = preview.policy;
	out->status = S("IN_PROGRESS");
	return CALL_OK;
}

static bool result_wanted(const struct ecr_get_lifecycle_policy_preview_request *in, const struct state_ecr_preview_result *r)
{
	struct str status = in->filter ? in->filter->tag_status : STR_NONE;
	if (str_set(status) && !str_is(status, "ANY") && str_is(status, "TAGGED") != (r->tags.n > 0))
		return false;
	bool found = in->image_ids.n == 0;
	for (uint32_t i = 0; i < in->image_ids.n && !found; i++) {
		const struct ecr_image_identifier *id = &in->image_ids.v[i];
		found = str_set(id->image_digest) && str_eq(id->image_digest, r->digest);
		for (uint32_t k = 0; k < r->tags.n && str_set(id->image_tag); k++)
			found = found || str_eq(id->image_tag, r->tags.v[k]);
	}
	return found;
}

int ecr_get_lifecycle_policy_preview(struct call *c, const struct ecr_get_lifecycle_policy_preview_request *in,
                                     struct ecr_get_lifecycle_policy_preview_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_preview_record preview;
	uint64_t from = 0;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PREVIEW_PAGE;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	if (!record_get(call_txn(c), c->arena, preview_key(c, &p), ECR_ROW("Preview"), &preview))
		return call_fail(
		        c, "LifecyclePolicyPreviewNotFoundException", 0,
		        "Lifecycle policy preview does not exist for the repository with name '%.*s' in the registry with id "
		        "'%.*s'",
		        STR_ARG(p.name), STR_ARG(p.account));
	if (str_set(in->next_token) && !str_to_u64(in->next_token, &from))
		return ecr_invalid(c, "Invalid parameter at 'nextToken': the token is not one of this list");
	out->registry_id = p.account;
	out->repository_name = p.name;
	out->lifecycle_policy_text = preview.policy;
	out->status = S("COMPLETE");
	out->preview_results.set = true;
	for (uint64_t i = from; i < preview.results.n; i++) {
		const struct state_ecr_preview_result *k = &preview.results.v[i];
		if (!result_wanted(in, k))
			continue;
		if (out->preview_results.n == max) {
			out->next_token = arena_printf(c->arena, "%llu", (unsigned long long)i);
			break;
		}
		struct ecr_lifecycle_policy_preview_result *o = LIST_ADD(c->arena, &out->preview_results);
		o->image_digest = k->digest;
		o->image_tags = k->tags;
		o->image_tags.set = k->tags.n > 0;
		o->image_pushed_at = k->pushed;
		o->applied_rule_priority = k->priority;
		o->action = arena_new(c->arena, struct ecr_lifecycle_policy_rule_action);
		o->action->type = S("EXPIRE");
	}
	out->summary = arena_new(c->arena, struct ecr_lifecycle_policy_preview_summary);
	out->summary->expiring_image_total_count = OPT_INT(preview.results.n);
	return CALL_OK;
}
