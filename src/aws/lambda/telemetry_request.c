/* The body of a subscription, and what the versions of the schema have. */
#include "aws/lambda/telemetry.h"

#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>

enum {
	ITEMS_MIN = 1000,
	ITEMS_MAX = 10000,
	BYTES_MIN = 262144,
	BYTES_MAX = 1048576,
	TIMEOUT_MIN_MS = 25,
	TIMEOUT_MAX_MS = 30000,
	TIMEOUT_DEFAULT_MS = 1000,
	PORT_RUNTIME_API = 9001, /* listened at by the cloud itself */
	PORT_ENDPOINT = 4566,
};
#define HOST "sandbox.localdomain"

static void wrong(struct buf *why, const char *text)
{
	if (why->n)
		buf_add_lit(why, "; ");
	buf_add_str(why, str_from(text));
}

static void read_schema(const struct json_value *in, bool logs_api, struct telemetry_request *r, struct buf *why)
{
	static const char *const names[] = {"2020-08-15", "2021-03-18", "2022-07-01", "2022-12-13", "2025-01-29"};
	const struct json_value *version = json_get(in, S("schemaVersion"));
	r->schema = logs_api ? TELEMETRY_LOGS_2020_08_15 : TELEMETRY_2022_07_01;
	if (!version)
		return;
	for (enum telemetry_schema s = logs_api ? TELEMETRY_LOGS_2020_08_15 : TELEMETRY_2022_07_01;
	     s <= (logs_api ? TELEMETRY_LOGS_2021_03_18 : TELEMETRY_2025_01_29); s++) {
		if (json_is(version, JSON_STRING) && str_is(version->text, names[s])) {
			r->schema = s;
			return;
		}
	}
	wrong(why, "schemaVersion is not known");
}

static void read_types(const struct json_value *in, struct telemetry_request *r, struct buf *why)
{
	static const struct {
		const char *name;
		enum telemetry_kind kind;
	} known[] = {{"platform", TELEMETRY_PLATFORM}, {"function", TELEMETRY_FUNCTION}, {"extension", TELEMETRY_EXTENSION}};
	const struct json_value *types = json_get(in, S("types"));
	if (!json_is(types, JSON_ARRAY) || !types->count) {
		wrong(why, "types should not be empty");
		return;
	}
	json_each(types, one)
	{
		unsigned kind = 0;
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (json_is(one, JSON_STRING) && str_is(one->text, known[i].name))
				kind = known[i].kind;
		if (!kind) {
			wrong(why, "types should be platform, function or extension");
			return;
		}
		r->types |= kind;
	}
}

static void read_number(const struct json_value *in, const char *name, int64_t min, int64_t max, int64_t *ret, struct buf *why)
{
	const struct json_value *v = json_get(in, str_from(name));
	int64_t n;
	if (!v)
		return;
	if (json_is(v, JSON_NUMBER) && json_to_int(v->text, &n) && n >= min && n <= max) {
		*ret = n;
		return;
	}
	char text[120];
	snprintf(text, sizeof(text), "buffering.%s should be an integer from %lld to %lld", name, (long long)min, (long long)max);
	wrong(why, text);
}

/* http://sandbox.localdomain:PORT[/PATH] */
static void read_uri(struct str uri, struct telemetry_request *r, struct buf *why)
{
	int64_t port;
	if (!str_starts(uri, S("http://"))) {
		wrong(why, "URI should begin with http://");
		return;
	}
	uri = str_from_at(uri, S("http://").n);
	struct str rest = uri, place = str_cut(&rest, '/'), host = str_cut(&place, ':');
	if (!str_ieq(host, S(HOST))) {
		wrong(why, "URI host should be sandbox.localdomain");
		return;
	}
	if (!str_set(place) || str_empty(place)) {
		wrong(why, "URI port is not provided");
		return;
	}
	if (place.n > 5 || !str_to_i64(place, &port) || port < 1 || port > 65535 || port == PORT_RUNTIME_API ||
	    port == PORT_ENDPOINT) {
		wrong(why, "URI port is not valid");
		return;
	}
	r->port = (uint16_t)port;
	if (!str_set(rest))
		rest = S("");
	if (rest.n + 2 > sizeof(r->path)) {
		wrong(why, "URI path is too long");
		return;
	}
	for (size_t i = 0; i < rest.n; i++)
		if ((unsigned char)rest.p[i] <= ' ' || (unsigned char)rest.p[i] >= 0x7f) {
			wrong(why, "URI path is not valid");
			return;
		}
	r->path[0] = '/';
	memcpy(r->path + 1, rest.p, rest.n);
	r->path[rest.n + 1] = 0;
}

