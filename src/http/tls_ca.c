#include "http/tls.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cert.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86400, CA_DAYS = 3650, LEAF_DAYS = 825, KEPT_DAYS = 30 };

/* A wildcard covers one label, and OpenSSL wants two more behind it: so services under localhost are spelled out, and under
 * amazonaws.com there is a name a region for services and one for buckets. */
static const struct str fixed_names = S_INIT(
        "localhost localhost.localdomain *.localhost *.localhost.localdomain *.s3.localhost *.lambda-url.localhost *.dkr.ecr.localhost "
        "*.amazonaws.com *.s3.amazonaws.com");
static const struct str services = S_INIT(
        "acm autoscaling cloudformation cloudwatch dynamodb ec2 ecr ecs elasticache elasticbeanstalk elasticloadbalancing events iam kms lambda "
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

/* --- files: written beside their place, then renamed, so that a reader sees old or new but no part */

static int pem_write(const char *dir, const char *name, mode_t mode, struct str first, struct str second)
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
	bool good = fchmod(fd, mode) == 0 && fwrite(first.p, 1, first.n, f) == first.n;
	good = good && (!str_set(second) || fwrite(second.p, 1, second.n, f) == second.n);
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
static X509 *cert_of_file(const char *dir, const char *name)
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
	X509 *ca = cert_of_file(dir, "ca.pem"), *leaf = cert_of_file(dir, "cert.pem");
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
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF names;
	struct cert_bundle ca, leaf;
	int64_t now_s = (int64_t)time(NULL);
	buf_init(&names, 16384);
	names_make(&names);
	struct cert_wish wish = {.organisation = S("Quartet"),
	                         .common_name = S("Quartet local authority"),
	                         .algorithm = "EC_prime256v1",
	                         .from_s = now_s - DAY_S,
	                         .until_s = now_s + (int64_t)CA_DAYS * DAY_S};
	if (!cert_issue(&a, &wish, NULL, &ca))
		die("cannot make a certificate authority");
	wish.common_name = S("localhost");
	wish.names = names.p;
	wish.until_s = now_s + (int64_t)LEAF_DAYS * DAY_S;
	if (!cert_issue(&a, &wish, &ca, &leaf))
		die("cannot make a certificate");
	int failed = pem_write(dir, "key.pem", 0600, leaf.key, STR_NONE);
	if (!failed)
		failed = pem_write(dir, "cert.pem", 0644, leaf.body, ca.body);
	if (!failed)
		failed = pem_write(dir, "ca.pem", 0644, ca.body, STR_NONE);
	return failed;
}
