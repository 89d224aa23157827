/* One execution environment: a cell that runs one version's code, one invocation at a time.
 *
 *	CLAIMING -> STARTING -> READY -> BUSY -> DONE -> READY ...
 *	                 \        \______ \______\___ COLD (runtime killed; /tmp stays) -> STARTING at the next use
 *	                  \_ (failed twice) ... end
 *
 * With extensions (extension.h), STARTING and DONE last until they are back too, and STOPPING comes before COLD and before the end.
 *
 * runtime_api.c serves the runtime's requests and calls the functions below; the cell's events arrive in environment.c. */
#pragma once
#include "aws/lambda/credentials.h"
#include "aws/lambda/invocation.h"
#include "aws/lambda/lazy.h"
#include "aws/lambda/output.h"
#include "aws/lambda/runtime.h"

struct http_request;
struct listener;
struct snapstart_job;

enum environment_state {
	ENVIRONMENT_CLAIMING, /* code, credentials and a cell are being had */
	ENVIRONMENT_STARTING, /* the runtime initialises: until its first /next */
	ENVIRONMENT_READY,    /* waits in /next */
	ENVIRONMENT_BUSY,     /* has been given an event and owes an answer */
	ENVIRONMENT_DONE,     /* has answered, is not back in /next yet */
	ENVIRONMENT_COLD,     /* no runtime runs; the next use starts one */
	ENVIRONMENT_STOPPING, /* its processes have their last seconds: shutdown.c */
};

/* What comes after them. */
enum environment_after { ENVIRONMENT_ENDS, ENVIRONMENT_STARTS_AGAIN, ENVIRONMENT_IDLES };

struct extensions;

struct environment {
	struct list link;      /* pool's all */
	struct list idle_link; /* pool's idle, most recent first */
	struct list lru_link;  /* all idle ones of the cloud, oldest first */
	struct pool *pool;
	struct lambda *lambda;
	struct fn_version *version;
	enum environment_state state;
	struct runtime_choice runtime;
	struct cell *cell;
	bool cell_ready;
	struct listener *runtime_listener, *endpoint_listener;
	struct loop_fd *log_watch;
	struct output *output;
	struct credentials *credentials;
	struct credential_wait *credential_wait;
	struct interface *interface; /* into its VPC; NULL: it is in none */
	struct interface_wait *interface_wait;
	unsigned device;              /* of the interface, when the cell was claimed */
	struct str code_dir, opt_dir; /* relative to DATA/code */
	struct arena arena;
	int process;            /* number of the runtime's process in the cell */
	bool entered;           /* somebody opened a shell in it: it is not frozen any more */
	bool starting;          /* counted by the pools: no /next yet */
	bool provisioned;       /* begun ahead, and kept for calls by one qualifier: provision.h */
	bool provisioned_ready; /* its first initialisation is over */
	bool leaving;           /* no pool's any more: its extensions have their last seconds */
	bool emptying;          /* what ran in it was killed and is not gone yet */
	/* SnapStart (snapstart.h) */
	bool snap;                    /* its version is one that is restored */
	bool restoring, restored;     /* its process comes, or came, from the snapshot */
	bool snapping;                /* the snapshot is being taken: its process has done its part */
	struct snapstart_job *taking; /* it is begun to be the snapshot; NULL: it is for calls */
	int64_t restored_us;          /* when the process asked for its restore's end; 0: not yet */
	int64_t restore_us, hooks_us; /* to be reported with the next REPORT */
	char token[65];               /* for its credentials */

	bool preparing, doomed; /* an asynchronous step still holds it; freed when that comes back */

	struct invocation *current;    /* being run, or waiting for the start */
	struct invocation *queued;     /* comes next, when /next is called again or what was killed is gone */
	struct http_request *next;     /* the parked GET /next */
	struct http_request *response; /* the POST whose body is being read */
	char request_id[37];           /* of the invocation given last */

	unsigned claim_tries, init_attempts;
	bool init_in_invoke;            /* this start counts against the function's own timeout */
	int64_t init_begin_us, init_us; /* init_us: to be reported with the next REPORT; 0: reported */
	int64_t dispatch_us, done_us;
	int64_t answer_us, back_us; /* when the runtime began its answer, and when it was back in /next; 0: not yet */
	size_t produced_bytes;
	int64_t extensions_us; /* how long extensions went on after the runtime in that */
	int64_t reported_us;   /* how long the invocation took whose REPORT was written last */
	int64_t idle_since_us;
	int64_t peak_bytes, peak_read_us;
	unsigned oom_kills;
	struct str init_error;       /* body of POST /init/error; lives in init_arena, as the next does */
	const char *init_error_type; /* as it goes into the log */
	struct arena init_arena;
	struct str error_type; /* of the invocation that ended in error; a constant */

