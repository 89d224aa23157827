/* What the bytes of a content under a key of KMS are enciphered with: AES-256 in counter mode, so that any range is read without
 * what is before it. A key may serve several contents (the parts of an upload), each with a nonce of its own. Any thread. */
#pragma once
#include "base/str.h"

enum { CIPHER_KEY_BYTES = 32, CIPHER_NONCE_BYTES = 8 };

struct cipher {
	bool set; /* false: bytes are as they are */
	unsigned char key[CIPHER_KEY_BYTES], nonce[CIPHER_NONCE_BYTES];
};

/* A nonce for another content. */
void cipher_renew(struct cipher *k);
void cipher_set_nonce(struct cipher *k, struct str nonce);
struct str cipher_nonce(const struct cipher *k);
/* Enciphers or deciphers n bytes that begin at this position of the content; to may be from. */
void cipher_apply(const struct cipher *k, uint64_t position, const void *from, void *to, size_t n);
void cipher_wipe(struct cipher *k);
