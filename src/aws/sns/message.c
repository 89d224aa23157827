/* What is right about a message that is published. */
#include "publish.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/rand.h"

enum { SUBJECT_MAX_CHARS = 100, WORD_MAX_CHARS = 128, NAME_MAX_CHARS = 256, TRACE_MAX_CHARS = 500 };

static const char *const way_names[WAYS] = {"sqs", "lambda", "http", "https"};

static bool fault(struct publish_fault *f, const char *code, struct str text)
{
	*f = (struct publish_fault){code, text};
	return false;
}

static bool invalid(struct publish_fault *f, struct str text)
{
	return fault(f, "InvalidParameterException", text);
}

/* --- attributes */

static bool attribute_name_good(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return s.n > 0 && s.n <= NAME_MAX_CHARS && s.p[0] != '.' && s.p[s.n - 1] != '.' && str_find(s, S("..")) < 0;
}

static bool check_attributes(struct arena *a, const struct sns_message_attribute_map *m, struct publish_fault *f)
{
	static const char *const code = "InvalidParameterValueException";
	double number;
	for (uint32_t i = 0; i < m->n; i++) {
		struct str name = m->v[i].key, type = m->v[i].value.data_type, value = m->v[i].value.string_value;
		struct str rest = type, kind = str_cut(&rest, '.');
		bool binary = str_is(kind, "Binary");
		if (!attribute_name_good(name))
			return fault(f, code,
			             arena_printf(a, "Invalid parameter: The message attribute name '%.*s' is not valid.",
			                          STR_ARG(name)));
		if (!binary && !str_is(kind, "String") && !str_is(kind, "Number"))
			return fault(f, code,
			             arena_printf(a,
			                          "The message attribute '%.*s' has an invalid message attribute type, the set of "
			                          "supported type prefixes is Binary, Number, and String.",
			                          STR_ARG(name)));
		if (binary ? !m->v[i].value.binary_value.n : !value.n)
			return fault(f, code,
			             arena_printf(a,
			                          "The message attribute '%.*s' must contain non-empty message attribute value for "
			                          "message attribute type '%.*s'.",
			                          STR_ARG(name), STR_ARG(type)));
		if (str_is(kind, "Number") && !str_to_double(value, &number))
			return fault(f, code,
			             arena_printf(a, "Could not cast message attribute '%.*s' value to number.", STR_ARG(name)));
	}
	return true;
}

static int64_t attributes_bytes(const struct sns_message_attribute_map *m)
{
	int64_t n = 0;
	for (uint32_t i = 0; i < m->n; i++)
		n += (int64_t)(m->v[i].key.n + m->v[i].value.data_type.n + m->v[i].value.string_value.n +
		               m->v[i].value.binary_value.n);
	return n;
}

/* --- texts */

static bool read_texts(struct arena *a, const struct published *in, struct publication *p, struct publish_fault *f)
{
	const struct json_value *v = NULL;
	if (str_set(in->structure) && !str_is(in->structure, "json"))
		return invalid(f, S("Invalid parameter: Invalid MessageStructure, must be 'json'"));
	if (str_set(in->structure) && !json_is(v = json_parse(a, in->message, NULL), JSON_OBJECT))
		return invalid(f, S("Invalid parameter: Message Structure - JSON message body failed to parse"));
	struct str standard = v ? json_get_str(v, S("default")) : in->message;
	if (!str_set(standard))
		return invalid(f, S("Invalid parameter: Message Structure - No default entry in JSON message body"));
	for (unsigned i = 0; i < WAYS; i++) {
		struct str own = json_get_str(v, str_from(way_names[i]));
		p->text[i] = str_set(own) ? own : standard;
		if (!p->text[i].n)
			return invalid(f, S("Invalid parameter: Empty message"));
	}
	return true;
}

static bool subject_good(struct str s)
{
	bool good = s.n > 0 && str_utf8_len(s) <= SUBJECT_MAX_CHARS && !ascii_is_space(s.p[0]);
	for (size_t i = 0; i < s.n && good; i++)
		good = (unsigned char)s.p[i] >= ' ';
	return good;
}

static bool word_good(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
	return s.n > 0 && s.n <= WORD_MAX_CHARS;
}

static bool check_order(const struct topic *t, const struct published *in, struct publish_fault *f)
{
	if (str_set(in->group) && !word_good(in->group))
		return invalid(f, S("Invalid parameter: MessageGroupId Reason: The MessageGroupId is not valid"));
	if (!t->fifo && str_set(in->dedup))
		return invalid(f, S("Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId "
		                    "parameter that is not valid for this topic type"));
	if (!t->fifo)
		return true;
	if (!str_set(in->group))
		return invalid(f, S("Invalid parameter: The MessageGroupId parameter is required for FIFO topics"));
	if (str_set(in->dedup) && !word_good(in->dedup))
		return invalid(f, S("Invalid parameter: MessageDeduplicationId Reason: The MessageDeduplicationId is not valid"));
	if (!str_set(in->dedup) && !sns_flag(&t->record.attributes, "ContentBasedDeduplication"))
		return invalid(f, S("Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
		                    "MessageDeduplicationId provided explicitly"));
	return true;
}

static struct str uuid(struct arena *a, unsigned char id[static QUEUE_ID_BYTES])
{
	char hex[2 * QUEUE_ID_BYTES + 1];
	rand_bytes(id, QUEUE_ID_BYTES);
	id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	hex_encode(id, QUEUE_ID_BYTES, hex);
	return arena_printf(a, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

bool publication_read(struct call *c, const struct topic *t, const struct published *in, struct publication *p,
                      struct publish_fault *f)
{
	*p = (struct publication){.attributes = in->attributes, .group = in->group};
	if (!in->message.n)
		return invalid(f, S("Invalid parameter: Empty message"));
	if (!str_is_utf8(in->message))
		return invalid(f, S("Invalid parameter: Message Reason: not in UTF-8"));
	p->bytes = (int64_t)in->message.n + attributes_bytes(in->attributes);
	if (p->bytes > SNS_MESSAGE_MAX)
		return invalid(f, S("Invalid parameter: Message too long"));
	if (str_set(in->subject) && !subject_good(in->subject))
		return invalid(f, S("Invalid parameter: Subject"));
	if (!check_attributes(c->arena, in->attributes, f) || !check_order(t, in, f) || !read_texts(c->arena, in, p, f))
		return false;
	p->subject = str_set(in->subject) ? in->subject : S("");
	if (t->fifo)
		p->dedup = str_set(in->dedup) ? in->dedup : hash_hex(c->arena, HASH_SHA256, in->message);
	struct str trace = c->http ? call_header(c, S("x-amzn-trace-id")) : c->trace;
	if (str_set(trace) && trace.n <= TRACE_MAX_CHARS && str_find(trace, S("Root=")) >= 0)
		p->trace = trace;
	p->message_id = uuid(c->arena, p->id);
	p->sequence = S("");
	return true;
}

void publication_record(const struct publication *p, const struct topic *t, enum way way, int64_t now_ms,
                        struct state_sns_notification_record *ret)
{
	struct str version = sns_attribute(&t->record.attributes, "SignatureVersion");
	*ret = (struct state_sns_notification_record){.type = S("Notification"),
	                                              .message_id = p->message_id,
	                                              .sequence = p->sequence,
	                                              .subject = p->subject,
	                                              .message = p->text[way],
	                                              .sent = OPT_INT(now_ms),
	                                              .trace = p->trace,
	                                              .signature = str_set(p->signature[way]) ? p->signature[way] : S(""),
	                                              .signature_version = version.n ? version : S("1"),
	                                              .attributes = *p->attributes};
}