	struct extensions *extensions; /* NULL: none was ever seen */
	enum environment_after after;  /* while STOPPING */

	struct lazy_timer limit, idle;
	struct loop_timer *claim_timer; /* until a cell is asked for again */
};

/* Makes one for inv and starts it. */
void environment_start(struct pool *p, struct invocation *inv);
/* Makes a provisioned one, for nobody yet. */
void environment_start_ahead(struct pool *p, struct fn_version *v);
/* Makes one that becomes the snapshot of its version: the job is told of its end. */
void environment_start_snapshot(struct pool *p, struct fn_version *v, struct snapstart_job *job);
/* Gives an idle (READY or COLD) one its next invocation. */
void environment_run(struct environment *e, struct invocation *inv);
/* Its credentials may end before another invocation does: it takes none any more. */
bool environment_is_stale(const struct environment *e);
bool environment_is_stale_in(const struct environment *e, int64_t ms);
/* Kills and frees; an invocation in it ends with an error. One with extensions takes no invocation from now on, belongs to no pool,
 * and is killed when they have had their last seconds. */
void environment_end(struct environment *e);
void environment_end_for(struct environment *e, const char *reason);
void environment_end_now(struct environment *e);

/* --- between environment.c and environment_end.c */
/* Gives the extensions their last seconds, if there are any; then goes on as `after` says. False: that has happened already, and
 * the environment may be gone. */
bool environment_shut_down(struct environment *e, const char *reason, enum environment_after after);
/* The runtime is of no use any more: the cell and its /tmp stay for the next invocation. */
void environment_go_cold(struct environment *e, const char *reason);
/* Kills what runs in the cell. The next runtime is started when nothing is left of this one: environment_runtime_is_gone(). */
void environment_kill_runtime(struct environment *e);
/* How long what it does may take; 0: as long as it likes. */
void environment_set_limit(struct environment *e, int64_t delay_us);

/* --- what the runtime did (runtime_api.c) */
void environment_runtime_next(struct environment *e, struct http_request *r);
/* GET /restore/next: it is initialised, or is restored. */
void environment_runtime_restore_next(struct environment *e, struct http_request *r);
void environment_runtime_answered(struct environment *e, struct str payload, bool function_error);
void environment_runtime_too_large(struct environment *e);
/* type: as runtime_api_error_type() says it. */
void environment_runtime_init_error(struct environment *e, struct str type, struct str body);
/* The streamed answer is complete, or broke with an error body (absent: none). */
void environment_runtime_streamed(struct environment *e, struct str error_type, struct str error_body);
/* --- environment_snap.c */
struct environment *environment_new(struct pool *p, struct fn_version *v); /* environment.c */
/* Its runtime is back and waits for the first event. */
void environment_is_restored(struct environment *e);
/* A hook failed after the restore, or it took too long. */
void environment_restore_failed(struct environment *e, bool timeout);
/* The process could not be what it was: the call is run in an environment that begins as any other. */
void environment_restore_impossible(struct environment *e, int status);
/* --- environment_log.c */
/* Watches the cell's log pipe. */
void environment_watch_log(void *environment);
/* To the extensions: the runtime has done its part of the current invocation. */
void environment_tell_runtime_done(struct environment *e, const char *status, const char *error_type);
/* The lines of an error that the runtime did not report itself. */
void environment_report_error(struct environment *e, const char *type, const char *text);
/* END and REPORT lines of the current invocation; status: NULL, "timeout" or "error". */
void environment_report_end(struct environment *e, int64_t end_us, const char *status, const char *error_type);
/* Ends the current invocation, with the tail of the log if it wants that. */
void environment_finish(struct environment *e, const struct outcome *o);

/* Serves one request of the runtime. */
void runtime_api_serve(void *environment, struct http_request *r);
/* Answers the parked /next with e->current. */
void runtime_api_send_event(struct environment *e);
/* Says that all is restored. */
void runtime_api_send_restored(struct environment *e, struct http_request *r);
/* A stream's reader has caught up. */
void runtime_api_drained(struct environment *e);
