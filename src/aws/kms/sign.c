/* Sign, Verify, GetPublicKey with elliptic curves and RSA; GenerateMac, VerifyMac. */
#include "rows.h"

#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { SIGNATURE_MAX = 1024 };

/* The digest that an algorithm's name ends with: "RSASSA_PSS_SHA_256". */
static const EVP_MD *digest_of(struct str algorithm)
{
	return str_ends(algorithm, S("SHA_224"))   ? EVP_sha224()
	       : str_ends(algorithm, S("SHA_256")) ? EVP_sha256()
	       : str_ends(algorithm, S("SHA_384")) ? EVP_sha384()
	                                           : EVP_sha512();
}

static int check_algorithm(struct call *c, const struct kms_found *k, struct str algorithm)
{
	struct str_list all = kms_spec_algorithms(c->arena, kms_spec(k->r.spec), k->r.usage);
	for (uint32_t i = 0; i < all.n; i++)
		if (str_eq(all.v[i], algorithm))
			return CALL_OK;
	return call_fail(c, "InvalidKeyUsageException", 0, "Algorithm %.*s is incompatible with key spec %.*s.", STR_ARG(algorithm),
	                 STR_ARG(k->r.spec));
}

/* --- signatures */

struct asked {
	struct kms_found k;
	struct str digest, algorithm;
};

static int take(struct call *c, struct str key_id, struct str message, struct str type, struct str algorithm, struct asked *ret)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	const EVP_MD *md = digest_of(algorithm);
	if (str_is(type, "EXTERNAL_MU"))
		return kms_unsupported(c, "The message type EXTERNAL_MU is");
	if (kms_find(c, key_id, &ret->k) != CALL_OK || kms_usable(c, &ret->k, "SIGN_VERIFY") != CALL_OK ||
	    check_algorithm(c, &ret->k, algorithm) != CALL_OK)
		return CALL_FAIL;
	ret->algorithm = algorithm;
	ret->digest = message;
	if (str_is(type, "DIGEST"))
		return message.n == (size_t)EVP_MD_get_size(md)
		               ? CALL_OK
		               : kms_invalid(c, "Digest is invalid length for algorithm %.*s.", STR_ARG(algorithm));
	if (!EVP_Digest(message.p, message.n, out, &n, md, NULL))
		return call_broken(c, "OpenSSL cannot digest");
	ret->digest = arena_dup(c->arena, str_of(out, n));
	return CALL_OK;
}

static bool set_up(EVP_PKEY_CTX *x, struct str algorithm)
{
	if (!x || EVP_PKEY_CTX_set_signature_md(x, digest_of(algorithm)) <= 0)
		return false;
	if (str_starts(algorithm, S("RSASSA_PSS")))
		return EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_PSS_PADDING) > 0 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(x, RSA_PSS_SALTLEN_DIGEST) > 0;
	return !str_starts(algorithm, S("RSASSA")) || EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_PADDING) > 0;
}

static EVP_PKEY *private_key(struct call *c, const struct kms_found *k)
{
	struct str secret;
	if (!kms_material_open(c, k, kms_material_current(&k->r), &secret))
		return NULL;
	const unsigned char *p = (const unsigned char *)secret.p;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)secret.n);
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	kms_forget(secret);
	if (!key)
		call_broken(c, "OpenSSL cannot read a key of KMS");
	return key;
}

