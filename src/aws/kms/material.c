/* Key material, and what is encrypted with it.
 *
 * A blob: a format byte, the length of the key's ARN and that ARN, the material's id (32 bytes), a salt (16), a nonce (12), the
 * ciphertext and its tag (16). What encrypts is no material itself but a key that HMAC-SHA-256 derives from it by the salt, so that
 * a material may serve any number of messages; AES-256-GCM binds everything before the ciphertext and the encryption context. */
#include "rows.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/rand.h"
#include "core/seal.h"

#include <openssl/evp.h>

#include <stdlib.h>

enum { FORMAT = 1, ID = 32, SALT = 16, NONCE = 12, TAG = 16, ARN_MAX = 255, UUID = 36, CONTEXT_MAX = 1 << 16 };

/* --- materials */

static struct str bound_to(struct call *c, const struct kms_found *k, struct str material_id)
{
	return ARENA_CAT(c->arena, k->arn, S(" "), material_id);
}

bool kms_material_add(struct call *c, struct kms_found *k, struct str secret, const char *rotation_type)
{
	unsigned char id[ID];
	char hex[2 * ID + 1];
	rand_bytes(id, sizeof(id));
	hex_encode(id, sizeof(id), hex);
	struct state_kms_material m = {.id = arena_dup(c->arena, str_from(hex)), .created = OPT_TIME(c->now_ms)};
	if (rotation_type)
		m.rotation_type = str_from(rotation_type);
	if (!c->cloud->seal)
		return false;
	m.sealed = seal_put(c->cloud->seal, c->arena, secret, bound_to(c, k, m.id));
	if (!str_set(m.sealed))
		return false;
	*LIST_ADD(c->arena, &k->r.materials) = m;
	return true;
}

const struct state_kms_material *kms_material_current(const struct state_kms_key_record *r)
{
	return &r->materials.v[r->materials.n - 1];
}

bool kms_material_open(struct call *c, const struct kms_found *k, const struct state_kms_material *m, struct str *ret)
{
	*ret = c->cloud->seal ? seal_get(c->cloud->seal, c->arena, m->sealed, bound_to(c, k, m->id)) : STR_NONE;
	if (str_set(*ret))
		return true;
	call_broken(c, "a key of KMS does not open: DATA/ssm.key is not the key that it was sealed with");
	return false;
}

void kms_forget(struct str secret)
{
	if (str_set(secret))
		explicit_bzero((void *)(uintptr_t)secret.p, secret.n);
}

/* --- encryption contexts: sorted, each with its length, so that two of them are never one text */

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct str_map_entry *)a)->key, ((const struct str_map_entry *)b)->key);
}

static void put_counted(struct buf *b, struct str s)
{
	unsigned char n[4] = {(unsigned char)(s.n >> 24), (unsigned char)(s.n >> 16), (unsigned char)(s.n >> 8),
	                      (unsigned char)s.n};
	buf_add(b, n, sizeof(n));
	buf_add(b, s.p, s.n);
}

static struct str bound(struct call *c, struct str head, const struct str_map *context)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, (1 << 20) + CONTEXT_MAX);
	put_counted(&b, head);
	struct str_map_entry *v = arena_array(c->arena, context->n + 1, sizeof(*v));
	if (context->n)
		memcpy(v, context->v, context->n * sizeof(*v));
	qsort(v, context->n, sizeof(*v), by_key);
	for (uint32_t i = 0; i < context->n; i++) {
		put_counted(&b, v[i].key);
		put_counted(&b, v[i].value);
	}
	return arena_dup(c->arena, buf_str(&b));
}

/* --- blobs */

struct blob {
	struct str head; /* all that is before the salt */
	struct str arn, material_id;
	const unsigned char *salt, *nonce, *cipher;
	size_t cipher_n; /* without the tag, which follows */
};

static bool blob_read(struct arena *a, struct str text, struct blob *ret)
{
	const unsigned char *p = (const unsigned char *)text.p;
	size_t fixed = 2 + ID + SALT + NONCE + TAG;
	char hex[2 * ID + 1];
	if (text.n < fixed || p[0] != FORMAT || text.n < fixed + p[1])
		return false;
	size_t arn_n = p[1];
	hex_encode(p + 2 + arn_n, ID, hex);
	*ret = (struct blob){
	        .head = str_sub(text, 0, 2 + arn_n + ID),
	        .arn = str_sub(text, 2, arn_n),
	        .material_id = arena_dup(a, str_from(hex)),
	        .salt = p + 2 + arn_n + ID,
	        .nonce = p + 2 + arn_n + ID + SALT,
	        .cipher = p + 2 + arn_n + ID + SALT + NONCE,
	        .cipher_n = text.n - fixed - arn_n,
	};
	return true;
}

