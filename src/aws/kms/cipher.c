/* Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom. */
#include "rows.h"

#include "base/rand.h"

static int check_algorithm(struct call *c, struct str algorithm)
{
	return !str_set(algorithm) || str_is(algorithm, "SYMMETRIC_DEFAULT")
	               ? CALL_OK
	               : call_fail(c, "InvalidKeyUsageException", 0,
	                           "The request was rejected because the encryption algorithm is incompatible with the key: %.*s",
	                           STR_ARG(algorithm));
}

int kms_encrypt(struct call *c, const struct kms_encrypt_request *in, struct kms_encrypt_response *out)
{
	struct kms_found k;
	if (kms_find(c, in->key_id, &k) != CALL_OK || kms_usable(c, &k, "ENCRYPT_DECRYPT") != CALL_OK ||
	    check_algorithm(c, in->encryption_algorithm) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	out->key_id = k.arn;
	out->encryption_algorithm = S("SYMMETRIC_DEFAULT");
	return kms_encrypt_with(c, &k, in->plaintext, &in->encryption_context, &out->ciphertext_blob);
}

/* Is the key that the request names, if it names one, the one of the ciphertext? */
static int check_named(struct call *c, struct str named, const struct kms_found *k)
{
	struct kms_found other;
	if (!str_set(named))
		return CALL_OK;
	if (kms_find(c, named, &other) != CALL_OK)
		return CALL_FAIL;
	return str_eq(other.arn, k->arn)
	               ? CALL_OK
	               : call_fail(c, "IncorrectKeyException", 0,
	                           "The key ID in the request does not identify a CMK that can perform this operation.");
}

int kms_decrypt(struct call *c, const struct kms_decrypt_request *in, struct kms_decrypt_response *out)
{
	struct kms_found k;
	if (in->recipient)
		return kms_unsupported(c, "Nitro enclaves are");
	if (!str_set(in->ciphertext_blob))
		return kms_invalid(c, "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
		                      "Member must not be null");
	if (kms_find_of_blob(c, in->ciphertext_blob, &k) != CALL_OK || check_named(c, in->key_id, &k) != CALL_OK ||
	    kms_usable(c, &k, "ENCRYPT_DECRYPT") != CALL_OK || check_algorithm(c, in->encryption_algorithm) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	out->key_id = k.arn;
	out->encryption_algorithm = S("SYMMETRIC_DEFAULT");
	return kms_decrypt_with(c, &k, in->ciphertext_blob, &in->encryption_context, &out->plaintext, &out->key_material_id);
}

int kms_re_encrypt(struct call *c, const struct kms_re_encrypt_request *in, struct kms_re_encrypt_response *out)
{
	struct kms_found from, to;
	struct str plain;
	if (!str_set(in->ciphertext_blob))
		return kms_invalid(c, "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
		                      "Member must not be null");
	if (kms_find_of_blob(c, in->ciphertext_blob, &from) != CALL_OK || check_named(c, in->source_key_id, &from) != CALL_OK ||
	    kms_find(c, in->destination_key_id, &to) != CALL_OK || kms_usable(c, &from, "ENCRYPT_DECRYPT") != CALL_OK ||
	    kms_usable(c, &to, "ENCRYPT_DECRYPT") != CALL_OK || check_algorithm(c, in->source_encryption_algorithm) != CALL_OK ||
	    check_algorithm(c, in->destination_encryption_algorithm) != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	if (kms_decrypt_with(c, &from, in->ciphertext_blob, &in->source_encryption_context, &plain, &out->source_key_material_id) !=
	    CALL_OK)
		return CALL_FAIL;
	out->source_key_id = from.arn;
	out->key_id = to.arn;
	out->source_encryption_algorithm = out->destination_encryption_algorithm = S("SYMMETRIC_DEFAULT");
	out->destination_key_material_id = kms_material_current(&to.r)->id;
	int r = kms_encrypt_with(c, &to, plain, &in->destination_encryption_context, &out->ciphertext_blob);
	kms_forget(plain);
	return r;
}

/* --- data keys */

struct data_key {
	struct str id, plain, blob, material;
};

static int data_key(struct call *c, const struct kms_generate_data_key_request *in, struct data_key *ret)
{
	struct kms_found k;
	if (in->recipient)
		return kms_unsupported(c, "Nitro enclaves are");
	if (in->number_of_bytes.set == str_set(in->key_spec))
		return kms_invalid(c, "Please specify either number of bytes or key spec.");
	size_t n = in->number_of_bytes.set ? (size_t)in->number_of_bytes.v : str_is(in->key_spec, "AES_128") ? 16 : 32;
	if (kms_find(c, in->key_id, &k) != CALL_OK || kms_usable(c, &k, "ENCRYPT_DECRYPT") != CALL_OK)
		return CALL_FAIL;
	if (in->dry_run.v)
		return kms_dry_run(c);
	void *bytes = arena_alloc(c->arena, n);
	rand_bytes(bytes, n);
	*ret = (struct data_key){.id = k.arn, .plain = str_of(bytes, n), .material = kms_material_current(&k.r)->id};
	return kms_encrypt_with(c, &k, ret->plain, &in->encryption_context, &ret->blob);
}

int kms_generate_data_key(struct call *c, const struct kms_generate_data_key_request *in,
                          struct kms_generate_data_key_response *out)
{
	struct data_key k;
	if (data_key(c, in, &k) != CALL_OK)
		return CALL_FAIL;
	*out = (struct kms_generate_data_key_response){
	        .ciphertext_blob = k.blob, .plaintext = k.plain, .key_id = k.id, .key_material_id = k.material};
	return CALL_OK;
}

int kms_generate_data_key_without_plaintext(struct call *c, const struct kms_generate_data_key_without_plaintext_request *in,
                                            struct kms_generate_data_key_without_plaintext_response *out)
{
	struct data_key k;
	const struct kms_generate_data_key_request same = {.key_id = in->key_id,
	                                                   .encryption_context = in->encryption_context,
	                                                   .number_of_bytes = in->number_of_bytes,
	                                                   .key_spec = in->key_spec,
	                                                   .dry_run = in->dry_run};
	if (data_key(c, &same, &k) != CALL_OK)
		return CALL_FAIL;
	kms_forget(k.plain);
	*out = (struct kms_generate_data_key_without_plaintext_response){
	        .ciphertext_blob = k.blob, .key_id = k.id, .key_material_id = k.material};
	return CALL_OK;
}

int kms_generate_random(struct call *c, const struct kms_generate_random_request *in, struct kms_generate_random_response *out)
{
	if (in->recipient || str_set(in->custom_key_store_id))
		return kms_unsupported(c, "Nitro enclaves and custom key stores are");
	if (!in->number_of_bytes.set)
		return kms_invalid(c, "NumberOfBytes is required");
	void *bytes = arena_alloc(c->arena, (size_t)in->number_of_bytes.v);
	rand_bytes(bytes, (size_t)in->number_of_bytes.v);
	out->plaintext = str_of(bytes, (size_t)in->number_of_bytes.v);
	return CALL_OK;
}
