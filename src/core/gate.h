/* The gate: the one way in. Every call, from a client or from one of our own services, walks the same steps here, and everything
 *that cuts across services happens here and nowhere else: request ids, signatures, permissions, commits, spelling of replies,
 *counters, audit.
 *
 *	IDENTIFY  which API and protocol, from the credential scope, the host, the path and the headers
 *	KEY       whose access key signed it; an unknown or expired one is refused before any body is read
 *	RECEIVE   the body, unless the operation streams it
 *	VERIFY    the signature
 *	DECODE    the typed input
 *	AUTHORIZE the caller's permission
 *	HANDLE    the service's handler, again after each wait and after a lost race
 *	COMMIT    the transaction, durable
 *	ENCODE    the reply
 *
 * Owned by the api role; everything happens on the loop's thread. */
#pragma once
#include "base/buf.h"
#include "core/service.h"

struct gate;
struct http_request;

struct gate_config {
	bool well_known_keys; /* the listener is a loopback one: test/test works for requests that come from this machine's user */
};
struct gate *gate_new(struct cloud *cloud, const struct gate_config *config);
void gate_free(struct gate *g);
/* Takes a request and answers it, now or later. from_cell: it came through an endpoint inside a sandbox, where only real
 * credentials count. */
void gate_take(struct gate *g, struct http_request *r, bool from_cell);
/* Is a Host header a name that only this machine resolves to itself, an address, or one of AWS's that a client was told to send
 * here? A web page that reaches us by a name of its own (DNS rebinding) is not. */
bool gate_host_is_local(struct str host);
/* Calls that have not been answered yet. */
size_t gate_under_way(const struct gate *g);
/* May somebody who comes by a way of our own (/_quartet/...), and so with no operation, do what az says? Decided and kept for
 * `quartet why` as for any call. tags: of the resource. False: *ret_why says it in AWS's words. */
bool gate_may(struct gate *g, struct http_request *r, const struct principal *who, struct str region, struct authz *az,
              const struct str_map *tags, struct str *ret_why);
/* May `as` do this in the course of work of our own, where neither a request nor an operation is behind it? By its policies alone.
 */
bool gate_may_act(struct cloud *cloud, const struct principal *as, struct str region, const char *action, struct str resource);
/* Counters per operation as Prometheus text. */
void gate_metrics(const struct gate *g, struct buf *out);
/* Why a recent request was allowed or denied, in lines for a person; absent: that request id is not (or no longer) known. */
struct str gate_why(const struct gate *g, struct arena *a, struct str request_id);
/* The service that implements an API; NULL: nobody does yet. */
const struct service *gate_service(const struct gate *g, const struct api *api);
const struct service_op *service_op_find(const struct service *s, struct str name);
