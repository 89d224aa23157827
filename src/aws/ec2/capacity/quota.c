/* The count is made of the records of now, in the transaction of the call: of two launches at the same time one runs again and sees
 * what the other has taken. Nothing is walked where there is no quota. */
#include "aws/ec2/capacity/quota.h"

#include "aws/ec2/capacity/reservation.h"
#include "core/cloud.h"

/* Amazon's bucket of standard types has these families; every other family is a bucket of its own, but VT is in G's. */
static const char *const standard[] = {"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"};

struct str quota_bucket(struct str type)
{
	size_t n = 0;
	while (n < type.n && type.p[n] >= 'a' && type.p[n] <= 'z')
		n++;
	struct str family = str_sub(type, 0, n);
	for (size_t i = 0; i < sizeof(standard) / sizeof(*standard); i++)
		if (str_is(family, standard[i]))
			return S("standard");
	return str_is(family, "vt") ? S("g") : family;
}

bool quota_same_bucket(struct str a, struct str b)
{
	return str_eq(quota_bucket(a), quota_bucket(b));
}

static int64_t instances_use(const struct ec2_scope *s, struct str bucket, bool spot)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_instance);
	struct state_ec2_instance_record r;
	int64_t used = 0;
	while (ec2_next(&all, &r)) {
		const struct ec2_instance *i = r.instance;
		enum instance_state state = ec2_instance_state(i);
		const struct instance_type *type = instance_type_find(i->instance_type);
		if (type && (state == INSTANCE_PENDING || state == INSTANCE_RUNNING) &&
		    str_is(i->instance_lifecycle, "spot") == spot && str_eq(quota_bucket(i->instance_type), bucket))
			used += type->vcpus;
	}
	return used;
}

/* Places that nobody runs in; who does is an instance. */
static int64_t reservations_use(const struct ec2_scope *s, struct str bucket)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_reservation);
	struct ec2_capacity_reservation r;
	int64_t used = 0;
	while (ec2_next(&all, &r)) {
		const struct instance_type *type = instance_type_find(r.instance_type);
		if (type && str_is(r.state, "active") && str_eq(quota_bucket(r.instance_type), bucket))
			used += r.available_instance_count.v * type->vcpus;
	}
	return used;
}

static unsigned quota_of(const struct call *c, bool spot)
{
	return spot ? c->cloud->spot_vcpus : c->cloud->vcpus;
}

int64_t quota_vcpus(struct call *c, const struct instance_type *type, bool spot)
{
	struct ec2_scope s = ec2_scope(c);
	struct str bucket = quota_bucket(str_from(type->name));
	int64_t quota = quota_of(c, spot);
	if (!quota)
		return INT64_MAX;
	int64_t left = quota - instances_use(&s, bucket, spot) - (spot ? 0 : reservations_use(&s, bucket));
	return left > 0 ? left : 0;
}

int64_t quota_room(struct call *c, const struct instance_type *type, bool spot)
{
	int64_t left = quota_vcpus(c, type, spot);
	return left < INT64_MAX ? left / type->vcpus : INT64_MAX;
}

int quota_fail(struct call *c, bool spot)
{
	if (spot)
		return call_fail(c, "MaxSpotInstanceCountExceeded", 400, "Max spot instance count exceeded");
	return call_fail(
	        c, "VcpuLimitExceeded", 400,
	        "You have requested more vCPU capacity than your current vCPU limit of %u allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
	        quota_of(c, false));
}
