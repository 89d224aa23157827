/* Managed prefix lists of customers. Every change of entries makes a version; all versions are kept and can be read. A rule or
 * route that names a list counts as MaxEntries rules or routes. */
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/ipv6.h"

enum { ENTRIES_MAX = 1000, CHANGES_MAX = 100, VERSIONS_MAX = 100 };

static void put(const struct ec2_scope *s, const struct state_vpc_prefix_list_record *r)
{
	ec2_put(s, &ec2_kind_prefix_list, r->list->prefix_list_id, r);
}

static int find_entry(const struct state_vpc_prefix_list_version *v, struct str cidr)
{
	for (uint32_t i = 0; i < v->entries.n; i++)
		if (str_eq(v->entries.v[i].cidr, cidr))
			return (int)i;
	return -1;
}

static int entry_block(struct call *c, bool ipv6, struct str given, struct str *ret)
{
	struct ec2_block block;
	struct ec2_block6 block6;
	if (ipv6 && ec2_block6_parse(given, &block6)) {
		*ret = ec2_block6_text(c->arena, &block6);
		return CALL_OK;
	}
	if (ipv6)
		return ec2_invalid(c, "The CIDR '%.*s' is not valid.", STR_ARG(given));
	if (!ec2_block_parse(given, &block))
		return ec2_invalid(c, "The CIDR '%.*s' is not valid.", STR_ARG(given));
	*ret = ec2_block_text(c->arena, block);
	return CALL_OK;
}

static int add_entries(struct call *c, bool ipv6, const struct ec2_add_prefix_list_entries *given,
                       struct state_vpc_prefix_list_version *v)
{
	if (given->n > CHANGES_MAX)
		return ec2_invalid(c, "At most %d entries can be changed in one request.", CHANGES_MAX);
	for (uint32_t i = 0; i < given->n; i++) {
		struct str block = STR_NONE;
		if (entry_block(c, ipv6, given->v[i].cidr, &block) != CALL_OK)
			return CALL_FAIL;
		int at = find_entry(v, block);
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(given->v[k].cidr, given->v[i].cidr))
				return ec2_invalid(c, "The CIDR '%.*s' is given twice.", STR_ARG(block));
		struct ec2_prefix_list_entry *entry = at >= 0 ? &v->entries.v[at] : LIST_ADD(c->arena, &v->entries);
		*entry = (struct ec2_prefix_list_entry){.cidr = block, .description = given->v[i].description};
	}
	return CALL_OK;
}

static int check_name(struct call *c, struct str name)
{
	if (!str_set(name) || !name.n || name.n > 255 || str_starts(name, S("com.amazonaws")))
		return ec2_invalid(c, "Value (%.*s) for parameter prefixListName is invalid.", STR_ARG(name));
	return CALL_OK;
}

int ec2_create_managed_prefix_list(struct call *c, const struct ec2_create_managed_prefix_list_request *in,
                                   struct ec2_create_managed_prefix_list_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_prefix_list_record record = {0};
	struct state_vpc_prefix_list_version *version = LIST_ADD(c->arena, &record.versions);
	struct ec2_tag_list tags;
	if (check_name(c, in->prefix_list_name) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->address_family, "IPv4") && !str_is(in->address_family, "IPv6"))
		return ec2_invalid(c, "Value (%.*s) for parameter addressFamily is invalid.", STR_ARG(in->address_family));
	if (in->max_entries.v < 1 || in->max_entries.v > ENTRIES_MAX)
		return ec2_invalid(c, "Value (%ld) for parameter maxEntries is invalid. Expecting a value between 1 and %d.",
		                   in->max_entries.v, ENTRIES_MAX);
	version->version = OPT_INT(1);
	version->entries.set = true;
	if (add_entries(c, str_is(in->address_family, "IPv6"), &in->entries, version) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_prefix_list, &tags) != CALL_OK)
		return CALL_FAIL;
	if (version->entries.n > in->max_entries.v)
		return call_fail(c, "PrefixListMaxEntriesExceeded", 400,
		                 "The request exceeds the maximum number of entries of the prefix list.");
	struct ec2_managed_prefix_list *list = record.list = out->prefix_list = arena_new(c->arena, struct ec2_managed_prefix_list);
	list->prefix_list_id = ec2_new_id(c->arena, "pl");
	list->prefix_list_arn = ec2_arn(c, &ec2_kind_prefix_list, list->prefix_list_id);
	list->prefix_list_name = in->prefix_list_name;
	list->address_family = in->address_family;
	list->max_entries = in->max_entries;
	list->version = OPT_INT(1);
	list->owner_id = c->account;
	list->state = S("create-complete");
	list->tags = tags;
	put(&s, &record);
	return CALL_OK;
}

