/* An RSA private key is PKCS#1 in PEM, which every ssh reads. Ed25519 has no form of that age: it goes out in OpenSSH's own,
 * written here (PROTOCOL.key of OpenSSH: strings with a length before them, padded to the cipher's block, which is 8 for none). */
#include "aws/ec2/instance/key_material.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/rand.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { ED25519_BYTES = 32, RSA_BYTES_MAX = 4096 / 8, BLOB_MAX = 16 * 1024 };

/* ---- OpenSSH's strings ---- */

static void put_u32(struct buf *b, uint32_t v)
{
	unsigned char big[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
	buf_add(b, big, 4);
}

static void put_string(struct buf *b, struct str s)
{
	put_u32(b, (uint32_t)s.n);
	buf_add_str(b, s);
}

static bool take_string(struct str *rest, struct str *ret)
{
	if (rest->n < 4)
		return false;
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > rest->n - 4)
		return false;
	*ret = str_sub(*rest, 4, n);
	*rest = str_from_at(*rest, 4 + n);
	return true;
}

static void put_number(struct buf *b, const BIGNUM *n)
{
	unsigned char bytes[RSA_BYTES_MAX + 1] = {0};
	int size = BN_num_bytes(n);
	bool sign = size && BN_is_bit_set(n, size * 8 - 1);
	if (size > RSA_BYTES_MAX)
		return;
	BN_bn2bin(n, bytes + sign);
	put_string(b, str_of(bytes, (size_t)size + sign));
}

static struct str line_of(struct arena *a, const char *type, struct str blob)
{
	return ARENA_CAT(a, str_from(type), S(" "), base64_encode(a, blob));
}

/* ---- fingerprints ---- */

static struct str colons(struct arena *a, enum hash_kind kind, const void *p, size_t n)
{
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(kind, str_of(p, n), digest);
	struct buf CLEAN_BUF b;
	buf_init(&b, 3 * HASH_MAX_BYTES);
	for (size_t i = 0; i < hash_size(kind); i++)
		buf_printf(&b, "%s%02x", i ? ":" : "", digest[i]);
	return arena_dup(a, buf_str(&b));
}

static struct str sha256_base64(struct arena *a, struct str blob)
{
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, blob, digest);
	return base64_encode(a, str_of(digest, 32));
}

/* ---- making ---- */

static struct str encoded(struct arena *a, EVP_PKEY *key, int selection, const char *format, const char *structure)
{
	unsigned char *bytes = NULL;
	size_t n = 0;
	OSSL_ENCODER_CTX *e = OSSL_ENCODER_CTX_new_for_pkey(key, selection, format, structure, NULL);
	struct str made = STR_NONE;
	if (e && OSSL_ENCODER_to_data(e, &bytes, &n))
		made = arena_dup(a, str_of(bytes, n));
	OPENSSL_clear_free(bytes, n);
	OSSL_ENCODER_CTX_free(e);
	return made;
}

static bool rsa_blob(EVP_PKEY *key, struct buf *b)
{
	BIGNUM *n = NULL, *e = NULL;
	bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e);
	if (good) {
		put_string(b, S("ssh-rsa"));
		put_number(b, e);
		put_number(b, n);
	}
	BN_free(n);
	BN_free(e);
	return good;
}

static bool finish_rsa(struct arena *a, EVP_PKEY *key, struct key_material *ret)
{
	struct buf CLEAN_BUF blob;
	buf_init(&blob, BLOB_MAX);
	struct str der = encoded(a, key, EVP_PKEY_KEYPAIR, "DER", "PrivateKeyInfo");
	struct str pem = encoded(a, key, EVP_PKEY_KEYPAIR, "PEM", "type-specific");
	if (!str_set(der) || !str_set(pem) || !rsa_blob(key, &blob))
		return false;
	*ret = (struct key_material){.kind = KEY_RSA,
	                             .public_key = line_of(a, "ssh-rsa", buf_str(&blob)),
	                             .private_key = str_trim(pem),
	                             .fingerprint = colons(a, HASH_SHA1, der.p, der.n)};
	OPENSSL_cleanse((void *)(uintptr_t)der.p, der.n);
	return true;
}

