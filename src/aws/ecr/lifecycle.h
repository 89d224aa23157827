/* Lifecycle policies: what their text says and which images it means. Pure; the operations are in lifecycle.c, and janitor.c does
 * what is decided here. */
#pragma once
#include "base/arena.h"
#include "model/model.h"
#include "store/store.h"

enum lifecycle_tags { LIFECYCLE_ANY, LIFECYCLE_TAGGED, LIFECYCLE_UNTAGGED };
struct lifecycle_rule {
	int64_t priority;
	enum lifecycle_tags tags;
	struct str_list prefixes, patterns; /* of one of them, all must be a tag's of the image */
	bool by_count;                      /* more images than that, else days since the push */
	int64_t number;
};
struct lifecycle_rules {
	struct lifecycle_rule *v; /* by priority */
	unsigned n;
};
/* False: *ret_why says what is wrong. */
bool ecr_lifecycle_read(struct arena *a, struct str text, struct lifecycle_rules *ret, struct str *ret_why);

struct lifecycle_image {
	struct str digest;
	struct str_list tags;
	int64_t pushed_ms;
	bool held;        /* an index needs it, or it is about another image: it goes when that does */
	int64_t priority; /* out: of the rule that expires it; 0: it stays */
};
/* Every image is expired by the first rule that means it by its tags, or by none; images that another rule has expired still count
 * for those behind. Sorts the images, newest first. */
void ecr_lifecycle_apply(const struct lifecycle_rules *rules, struct lifecycle_image *images, unsigned n, int64_t now_ms);

/* The images of a repository, for the rules. In janitor.c. */
struct ecr_place;
struct lifecycle_image *ecr_lifecycle_images(struct store_txn *t, struct arena *a, const struct ecr_place *p, unsigned *ret_n);
