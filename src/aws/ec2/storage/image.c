/* Images: finding and describing them, who may launch them. One that is shared is found by its id in an index that says whose it
 * is. */
#include "aws/ec2/ec2.h"
#include "aws/ec2/storage/image_default.h"

#include "base/clock.h"

static struct str shared_key(struct arena *a, struct str region, struct str id)
{
	return KEY(a, S("ec2-shared-image"), region, id);
}

static bool may_launch(const struct state_ec2_image_record *r, struct str account)
{
	if (r->image->public.v)
		return true;
	for (uint32_t i = 0; i < r->shared.n; i++)
		if (str_eq(r->shared.v[i], account))
			return true;
	return str_eq(r->image->owner_id, account);
}

void ec2_image_put(const struct ec2_scope *s, const struct state_ec2_image_record *r)
{
	struct str key = shared_key(s->arena, s->region, r->image->image_id);
	ec2_put(s, &ec2_kind_image, r->image->image_id, r);
	if (r->image->public.v || r->shared.n)
		store_put(s->txn, key, s->account);
	else
		store_delete(s->txn, key);
}

void ec2_image_drop(const struct ec2_scope *s, struct str id)
{
	ec2_drop(s, &ec2_kind_image, id);
	store_delete(s->txn, shared_key(s->arena, s->region, id));
}

bool ec2_image_find(struct call *c, struct str id, struct state_ec2_image_record *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct store_value owner;
	if (ec2_find(&s, &ec2_kind_image, id, ret))
		return true;
	if (default_image_get(ec2_state(c)->image, c->arena, ret) && str_eq(ret->image->image_id, id))
		return true;
	if (!ec2_id_well_formed(id, "ami") || !store_get(s.txn, shared_key(c->arena, c->region, id), &owner))
		return false;
	s.account = arena_dup(c->arena, owner.value);
	return ec2_find(&s, &ec2_kind_image, id, ret) && may_launch(ret, c->account);
}

int ec2_image_usable(struct call *c, struct str id, struct state_ec2_image_record *ret)
{
	if (!ec2_id_well_formed(id, "ami"))
		return ec2_malformed(c, &ec2_kind_image, id);
	if (!ec2_image_find(c, id, ret))
		return call_fail(c, "InvalidAMIID.NotFound", 400, "The image id '[%.*s]' does not exist", STR_ARG(id));
	if (!str_is(ret->image->state, "available"))
		return call_fail(c, "InvalidAMIID.Unavailable", 400, "The image ID '%.*s' is not available", STR_ARG(id));
	return CALL_OK;
}

int ec2_image_own(struct call *c, struct str id, struct state_ec2_image_record *ret)
{
	struct state_ec2_image_record seen;
	if (ec2_id_well_formed(id, "ami") && ec2_image_find(c, id, &seen) && !str_eq(seen.image->owner_id, c->account))
		return call_fail(c, "AuthFailure", 403, "Not authorized for image:%.*s", STR_ARG(id));
	return ec2_get(c, &ec2_kind_image, id, ret);
}

bool ec2_image_there(struct call *c, struct str id)
{
	struct state_ec2_image_record r;
	return ec2_id_well_formed(id, "ami") && ec2_image_find(c, id, &r) && str_is(r.image->state, "available");
}

struct str ec2_image_root(struct call *c, struct str id)
{
	struct state_ec2_image_record r;
	return ec2_image_find(c, id, &r) ? r.image->root_device_name : STR_NONE;
}

bool ec2_get_default_image(const struct cloud *cloud, struct arena *a, struct ec2_default_image *ret)
{
	const struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	struct state_ec2_image_record r;
	if (!default_image_get(ec2->image, a, &r))
		return false;
	*ret = (struct ec2_default_image){.id = r.image->image_id,
	                                  .name = r.image->name,
	                                  .created = r.image->creation_date,
	                                  .platforms = *default_image_platforms(ec2->image)};
	return true;
}

