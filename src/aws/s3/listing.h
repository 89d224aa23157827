/* Walking a bucket's keys for a listing: prefix, delimiter, where to begin, how many. One walker behind ListObjects, ListObjectsV2,
 * ListObjectVersions, ListMultipartUploads; each turns entries into its reply. */
#pragma once
#include "aws/s3/object.h"

struct listing {
	struct tree_walk walk;
	struct arena *arena;
	struct str prefix, delimiter;
	struct str last_prefix; /* the common prefix given last; absent: none */
};
struct listing_entry {
	bool is_prefix;
	struct str name; /* key, or common prefix */
	struct str tail; /* of the record; absent: the node's own value */
	struct store_value value;
};
/* Prefix and delimiter may be absent. Begins with the first name that is greater than after (absent: with the first). A common
 * prefix that is `after` itself is passed over. */
void listing_begin(struct listing *l, struct call *c, const char *what, struct str bucket, struct str prefix, struct str delimiter,
                   struct str after);
/* Entries come in order; all that lies under a common prefix is one entry. `group` decides whether a record counts for making a
 * common prefix: NULL: all do. False: the end. */
typedef bool listing_counts_fn(const struct listing_entry *e);
bool listing_next(struct listing *l, listing_counts_fn *counts, struct listing_entry *ret);

/* encoding-type=url. */
struct str listing_text(struct arena *a, struct str encoding_type, struct str text);
/* Checks encoding-type and max-keys (as the error calls it); *ret_max at most 1000. CALL_OK or CALL_FAIL. */
int listing_check(struct call *c, struct str encoding_type, struct opt_int max, const char *max_name, int64_t *ret_max);
struct s3_owner *listing_owner(struct arena *a, struct str account);
