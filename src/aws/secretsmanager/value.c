/* PutSecretValue, GetSecretValue, BatchGetSecretValue, UpdateSecretVersionStage, ListSecretVersionIds. */
#include "rows.h"

#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"

int secretsmanager_put_secret_value(struct call *c, const struct secretsmanager_put_secret_value_request *in,
                                    struct secretsmanager_put_secret_value_response *out)
{
	struct secret s;
	struct str_list stages = in->version_stages;
	bool new;
	if (str_set(in->secret_string) == str_set(in->secret_binary))
		return secret_invalid(
		        c, str_set(in->secret_string)
		                   ? "You can't specify both a binary secret value and a string secret value in the same "
		                     "secret."
		                   : "You must provide either SecretString or SecretBinary.");
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || secret_unowned(c, &s) != CALL_OK)
		return CALL_FAIL;
	struct str token = str_set(in->client_request_token) ? in->client_request_token : id_uuid(c->arena);
	if (!stages.n)
		*LIST_ADD(c->arena, &stages) = SECRET_CURRENT;
	if (secret_add(c, &s, token, in->secret_string, in->secret_binary, &stages, &out->version_id, &new) != CALL_OK)
		return CALL_FAIL;
	if (new)
		secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	out->version_stages = secret_version(&s, out->version_id)->stages;
	out->version_stages.set = true;
	return CALL_OK;
}

/* The day of the last use is kept, and written once a day. */
static void used(struct call *c, const struct secret *s, struct state_secretsmanager_version *v)
{
	int64_t day = c->now_ms - c->now_ms % SECRET_DAY_MS;
	if (v->accessed.set && v->accessed.ms == day)
		return;
	v->accessed = OPT_TIME(day);
	record_put(call_txn(c), c->arena, secret_key(c->arena, s->account, c->region, s->r.name), &secret_row, &s->r);
}

static int get(struct call *c, struct secret *s, struct str version, struct str stage,
               struct secretsmanager_secret_value_entry *ret)
{
	struct state_secretsmanager_version *v;
	if (secret_choose(c, s, version, stage, &v) != CALL_OK ||
	    secret_open(c, s, v, &ret->secret_string, &ret->secret_binary) != CALL_OK)
		return CALL_FAIL;
	ret->arn = s->arn;
	ret->name = s->r.name;
	ret->version_id = v->id;
	ret->version_stages = v->stages;
	ret->created_date = v->created;
	used(c, s, v);
	return CALL_OK;
}

int secretsmanager_get_secret_value(struct call *c, const struct secretsmanager_get_secret_value_request *in,
                                    struct secretsmanager_get_secret_value_response *out)
{
	struct secret s;
	struct secretsmanager_secret_value_entry e = {0};
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || get(c, &s, in->version_id, in->version_stage, &e) != CALL_OK)
		return CALL_FAIL;
	*out = (struct secretsmanager_get_secret_value_response){.arn = e.arn,
	                                                         .name = e.name,
	                                                         .version_id = e.version_id,
	                                                         .secret_binary = e.secret_binary,
	                                                         .secret_string = e.secret_string,
	                                                         .version_stages = e.version_stages,
	                                                         .created_date = e.created_date};
	return CALL_OK;
}

bool secret_readable(struct call *c, const struct secret *s)
{
	struct authz az = {.action = S("secretsmanager:GetSecretValue"),
	                   .resource = s->arn,
	                   .resource_account = s->account,
	                   .resource_policy = s->r.policy};
	authz_add_tags(c, &az, "aws:ResourceTag", &s->r.tags);
	authz_add_tags(c, &az, "secretsmanager:ResourceTag", &s->r.tags);
	authz_add(c, &az, "secretsmanager:SecretId", s->arn);
	return call_authorize(c, &az);
}

int secretsmanager_read(struct call *c, struct str id, struct str version, struct str stage, struct secret_seen *ret)
{
	struct secret s;
	struct secretsmanager_secret_value_entry e = {0};
	if (secret_find(c, id, false, &s) != CALL_OK || !secret_readable(c, &s) || get(c, &s, version, stage, &e) != CALL_OK)
		return CALL_FAIL;
	*ret = (struct secret_seen){.arn = e.arn, .version = e.version_id, .text = e.secret_string, .created = e.created_date};
	if (!str_set(e.secret_string))
		return CALL_OK;
	struct buf CLEAN_BUF b = {0};
	struct json_out o = json_out(&b);
	buf_init(&b, 1 << 20);
	json_open(&o, '{');
	json_key(&o, S("ARN"));
	json_string(&o, e.arn);
	json_key(&o, S("name"));
	json_string(&o, e.name);
	json_key(&o, S("versionId"));
	json_string(&o, e.version_id);
	json_key(&o, S("secretString"));
	json_string(&o, e.secret_string);
	json_key(&o, S("versionStages"));
	json_open(&o, '[');
	for (uint32_t i = 0; i < e.version_stages.n; i++)
		json_string(&o, e.version_stages.v[i]);
	json_close(&o, ']');
	json_key(&o, S("createdDate"));
	json_double(&o, (double)e.created_date.ms / 1000);
	json_close(&o, '}');
	ret->json = arena_dup(c->arena, buf_str(&b));
	return CALL_OK;
}

/* --- several at once: each needs GetSecretValue's own permission */

static void add(struct call *c, struct secret *s, struct secretsmanager_batch_get_secret_value_response *out)
{
	struct secretsmanager_secret_value_entry e = {0};
	if (secret_readable(c, s) && get(c, s, STR_NONE, STR_NONE, &e) == CALL_OK)
		*LIST_ADD(c->arena, &out->secret_values) = e;
	else
		*LIST_ADD(c->arena, &out->errors) = (struct secretsmanager_api_error_type){
		        .secret_id = s->arn, .error_code = c->error.code, .message = c->error.message};
	c->error = (struct call_error){0};
}

