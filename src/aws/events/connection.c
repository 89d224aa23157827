/* CreateConnection, UpdateConnection, DescribeConnection, ListConnections, DeauthorizeConnection, DeleteConnection. */
#include "connection.h"

#include "aws/secretsmanager/secretsmanager.h"
#include "base/id.h"

/* --- finding them */

static struct str connections_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("events"), S("connection"), account, region);
}

bool connection_find(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                     struct connection *ret)
{
	*ret = (struct connection){.key = KEY(a, S("events"), S("connection"), account, region, name),
	                           .account = account,
	                           .region = region,
	                           .name = name};
	if (!record_get(t, a, ret->key, EVENTS_ROW("Connection"), &ret->r))
		return false;
	ret->arn = ARENA_CAT(a, S("arn:aws:events:"), region, S(":"), account, S(":connection/"), name, S("/"), ret->r.id);
	return true;
}

bool connection_of_arn(struct store_txn *t, struct arena *a, struct str arn, struct connection *ret)
{
	struct str rest = arn, parts[5];
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	if (!str_starts(rest, S("connection/")))
		return false;
	rest = str_from_at(rest, S("connection/").n);
	return connection_find(t, a, parts[4], parts[3], str_cut(&rest, '/'), ret) && str_eq(ret->arn, arn);
}

static int get(struct call *c, struct str name, struct connection *ret)
{
	if (connection_find(call_txn(c), c->arena, c->account, c->region, name, ret))
		return CALL_OK;
	return events_absent(c, "Failed to describe the connection(s). Connection '%.*s' does not exist.", STR_ARG(name));
}

static void save(struct call *c, struct connection *k)
{
	k->r.modified = OPT_TIME(c->now_ms);
	record_put(call_txn(c), c->arena, k->key, EVENTS_ROW("Connection"), &k->r);
}

static struct str secret_name(struct call *c, const struct connection *k)
{
	return ARENA_CAT(c->arena, S("events!connection/"), k->name, S("/"), k->r.id);
}

/* --- what is given */

int connection_check_endpoint(struct call *c, const char *what, struct str url)
{
	if (str_starts(url, S("https://")) || (str_starts(url, S("http://")) && call_from_here(c)))
		return CALL_OK;
	return events_invalid(c, "Parameter %s is not valid. Reason: Must be a valid HTTPS endpoint.", what);
}

static void take(struct str *to, struct str given)
{
	if (str_set(given))
		*to = given;
}

static void take_parameters(struct events_connection_http_parameters *to, const struct events_connection_http_parameters *given)
{
	if (given)
		*to = *given;
}

/* What an update gives has the same names as what a creation gives, but nothing of it has to be there. */
static void take_auth(struct connection_auth *auth, const struct events_update_connection_auth_request_parameters *in)
{
	if (in->basic_auth_parameters) {
		take(&auth->user, in->basic_auth_parameters->username);
		take(&auth->password, in->basic_auth_parameters->password);
	}
	if (in->api_key_auth_parameters) {
		take(&auth->key_name, in->api_key_auth_parameters->api_key_name);
		take(&auth->key_value, in->api_key_auth_parameters->api_key_value);
	}
	if (in->o_auth_parameters) {
		if (in->o_auth_parameters->client_parameters) {
			take(&auth->client_id, in->o_auth_parameters->client_parameters->client_id);
			take(&auth->client_secret, in->o_auth_parameters->client_parameters->client_secret);
		}
		take(&auth->endpoint, in->o_auth_parameters->authorization_endpoint);
		take(&auth->method, in->o_auth_parameters->http_method);
		take_parameters(&auth->oauth, in->o_auth_parameters->o_auth_http_parameters);
	}
	take_parameters(&auth->invocation, in->invocation_http_parameters);
}

