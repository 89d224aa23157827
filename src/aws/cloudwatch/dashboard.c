/* Dashboards: their bodies as they were put, after a look at what they must be. */
#include "aws/cloudwatch/alarm_op.h"

#include "aws/cloudwatch/dashboard.h"
#include "core/meter.h"

enum { BODY_MAX = 1 << 20, WIDGETS_MAX = 500, NAME_MAX_CHARS = 255, PAGE = 500 };

static struct str dashboard_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("cloudwatch"), S("dashboard"), c->account, name);
}

static struct str dashboard_arn(struct call *c, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:cloudwatch::"), c->account, S(":dashboard/"), name);
}

/* It costs for as long as it is there; it has no region. */
static void meter_dashboard(struct call *c, struct str name, bool there)
{
	const struct meter_use use = {.usage = S("DashboardsUsageHour"), .rate = 1};
	meter_set(call_txn(c), c->arena, c->account, S("us-east-1"), dashboard_arn(c, name), &use, there ? 1 : 0, c->now_ms);
}

static bool name_good(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return name.n > 0 && name.n <= NAME_MAX_CHARS;
}

static void complain(struct call *c, struct cloudwatch_dashboard_validation_messages *l, const char *path, const char *what)
{
	*LIST_ADD(c->arena, l) =
	        (struct cloudwatch_dashboard_validation_message){.data_path = str_from(path), .message = str_from(what)};
}

static const struct json_value *number_of(const struct json_value *v, const char *name)
{
	const struct json_value *n = json_get(v, str_from(name));
	return json_is(n, JSON_NUMBER) ? n : NULL;
}

static void check_number(struct call *c, struct cloudwatch_dashboard_validation_messages *l, const struct json_value *w,
                         unsigned at, const char *name, int64_t min, int64_t max)
{
	const struct json_value *given = json_get(w, str_from(name)), *n = number_of(w, name);
	int64_t x;
	if (given && (!n || !json_to_int(n->text, &x) || x < min || x > max))
		complain(c, l, arena_printf(c->arena, "/widgets/%u/%s", at, name).p,
		         arena_printf(c->arena, "Should be a whole number from %lld to %lld", (long long)min, (long long)max).p);
}

static void check_widget(struct call *c, struct cloudwatch_dashboard_validation_messages *l, const struct json_value *w,
                         unsigned at)
{
	static const char *const types[] = {"metric", "text", "log", "alarm", "explorer", "custom"};
	const char *path = arena_printf(c->arena, "/widgets/%u", at).p;
	struct str type = json_get_str(w, S("type"));
	const struct json_value *properties = json_get(w, S("properties"));
	bool known = false;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		known |= str_is(type, types[i]);
	if (!json_is(w, JSON_OBJECT)) {
		complain(c, l, path, "Should be an object");
		return;
	}
	if (!known)
		complain(c, l, arena_printf(c->arena, "%s/type", path).p,
		         "Should be one of metric, text, log, alarm, explorer, custom");
	check_number(c, l, w, at, "x", 0, 23);
	check_number(c, l, w, at, "y", 0, INT32_MAX);
	check_number(c, l, w, at, "width", 1, 24);
	check_number(c, l, w, at, "height", 1, 1000);
	if (!json_is(properties, JSON_OBJECT))
		complain(c, l, arena_printf(c->arena, "%s/properties", path).p, "Should have an object of properties");
	else if (str_is(type, "text") && !str_set(json_get_str(properties, S("markdown"))))
		complain(c, l, arena_printf(c->arena, "%s/properties/markdown", path).p,
		         "Should have required property 'markdown'");
	else if (str_is(type, "metric") && !json_get(properties, S("metrics")) && !json_get(properties, S("annotations")))
		complain(c, l, arena_printf(c->arena, "%s/properties", path).p,
		         "Should have the property 'metrics' or 'annotations'");
	else if (json_get(properties, S("metrics")) && !json_is(json_get(properties, S("metrics")), JSON_ARRAY))
		complain(c, l, arena_printf(c->arena, "%s/properties/metrics", path).p, "Should be an array");
}

static int refuse(struct call *c, const struct cloudwatch_dashboard_validation_messages *l, const char *what)
{
	struct cloudwatch_dashboard_invalid_input_error *e = arena_new(c->arena, struct cloudwatch_dashboard_invalid_input_error);
	call_fail(c, "DashboardInvalidInputError", 400, "%s", what);
	e->message = c->error.message;
	e->dashboard_validation_messages = *l;
	e->dashboard_validation_messages.set = true;
	c->error.value = e;
	for (uint32_t i = 0; i < c->service->api->shape_count; i++)
		if (str_is(api_text(c->service->api, c->service->api->shapes[i].name), "DashboardInvalidInputError"))
			c->error.shape = &c->service->api->shapes[i];
	return CALL_FAIL;
}

