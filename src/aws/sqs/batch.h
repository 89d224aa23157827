/* What operations over batches share, and how messages are spelled. Private to aws/sqs. */
#pragma once
#include "sqs.h"

/* Why one entry fails: a code and a sentence. */
struct fault {
	const char *code;
	struct str text;
};
/* Between one and ten entries with ids that are good and of which none is there twice? CALL_OK or CALL_FAIL. Only the first ten
 * ids are looked at. */
int sqs_check_batch(struct call *c, const char *entry, const struct str *ids, uint32_t count);
void sqs_batch_failed(struct call *c, struct sqs_batch_result_error_entry_list *out, struct str id, const struct fault *f);

struct str sqs_uuid(struct arena *a, const unsigned char id[static QUEUE_ID_BYTES]);
struct str sqs_sequence(struct arena *a, uint64_t seq);
struct str sqs_spell_handle(struct arena *a, struct str handle);
struct str sqs_read_handle(struct arena *a, struct str text); /* absent: it is none */
