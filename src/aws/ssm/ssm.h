/* Sessions of Session Manager, for those who take part in them: whoever begins one (StartSession here, ExecuteCommand in ECS), and
 * the data channel that carries it (role/data_channel.c).
 *
 * A session lives in memory, because its program does: both end with the process. What DescribeSessions shows lies in the store. */
#pragma once
#include "core/call.h"

enum ssm_where { SSM_IN_INSTANCE, SSM_IN_TASK };

struct ssm_session_spec {
	struct str id, account, region;
	struct str target;     /* as it is shown: "i-...", "ecs:CLUSTER_TASK_RUNTIME" */
	struct str document;   /* its name */
	struct str type;       /* of the channel: "Standard_Stream", "InteractiveCommands" */
	struct str properties; /* of the type: JSON; absent: none */
	struct str owner, why; /* ARN; the reason that was given; absent: none */
	struct str place;      /* the instance or task that it is in, by id */
	struct str container;  /* of the task */
	struct str_list words; /* the command; none: a shell */
	enum ssm_where where;
};
struct ssm_live;
struct ssm_session_keys {
	struct str id, url, token;
};

/* For a handler: the session is recorded with the call's transaction and there once that is durable. The spec's account, region and
 * owner are the call's; its id is `prefix`, a hyphen and digits. c->state is this function's until the call ends. CALL_FAIL: as
 * many as there may be are open. */
int ssm_session_begin(struct call *c, struct str prefix, struct ssm_session_spec *spec, struct ssm_session_keys *ret);
/* What a command line means, as a shell reads words and quotes, and no more than that. False: a quote or backslash is open, or
 * there is no word, or a NUL in one. */
bool ssm_words(struct arena *a, struct str line, struct str_list *ret);

/* --- for the data channel */

struct ssm_session_events {
	void (*end)(void *ctx, struct str why); /* it is over: ssm_session_over() is to follow */
};
/* The session whose token that is, which is used up by it. NULL: there is none such, or its time is over. */
struct ssm_live *ssm_session_open(struct cloud *cloud, struct str id, struct str token);
const struct ssm_session_spec *ssm_session_spec(const struct ssm_live *s);
/* Who carries it; NULL: nobody yet. */
void *ssm_session_owner(const struct ssm_live *s);
void ssm_session_own(struct ssm_live *s, const struct ssm_session_events *events, void *owner);
/* Somebody is connected, or not any more. */
void ssm_session_connected(struct ssm_live *s, bool is);
/* Something was said in either direction: it does not idle. */
void ssm_session_touch(struct ssm_live *s);
/* Its owner is done with it; s is gone. */
void ssm_session_over(struct ssm_live *s);
