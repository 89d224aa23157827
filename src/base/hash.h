/* Digests and checksums, streaming and at once. The cryptographic ones are OpenSSL's. */
#pragma once
#include "base/arena.h"

enum hash_kind { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA512, HASH_CRC32, HASH_CRC32C, HASH_CRC64NVME };
enum { HASH_MAX_BYTES = 64 };

/* Digest length in bytes. CRCs come out big-endian, as the x-amz-checksum headers want them. */
size_t hash_size(enum hash_kind kind);

/* Holds no memory of its own: an unfinished one is simply forgotten. */
struct hash {
	enum hash_kind kind;
	uint64_t crc;       /* CRCs */
	uint64_t state[27]; /* OpenSSL's, of the others */
};
void hash_init(struct hash *h, enum hash_kind kind);
void hash_add(struct hash *h, const void *p, size_t n);
/* Writes the digest; h must be init'ed again before another use. */
void hash_end(struct hash *h, unsigned char out[static HASH_MAX_BYTES]);

void hash_of(enum hash_kind kind, struct str data, unsigned char out[static HASH_MAX_BYTES]);
void hmac_sha256(struct str key, struct str data, unsigned char out[static 32]);
/* For signatures of the older kind only. */
void hmac_sha1(struct str key, struct str data, unsigned char out[static 20]);
/* Lower-case hexadecimal; out gets 2n characters and a NUL. */
void hex_encode(const void *p, size_t n, char *out);
struct str hash_hex(struct arena *a, enum hash_kind kind, struct str data);
/* False unless s is 2n hexadecimal digits. */
bool hex_decode(struct str s, void *out, size_t n);
/* Equal in constant time for equal lengths: for signatures. */
bool hash_equal(struct str a, struct str b);
