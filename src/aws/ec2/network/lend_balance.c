/* Flows that a lent interface gives to others: what the balancers' nodes want of their VPC's router. */
#include "aws/ec2/ec2.h"
#include "aws/ec2/network/vpc.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

static struct networks *networks_of(const struct cloud *cloud)
{
	struct ec2_state *s = cloud_state(cloud, &ec2_service);
	return s ? s->networks : NULL;
}

void ec2_lent_balance(const struct cloud *cloud, const struct network_balance *b)
{
	struct networks *n = networks_of(cloud);
	int error = n ? network_put_balance(n, b) : 0;
	if (error)
		log_error("%s: port %u cannot be balanced: %s", b->port, b->listens, strerror(-error));
}

void ec2_lent_unbalance(const struct cloud *cloud, const char *interface, uint8_t protocol, uint16_t listens)
{
	struct networks *n = networks_of(cloud);
	if (n)
		network_remove_balance(n, interface, protocol, listens);
}

void ec2_lent_balances_settled(const struct cloud *cloud, const char *interface)
{
	struct networks *n = networks_of(cloud);
	if (n)
		network_settle_balances(n, interface);
}

bool ec2_lent_balance_stats(const struct cloud *cloud, const char *interface, uint8_t protocol, uint16_t listens,
                            struct network_balance_stats *ret)
{
	struct networks *n = networks_of(cloud);
	return n && network_balance_stats(n, interface, protocol, listens, ret);
}

bool ec2_lent_port_stats(const struct cloud *cloud, const char *interface, struct network_port_stats *ret)
{
	struct networks *n = networks_of(cloud);
	return n && network_port_stats(n, interface, ret);
}
