/* CreateSecret, UpdateSecret, DescribeSecret, DeleteSecret, RestoreSecret. */
#include "rows.h"

#include "base/id.h"
#include "base/rand.h"

enum { WINDOW_MIN = 7, WINDOW_MAX = 30 };

static int check_value(struct call *c, struct str text, struct str bytes)
{
	return str_set(text) && str_set(bytes) ? secret_invalid(c, "You must specify exactly one of SecretString and SecretBinary.")
	                                       : CALL_OK;
}

static int check_name(struct call *c, struct str name)
{
	bool good = name.n > 0;
	for (size_t i = 0; i < name.n; i++)
		good = good && (ascii_is_alnum(name.p[i]) || str_find_char(S("/_+=.@-"), name.p[i]) >= 0);
	return good ? CALL_OK
	            : secret_invalid(
	                      c, "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: "
	                         "-/_+=.@!");
}

/* Letters and digits, so that a name with them is no other secret's ARN. */
struct str secret_suffix(struct arena *a)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	char *text = arena_alloc(a, SECRET_SUFFIX);
	for (int i = 0; i < SECRET_SUFFIX; i++)
		text[i] = set[rand_below(sizeof(set) - 1)];
	return str_of(text, SECRET_SUFFIX);
}

/* Made before with the same token, it is answered again. */
static int there_already(struct call *c, const struct secretsmanager_create_secret_request *in, struct secret *s,
                         struct secretsmanager_create_secret_response *out)
{
	bool new;
	struct str_list none = {0};
	if (s->r.deleted.set)
		return secret_refused(
		        c, "You can't create this secret because a secret with this name is already scheduled for deletion.");
	if (!str_set(in->client_request_token) || !secret_version(s, in->client_request_token) ||
	    (!str_set(in->secret_string) && !str_set(in->secret_binary)))
		return call_fail(c, "ResourceExistsException", 0, "The operation failed because the secret %.*s already exists.",
		                 STR_ARG(in->name));
	if (secret_add(c, s, in->client_request_token, in->secret_string, in->secret_binary, &none, &out->version_id, &new) !=
	    CALL_OK)
		return CALL_FAIL;
	out->arn = s->arn;
	out->name = s->r.name;
	return CALL_OK;
}

int secretsmanager_create_secret(struct call *c, const struct secretsmanager_create_secret_request *in,
                                 struct secretsmanager_create_secret_response *out)
{
	struct secret s = {.account = c->account};
	struct str_list current = {0};
	bool new;
	if (check_name(c, in->name) != CALL_OK || check_value(c, in->secret_string, in->secret_binary) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->type))
		return secret_refused(c, "Secrets of other services are not supported by this cloud.");
	if (secret_look(c, in->name, &s))
		return there_already(c, in, &s, out);
	s.r = (struct state_secretsmanager_secret_record){.name = in->name,
	                                                  .suffix = secret_suffix(c->arena),
	                                                  .description = in->description,
	                                                  .key = in->kms_key_id,
	                                                  .created = OPT_TIME(c->now_ms),
	                                                  .changed = OPT_TIME(c->now_ms)};
	s.arn = secret_arn(c->arena, c->account, c->region, &s.r);
	*LIST_ADD(c->arena, &current) = SECRET_CURRENT;
	if (secret_tags_take(c, &in->tags, &s.r.tags) != CALL_OK)
		return CALL_FAIL;
	struct str token = str_set(in->client_request_token) ? in->client_request_token : id_uuid(c->arena);
	if ((str_set(in->secret_string) || str_set(in->secret_binary)) &&
	    secret_add(c, &s, token, in->secret_string, in->secret_binary, &current, &out->version_id, &new) != CALL_OK)
		return CALL_FAIL;
	secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}

