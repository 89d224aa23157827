#include "sign.h"

#include "base/base64.h"
#include "base/cert.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "core/seal.h"
#include "sns.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

enum { SIGNATURE_MAX = 512, YEARS = 10 };
#define PATH_BEGIN "/SimpleNotificationService-"
#define PATH_END ".pem"
#define BOUND "sns signing"

struct job {
	struct list link; /* signer.waiting */
	EVP_PKEY *key;    /* a reference: the signer may be gone at the end of a role */
	struct arena *arena;
	struct sign_text *texts;
	unsigned count;
	sign_done_fn *done;
	void *ctx;
};

struct signer {
	struct cloud *cloud;
	struct arena arena; /* of id and certificate */
	struct str id, certificate;
	EVP_PKEY *key; /* NULL: not known yet, or it cannot be made */
	bool looked, making, broken;
	struct list waiting;
	struct cert_bundle made; /* by a thread */
	struct str made_id;
};

struct signer *signer_new(struct cloud *cloud)
{
	struct signer *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (signatures)");
	s->cloud = cloud;
	arena_init(&s->arena, 0);
	list_init(&s->waiting);
	return s;
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	list_each (&s->waiting, struct job, link, j)
		free(j);
	if (s->making)
		return; /* a thread is at it, and this is the end of the role */
	EVP_PKEY_free(s->key);
	arena_done(&s->arena);
	free(s);
}

/* --- signing, on a thread */

static struct str sign_one(EVP_PKEY *key, struct arena *a, const struct sign_text *t)
{
	unsigned char out[SIGNATURE_MAX];
	size_t n = sizeof(out);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c && EVP_DigestSignInit(c, NULL, t->sha256 ? EVP_sha256() : EVP_sha1(), NULL, key) == 1 &&
	            EVP_DigestSign(c, out, &n, (const unsigned char *)t->text.p, t->text.n) == 1;
	EVP_MD_CTX_free(c);
	return good ? base64_encode(a, str_of(out, n)) : S("");
}

static void run(void *job)
{
	struct job *j = job;
	for (unsigned i = 0; i < j->count; i++)
		j->texts[i].ret_signature = sign_one(j->key, j->arena, &j->texts[i]);
}

static void ran(void *job)
{
	struct job *j = job;
	j->done(j->ctx);
	EVP_PKEY_free(j->key);
	free(j);
}

static void go_on(struct signer *s)
{
	struct job *j;
	while ((j = list_first(&s->waiting, struct job, link))) {
		list_remove(&j->link);
		for (unsigned i = 0; i < j->count; i++)
			j->texts[i].ret_signature = S("");
		if (s->key && EVP_PKEY_up_ref(s->key) == 1) {
			j->key = s->key;
			work_add(s->cloud->work, run, ran, j);
		} else
			ran(j);
	}
}

/* --- the key */

static struct str key_of_record(struct arena *a)
{
	return KEY(a, S("sns"), S("signing"));
}

static bool take_key(struct signer *s, struct str id, struct str certificate, struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	s->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	s->id = arena_dup(&s->arena, id);
	s->certificate = arena_dup(&s->arena, certificate);
	return s->key != NULL;
}

static void look(struct signer *s)
{
	struct state_sns_signing_record r;
	struct arena CLEAN_ARENA a = {0};
	if (s->looked)
		return;
	s->looked = true;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->cloud->store, &a);
	if (record_get(t, &a, key_of_record(&a), SNS_ROW("Signing"), &r) && s->cloud->seal) {
		struct str pem = seal_get(s->cloud->seal, &a, r.key, S(BOUND));
		if (str_set(pem))
			take_key(s, r.id, r.certificate, pem);
	}
	store_abort(t);
}

static void make(void *job)
{
	struct signer *s = job;
	int64_t now_s = clock_machine_ms() / 1000;
	const struct cert_wish w = {.organisation = S("Quartet"),
	                            .common_name = S(SNS_PRINCIPAL),
	                            .names = "DNS:sns.localhost",
	                            .algorithm = "RSA_2048",
	                            .from_s = now_s - 86400,
	                            .until_s = now_s + (int64_t)YEARS * 365 * 86400};
	s->broken = !cert_issue(&s->arena, &w, NULL, &s->made);
	s->made_id = id_hex(&s->arena, 32);
}

/* What is published before this is on disk waits for it: nobody shall hold a signature by a key that is lost. */
static void kept(void *ctx, int result, uint64_t revision)
{
	struct signer *s = ctx;
	(void)revision;
	s->making = false;
	if (result < 0) {
		log_warn("sns: the key for signatures cannot be kept: %s", strerror(-result));
		EVP_PKEY_free(s->key);
		s->key = NULL;
	}
	go_on(s);
}

static void made(void *job)
{
	struct signer *s = job;
	if (s->broken || !take_key(s, s->made_id, s->made.body, s->made.key)) {
		log_warn("sns: OpenSSL cannot make a key, so notifications have no signatures");
		s->broken = true;
		s->making = false;
		go_on(s);
		return;
	}
	struct arena *a = &s->arena; /* the commit reads what it is given later, so it lives as long as the signer */
	struct str sealed = s->cloud->seal ? seal_put(s->cloud->seal, a, s->made.key, S(BOUND)) : STR_NONE;
	if (!str_set(sealed)) {
		s->making = false;
		go_on(s);
		return;
	}
	struct store_txn *t = store_begin(s->cloud->store, a);
	record_put(t, a, key_of_record(a), SNS_ROW("Signing"),
	           &(struct state_sns_signing_record){.id = s->id, .certificate = s->certificate, .key = sealed});
	store_commit(t, kept, s);
}

void signer_sign(struct signer *s, struct arena *a, struct sign_text *texts, unsigned count, sign_done_fn *done, void *ctx)
{
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		die("out of memory (signatures)");
	*j = (struct job){.arena = a, .texts = texts, .count = count, .done = done, .ctx = ctx};
	list_init(&j->link);
	list_push(&s->waiting, &j->link);
	look(s);
	if (s->making)
		return;
	if (s->key || s->broken) {
		go_on(s);
		return;
	}
	s->making = true;
	work_add(s->cloud->work, make, made, s);
}

/* --- the certificate */

struct str signer_certificate_url(const struct signer *s, struct arena *a)
{
	return s->key ? ARENA_CAT(a, str_from(s->cloud->endpoint), S(PATH_BEGIN), s->id, S(PATH_END)) : S("");
}

bool signer_is_path(struct str path)
{
	return str_starts(path, S(PATH_BEGIN)) && str_ends(path, S(PATH_END));
}

struct str signer_certificate(struct signer *s, struct str path)
{
	look(s);
	if (!s->key || path.n != sizeof(PATH_BEGIN) - 1 + s->id.n + sizeof(PATH_END) - 1 ||
	    !str_eq(str_sub(path, sizeof(PATH_BEGIN) - 1, s->id.n), s->id))
		return STR_NONE;
	return s->certificate;
}
