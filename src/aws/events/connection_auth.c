#include "connection.h"

enum { TEXT_MAX = 1 << 20 };

/* --- as JSON */

static void put(struct json_out *j, const char *key, struct str value)
{
	if (!str_set(value))
		return;
	json_key(j, str_from(key));
	json_string(j, value);
}

#define PUT_LIST(j, name, list) \
	do { \
		json_key((j), S(name)); \
		json_open((j), '['); \
		for (uint32_t i = 0; i < (list)->n; i++) { \
			json_open((j), '{'); \
			put((j), "key", (list)->v[i].key); \
			put((j), "value", (list)->v[i].value); \
			json_key((j), S("is_value_secret")); \
			json_bool((j), (list)->v[i].is_value_secret.v); \
			json_close((j), '}'); \
		} \
		json_close((j), ']'); \
	} while (0)

static void put_parameters(struct json_out *j, const char *key, const struct events_connection_http_parameters *p)
{
	if (!p->header_parameters.n && !p->query_string_parameters.n && !p->body_parameters.n)
		return;
	json_key(j, str_from(key));
	json_open(j, '{');
	PUT_LIST(j, "header_parameters", &p->header_parameters);
	PUT_LIST(j, "query_string_parameters", &p->query_string_parameters);
	PUT_LIST(j, "body_parameters", &p->body_parameters);
	json_close(j, '}');
}

struct str connection_auth_write(struct arena *a, struct str type, const struct connection_auth *auth)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, TEXT_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	if (str_is(type, CONNECTION_BASIC)) {
		put(&j, "username", auth->user);
		put(&j, "password", auth->password);
	} else if (str_is(type, CONNECTION_KEY)) {
		put(&j, "api_key_name", auth->key_name);
		put(&j, "api_key_value", auth->key_value);
	} else {
		put(&j, "client_id", auth->client_id);
		put(&j, "client_secret", auth->client_secret);
		put(&j, "authorization_endpoint", auth->endpoint);
		put(&j, "http_method", auth->method);
		put_parameters(&j, "oauth_http_parameters", &auth->oauth);
	}
	put_parameters(&j, "invocation_http_parameters", &auth->invocation);
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

#define READ_LIST(a, of, name, list) \
	json_each(json_get((of), S(name)), one) \
	{ \
		(list)->set = true; \
		__typeof__((list)->v) to = LIST_ADD((a), (list)); \
		to->key = json_get_str(one, S("key")); \
		to->value = json_get_str(one, S("value")); \
		to->is_value_secret = OPT_BOOL(json_is(json_get(one, S("is_value_secret")), JSON_TRUE)); \
	}

static void read_parameters(struct arena *a, const struct json_value *v, struct events_connection_http_parameters *ret)
{
	READ_LIST(a, v, "header_parameters", &ret->header_parameters)
	READ_LIST(a, v, "query_string_parameters", &ret->query_string_parameters)
	READ_LIST(a, v, "body_parameters", &ret->body_parameters)
}

bool connection_auth_read(struct arena *a, struct str json, struct connection_auth *ret)
{
	const struct json_value *v = json_parse(a, json, NULL);
	if (!json_is(v, JSON_OBJECT))
		return false;
	*ret = (struct connection_auth){.user = json_get_str(v, S("username")),
	                                .password = json_get_str(v, S("password")),
	                                .key_name = json_get_str(v, S("api_key_name")),
	                                .key_value = json_get_str(v, S("api_key_value")),
	                                .client_id = json_get_str(v, S("client_id")),
	                                .client_secret = json_get_str(v, S("client_secret")),
	                                .endpoint = json_get_str(v, S("authorization_endpoint")),
	                                .method = json_get_str(v, S("http_method"))};
	read_parameters(a, json_get(v, S("oauth_http_parameters")), &ret->oauth);
	read_parameters(a, json_get(v, S("invocation_http_parameters")), &ret->invocation);
	return true;
}

/* --- as it is shown */

#define SHOW_LIST(a, from, to) \
	do { \
		(to)->set = (from)->set; \
		for (uint32_t i = 0; i < (from)->n; i++) { \
			__typeof__((to)->v) one = LIST_ADD((a), (to)); \
			*one = (from)->v[i]; \
			if (one->is_value_secret.v) \
				one->value = STR_NONE; \
		} \
	} while (0)

static struct events_connection_http_parameters *show(struct arena *a, const struct events_connection_http_parameters *p)
{
	struct events_connection_http_parameters *to = arena_new(a, struct events_connection_http_parameters);
	SHOW_LIST(a, &p->header_parameters, &to->header_parameters);
	SHOW_LIST(a, &p->query_string_parameters, &to->query_string_parameters);
	SHOW_LIST(a, &p->body_parameters, &to->body_parameters);
	return p->header_parameters.n || p->query_string_parameters.n || p->body_parameters.n ? to : NULL;
}

struct events_connection_auth_response_parameters *connection_auth_show(struct arena *a, struct str type,
                                                                        const struct connection_auth *auth)
{
	struct events_connection_auth_response_parameters *to = arena_new(a, struct events_connection_auth_response_parameters);
	to->invocation_http_parameters = show(a, &auth->invocation);
	if (str_is(type, CONNECTION_BASIC)) {
		to->basic_auth_parameters = arena_new(a, struct events_connection_basic_auth_response_parameters);
		to->basic_auth_parameters->username = auth->user;
	} else if (str_is(type, CONNECTION_KEY)) {
		to->api_key_auth_parameters = arena_new(a, struct events_connection_api_key_auth_response_parameters);
		to->api_key_auth_parameters->api_key_name = auth->key_name;
	} else {
		struct events_connection_o_auth_response_parameters *o =
		        arena_new(a, struct events_connection_o_auth_response_parameters);
		o->client_parameters = arena_new(a, struct events_connection_o_auth_client_response_parameters);
		o->client_parameters->client_id = auth->client_id;
		o->authorization_endpoint = auth->endpoint;
		o->http_method = auth->method;
		o->o_auth_http_parameters = show(a, &auth->oauth);
		to->o_auth_parameters = o;
	}
	return to;
}
