/* The rules of SnapStart, and what environments of such versions have that others do not: credentials on request. */
#include "aws/lambda/snapstart.h"

#include "aws/lambda/environment.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "core/listen.h"

#include <stdio.h>
#include <sys/wait.h>

enum { TMP_MB_MAX = 512, TAKEN_LIFE_MS = 60000 };

static bool asks(const struct lambda_function_configuration *f)
{
	return f->snap_start && str_eq(f->snap_start->apply_on, S("PublishedVersions"));
}

bool snapstart_wanted(const struct lambda_function_configuration *f)
{
	return asks(f) && str_set(f->version) && !str_eq(f->version, S(LAMBDA_LATEST));
}

struct lambda_snap_start_response *snapstart_response(struct arena *a, const struct lambda_function_configuration *f,
                                                      bool published)
{
	struct lambda_snap_start_response *r = arena_new(a, struct lambda_snap_start_response);
	r->apply_on = asks(f) ? S("PublishedVersions") : S("None");
	r->optimization_status = asks(f) && published ? S("On") : S("Off");
	return r;
}

int snapstart_apply(struct call *c, const struct lambda_snap_start *in, struct lambda_function_configuration *f)
{
	const struct cells_facts *facts = c->cloud->cells ? cells_facts(c->cloud->cells) : NULL;
	if (in && str_set(in->apply_on)) {
		f->snap_start = arena_new(c->arena, struct lambda_snap_start_response);
		f->snap_start->apply_on = in->apply_on;
		f->snap_start->optimization_status = S("Off");
	}
	if (!asks(f))
		return CALL_OK;
	if (str_eq(f->package_type, S("Image")))
		return lambda_invalid(c, "SnapStart is not supported for functions that are container images.");
	if (f->ephemeral_storage && f->ephemeral_storage->size.v > TMP_MB_MAX)
		return lambda_invalid(c, "SnapStart is not supported for functions with ephemeral storage of more than %d MB.",
		                      TMP_MB_MAX);
	if (in && facts && facts->snapshots_tried && !facts->snapshots)
		return lambda_invalid(c, "SnapStart is not supported on this machine: %s.", facts->why_no_snapshots);
	return CALL_OK;
}

bool snapstart_never_ran(int status)
{
	return !WIFEXITED(status) || WEXITSTATUS(status) >= CELL_RESTORE_FAILED;
}

/* --- credentials */

/* A function of the name, which no function sees, so that it is the same in each environment of a snapshot and after a restart. */
void snapstart_set_token(struct environment *e)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str name = e->taking ? snapstart_job_name(e) : e->restoring ? e->version->snapshot : STR_NONE;
	if (!str_set(name))
		name = id_hex(&a, CELL_SNAPSHOT_NAME);
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, ARENA_CAT(&a, S("credentials of "), name), digest);
	hex_encode(digest, 32, e->token);
}

void snapstart_serve_credentials(struct environment *e, struct http_request *r)
{
	static const struct listen_header json = {S_INIT("Content-Type"), S_INIT("application/json")};
	if (!str_is(listen_header(r, S("Authorization")), e->token) || !e->credentials) {
		listen_reply(r, 401, &json, 1, S("{\"message\":\"Unauthorized\"}"));
		return;
	}
	/* By the sandbox's clock, which is the machine's. Those that become part of a snapshot are old at once: whoever is restored
	 * asks for its own, whatever the cloud's clock has done since. */
	int64_t ahead_ms = clock_wall_ms() - clock_machine_ms(), until_ms = e->credentials->expires_ms - ahead_ms;
	char when[40];
	time_format_to(when, e->taking ? clock_machine_ms() + TAKEN_LIFE_MS : until_ms, TIME_ISO8601);
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("AccessKeyId"));
	json_string(&o, e->credentials->access_key);
	json_key(&o, S("SecretAccessKey"));
	json_string(&o, e->credentials->secret);
	json_key(&o, S("Token"));
	json_string(&o, e->credentials->token);
	json_key(&o, S("Expiration"));
	json_string(&o, str_from(when));
	json_close(&o, '}');
	listen_reply(r, 200, &json, 1, buf_str(&b));
}
