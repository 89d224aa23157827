#include "http/parse.h"

#include "base/arena.h"

enum { TOKEN = 1, TARGET = 2, VALUE = 4, HOST = 8 };

static const unsigned char kinds[256] = {
        ['\t'] = VALUE,
        [' '] = VALUE,
        ['!'] = TOKEN | TARGET | VALUE,
        ['"'] = TARGET | VALUE,
        ['#'] = TOKEN | VALUE,
        ['$' ... '\''] = TOKEN | TARGET | VALUE,
        ['('] = TARGET | VALUE,
        [')'] = TARGET | VALUE,
        ['*' ... '+'] = TOKEN | TARGET | VALUE,
        [','] = TARGET | VALUE,
        ['-' ... '.'] = TOKEN | TARGET | VALUE | HOST,
        ['/'] = TARGET | VALUE,
        ['0' ... '9'] = TOKEN | TARGET | VALUE | HOST,
        [':'] = TARGET | VALUE | HOST,
        [';' ... '@'] = TARGET | VALUE,
        ['A' ... 'Z'] = TOKEN | TARGET | VALUE | HOST,
        ['['] = TARGET | VALUE | HOST,
        ['\\'] = TARGET | VALUE,
        [']'] = TARGET | VALUE | HOST,
        ['^'] = TOKEN | TARGET | VALUE,
        ['_'] = TOKEN | TARGET | VALUE | HOST,
        ['`'] = TOKEN | TARGET | VALUE,
        ['a' ... 'z'] = TOKEN | TARGET | VALUE | HOST,
        ['{'] = TARGET | VALUE,
        ['|'] = TOKEN | TARGET | VALUE,
        ['}'] = TARGET | VALUE,
        ['~'] = TOKEN | TARGET | VALUE,
        [0x80 ... 0xff] = TARGET | VALUE, /* UTF-8 that a client forgot to encode */
};

/* How many bytes at the start of s are of this kind. */
static size_t span(struct str s, int kind)
{
	size_t n = 0;
	while (n < s.n && (kinds[(unsigned char)s.p[n]] & kind))
		n++;
	return n;
}

bool head_is_token(struct str s)
{
	return s.n && span(s, TOKEN) == s.n;
}

/* Without spaces and tabs at the ends, and nothing else: a reader that also cut a vertical tab would see an encoding where others
 * see none. */
