/* Versions of a secret and their labels. AWSCURRENT is on one version; where it was before is AWSPREVIOUS. A version without a
 * label is deprecated, and goes when there are too many. */
#include "rows.h"

#include "base/hash.h"

bool secret_has_stage(const struct state_secretsmanager_version *v, struct str stage)
{
	for (uint32_t i = 0; i < v->stages.n; i++)
		if (str_eq(v->stages.v[i], stage))
			return true;
	return false;
}

struct state_secretsmanager_version *secret_version(struct secret *s, struct str id)
{
	for (uint32_t i = 0; i < s->r.versions.n; i++)
		if (str_eq(s->r.versions.v[i].id, id))
			return &s->r.versions.v[i];
	return NULL;
}

struct state_secretsmanager_version *secret_staged(struct secret *s, struct str stage)
{
	for (uint32_t i = 0; i < s->r.versions.n; i++)
		if (secret_has_stage(&s->r.versions.v[i], stage))
			return &s->r.versions.v[i];
	return NULL;
}

void secret_unstage(struct state_secretsmanager_version *v, struct str stage)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < v->stages.n; i++)
		if (!str_eq(v->stages.v[i], stage))
			v->stages.v[left++] = v->stages.v[i];
	v->stages.n = left;
}

void secret_stage(struct arena *a, struct secret *s, struct str version, struct str stage)
{
	struct state_secretsmanager_version *to = secret_version(s, version), *from = secret_staged(s, stage);
	if (from == to)
		return;
	if (from)
		secret_unstage(from, stage);
	*LIST_ADD(a, &to->stages) = stage;
	if (str_eq(stage, SECRET_CURRENT) && from) {
		secret_unstage(to, SECRET_PREVIOUS);
		secret_stage(a, s, from->id, SECRET_PREVIOUS);
	}
}

/* --- values */

static struct kms_use use_of(struct call *c, const struct secret *s, const char *action, struct str version)
{
	struct kms_use u = {.service = "secretsmanager", .action = action, .key = s->r.key};
	*LIST_ADD(c->arena, &u.context) = (struct str_map_entry){S("SecretARN"), s->arn};
	*LIST_ADD(c->arena, &u.context) = (struct str_map_entry){S("SecretVersionId"), version};
	return u;
}

/* What KMS refuses is said as KMS says it where that is a permission, and as this service's own failure else. */
static int failed(struct call *c, const char *code, const char *what)
{
	if (str_starts(c->error.code, S("AccessDenied")))
		return call_fail(c, "AccessDeniedException", 400, "Access to KMS is not allowed");
	if (str_is(c->error.code, "InternalFailure"))
		return CALL_FAIL;
	struct str message = c->error.message;
	return call_fail(c, code, 0, "Secrets Manager can't %s with the KMS key: %.*s", what, STR_ARG(message));
}

int secret_open(struct call *c, const struct secret *s, const struct state_secretsmanager_version *v, struct str *ret_text,
                struct str *ret_bytes)
{
	struct state_secretsmanager_value_record value;
	struct str plain;
	struct kms_use u = use_of(c, s, NULL, v->id);
	if (!record_get(call_txn(c), c->arena, secret_value_key(c->arena, s->account, c->region, s->r.name, v->id),
	                &secret_value_row, &value))
		return call_broken(c, "the value of a secret's version is not there");
	if (kms_open(c, &u, value.sealed, &plain) != CALL_OK)
		return failed(c, "DecryptionFailure", "decrypt the protected secret text");
	*(str_is(v->kind, "binary") ? ret_bytes : ret_text) = plain;
	return CALL_OK;
}

static bool same(struct call *c, const struct secret *s, const struct state_secretsmanager_version *v, struct str text,
                 struct str bytes)
{
	struct str old_text = STR_NONE, old_bytes = STR_NONE;
	return str_set(v->kind) && secret_open(c, s, v, &old_text, &old_bytes) == CALL_OK && str_set(text) == str_set(old_text) &&
	       hash_equal(str_set(text) ? text : bytes, str_set(old_text) ? old_text : old_bytes);
}

