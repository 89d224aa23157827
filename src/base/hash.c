#include "base/hash.h"

#include "base/log.h"

/* The plain functions of each digest: those of EVP allocate two contexts a time, and a small request computes five digests. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

static const size_t sizes[] = {
        [HASH_MD5] = 16,  [HASH_SHA1] = 20,  [HASH_SHA256] = 32,   [HASH_SHA512] = 64,
        [HASH_CRC32] = 4, [HASH_CRC32C] = 4, [HASH_CRC64NVME] = 8,
};

size_t hash_size(enum hash_kind kind)
{
	return sizes[kind];
}

/* CRCs of the reflected kind, eight table steps for eight bytes ("slicing by 8"). */
struct crc_table {
	uint64_t t[8][256];
};

static const struct crc_table *crc_table(enum hash_kind kind)
{
	static struct crc_table tables[3];
	static int ready[3];
	static const uint64_t polynomials[3] = {0xedb88320u, 0x82f63b78u, 0x9a6c9329ac4bc9b5u};
	int i = (int)kind - HASH_CRC32;
	if (__atomic_load_n(&ready[i], __ATOMIC_ACQUIRE))
		return &tables[i];
	/* Two threads may both fill it: they write the same values. */
	for (unsigned b = 0; b < 256; b++) {
		uint64_t c = b;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? (c >> 1) ^ polynomials[i] : c >> 1;
		tables[i].t[0][b] = c;
	}
	for (unsigned b = 0; b < 256; b++)
		for (int s = 1; s < 8; s++) {
			uint64_t c = tables[i].t[s - 1][b];
			tables[i].t[s][b] = (c >> 8) ^ tables[i].t[0][c & 0xff];
		}
	__atomic_store_n(&ready[i], 1, __ATOMIC_RELEASE);
	return &tables[i];
}

static uint64_t crc_add(enum hash_kind kind, uint64_t crc, const unsigned char *p, size_t n)
{
	const struct crc_table *t = crc_table(kind);
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t w;
		memcpy(&w, p, 8);
		w ^= crc;
		crc = t->t[7][w & 0xff] ^ t->t[6][(w >> 8) & 0xff] ^ t->t[5][(w >> 16) & 0xff] ^ t->t[4][(w >> 24) & 0xff] ^
		      t->t[3][(w >> 32) & 0xff] ^ t->t[2][(w >> 40) & 0xff] ^ t->t[1][(w >> 48) & 0xff] ^ t->t[0][w >> 56];
	}
	for (; n; p++, n--)
		crc = (crc >> 8) ^ t->t[0][(crc ^ *p) & 0xff];
	return crc;
}

_Static_assert(sizeof(((struct hash *)0)->state) >= sizeof(SHA512_CTX) && sizeof(SHA512_CTX) >= sizeof(SHA256_CTX) &&
                       sizeof(SHA512_CTX) >= sizeof(SHA_CTX) && sizeof(SHA512_CTX) >= sizeof(MD5_CTX),
               "room for every digest's state");

void hash_init(struct hash *h, enum hash_kind kind)
{
	h->kind = kind;
	switch (kind) {
	case HASH_MD5:
		MD5_Init((MD5_CTX *)h->state);
		break;
	case HASH_SHA1:
		SHA1_Init((SHA_CTX *)h->state);
		break;
	case HASH_SHA256:
		SHA256_Init((SHA256_CTX *)h->state);
		break;
	case HASH_SHA512:
		SHA512_Init((SHA512_CTX *)h->state);
		break;
	default:
		h->crc = kind == HASH_CRC64NVME ? UINT64_MAX : UINT32_MAX;
	}
}

void hash_add(struct hash *h, const void *p, size_t n)
{
	if (n == 0)
		return;
	switch (h->kind) {
	case HASH_MD5:
		MD5_Update((MD5_CTX *)h->state, p, n);
		break;
	case HASH_SHA1:
		SHA1_Update((SHA_CTX *)h->state, p, n);
		break;
	case HASH_SHA256:
		SHA256_Update((SHA256_CTX *)h->state, p, n);
		break;
	case HASH_SHA512:
		SHA512_Update((SHA512_CTX *)h->state, p, n);
		break;
	default:
		h->crc = crc_add(h->kind, h->crc, p, n);
	}
}

void hash_end(struct hash *h, unsigned char out[static HASH_MAX_BYTES])
{
	switch (h->kind) {
	case HASH_MD5:
		MD5_Final(out, (MD5_CTX *)h->state);
		break;
	case HASH_SHA1:
		SHA1_Final(out, (SHA_CTX *)h->state);
		break;
	case HASH_SHA256:
		SHA256_Final(out, (SHA256_CTX *)h->state);
		break;
	case HASH_SHA512:
		SHA512_Final(out, (SHA512_CTX *)h->state);
		break;
	default: {
		size_t n = sizes[h->kind];
		uint64_t crc = h->crc ^ (n == 8 ? UINT64_MAX : UINT32_MAX);
		for (size_t i = 0; i < n; i++)
			out[i] = (unsigned char)(crc >> (8 * (n - 1 - i)));
	}
	}
}

void hash_of(enum hash_kind kind, struct str data, unsigned char out[static HASH_MAX_BYTES])
{
	struct hash h;
	hash_init(&h, kind);
	hash_add(&h, data.p, data.n);
	hash_end(&h, out);
}

/* RFC 2104 spelled out: OpenSSL 3's HMAC fetches and allocates on every call. Both kinds have blocks of 64 bytes. */
static void hmac(enum hash_kind kind, struct str key, struct str data, unsigned char digest[static HASH_MAX_BYTES])
{
	unsigned char k[64] = {0}, pad[64 + 32];
	size_t n = hash_size(kind);
	if (key.n > sizeof(k)) {
		hash_of(kind, key, digest);
		memcpy(k, digest, n);
	} else if (key.n) {
		memcpy(k, key.p, key.n);
	}
	struct hash h;
	for (int i = 0; i < 64; i++)
		pad[i] = k[i] ^ 0x36;
	hash_init(&h, kind);
	hash_add(&h, pad, 64);
	hash_add(&h, data.p, data.n);
	hash_end(&h, digest);
	for (int i = 0; i < 64; i++)
		pad[i] = k[i] ^ 0x5c;
	memcpy(pad + 64, digest, n);
	hash_of(kind, str_of(pad, 64 + n), digest);
	OPENSSL_cleanse(k, sizeof(k));
	OPENSSL_cleanse(pad, sizeof(pad));
}

void hmac_sha256(struct str key, struct str data, unsigned char out[static 32])
{
	unsigned char digest[HASH_MAX_BYTES];
	hmac(HASH_SHA256, key, data, digest);
	memcpy(out, digest, 32);
}

void hmac_sha1(struct str key, struct str data, unsigned char out[static 20])
{
	unsigned char digest[HASH_MAX_BYTES];
	hmac(HASH_SHA1, key, data, digest);
	memcpy(out, digest, 20);
}

void hex_encode(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
}

struct str hash_hex(struct arena *a, enum hash_kind kind, struct str data)
{
	unsigned char digest[HASH_MAX_BYTES];
	size_t n = hash_size(kind);
	hash_of(kind, data, digest);
	char *out = arena_alloc(a, 2 * n + 1);
	hex_encode(digest, n, out);
	return str_of(out, 2 * n);
}

static int hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct str s, void *out, size_t n)
{
	if (s.n != 2 * n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (hex_value(s.p[i]) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		((unsigned char *)out)[i] = (unsigned char)(hex_value(s.p[2 * i]) << 4 | hex_value(s.p[2 * i + 1]));
	return true;
}

bool hash_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
