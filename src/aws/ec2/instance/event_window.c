#include "aws/ec2/instance/event_window.h"

#include "aws/ec2/network/vpc.h"
#include "aws/ec2/page.h"

enum { WINDOWS_MAX = 200, INSTANCES_MAX = 100, TAGS_MAX = 50, NAME_MAX_CHARS = 100 };

static bool lists(const struct str_list *list, struct str text)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], text))
			return true;
	return false;
}

static bool lists_tag(const struct ec2_tag_list *list, const struct ec2_tag *tag)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i].key, tag->key) && str_eq(list->v[i].value, tag->value))
			return true;
	return false;
}

int64_t window_of_instance(const struct ec2_scope *s, const struct ec2_instance *i, int64_t at_ms)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_event_window);
	struct ec2_instance_event_window w;
	bool open[WINDOW_HOURS];
	while (ec2_next(&all, &w)) {
		const struct ec2_instance_event_window_association_target *t = w.association_target;
		bool is_its = t && lists(&t->instance_ids, i->instance_id);
		for (uint32_t k = 0; t && k < i->tags.n; k++)
			is_its |= lists_tag(&t->tags, &i->tags.v[k]);
		if (is_its && !window_hours(&w, open))
			return window_next(open, at_ms);
	}
	return at_ms;
}

/* --- making and changing them */

static int take_times(struct call *c, const struct ec2_instance_event_window_time_range_request_set *ranges, struct str cron,
                      struct ec2_instance_event_window *w)
{
	bool open[WINDOW_HOURS];
	if (ranges->n && cron.n)
		return ec2_combination(c, "TimeRanges and CronExpression cannot both be specified.");
	if (ranges->n || cron.n) {
		w->cron_expression = cron.n ? cron : STR_NONE;
		w->time_ranges = (struct ec2_instance_event_window_time_range_list){.set = ranges->n > 0};
	}
	for (uint32_t i = 0; i < ranges->n; i++)
		*LIST_ADD(c->arena, &w->time_ranges) =
		        (struct ec2_instance_event_window_time_range){.start_week_day = ranges->v[i].start_week_day,
		                                                      .start_hour = ranges->v[i].start_hour,
		                                                      .end_week_day = ranges->v[i].end_week_day,
		                                                      .end_hour = ranges->v[i].end_hour};
	const char *wrong = window_hours(w, open);
	return wrong ? ec2_invalid(c, "%s", wrong) : CALL_OK;
}

static int take_name(struct call *c, struct str name, struct ec2_instance_event_window *w)
{
	if (!name.n)
		return CALL_OK;
	if (str_utf8_len(name) > NAME_MAX_CHARS)
		return ec2_invalid(c, "The name of an event window has at most %d characters.", NAME_MAX_CHARS);
	w->name = name;
	return CALL_OK;
}

int ec2_create_instance_event_window(struct call *c, const struct ec2_create_instance_event_window_request *in,
                                     struct ec2_create_instance_event_window_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_event_window other, *w = arena_new(c->arena, struct ec2_instance_event_window);
	unsigned n = 0;
	*w = (struct ec2_instance_event_window){0};
	if (!in->time_ranges.n && !in->cron_expression.n)
		return ec2_combination(c, "Either TimeRanges or CronExpression must be specified.");
	if (take_name(c, in->name, w) != CALL_OK || take_times(c, &in->time_ranges, in->cron_expression, w) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_event_window, &w->tags) != CALL_OK)
		return CALL_FAIL;
	struct ec2_all all = ec2_all(&s, &ec2_kind_event_window);
	while (ec2_next(&all, &other))
		n++;
	if (n >= WINDOWS_MAX)
		return call_fail(c, "InstanceEventWindowLimitExceeded", 400, "You have as many event windows as you can have.");
	w->instance_event_window_id = ec2_new_id(c->arena, ec2_kind_event_window.prefix);
	w->state = S("active");
	ec2_put(&s, &ec2_kind_event_window, w->instance_event_window_id, w);
	/* It is on the way until the reply is there. */
	w->state = S("creating");
	out->instance_event_window = w;
	return CALL_OK;
}

