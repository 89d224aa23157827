#include "rows.h"

#include "base/base64.h"
#include "base/id.h"
#include "base/rand.h"

static const struct record_type namespace_row = {&state_servicediscovery_api, "NamespaceRecord"},
                                service_row = {&state_servicediscovery_api, "ServiceRecord"},
                                instance_row = {&state_servicediscovery_api, "InstanceRecord"},
                                name_row = {&state_servicediscovery_api, "NameRecord"};

#define ROW(s, kind, ...) KEY((s)->arena, S("discovery"), S(kind), (s)->account, (s)->region, ##__VA_ARGS__)
#define ROWS(s, kind, ...) KEY_UNDER((s)->arena, S("discovery"), S(kind), (s)->account, (s)->region, ##__VA_ARGS__)

struct discovery_scope discovery_scope(struct call *c)
{
	return (struct discovery_scope){.txn = call_txn(c), .arena = c->arena, .account = c->account, .region = c->region};
}

/* --- errors, ids, names */

int discovery_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidInput", 400, "%.*s", STR_ARG(text));
}

struct str discovery_arn(struct call *c, const char *type, struct str id)
{
	return arena_printf(c->arena, "arn:aws:servicediscovery:%.*s:%.*s:%s/%.*s", STR_ARG(c->region), STR_ARG(c->account), type,
	                    STR_ARG(id));
}

struct str discovery_id(struct call *c, const char *type, struct str text)
{
	if (!str_starts(text, S("arn:")))
		return text;
	struct str head = discovery_arn(c, type, S(""));
	return str_starts(text, head) ? str_from_at(text, head.n) : STR_NONE;
}

