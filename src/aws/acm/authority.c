/* This cloud's authority for certificates that are requested. It is another one than that of the daemon's own TLS, whose key is
 * never written: this one has to sign again and again, so its key lies in DATA/tls/acm.key (mode 0600), and who trusts
 * DATA/tls/acm.pem trusts whoever may read that. Both are made when the first certificate is issued, on a thread. */
#include "rows.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 86400, AUTHORITY_DAYS = 3650, KEPT_DAYS = 400, PEM_MAX = 16384 };

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static struct str read_file(struct arena *a, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *p = arena_alloc(a, PEM_MAX);
	ssize_t n = fd < 0 ? -1 : read(fd, p, PEM_MAX);
	if (fd >= 0)
		close(fd);
	return n > 0 ? str_of(p, (size_t)n) : STR_NONE;
}

/* A reader sees the old file or the new one, and no part. */
static int write_file(struct arena *a, const char *path, mode_t mode, struct str text)
{
	const char *part = arena_printf(a, "%s.new", path).p;
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	int e = write(fd, text.p, text.n) != (ssize_t)text.n ? -EIO : fsync(fd) < 0 ? -errno : 0;
	close(fd);
	if (!e && rename(part, path) < 0)
		e = -errno;
	if (e)
		unlink(part);
	return e;
}

static bool is_good(struct arena *a, const struct cert_bundle *b)
{
	struct cert_facts f;
	int at;
	return str_set(b->body) && str_set(b->key) && cert_check(b, &at) == CERT_GOOD && cert_read(a, b->body, &f) &&
	       f.not_after_ms > clock_wall_ms() + (int64_t)KEPT_DAYS * DAY_S * 1000;
}

/* Reads the authority, or makes it: the key first, since a certificate without one would be made anew. */
static bool open_authority(struct arena *a, const char *data_dir, struct cert_bundle *ret, struct str *ret_why)
{
	const char *dir = arena_printf(a, "%s/tls", data_dir).p, *pem = arena_printf(a, "%s/acm.pem", dir).p,
	           *key = arena_printf(a, "%s/acm.key", dir).p;
	int64_t now_s = clock_wall_ms() / 1000;
	*ret = (struct cert_bundle){.body = read_file(a, pem), .key = read_file(a, key)};
	if (is_good(a, ret))
		return true;
	const struct cert_wish wish = {.organisation = S("Quartet"),
	                               .common_name = S("Quartet Certificate Manager"),
	                               .algorithm = "EC_prime256v1",
	                               .from_s = now_s - DAY_S,
	                               .until_s = now_s + (int64_t)AUTHORITY_DAYS * DAY_S};
	if (!cert_issue(a, &wish, NULL, ret)) {
		*ret_why = S("the authority cannot be made");
		return false;
	}
	int e = mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : write_file(a, key, 0600, ret->key);
	if (!e)
		e = write_file(a, pem, 0644, ret->body);
	if (e)
		*ret_why = arena_printf(a, "%s: %s", pem, strerror(-e));
	return e == 0;
}

bool acm_authority_issue(struct arena *a, const char *data_dir, const struct cert_wish *w, struct cert_bundle *ret,
                         struct str *ret_why)
{
	struct cert_bundle authority;
	pthread_mutex_lock(&making);
	bool good = open_authority(a, data_dir, &authority, ret_why);
	pthread_mutex_unlock(&making);
	if (good && !cert_issue(a, w, &authority, ret)) {
		*ret_why = S("the certificate cannot be made");
		good = false;
	}
	return good;
}
