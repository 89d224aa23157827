/* SnapStart: published versions that begin where their initialisation ended.
 *
 * When such a version is published, an environment is started for nobody and initialised; when its runtime asks for what comes next
 * (GET /restore/next, or the first /invocation/next of one that does not know the former), its process is kept as a snapshot
 * (engine/cell) and ended, and the version becomes Active, or Failed with the reason. Environments for calls are restored from it.
 * A snapshot that is lost - the machine was booted, a file that was mapped has changed - is made again in the background; calls are
 * run in environments that initialise as any other meanwhile.
 *
 * Owned by the Lambda service; everything runs on the loop. */
#pragma once
#include "aws/lambda/directory.h"
#include "engine/cell/cell.h"

struct environment;
struct http_request;

#define SNAPSTART_CREDENTIALS "/2021-04-23/credentials"

struct snapstarts *snapstarts_open(struct lambda *l);
void snapstarts_close(struct snapstarts *s);

/* --- configuration */
/* Is this a published version that is restored? */
bool snapstart_wanted(const struct lambda_function_configuration *f);
/* Sets what the request says (NULL: nothing) and checks it with the rest of f. CALL_FAIL with the error set. */
int snapstart_apply(struct call *c, const struct lambda_snap_start *in, struct lambda_function_configuration *f);
/* What a version shows: optimised, if it is published and wants it. */
struct lambda_snap_start_response *snapstart_response(struct arena *a, const struct lambda_function_configuration *f,
                                                      bool published);

/* --- snapshots of versions */
struct snapstart_result {
	int error; /* negative: code and reason say why, as StateReasonCode and StateReason */
	struct str name, code, reason;
};
/* Valid during the call, which comes from the loop and never from inside snapstart_make(). */
typedef void snapstart_fn(void *ctx, const struct snapstart_result *r);
/* Makes a snapshot of that version; some are made at once, the others wait. The name is the caller's to record. */
void snapstart_make(struct lambda *l, struct str account, struct str region, struct str function, struct str version,
                    snapstart_fn *fn, void *ctx);
/* A version's record was read: is its snapshot there? */
void snapstart_see(struct lambda *l, struct fn_version *v);
/* Its snapshot cannot be restored: another one is made. */
void snapstart_lost(struct lambda *l, struct fn_version *v);
/* Nobody records it any more (absent: nothing). */
void snapstart_forget(struct lambda *l, struct str name);

/* --- for environments */
/* One that is to become a snapshot was begun; its process waits in that request; its initialisation failed; it failed otherwise; it
 * has ended. Without a verdict at its end it is begun again, some times. */
void snapstart_begun(struct environment *e);
void snapstart_take(struct environment *e, enum cell_waits waits);
void snapstart_init_failed(struct environment *e, const char *type, const char *what);
void snapstart_fail(struct environment *e, struct str code, struct str reason);
void snapstart_over(struct environment *e);
/* The name that it will have; absent: none will be taken. */
struct str snapstart_job_name(const struct environment *e);
/* Did a process with this status end before anything of the snapshot ran? */
bool snapstart_never_ran(int status);
/* The word that its process shows to be given credentials. Whoever is restored shows that of the snapshot. */
void snapstart_set_token(struct environment *e);
void snapstart_serve_credentials(struct environment *e, struct http_request *r);