struct str discovery_lower(struct arena *a, struct str text)
{
	char *p = arena_dupz(a, text);
	for (size_t i = 0; i < text.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_of(p, text.n);
}

struct str discovery_make_id(struct call *c, const char *prefix)
{
	return ARENA_CAT(c->arena, str_from(prefix), discovery_lower(c->arena, id_base32(c->arena, STR_NONE, 16)));
}

/* --- namespaces */

static bool named(const struct discovery_scope *s, struct str key, struct str *ret)
{
	struct state_servicediscovery_name_record r;
	if (!record_get(s->txn, s->arena, key, &name_row, &r))
		return false;
	*ret = r.id;
	return true;
}

bool discovery_namespace_find(const struct discovery_scope *s, struct str id, struct state_servicediscovery_namespace_record *ret)
{
	return id.n && id.n <= 64 && record_get(s->txn, s->arena, ROW(s, "namespace", id), &namespace_row, ret);
}

void discovery_namespace_put(const struct discovery_scope *s, const struct state_servicediscovery_namespace_record *r)
{
	struct servicediscovery_namespace *n = r->namespace;
	struct state_servicediscovery_name_record name = {.id = n->id};
	record_put(s->txn, s->arena, ROW(s, "namespace", n->id), &namespace_row, r);
	record_put(s->txn, s->arena, ROW(s, "name", n->name), &name_row, &name);
	if (r->vpc.n)
		record_put(s->txn, s->arena, ROW(s, "zone", r->vpc, discovery_lower(s->arena, n->name)), &name_row, &name);
}

void discovery_namespace_drop(const struct discovery_scope *s, const struct state_servicediscovery_namespace_record *r)
{
	store_delete(s->txn, ROW(s, "namespace", r->namespace->id));
	store_delete(s->txn, ROW(s, "name", r->namespace->name));
	if (r->vpc.n)
		store_delete(s->txn, ROW(s, "zone", r->vpc, discovery_lower(s->arena, r->namespace->name)));
}

struct str discovery_namespaces_under(const struct discovery_scope *s)
{
	return ROWS(s, "namespace");
}

bool discovery_namespace_named(const struct discovery_scope *s, struct str name, struct str *ret_id)
{
	return name.n <= 253 && named(s, ROW(s, "name", name), ret_id);
}

bool discovery_zone(const struct discovery_scope *s, struct str vpc, struct str name, struct str *ret_id)
{
	return name.n <= 253 && named(s, ROW(s, "zone", vpc, name), ret_id);
}

int discovery_namespace_get(struct call *c, struct str text, struct state_servicediscovery_namespace_record *ret)
{
	struct discovery_scope s = discovery_scope(c);
	struct str id = discovery_id(c, "namespace", text);
	if (discovery_namespace_find(&s, id, ret))
		return CALL_OK;
	return call_fail(c, "NamespaceNotFound", 400, "Namespace %.*s was not found", STR_ARG(text));
}

/* --- services */

static struct str service_name_key(const struct discovery_scope *s, const struct servicediscovery_service *v)
{
	return ROW(s, "service-name", v->namespace_id, discovery_lower(s->arena, v->name));
}

bool discovery_service_find(const struct discovery_scope *s, struct str id, struct state_servicediscovery_service_record *ret)
{
	return id.n && id.n <= 64 && record_get(s->txn, s->arena, ROW(s, "service", id), &service_row, ret);
}

void discovery_service_put(const struct discovery_scope *s, const struct state_servicediscovery_service_record *r)
{
	struct state_servicediscovery_name_record name = {.id = r->service->id};
	record_put(s->txn, s->arena, ROW(s, "service", r->service->id), &service_row, r);
	record_put(s->txn, s->arena, service_name_key(s, r->service), &name_row, &name);
}

void discovery_service_drop(const struct discovery_scope *s, const struct state_servicediscovery_service_record *r)
{
	store_delete(s->txn, ROW(s, "service", r->service->id));
	store_delete(s->txn, ROW(s, "revision", r->service->id));
	store_delete(s->txn, service_name_key(s, r->service));
}

struct str discovery_services_under(const struct discovery_scope *s)
{
	return ROWS(s, "service");
}

static int64_t count(const struct discovery_scope *s, struct str under)
{
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	struct str key;
	int64_t n = 0;
	while (store_next(iter, &key, &value))
		n++;
	return n;
}

int64_t discovery_service_count(const struct discovery_scope *s, struct str namespace)
{
	return count(s, ROWS(s, "service-name", namespace));
}

bool discovery_service_named(const struct discovery_scope *s, struct str namespace, struct str name, struct str *ret_id)
{
	return name.n <= 127 && named(s, ROW(s, "service-name", namespace, discovery_lower(s->arena, name)), ret_id);
}

int discovery_service_get(struct call *c, struct str text, struct state_servicediscovery_service_record *ret)
{
	struct discovery_scope s = discovery_scope(c);
	if (discovery_service_find(&s, discovery_id(c, "service", text), ret))
		return CALL_OK;
	return call_fail(c, "ServiceNotFound", 400, "Service %.*s was not found", STR_ARG(text));
}

bool discovery_has_record(const struct servicediscovery_service *v, const char *type)
{
	for (uint32_t i = 0; v->dns_config && i < v->dns_config->dns_records.n; i++)
		if (str_is(v->dns_config->dns_records.v[i].type, type))
			return true;
	return false;
}

/* --- instances */

bool discovery_instance_find(const struct discovery_scope *s, struct str service, struct str id,
                             struct state_servicediscovery_instance_record *ret)
{
	return id.n && id.n <= 64 && record_get(s->txn, s->arena, ROW(s, "instance", service, id), &instance_row, ret);
}

static void touch(const struct discovery_scope *s, struct str service)
{
	store_put(s->txn, ROW(s, "revision", service), S("-"));
}

void discovery_instance_put(const struct discovery_scope *s, struct str service,
                            const struct state_servicediscovery_instance_record *r)
{
	record_put(s->txn, s->arena, ROW(s, "instance", service, r->id), &instance_row, r);
	touch(s, service);
}

void discovery_instance_drop(const struct discovery_scope *s, struct str service, struct str id)
{
	store_delete(s->txn, ROW(s, "instance", service, id));
	touch(s, service);
}

struct str discovery_instances_under(const struct discovery_scope *s, struct str service)
{
	return ROWS(s, "instance", service);
}

bool discovery_instance_read(struct arena *a, struct str value, struct state_servicediscovery_instance_record *ret)
{
	return record_read(a, value, &instance_row, ret);
}

int64_t discovery_instance_count(const struct discovery_scope *s, struct str service)
{
	return count(s, discovery_instances_under(s, service));
}

int64_t discovery_revision(const struct discovery_scope *s, struct str service)
{
	struct store_value v;
	return store_get(s->txn, ROW(s, "revision", service), &v) ? (int64_t)v.modified : 0;
}

/* --- for other services */

bool discovery_find(const struct discovery_scope *s, struct str arn, struct discovery_service *ret)
{
	struct state_servicediscovery_service_record r;
	struct state_servicediscovery_namespace_record n;
	struct str head =
	        arena_printf(s->arena, "arn:aws:servicediscovery:%.*s:%.*s:service/", STR_ARG(s->region), STR_ARG(s->account));
	if (!str_starts(arn, head) || !discovery_service_find(s, str_from_at(arn, head.n), &r) ||
	    !discovery_namespace_find(s, r.service->namespace_id, &n))
		return false;
	*ret = (struct discovery_service){.id = r.service->id,
	                                  .vpc = n.vpc,
	                                  .address = discovery_has_record(r.service, "A"),
	                                  .target = discovery_has_record(r.service, "SRV"),
	                                  .health = r.service->health_check_custom_config != NULL};
	return true;
}

bool discovery_put(const struct discovery_scope *s, struct str service, struct str instance, const struct str_map *attributes,
                   bool healthy)
{
	struct state_servicediscovery_service_record r;
	if (!discovery_service_find(s, service, &r))
		return false;
	struct state_servicediscovery_instance_record i = {.id = instance, .attributes = *attributes};
	if (r.service->health_check_custom_config)
		i.unhealthy = OPT_BOOL(!healthy);
	discovery_instance_put(s, service, &i);
	return true;
}

void discovery_drop(const struct discovery_scope *s, struct str service, struct str instance)
{
	struct state_servicediscovery_instance_record i;
	if (discovery_instance_find(s, service, instance, &i))
		discovery_instance_drop(s, service, instance);
}

/* --- walks and pages */

int discovery_walk_begin(struct call *c, struct discovery_walk *w, struct str prefix, struct str token, struct opt_int max_results)
{
	struct str from = prefix;
	if (token.n) {
		struct str last = base64url_decode(c->arena, token);
		if (!str_set(last) || !str_starts(last, prefix))
			return discovery_invalid(c, "The next token is not valid.");
		from = ARENA_CAT(c->arena, last, str_of("", 1));
	}
	w->limit = (uint32_t)(max_results.set ? max_results.v : 100);
	w->iter = store_scan(call_txn(c), from, store_prefix_end(c->arena, prefix), false);
	return CALL_OK;
}

bool discovery_walk_next(struct discovery_walk *w)
{
	struct store_value v;
	if (!store_next(w->iter, &w->key, &v))
		return false;
	w->value = v.value;
	return true;
}

struct str discovery_page_token(struct call *c, struct str key)
{
	return base64url_encode(c->arena, key);
}

bool discovery_passes(struct str value, const struct str_list *values, struct str condition)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (str_is(condition, "BEGINS_WITH") ? str_starts(value, values->v[i]) : str_eq(value, values->v[i]))
			return true;
	return false;
}
