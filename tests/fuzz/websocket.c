/* Frames of WebSocket clients: whatever comes, in whatever pieces, makes the same messages within their limit, or ends with a code.
 */
#include "http/websocket.h"

#include <assert.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 300 };

/* What comes out of bytes fed in pieces of `step`. */
static void read_all(struct str in, size_t step, struct buf *out)
{
	struct ws_reader r;
	int n = 0;
	ws_reader_init(&r, MESSAGE_MAX);
	while (in.n && n >= 0) {
		struct str piece = str_sub(in, 0, step);
		struct ws_message m;
		in = str_from_at(in, piece.n);
		while ((n = ws_read(&r, &piece, &m)) > 0) {
			assert(m.bytes.n <= (m.kind >= WS_CLOSE ? (size_t)WS_CONTROL_MAX : (size_t)MESSAGE_MAX));
			assert(m.kind != WS_TEXT || str_is_utf8(m.bytes));
			assert(m.kind != WS_CLOSE || ws_close_code(m.bytes));
			buf_printf(out, "%d %zu:", (int)m.kind, m.bytes.n);
			buf_add_str(out, m.bytes);
		}
		assert(n < 0 || piece.n == 0);
	}
	assert(n == 0 || n == -WS_BROKEN || n == -WS_NOT_TEXT || n == -WS_TOO_LARGE);
	buf_printf(out, "%d", n);
	ws_reader_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf CLEAN_BUF whole, CLEAN_BUF parts;
	buf_init(&whole, 1 << 20);
	buf_init(&parts, 1 << 20);
	read_all(str_of((const char *)data, size), size ? size : 1, &whole);
	read_all(str_of((const char *)data, size), size ? data[0] % 7 + 1 : 1, &parts);
	assert(str_eq(buf_str(&whole), buf_str(&parts)));
	return 0;
}
