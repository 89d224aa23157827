/* The operations on function URLs, and all addresses in memory, fed by a watch of the records. */
#include "aws/lambda/url.h"

#include "base/clock.h"
#include "base/id.h"

#include <stdlib.h>

enum { ID_CHARS = 32 };

static struct str url_key(struct arena *a, const struct lambda_name *n)
{
	return KEY(a, S("lambda"), S("url"), n->account, n->region, n->name, str_set(n->qualifier) ? n->qualifier : S("-"));
}

/* Where this cloud's door is: the port that clients use. */
static struct str address_of(struct call *c, struct str id, struct str region)
{
	struct str at = str_from(c->cloud->endpoint);
	ptrdiff_t colon = str_rfind_char(at, ':');
	return ARENA_CAT(c->arena, S("http://"), id, S(".lambda-url."), region, S(".localhost:"),
	                 str_from_at(at, (size_t)colon + 1), S("/"));
}

static void show(struct call *c, struct state_lambda_url_record *row)
{
	row->config->function_url = address_of(c, row->id, c->region);
}

static struct str new_id(struct arena *a)
{
	char *id = arena_dupz(a, id_base32(a, S(""), ID_CHARS));
	for (size_t i = 0; i < ID_CHARS; i++)
		id[i] = ascii_lower(id[i]);
	return str_of(id, ID_CHARS);
}

/* --- the operations */

/* A function, or an alias of it. */
static int find(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret)
{
	struct state_lambda_version_record version = {0};
	int64_t number;
	if (lambda_load_qualified(c, text, qualifier, ret, &version) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(ret->qualifier, S(LAMBDA_LATEST)) || lambda_is_version_number(ret->qualifier, &number))
		return lambda_invalid(c, "Function URLs are of functions and aliases: '%.*s' is neither.", STR_ARG(ret->qualifier));
	return CALL_OK;
}

static int load(struct call *c, struct str text, struct str qualifier, struct lambda_name *n, struct state_lambda_url_record *ret)
{
	if (lambda_name_parse(c, text, qualifier, n) != CALL_OK)
		return CALL_FAIL;
	if (record_get(call_txn(c), c->arena, url_key(c->arena, n), ROW("Url"), ret)) {
		show(c, ret);
		return CALL_OK;
	}
	return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
}

static void save(struct call *c, const struct lambda_name *n, const struct state_lambda_url_record *row)
{
	record_put(call_txn(c), c->arena, url_key(c->arena, n), ROW("Url"), row);
}

/* {} is no CORS. */
static struct lambda_cors *kept_cors(struct call *c, const struct lambda_cors *given)
{
	if (!given->allow_credentials.set && !given->allow_headers.n && !given->allow_methods.n && !given->allow_origins.n &&
	    !given->expose_headers.n && !given->max_age.set)
		return NULL;
	struct lambda_cors *kept = arena_new(c->arena, struct lambda_cors);
	*kept = *given;
	return kept;
}

int lambda_create_function_url_config(struct call *c, const struct lambda_create_function_url_config_request *in,
                                      struct lambda_create_function_url_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_url_record row = {0};
	if (find(c, in->function_name, in->qualifier, &n) != CALL_OK)
		return CALL_FAIL;
	struct str arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	if (record_get(call_txn(c), c->arena, url_key(c->arena, &n), ROW("Url"), &row))
		return call_fail(c, "ResourceConflictException", 409,
		                 "Failed to create function url config for [functionArn = %.*s]. Error message:  FunctionUrlConfig "
		                 "exists for this Lambda function",
		                 STR_ARG(arn));
	struct lambda_function_url_config *f = arena_new(c->arena, struct lambda_function_url_config);
	*f = (struct lambda_function_url_config){
	        .function_arn = arn,
	        .creation_time = time_format(c->arena, c->now_ms, TIME_ISO8601_MS),
	        .cors = in->cors ? kept_cors(c, in->cors) : NULL,
	        .auth_type = in->auth_type,
	        .invoke_mode = str_set(in->invoke_mode) ? in->invoke_mode : S("BUFFERED"),
	};
	f->last_modified_time = f->creation_time;
	row = (struct state_lambda_url_record){.id = new_id(c->arena), .config = f};
	save(c, &n, &row);
	show(c, &row);
	*out = (struct lambda_create_function_url_config_response){f->function_url,  arn,           f->auth_type, f->cors,
	                                                           f->creation_time, f->invoke_mode};
	return CALL_OK;
}

int lambda_get_function_url_config(struct call *c, const struct lambda_get_function_url_config_request *in,
                                   struct lambda_get_function_url_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_url_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	const struct lambda_function_url_config *f = row.config;
	out->function_url = f->function_url;
	out->function_arn = f->function_arn;
	out->auth_type = f->auth_type;
	out->cors = f->cors;
	out->creation_time = f->creation_time;
	out->last_modified_time = f->last_modified_time;
	out->invoke_mode = f->invoke_mode;
	return CALL_OK;
}