bool ec2_find_default_image(struct call *c, struct ec2_default_image *ret)
{
	return ec2_get_default_image(c->cloud, c->arena, ret);
}

/* --- describing */

#define ASK_DISK(name, text) \
	static void ask_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		const struct ec2_image *i = ec2_shape(&ec2_kind_image, record); \
		for (uint32_t k = 0; k < i->block_device_mappings.n; k++) { \
			const struct ec2_block_device_mapping *d = &i->block_device_mappings.v[k]; \
			if (d->ebs) \
				*LIST_ADD(c->arena, ret) = (text); \
		} \
	}
ASK_DISK(device, d->device_name)
ASK_DISK(snapshot, d->ebs->snapshot_id)
ASK_DISK(volume_type, d->ebs->volume_type)
ASK_DISK(volume_size, arena_printf(c->arena, "%lld", (long long)d->ebs->volume_size.v))
ASK_DISK(deletes, d->ebs->delete_on_termination.v ? S("true") : S("false"))
ASK_DISK(encrypted, S("false"))

static const struct ec2_field fields[] = {
        FIELD_TEXT("architecture", ec2_image, architecture),
        FIELD_ASK("block-device-mapping.delete-on-termination", ask_deletes),
        FIELD_ASK("block-device-mapping.device-name", ask_device),
        FIELD_ASK("block-device-mapping.encrypted", ask_encrypted),
        FIELD_ASK("block-device-mapping.snapshot-id", ask_snapshot),
        FIELD_ASK("block-device-mapping.volume-size", ask_volume_size),
        FIELD_ASK("block-device-mapping.volume-type", ask_volume_type),
        FIELD_TEXT("creation-date", ec2_image, creation_date),
        FIELD_TEXT("description", ec2_image, description),
        FIELD_FLAG("ena-support", ec2_image, ena_support),
        FIELD_PATH("free-tier-eligible", "Image", "FreeTierEligible"),
        FIELD_TEXT("hypervisor", ec2_image, hypervisor),
        FIELD_PATH("image-allowed", "Image", "ImageAllowed"),
        FIELD_TEXT("image-id", ec2_image, image_id),
        FIELD_TEXT("image-type", ec2_image, image_type),
        FIELD_FLAG("is-public", ec2_image, public),
        FIELD_TEXT("kernel-id", ec2_image, kernel_id),
        FIELD_TEXT("manifest-location", ec2_image, image_location),
        FIELD_TEXT("name", ec2_image, name),
        FIELD_TEXT("owner-alias", ec2_image, image_owner_alias),
        FIELD_TEXT("owner-id", ec2_image, owner_id),
        FIELD_TEXT("platform", ec2_image, platform),
        FIELD_PATH("product-code", "Image", "ProductCodes.ProductCodeId"),
        FIELD_PATH("product-code.type", "Image", "ProductCodes.ProductCodeType"),
        FIELD_TEXT("ramdisk-id", ec2_image, ramdisk_id),
        FIELD_TEXT("root-device-name", ec2_image, root_device_name),
        FIELD_TEXT("root-device-type", ec2_image, root_device_type),
        FIELD_TEXT("source-image-id", ec2_image, source_image_id),
        FIELD_TEXT("source-image-region", ec2_image, source_image_region),
        FIELD_TEXT("source-instance-id", ec2_image, source_instance_id),
        FIELD_TEXT("sriov-net-support", ec2_image, sriov_net_support),
        FIELD_TEXT("state", ec2_image, state),
        FIELD_PATH("state-reason-code", "Image", "StateReason.Code"),
        FIELD_PATH("state-reason-message", "Image", "StateReason.Message"),
        FIELD_TEXT("virtualization-type", ec2_image, virtualization_type),
        {0},
};

