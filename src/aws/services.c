/* Every service of the cloud. A folder beside this file has each. */
#include "core/service.h"

const struct service *const cloud_services[] = {
	NULL,
};