int kms_sign(struct call *c, const struct kms_sign_request *in, struct kms_sign_response *out)
{
	struct asked q;
	unsigned char signature[SIGNATURE_MAX];
	size_t n = sizeof(signature);
	if (take(c, in->key_id, in->message, in->message_type, in->signing_algorithm, &q) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	EVP_PKEY *key = private_key(c, &q.k);
	if (!key)
		return CALL_FAIL;
	EVP_PKEY_CTX *x = EVP_PKEY_CTX_new(key, NULL);
	bool good = x && EVP_PKEY_sign_init(x) > 0 && set_up(x, q.algorithm) &&
	            EVP_PKEY_sign(x, signature, &n, (const unsigned char *)q.digest.p, q.digest.n) > 0;
	EVP_PKEY_CTX_free(x);
	EVP_PKEY_free(key);
	if (!good)
		return call_broken(c, "OpenSSL cannot sign");
	*out = (struct kms_sign_response){
	        .key_id = q.k.arn, .signature = arena_dup(c->arena, str_of(signature, n)), .signing_algorithm = q.algorithm};
	return CALL_OK;
}

int kms_verify(struct call *c, const struct kms_verify_request *in, struct kms_verify_response *out)
{
	struct asked q;
	if (take(c, in->key_id, in->message, in->message_type, in->signing_algorithm, &q) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	const unsigned char *p = (const unsigned char *)q.k.r.public_key.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)q.k.r.public_key.n);
	EVP_PKEY_CTX *x = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	bool good = x && EVP_PKEY_verify_init(x) > 0 && set_up(x, q.algorithm) &&
	            EVP_PKEY_verify(x, (const unsigned char *)in->signature.p, in->signature.n, (const unsigned char *)q.digest.p,
	                            q.digest.n) > 0;
	EVP_PKEY_CTX_free(x);
	EVP_PKEY_free(key);
	if (!good)
		return call_fail(c, "KMSInvalidSignatureException", 0, "%s", "");
	*out = (struct kms_verify_response){.key_id = q.k.arn, .signature_valid = OPT_BOOL(true), .signing_algorithm = q.algorithm};
	return CALL_OK;
}

int kms_get_public_key(struct call *c, const struct kms_get_public_key_request *in, struct kms_get_public_key_response *out)
{
	struct kms_found k;
	if (kms_find(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(k.r.public_key) || !k.r.public_key.n)
		return call_fail(c, "UnsupportedOperationException", 0, "%.*s is not an asymmetric key.", STR_ARG(k.arn));
	if (kms_usable(c, &k, "SIGN_VERIFY") != CALL_OK)
		return CALL_FAIL;
	*out = (struct kms_get_public_key_response){.key_id = k.arn,
	                                            .public_key = k.r.public_key,
	                                            .customer_master_key_spec = k.r.spec,
	                                            .key_spec = k.r.spec,
	                                            .key_usage = k.r.usage,
	                                            .signing_algorithms =
	                                                    kms_spec_algorithms(c->arena, kms_spec(k.r.spec), k.r.usage)};
	return CALL_OK;
}

/* --- message authentication codes */

static int mac_of(struct call *c, struct str key_id, struct str message, struct str algorithm, struct kms_found *ret_k,
                  struct str *ret)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct str secret;
	if (kms_find(c, key_id, ret_k) != CALL_OK || kms_usable(c, ret_k, "GENERATE_VERIFY_MAC") != CALL_OK ||
	    check_algorithm(c, ret_k, algorithm) != CALL_OK ||
	    !kms_material_open(c, ret_k, kms_material_current(&ret_k->r), &secret))
		return CALL_FAIL;
	bool good = HMAC(digest_of(algorithm), secret.p, (int)secret.n, (const unsigned char *)message.p, message.n, out, &n);
	kms_forget(secret);
	if (!good)
		return call_broken(c, "OpenSSL cannot authenticate");
	*ret = arena_dup(c->arena, str_of(out, n));
	return CALL_OK;
}

int kms_generate_mac(struct call *c, const struct kms_generate_mac_request *in, struct kms_generate_mac_response *out)
{
	struct kms_found k;
	if (mac_of(c, in->key_id, in->message, in->mac_algorithm, &k, &out->mac) != CALL_OK)
		return CALL_FAIL;
	out->key_id = k.arn;
	out->mac_algorithm = in->mac_algorithm;
	return in->dry_run.v ? kms_dry_run(c) : CALL_OK;
}

int kms_verify_mac(struct call *c, const struct kms_verify_mac_request *in, struct kms_verify_mac_response *out)
{
	struct kms_found k;
	struct str mac;
	if (mac_of(c, in->key_id, in->message, in->mac_algorithm, &k, &mac) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	if (!hash_equal(mac, in->mac))
		return call_fail(c, "KMSInvalidMacException", 0, "%s", "");
	*out = (struct kms_verify_mac_response){.key_id = k.arn, .mac_valid = OPT_BOOL(true), .mac_algorithm = in->mac_algorithm};
	return CALL_OK;
}
