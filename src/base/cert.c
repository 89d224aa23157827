#include "base/cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { CHAIN_MAX = 100 };

static const struct str begin_mark = S_INIT("-----BEGIN CERTIFICATE-----"), end_mark = S_INIT("-----END CERTIFICATE-----");

/* Takes the next certificate off a text. NULL: *text is at its end, or (*ret_bad) holds something else. */
static X509 *next_certificate(struct str *text, bool *ret_bad)
{
	struct str rest = str_trim(*text);
	*ret_bad = false;
	if (!rest.n)
		return NULL;
	ptrdiff_t end = str_find(rest, end_mark);
	*ret_bad = true;
	if (!str_starts(rest, begin_mark) || end < 0)
		return NULL;
	size_t n = (size_t)end + end_mark.n;
	BIO *in = BIO_new_mem_buf(rest.p, (int)n);
	X509 *cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	BIO_free(in);
	ERR_clear_error();
	*ret_bad = !cert;
	*text = str_from_at(rest, n);
	return cert;
}

/* Reads things of a PEM text until there is none. False: what stands there as one is none. */
static bool is_at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return end;
}

int cert_count(struct str pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	int n = 0;
	for (X509 *cert; in && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)); n++)
		X509_free(cert);
	BIO_free(in);
	return is_at_end() ? n : -1;
}

int64_t cert_count_revoked(struct str pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	int64_t n = 0;
	bool any = false;
	for (X509_CRL *list; in && (list = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)); any = true) {
		n += sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)) > 0 ? sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)) : 0;
		X509_CRL_free(list);
	}
	BIO_free(in);
	return is_at_end() && any ? n : -1;
}

/* Nobody is there to be asked for a passphrase. */
static int no_passphrase(char *to, int n, int writing, void *ctx)
{
	(void)to;
	(void)n;
	(void)writing;
	(void)ctx;
	return -1;
}

static EVP_PKEY *read_key(struct str pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
	BIO_free(in);
	ERR_clear_error();
	return key;
}

static enum cert_fault check_key(X509 *body, struct str pem)
{
	EVP_PKEY *key = read_key(pem);
	if (!key)
		return str_find(pem, S("ENCRYPTED")) >= 0 ? CERT_LOCKED_KEY : CERT_BAD_KEY;
	enum cert_fault fault = X509_check_private_key(body, key) == 1 ? CERT_GOOD : CERT_OTHER_KEY;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return fault;
}

static bool is_signed_by(X509 *cert, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool good =
	        key && X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) == 0 && X509_verify(cert, key) == 1;
	ERR_clear_error();
	return good;
}

/* Walks the chain, each certificate held against the one before. */
static enum cert_fault check_chain(X509 *body, struct str chain, int *ret_index)
{
	X509 *before = body;
	enum cert_fault fault = CERT_GOOD;
	int count = 0;
	for (bool bad; fault == CERT_GOOD; count++) {
		X509 *next = next_certificate(&chain, &bad);
		if (!next) {
			if (bad || !count)
				fault = CERT_BAD_CHAIN;
			break;
		}
		if (!is_signed_by(before, next)) {
			*ret_index = count - 1;
			fault = CERT_BROKEN_CHAIN;
		} else if (count == CHAIN_MAX) {
			fault = CERT_BAD_CHAIN;
		}
		if (before != body)
			X509_free(before);
		before = next;
	}
	if (before != body)
		X509_free(before);
	return fault;
}

enum cert_fault cert_check(const struct cert_bundle *b, int *ret_index)
{
	struct str text = b->body;
	bool bad;
	X509 *body = next_certificate(&text, &bad);
	enum cert_fault fault = CERT_GOOD;
	if (!body)
		return CERT_MALFORMED;
	if (str_trim(text).n)
		fault = str_starts(str_trim(text), begin_mark) ? CERT_SEVERAL : CERT_MALFORMED;
	if (fault == CERT_GOOD && str_set(b->key))
		fault = check_key(body, b->key);
	if (fault == CERT_GOOD && str_set(b->chain))
		fault = check_chain(body, b->chain, ret_index);
	X509_free(body);
	return fault;
}

/* --- what it says */

static struct str bio_text(struct arena *a, BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	struct str text = arena_dup(a, str_of(p, (size_t)(n > 0 ? n : 0)));
	BIO_free(b);
	return text;
}

static struct str name_text(struct arena *a, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	if (!b)
		return S("");
	X509_NAME_print_ex(b, name, 0, XN_FLAG_SEP_CPLUS_SPC | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_UTF8_CONVERT | XN_FLAG_FN_SN);
	return bio_text(a, b);
}

