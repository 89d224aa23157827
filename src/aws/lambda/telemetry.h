/* What an environment tells its extensions of itself: events of the platform, lines of the function and of extensions, delivered to
 * ports inside the sandbox (Telemetry API, and the Logs API before it).
 *
 * One for each environment that has extensions; from the first start on it gathers events, because a subscription that comes while
 * the environment initialises has all of them. Buffers are bounded three ways: by what the subscriber asked for, twice; by a sum
 * over all environments; and what is too much is dropped and said so. Nothing here waits: a socket of the sandbox is asked for,
 * written and read as the loop finds it ready, and given up after a while. */
#pragma once
#include "aws/lambda/invocation.h"
#include "base/buf.h"

struct environment;
struct extension;
struct http_request;
struct report;
struct telemetry;

enum telemetry_kind { TELEMETRY_PLATFORM = 1, TELEMETRY_FUNCTION = 2, TELEMETRY_EXTENSION = 4 };
enum telemetry_schema {
	TELEMETRY_LOGS_2020_08_15,
	TELEMETRY_LOGS_2021_03_18,
	TELEMETRY_2022_07_01,
	TELEMETRY_2022_12_13,
	TELEMETRY_2025_01_29,
};
enum { TELEMETRY_PATH_BYTES = 256 };

/* What a subscriber wants. */
struct telemetry_request {
	enum telemetry_schema schema;
	unsigned types; /* enum telemetry_kind; bits */
	int64_t max_items, max_bytes, timeout_ms;
	bool tcp;
	uint16_t port;
	char path[TELEMETRY_PATH_BYTES];
};
/* Reads the body of a subscription. False: *ret_why says all that is wrong with it. */
bool telemetry_read_request(struct arena *a, bool logs_api, struct str body, struct telemetry_request *ret, struct str *ret_why);
/* Does an event of that type exist in the schema? */
bool telemetry_has_type(enum telemetry_schema schema, const char *type);

struct telemetry *telemetry_new(struct environment *e);
void telemetry_free(struct telemetry *t);
/* The extensions are gone, and with them all subscriptions. */
void telemetry_reset(struct telemetry *t);
/* Nobody subscribes any more. */
void telemetry_end_of_init(struct telemetry *t);
/* The reply to a PUT of either API. */
void telemetry_take_subscription(struct telemetry *t, struct extension *one, bool logs_api, struct http_request *r,
                                 struct str body);
/* An event. record: JSON; plain: as the schemas before 2022-12-13 (of lines) and the Logs API (of all) have it, absent: the same.
 */
void telemetry_put(struct telemetry *t, enum telemetry_kind kind, const char *type, struct str record, struct str plain);
/* The sandbox stands still, or goes on: nothing is delivered meanwhile. */
void telemetry_pause(struct telemetry *t);
void telemetry_resume(struct telemetry *t);
/* The end is near: everything goes out as soon as it can. */
void telemetry_flush(struct telemetry *t);
/* A socket that was asked for has come (or a negative errno). */
void telemetry_connected(struct telemetry *t, unsigned question, int fd);

/* --- telemetry_events.c */
/* The initialisation has begun (said once a start), the runtime has done its part, all is done: nobody subscribes any more. */
void telemetry_init_start(struct telemetry *t);
void telemetry_init_runtime_done(struct telemetry *t, const char *status, const char *error_type);
void telemetry_init_report(struct telemetry *t, const char *status, const char *error_type, int64_t took_us);
void telemetry_start(struct telemetry *t, const struct invocation *inv);
/* The runtime has done its part of the invocation. */
struct telemetry_done {
	const char *status; /* "success", "failure", "error", "timeout" */
	const char *error_type;
	int64_t began_us, answer_us, answered_us, done_us; /* monotonic; answer_us 0: it gave none */
	size_t produced_bytes;
};
void telemetry_runtime_done(struct telemetry *t, const struct invocation *inv, const struct telemetry_done *d);
void telemetry_report(struct telemetry *t, const struct report *r);
void telemetry_fault(struct telemetry *t, const char *request_id, const char *type, const char *text);
void telemetry_extension(struct telemetry *t, const struct extension *one, const char *state, struct str error_type);
void telemetry_subscribed(struct telemetry *t, const struct extension *one, const struct telemetry_request *r);
/* A line that was printed. */
void telemetry_add_line(struct telemetry *t, enum telemetry_kind kind, struct str line);
struct str telemetry_dropped_record(struct arena *a, uint64_t records, uint64_t bytes);

/* --- between telemetry.c and telemetry_send.c */
enum telemetry_delivery { DELIVERY_IDLE, DELIVERY_ASKED, DELIVERY_WRITING, DELIVERY_WAITING };
struct subscription {
	struct telemetry *telemetry;
	char name[128];
	struct telemetry_request wanted;
	struct buf pending, sending; /* events of the next batch; the batch that is on its way, as it is written */
	unsigned pending_count;
	uint64_t dropped_records, dropped_bytes;
	enum telemetry_delivery delivery;
	unsigned question, failures;
	int fd;
	size_t written;
	struct loop_fd *watch;
	struct loop_timer *timer; /* a batch is due, tried again, or given up */
	int64_t due_us;           /* when; 0: none */
};
struct telemetry {
	struct environment *environment;
	struct subscription *v[10];
	unsigned count;
	bool collecting, paused, flushing;
	struct list early; /* struct early: before anybody subscribed */
	unsigned early_count;
	size_t early_bytes;
};
/* Sends what is there, if nothing is under way. */
void telemetry_send(struct subscription *s);
/* Something is there: it goes out after delay_us at the latest. */
void telemetry_send_soon(struct subscription *s, int64_t delay_us);
void telemetry_send_pause(struct subscription *s);
void telemetry_send_resume(struct subscription *s);
/* Closes and forgets. */
void telemetry_send_stop(struct subscription *s);
void telemetry_send_connected(struct subscription *s, int fd);
