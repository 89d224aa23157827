/* Who shows an identity document is believed when our own signature is on it, and the instance runs. */
#include "aws/ec2/compute.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/metadata/identity.h"

#include "base/hash.h"
#include "base/json.h"

enum { DOCUMENT_MAX = 4096 };

/* Clients join the lines of a signature in their own ways. */
static struct str without_blanks(struct arena *a, struct str text)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\n' && text.p[i] != '\r' && text.p[i] != ' ')
			p[n++] = text.p[i];
	return str_of(p, n);
}

bool ec2_identify(struct call *c, struct str document, struct str signature, struct ec2_identified *ret)
{
	struct ec2_state *ec2 = cloud_state(c->cloud, &ec2_service);
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	const struct identity *identity = ec2 ? ec2_compute_identity(ec2) : NULL;
	if (!identity || document.n > DOCUMENT_MAX || signature.n > DOCUMENT_MAX)
		return false;
	/* the same key signs the same document in the same way */
	struct str good = identity_signature(identity, c->arena, document);
	if (!str_set(good) || !hash_equal(without_blanks(c->arena, good), without_blanks(c->arena, signature)))
		return false;
	struct json_value *json = json_parse(c->arena, document, NULL);
	struct str id = json_get_str(json, S("instanceId"));
	if (!str_eq(json_get_str(json, S("accountId")), c->account) || !str_eq(json_get_str(json, S("region")), c->region) ||
	    !str_set(id) || !ec2_find(&s, &ec2_kind_instance, id, &r) || ec2_instance_state(r.instance) > INSTANCE_RUNNING)
		return false;
	const struct instance_type *type = instance_type_find(r.instance->instance_type);
	*ret = (struct ec2_identified){
	        .id = id,
	        .type = r.instance->instance_type,
	        .zone = r.instance->placement ? r.instance->placement->availability_zone : STR_NONE,
	        .image = r.instance->image_id,
	        .subnet = r.instance->subnet_id,
	        .vpc = r.instance->vpc_id,
	        .vcpus = type ? type->vcpus : 1,
	        .memory_mib = type ? type->memory_mib : 0,
	};
	return true;
}

enum ec2_life ec2_instance_life(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	struct ec2_scope s = {.txn = t, .arena = a, .account = account, .region = region};
	struct state_ec2_instance_record r;
	if (!ec2_find(&s, &ec2_kind_instance, id, &r))
		return EC2_LIFE_GONE;
	enum instance_state state = ec2_instance_state(r.instance);
	return state == INSTANCE_PENDING || state == INSTANCE_RUNNING            ? EC2_LIFE_UP
	       : state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN ? EC2_LIFE_GONE
	                                                                         : EC2_LIFE_DOWN;
}
