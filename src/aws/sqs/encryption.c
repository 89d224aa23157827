/* Messages of queues under a key of KMS: their bodies lie sealed (AES-256-GCM) in the store of messages, wherever they are moved.
 *
 * A sealed body begins with a byte that no message may have, then says for which queue its data key was made, that key as KMS
 * sealed it, and the body under that. One data key serves a queue for its reuse period; permissions are asked for at every call. */
#include "sqs.h"

#include "aws/kms/kms.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/seal.h"

#include <stdlib.h>

enum { SEALED_MARK = 1, KEYS_MAX = 1000 };

/* The last data key of a queue. */
struct data_key {
	struct arena arena;
	struct str of, sealed; /* of: the key as the queue names it */
	struct seal seal;
	int64_t made_ms;
};

static void forget(struct data_key *k)
{
	if (k)
		arena_done(&k->arena);
	free(k);
}

void sqs_keys_forget(struct sqs_state *s)
{
	size_t at = 0;
	struct str queue;
	void *k;
	while (map_next(&s->keys, &at, &queue, &k))
		forget(k);
	map_done(&s->keys);
	s->keys = (struct map){0};
}

static struct data_key *keep(struct sqs_state *s, struct str queue, struct str of, struct str plain, struct str sealed,
                             int64_t now_ms)
{
	struct data_key *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (SQS)");
	if (s->keys.count >= KEYS_MAX)
		sqs_keys_forget(s);
	k->of = arena_dup(&k->arena, of);
	k->sealed = arena_dup(&k->arena, sealed);
	k->seal.open = true;
	memcpy(k->seal.key, plain.p, sizeof(k->seal.key));
	k->made_ms = now_ms;
	forget(map_put(&s->keys, queue, k));
	return k;
}

static struct kms_use use_of(struct call *c, const char *action, struct str key, struct str queue)
{
	struct kms_use u = {.service = "sqs", .action = action, .key = key};
	*LIST_ADD(c->arena, &u.context) = (struct str_map_entry){S("aws:sqs:arn"), queue};
	return u;
}

/* What KMS says, as errors of SQS. */
static int failed(struct call *c)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {
	        {"AccessDenied", "KmsAccessDenied"},
	        {"DisabledException", "KmsDisabled"},
	        {"InvalidKeyUsageException", "KmsInvalidKeyUsage"},
	        {"KMSInvalidStateException", "KmsInvalidState"},
	        {"NotFoundException", "KmsNotFound"},
	};
	struct str message = c->error.message;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_starts(c->error.code, str_from(names[i].theirs)))
			return call_fail(c, names[i].ours, 400, "%.*s", STR_ARG(message));
	return CALL_FAIL;
}

static bool fresh(const struct sqs_queue *q, const struct data_key *k, int64_t now_ms)
{
	return now_ms - k->made_ms < sqs_number(q, "KmsDataKeyReusePeriodSeconds") * 1000;
}

int sqs_data_key(struct call *c, const struct sqs_queue *q, struct sqs_data_key *ret)
{
	struct str of = sqs_attribute(q, "KmsMasterKeyId"), queue = sqs_arn(c->arena, c->region, &q->at), sealed;
	*ret = (struct sqs_data_key){.set = str_set(of)};
	if (!ret->set)
		return CALL_OK;
	struct kms_use make = use_of(c, "kms:GenerateDataKey", of, queue), check = use_of(c, "kms:Decrypt", of, queue);
	if (kms_may(c, &make) != CALL_OK || kms_may(c, &check) != CALL_OK)
		return failed(c);
	struct data_key *k = map_get(&sqs_state(c)->keys, queue);
	if (!k || !str_eq(k->of, of) || !fresh(q, k, c->now_ms)) {
		char plain[SEAL_KEY_BYTES];
		rand_bytes(plain, sizeof(plain));
		if (kms_seal(c, &make, str_of(plain, sizeof(plain)), &sealed, NULL) != CALL_OK)
			return failed(c);
		k = keep(sqs_state(c), queue, of, str_of(plain, sizeof(plain)), sealed, c->now_ms);
	}
	ret->seal = k->seal;
	ret->queue = queue;
	ret->sealed = arena_dup(c->arena, k->sealed);
	return CALL_OK;
}

static struct str sized(struct arena *a, struct str s)
{
	unsigned char size[2] = {(unsigned char)(s.n >> 8), (unsigned char)s.n};
	return ARENA_CAT(a, str_of((const char *)size, sizeof(size)), s);
}

struct str sqs_seal(struct arena *a, const struct sqs_data_key *k, struct str body)
{
	static const char mark = SEALED_MARK;
	if (!k->set)
		return body;
	return ARENA_CAT(a, str_of(&mark, 1), sized(a, k->queue), sized(a, k->sealed), seal_put(&k->seal, a, body, k->queue));
}

int sqs_may_open(struct call *c, const struct sqs_queue *q)
{
	struct str of = sqs_attribute(q, "KmsMasterKeyId");
	if (!str_set(of))
		return CALL_OK;
	struct kms_use u = use_of(c, "kms:Decrypt", of, sqs_arn(c->arena, c->region, &q->at));
	return kms_may(c, &u) == CALL_OK ? CALL_OK : failed(c);
}

static bool take_sized(struct str *from, struct str *ret)
{
	size_t n = from->n >= 2 ? (size_t)(unsigned char)from->p[0] << 8 | (unsigned char)from->p[1] : 0;
	if (from->n < 2 + n)
		return false;
	*ret = str_sub(*from, 2, n);
	*from = str_from_at(*from, 2 + n);
	return true;
}

int sqs_unseal(struct call *c, const struct sqs_queue *q, struct str *body)
{
	struct str rest = *body, queue, sealed, plain;
	struct seal seal = {.open = true};
	if (!rest.n || rest.p[0] != SEALED_MARK)
		return CALL_OK;
	rest = str_from_at(rest, 1);
	if (!take_sized(&rest, &queue) || !take_sized(&rest, &sealed))
		return call_broken(c, "a sealed message is cut off");
	const struct data_key *k = map_get(&sqs_state(c)->keys, queue);
	if (k && str_eq(k->sealed, sealed) && fresh(q, k, c->now_ms)) {
		seal = k->seal;
	} else {
		struct kms_use u = use_of(c, "kms:Decrypt", STR_NONE, queue);
		if (kms_open(c, &u, sealed, &plain) != CALL_OK)
			return failed(c);
		if (plain.n != sizeof(seal.key))
			return call_broken(c, "the data key of a message has %zu bytes", plain.n);
		memcpy(seal.key, plain.p, sizeof(seal.key));
		keep(sqs_state(c), queue, sqs_attribute(q, "KmsMasterKeyId"), plain, sealed, c->now_ms);
	}
	struct str opened = seal_get(&seal, c->arena, rest, queue);
	if (!str_set(opened))
		return call_broken(c, "a sealed message does not open");
	*body = opened;
	return CALL_OK;
}
