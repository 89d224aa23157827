#include "aws/s3/cipher.h"

#include "base/log.h"
#include "base/rand.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { BLOCK_BYTES = 16 };

void cipher_renew(struct cipher *k)
{
	rand_bytes(k->nonce, sizeof(k->nonce));
}

void cipher_set_nonce(struct cipher *k, struct str nonce)
{
	memset(k->nonce, 0, sizeof(k->nonce));
	if (nonce.n)
		memcpy(k->nonce, nonce.p, nonce.n < sizeof(k->nonce) ? nonce.n : sizeof(k->nonce));
}

struct str cipher_nonce(const struct cipher *k)
{
	return str_of((const char *)k->nonce, sizeof(k->nonce));
}

/* The counter block is the nonce and the number of the block; what of the first block is before the position is thrown away. */
void cipher_apply(const struct cipher *k, uint64_t position, const void *from, void *to, size_t n)
{
	unsigned char iv[BLOCK_BYTES], skipped[BLOCK_BYTES] = {0};
	uint64_t block = __builtin_bswap64(position / BLOCK_BYTES);
	memcpy(iv, k->nonce, sizeof(k->nonce));
	memcpy(iv + sizeof(k->nonce), &block, sizeof(block));
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int done = 0;
	if (!c || EVP_EncryptInit_ex(c, EVP_aes_256_ctr(), NULL, k->key, iv) != 1 ||
	    EVP_EncryptUpdate(c, skipped, &done, skipped, (int)(position % BLOCK_BYTES)) != 1 ||
	    EVP_EncryptUpdate(c, to, &done, from, (int)n) != 1 || (size_t)done != n)
		die("AES-256 is not to be had from libcrypto");
	EVP_CIPHER_CTX_free(c);
}

void cipher_wipe(struct cipher *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}
