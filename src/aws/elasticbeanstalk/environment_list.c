/* Records of environments and how they are found: by id, by name, by CNAME. */
#include "environment.h"

static const struct record_type row = {&state_elasticbeanstalk_api, "EnvironmentRecord"};
enum { KEPT_MS = 3600 * 1000 };

struct str environment_key(const struct scope *s, struct str id)
{
	return KEY(s->arena, S("elasticbeanstalk"), S("environment"), s->account, s->region, id);
}

static struct str name_key(const struct scope *s, struct str name)
{
	return KEY(s->arena, S("elasticbeanstalk"), S("environment-name"), s->account, s->region, name);
}

/* One for all accounts, as names of hosts are. */
static struct str cname_key(const struct scope *s, struct str cname)
{
	return KEY(s->arena, S("elasticbeanstalk"), S("cname"), cname);
}

static struct str cname_of(const struct scope *s, struct str prefix)
{
	char *name = arena_dupz(s->arena, prefix);
	for (size_t i = 0; i < prefix.n; i++)
		name[i] = ascii_lower(name[i]);
	return ARENA_CAT(s->arena, str_of(name, prefix.n), S("."), s->region, S(".elasticbeanstalk.com"));
}

bool cname_taken(const struct scope *s, struct str prefix)
{
	struct store_value v;
	return store_get(s->txn, cname_key(s, cname_of(s, prefix)), &v);
}

bool environment_find(const struct scope *s, struct str id, struct environment_record *ret)
{
	return str_set(id) && record_get(s->txn, s->arena, environment_key(s, id), &row, ret);
}

struct str environment_named(const struct scope *s, struct str name)
{
	struct store_value v;
	return name.n && store_get(s->txn, name_key(s, name), &v) ? arena_dup(s->arena, v.value) : STR_NONE;
}

int environment_get(struct call *c, struct str id, struct str name, struct environment_record *ret)
{
	struct scope s = beanstalk_scope(c);
	struct str found = str_set(id) ? id : environment_named(&s, name);
	*ret = (struct environment_record){0};
	if (!str_set(id) && !str_set(name))
		return beanstalk_combination(c, "You must specify either an Environment ID or an Environment Name.");
	if (environment_find(&s, found, ret) && !str_is(ret->environment->status, "Terminated") &&
	    (!str_set(name) || str_eq(ret->environment->environment_name, name)))
		return CALL_OK;
	return str_set(name) ? beanstalk_invalid(c, "No Environment found for EnvironmentName = '%.*s'.", STR_ARG(name))
	                     : beanstalk_invalid(c, "No Environment found for EnvironmentId = '%.*s'.", STR_ARG(id));
}

void environment_put(const struct scope *s, const struct environment_record *r)
{
	record_put(s->txn, s->arena, environment_key(s, r->environment->environment_id), &row, r);
	if (str_is(r->environment->status, "Terminated"))
		return;
	store_put(s->txn, name_key(s, r->environment->environment_name), r->environment->environment_id);
	if (str_set(r->environment->cname))
		store_put(s->txn, cname_key(s, r->environment->cname), r->environment->environment_id);
}

void environment_forget(const struct scope *s, struct environment_record *r)
{
	store_delete(s->txn, name_key(s, r->environment->environment_name));
	if (str_set(r->environment->cname))
		store_delete(s->txn, cname_key(s, r->environment->cname));
	store_put_leased(s->txn, environment_key(s, r->environment->environment_id), record_write(s->arena, &row, r),
	                 store_lease_grant(s->cloud->store, KEPT_MS));
	application_let_go(s, r->environment->application_name);
}

struct environments environment_all(const struct scope *s)
{
	struct environments all = {0};
	struct str under = beanstalk_under(s, "environment", STR_NONE), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct environment_record r = {0};
		if (record_read(s->arena, v.value, &row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	return all;
}

uint32_t environment_count(const struct scope *s, struct str application)
{
	struct environments all = environment_all(s);
	uint32_t n = 0;
	for (uint32_t i = 0; i < all.n; i++)
		n += !str_is(all.v[i].environment->status, "Terminated") &&
		     (!str_set(application) || str_eq(all.v[i].environment->application_name, application));
	return n;
}

bool version_used(const struct scope *s, struct str application, struct str label)
{
	struct environments all = environment_all(s);
	for (uint32_t i = 0; i < all.n; i++)
		if (!str_is(all.v[i].environment->status, "Terminated") &&
		    str_eq(all.v[i].environment->application_name, application) &&
		    (str_eq(all.v[i].environment->version_label, label) || str_eq(all.v[i].deploying, label)))
			return true;
	return false;
}

/* --- describing */

static bool among(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return !l->n;
}

int elasticbeanstalk_describe_environments(struct call *c, const struct elasticbeanstalk_describe_environments_message *in,
                                           struct elasticbeanstalk_environment_descriptions_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct page p;
	struct str last = STR_NONE;
	if (beanstalk_page(c, in->max_records, in->next_token, 1000, &p) != CALL_OK)
		return CALL_FAIL;
	struct environments all = environment_all(&s);
	out->environments.set = true;
	for (uint32_t i = 0; i < all.n; i++) {
		const struct elasticbeanstalk_environment_description *e = all.v[i].environment;
		bool ended = str_is(e->status, "Terminated");
		if ((ended && (!in->include_deleted.v ||
		               (in->included_deleted_back_to.set && e->date_updated.ms < in->included_deleted_back_to.ms))) ||
		    (str_set(in->application_name) && !str_eq(in->application_name, e->application_name)) ||
		    (str_set(in->version_label) && !str_eq(in->version_label, e->version_label)) ||
		    !among(&in->environment_ids, e->environment_id) || !among(&in->environment_names, e->environment_name) ||
		    (str_set(p.after) && str_cmp(e->environment_id, p.after) <= 0))
			continue;
		if (!p.left--) {
			out->next_token = beanstalk_token(c, last);
			break;
		}
		last = e->environment_id;
		*LIST_ADD(c->arena, &out->environments) = *e;
	}
	return CALL_OK;
}

int elasticbeanstalk_describe_environment_resources(struct call *c,
                                                    const struct elasticbeanstalk_describe_environment_resources_message *in,
                                                    struct elasticbeanstalk_environment_resource_descriptions_message *out)
{
	struct environment_record r;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	struct elasticbeanstalk_environment_resource_description *d =
	        arena_new(c->arena, struct elasticbeanstalk_environment_resource_description);
	d->environment_name = r.environment->environment_name;
	d->auto_scaling_groups.set = d->instances.set = d->launch_configurations.set = d->launch_templates.set = true;
	d->load_balancers.set = d->triggers.set = d->queues.set = true;
	if (str_set(r.group)) {
		LIST_ADD(c->arena, &d->auto_scaling_groups)->name = environment_scaling_name(c->arena, &r);
		LIST_ADD(c->arena, &d->launch_templates)->id = environment_template_name(c->arena, &r);
	}
	for (uint32_t i = 0; i < r.members.n; i++)
		LIST_ADD(c->arena, &d->instances)->id = r.members.v[i].instance;
	if (str_set(r.balancer))
		LIST_ADD(c->arena, &d->load_balancers)->name = r.balancer;
	worker_queues(c->arena, &r, &d->queues);
	out->environment_resources = d;
	return CALL_OK;
}