int cloudwatch_put_dashboard(struct call *c, const struct cloudwatch_put_dashboard_input *in,
                             struct cloudwatch_put_dashboard_output *out)
{
	struct cloudwatch_dashboard_validation_messages l = {0};
	struct state_cloudwatch_dashboard_record r = {0};
	struct str why;
	unsigned at = 0;
	if (in->tags.n)
		return refuse(c, &l, "Tags of dashboards are not supported.");
	if (!name_good(in->dashboard_name))
		return refuse(c, &l, "The dashboard's name may have letters, digits, - and _, and up to 255 of them.");
	if (in->dashboard_body.n > BODY_MAX)
		return refuse(c, &l, "The dashboard's body must not exceed 1 MiB.");
	struct json_value *body = json_parse(c->arena, in->dashboard_body, &why);
	if (!json_is(body, JSON_OBJECT)) {
		complain(c, &l, "", body ? "Should be an object" : why.p);
		return refuse(c, &l, "The field DashboardBody must be a valid JSON object");
	}
	const struct json_value *widgets = json_get(body, S("widgets"));
	if (!json_is(widgets, JSON_ARRAY) || widgets->count > WIDGETS_MAX)
		complain(c, &l, "/widgets", "Should be an array of at most 500 widgets");
	else
		json_each(widgets, w) check_widget(c, &l, w, at++);
	if (l.n)
		return refuse(c, &l, "The dashboard body is invalid, there are validation errors");
	struct str key = dashboard_key(c, in->dashboard_name);
	r.name = in->dashboard_name;
	r.body = in->dashboard_body;
	r.modified = OPT_TIME(c->now_ms);
	record_put(call_txn(c), c->arena, key, CLOUDWATCH_ROW("Dashboard"), &r);
	meter_dashboard(c, r.name, true);
	out->dashboard_validation_messages.set = true;
	return CALL_OK;
}

static int not_found(struct call *c, struct str name)
{
	return call_fail(c, "DashboardNotFoundError", 404, "Dashboard %.*s does not exist", STR_ARG(name));
}

int cloudwatch_get_dashboard(struct call *c, const struct cloudwatch_get_dashboard_input *in,
                             struct cloudwatch_get_dashboard_output *out)
{
	struct state_cloudwatch_dashboard_record r;
	if (!name_good(in->dashboard_name) ||
	    !record_get(call_txn(c), c->arena, dashboard_key(c, in->dashboard_name), CLOUDWATCH_ROW("Dashboard"), &r))
		return not_found(c, in->dashboard_name);
	out->dashboard_name = r.name;
	out->dashboard_body = r.body;
	out->dashboard_arn = dashboard_arn(c, r.name);
	return CALL_OK;
}

int cloudwatch_delete_dashboards(struct call *c, const struct cloudwatch_delete_dashboards_input *in,
                                 struct cloudwatch_delete_dashboards_output *out)
{
	(void)out;
	for (uint32_t i = 0; i < in->dashboard_names.n; i++) {
		struct store_value v;
		struct str name = in->dashboard_names.v[i];
		if (!name_good(name) || !store_get(call_txn(c), dashboard_key(c, name), &v))
			return not_found(c, name);
		store_delete(call_txn(c), dashboard_key(c, name));
		meter_dashboard(c, name, false);
	}
	return CALL_OK;
}

int cloudwatch_list_dashboards(struct call *c, const struct cloudwatch_list_dashboards_input *in,
                               struct cloudwatch_list_dashboards_output *out)
{
	struct str under = KEY_UNDER(c->arena, S("cloudwatch"), S("dashboard"), c->account), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	out->dashboard_entries.set = true;
	while (store_next(i, &key, &v)) {
		struct state_cloudwatch_dashboard_record r;
		if (!record_read(c->arena, v.value, CLOUDWATCH_ROW("Dashboard"), &r) ||
		    (str_set(in->dashboard_name_prefix) && !str_starts(r.name, in->dashboard_name_prefix)) ||
		    (str_set(in->next_token) && str_cmp(r.name, in->next_token) <= 0))
			continue;
		if (out->dashboard_entries.n == PAGE) {
			out->next_token = out->dashboard_entries.v[PAGE - 1].dashboard_name;
			break;
		}
		struct cloudwatch_dashboard_entry *e = LIST_ADD(c->arena, &out->dashboard_entries);
		e->dashboard_name = r.name;
		e->dashboard_arn = dashboard_arn(c, r.name);
		e->last_modified = r.modified;
		e->size = OPT_INT((int64_t)r.body.n);
	}
	return CALL_OK;
}