static int check_auth(struct call *c, struct str type, const struct connection_auth *auth)
{
	bool good = str_is(type, CONNECTION_BASIC) ? str_set(auth->user) && str_set(auth->password)
	            : str_is(type, CONNECTION_KEY) ? str_set(auth->key_name) && str_set(auth->key_value)
	                                           : str_set(auth->client_id) && str_set(auth->client_secret) &&
	                                                     str_set(auth->endpoint) && str_set(auth->method);
	if (!good)
		return events_invalid(c, "Parameter AuthParameters is not valid. Reason: Parameters for %.*s must be provided.",
		                      STR_ARG(type));
	return str_is(type, CONNECTION_OAUTH) ? connection_check_endpoint(c, "AuthorizationEndpoint", auth->endpoint) : CALL_OK;
}

static int no_network(struct call *c, const void *invocation, const void *connectivity, struct str key)
{
	if (invocation || connectivity)
		return events_invalid(c, "Connections to private APIs by resource configurations are not supported.");
	if (key.n)
		return events_invalid(c, "Parameter KmsKeyIdentifier is not valid. Reason: Connections have no keys of KMS here.");
	return CALL_OK;
}

/* Keeps what authorizes; a token has to be got first. */
static int authorize(struct call *c, struct connection *k, const struct connection_auth *auth)
{
	bool oauth = str_is(k->r.type, CONNECTION_OAUTH);
	if (secretsmanager_keep(c, "events", secret_name(c, k), connection_auth_write(c->arena, k->r.type, auth), &k->r.secret) !=
	    CALL_OK)
		return CALL_FAIL;
	k->r.auth = connection_auth_show(c->arena, k->r.type, auth);
	k->r.state = oauth ? S("AUTHORIZING") : S("AUTHORIZED");
	k->r.reason = STR_NONE;
	if (!oauth)
		k->r.authorized = OPT_TIME(c->now_ms);
	k->r.local = OPT_BOOL(call_from_here(c));
	save(c, k);
	return CALL_OK;
}

/* --- operations */

int events_create_connection(struct call *c, const struct events_create_connection_request *in,
                             struct events_create_connection_response *out)
{
	struct connection k;
	struct connection_auth auth = {0};
	const struct events_create_connection_auth_request_parameters *given = in->auth_parameters;
	if (no_network(c, in->invocation_connectivity_parameters, given->connectivity_parameters, in->kms_key_identifier) !=
	    CALL_OK)
		return CALL_FAIL;
	if (connection_find(call_txn(c), c->arena, c->account, c->region, in->name, &k))
		return call_fail(c, "ResourceAlreadyExistsException", 400, "Connection %.*s already exists.", STR_ARG(in->name));
	if (given->basic_auth_parameters) {
		auth.user = given->basic_auth_parameters->username;
		auth.password = given->basic_auth_parameters->password;
	}
	if (given->api_key_auth_parameters) {
		auth.key_name = given->api_key_auth_parameters->api_key_name;
		auth.key_value = given->api_key_auth_parameters->api_key_value;
	}
	if (given->o_auth_parameters) {
		auth.client_id = given->o_auth_parameters->client_parameters->client_id;
		auth.client_secret = given->o_auth_parameters->client_parameters->client_secret;
		auth.endpoint = given->o_auth_parameters->authorization_endpoint;
		auth.method = given->o_auth_parameters->http_method;
		take_parameters(&auth.oauth, given->o_auth_parameters->o_auth_http_parameters);
	}
	take_parameters(&auth.invocation, given->invocation_http_parameters);
	if (check_auth(c, in->authorization_type, &auth) != CALL_OK)
		return CALL_FAIL;
	k.r = (struct state_events_connection_record){.id = id_uuid(c->arena),
	                                              .description = in->description,
	                                              .type = in->authorization_type,
	                                              .created = OPT_TIME(c->now_ms)};
	if (authorize(c, &k, &auth) != CALL_OK)
		return CALL_FAIL;
	out->connection_arn =
	        ARENA_CAT(c->arena, S("arn:aws:events:"), c->region, S(":"), c->account, S(":connection/"), k.name, S("/"), k.r.id);
	out->connection_state = k.r.state;
	out->creation_time = k.r.created;
	out->last_modified_time = k.r.modified;
	return CALL_OK;
}