static bool named(struct call *c, const struct str_list *owners, const struct ec2_image *i)
{
	for (uint32_t k = 0; k < owners->n; k++) {
		struct str owner = str_is(owners->v[k], "self") ? c->account : owners->v[k];
		if (str_eq(owner, i->owner_id) || str_eq(owner, i->image_owner_alias))
			return true;
	}
	return !owners->n;
}

/* Who says that the caller may launch it: "self" means by name, "all" means everybody. */
static bool executable(struct call *c, const struct str_list *users, const struct state_ec2_image_record *r)
{
	for (uint32_t k = 0; k < users->n; k++) {
		struct str user = str_is(users->v[k], "self") ? c->account : users->v[k];
		if (str_is(user, "all") && r->image->public.v)
			return true;
		for (uint32_t j = 0; j < r->shared.n; j++)
			if (str_eq(r->shared.v[j], user))
				return true;
	}
	return !users->n;
}

static bool deprecated(struct call *c, const struct ec2_image *i)
{
	int64_t when;
	return i->deprecation_time.n && time_parse(i->deprecation_time, &when) && when <= c->now_ms;
}

static void consider(struct call *c, const struct ec2_describe_images_request *in, struct state_ec2_image_record *r, bool by_id,
                     struct ec2_describe_images_result *out)
{
	bool own = str_eq(r->image->owner_id, c->account);
	if (!named(c, &in->owners, r->image) || !executable(c, &in->executable_users, r) || !may_launch(r, c->account))
		return;
	if (deprecated(c, r->image) && !own && !by_id && !in->include_deprecated.v)
		return;
	if (str_is(r->image->state, "disabled") && !in->include_disabled.v)
		return;
	if (!ec2_filters_pass(c, &ec2_kind_image, r, fields, &in->filters))
		return;
	struct ec2_image *show = LIST_ADD(c->arena, &out->images);
	*show = *r->image;
	if (!own)
		show->tags = (struct ec2_tag_list){0};
}

static void consider_shared(struct call *c, const struct ec2_describe_images_request *in, struct ec2_describe_images_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct str under = KEY_UNDER(c->arena, S("ec2-shared-image"), c->region), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ec2_image_record r;
		struct str id = arena_dup(c->arena, str_from_at(key, under.n));
		s.account = arena_dup(c->arena, v.value);
		if (!str_eq(s.account, c->account) && ec2_find(&s, &ec2_kind_image, id, &r))
			consider(c, in, &r, false, out);
	}
}

static int by_ids(struct call *c, const struct ec2_describe_images_request *in, struct ec2_describe_images_result *out)
{
	for (uint32_t k = 0; k < in->image_ids.n; k++) {
		struct state_ec2_image_record r;
		struct str id = in->image_ids.v[k];
		if (!ec2_id_well_formed(id, "ami"))
			return ec2_malformed(c, &ec2_kind_image, id);
		if (!ec2_image_find(c, id, &r))
			return call_fail(c, "InvalidAMIID.NotFound", 400, "The image id '[%.*s]' does not exist", STR_ARG(id));
		consider(c, in, &r, true, out);
	}
	return CALL_OK;
}

static int by_image_id(const void *a, const void *b)
{
	return str_cmp(((const struct ec2_image *)a)->image_id, ((const struct ec2_image *)b)->image_id);
}

int ec2_describe_images(struct call *c, const struct ec2_describe_images_request *in, struct ec2_describe_images_result *out)
{
	struct str after;
	out->images.set = true;
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	if (in->image_ids.n && in->max_results.set)
		return ec2_combination(c, "The parameter imageIds cannot be used with the parameter maxResults");
	if (in->image_ids.n)
		return by_ids(c, in, out);
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_image);
	for (;;) {
		struct state_ec2_image_record r = {0};
		if (!ec2_next(&all, &r))
			break;
		consider(c, in, &r, false, out);
	}
	consider_shared(c, in, out);
	struct state_ec2_image_record first;
	if (default_image_get(ec2_state(c)->image, c->arena, &first))
		consider(c, in, &first, false, out);
	if (out->images.n)
		qsort(out->images.v, out->images.n, sizeof(*out->images.v), by_image_id);
	uint32_t from = 0;
	while (from < out->images.n && str_set(after) && str_cmp(out->images.v[from].image_id, after) <= 0)
		from++;
	if (from)
		out->images.v += from;
	out->images.n -= from;
	if (in->max_results.set && out->images.n > in->max_results.v) {
		out->images.n = (uint32_t)in->max_results.v;
		out->next_token = ec2_page_token(c, out->images.v[out->images.n - 1].image_id);
	}
	return CALL_OK;
}