static int batch_filtered(struct call *c, const struct secretsmanager_batch_get_secret_value_request *in,
                          struct secretsmanager_batch_get_secret_value_response *out)
{
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 20, n = 0;
	struct str under = secret_under(c->arena, c->account, c->region), key, from = under;
	struct store_value v;
	struct str_list names = {0};
	struct state_secretsmanager_secret_record r;
	if (str_set(in->next_token))
		from = ARENA_CAT(c->arena, secret_key(c->arena, c->account, c->region, in->next_token), str_of("", 1));
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &secret_row, &r) || r.deleted.set || !secret_matches(&r, &in->filters))
			continue;
		if (n++ == limit) {
			out->next_token = names.v[names.n - 1];
			break;
		}
		*LIST_ADD(c->arena, &names) = r.name;
	}
	for (uint32_t k = 0; k < names.n; k++) {
		struct secret s;
		if (secret_look(c, names.v[k], &s))
			add(c, &s, out);
	}
	return CALL_OK;
}

int secretsmanager_batch_get_secret_value(struct call *c, const struct secretsmanager_batch_get_secret_value_request *in,
                                          struct secretsmanager_batch_get_secret_value_response *out)
{
	out->secret_values.set = out->errors.set = true;
	if ((in->secret_id_list.n > 0) == (in->filters.n > 0))
		return secret_invalid(c, "You must provide either SecretIdList or Filters, and not both.");
	if (in->filters.n)
		return batch_filtered(c, in, out);
	for (uint32_t i = 0; i < in->secret_id_list.n; i++) {
		struct secret s;
		if (secret_find(c, in->secret_id_list.v[i], false, &s) == CALL_OK)
			add(c, &s, out);
		else
			*LIST_ADD(c->arena, &out->errors) = (struct secretsmanager_api_error_type){
			        .secret_id = in->secret_id_list.v[i], .error_code = c->error.code, .message = c->error.message};
		c->error = (struct call_error){0};
	}
	return CALL_OK;
}

/* --- labels */

int secretsmanager_update_secret_version_stage(struct call *c, const struct secretsmanager_update_secret_version_stage_request *in,
                                               struct secretsmanager_update_secret_version_stage_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || secret_unowned(c, &s) != CALL_OK)
		return CALL_FAIL;
	struct state_secretsmanager_version *on = secret_staged(&s, in->version_stage);
	if (!str_set(in->move_to_version_id) && !str_set(in->remove_from_version_id))
		return secret_invalid(c, "You must provide MoveToVersionId, RemoveFromVersionId, or both.");
	if (str_set(in->remove_from_version_id) && !secret_version(&s, in->remove_from_version_id))
		return secret_no_version(c, "VersionId", in->remove_from_version_id);
	if (str_set(in->move_to_version_id) && !secret_version(&s, in->move_to_version_id))
		return secret_no_version(c, "VersionId", in->move_to_version_id);
	bool elsewhere = on && !(str_set(in->move_to_version_id) && str_eq(on->id, in->move_to_version_id));
	if (elsewhere && !str_set(in->remove_from_version_id))
		return secret_invalid(
		        c,
		        "The parameter RemoveFromVersionId can't be empty. Staging label %.*s is currently attached to version "
		        "%.*s, so you must explicitly reference that version in RemoveFromVersionId.",
		        STR_ARG(in->version_stage), STR_ARG(on->id));
	if (str_set(in->remove_from_version_id) && (!on || !str_eq(on->id, in->remove_from_version_id)))
		return secret_invalid(c, "Staging label %.*s isn't attached to version %.*s.", STR_ARG(in->version_stage),
		                      STR_ARG(in->remove_from_version_id));
	if (!str_set(in->move_to_version_id) && str_eq(in->version_stage, SECRET_CURRENT))
		return secret_invalid(
		        c, "You can only move staging label AWSCURRENT to a different secret version. It can't be completely "
		           "removed.");
	if (str_set(in->move_to_version_id))
		secret_stage(c->arena, &s, in->move_to_version_id, in->version_stage);
	else
		secret_unstage(on, in->version_stage);
	s.r.changed = OPT_TIME(c->now_ms);
	secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}

int secretsmanager_list_secret_version_ids(struct call *c, const struct secretsmanager_list_secret_version_ids_request *in,
                                           struct secretsmanager_list_secret_version_ids_response *out)
{
	struct secret s;
	uint64_t from = 0;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : SECRET_VERSIONS_MAX;
	if (secret_find(c, in->secret_id, true, &s) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->next_token) && !str_to_u64(in->next_token, &from))
		return call_fail(c, "InvalidNextTokenException", 0, "The NextToken value is invalid.");
	out->arn = s.arn;
	out->name = s.r.name;
	out->versions.set = true;
	for (uint32_t i = from < s.r.versions.n ? (uint32_t)from : s.r.versions.n; i < s.r.versions.n; i++) {
		const struct state_secretsmanager_version *v = &s.r.versions.v[i];
		if (!v->stages.n && !in->include_deprecated.v)
			continue;
		if (out->versions.n == limit) {
			out->next_token = arena_printf(c->arena, "%u", i);
			break;
		}
		struct secretsmanager_secret_versions_list_entry *e = LIST_ADD(c->arena, &out->versions);
		*e = (struct secretsmanager_secret_versions_list_entry){
		        .version_id = v->id, .last_accessed_date = v->accessed, .created_date = v->created};
		if (v->stages.n)
			e->version_stages = v->stages;
		if (str_set(v->key_arn))
			*LIST_ADD(c->arena, &e->kms_key_ids) = v->key_arn;
	}
	return CALL_OK;
}
