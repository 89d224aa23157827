#include "http/tls.h"

#include "base/arena.h"
#include "base/buf.h"
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

/* A wildcard covers one label, and OpenSSL wants two more behind it: so services under localhost are spelled out, and under
 * amazonaws.com there is a name a region for services and one for buckets. */
static const struct str fixed_names = S_INIT(
        "localhost localhost.localdomain *.localhost *.localhost.localdomain *.s3.localhost *.lambda-url.localhost *.dkr.ecr.localhost "
        "*.amazonaws.com *.s3.amazonaws.com");
static const struct str services = S_INIT(
        "autoscaling cloudformation cloudwatch dynamodb ec2 ecr ecs elasticache elasticbeanstalk elasticloadbalancing events iam kms lambda "
        "logs monitoring rds route53 s3 secretsmanager sns sqs ssm sts");
static const struct str regions = S_INIT(
        "us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 eu-west-1 eu-west-2 eu-west-3 eu-central-1 eu-north-1 ap-south-1 "
        "ap-southeast-1 ap-southeast-2 ap-northeast-1 ap-northeast-2");

/* Adds prefix, word, suffix for each word of the list. */
static void names_add(struct buf *b, struct str words, const char *prefix, const char *suffix)
{
	while (str_set(words)) {
		struct str word = str_cut(&words, ' ');
		buf_printf(b, ",DNS:%s%.*s%s", prefix, STR_ARG(word), suffix);
	}
}

/* Every name and address of the server certificate, as OpenSSL's configuration spells them. */
static void names_make(struct buf *b)
{
	buf_add_lit(b, "IP:127.0.0.1,IP:::1");
	names_add(b, fixed_names, "", "");
	names_add(b, services, "", ".localhost");
	names_add(b, regions, "*.", ".amazonaws.com");
	names_add(b, regions, "*.s3.", ".amazonaws.com");
	names_add(b, regions, "*.dkr.ecr.", ".amazonaws.com");
	names_add(b, regions, "*.lambda-url.", ".on.aws");
	buf_add_char(b, '\0');
}

/* --- making */

struct extension {
	int nid;           /* 0: the list's end */
	const char *value; /* NULL: the names */
};
static const struct extension ca_extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {0},
};
static const struct extension leaf_extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid"},
        {NID_subject_alt_name, NULL},
        {0},
};

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
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
	struct buf CLEAN_BUF names;
	buf_init(&names, 16384);
	names_make(&names);
	const struct extension *extensions = issuer ? leaf_extensions : ca_extensions;
	for (size_t i = 0; extensions[i].nid; i++) {
		const char *value = extensions[i].value ? extensions[i].value : names.p;
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, value);
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
