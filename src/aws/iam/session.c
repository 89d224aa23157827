/* Temporary credentials. Nothing about them is stored: the session token is the session itself, as a record sealed with AES-256-GCM
 * under a key of this cloud, with the access key id as what it is bound to; the secret is derived from the key id. So making one
 * needs no commit, and any node of a cloud can check it. What the session's user or role may do is looked up at every use: when it
 * is deleted, or another one takes its name, the credentials are dead. */
#include "aws/iam/source.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rand.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdlib.h>

enum { NONCE = 12, TAG = 16, FORMAT = 1, SESSIONS_MAX = 4096, SWEEP_FROM = 256, SWEEP_MS = 15 * 60 * 1000 };
static const struct record_type session_type = {&state_iam_api, "SessionRecord"}, seal_type = {&state_iam_api, "SealRecord"};

struct iam_session {
	const struct principal *principal;
	char *token; /* NULL: made from a principal alone */
	size_t token_n;
	char secret[41];
	bool compiled;
	struct policy *own; /* the inline session policy */
	const struct policy *policies[11];
	unsigned count;
};

/* --- the cloud's key */

static void seal_stored(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct iam *iam = ctx;
	if (result < 0)
		log_error("the key of session tokens could not be stored: they end with this process");
	arena_done(&iam->seal_arena);
}

void iam_seal_open(struct iam *iam)
{
	struct arena *a = &iam->seal_arena;
	struct str key = KEY(a, S("iam"), S(""), S("seal"));
	struct state_iam_seal_record r = {0};
	struct store_txn *t = store_begin(iam->cloud->store, a);
	if (record_get(t, a, key, &seal_type, &r) && r.key.n == sizeof(iam->seal)) {
		memcpy(iam->seal, r.key.p, r.key.n);
		store_abort(t);
		arena_done(a);
		return;
	}
	rand_bytes(iam->seal, sizeof(iam->seal));
	r.key = str_of(iam->seal, sizeof(iam->seal));
	record_put(t, a, key, &seal_type, &r);
	store_commit(t, seal_stored, iam);
}

void iam_session_secret(struct iam *iam, struct str key_id, char ret[static 41])
{
	unsigned char digest[32];
	struct arena CLEAN_ARENA a = {0};
	hmac_sha256(str_of(iam->seal, sizeof(iam->seal)), ARENA_CAT(&a, S("secret "), key_id), digest);
	/* 30 bytes are 40 characters. */
	struct str text = base64_encode(&a, str_of(digest, 30));
	memcpy(ret, text.p, 40);
	ret[40] = '\0';
}

static struct str seal(struct iam *iam, struct arena *a, struct str plain, struct str bound_to)
{
	unsigned char *out = arena_alloc(a, 1 + NONCE + plain.n + TAG);
	int n = 0;
	out[0] = FORMAT;
	rand_bytes(out + 1, NONCE);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_EncryptInit_ex(x, EVP_aes_256_gcm(), NULL, iam->seal, out + 1) &&
	          EVP_EncryptUpdate(x, NULL, &n, (const unsigned char *)bound_to.p, (int)bound_to.n) &&
	          EVP_EncryptUpdate(x, out + 1 + NONCE, &n, (const unsigned char *)plain.p, (int)plain.n) &&
	          EVP_EncryptFinal_ex(x, out + 1 + NONCE + n, &n) &&
	          EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_GET_TAG, TAG, out + 1 + NONCE + plain.n);
	EVP_CIPHER_CTX_free(x);
	if (!ok)
		die("OpenSSL cannot seal a session");
	return base64url_encode(a, str_of(out, 1 + NONCE + plain.n + TAG));
}

static struct str unseal(struct iam *iam, struct arena *a, struct str token, struct str bound_to)
{
	struct str sealed = base64url_decode(a, token);
	if (sealed.n < 1 + NONCE + TAG || sealed.p[0] != FORMAT)
		return STR_NONE;
	size_t plain_n = sealed.n - 1 - NONCE - TAG;
	const unsigned char *p = (const unsigned char *)sealed.p;
	unsigned char *plain = arena_alloc(a, plain_n + 1);
	int n = 0;
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_DecryptInit_ex(x, EVP_aes_256_gcm(), NULL, iam->seal, p + 1) &&
	          EVP_DecryptUpdate(x, NULL, &n, (const unsigned char *)bound_to.p, (int)bound_to.n) &&
	          EVP_DecryptUpdate(x, plain, &n, p + 1 + NONCE, (int)plain_n) &&
	          EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_SET_TAG, TAG, (void *)(p + 1 + NONCE + plain_n)) &&
	          EVP_DecryptFinal_ex(x, plain + n, &n) > 0;
	EVP_CIPHER_CTX_free(x);
	return ok ? str_of(plain, plain_n) : STR_NONE;
}

