/* Extensions of an environment: processes out of /opt/extensions (external) and parts of the runtime's own process (internal),
 * which register over the Extensions API before the initialisation ends, hear of every invocation, and of the end.
 *
 * An environment has this from the first that is seen until it ends; environment.c asks it whether all are back in /event/next.
 * extension.c keeps them and their states, extension_api.c serves their requests, extension_files.c finds what is to be started,
 * shutdown.c gives them their last seconds. */
#pragma once
#include "aws/lambda/environment.h"
#include "base/buf.h"

enum {
	EXTENSIONS_MAX = 10,
	EXTENSION_NAME_BYTES = 128,
};

/* Where one stands. */
enum extension_state {
	EXTENSION_STARTED,    /* its process runs and has not registered */
	EXTENSION_REGISTERED, /* has not called /event/next yet */
	EXTENSION_READY,      /* waits in /event/next, or may come there at any time */
	EXTENSION_RUNNING,    /* was given an event and is not back */
	EXTENSION_FAILED,     /* said so itself (/init/error, /exit/error), or ended */
	EXTENSION_STOPPING,   /* was told of the end */
};
enum extension_event { EXTENSION_INVOKE = 1, EXTENSION_SHUTDOWN = 2 };
enum extension_request {
	EXTENSION_REGISTER,
	EXTENSION_NEXT,
	EXTENSION_INIT_ERROR,
	EXTENSION_EXIT_ERROR,
	EXTENSION_TELEMETRY,
	EXTENSION_LOGS,
	EXTENSION_OTHER, /* a path or method that these APIs do not have */
	EXTENSION_NONE   /* not of these APIs */
};
/* Reads method and path. */
enum extension_request extension_route(struct str method, struct str path);
/* May one that stands there say that? */
bool extension_allows(enum extension_state state, enum extension_request request);
const char *extension_state_name(enum extension_state state);
/* What the state that a request leads to is called. */
const char *extension_goal_name(enum extension_request request);
/* A JSON array's "INVOKE" and "SHUTDOWN" -> bits; false: something else is in it. */
struct json_value;
bool extension_read_events(const struct json_value *events, unsigned *ret_events);
/* A variable that belongs to the runtime alone. */
bool extension_hides(struct str name);

struct telemetry;
struct extension {
	char name[EXTENSION_NAME_BYTES];
	char id[37];
	bool external;
	int process; /* its number in the cell; 0: it has ended, or is internal */
	enum extension_state state;
	unsigned events;  /* enum extension_event; bits */
	const char *said; /* which of its own errors it told; NULL: none */
	bool shutdown_sent;
	bool invoke_due;           /* an event that it gets when it comes to /event/next */
	struct http_request *next; /* the parked GET /event/next */
};

struct extensions {
	struct environment *environment;
	struct extension *v[EXTENSIONS_MAX];
	unsigned count;
	bool closed;             /* the initialisation is over: nobody registers or subscribes any more */
	bool awaited;            /* the runtime is started when all have registered */
	struct list asks;        /* requests whose bodies are being read: extension_api.c */
	int log_read, log_write; /* what external ones print; -1: none was started */
	struct loop_fd *log_watch;
	struct loop_timer *log_timer; /* instead, while the log is full */
	struct buf line;              /* begun, without its newline */
	struct telemetry *telemetry;
	struct loop_timer *fail_timer; /* one has told its error: its process is given a moment to end */
	/* shutdown.c */
	const char *stop_reason; /* NULL: not being shut down */
	int64_t stop_deadline_us;
	bool extensions_told;
	struct loop_timer *stop_timer;
};

/* The environment's, made when it has none. */
struct extensions *extensions_of(struct environment *e);
/* NULL is harmless. */
void extensions_free(struct extensions *x);
/* All that ran was killed: none are left, nobody is subscribed. The structure stays for the next start. */
void extensions_reset(struct extensions *x);

/* Begins a start: starts the external ones. */
enum extensions_begun { EXTENSIONS_NONE, EXTENSIONS_WAIT, EXTENSIONS_FAILED };
/* EXTENSIONS_WAIT: environment_extensions_registered() comes. EXTENSIONS_FAILED: why; the text lives in the environment's
 * init_arena. */
enum extensions_begun extensions_begin(struct environment *e, const char **ret_type, const char **ret_text);
/* An extension of that id, or of that name; NULL: none. */
struct extension *extension_by_id(struct extensions *x, struct str id);
struct extension *extension_by_name(struct extensions *x, struct str name);
struct extension *extension_new(struct extensions *x, struct str name, bool external);
/* After a registration: does the runtime's turn come now? */
void extensions_registered(struct extensions *x);
/* All are in /event/next. */
bool extensions_idle(const struct extensions *x);
/* One at least hears of invocations, so that they end later than the runtime's answer. */
bool extensions_follow(const struct extensions *x);
/* The current invocation to all who want it. */
void extensions_send_invoke(struct extensions *x);
/* EXTENSION lines of all that are ready, once the initialisation is over. */
void extensions_initialised(struct extensions *x, int64_t took_us);
/* The line of one that failed; and platform.extension. */
void extension_write_failed(struct extensions *x, const struct extension *one, const char *state, struct str error_type);
/* It told an error of its own ("InitError", "ExitError"): the environment is reset when its process has ended, or soon. */
void extension_told_error(struct extensions *x, struct extension *one, enum extension_request how, struct str error_type);
/* A process of the cell ended. False: it was no extension's. */
bool extensions_process_exited(struct extensions *x, int process, int status);
/* Reads what external ones have printed. */
void extensions_drain(struct extensions *x);

/* --- extension_api.c */
/* Serves one request, if it is of these APIs. */
bool extension_api_takes(struct environment *e, struct http_request *r);
/* Answers the parked /event/next with the current invocation, or with the end. */
void extension_api_send_invoke(struct extensions *x, struct extension *one);
void extension_api_send_shutdown(struct extensions *x, struct extension *one, int64_t left_us);
/* Forgets all requests. */
void extension_api_forget(struct extensions *x);
/* {"errorType":...,"errorMessage":...} */
void extension_api_refuse(struct http_request *r, unsigned status, const char *type, struct str message);

/* --- extension_files.c: names of the files in /opt/extensions, sorted, of the environment's layers or image. They are put together
 * as overlayfs does it. */
void extension_files(const struct environment *e, struct arena *a, struct str_list *ret);
/* The same of directories, the highest first: each is the root of a layer. */
void extension_files_of(const char *const *roots, size_t count, const char *directory, struct arena *a, struct str_list *ret);

/* --- shutdown.c */
/* Tells runtime and extensions that the end has come, why ("spindown", "timeout", "failure"), and waits for them as long as AWS
 * does; environment_is_shut_down() comes then. False: there is nobody to wait for. */
bool shutdown_begin(struct extensions *x, const char *reason);
/* Somebody went, or came to /event/next: is it over? */
void shutdown_look(struct extensions *x);
void shutdown_cancel(struct extensions *x);

/* --- environment.c goes on */
void environment_extensions_registered(struct environment *e);
void environment_extension_is_back(struct environment *e);
void environment_extension_failed(struct environment *e, const char *type, const char *text);
void environment_is_shut_down(struct environment *e);