/* Is the list named by a rule or a route? */
static bool in_use(const struct ec2_scope *s, struct str id)
{
	struct ec2_security_group_rule rule;
	struct ec2_route_table table;
	struct ec2_all all = ec2_all(s, &ec2_kind_rule);
	while (ec2_next(&all, &rule))
		if (str_set(rule.prefix_list_id) && str_eq(rule.prefix_list_id, id))
			return true;
	all = ec2_all(s, &ec2_kind_route_table);
	while (ec2_next(&all, &table))
		for (uint32_t i = 0; i < table.routes.n; i++)
			if (str_set(table.routes.v[i].destination_prefix_list_id) &&
			    str_eq(table.routes.v[i].destination_prefix_list_id, id))
				return true;
	return false;
}

int ec2_modify_managed_prefix_list(struct call *c, const struct ec2_modify_managed_prefix_list_request *in,
                                   struct ec2_modify_managed_prefix_list_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_prefix_list_record record;
	if (ec2_get(c, &ec2_kind_prefix_list, in->prefix_list_id, &record) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->prefix_list_name) && check_name(c, in->prefix_list_name) != CALL_OK)
		return CALL_FAIL;
	struct ec2_managed_prefix_list *list = record.list;
	struct state_vpc_prefix_list_version next = {0};
	const struct state_vpc_prefix_list_version *newest = &record.versions.v[record.versions.n - 1];
	for (uint32_t i = 0; i < newest->entries.n; i++)
		*LIST_ADD(c->arena, &next.entries) = newest->entries.v[i];
	next.entries.set = true;
	bool entries = in->add_entries.n || in->remove_entries.n;
	if (entries && in->max_entries.set)
		return ec2_combination(c, "Entries and the maximum of entries cannot be changed in one request");
	if (entries && !in->current_version.set)
		return ec2_missing(c, "CurrentVersion");
	if (in->current_version.set && in->current_version.v != list->version.v)
		return call_fail(c, "PrefixListVersionMismatch", 400, "The prefix list has the incorrect version number.");
	for (uint32_t i = 0; i < in->remove_entries.n; i++) {
		struct str block = STR_NONE;
		if (entry_block(c, str_is(list->address_family, "IPv6"), in->remove_entries.v[i].cidr, &block) != CALL_OK)
			return CALL_FAIL;
		int at = find_entry(&next, block);
		if (at < 0)
			return ec2_invalid(c, "The CIDR '%.*s' is not in the prefix list.", STR_ARG(block));
		memmove(&next.entries.v[at], &next.entries.v[at + 1], (next.entries.n - (size_t)at - 1) * sizeof(*next.entries.v));
		next.entries.n--;
	}
	if (add_entries(c, str_is(list->address_family, "IPv6"), &in->add_entries, &next) != CALL_OK)
		return CALL_FAIL;
	int64_t max = in->max_entries.set ? in->max_entries.v : list->max_entries.v;
	if (max < 1 || max > ENTRIES_MAX)
		return ec2_invalid(c, "Value (%ld) for parameter maxEntries is invalid. Expecting a value between 1 and %d.", max,
		                   ENTRIES_MAX);
	if (next.entries.n > max)
		return call_fail(c, "PrefixListMaxEntriesExceeded", 400,
		                 "The request exceeds the maximum number of entries of the prefix list.");
	if (max > list->max_entries.v && in_use(&s, in->prefix_list_id))
		return ec2_unsupported(c, "A larger maximum of a prefix list that rules or routes name");
	if (entries) {
		list->version = OPT_INT(list->version.v + 1);
		next.version = list->version;
		*LIST_ADD(c->arena, &record.versions) = next;
		if (record.versions.n > VERSIONS_MAX) {
			memmove(record.versions.v, record.versions.v + 1, (record.versions.n - 1) * sizeof(*record.versions.v));
			record.versions.n--;
		}
	}
	list->max_entries = OPT_INT(max);
	if (str_set(in->prefix_list_name))
		list->prefix_list_name = in->prefix_list_name;
	list->state = S("modify-complete");
	put(&s, &record);
	out->prefix_list = list;
	return CALL_OK;
}

int ec2_delete_managed_prefix_list(struct call *c, const struct ec2_delete_managed_prefix_list_request *in,
                                   struct ec2_delete_managed_prefix_list_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_prefix_list_record record;
	if (ec2_get(c, &ec2_kind_prefix_list, in->prefix_list_id, &record) != CALL_OK)
		return CALL_FAIL;
	if (in_use(&s, in->prefix_list_id))
		return ec2_depends(c, "The prefix list '%.*s' has dependencies and cannot be deleted.",
		                   STR_ARG(in->prefix_list_id));
	ec2_drop(&s, &ec2_kind_prefix_list, in->prefix_list_id);
	record.list->state = S("delete-complete");
	out->prefix_list = record.list;
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("owner-id", ec2_managed_prefix_list, owner_id),
        FIELD_TEXT("prefix-list-id", ec2_managed_prefix_list, prefix_list_id),
        FIELD_TEXT("prefix-list-name", ec2_managed_prefix_list, prefix_list_name),
        {0},
};