/* --- who may launch it, and its description */

static bool account_good(struct str account)
{
	for (size_t i = 0; i < account.n; i++)
		if (!ascii_is_digit(account.p[i]))
			return false;
	return account.n == 12;
}

static void grant(struct call *c, struct state_ec2_image_record *r, struct str account, bool add)
{
	struct str_list left = {0};
	for (uint32_t i = 0; i < r->shared.n; i++)
		if (!str_eq(r->shared.v[i], account))
			*LIST_ADD(c->arena, &left) = r->shared.v[i];
	if (add)
		*LIST_ADD(c->arena, &left) = account;
	r->shared = left;
}

static int change(struct call *c, struct state_ec2_image_record *r, const struct ec2_launch_permission_list *list, bool add)
{
	for (uint32_t i = 0; i < list->n; i++) {
		const struct ec2_launch_permission *p = &list->v[i];
		if (p->organization_arn.n || p->organizational_unit_arn.n)
			return call_fail(c, "UnsupportedOperation", 400, "Images cannot be shared with organizations.");
		if (p->group.n && !str_is(p->group, "all"))
			return ec2_invalid(c, "Invalid launch permission group: %.*s", STR_ARG(p->group));
		if (p->user_id.n && !account_good(p->user_id))
			return call_fail(c, "InvalidAMIAttributeItemValue", 400,
			                 "Invalid attribute item value \"%.*s\" for userId item type.", STR_ARG(p->user_id));
		if (p->group.n)
			r->image->public = OPT_BOOL(add);
		if (p->user_id.n)
			grant(c, r, p->user_id, add);
	}
	return CALL_OK;
}

int ec2_modify_image_attribute(struct call *c, const struct ec2_modify_image_attribute_request *in, struct model_none *out)
{
	(void)out;
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_image_record r;
	struct ec2_launch_permission_list plain = {0};
	if (ec2_image_own(c, in->image_id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->product_codes.n || in->imds_support || in->organization_arns.n || in->organizational_unit_arns.n)
		return call_fail(c, "UnsupportedOperation", 400, "Product codes, imdsSupport and organizations are not supported.");
	if (in->description || str_is(in->attribute, "description")) {
		r.image->description = in->description ? in->description->value : in->value;
		ec2_image_put(&s, &r);
		return CALL_OK;
	}
	for (uint32_t i = 0; i < in->user_ids.n; i++)
		LIST_ADD(c->arena, &plain)->user_id = in->user_ids.v[i];
	for (uint32_t i = 0; i < in->user_groups.n; i++)
		LIST_ADD(c->arena, &plain)->group = in->user_groups.v[i];
	if (plain.n && !str_is(in->operation_type, "add") && !str_is(in->operation_type, "remove"))
		return ec2_missing(c, "operationType");
	if (!plain.n && (!in->launch_permission || (!in->launch_permission->add.n && !in->launch_permission->remove.n)))
		return ec2_combination(c, "No attributes specified.");
	if (change(c, &r, &plain, str_is(in->operation_type, "add")) != CALL_OK)
		return CALL_FAIL;
	if (in->launch_permission && (change(c, &r, &in->launch_permission->add, true) != CALL_OK ||
	                              change(c, &r, &in->launch_permission->remove, false) != CALL_OK))
		return CALL_FAIL;
	ec2_image_put(&s, &r);
	return CALL_OK;
}
