/* Passwords of the registry: who asked for one and how long it is good, signed with a key of this cloud that lies in a file of its
 * own. Nothing is stored, so tokens outlive restarts; the key pair behind one is looked up again at every use, so a token is worth
 * no more than it: deleted, inactive and expired keys end their tokens. */
#include "aws/ecr/rows.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PAYLOAD_BYTES_MAX = 16384 };

static int read_key(struct ecr_state *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bool whole = read(fd, s->key, sizeof(s->key)) == (ssize_t)sizeof(s->key);
	close(fd);
	return whole ? 0 : -EINVAL;
}

/* The file has its name once it is whole. A lost one costs a new login, no more, so nothing is synced. */
int ecr_key_open(struct ecr_state *s, const char *data_dir)
{
	char path[4128], making[4200];
	snprintf(path, sizeof(path), "%s/ecr.key", data_dir);
	snprintf(making, sizeof(making), "%s.new", path);
	if (read_key(s, path) == 0)
		return 0;
	rand_bytes(s->key, sizeof(s->key));
	int fd = open(making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write(fd, s->key, sizeof(s->key)) != (ssize_t)sizeof(s->key) ? -EIO : 0;
	close(fd);
	if (r == 0 && rename(making, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(making);
	return r;
}

static struct str sign(struct ecr_state *s, struct arena *a, const char *what, struct str text)
{
	unsigned char mac[32];
	char hex[65];
	hmac_sha256(str_of(s->key, sizeof(s->key)), ARENA_CAT(a, str_from(what), S("\n"), text), mac);
	hex_encode(mac, 32, hex);
	return arena_dup(a, str_from(hex));
}

struct str ecr_link_signature(struct ecr_state *s, struct arena *a, struct str digest, struct str expires)
{
	return sign(s, a, "link", ARENA_CAT(a, digest, S("\n"), expires));
}

/* Base64 of JSON, as AWS's are: key, session token, region, end; then the signature. */
struct str ecr_token_make(struct call *c, int64_t expires_ms)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, PAYLOAD_BYTES_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("key"));
	json_string(&o, c->caller->access_key_id);
	struct str session = call_header(c, S("x-amz-security-token"));
	if (!str_set(session))
		session = call_query(c, S("X-Amz-Security-Token"));
	if (str_set(session)) {
		json_key(&o, S("token"));
		json_string(&o, session);
	}
	json_key(&o, S("region"));
	json_string(&o, c->region);
	json_key(&o, S("expiration"));
	json_int(&o, expires_ms / 1000);
	json_close(&o, '}');
	struct str payload = base64url_encode(c->arena, buf_str(&b));
	return ARENA_CAT(c->arena, payload, S("."), sign(ecr_state(c), c->arena, "token", payload));
}

const struct principal *ecr_token_principal(struct call *c, struct str password, struct str *ret_region)
{
	struct str rest = password, payload = str_cut(&rest, '.');
	if (!str_set(rest) || !hash_equal(rest, sign(ecr_state(c), c->arena, "token", payload)))
		return NULL;
	struct str text = base64url_decode(c->arena, payload);
	const struct json_value *v = str_set(text) ? json_parse(c->arena, text, NULL) : NULL, *until = json_get(v, S("expiration"));
	int64_t until_s;
	if (!json_is(until, JSON_NUMBER) || !json_to_int(until->text, &until_s) || until_s * 1000 <= c->now_ms)
		return NULL;
	const struct identity_source *from = &c->cloud->identity;
	struct credential credential = {0};
	if (from->find_key(from->ctx, json_get_str(v, S("key")), json_get_str(v, S("token")), c->now_ms, &credential) != KEY_GOOD)
		return NULL;
	*ret_region = json_get_str(v, S("region"));
	return credential.principal;
}

int ecr_get_authorization_token(struct call *c, const struct ecr_get_authorization_token_request *in,
                                struct ecr_get_authorization_token_response *out)
{
	if (!str_set(c->caller->access_key_id))
		return ecr_invalid(c, "A service of the cloud has no key that a registry's password could stand for.");
	int64_t expires_ms = c->now_ms + ECR_TOKEN_S * INT64_C(1000);
	if (c->caller->expires_ms && c->caller->expires_ms < expires_ms)
		expires_ms = c->caller->expires_ms;
	struct str token = base64_encode(c->arena, ARENA_CAT(c->arena, S("AWS:"), ecr_token_make(c, expires_ms)));
	uint32_t n = in->registry_ids.n ? in->registry_ids.n : 1;
	out->authorization_data.set = true;
	for (uint32_t i = 0; i < n; i++) {
		struct str account = in->registry_ids.n ? in->registry_ids.v[i] : c->account;
		struct ecr_authorization_data *d = LIST_ADD(c->arena, &out->authorization_data);
		d->authorization_token = token;
		d->expires_at = OPT_TIME(expires_ms);
		d->proxy_endpoint = ARENA_CAT(c->arena, S("http://"), ecr_host(c, account, c->region));
	}
	return CALL_OK;
}