int events_update_connection(struct call *c, const struct events_update_connection_request *in,
                             struct events_update_connection_response *out)
{
	struct connection k;
	struct connection_auth auth = {0};
	struct str text;
	const void *connectivity = in->auth_parameters ? in->auth_parameters->connectivity_parameters : NULL;
	if (no_network(c, in->invocation_connectivity_parameters, connectivity, in->kms_key_identifier) != CALL_OK ||
	    get(c, in->name, &k) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		k.r.description = in->description;
	if (in->auth_parameters || str_set(in->authorization_type)) {
		if (str_set(k.r.secret) && secretsmanager_kept(c, secret_name(c, &k), &text) == CALL_OK)
			connection_auth_read(c->arena, text, &auth);
		take(&k.r.type, in->authorization_type);
		if (in->auth_parameters)
			take_auth(&auth, in->auth_parameters);
		if (check_auth(c, k.r.type, &auth) != CALL_OK || authorize(c, &k, &auth) != CALL_OK)
			return CALL_FAIL;
	} else
		save(c, &k);
	out->connection_arn = k.arn;
	out->connection_state = k.r.state;
	out->creation_time = k.r.created;
	out->last_modified_time = k.r.modified;
	out->last_authorized_time = k.r.authorized;
	return CALL_OK;
}

int events_describe_connection(struct call *c, const struct events_describe_connection_request *in,
                               struct events_describe_connection_response *out)
{
	struct connection k;
	if (get(c, in->name, &k) != CALL_OK)
		return CALL_FAIL;
	*out = (struct events_describe_connection_response){.connection_arn = k.arn,
	                                                    .name = k.name,
	                                                    .description = k.r.description,
	                                                    .connection_state = k.r.state,
	                                                    .state_reason = k.r.reason,
	                                                    .authorization_type = k.r.type,
	                                                    .secret_arn = k.r.secret,
	                                                    .auth_parameters = k.r.auth,
	                                                    .creation_time = k.r.created,
	                                                    .last_modified_time = k.r.modified,
	                                                    .last_authorized_time = k.r.authorized};
	return CALL_OK;
}

int events_list_connections(struct call *c, const struct events_list_connections_request *in,
                            struct events_list_connections_response *out)
{
	struct events_page p;
	events_page_begin(c, &p, connections_under(c->arena, c->account, c->region), in->limit, in->next_token);
	out->connections.set = true;
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		struct connection k;
		if (!connection_find(call_txn(c), c->arena, c->account, c->region, p.last, &k) ||
		    (str_set(in->connection_state) && !str_eq(in->connection_state, k.r.state)))
			continue;
		*LIST_ADD(c->arena, &out->connections) = (struct events_connection){.connection_arn = k.arn,
		                                                                    .name = k.name,
		                                                                    .connection_state = k.r.state,
		                                                                    .state_reason = k.r.reason,
		                                                                    .authorization_type = k.r.type,
		                                                                    .creation_time = k.r.created,
		                                                                    .last_modified_time = k.r.modified,
		                                                                    .last_authorized_time = k.r.authorized};
	}
	return CALL_OK;
}

int events_deauthorize_connection(struct call *c, const struct events_deauthorize_connection_request *in,
                                  struct events_deauthorize_connection_response *out)
{
	struct connection k;
	if (get(c, in->name, &k) != CALL_OK)
		return CALL_FAIL;
	secretsmanager_forget(c, secret_name(c, &k));
	k.r.secret = STR_NONE;
	k.r.state = S("DEAUTHORIZED");
	save(c, &k);
	out->connection_arn = k.arn;
	out->connection_state = k.r.state;
	out->creation_time = k.r.created;
	out->last_modified_time = k.r.modified;
	out->last_authorized_time = k.r.authorized;
	return CALL_OK;
}

int events_delete_connection(struct call *c, const struct events_delete_connection_request *in,
                             struct events_delete_connection_response *out)
{
	struct connection k;
	if (get(c, in->name, &k) != CALL_OK)
		return CALL_FAIL;
	secretsmanager_forget(c, secret_name(c, &k));
	store_delete(call_txn(c), k.key);
	out->connection_arn = k.arn;
	out->connection_state = S("DELETING");
	out->creation_time = k.r.created;
	out->last_modified_time = k.r.modified;
	out->last_authorized_time = k.r.authorized;
	return CALL_OK;
}
