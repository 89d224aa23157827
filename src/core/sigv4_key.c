/* Signing keys and what is made with them.
 *
 * Deriving a key takes four HMACs; a signature with it takes one. Keys change once a day for each client, region and service, so
 * they are kept, and in the form that a signature starts from: the two SHA-256 states after the padded key. OpenSSL's plain SHA-256
 * functions are used because their state is a struct that can be copied; its newer interface allocates several objects for every
 * digest, which costs as much as the hashing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"
#include "base/map.h"
#include "core/sigv4_canonical.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct sigv4_key *)0)->inner), "SHA256_CTX fits");

void sigv4_sha256_hex(struct str s, char out[static 65])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX c;
	/* SHA256() itself looks its algorithm up by name. */
	SHA256_Init(&c);
	SHA256_Update(&c, s.p, s.n);
	SHA256_Final(digest, &c);
	hex_encode(digest, sizeof(digest), out);
}

/* key: at most 64 bytes, which holds for every key but the first. */
static void hmac_prepare(struct sigv4_key *ret, const void *key, size_t n)
{
	unsigned char pad[64], hashed[SHA256_DIGEST_LENGTH];
	if (n > sizeof(pad)) {
		SHA256(key, n, hashed);
		key = hashed;
		n = sizeof(hashed);
	}
	memset(pad, 0x36, sizeof(pad));
	for (size_t i = 0; i < n; i++)
		pad[i] ^= ((const unsigned char *)key)[i];
	SHA256_Init((SHA256_CTX *)(void *)ret->inner);
	SHA256_Update((SHA256_CTX *)(void *)ret->inner, pad, sizeof(pad));
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA256_Init((SHA256_CTX *)(void *)ret->outer);
	SHA256_Update((SHA256_CTX *)(void *)ret->outer, pad, sizeof(pad));
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(hashed, sizeof(hashed));
}

static void hmac_end(const struct sigv4_key *key, struct str text, unsigned char out[static 32])
{
	SHA256_CTX c;
	memcpy(&c, key->inner, sizeof(c));
	SHA256_Update(&c, text.p, text.n);
	SHA256_Final(out, &c);
	memcpy(&c, key->outer, sizeof(c));
	SHA256_Update(&c, out, 32);
	SHA256_Final(out, &c);
}

/* One place for each hash: a newcomer puts out who was there. Of the loop's thread. */
enum { SLOTS = 256, TEXT_MAX = 320 };
static struct slot {
	unsigned n;          /* 0: empty */
	char text[TEXT_MAX]; /* secret, date, region and service, each ended by a NUL */
	struct sigv4_key key;
} slots[SLOTS];

void sigv4_key(struct sigv4_key *ret, struct str secret, struct str date, struct str region, struct str service)
{
	size_t n = secret.n + date.n + region.n + service.n + 4;
	char text[TEXT_MAX];
	struct slot *slot = NULL;
	if (n <= sizeof(text)) {
		const struct str parts[] = {secret, date, region, service};
		char *out = text;
		for (int i = 0; i < 4; i++) {
			if (parts[i].n)
				memcpy(out, parts[i].p, parts[i].n);
			out += parts[i].n;
			*out++ = '\0';
		}
		slot = &slots[map_hash(str_of(text, n)) % SLOTS];
		if (slot->n == n && memcmp(slot->text, text, n) == 0) {
			*ret = slot->key;
			return;
		}
	}
	unsigned char digest[32], first[256];
	size_t first_n = 4 + secret.n;
	if (first_n <= sizeof(first)) {
		memcpy(first, "AWS4", 4);
		memcpy(first + 4, secret.p ? secret.p : "", secret.n);
		hmac_prepare(ret, first, first_n);
	} else {
		/* Longer than a block: the key is its hash, made without a copy. */
		SHA256_CTX c;
		SHA256_Init(&c);
		SHA256_Update(&c, "AWS4", 4);
		SHA256_Update(&c, secret.p, secret.n);
		SHA256_Final(digest, &c);
		hmac_prepare(ret, digest, sizeof(digest));
	}
	const struct str chain[] = {date, region, service, S("aws4_request")};
	for (int i = 0; i < 4; i++) {
		hmac_end(ret, chain[i], digest);
		hmac_prepare(ret, digest, sizeof(digest));
	}
	if (slot) {
		slot->n = (unsigned)n;
		memcpy(slot->text, text, n);
		slot->key = *ret;
		OPENSSL_cleanse(text, sizeof(text));
	}
	OPENSSL_cleanse(first, sizeof(first));
	OPENSSL_cleanse(digest, sizeof(digest));
}

void sigv4_key_sign(const struct sigv4_key *key, struct str text, char ret[static 65])
{
	unsigned char digest[32];
	hmac_end(key, text, digest);
	hex_encode(digest, sizeof(digest), ret);
}

void sigv4_chunks_init(struct sigv4_chunks *c, const struct sigv4 *sig, struct str secret)
{
	*c = (struct sigv4_chunks){.timestamp = sig->timestamp, .scope = sig->scope};
	sigv4_key(&c->key, secret, sig->date, sig->region, sig->service);
	size_t n = sig->signature.n < 64 ? sig->signature.n : 64;
	memcpy(c->previous, sig->signature.p, n);
}

static void chunk_sign(struct sigv4_chunks *c, struct str kind, struct str middle, struct str sha256_hex, char ret[static 65])
{
	char text[512];
	const struct str parts[] = {kind, c->timestamp, c->scope, str_of(c->previous, 64), middle, sha256_hex};
	size_t n = 0;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].n == 0)
			continue;
		if (n + parts[i].n + 1 > sizeof(text))
			break; /* a scope that long is refused when it is read */
		if (n)
			text[n++] = '\n';
		memcpy(text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	sigv4_key_sign(&c->key, str_of(text, n), ret);
}

void sigv4_chunks_sign(struct sigv4_chunks *c, struct str sha256_hex)
{
	char next[65];
	chunk_sign(c, S("AWS4-HMAC-SHA256-PAYLOAD"), SIGV4_EMPTY_HASH, sha256_hex, next);
	memcpy(c->previous, next, sizeof(next));
}

bool sigv4_chunks_next(struct sigv4_chunks *c, struct str sha256_hex, struct str signature)
{
	sigv4_chunks_sign(c, sha256_hex);
	return hash_equal(str_of(c->previous, 64), signature);
}

bool sigv4_chunks_trailer(struct sigv4_chunks *c, struct str sha256_hex, struct str signature)
{
	char want[65];
	chunk_sign(c, S("AWS4-HMAC-SHA256-TRAILER"), STR_NONE, sha256_hex, want);
	return hash_equal(str_of(want, 64), signature);
}
