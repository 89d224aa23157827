/* Connections and API destinations: who they are, how a connection authorizes, and what a request needs of it. Private to
 * aws/events.
 *
 * What authorizes lies as JSON in a secret of Secrets Manager, the rest in the connection's record. */
#pragma once
#include "rows.h"

#include <stdatomic.h>

struct connection {
	struct str key, arn, account, region, name;
	struct state_events_connection_record r;
};
struct api_destination {
	struct str key, arn, name;
	struct state_events_api_destination_record r;
};

#define CONNECTION_BASIC "BASIC"
#define CONNECTION_KEY "API_KEY"
#define CONNECTION_OAUTH "OAUTH_CLIENT_CREDENTIALS"

bool connection_find(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                     struct connection *ret);
bool api_destination_find(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct api_destination *ret);
/* By ARN, whose id has to be the present one's. */
bool connection_of_arn(struct store_txn *t, struct arena *a, struct str arn, struct connection *ret);
bool api_destination_of_arn(struct store_txn *t, struct arena *a, struct str arn, struct api_destination *ret);
/* CALL_OK, or the error is set. An endpoint without TLS is only for who sits at this machine, as it is for one who can be reached
 * by nobody else. */
int connection_check_endpoint(struct call *c, const char *what, struct str url);

/* connection_auth.c: what authorizes. */
struct connection_auth {
	struct str user, password;      /* BASIC */
	struct str key_name, key_value; /* API_KEY */
	struct str client_id, client_secret, endpoint, method;
	struct events_connection_http_parameters oauth, invocation; /* of requests for tokens, and of invocations */
};
struct str connection_auth_write(struct arena *a, struct str type, const struct connection_auth *auth);
bool connection_auth_read(struct arena *a, struct str json, struct connection_auth *ret);
/* As Describe shows it: without what is secret. */
struct events_connection_auth_response_parameters *connection_auth_show(struct arena *a, struct str type,
                                                                        const struct connection_auth *auth);

/* connection_use.c: secrets and tokens in memory, and when the next request may go out. */
struct connections;
struct connections *connections_new(struct cloud *cloud);
void connections_free(struct connections *all);
/* What is needed for a request of this connection, in the arena, which lives until fn comes: once, perhaps at once. auth NULL: why
 * says why not, and `later` whether that may pass. token: absent, but for OAuth. */
typedef void connection_ready_fn(void *ctx, const struct connection_auth *auth, struct str token, bool later, struct str why);
void connection_ready(struct connections *all, struct arena *a, const struct connection *c, connection_ready_fn *fn, void *ctx);
/* The endpoint did not like the token. */
void connection_distrust(struct connections *all, const struct connection *c);
/* When a request to this destination may go out, which is taken for this one. */
int64_t connections_slot_ms(struct connections *all, struct str destination_arn, int64_t rate, int64_t now_ms);
/* For requests that block: on a few threads of their own. */
struct work *connections_work(struct connections *all);
const atomic_bool *connections_cancel(const struct connections *all);
