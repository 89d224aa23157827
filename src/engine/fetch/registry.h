/* A client of other registries, as OCI's distribution specification has them: manifests and blobs, read anonymously or by a name
 * and password of its URL. Blocking: for threads of io/work alone, one at a time each. Texts live in the caller's arena.
 *
 * A registry may ask for a bearer token (RFC 6750, as Docker's registries spell it), which is fetched from where it says, and may
 * redirect a blob to another host; authorization goes to the registry's own host alone. To an ECR - AWS's, or another cloud of
 * ours - the name and password are an access key, by which a token is asked for (registry_login.c). */
#pragma once
#include "base/arena.h"

#include <stdatomic.h>

struct http_client;

/* A request to an ECR's API as AWS signs them: POST / with these headers and x-amz-date, which is told. */
struct registry_signing {
	struct str user, password, region, host, type, target, body;
};
typedef struct str registry_sign_fn(struct arena *a, const struct registry_signing *s, struct str *ret_date);

struct registry {
	struct arena *arena;
	struct http_client *client;
	struct str base;           /* "https://HOST[:PORT]" */
	struct str name;           /* the repository there */
	struct str user, password; /* of the base; absent: none */
	struct str authorization;  /* absent: none was asked for yet */
	registry_sign_fn *sign;    /* NULL: no ECR is logged in to */
	const atomic_bool *cancel; /* set by another thread, ends what goes on within about a second */
	struct str why;            /* what the last call came to, in a line */
};

enum { REGISTRY_MANIFEST_MAX = 4 << 20 };

/* base: "http://..." or "https://..." without a path, perhaps with USER:PASSWORD@ before the host. -ENOSYS: libcurl is not
 * installed. Close it in any case. */
int registry_open(struct registry *r, struct arena *a, struct str base, struct str name, const atomic_bool *cancel);
void registry_close(struct registry *r);

/* 0, or -ENOENT (it has none such), -EACCES (not without a password), -ECONNREFUSED, -ETIMEDOUT, -EMSGSIZE, -EPROTO (it makes no
 * sense); why says more. */
int registry_manifest(struct registry *r, struct str reference, struct str *ret_text, struct str *ret_media_type);
/* The bytes go to take(), which may end it by false (-ECANCELED); again() comes before them and whenever they begin anew, since
 * answers that are redirects or errors have bytes too. */
typedef bool registry_take_fn(void *ctx, struct str piece);
typedef void registry_again_fn(void *ctx);
int registry_blob(struct registry *r, struct str digest, registry_again_fn *again, registry_take_fn *take, void *ctx);
/* Is there a registry, and may anybody ask it? */
int registry_ping(struct registry *r);

/* The host of a base, with its port: what names a registry without its password. Pure. */
struct str registry_host(struct str base);
/* Answers a challenge of scheme Basic by r->authorization. 0, or -EACCES and what an exchange comes to. For registry.c. */
int registry_login(struct registry *r, struct str challenge);
/* "Basic ..." of its name and password. */
struct str registry_basic(const struct registry *r);
/* The region of a name as ECR's registries have (ACCOUNT.dkr.ecr.REGION...); us-east-1: it has none. Pure. */
struct str registry_region(struct str host);

/* The parameters of a WWW-Authenticate header of scheme Bearer. False: it is of another scheme, or malformed. Pure. */
struct registry_challenge {
	struct str realm, service, scope; /* the last two may be absent */
};
bool registry_challenge_read(struct arena *a, struct str header, struct registry_challenge *ret);
