/* The grammar of request heads and of header lines: pure functions over bytes, called by the connection and by tests.
 *
 * Strict where two readers of the same bytes could disagree about where a request ends (lengths, encodings, folded lines, spaces
 * before colons, NUL, bare CR); friendly where nothing hangs on it (a bare LF ends a line of a request without a body). */
#pragma once
#include "http/http.h"

/* What the connection must know about a request besides what its handler sees. */
struct head_facts {
	bool http10;     /* the client speaks HTTP/1.0 */
	bool keep_alive; /* the client will send more requests on this connection */
};

/* Length of the first head in p[0..n) with its empty line, or 0 while that has not come. *scan is where the last call stopped
 * looking: 0 at first. */
size_t head_end(const char *p, size_t n, size_t *scan);
/* Parses a whole head, empty line included. The strs in *h point into `text`, which must live as long; the header array is in `a`.
 * Returns 0, or the status to refuse it with; *ret_why then says why in a few words. */
unsigned head_parse(struct arena *a, struct str text, unsigned max_headers, struct http_head *h, struct head_facts *f,
                    const char **ret_why);
/* Parses header lines up to an empty line or the end of text. 0, or 400/431 and *ret_why. *ret_bare_lf: a line ended without CR. */
unsigned head_parse_fields(struct arena *a, struct str text, unsigned max_headers, const struct http_header **ret_headers,
                           unsigned *ret_count, bool *ret_bare_lf, const char **ret_why);
/* Is s a token, as header names and methods are? */
bool head_is_token(struct str s);
/* Does a comma-separated list contain the token (any case)? */
bool head_list_has(struct str list, struct str token);