size_t iam_session_bytes(struct arena *a, const struct state_iam_session_record *r)
{
	return record_write(a, &session_type, r).n;
}

void iam_session_make(struct cloud *cloud, struct arena *a, struct state_iam_session_record *r, struct iam_credentials *ret)
{
	struct iam *iam = iam_of(cloud);
	char secret[41];
	r->key_id = id_base32(a, S("ASIA"), 16);
	iam_session_secret(iam, r->key_id, secret);
	ret->access_key_id = r->key_id;
	ret->secret = arena_dup(a, str_from(secret));
	ret->token = seal(iam, a, record_write(a, &session_type, r), r->key_id);
	OPENSSL_cleanse(secret, sizeof(secret));
}

/* --- principals */

/* Its user or role as it is now. The root user, and what it federated, has none and needs none. */
static bool issuer_alive(struct iam *iam, const struct state_iam_session_record *r, const struct iam_cached **ret)
{
	*ret = NULL;
	if (!str_set(r->issuer_name))
		return true;
	*ret = iam_cached_entity(iam, r->account, r->kind.v == PRINCIPAL_ROLE ? IAM_ROLE : IAM_USER, r->issuer_name);
	return *ret && str_eq((*ret)->record.id, r->issuer_id);
}

static void put_tags(struct arena *a, const struct str_map *from, struct str_map *to)
{
	for (uint32_t i = 0; i < from->n; i++) {
		struct str_map_entry *e = NULL;
		for (uint32_t k = 0; k < to->n; k++)
			if (str_ieq(to->v[k].key, from->v[i].key))
				e = &to->v[k];
		if (!e)
			e = LIST_ADD(a, to);
		*e = (struct str_map_entry){.key = arena_dup(a, from->v[i].key), .value = arena_dup(a, from->v[i].value)};
	}
}

static const struct principal *session_principal(const struct state_iam_session_record *r, const struct iam_cached *issuer)
{
	struct principal *p = principal_new((enum principal_kind)r->kind.v, r->account);
	struct arena *a = &p->arena;
	p->access_key_id = arena_dup(a, r->key_id);
	p->temporary = true;
	p->issued_ms = r->issued.ms;
	p->expires_ms = r->expires.ms;
	p->source_identity = arena_dup(a, r->source_identity);
	p->session_policy = arena_dup(a, r->policy);
	for (uint32_t i = 0; i < r->policy_arns.n; i++)
		*LIST_ADD(a, &p->session_policies) = arena_dup(a, r->policy_arns.v[i]);
	if (issuer) {
		p->issuer_arn = arena_dup(a, issuer->arn);
		p->issuer_id = arena_dup(a, r->issuer_id);
		put_tags(a, &issuer->record.tags, &p->tags);
	}
	put_tags(a, &r->tags, &p->tags);
	switch (p->kind) {
	case PRINCIPAL_ROLE:
		p->name = arena_dup(a, r->name);
		p->arn = arena_printf(a, "arn:aws:sts::%.*s:assumed-role/%.*s/%.*s", STR_ARG(r->account),
		                      STR_ARG(issuer->record.name), STR_ARG(r->name));
		p->user_id = arena_printf(a, "%.*s:%.*s", STR_ARG(r->issuer_id), STR_ARG(r->name));
		break;
	case PRINCIPAL_USER:
		p->name = arena_dup(a, issuer->record.name);
		p->arn = p->issuer_arn;
		p->user_id = p->issuer_id;
		break;
	case PRINCIPAL_FEDERATED:
		p->name = arena_dup(a, r->name);
		p->arn = arena_printf(a, "arn:aws:sts::%.*s:federated-user/%.*s", STR_ARG(r->account), STR_ARG(r->name));
		p->user_id = arena_printf(a, "%.*s:%.*s", STR_ARG(r->account), STR_ARG(r->name));
		if (!issuer)
			p->issuer_arn = arena_printf(a, "arn:aws:iam::%.*s:root", STR_ARG(r->account));
		break;
	default:
		break;
	}
	return p;
}

/* --- those in use */

static void session_free(struct iam_session *s)
{
	principal_unref(s->principal);
	policy_free(s->own);
	OPENSSL_cleanse(s->secret, sizeof(s->secret));
	free(s->token);
	free(s);
}

/* Keeps those of other accounts (absent: of none) that live longer than this. */
static void sessions_keep_only(struct iam *iam, struct str not_account, int64_t longer_than_ms)
{
	struct map kept = {0};
	size_t at = 0;
	struct str key;
	void *v;
	while (map_next(&iam->sessions, &at, &key, &v)) {
		struct iam_session *s = v;
		if (s->principal->expires_ms > longer_than_ms && !str_eq(s->principal->account, not_account))
			map_put(&kept, key, s);
		else
			session_free(s);
	}
	map_done(&iam->sessions);
	iam->sessions = kept;
}

