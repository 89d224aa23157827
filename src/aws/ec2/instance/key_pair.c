/* Key pairs. A pair is found by id in its record and by name in an index beside it. */
#include "aws/ec2/compute.h"
#include "aws/ec2/instance/key_material.h"
#include "base/base64.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { PAIRS_MAX = 5000, NAME_MAX_CHARS = 255 };

static struct str name_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("ec2"), c->account, c->region, S("key-name"), name);
}

static bool id_of_name(struct call *c, struct str name, struct str *ret_id)
{
	struct store_value v;
	if (!store_get(call_txn(c), name_key(c, name), &v))
		return false;
	*ret_id = arena_dup(c->arena, v.value);
	return true;
}

static int no_such_name(struct call *c, struct str name)
{
	return call_fail(c, "InvalidKeyPair.NotFound", 400, "The key pair '%.*s' does not exist", STR_ARG(name));
}

int ec2_key_pair_named(struct call *c, struct str name, struct ec2_key_pair_info *ret)
{
	struct str id;
	struct ec2_scope s = ec2_scope(c);
	return id_of_name(c, name, &id) && ec2_find(&s, &ec2_kind_key_pair, id, ret) ? CALL_OK : no_such_name(c, name);
}

static int check_new(struct call *c, struct str name)
{
	struct str before;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_key_pair);
	struct ec2_key_pair_info pair;
	unsigned n = 0;
	if (!str_set(name) || !name.n)
		return ec2_missing(c, "KeyName");
	if (str_utf8_len(name) > NAME_MAX_CHARS)
		return ec2_invalid(c, "Value (%.*s) for parameter KeyName is invalid. It must be at most %d characters",
		                   STR_ARG(name), NAME_MAX_CHARS);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < ' ' || name.p[i] > '~')
			return ec2_invalid(
			        c, "Value (%.*s) for parameter KeyName is invalid. Character sets beyond ASCII are not supported.",
			        STR_ARG(name));
	if (id_of_name(c, name, &before))
		return call_fail(c, "InvalidKeyPair.Duplicate", 400, "The keypair already exists");
	while (ec2_next(&all, &pair))
		n++;
	if (n >= PAIRS_MAX)
		return call_fail(c, "KeyPairLimitExceeded", 400, "The maximum number of key pairs (%d) has been reached",
		                 PAIRS_MAX);
	return CALL_OK;
}

static struct ec2_key_pair_info put_pair(struct call *c, struct str name, const struct key_material *m, struct ec2_tag_list tags)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_key_pair_info pair = {.key_pair_id = ec2_new_id(c->arena, "key"),
	                                 .key_name = name,
	                                 .key_type = m->kind == KEY_RSA ? S("rsa") : S("ed25519"),
	                                 .key_fingerprint = m->fingerprint,
	                                 .public_key = m->public_key,
	                                 .create_time = OPT_TIME(c->now_ms),
	                                 .tags = tags};
	ec2_put(&s, &ec2_kind_key_pair, pair.key_pair_id, &pair);
	store_put(s.txn, name_key(c, name), pair.key_pair_id);
	return pair;
}

/* --- CreateKeyPair: making one takes a tenth of a second, on a worker thread */

struct making {
	struct call *call; /* NULL: the client has left */
	enum key_kind kind;
	bool good;
	struct key_material made;
	struct arena arena;
};

static void making_free(struct making *m)
{
	if (str_set(m->made.private_key))
		OPENSSL_cleanse((void *)(uintptr_t)m->made.private_key.p, m->made.private_key.n);
	arena_done(&m->arena);
	free(m);
}

static void make(void *job)
{
	struct making *m = job;
	m->good = key_material_make(&m->arena, m->kind, &m->made);
}

static void made(void *job)
{
	struct making *m = job;
	if (m->call)
		call_resume(m->call);
	else
		making_free(m);
}

static void maker_gone(struct call *c)
{
	((struct making *)c->state)->call = NULL;
	c->state = NULL;
}

static void forget_making(struct call *c)
{
	if (c->state)
		making_free(c->state);
}

static int made_pair(struct call *c)
{
	const struct ec2_create_key_pair_request *in = c->in;
	struct ec2_key_pair *out = c->out;
	struct making *m = c->state;
	struct ec2_tag_list tags;
	if (!m->good)
		return call_broken(c, "OpenSSL makes no key");
	if (check_new(c, in->key_name) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_key_pair, &tags) != CALL_OK)
		return CALL_FAIL;
	struct ec2_key_pair_info pair = put_pair(c, in->key_name, &m->made, tags);
	*out = (struct ec2_key_pair){.key_pair_id = pair.key_pair_id,
	                             .key_name = pair.key_name,
	                             .key_fingerprint = pair.key_fingerprint,
	                             .key_material = m->made.private_key,
	                             .tags = pair.tags};
	return CALL_OK;
}