int secret_reseal(struct call *c, struct secret *s)
{
	for (uint32_t i = 0; i < s->r.versions.n; i++) {
		struct state_secretsmanager_version *v = &s->r.versions.v[i];
		struct state_secretsmanager_value_record value;
		struct str text = STR_NONE, bytes = STR_NONE, key_arn;
		struct kms_use u = use_of(c, s, "kms:GenerateDataKey", v->id);
		if (!v->stages.n || !str_set(v->kind))
			continue;
		if (secret_open(c, s, v, &text, &bytes) != CALL_OK)
			return CALL_FAIL;
		if (kms_seal(c, &u, str_set(text) ? text : bytes, &value.sealed, &key_arn) != CALL_OK)
			return failed(c, "EncryptionFailure", "encrypt the protected secret text");
		v->key_arn = s->r.key.n ? key_arn : S("DefaultEncryptionKey");
		record_put(call_txn(c), c->arena, secret_value_key(c->arena, s->account, c->region, s->r.name, v->id),
		           &secret_value_row, &value);
	}
	return CALL_OK;
}

/* Of those without a label the oldest go, so that there are at most a hundred. */
static void make_room(struct call *c, struct secret *s)
{
	for (uint32_t i = 0; s->r.versions.n >= SECRET_VERSIONS_MAX && i < s->r.versions.n;) {
		struct state_secretsmanager_version *v = &s->r.versions.v[i];
		if (v->stages.n) {
			i++;
			continue;
		}
		store_delete(call_txn(c), secret_value_key(c->arena, s->account, c->region, s->r.name, v->id));
		memmove(v, v + 1, (s->r.versions.n - i - 1) * sizeof(*v));
		s->r.versions.n--;
	}
}

int secret_add(struct call *c, struct secret *s, struct str token, struct str text, struct str bytes, const struct str_list *stages,
               struct str *ret_version, bool *ret_new)
{
	struct state_secretsmanager_version *v = secret_version(s, token);
	struct state_secretsmanager_value_record value;
	struct kms_use u = use_of(c, s, "kms:GenerateDataKey", token);
	struct str plain = str_set(text) ? text : bytes, key_arn;
	*ret_version = token;
	*ret_new = false;
	if (plain.n > SECRET_BYTES_MAX)
		return secret_invalid(c, "The secret value is longer than %d bytes.", SECRET_BYTES_MAX);
	/* A version that rotation made has no value yet. */
	if (v && str_set(v->kind)) {
		if (same(c, s, v, text, bytes))
			return CALL_OK;
		return str_set(c->error.code)
		               ? CALL_FAIL
		               : call_fail(c, "ResourceExistsException", 0,
		                           "You can't modify an existing version, you can only create a new version.");
	}
	if (!v) {
		make_room(c, s);
		if (s->r.versions.n >= SECRET_VERSIONS_MAX)
			return call_fail(c, "LimitExceededException", 0, "The secret has %d versions with labels.",
			                 SECRET_VERSIONS_MAX);
		v = LIST_ADD(c->arena, &s->r.versions);
		*v = (struct state_secretsmanager_version){.id = token, .created = OPT_TIME(c->now_ms)};
	}
	if (kms_seal(c, &u, plain, &value.sealed, &key_arn) != CALL_OK)
		return failed(c, "EncryptionFailure", "encrypt the protected secret text");
	v->kind = str_set(text) ? S("string") : S("binary");
	v->key_arn = str_set(s->r.key) && s->r.key.n ? key_arn : S("DefaultEncryptionKey");
	record_put(call_txn(c), c->arena, secret_value_key(c->arena, s->account, c->region, s->r.name, token), &secret_value_row,
	           &value);
	/* The first value is the current one, whatever its labels say. */
	bool first = !secret_staged(s, SECRET_CURRENT);
	for (uint32_t i = 0; i < stages->n; i++)
		secret_stage(c->arena, s, token, stages->v[i]);
	if (first)
		secret_stage(c->arena, s, token, SECRET_CURRENT);
	s->r.changed = OPT_TIME(c->now_ms);
	*ret_new = true;
	return CALL_OK;
}

int secret_choose(struct call *c, struct secret *s, struct str version, struct str stage, struct state_secretsmanager_version **ret)
{
	struct str wanted = str_set(stage) ? stage : SECRET_CURRENT;
	struct state_secretsmanager_version *v = str_set(version) ? secret_version(s, version) : secret_staged(s, wanted);
	if (!v || !str_set(v->kind))
		return str_set(version) ? secret_no_version(c, "VersionId", version)
		                        : secret_no_version(c, "staging label", wanted);
	if (str_set(version) && str_set(stage) && !secret_has_stage(v, stage))
		return secret_refused(c, "You provided a VersionStage that is not associated to the provided VersionId.");
	*ret = v;
	return CALL_OK;
}
