/* Request metrics in AWS/S3: which of a bucket's requests are measured is the bucket's own setting, by filters; what a request took
 * is known when its last byte has left. Private to aws/s3. */
#pragma once
#include "aws/s3/rows.h"

/* metrics.c */
s3_put_bucket_metrics_configuration_handler s3_put_bucket_metrics_configuration;
s3_get_bucket_metrics_configuration_handler s3_get_bucket_metrics_configuration;
s3_delete_bucket_metrics_configuration_handler s3_delete_bucket_metrics_configuration;
s3_list_bucket_metrics_configurations_handler s3_list_bucket_metrics_configurations;
/* Is a request about this key (absent: about the bucket) one that the filter is for? */
bool metrics_filter_fits(const struct s3_metrics_filter *f, struct str key, const struct str_map *tags);
/* Does the filter ask for an object's tags? */
bool metrics_filter_tags(const struct s3_metrics_filter *f);

/* metrics_requests.c: a request has been answered, or refused. */
void metrics_measure_request(struct call *c);
