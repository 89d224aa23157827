#include "http/tls.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86400, CA_DAYS = 3650, LEAF_DAYS = 825, KEPT_DAYS = 30 };

/* A wildcard covers one label, so every depth that AWS's endpoints have is spelled out: service.region, bucket.s3.region,
 * account.service.region. */
static const char names[] =
        "DNS:localhost,DNS:*.localhost,DNS:*.s3.localhost,DNS:*.lambda.localhost,DNS:*.localhost.localdomain,"
        "DNS:*.amazonaws.com,DNS:*.us-east-1.amazonaws.com,DNS:*.us-east-2.amazonaws.com,DNS:*.us-west-1.amazonaws.com,DNS:*.us-west-2.amazonaws.com,"
        "DNS:*.eu-west-1.amazonaws.com,DNS:*.eu-west-2.amazonaws.com,DNS:*.eu-west-3.amazonaws.com,DNS:*.eu-central-1.amazonaws.com,"
        "DNS:*.eu-north-1.amazonaws.com,DNS:*.ap-south-1.amazonaws.com,DNS:*.ap-southeast-1.amazonaws.com,DNS:*.ap-southeast-2.amazonaws.com,"
        "DNS:*.ap-northeast-1.amazonaws.com,DNS:*.ap-northeast-2.amazonaws.com,DNS:*.ca-central-1.amazonaws.com,DNS:*.sa-east-1.amazonaws.com,"
        "DNS:*.s3.amazonaws.com,DNS:*.s3.us-east-1.amazonaws.com,DNS:*.s3.us-east-2.amazonaws.com,DNS:*.s3.us-west-1.amazonaws.com,"
        "DNS:*.s3.us-west-2.amazonaws.com,DNS:*.s3.eu-west-1.amazonaws.com,DNS:*.s3.eu-central-1.amazonaws.com,"
        "DNS:*.dkr.ecr.us-east-1.amazonaws.com,DNS:*.lambda-url.us-east-1.on.aws,IP:127.0.0.1,IP:::1";

/* --- making */

/* One certificate: of the authority over itself when issuer is NULL. */
static X509 *cert_make(EVP_PKEY *key, const char *common_name, X509 *issuer, EVP_PKEY *issuer_key, int days)
{
	X509 *cert = X509_new();
	if (!cert)
		die("out of memory (certificate)");
	unsigned char serial[16];
	rand_bytes(serial, sizeof(serial));
	serial[0] &= 0x7f;
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
	X509_set_version(cert, X509_VERSION_3);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S);
	X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL);
	X509_NAME *name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Quartet", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
	X509_set_pubkey(cert, key);
	const struct {
		int nid;
		const char *value;
	} ca[] =
	        {
	                {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
	                {NID_key_usage, "critical,keyCertSign,cRLSign"},
	                {NID_subject_key_identifier, "hash"},
	        },
	  leaf[] = {
	          {NID_basic_constraints, "critical,CA:FALSE"},
	          {NID_key_usage, "critical,digitalSignature"},
	          {NID_ext_key_usage, "serverAuth"},
	          {NID_subject_key_identifier, "hash"},
	          {NID_authority_key_identifier, "keyid"},
	          {NID_subject_alt_name, names},
	  };
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
	size_t count = issuer ? sizeof(leaf) / sizeof(leaf[0]) : sizeof(ca) / sizeof(ca[0]);
	for (size_t i = 0; i < count; i++) {
		X509_EXTENSION *e =
		        X509V3_EXT_conf_nid(NULL, &ctx, issuer ? leaf[i].nid : ca[i].nid, issuer ? leaf[i].value : ca[i].value);
		if (!e || X509_add_ext(cert, e, -1) != 1)
			die("cannot make certificate extension %zu", i);
		X509_EXTENSION_free(e);
	}
	if (X509_sign(cert, issuer_key, EVP_sha256()) == 0)
		die("cannot sign a certificate");
	return cert;
}

/* --- files: written beside their place, then renamed, so that a reader sees old or new but no part */

static int pem_write(const char *dir, const char *name, mode_t mode, X509 *first, X509 *second, EVP_PKEY *key)
{
	struct arena CLEAN_ARENA a = {0};
	const char *to = arena_printf(&a, "%s/%s", dir, name).p, *part = arena_printf(&a, "%s/%s.new", dir, name).p;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	FILE *f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	bool good = fchmod(fd, mode) == 0;
	good = good && (!first || PEM_write_X509(f, first) == 1) && (!second || PEM_write_X509(f, second) == 1);
	good = good && (!key || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	good = good && fflush(f) == 0 && fsync(fd) == 0;
	good = fclose(f) == 0 && good;
	if (!good || rename(part, to) < 0) {
		int e = errno ? errno : EIO;
		unlink(part);
		return -e;
	}
	return 0;
}

/* The first certificate of a file, or NULL. */
static X509 *cert_read(const char *dir, const char *name)
{
	struct arena CLEAN_ARENA a = {0};
	FILE *f = fopen(arena_printf(&a, "%s/%s", dir, name).p, "re");
	if (!f)
		return NULL;
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	ERR_clear_error();
	return cert;
}

static bool cert_is_fresh(X509 *cert)
{
	time_t until = time(NULL) + (time_t)KEPT_DAYS * DAY_S;
	return cert && X509_cmp_time(X509_get0_notAfter(cert), &until) > 0;
}

/* Are all three there, ours, matching and good for a while? */
static bool files_are_good(const char *dir)
{
	struct arena CLEAN_ARENA a = {0};
	X509 *ca = cert_read(dir, "ca.pem"), *leaf = cert_read(dir, "cert.pem");
	FILE *f = fopen(arena_printf(&a, "%s/key.pem", dir).p, "re");
	EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL, *ca_key = ca ? X509_get0_pubkey(ca) : NULL;
	bool good = cert_is_fresh(ca) && cert_is_fresh(leaf) && key && ca_key && X509_check_private_key(leaf, key) == 1 &&
	            X509_verify(leaf, ca_key) == 1;
	if (f)
		fclose(f);
	EVP_PKEY_free(key);
	X509_free(ca);
	X509_free(leaf);
	ERR_clear_error();
	return good;
}

int tls_make_ca(const char *dir)
{
	if (files_are_good(dir))
		return 0;
	/* The authority's key is never written: nobody can make this machine's clients trust anything else with it. */
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	if (!ca_key || !key)
		die("cannot make keys");
	X509 *ca = cert_make(ca_key, "Quartet local authority", NULL, ca_key, CA_DAYS);
	X509 *leaf = cert_make(key, "localhost", ca, ca_key, LEAF_DAYS);
	int failed = pem_write(dir, "key.pem", 0600, NULL, NULL, key);
	if (!failed)
		failed = pem_write(dir, "cert.pem", 0644, leaf, ca, NULL);
	if (!failed)
		failed = pem_write(dir, "ca.pem", 0644, ca, NULL, NULL);
	X509_free(leaf);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return failed;
}