void iam_sessions_drop(struct iam *iam, struct str account)
{
	sessions_keep_only(iam, account, str_set(account) ? INT64_MIN : INT64_MAX);
}

/* What has expired goes whenever twice as many are kept as were left the last time, and four times an hour. All of them can be made
 * again from their tokens. */
static void sessions_make_room(struct iam *iam, int64_t now_ms)
{
	bool grown = iam->sessions.count >= iam->sessions_sweep_at && iam->sessions.count >= SWEEP_FROM;
	if (!grown && now_ms < iam->sessions_swept_ms + SWEEP_MS)
		return;
	iam->sessions_swept_ms = now_ms;
	sessions_keep_only(iam, STR_NONE, now_ms);
	if (iam->sessions.count >= SESSIONS_MAX)
		iam_sessions_drop(iam, STR_NONE);
	iam->sessions_sweep_at = iam->sessions.count * 2;
	if (iam->sessions_sweep_at > SESSIONS_MAX)
		iam->sessions_sweep_at = SESSIONS_MAX;
}

static struct iam_session *session_keep(struct iam *iam, const struct principal *p, struct str token, int64_t now_ms)
{
	struct iam_session *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	s->principal = p;
	if (str_set(token)) {
		s->token = malloc(token.n + 1);
		if (!s->token)
			die("out of memory");
		memcpy(s->token, token.p, token.n);
		s->token_n = token.n;
		iam_session_secret(iam, p->access_key_id, s->secret);
	}
	sessions_make_room(iam, now_ms);
	struct iam_session *old = map_put(&iam->sessions, p->access_key_id, s);
	if (old)
		session_free(old);
	return s;
}

enum key_state iam_session_find(struct iam *iam, struct str key_id, struct str token, int64_t now_ms, struct credential *ret)
{
	if (!str_set(token))
		return KEY_UNKNOWN;
	struct iam_session *s = map_get(&iam->sessions, key_id);
	if (!s || !s->token || !hash_equal(str_of(s->token, s->token_n), token)) {
		struct arena CLEAN_ARENA a = {0};
		struct state_iam_session_record r = {0};
		const struct iam_cached *issuer;
		struct str plain = unseal(iam, &a, token, key_id);
		if (!str_set(plain) || !record_read(&a, plain, &session_type, &r))
			return KEY_BAD_TOKEN;
		if (r.expires.ms <= now_ms)
			return KEY_EXPIRED;
		if (!issuer_alive(iam, &r, &issuer))
			return KEY_UNKNOWN;
		s = session_keep(iam, session_principal(&r, issuer), token, now_ms);
	}
	if (s->principal->expires_ms <= now_ms)
		return KEY_EXPIRED;
	ret->secret = str_from(s->secret);
	ret->principal = principal_ref(s->principal);
	return KEY_GOOD;
}

void iam_session_policies(struct iam *iam, const struct principal *p, struct principal_policies *ret)
{
	if (!str_set(p->session_policy) && p->session_policies.n == 0)
		return;
	struct iam_session *s = map_get(&iam->sessions, p->access_key_id);
	if (!s)
		s = session_keep(iam, principal_ref(p), STR_NONE, clock_wall_ms());
	if (!s->compiled) {
		struct arena CLEAN_ARENA a = {0};
		struct str message;
		if (str_set(p->session_policy) &&
		    (s->own = policy_parse(p->session_policy, POLICY_IDENTITY, S("session policy"), &a, &message)))
			s->policies[s->count++] = s->own;
		for (uint32_t i = 0; i < p->session_policies.n && s->count < sizeof(s->policies) / sizeof(s->policies[0]); i++) {
			const struct policy *managed = iam_cached_managed(iam, p->account, p->session_policies.v[i]);
			if (managed)
				s->policies[s->count++] = managed;
		}
		s->compiled = true;
	}
	/* When every policy that limited it has been deleted since, the session may nothing rather than everything. */
	if (s->count == 0)
		s->policies[s->count++] = iam_policy_of_nothing();
	ret->session = s->policies;
	ret->session_count = s->count;
}

bool iam_session_of(struct cloud *cloud, struct arena *a, const struct principal *p, struct state_iam_session_record *ret)
{
	struct iam *iam = iam_of(cloud);
	if (!p->temporary)
		return false;
	struct iam_session *s = map_get(&iam->sessions, p->access_key_id);
	if (!s || !s->token)
		return false;
	struct str plain = unseal(iam, a, str_of(s->token, s->token_n), p->access_key_id);
	return str_set(plain) && record_read(a, plain, &session_type, ret);
}