static void put_openssh_private(struct buf *out, struct str public_blob, const unsigned char *public, const unsigned char *private)
{
	struct buf CLEAN_BUF inner, both;
	buf_init(&inner, BLOB_MAX);
	buf_init(&both, BLOB_MAX);
	uint32_t check = (uint32_t)rand_u64();
	put_u32(&inner, check);
	put_u32(&inner, check);
	put_string(&inner, S("ssh-ed25519"));
	put_string(&inner, str_of(public, ED25519_BYTES));
	buf_add(&both, private, ED25519_BYTES);
	buf_add(&both, public, ED25519_BYTES);
	put_string(&inner, buf_str(&both));
	put_string(&inner, S(""));
	for (char pad = 1; inner.n % 8; pad++)
		buf_add_char(&inner, pad);
	buf_add(out, "openssh-key-v1", sizeof("openssh-key-v1"));
	put_string(out, S("none"));
	put_string(out, S("none"));
	put_string(out, S(""));
	put_u32(out, 1);
	put_string(out, public_blob);
	put_string(out, buf_str(&inner));
}

static bool finish_ed25519(struct arena *a, EVP_PKEY *key, struct key_material *ret)
{
	unsigned char public[ED25519_BYTES], private[ED25519_BYTES];
	size_t n = ED25519_BYTES, m = ED25519_BYTES;
	if (!EVP_PKEY_get_raw_public_key(key, public, &n) || !EVP_PKEY_get_raw_private_key(key, private, &m))
		return false;
	struct buf CLEAN_BUF blob, whole, pem;
	buf_init(&blob, BLOB_MAX);
	buf_init(&whole, BLOB_MAX);
	buf_init(&pem, BLOB_MAX);
	put_string(&blob, S("ssh-ed25519"));
	put_string(&blob, str_of(public, n));
	put_openssh_private(&whole, buf_str(&blob), public, private);
	struct str text = base64_encode(a, buf_str(&whole));
	buf_add_lit(&pem, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (size_t at = 0; at < text.n; at += 70)
		buf_printf(&pem, "%.*s\n", STR_ARG(str_sub(text, at, 70)));
	buf_add_lit(&pem, "-----END OPENSSH PRIVATE KEY-----\n");
	*ret = (struct key_material){.kind = KEY_ED25519,
	                             .public_key = line_of(a, "ssh-ed25519", buf_str(&blob)),
	                             .private_key = arena_dup(a, buf_str(&pem)),
	                             .fingerprint = sha256_base64(a, buf_str(&blob))};
	OPENSSL_cleanse(private, sizeof(private));
	return true;
}

bool key_material_make(struct arena *a, enum key_kind kind, struct key_material *ret)
{
	EVP_PKEY *key = kind == KEY_RSA ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	bool good = key && (kind == KEY_RSA ? finish_rsa(a, key, ret) : finish_ed25519(a, key, ret));
	EVP_PKEY_free(key);
	return good;
}

/* ---- reading ---- */

static bool rsa_md5(struct arena *a, struct str exponent, struct str modulus, struct str *ret)
{
	BIGNUM *e = BN_bin2bn((const unsigned char *)exponent.p, (int)exponent.n, NULL);
	BIGNUM *n = BN_bin2bn((const unsigned char *)modulus.p, (int)modulus.n, NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	unsigned char *der = NULL;
	int bits = n ? BN_num_bits(n) : 0, size = 0;
	if (e && n && builder && c && (bits == 1024 || bits == 2048 || bits == 4096) && BN_is_odd(e) && !BN_is_one(e) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) && (params = OSSL_PARAM_BLD_to_param(builder)) &&
	    EVP_PKEY_fromdata_init(c) > 0 && EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) > 0 &&
	    (size = i2d_PUBKEY(key, &der)) > 0)
		*ret = colons(a, HASH_MD5, der, (size_t)size);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return size > 0;
}

bool key_material_import(struct arena *a, struct str text, struct key_material *ret)
{
	struct str rest = str_trim(text), type = str_cut(&rest, ' ');
	struct str encoded_blob = str_set(rest) ? str_cut(&rest, ' ') : STR_NONE;
	struct str blob = str_set(encoded_blob) ? base64_decode(a, encoded_blob) : STR_NONE;
	struct str inner = blob, name, first, second;
	if (!str_set(blob) || !take_string(&inner, &name) || !str_eq(name, type) || !take_string(&inner, &first))
		return false;
	struct key_material made = {0};
	if (str_is(type, "ssh-rsa")) {
		if (!take_string(&inner, &second) || first.n > 8 || second.n > RSA_BYTES_MAX + 1 || inner.n ||
		    !rsa_md5(a, first, second, &made.fingerprint))
			return false;
		made.kind = KEY_RSA;
	} else if (str_is(type, "ssh-ed25519")) {
		if (first.n != ED25519_BYTES || inner.n)
			return false;
		made.kind = KEY_ED25519;
		made.fingerprint = sha256_base64(a, blob);
	} else {
		return false;
	}
	made.public_key = ARENA_CAT(a, type, S(" "), encoded_blob);
	*ret = made;
	return true;
}