bool kms_blob_key(struct arena *a, struct str text, struct str *ret_arn)
{
	struct blob b;
	if (!blob_read(a, text, &b) || !str_starts(b.arn, S("arn:aws:kms:")) || b.arn.n < UUID)
		return false;
	struct str id = str_from_at(b.arn, b.arn.n - UUID);
	if (!id_is_uuid(id) || !str_ends(str_sub(b.arn, 0, b.arn.n - UUID), S(":key/")))
		return false;
	*ret_arn = b.arn;
	return true;
}

static int broken(struct call *c, const char *what)
{
	return call_broken(c, "OpenSSL cannot %s", what);
}

int kms_encrypt_with(struct call *c, const struct kms_found *k, struct str plain, const struct str_map *context, struct str *ret)
{
	const struct state_kms_material *m = kms_material_current(&k->r);
	size_t head_n = 2 + k->arn.n + ID, n = head_n + SALT + NONCE + plain.n + TAG;
	unsigned char *out = arena_alloc(c->arena, n), derived[32];
	struct str secret;
	if (k->arn.n > ARN_MAX || !hex_decode(m->id, out + 2 + k->arn.n, ID))
		return call_broken(c, "a key's record does not make a blob");
	out[0] = FORMAT;
	out[1] = (unsigned char)k->arn.n;
	memcpy(out + 2, k->arn.p, k->arn.n);
	rand_bytes(out + head_n, SALT + NONCE);
	if (!kms_material_open(c, k, m, &secret))
		return CALL_FAIL;
	hmac_sha256(secret, str_of(out + head_n, SALT), derived);
	kms_forget(secret);
	struct str with = bound(c, str_of(out, head_n), context);
	int got = 0;
	unsigned char *cipher = out + head_n + SALT + NONCE;
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_EncryptInit_ex(x, EVP_aes_256_gcm(), NULL, derived, out + head_n + SALT) &&
	          EVP_EncryptUpdate(x, NULL, &got, (const unsigned char *)with.p, (int)with.n) &&
	          EVP_EncryptUpdate(x, cipher, &got, (const unsigned char *)plain.p, (int)plain.n) &&
	          EVP_EncryptFinal_ex(x, cipher + got, &got) && EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_GET_TAG, TAG, cipher + plain.n);
	EVP_CIPHER_CTX_free(x);
	explicit_bzero(derived, sizeof(derived));
	if (!ok)
		return broken(c, "encrypt");
	*ret = str_of(out, n);
	return CALL_OK;
}

static int no_ciphertext(struct call *c)
{
	return call_fail(c, "InvalidCiphertextException", 0, "%s", "");
}

int kms_decrypt_with(struct call *c, const struct kms_found *k, struct str text, const struct str_map *context, struct str *ret,
                     struct str *ret_material)
{
	struct blob b;
	struct str secret;
	const struct state_kms_material *m = NULL;
	unsigned char derived[32];
	if (!blob_read(c->arena, text, &b) || !str_eq(b.arn, k->arn))
		return no_ciphertext(c);
	for (uint32_t i = 0; i < k->r.materials.n; i++)
		if (str_eq(k->r.materials.v[i].id, b.material_id))
			m = &k->r.materials.v[i];
	if (!m)
		return no_ciphertext(c);
	if (!kms_material_open(c, k, m, &secret))
		return CALL_FAIL;
	hmac_sha256(secret, str_of(b.salt, SALT), derived);
	kms_forget(secret);
	struct str with = bound(c, b.head, context);
	unsigned char *plain = arena_alloc(c->arena, b.cipher_n + 1);
	int got = 0;
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_DecryptInit_ex(x, EVP_aes_256_gcm(), NULL, derived, b.nonce) &&
	          EVP_DecryptUpdate(x, NULL, &got, (const unsigned char *)with.p, (int)with.n) &&
	          EVP_DecryptUpdate(x, plain, &got, b.cipher, (int)b.cipher_n) &&
	          EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_SET_TAG, TAG, (void *)(uintptr_t)(b.cipher + b.cipher_n)) &&
	          EVP_DecryptFinal_ex(x, plain + got, &got) > 0;
	EVP_CIPHER_CTX_free(x);
	explicit_bzero(derived, sizeof(derived));
	if (!ok) {
		explicit_bzero(plain, b.cipher_n);
		return no_ciphertext(c);
	}
	*ret = str_of(plain, b.cipher_n);
	if (ret_material)
		*ret_material = b.material_id;
	return CALL_OK;
}

/* AWS does not say whether such a key exists. */
int kms_find_of_blob(struct call *c, struct str text, struct kms_found *ret)
{
	struct str arn;
	if (!kms_blob_key(c->arena, text, &arn))
		return no_ciphertext(c);
	if (kms_find_key(c, arn, ret) == CALL_OK)
		return CALL_OK;
	return call_fail(
	        c, "AccessDeniedException", 0,
	        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
	        "not allowed to access.");
}