int lambda_update_function_url_config(struct call *c, const struct lambda_update_function_url_config_request *in,
                                      struct lambda_update_function_url_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_url_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	struct lambda_function_url_config *f = row.config;
	if (str_set(in->auth_type))
		f->auth_type = in->auth_type;
	if (in->cors)
		f->cors = kept_cors(c, in->cors);
	if (str_set(in->invoke_mode))
		f->invoke_mode = in->invoke_mode;
	f->last_modified_time = time_format(c->arena, c->now_ms, TIME_ISO8601_MS);
	save(c, &n, &row);
	out->function_url = f->function_url;
	out->function_arn = f->function_arn;
	out->auth_type = f->auth_type;
	out->cors = f->cors;
	out->creation_time = f->creation_time;
	out->last_modified_time = f->last_modified_time;
	out->invoke_mode = f->invoke_mode;
	return CALL_OK;
}

int lambda_delete_function_url_config(struct call *c, const struct lambda_delete_function_url_config_request *in,
                                      struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_url_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), url_key(c->arena, &n));
	return CALL_OK;
}

int lambda_list_function_url_configs(struct call *c, const struct lambda_list_function_url_configs_request *in,
                                     struct lambda_list_function_url_configs_response *out)
{
	struct lambda_list l;
	struct state_lambda_url_record row = {0};
	if (lambda_list_of_function(c, S("url"), in->function_name, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->function_url_configs.set = true;
	while (lambda_list_next(&l, ROW("Url"), &row) && lambda_list_take(&l, &out->next_marker)) {
		show(c, &row);
		*LIST_ADD(c->arena, &out->function_url_configs) = *row.config;
		row = (struct state_lambda_url_record){0};
	}
	return CALL_OK;
}

void lambda_url_drop(struct call *c, const struct lambda_name *n, struct str qualifier)
{
	const struct lambda_name one = {n->region, n->account, n->name, qualifier};
	store_delete(call_txn(c), url_key(c->arena, &one));
}

void lambda_url_drop_all(struct call *c, const struct lambda_name *n)
{
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("url"), n->account, n->region, n->name));
	struct store_value value;
	struct str key;
	while (store_next(it, &key, &value))
		store_delete(call_txn(c), arena_dup(c->arena, key));
}

/* --- all of them */

struct urls {
	struct map by_id, by_key;
	struct store_watch *watch;
};

static void forget(struct urls *u, struct url *url)
{
	map_remove(&u->by_id, url->id);
	map_remove(&u->by_key, url->key);
	arena_done(&url->arena);
	free(url);
}

static void on_change(void *ctx, const struct store_event *e)
{
	struct urls *u = ctx;
	struct url *before = map_get(&u->by_key, e->key);
	if (before)
		forget(u, before);
	if (!str_set(e->value))
		return;
	struct url *url = calloc(1, sizeof(*url));
	if (!url)
		abort();
	arena_init(&url->arena, 0);
	struct arena *a = &url->arena;
	struct state_lambda_url_record row = {0};
	url->key = arena_dup(a, e->key);
	struct str_list parts = record_key_parts(a, url->key);
	if (!record_read(a, arena_dup(a, e->value), ROW("Url"), &row) || parts.n < 6) {
		arena_done(a);
		free(url);
		return;
	}
	url->id = row.id;
	url->config = row.config;
	url->account = parts.v[2];
	url->region = parts.v[3];
	url->name = parts.v[4];
	url->qualifier = str_is(parts.v[5], "-") ? STR_NONE : parts.v[5];
	map_put(&u->by_id, url->id, url);
	map_put(&u->by_key, url->key, url);
}

bool url_of_host(const struct lambda *l, struct str host, const struct url **ret)
{
	struct str rest = host, name = str_cut(&rest, ':');
	char id[ID_CHARS];
	rest = name;
	struct str label = str_cut(&rest, '.'), kind = str_set(rest) ? str_cut(&rest, '.') : STR_NONE;
	struct str region = str_set(rest) ? str_cut(&rest, '.') : STR_NONE;
	if (!str_ieq(kind, S("lambda-url")) || !str_set(rest) || (!str_ieq(rest, S("localhost")) && !str_ieq(rest, S("on.aws"))))
		return false;
	*ret = NULL;
	if (label.n != ID_CHARS)
		return true;
	for (size_t i = 0; i < ID_CHARS; i++)
		id[i] = ascii_lower(label.p[i]);
	const struct url *url = l ? map_get(&l->urls->by_id, str_of(id, ID_CHARS)) : NULL;
	if (url && str_ieq(url->region, region))
		*ret = url;
	return true;
}

struct urls *urls_open(struct lambda *l)
{
	struct urls *u = calloc(1, sizeof(*u));
	if (!u)
		abort();
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	u->watch = record_follow(l->cloud->store, KEY_UNDER(&a, S("lambda"), S("url")), on_change, u);
	return u;
}

void urls_close(struct urls *u)
{
	if (!u)
		return;
	store_unwatch(u->watch);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&u->by_key, &at, &key, &value)) {
		arena_done(&((struct url *)value)->arena);
		free(value);
	}
	map_done(&u->by_id);
	map_done(&u->by_key);
	free(u);
}
