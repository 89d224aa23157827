#include "role/retire.h"
#include "role/exec.h"

#include "aws/ec2/instance/retire.h"
#include "aws/ecs/enter.h"
#include "aws/ecs/interrupt.h"
#include "base/log.h"
#include "base/uri.h"
#include "http/http.h"

#include <stdlib.h>

struct retiring {
	struct http_request *request; /* NULL: the client has left */
};

static void reply(struct http_request *r, unsigned status, struct str text)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), text, S("\n")));
}

static void client_left(void *ctx)
{
	((struct retiring *)ctx)->request = NULL;
}

static void done(void *ctx, const char *error, struct str said)
{
	struct retiring *w = ctx;
	if (w->request) {
		http_on_gone(w->request, NULL, NULL);
		reply(w->request, error ? 409 : 200, error ? str_from(error) : said);
	}
	free(w);
}

static void interrupted(void *ctx, const char *error)
{
	done(ctx, error, S("interrupted"));
}

static bool read_query(struct http_request *r, struct retire_ask *ask)
{
	struct str query = http_head(r)->query;
	struct uri_part part;
	while (uri_next_part(&query, &part)) {
		struct str value = uri_decode(http_arena(r), part.value);
		if (str_is(part.name, "code"))
			ask->code = value;
		else if (str_is(part.name, "cancel"))
			ask->cancel = str_is(value, "1");
		else if (!str_is(part.name, "in") || !str_to_i64(value, &ask->in_ms) || ask->in_ms < 0 ||
		         ask->in_ms > INT64_C(366) * 24 * 3600 * 1000)
			return false;
	}
	return true;
}

void retire_take(struct cloud *cloud, struct http_request *r)
{
	struct retire_ask ask = {
	        .instance = uri_decode(http_arena(r), str_from_at(http_head(r)->path, sizeof("/_quartet/retire/") - 1)),
	        .region = http_header(r, S("x-quartet-region")),
	        .code = S("instance-retirement")};
	unsigned status;
	struct str why;
	const struct principal *who = exec_who_asks(cloud, r);
	if (!who) {
		reply(r, 403, S("this is for those who have a key: that in the data directory's credentials, or a user's"));
		return;
	}
	struct retiring *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (retire)");
	w->request = r;
	bool task = ecs_names_task(ask.instance);
	if (task && str_set(http_head(r)->query)) {
		status = 400;
		why = S("a task is interrupted now: there is nothing to choose");
	} else if (task && ecs_interrupt(cloud, r, http_arena(r), who, ask.region, ask.instance, interrupted, w, &status, &why)) {
		http_on_gone(r, client_left, w);
		principal_unref(who);
		return;
	} else if (task) {
		/* refused below */
	} else if (!read_query(r, &ask)) {
		status = 400;
		why = S("the time has to be within a year from now");
	} else if (retire_instance(cloud, r, http_arena(r), who, &ask, done, w, &status, &why)) {
		http_on_gone(r, client_left, w);
		principal_unref(who);
		return;
	}
	principal_unref(who);
	free(w);
	reply(r, status, why);
}