int ec2_create_key_pair(struct call *c, const struct ec2_create_key_pair_request *in, struct ec2_key_pair *out)
{
	(void)out;
	struct ec2_tag_list tags;
	if (str_set(in->key_format) && !str_is(in->key_format, "pem"))
		return call_fail(c, "Unsupported", 400, "The key format '%.*s' is not supported. Use pem.",
		                 STR_ARG(in->key_format));
	if (check_new(c, in->key_name) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_key_pair, &tags) != CALL_OK)
		return CALL_FAIL;
	struct making *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->call = c;
	m->kind = str_is(in->key_type, "ed25519") ? KEY_ED25519 : KEY_RSA;
	c->state = m;
	call_on_free(c, forget_making);
	work_add(c->cloud->work, make, made, m);
	return call_wait(c, made_pair, maker_gone);
}

/* --- the others */

int ec2_import_key_pair(struct call *c, const struct ec2_import_key_pair_request *in, struct ec2_import_key_pair_result *out)
{
	struct key_material m;
	struct ec2_tag_list tags;
	if (!str_set(in->public_key_material))
		return ec2_missing(c, "PublicKeyMaterial");
	if (check_new(c, in->key_name) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_key_pair, &tags) != CALL_OK)
		return CALL_FAIL;
	if (!key_material_import(c->arena, in->public_key_material, &m))
		return call_fail(c, "InvalidKey.Format", 400, "Key is not in valid OpenSSH public key format");
	struct ec2_key_pair_info pair = put_pair(c, in->key_name, &m, tags);
	*out = (struct ec2_import_key_pair_result){.key_pair_id = pair.key_pair_id,
	                                           .key_name = pair.key_name,
	                                           .key_fingerprint = pair.key_fingerprint,
	                                           .tags = pair.tags};
	return CALL_OK;
}

/* One that is not there is deleted already. */
int ec2_delete_key_pair(struct call *c, const struct ec2_delete_key_pair_request *in, struct ec2_delete_key_pair_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_key_pair_info pair;
	struct str id = in->key_pair_id;
	if (!str_set(id) && !str_set(in->key_name))
		return ec2_missing(c, "KeyName");
	if (str_set(id) && !ec2_id_well_formed(id, "key"))
		return ec2_malformed(c, &ec2_kind_key_pair, id);
	out->return_ = OPT_BOOL(true);
	if (!str_set(id) && !id_of_name(c, in->key_name, &id))
		return CALL_OK;
	if (!ec2_find(&s, &ec2_kind_key_pair, id, &pair))
		return CALL_OK;
	ec2_drop(&s, &ec2_kind_key_pair, id);
	store_delete(s.txn, name_key(c, pair.key_name));
	out->key_pair_id = id;
	return CALL_OK;
}

static void show(struct call *c, void *record, void *output)
{
	const struct ec2_describe_key_pairs_request *in = c->in;
	struct ec2_describe_key_pairs_result *out = output;
	struct ec2_key_pair_info *pair = LIST_ADD(c->arena, &out->key_pairs);
	*pair = *(const struct ec2_key_pair_info *)record;
	if (!in->include_public_key.v)
		pair->public_key = STR_NONE;
	else
		pair->public_key = ARENA_CAT(c->arena, pair->public_key, S(" "), pair->key_name);
}

int ec2_describe_key_pairs(struct call *c, const struct ec2_describe_key_pairs_request *in,
                           struct ec2_describe_key_pairs_result *out)
{
	static const struct ec2_field fields[] = {
	        FIELD_TEXT("key-pair-id", ec2_key_pair_info, key_pair_id),
	        FIELD_TEXT("fingerprint", ec2_key_pair_info, key_fingerprint),
	        FIELD_TEXT("key-name", ec2_key_pair_info, key_name),
	        {0},
	};
	struct str_list ids = in->key_pair_ids;
	out->key_pairs.set = true;
	for (uint32_t i = 0; i < in->key_names.n; i++) {
		struct str id;
		if (!id_of_name(c, in->key_names.v[i], &id))
			return no_such_name(c, in->key_names.v[i]);
		*LIST_ADD(c->arena, &ids) = id;
	}
	const struct ec2_walk walk = {
	        .kind = &ec2_kind_key_pair, .fields = fields, .filters = &in->filters, .ids = &ids, .show = show, .max = PAIRS_MAX};
	return ec2_describe(c, &walk, out, NULL);
}