/* Where endpoints lead to S3: for rules of groups and routes, not to be changed. */
static struct ec2_managed_prefix_list *service_list(struct call *c)
{
	struct ec2_managed_prefix_list *l = arena_new(c->arena, struct ec2_managed_prefix_list);
	*l = (struct ec2_managed_prefix_list){
	        .prefix_list_id = S(EC2_SERVICE_LIST),
	        .address_family = S("IPv4"),
	        .state = S("create-complete"),
	        .prefix_list_arn = ARENA_CAT(c->arena, S("arn:aws:ec2:"), c->region, S(":aws:prefix-list/" EC2_SERVICE_LIST)),
	        .prefix_list_name = ARENA_CAT(c->arena, S("com.amazonaws."), c->region, S(".s3")),
	        .owner_id = S("AWS")};
	return l;
}

static void show(struct call *c, void *record, void *out)
{
	*LIST_ADD(c->arena, &((struct ec2_describe_managed_prefix_lists_result *)out)->prefix_lists) =
	        *((struct state_vpc_prefix_list_record *)record)->list;
}

int ec2_describe_managed_prefix_lists(struct call *c, const struct ec2_describe_managed_prefix_lists_request *in,
                                      struct ec2_describe_managed_prefix_lists_result *out)
{
	struct str_list ids = {0};
	for (uint32_t i = 0; i < in->prefix_list_ids.n; i++)
		if (!ec2_is_service_list(in->prefix_list_ids.v[i]))
			*LIST_ADD(c->arena, &ids) = in->prefix_list_ids.v[i];
	bool named = ids.n < in->prefix_list_ids.n;
	const struct ec2_walk walk = {.kind = &ec2_kind_prefix_list,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show,
	                              .min = 1,
	                              .max = 100};
	out->prefix_lists.set = true;
	if ((ids.n || !named) ? ec2_describe(c, &walk, out, &out->next_token) != CALL_OK
	                      : ec2_filters_check(c, fields, &in->filters) != CALL_OK)
		return CALL_FAIL;
	/* Amazon's own comes last, one more than a page has if need be. */
	struct state_vpc_prefix_list_record own = {.list = service_list(c)};
	if ((named || !in->prefix_list_ids.n) && !str_set(out->next_token) &&
	    ec2_filters_pass(c, &ec2_kind_prefix_list, &own, fields, &in->filters))
		show(c, &own, out);
	return CALL_OK;
}

int ec2_get_managed_prefix_list_entries(struct call *c, const struct ec2_get_managed_prefix_list_entries_request *in,
                                        struct ec2_get_managed_prefix_list_entries_result *out)
{
	struct state_vpc_prefix_list_record record;
	struct str after;
	uint64_t first = 0;
	out->entries.set = true;
	if (ec2_is_service_list(in->prefix_list_id)) {
		LIST_ADD(c->arena, &out->entries)->cidr = S(EC2_SERVICE_BLOCK);
		return CALL_OK;
	}
	if (ec2_get(c, &ec2_kind_prefix_list, in->prefix_list_id, &record) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 100, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	int64_t wanted = in->target_version.set ? in->target_version.v : record.list->version.v;
	const struct state_vpc_prefix_list_version *version = NULL;
	for (uint32_t i = 0; i < record.versions.n; i++)
		if (record.versions.v[i].version.v == wanted)
			version = &record.versions.v[i];
	if (!version)
		return ec2_invalid(c, "The prefix list '%.*s' has no version %ld.", STR_ARG(in->prefix_list_id), wanted);
	if (str_set(after) && !str_to_u64(after, &first))
		return call_fail(c, "InvalidNextToken", 400, "The token '%.*s' is invalid", STR_ARG(in->next_token));
	uint64_t limit = in->max_results.set ? (uint64_t)in->max_results.v : 100;
	for (uint64_t i = first; i < version->entries.n && i < first + limit; i++)
		*LIST_ADD(c->arena, &out->entries) = version->entries.v[i];
	if (first + limit < version->entries.n)
		out->next_token = ec2_page_token(c, arena_printf(c->arena, "%lu", first + limit));
	return CALL_OK;
}

int64_t ec2_prefix_list_weight(const struct ec2_scope *s, struct str id)
{
	struct state_vpc_prefix_list_record record;
	if (!str_set(id) || !ec2_find(s, &ec2_kind_prefix_list, id, &record))
		return 1;
	return record.list->max_entries.v;
}
