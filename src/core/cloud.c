#include "core/cloud.h"

#include "core/service.h"

void *cloud_state(const struct cloud *cloud, const struct service *service)
{
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i] == service)
			return cloud->service_state[i];
	return NULL;
}
