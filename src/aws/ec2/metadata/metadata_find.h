/* What an instance's metadata are, out of the records: the source of metadata_serve.h. Private to aws/ec2. */
#pragma once
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/metadata/metadata_serve.h"

/* The view of an instance; all in the scope's arena. False: it is not there, or does not run. */
bool metadata_of_instance(const struct ec2_scope *s, struct cloud *cloud, struct str instance_id, struct metadata_view *ret_view,
                          struct metadata_options *ret_options);
/* metadata_source.find with the desk as ctx: the port at that address, the instance that has it. */
bool metadata_find(void *desk, struct arena *a, struct str vpc_id, const struct sockaddr_storage *peer,
                   struct metadata_view *ret_view, struct metadata_options *ret_options);
/* Counts for MetadataNoToken and MetadataNoTokenRejected. */
void metadata_tokenless(void *desk, struct str instance_id, bool refused);
