#include "core/seal.h"

#include "base/rand.h"

#include <openssl/evp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NONCE = 12, TAG = 16, FORMAT = 1, HEAD = 1 + NONCE };

static int read_key(struct seal *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unsigned char more;
	bool whole = read(fd, s->key, sizeof(s->key)) == (ssize_t)sizeof(s->key) && read(fd, &more, 1) == 0;
	close(fd);
	return whole ? 0 : -EINVAL;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

/* The file has its name once it is whole: what it will seal is worth nothing without it. */
static int make_key(struct seal *s, const char *dir, const char *path)
{
	char making[4200];
	snprintf(making, sizeof(making), "%s.new", path);
	int fd = open(making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rand_bytes(s->key, sizeof(s->key));
	int r = write(fd, s->key, sizeof(s->key)) != (ssize_t)sizeof(s->key) ? -EIO : fsync(fd) < 0 ? -errno : 0;
	close(fd);
	if (r == 0 && rename(making, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(making);
	return r < 0 ? r : sync_dir(dir);
}

int seal_open(struct seal *s, const char *data_dir)
{
	char path[4128];
	snprintf(path, sizeof(path), "%s/ssm.key", data_dir);
	int r = read_key(s, path);
	if (r == -ENOENT)
		r = make_key(s, data_dir, path);
	s->open = r == 0;
	return r;
}

struct str seal_put(const struct seal *s, struct arena *a, struct str plain, struct str with)
{
	if (!s->open)
		return STR_NONE;
	unsigned char *out = arena_alloc(a, HEAD + plain.n + TAG);
	int n = 0;
	out[0] = FORMAT;
	rand_bytes(out + 1, NONCE);
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_EncryptInit_ex(x, EVP_aes_256_gcm(), NULL, s->key, out + 1) &&
	          EVP_EncryptUpdate(x, NULL, &n, (const unsigned char *)with.p, (int)with.n) &&
	          EVP_EncryptUpdate(x, out + HEAD, &n, (const unsigned char *)plain.p, (int)plain.n) &&
	          EVP_EncryptFinal_ex(x, out + HEAD + n, &n) &&
	          EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_GET_TAG, TAG, out + HEAD + plain.n);
	EVP_CIPHER_CTX_free(x);
	return ok ? str_of(out, HEAD + plain.n + TAG) : STR_NONE;
}

struct str seal_get(const struct seal *s, struct arena *a, struct str sealed, struct str with)
{
	if (!s->open || sealed.n < HEAD + TAG || sealed.p[0] != FORMAT)
		return STR_NONE;
	size_t plain_n = sealed.n - HEAD - TAG;
	const unsigned char *p = (const unsigned char *)sealed.p;
	unsigned char *plain = arena_alloc(a, plain_n + 1);
	int n = 0;
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	bool ok = x && EVP_DecryptInit_ex(x, EVP_aes_256_gcm(), NULL, s->key, p + 1) &&
	          EVP_DecryptUpdate(x, NULL, &n, (const unsigned char *)with.p, (int)with.n) &&
	          EVP_DecryptUpdate(x, plain, &n, p + HEAD, (int)plain_n) &&
	          EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_SET_TAG, TAG, (void *)(p + HEAD + plain_n)) &&
	          EVP_DecryptFinal_ex(x, plain + n, &n) > 0;
	EVP_CIPHER_CTX_free(x);
	return ok ? str_of(plain, plain_n) : STR_NONE;
}
