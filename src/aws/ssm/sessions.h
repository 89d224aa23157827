/* Sessions that are open, and the records of all that were. Private to aws/ssm; ssm.h is for others. */
#pragma once
#include "base/list.h"
#include "rows.h"
#include "ssm.h"

struct sessions;
struct sessions *sessions_new(struct cloud *cloud);
void sessions_free(struct sessions *all); /* NULL is harmless */
/* Is a record still on its way to the store? */
bool sessions_busy(const struct sessions *all);
struct sessions *ssm_sessions(struct cloud *cloud);

struct str ssm_sessions_under(struct arena *a, struct str account, struct str region);
bool ssm_session_read(struct arena *a, struct str value, struct state_ssm_session_record *ret);
/* Of the call's account and region. */
bool ssm_session_find(struct call *c, struct str id, struct state_ssm_session_record *ret);
/* A new token once the call is durable; c->state is this function's until the call ends. False: it is not open. */
bool ssm_session_resume(struct call *c, struct str id, struct ssm_session_keys *ret);
/* Ends it, if it is open. */
void ssm_session_terminate(struct cloud *cloud, struct str account, struct str region, struct str id);

ssm_start_session_handler ssm_start_session;
ssm_resume_session_handler ssm_resume_session;
ssm_terminate_session_handler ssm_terminate_session;
ssm_describe_sessions_handler ssm_describe_sessions;
ssm_get_connection_status_handler ssm_get_connection_status;
