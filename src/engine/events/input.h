/* What a target gets of an event: a part of it by a path, or a text made of parts. Without effects. */
#pragma once
#include "base/json.h"
#include "model/model.h"

enum { INPUT_PATHS_MAX = 100, INPUT_BYTES_MAX = 4 << 20 };

/* "$.detail.state", "$.resources[0]", "$.detail.items[*].id", "$['detail-type']". */
bool path_good(struct str path);
/* Writes what is there as JSON: one value, or an array of all where the path has a [*]. False: nothing is there. */
bool path_put(struct str path, const struct json_value *event, struct buf *out);

/* What is wrong with a transformer; absent: nothing. */
struct str transform_wrong(struct arena *a, const struct str_map *paths, struct str template);
struct transform_event {
	const struct json_value *event;
	struct str text; /* the same, as it came */
	struct str rule_arn, rule_name, ingested;
};
/* The template with its <names> replaced. False: the result is neither JSON nor lines of JSON strings. */
bool transform_put(const struct transform_event *e, const struct str_map *paths, struct str template, struct buf *out);
