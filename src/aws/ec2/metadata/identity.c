#include "aws/ec2/metadata/identity.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { YEARS = 30, NAME_MAX_BYTES = 4096 };

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
};

static bool certify(struct identity *i)
{
	i->certificate = X509_new();
	if (!i->certificate)
		return false;
	X509_NAME *name = X509_get_subject_name(i->certificate);
	return X509_set_version(i->certificate, 2) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(i->certificate), rand_u64() >> 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(i->certificate), -86400) &&
	       X509_time_adj_ex(X509_getm_notAfter(i->certificate), YEARS * 365, 0, NULL) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Quartet instance identity", -1, -1,
	                                  0) &&
	       X509_set_issuer_name(i->certificate, name) && X509_set_pubkey(i->certificate, i->key) &&
	       X509_sign(i->certificate, i->key, EVP_sha256());
}

/* Key and certificate in one file, so that there is never one without the other; or the certificate alone, for everybody. */
static int write_file(const struct identity *i, const char *path, bool secret)
{
	char temporary[NAME_MAX_BYTES + sizeof(".new")];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, secret ? 0600 : 0644);
	if (fd < 0)
		return -errno;
	FILE *f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	bool good = (!secret || PEM_write_PrivateKey(f, i->key, NULL, NULL, 0, NULL, NULL)) && PEM_write_X509(f, i->certificate) &&
	            fflush(f) == 0 && fsync(fd) == 0;
	good = fclose(f) == 0 && good;
	return good && rename(temporary, path) == 0 ? 0 : -EIO;
}

static int read_file(struct identity *i, const char *path)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	i->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	i->certificate = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	return i->key && i->certificate ? 0 : -EINVAL;
}

struct identity *identity_open(const char *dir, const char *shown, int *ret_error)
{
	char path[NAME_MAX_BYTES];
	struct identity *i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	snprintf(path, sizeof(path), "%s/identity.pem", dir);
	int e = mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : read_file(i, path);
	if (e == -ENOENT) {
		i->key = EVP_RSA_gen(2048);
		e = i->key && certify(i) ? write_file(i, path, true) : -EIO;
	}
	if (e == 0 && shown && access(shown, F_OK) < 0)
		e = write_file(i, shown, false);
	if (e == 0)
		return i;
	identity_close(i);
	*ret_error = e;
	return NULL;
}

void identity_close(struct identity *i)
{
	if (!i)
		return;
	EVP_PKEY_free(i->key);
	X509_free(i->certificate);
	free(i);
}

static struct str in_lines(struct arena *a, const void *p, size_t n)
{
	struct str text = base64_encode(a, str_of(p, n)), all = STR_NONE;
	for (size_t at = 0; at < text.n; at += 64)
		all = at ? ARENA_CAT(a, all, S("\n"), str_sub(text, at, 64)) : str_sub(text, 0, 64);
	return all;
}

struct str identity_signature(const struct identity *i, struct arena *a, struct str document)
{
	unsigned char signature[512];
	size_t n = sizeof(signature);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, i->key) > 0 &&
	            EVP_DigestSign(c, signature, &n, (const unsigned char *)document.p, document.n) > 0;
	EVP_MD_CTX_free(c);
	return good ? in_lines(a, signature, n) : STR_NONE;
}

struct str identity_envelope(const struct identity *i, struct arena *a, struct str document)
{
	BIO *data = BIO_new_mem_buf(document.p, (int)document.n);
	PKCS7 *p = data ? PKCS7_sign(i->certificate, i->key, NULL, data, PKCS7_BINARY | PKCS7_NOCERTS) : NULL;
	unsigned char *der = NULL;
	int n = p ? i2d_PKCS7(p, &der) : 0;
	struct str made = n > 0 ? in_lines(a, der, (size_t)n) : STR_NONE;
	OPENSSL_free(der);
	PKCS7_free(p);
	BIO_free(data);
	return made;
}

void identity_secret(const struct identity *i, const char *purpose, unsigned char out[static 32])
{
	unsigned char *der = NULL;
	int n = i2d_PrivateKey(i->key, &der);
	hmac_sha256(str_of(der, n > 0 ? (size_t)n : 0), str_from(purpose), out);
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
}
