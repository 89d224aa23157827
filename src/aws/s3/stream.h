/* Replies whose bytes lie in several files. */
#pragma once
#include "aws/s3/content.h"

/* Makes the pieces, `length` bytes in all, the call's streamed reply. */
int stream_reply(struct call *c, const struct content_pieces *pieces, uint64_t length);