int secretsmanager_update_secret(struct call *c, const struct secretsmanager_update_secret_request *in,
                                 struct secretsmanager_update_secret_response *out)
{
	struct secret s;
	struct str_list current = {0};
	bool new;
	*LIST_ADD(c->arena, &current) = SECRET_CURRENT;
	if (check_value(c, in->secret_string, in->secret_binary) != CALL_OK ||
	    secret_find(c, in->secret_id, false, &s) != CALL_OK || secret_unowned(c, &s) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		s.r.description = in->description;
	if (str_set(in->kms_key_id)) {
		s.r.key = in->kms_key_id;
		if (secret_reseal(c, &s) != CALL_OK)
			return CALL_FAIL;
	}
	s.r.changed = OPT_TIME(c->now_ms);
	struct str token = str_set(in->client_request_token) ? in->client_request_token : id_uuid(c->arena);
	if ((str_set(in->secret_string) || str_set(in->secret_binary)) &&
	    secret_add(c, &s, token, in->secret_string, in->secret_binary, &current, &out->version_id, &new) != CALL_OK)
		return CALL_FAIL;
	secret_save(c, &s);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}

/* Dates of use are days. */
static struct opt_time accessed(const struct state_secretsmanager_secret_record *r)
{
	struct opt_time last = {0};
	for (uint32_t i = 0; i < r->versions.n; i++)
		if (r->versions.v[i].accessed.set && (!last.set || r->versions.v[i].accessed.ms > last.ms))
			last = r->versions.v[i].accessed;
	return last;
}

int secretsmanager_describe_secret(struct call *c, const struct secretsmanager_describe_secret_request *in,
                                   struct secretsmanager_describe_secret_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, true, &s) != CALL_OK)
		return CALL_FAIL;
	*out = (struct secretsmanager_describe_secret_response){
	        .arn = s.arn,
	        .name = s.r.name,
	        .description = s.r.description,
	        .kms_key_id = s.r.key,
	        .last_changed_date = s.r.changed,
	        .last_accessed_date = accessed(&s.r),
	        .deleted_date = s.r.deleted,
	        .created_date = s.r.created,
	        .owning_service = s.r.owner,
	};
	secret_stages_shown(c, &s.r, false, &out->version_ids_to_stages);
	for (uint32_t i = 0; i < s.r.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct secretsmanager_tag){s.r.tags.v[i].key, s.r.tags.v[i].value};
	const struct state_secretsmanager_rotation *r = s.r.rotation;
	if (r) {
		out->rotation_enabled = r->enabled;
		out->rotation_lambda_arn = r->lambda;
		out->rotation_rules = secret_rules_shown(c, r);
		out->last_rotated_date = r->last;
		if (r->enabled.v)
			out->next_rotation_date = r->next;
	}
	return CALL_OK;
}

int secretsmanager_delete_secret(struct call *c, const struct secretsmanager_delete_secret_request *in,
                                 struct secretsmanager_delete_secret_response *out)
{
	struct secret s;
	int64_t days = in->recovery_window_in_days.set ? in->recovery_window_in_days.v : WINDOW_MAX;
	if (in->force_delete_without_recovery.v && in->recovery_window_in_days.set)
		return secret_invalid(c, "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
	if (days < WINDOW_MIN || days > WINDOW_MAX)
		return secret_invalid(c, "The RecoveryWindowInDays value must be between %d and %d days (inclusive).", WINDOW_MIN,
		                      WINDOW_MAX);
	if (in->force_delete_without_recovery.v && !secret_look(c, in->secret_id, &s)) {
		/* So that whoever ends a secret twice is told the same. */
		out->name = in->secret_id;
		out->deletion_date = OPT_TIME(c->now_ms);
		return str_starts(in->secret_id, S("arn:")) ? secret_find(c, in->secret_id, true, &s) : CALL_OK;
	}
	if (secret_find(c, in->secret_id, in->force_delete_without_recovery.v, &s) != CALL_OK || secret_unowned(c, &s) != CALL_OK)
		return CALL_FAIL;
	out->arn = s.arn;
	out->name = s.r.name;
	out->deletion_date = OPT_TIME(c->now_ms);
	if (in->force_delete_without_recovery.v) {
		secret_drop(call_txn(c), c->arena, s.account, c->region, &s.r, c->now_ms);
		return CALL_OK;
	}
	s.r.deleted = OPT_TIME(c->now_ms);
	s.r.gone = OPT_TIME(c->now_ms + days * SECRET_DAY_MS);
	out->deletion_date = s.r.gone;
	secret_save(c, &s);
	call_after_commit(c, secret_keeper_wake);
	return CALL_OK;
}

int secretsmanager_restore_secret(struct call *c, const struct secretsmanager_restore_secret_request *in,
                                  struct secretsmanager_restore_secret_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, true, &s) != CALL_OK)
		return CALL_FAIL;
	s.r.deleted = s.r.gone = (struct opt_time){0};
	secret_save(c, &s);
	call_after_commit(c, secret_keeper_wake);
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}