static struct str name_part(struct arena *a, const X509_NAME *name, int nid)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8 = NULL;
	if (at < 0)
		return STR_NONE;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	struct str text = n < 0 ? STR_NONE : arena_dup(a, str_of(utf8, (size_t)n));
	OPENSSL_free(utf8);
	return text;
}

static struct str serial_text(struct arena *a, const X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	int n = ASN1_STRING_length(serial);
	const unsigned char *p = ASN1_STRING_get0_data(serial);
	char *text = arena_alloc(a, (size_t)n * 3 + 1);
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < n; i++) {
		text[i * 3] = digits[p[i] >> 4];
		text[i * 3 + 1] = digits[p[i] & 15];
		text[i * 3 + 2] = ':';
	}
	return str_of(text, n ? (size_t)n * 3 - 1 : 0);
}

static int64_t time_ms(const ASN1_TIME *t)
{
	struct tm tm = {0};
	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static struct str key_text(struct arena *a, EVP_PKEY *key)
{
	char curve[64];
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return arena_printf(a, "RSA_%d", EVP_PKEY_get_bits(key));
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1)
		return arena_printf(a, "EC_%s", curve);
	return STR_NONE;
}

static struct str signature_text(struct arena *a, X509 *cert)
{
	int digest = NID_undef, key = NID_undef;
	X509_get_signature_info(cert, &digest, &key, NULL, NULL);
	const char *with = key == EVP_PKEY_EC ? "ECDSA" : key == NID_rsassaPss ? "RSAPSS" : key == EVP_PKEY_RSA ? "RSA" : NULL;
	if (!with || digest == NID_undef)
		return str_from(OBJ_nid2sn(X509_get_signature_nid(cert)));
	char *text = arena_dupz(a, arena_printf(a, "%sWITH%s", OBJ_nid2sn(digest), with));
	for (char *p = text; *p; p++)
		*p = ascii_upper(*p);
	return str_from(text);
}

static void read_names(struct arena *a, X509 *cert, struct cert_facts *f)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n = names ? sk_GENERAL_NAME_num(names) : 0;
	f->names = arena_array(a, (size_t)n + 1, sizeof(*f->names));
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			f->names[f->name_count++] = arena_dup(
			        a, str_of(ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)));
	}
	GENERAL_NAMES_free(names);
}

static void read_usages(struct arena *a, X509 *cert, struct cert_facts *f)
{
	ASN1_BIT_STRING *bits = X509_get_ext_d2i(cert, NID_key_usage, NULL, NULL);
	f->has_usages = bits != NULL;
	for (int i = 0; bits && i < 9; i++)
		f->usages |= ASN1_BIT_STRING_get_bit(bits, i) ? 1u << i : 0;
	ASN1_BIT_STRING_free(bits);
	EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	int n = purposes ? sk_ASN1_OBJECT_num(purposes) : 0;
	f->purposes = arena_array(a, (size_t)n + 1, sizeof(*f->purposes));
	for (int i = 0; i < n; i++) {
		char oid[80];
		if (OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(purposes, i), 1) > 0)
			f->purposes[f->purpose_count++] = arena_dup(a, str_from(oid));
	}
	EXTENDED_KEY_USAGE_free(purposes);
}

bool cert_read(struct arena *a, struct str pem, struct cert_facts *ret)
{
	bool bad;
	X509 *cert = next_certificate(&pem, &bad);
	if (!cert)
		return false;
	const X509_NAME *subject = X509_get_subject_name(cert), *issuer = X509_get_issuer_name(cert);
	struct cert_facts f = {
	        .serial = serial_text(a, cert),
	        .subject = name_text(a, subject),
	        .issuer = name_text(a, issuer),
	        .common_name = name_part(a, subject, NID_commonName),
	        .issuer_name = name_part(a, issuer, NID_organizationName),
	        .key_algorithm = key_text(a, X509_get0_pubkey(cert)),
	        .signature_algorithm = signature_text(a, cert),
	        .not_before_ms = time_ms(X509_get0_notBefore(cert)),
	        .not_after_ms = time_ms(X509_get0_notAfter(cert)),
	        .version = (unsigned)X509_get_version(cert) + 1,
	        .self_signed = is_signed_by(cert, cert),
	};
	if (!str_set(f.issuer_name))
		f.issuer_name = name_part(a, issuer, NID_commonName);
	if (!str_set(f.issuer_name) && f.issuer.n)
		f.issuer_name = f.issuer;
	read_names(a, cert, &f);
	read_usages(a, cert, &f);
	X509_free(cert);
	ERR_clear_error();
	*ret = f;
	return true;
}

