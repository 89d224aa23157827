/* GetLogRecord and GetLogGroupFields: what an event of a query's results has, and what the events of a group have. */
#include "rows.h"

#include "base/map.h"
#include "engine/logs/insights.h"

enum { FIELDS_MAX = 200, SAMPLE = 1000, SAMPLE_BYTES_MAX = 4 << 20, BACK_MS = 15 * 60 * 1000, AROUND_MS = 8 * 60 * 1000 };

static const char *const own_fields[] = {"@timestamp", "@ingestionTime", "@logStream", "@message", "@log"};

/* --- GetLogRecord */

static bool find_group_by_id(struct call *c, uint64_t id, struct logs_group *ret)
{
	struct str under = logs_groups_under(c), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v))
		if (record_read(c->arena, v.value, LOGS_ROW("Group"), &ret->record) && (uint64_t)ret->record.id.v == id) {
			ret->key = arena_dup(c->arena, key);
			ret->id = id;
			return true;
		}
	return false;
}

static void put(struct call *c, struct str_map *m, const char *name, struct str value)
{
	*LIST_ADD(c->arena, m) = (struct str_map_entry){str_from(name), value};
}

/* A pointer ends with its group. */
enum { POINTER_DIGITS = 56, GROUP_AT = 37 };

bool logs_pointer_group(struct call *c, struct str pointer, struct logs_group *ret)
{
	uint64_t id;
	return pointer.n == POINTER_DIGITS && str_to_u64(str_from_at(pointer, GROUP_AT), &id) && find_group_by_id(c, id, ret);
}

int logs_get_log_record(struct call *c, const struct logs_get_log_record_request *in, struct logs_get_log_record_response *out)
{
	struct str pointer = in->log_record_pointer;
	struct log_position at;
	struct logs_group group;
	struct log_event e;
	uint64_t id;
	if (pointer.n != POINTER_DIGITS || !str_to_u64(str_from_at(pointer, GROUP_AT), &id) ||
	    !logs_position_parse(pointer, id, &at))
		return logs_invalid(c, "The specified log record pointer is invalid.");
	if (!logs_pointer_group(c, pointer, &group))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified log record does not exist.");
	struct logs_walk *w =
	        logs_walk(logs_events(c), c->arena, id, 0, at, (struct log_position){at.time_ms, at.number + 1}, false);
	bool there = at.time_ms >= logs_cutoff_ms(c, &group) && logs_walk_next(w, &e);
	struct str message = there ? arena_dup(c->arena, e.message) : STR_NONE;
	logs_walk_end(w);
	struct str stream = there ? logs_stream_name(call_txn(c), c->arena, id, e.stream) : STR_NONE;
	if (!str_set(stream))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified log record does not exist.");
	put(c, &out->log_record, "@timestamp", arena_printf(c->arena, "%lld", (long long)e.at.time_ms));
	put(c, &out->log_record, "@ingestionTime", arena_printf(c->arena, "%lld", (long long)e.ingested_ms));
	put(c, &out->log_record, "@logStream", stream);
	put(c, &out->log_record, "@message", message);
	put(c, &out->log_record, "@log", ARENA_CAT(c->arena, c->account, S(":"), group.record.name));
	struct insights_field found[FIELDS_MAX];
	uint32_t n = insights_fields(c->arena, message, found, FIELDS_MAX);
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(c->arena, &out->log_record) = (struct str_map_entry){found[i].name, found[i].value};
	return CALL_OK;
}

/* --- GetLogGroupFields */

struct counted {
	struct str name;
	int64_t n;
};

int logs_get_log_group_fields(struct call *c, const struct logs_get_log_group_fields_request *in,
                              struct logs_get_log_group_fields_response *out)
{
	struct logs_group group;
	struct log_event e;
	struct map by_name = {0};
	struct arena CLEAN_ARENA scratch = {0};
	struct str name = logs_group_name(c, in->log_group_name, in->log_group_identifier);
	if (!str_set(name) || logs_get_group(c, name, &group) != CALL_OK)
		return CALL_FAIL;
	int64_t scale = in->time.v > INT64_C(100000000000) ? 1 : 1000, cutoff = logs_cutoff_ms(c, &group);
	int64_t from = in->time.set ? in->time.v * scale - AROUND_MS : c->now_ms - BACK_MS;
	int64_t to = in->time.set ? in->time.v * scale + AROUND_MS : c->now_ms + 1;
	struct logs_walk *w =
	        logs_walk(logs_events(c), c->arena, group.id, 0, (struct log_position){from > cutoff ? from : cutoff, 0},
	                  (struct log_position){to, 0}, true);
	struct counted counted[FIELDS_MAX];
	struct insights_field found[FIELDS_MAX];
	unsigned events = 0, names = 0;
	size_t bytes = 0;
	while (events < SAMPLE && bytes < SAMPLE_BYTES_MAX && logs_walk_next(w, &e)) {
		arena_reset(&scratch);
		events++;
		bytes += e.message.n;
		uint32_t n = insights_fields(&scratch, e.message, found, FIELDS_MAX);
		for (uint32_t i = 0; i < n; i++) {
			struct counted *k = map_get(&by_name, found[i].name);
			if (!k && names < FIELDS_MAX) {
				k = &counted[names++];
				*k = (struct counted){.name = arena_dup(c->arena, found[i].name)};
				map_put(&by_name, k->name, k);
			}
			if (k)
				k->n++;
		}
	}
	logs_walk_end(w);
	map_done(&by_name);
	out->log_group_fields.set = true;
	for (size_t i = 0; events && i < sizeof(own_fields) / sizeof(*own_fields); i++)
		*LIST_ADD(c->arena, &out->log_group_fields) =
		        (struct logs_log_group_field){.name = str_from(own_fields[i]), .percent = OPT_INT(100)};
	for (unsigned i = 0; i < names; i++)
		*LIST_ADD(c->arena, &out->log_group_fields) =
		        (struct logs_log_group_field){.name = counted[i].name, .percent = OPT_INT(counted[i].n * 100 / events)};
	return CALL_OK;
}