int ec2_modify_instance_event_window(struct call *c, const struct ec2_modify_instance_event_window_request *in,
                                     struct ec2_modify_instance_event_window_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_event_window *w = arena_new(c->arena, struct ec2_instance_event_window);
	if (ec2_get(c, &ec2_kind_event_window, in->instance_event_window_id, w) != CALL_OK ||
	    take_name(c, in->name, w) != CALL_OK || take_times(c, &in->time_ranges, in->cron_expression, w) != CALL_OK)
		return CALL_FAIL;
	ec2_put(&s, &ec2_kind_event_window, in->instance_event_window_id, w);
	out->instance_event_window = w;
	return CALL_OK;
}

int ec2_delete_instance_event_window(struct call *c, const struct ec2_delete_instance_event_window_request *in,
                                     struct ec2_delete_instance_event_window_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_event_window w;
	if (ec2_get(c, &ec2_kind_event_window, in->instance_event_window_id, &w) != CALL_OK)
		return CALL_FAIL;
	if (w.association_target && !in->force_delete.v)
		return ec2_depends(c, "The event window '%.*s' is associated with targets. To delete it, use force delete.",
		                   STR_ARG(in->instance_event_window_id));
	ec2_drop(&s, &ec2_kind_event_window, in->instance_event_window_id);
	out->instance_event_window_state = arena_new(c->arena, struct ec2_instance_event_window_state_change);
	*out->instance_event_window_state = (struct ec2_instance_event_window_state_change){
	        .instance_event_window_id = in->instance_event_window_id, .state = S("deleting")};
	return CALL_OK;
}

/* --- what it is for */

/* An instance, or a tag, has one window: two could never both be kept. */
static int is_free(struct call *c, const struct ec2_instance_event_window *own, struct str instance, const struct ec2_tag *tag)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all(&s, &ec2_kind_event_window);
	struct ec2_instance_event_window w;
	while (ec2_next(&all, &w)) {
		const struct ec2_instance_event_window_association_target *t = w.association_target;
		if (!t || str_eq(w.instance_event_window_id, own->instance_event_window_id))
			continue;
		if (tag ? lists_tag(&t->tags, tag) : lists(&t->instance_ids, instance))
			return ec2_invalid(c, "The target is already associated with the event window '%.*s'.",
			                   STR_ARG(w.instance_event_window_id));
	}
	return CALL_OK;
}

static int add_targets(struct call *c, struct ec2_instance_event_window *w,
                       const struct ec2_instance_event_window_association_request *given)
{
	struct ec2_instance_event_window_association_target *t = w->association_target;
	if (given->dedicated_host_ids.n)
		return ec2_unsupported(c, "A Dedicated Host");
	if (!given->instance_ids.n == !given->instance_tags.n)
		return ec2_combination(c, "Only one type of target can be specified with an event window.");
	if (!t)
		t = w->association_target = arena_new(c->arena, struct ec2_instance_event_window_association_target);
	if (given->instance_ids.n ? t->tags.n : t->instance_ids.n)
		return ec2_combination(c, "Only one type of target can be specified with an event window.");
	for (uint32_t i = 0; i < given->instance_ids.n; i++) {
		struct state_ec2_instance_record r;
		struct str id = given->instance_ids.v[i];
		if (ec2_get(c, &ec2_kind_instance, id, &r) != CALL_OK || is_free(c, w, id, NULL) != CALL_OK)
			return CALL_FAIL;
		if (!lists(&t->instance_ids, id))
			*LIST_ADD(c->arena, &t->instance_ids) = id;
	}
	for (uint32_t i = 0; i < given->instance_tags.n; i++) {
		const struct ec2_tag *tag = &given->instance_tags.v[i];
		if (!str_set(tag->key) || !tag->key.n)
			return ec2_missing(c, "InstanceTag.Key");
		if (is_free(c, w, STR_NONE, tag) != CALL_OK)
			return CALL_FAIL;
		if (!lists_tag(&t->tags, tag))
			*LIST_ADD(c->arena, &t->tags) =
			        (struct ec2_tag){.key = tag->key, .value = str_set(tag->value) ? tag->value : S("")};
	}
	if (t->instance_ids.n > INSTANCES_MAX || t->tags.n > TAGS_MAX)
		return call_fail(c, "InstanceEventWindowTargetLimitExceeded", 400,
		                 "An event window has at most %d instances or %d tags.", INSTANCES_MAX, TAGS_MAX);
	return CALL_OK;
}

