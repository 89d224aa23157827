/* Every service of the cloud. A folder beside this file has each. */
#include "core/service.h"

extern const struct service lambda_service;
extern const struct service s3_service;

const struct service *const cloud_services[] = {
	&lambda_service,
	&s3_service,
	NULL,
};