static void read_destination(const struct json_value *in, struct telemetry_request *r, struct buf *why)
{
	const struct json_value *to = json_get(in, S("destination")), *port = json_get(to, S("port"));
	struct str protocol = json_get_str(to, S("protocol")), uri = json_get_str(to, S("URI"));
	int64_t n;
	if (!json_is(to, JSON_OBJECT)) {
		wrong(why, "destination is not provided");
		return;
	}
	bool http = str_is(protocol, "HTTP");
	r->tcp = str_is(protocol, "TCP");
	if (!http && !r->tcp) {
		wrong(why, "protocol should be HTTP or TCP");
		return;
	}
	if (str_set(uri)) {
		read_uri(uri, r, why);
	} else if (r->tcp && json_is(port, JSON_NUMBER) && json_to_int(port->text, &n) && n >= 1 && n <= 65535 &&
	           n != PORT_RUNTIME_API && n != PORT_ENDPOINT) {
		r->port = (uint16_t)n;
	} else {
		wrong(why, r->tcp ? "port is not provided" : "URI is not provided");
	}
}

bool telemetry_read_request(struct arena *a, bool logs_api, struct str body, struct telemetry_request *ret, struct str *ret_why)
{
	struct telemetry_request r = {
	        .max_items = logs_api ? ITEMS_MAX : ITEMS_MIN, .max_bytes = BYTES_MIN, .timeout_ms = TIMEOUT_DEFAULT_MS};
	struct buf CLEAN_BUF why;
	buf_init(&why, 4096);
	const struct json_value *in = json_parse(a, body, NULL), *buffering = json_get(in, S("buffering"));
	if (!json_is(in, JSON_OBJECT)) {
		wrong(&why, "the body should be a JSON object");
	} else {
		read_schema(in, logs_api, &r, &why);
		read_destination(in, &r, &why);
		read_types(in, &r, &why);
		if (buffering && !json_is(buffering, JSON_OBJECT) && !json_is(buffering, JSON_NULL))
			wrong(&why, "buffering should be an object");
		read_number(buffering, "maxItems", ITEMS_MIN, ITEMS_MAX, &r.max_items, &why);
		read_number(buffering, "maxBytes", BYTES_MIN, BYTES_MAX, &r.max_bytes, &why);
		read_number(buffering, "timeoutMs", TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &r.timeout_ms, &why);
	}
	if (why.n) {
		*ret_why = arena_dup(a, buf_str(&why));
		return false;
	}
	*ret = r;
	return true;
}

bool telemetry_has_type(enum telemetry_schema schema, const char *type)
{
	static const struct {
		const char *type;
		enum telemetry_schema first, last;
	} some[] = {
	        {"platform.initStart", TELEMETRY_2022_07_01, TELEMETRY_2025_01_29},
	        {"platform.initRuntimeDone", TELEMETRY_2022_07_01, TELEMETRY_2025_01_29},
	        {"platform.initReport", TELEMETRY_2022_07_01, TELEMETRY_2025_01_29},
	        {"platform.telemetrySubscription", TELEMETRY_2022_07_01, TELEMETRY_2025_01_29},
	        {"platform.runtimeDone", TELEMETRY_LOGS_2021_03_18, TELEMETRY_2025_01_29},
	        {"platform.end", TELEMETRY_LOGS_2020_08_15, TELEMETRY_LOGS_2021_03_18},
	        {"platform.fault", TELEMETRY_LOGS_2020_08_15, TELEMETRY_LOGS_2021_03_18},
	        {"platform.logsSubscription", TELEMETRY_LOGS_2020_08_15, TELEMETRY_LOGS_2021_03_18},
	};
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		if (!strcmp(type, some[i].type))
			return schema >= some[i].first && schema <= some[i].last;
	return true;
}