static int change(struct call *c, struct str id, struct ec2_instance_event_window **ret)
{
	*ret = arena_new(c->arena, struct ec2_instance_event_window);
	return ec2_get(c, &ec2_kind_event_window, id, *ret);
}

int ec2_associate_instance_event_window(struct call *c, const struct ec2_associate_instance_event_window_request *in,
                                        struct ec2_associate_instance_event_window_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_event_window *w;
	if (!in->association_target)
		return ec2_missing(c, "AssociationTarget");
	if (change(c, in->instance_event_window_id, &w) != CALL_OK || add_targets(c, w, in->association_target) != CALL_OK)
		return CALL_FAIL;
	ec2_put(&s, &ec2_kind_event_window, in->instance_event_window_id, w);
	out->instance_event_window = w;
	return CALL_OK;
}

int ec2_disassociate_instance_event_window(struct call *c, const struct ec2_disassociate_instance_event_window_request *in,
                                           struct ec2_disassociate_instance_event_window_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_event_window *w;
	const struct ec2_instance_event_window_disassociation_request *gone = in->association_target;
	if (!gone)
		return ec2_missing(c, "AssociationTarget");
	if (change(c, in->instance_event_window_id, &w) != CALL_OK)
		return CALL_FAIL;
	static const struct ec2_instance_event_window_association_target none;
	const struct ec2_instance_event_window_association_target *had = w->association_target ? w->association_target : &none;
	struct ec2_instance_event_window_association_target *left =
	        arena_new(c->arena, struct ec2_instance_event_window_association_target);
	for (uint32_t i = 0; i < gone->instance_ids.n; i++)
		if (!lists(&had->instance_ids, gone->instance_ids.v[i]))
			return ec2_invalid(c, "The instance '%.*s' is not associated with the event window.",
			                   STR_ARG(gone->instance_ids.v[i]));
	for (uint32_t i = 0; i < had->instance_ids.n; i++)
		if (!lists(&gone->instance_ids, had->instance_ids.v[i]))
			*LIST_ADD(c->arena, &left->instance_ids) = had->instance_ids.v[i];
	for (uint32_t i = 0; i < had->tags.n; i++)
		if (!lists_tag(&gone->instance_tags, &had->tags.v[i]))
			*LIST_ADD(c->arena, &left->tags) = had->tags.v[i];
	w->association_target = left->instance_ids.n || left->tags.n ? left : NULL;
	ec2_put(&s, &ec2_kind_event_window, in->instance_event_window_id, w);
	out->instance_event_window = w;
	return CALL_OK;
}

/* --- lists */

static void ask_tags(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_instance_event_window *w = record;
	const struct ec2_instance_event_window_association_target *t = w->association_target;
	for (uint32_t i = 0; t && i < t->tags.n; i++)
		*LIST_ADD(c->arena, ret) = ARENA_CAT(c->arena, t->tags.v[i].key, S("="), t->tags.v[i].value);
}

static const struct ec2_field fields[] = {
        FIELD_NEVER("dedicated-host-id"),
        FIELD_TEXT("event-window-name", ec2_instance_event_window, name),
        FIELD_PATH("instance-id", "InstanceEventWindow", "AssociationTarget.InstanceIds"),
        FIELD_ASK("instance-tag", ask_tags),
        FIELD_PATH("instance-tag-key", "InstanceEventWindow", "AssociationTarget.Tags.Key"),
        FIELD_PATH("instance-tag-value", "InstanceEventWindow", "AssociationTarget.Tags.Value"),
        {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_instance_event_windows_result *out = output;
	*LIST_ADD(c->arena, &out->instance_event_windows) = *(struct ec2_instance_event_window *)record;
}

int ec2_describe_instance_event_windows(struct call *c, const struct ec2_describe_instance_event_windows_request *in,
                                        struct ec2_describe_instance_event_windows_result *out)
{
	out->instance_event_windows.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_event_window,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->instance_event_window_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .min = 20,
	                                       .max = 500},
	                    out, &out->next_token);
}
