#include "batch.h"

#include "base/base64.h"
#include "base/hash.h"

enum { ID_MAX_CHARS = 80 };
/* Sequence numbers have twenty digits. */
#define SEQUENCE_FIRST UINT64_C(18000000000000000000)
#define HANDLE_BEGIN "AQEB"

static bool id_good(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
			return false;
	return id.n > 0 && id.n <= ID_MAX_CHARS;
}

int sqs_check_batch(struct call *c, const char *entry, const struct str *ids, uint32_t count)
{
	if (!count)
		return call_fail(c, "EmptyBatchRequest", 400, "There should be at least one %s in the request.", entry);
	if (count > SQS_BATCH_MAX)
		return call_fail(c, "TooManyEntriesInBatchRequest", 400,
		                 "Maximum number of entries per request are %d. You have sent %u.", SQS_BATCH_MAX, count);
	for (uint32_t i = 0; i < count; i++)
		if (!id_good(ids[i]))
			return call_fail(
			        c, "InvalidBatchEntryId", 400,
			        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most "
			        "80 letters long.");
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(ids[i], ids[k]))
				return call_fail(c, "BatchEntryIdsNotDistinct", 400, "Id %.*s repeated.", STR_ARG(ids[i]));
	return CALL_OK;
}

void sqs_batch_failed(struct call *c, struct sqs_batch_result_error_entry_list *out, struct str id, const struct fault *f)
{
	struct sqs_batch_result_error_entry *e = LIST_ADD(c->arena, out);
	*e = (struct sqs_batch_result_error_entry){
	        .id = id, .sender_fault = OPT_BOOL(true), .code = str_from(f->code), .message = f->text};
	out->set = true;
}

struct str sqs_uuid(struct arena *a, const unsigned char id[static QUEUE_ID_BYTES])
{
	char hex[2 * QUEUE_ID_BYTES + 1];
	hex_encode(id, QUEUE_ID_BYTES, hex);
	return arena_printf(a, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

struct str sqs_sequence(struct arena *a, uint64_t seq)
{
	return arena_printf(a, "%lu", SEQUENCE_FIRST + seq);
}

struct str sqs_spell_handle(struct arena *a, struct str handle)
{
	return ARENA_CAT(a, S(HANDLE_BEGIN), base64_encode(a, handle));
}

struct str sqs_read_handle(struct arena *a, struct str text)
{
	if (!str_starts(text, S(HANDLE_BEGIN)))
		return STR_NONE;
	struct str handle = base64_decode(a, str_from_at(text, sizeof(HANDLE_BEGIN) - 1));
	return handle.n == QUEUE_HANDLE_BYTES ? handle : STR_NONE;
}
