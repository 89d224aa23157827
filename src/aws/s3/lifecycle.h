/* Lifecycle rules: what they say about an object, and the job that carries them out.
 *
 * S3 looks once a day, at midnight UTC, and so does the job: it watches the cloud's clock, and runs at start-up and after a change
 * of rules too. It deletes in small transactions between which everybody else has his turn. */
#pragma once
#include "aws/s3/rows.h"

struct lifecycle;
struct lifecycle *lifecycle_start(struct s3_state *s);
void lifecycle_stop(struct lifecycle *l);
/* Rules have changed: look soon. */
void lifecycle_soon(struct lifecycle *l);

/* --- rules, pure */

/* Is it enabled, and does its filter take in a key with these tags and this size? */
bool lifecycle_applies(const struct s3_lifecycle_rule *r, struct str key, const struct str_map *tags, int64_t size);
/* The midnight (UTC) that ends `days` days after t. */
int64_t lifecycle_midnight(int64_t t_ms, int64_t days);
/* When the rule ends an object that was last changed then: INT64_MAX: never. */
int64_t lifecycle_expires(const struct s3_lifecycle_rule *r, int64_t modified_ms);
/* x-amz-expiration: the soonest end of an object and the rule that makes it. */
struct str lifecycle_header(struct arena *a, const struct s3_bucket_lifecycle_configuration *k, struct str key,
                            const struct state_s3_object *o);

s3_get_bucket_lifecycle_configuration_handler s3_get_bucket_lifecycle_configuration;
s3_put_bucket_lifecycle_configuration_handler s3_put_bucket_lifecycle_configuration;
s3_delete_bucket_lifecycle_handler s3_delete_bucket_lifecycle;
