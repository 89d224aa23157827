/* What subscribers get: a notification as JSON, in the two forms that queues and endpoints, and functions, know; and the text that
 * its signature is about. Pure; results lie in the arena. Called by publish.c and outbox.c. */
#pragma once
#include "sns.h"

struct envelope {
	const char *endpoint; /* of the cloud: where the URLs in it lead */
	struct str topic_arn, sub_arn;
	struct str certificate_url;
	const struct state_sns_notification_record *what;
};
struct str envelope_to_sign(struct arena *a, const struct envelope *e);
struct str envelope_json(struct arena *a, const struct envelope *e);
struct str envelope_event(struct arena *a, const struct envelope *e);
struct str envelope_subscribe_url(struct arena *a, const struct envelope *e);
struct str envelope_unsubscribe_url(struct arena *a, const struct envelope *e);