static struct str blanks_trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_from_at(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool head_list_has(struct str list, struct str token)
{
	while (str_set(list))
		if (str_ieq(blanks_trim(str_cut(&list, ',')), token))
			return true;
	return false;
}

size_t head_end(const char *p, size_t n, size_t *scan)
{
	size_t at = *scan;
	for (;;) {
		const char *lf = at < n ? memchr(p + at, '\n', n - at) : NULL;
		if (!lf) {
			*scan = n;
			return 0;
		}
		size_t next = (size_t)(lf - p) + 1;
		if (next < n && p[next] == '\n')
			return next + 1;
		if (next + 1 < n && p[next] == '\r' && p[next + 1] == '\n')
			return next + 2;
		if (next == n || (next + 1 == n && p[next] == '\r')) { /* undecided: this LF is looked at again */
			*scan = next - 1;
			return 0;
		}
		at = next;
	}
}

/* Cuts a line off *rest, without its CR LF or LF. */
static struct str line_cut(struct str *rest, bool *bare_lf)
{
	struct str line = str_cut(rest, '\n');
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	else if (str_set(*rest))
		*bare_lf = true;
	return line;
}

unsigned head_parse_fields(struct arena *a, struct str text, unsigned max_headers, const struct http_header **ret_headers,
                           unsigned *ret_count, bool *ret_bare_lf, const char **ret_why)
{
	unsigned count = 0, room = 32 < max_headers ? 32 : max_headers;
	struct http_header *headers = arena_alloc(a, room * sizeof(*headers));
	bool bare_lf = false;
	while (str_set(text)) {
		struct str line = line_cut(&text, &bare_lf);
		if (line.n == 0)
			break;
		if (line.p[0] == ' ' || line.p[0] == '\t') {
			*ret_why = "folded header line";
			return 400;
		}
		size_t n = span(line, TOKEN);
		if (n == 0 || n == line.n || line.p[n] != ':') {
			*ret_why = "malformed header name";
			return 400;
		}
		struct str value = blanks_trim(str_from_at(line, n + 1));
		if (span(value, VALUE) != value.n) {
			*ret_why = "control character in a header";
			return 400;
		}
		if (count == max_headers) {
			*ret_why = "too many headers";
			return 431;
		}
		if (count == room) {
			room = room * 2 < max_headers ? room * 2 : max_headers;
			struct http_header *more = arena_alloc(a, room * sizeof(*more));
			memcpy(more, headers, count * sizeof(*more));
			headers = more;
		}
		headers[count++] = (struct http_header){.name = str_of(line.p, n), .value = value};
	}
	*ret_headers = headers;
	*ret_count = count;
	*ret_bare_lf = bare_lf;
	return 0;
}

/* Splits an absolute-form target into the host, which counts more than the Host header, and path with query. */
static bool target_from_absolute(struct http_head *h, struct str *ret_host)
{
	struct str rest = str_from_at(h->target, str_istarts(h->target, S("https://")) ? 8 : 7);
	size_t n = span(rest, HOST);
	if (n == 0 || (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?'))
		return false;
	*ret_host = str_sub(rest, 0, n);
	h->target = n == rest.n ? S("/") : str_from_at(rest, n);
	return true;
}

static unsigned request_line_parse(struct str line, struct http_head *h, struct head_facts *f, struct str *ret_host,
                                   const char **ret_why)
{
	ptrdiff_t first = str_find_char(line, ' '), last = str_rfind_char(line, ' ');
	*ret_why = "malformed request line";
	if (first <= 0 || last <= first)
		return 400;
	h->method = str_sub(line, 0, (size_t)first);
	h->target = str_sub(line, (size_t)first + 1, (size_t)(last - first - 1));
	struct str version = str_from_at(line, (size_t)last + 1);
	if (!head_is_token(h->method) || h->method.n > 32 || !str_starts(version, S("HTTP/")))
		return 400;
	if (version.n != 8 || !ascii_is_digit(version.p[5]) || version.p[6] != '.' || !ascii_is_digit(version.p[7]))
		return 400;
	if (version.p[5] != '1') {
		*ret_why = "only HTTP/1.0 and HTTP/1.1 are spoken here";
		return 505;
	}
	f->http10 = version.p[7] == '0';
	if (str_eq(h->method, S("CONNECT"))) {
		*ret_why = "not a proxy";
		return 501;
	}
	*ret_why = "malformed request target";
	if (h->target.n == 0 || span(h->target, TARGET) != h->target.n)
		return 400;
	if (str_istarts(h->target, S("http://")) || str_istarts(h->target, S("https://"))) {
		if (!target_from_absolute(h, ret_host))
			return 400;
	} else if (h->target.p[0] != '/' && !(str_eq(h->target, S("*")) && str_eq(h->method, S("OPTIONS")))) {
		return 400;
	}
	struct str query = h->target;
	h->path = str_cut(&query, '?');
	h->query = query;
	if (h->path.n == 0)
		h->path = S("/");
	return 0;
}

/* The headers that decide where the request ends and what becomes of the connection. */
struct framing {
	unsigned hosts, lengths, encodings;
	struct str host, length, encoding, connection[2];
	bool expect_unknown;
};

static void framing_note(struct framing *m, struct http_head *h, const struct http_header *f)
{
	switch (f->name.n) {
	case 4:
		if (str_ieq(f->name, S("host"))) {
			m->hosts++;
			m->host = f->value;
		}
		break;
	case 6:
		if (str_ieq(f->name, S("expect"))) {
			h->expects_continue = str_ieq(f->value, S("100-continue"));
			m->expect_unknown = !h->expects_continue;
		}
		break;
	case 10:
		if (str_ieq(f->name, S("connection")))
			m->connection[str_set(m->connection[0])] = f->value;
		break;
	case 14:
		if (str_ieq(f->name, S("content-length"))) {
			m->lengths++;
			m->length = f->value;
		}
		break;
	case 17:
		if (str_ieq(f->name, S("transfer-encoding"))) {
			m->encodings++;
			m->encoding = f->value;
		}
		break;
	default:
		break;
	}
}

static unsigned framing_apply(const struct framing *m, struct http_head *h, const struct head_facts *f, bool bare_lf,
                              const char **ret_why)
{
	if (m->hosts > 1 || (m->hosts == 0 && !f->http10) || span(m->host, HOST) != m->host.n) {
		*ret_why = m->hosts == 0 ? "no Host header" : "malformed Host header";
		return 400;
	}
	if (m->lengths > 1 || m->encodings > 1 || (m->lengths && m->encodings)) {
		*ret_why = "more than one body length";
		return 400;
	}
	if (m->encodings) {
		if (f->http10) {
			*ret_why = "Transfer-Encoding in HTTP/1.0";
			return 400;
		}
		if (!str_ieq(m->encoding, S("chunked"))) {
			*ret_why = "unknown transfer encoding";
			return 501;
		}
		h->chunked = true;
	}
	if (m->lengths && (m->length.n == 0 || !ascii_is_digit(m->length.p[0]) || !str_to_i64(m->length, &h->content_length))) {
		*ret_why = "malformed Content-Length";
		return 400;
	}
	if (bare_lf && (m->lengths || m->encodings)) {
		*ret_why = "line without CR";
		return 400;
	}
	if (m->expect_unknown) {
		*ret_why = "unknown expectation";
		return 417;
	}
	return 0;
}

unsigned head_parse(struct arena *a, struct str text, unsigned max_headers, struct http_head *h, struct head_facts *f,
                    const char **ret_why)
{
	bool bare_line = false, bare_field = false;
	struct str host = STR_NONE;
	h->content_length = -1;
	struct str line = line_cut(&text, &bare_line);
	unsigned refused = request_line_parse(line, h, f, &host, ret_why);
	if (refused)
		return refused;
	refused = head_parse_fields(a, text, max_headers, &h->headers, &h->header_count, &bare_field, ret_why);
	if (refused)
		return refused;
	struct framing m = {0};
	for (unsigned i = 0; i < h->header_count; i++)
		framing_note(&m, h, &h->headers[i]);
	refused = framing_apply(&m, h, f, bare_line || bare_field, ret_why);
	if (refused)
		return refused;
	h->host = str_set(host) ? host : m.host;
	h->has_body = h->chunked || h->content_length > 0;
	if (f->http10)
		h->expects_continue = false;
	bool close = false, keep = false;
	for (unsigned i = 0; i < 2; i++) {
		close |= head_list_has(m.connection[i], S("close"));
		keep |= head_list_has(m.connection[i], S("keep-alive"));
	}
	f->keep_alive = !close && (!f->http10 || keep);
	return 0;
}
