/* The data channel of Session Manager's sessions: the WebSocket at /v1/data-channel/<session>, and what it carries. */
#pragma once
#include "core/cloud.h"

struct http_request;

/* True: the request was for that, and is answered. Whoever has the session's token may come; nothing else is asked. */
bool data_channel_take(struct cloud *cloud, struct http_request *r);
