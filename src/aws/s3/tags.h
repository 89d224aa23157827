/* Tags of buckets and objects: as XML sets, as the x-amz-tagging header, as records. */
#pragma once
#include "aws/s3/rows.h"

enum { TAGS_OF_OBJECT_MAX = 10, TAGS_OF_BUCKET_MAX = 50 };

/* Checks and converts; an object's tags come from the header as "a=b&c=d". CALL_OK or CALL_FAIL. */
int tags_of_set(struct call *c, const struct s3_tag_set *set, unsigned max, struct str_map *ret);
int tags_of_header(struct call *c, struct str header, struct str_map *ret);
/* <Tagging><TagSet><Tag>... of an object, as a form's field. */
int tags_of_document(struct call *c, struct str xml, struct str_map *ret);
void tags_to_set(struct arena *a, const struct str_map *tags, struct s3_tag_set *ret);

/* tagging.c */
s3_get_object_tagging_handler s3_get_object_tagging;
s3_put_object_tagging_handler s3_put_object_tagging;
s3_delete_object_tagging_handler s3_delete_object_tagging;