/* --- making */

struct extension {
	int nid;           /* 0: the list's end */
	const char *value; /* NULL: the names */
};
static const struct extension authority_extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {0},
};
#define LEAF_EXTENSIONS(usages) \
	{ \
		{NID_basic_constraints, "critical,CA:FALSE"}, {NID_key_usage, "critical," usages}, \
		        {NID_ext_key_usage, "serverAuth"}, {NID_subject_key_identifier, "hash"}, \
		        {NID_authority_key_identifier, "keyid"}, {NID_subject_alt_name, NULL}, \
		{ \
			0 \
		} \
	}
static const struct extension ec_extensions[] = LEAF_EXTENSIONS("digitalSignature");
static const struct extension rsa_extensions[] = LEAF_EXTENSIONS("digitalSignature,keyEncipherment");

static EVP_PKEY *make_key(const char *algorithm)
{
	struct str kind = str_from(algorithm);
	int64_t bits;
	if (str_starts(kind, S("RSA_")) && str_to_i64(str_from_at(kind, 4), &bits))
		return EVP_RSA_gen((size_t)bits);
	return str_starts(kind, S("EC_")) ? EVP_EC_gen(algorithm + 3) : NULL;
}

static bool put_name(X509_NAME *to, const char *part, struct str value)
{
	return !str_set(value) ||
	       X509_NAME_add_entry_by_txt(to, part, MBSTRING_UTF8, (const unsigned char *)value.p, (int)value.n, -1, 0) == 1;
}

static bool put_extensions(X509 *cert, X509 *issuer, const struct extension *extensions, const char *names)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (; extensions->nid; extensions++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, extensions->nid, extensions->value ? extensions->value : names);
		bool good = e && X509_add_ext(cert, e, -1) == 1;
		X509_EXTENSION_free(e);
		if (!good)
			return false;
	}
	return true;
}

static bool fill(X509 *cert, const struct cert_wish *w, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	BIGNUM *number = BN_new();
	X509_NAME *name = X509_get_subject_name(cert);
	bool good = number && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	            BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return good && X509_set_version(cert, X509_VERSION_3) == 1 && ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)w->from_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)w->until_s) && put_name(name, "O", w->organisation) &&
	       put_name(name, "CN", w->common_name) &&
	       X509_set_issuer_name(cert, issuer == cert ? name : X509_get_subject_name(issuer)) == 1 &&
	       X509_set_pubkey(cert, key) == 1 &&
	       put_extensions(cert, issuer,
	                      !w->names                                      ? authority_extensions
	                      : str_starts(str_from(w->algorithm), S("RSA")) ? rsa_extensions
	                                                                     : ec_extensions,
	                      w->names) &&
	       X509_sign(cert, issuer_key, EVP_sha256()) != 0;
}

static bool write_pem(struct arena *a, X509 *cert, EVP_PKEY *key, struct cert_bundle *ret)
{
	BIO *body = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_secmem());
	bool good = body && secret && PEM_write_bio_X509(body, cert) == 1 &&
	            PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (good) {
		ret->body = bio_text(a, body);
		ret->key = bio_text(a, secret);
		return true;
	}
	BIO_free(body);
	BIO_free(secret);
	return false;
}

bool cert_issue(struct arena *a, const struct cert_wish *w, const struct cert_bundle *issuer, struct cert_bundle *ret)
{
	struct cert_bundle made = {0};
	struct str text = issuer ? issuer->body : STR_NONE;
	bool bad;
	X509 *cert = X509_new(), *by = issuer ? next_certificate(&text, &bad) : NULL;
	EVP_PKEY *key = make_key(w->algorithm), *by_key = issuer ? read_key(issuer->key) : NULL;
	bool good = cert && key && (!issuer || (by && by_key)) && fill(cert, w, key, by ? by : cert, by_key ? by_key : key) &&
	            write_pem(a, cert, key, &made);
	X509_free(cert);
	X509_free(by);
	EVP_PKEY_free(key);
	EVP_PKEY_free(by_key);
	ERR_clear_error();
	if (!good)
		return false;
	if (issuer)
		made.chain = str_set(issuer->chain) ? ARENA_CAT(a, issuer->body, issuer->chain) : arena_dup(a, issuer->body);
	*ret = made;
	return true;
}
