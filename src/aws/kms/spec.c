/* Kinds of keys: what each is for, its algorithms, and how a new secret of it is made. */
#include "rows.h"

#include "base/rand.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define RSA_ALGORITHMS \
	{ \
		"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512", "RSASSA_PSS_SHA_256", \
		        "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512" \
	}

static const struct kms_spec specs[] = {
        {"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", 256, NULL, {"SYMMETRIC_DEFAULT"}},
        {"HMAC_224", "GENERATE_VERIFY_MAC", 224, NULL, {"HMAC_SHA_224"}},
        {"HMAC_256", "GENERATE_VERIFY_MAC", 256, NULL, {"HMAC_SHA_256"}},
        {"HMAC_384", "GENERATE_VERIFY_MAC", 384, NULL, {"HMAC_SHA_384"}},
        {"HMAC_512", "GENERATE_VERIFY_MAC", 512, NULL, {"HMAC_SHA_512"}},
        {"ECC_NIST_P256", "SIGN_VERIFY", 0, "P-256", {"ECDSA_SHA_256"}},
        {"ECC_NIST_P384", "SIGN_VERIFY", 0, "P-384", {"ECDSA_SHA_384"}},
        {"ECC_NIST_P521", "SIGN_VERIFY", 0, "P-521", {"ECDSA_SHA_512"}},
        {"ECC_SECG_P256K1", "SIGN_VERIFY", 0, "secp256k1", {"ECDSA_SHA_256"}},
        {"RSA_2048", NULL, 2048, NULL, RSA_ALGORITHMS},
        {"RSA_3072", NULL, 3072, NULL, RSA_ALGORITHMS},
        {"RSA_4096", NULL, 4096, NULL, RSA_ALGORITHMS},
};

const struct kms_spec *kms_spec(struct str name)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++)
		if (str_is(name, specs[i].name))
			return &specs[i];
	return NULL;
}

bool kms_spec_symmetric(const struct kms_spec *s)
{
	return s == &specs[0];
}

bool kms_spec_hmac(const struct kms_spec *s)
{
	return s->usage && str_is(str_from(s->usage), "GENERATE_VERIFY_MAC");
}

static bool is_rsa(const struct kms_spec *s)
{
	return !s->usage;
}

struct str_list kms_spec_algorithms(struct arena *a, const struct kms_spec *s, struct str usage)
{
	struct str_list all = {.set = true};
	if (is_rsa(s) && str_is(usage, "ENCRYPT_DECRYPT")) {
		*LIST_ADD(a, &all) = S("RSAES_OAEP_SHA_1");
		*LIST_ADD(a, &all) = S("RSAES_OAEP_SHA_256");
		return all;
	}
	for (size_t i = 0; i < sizeof(s->algorithms) / sizeof(*s->algorithms) && s->algorithms[i]; i++)
		*LIST_ADD(a, &all) = str_from(s->algorithms[i]);
	return all;
}

bool kms_spec_generate(struct arena *a, const struct kms_spec *s, struct str *ret_secret, struct str *ret_public)
{
	*ret_public = STR_NONE;
	if (kms_spec_symmetric(s) || kms_spec_hmac(s)) {
		void *bytes = arena_alloc(a, s->bits / 8);
		rand_bytes(bytes, s->bits / 8);
		*ret_secret = str_of(bytes, s->bits / 8);
		return true;
	}
	EVP_PKEY *key = is_rsa(s) ? EVP_RSA_gen(s->bits) : EVP_EC_gen(s->curve);
	PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
	unsigned char *secret = NULL, *public = NULL;
	int secret_n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &secret) : -1, public_n = key ? i2d_PUBKEY(key, &public) : -1;
	bool good = secret_n > 0 && public_n > 0;
	if (good) {
		*ret_secret = arena_dup(a, str_of(secret, (size_t)secret_n));
		*ret_public = arena_dup(a, str_of(public, (size_t)public_n));
	}
	if (secret)
		OPENSSL_clear_free(secret, secret_n > 0 ? (size_t)secret_n : 0);
	OPENSSL_free(public);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(key);
	return good;
}
