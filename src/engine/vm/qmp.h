/* A conversation with QEMU's monitor (docs/interop/qmp-spec.txt), for the shim alone. Commands are asked and answered one after the
 * other; the monitor answers within milliseconds, so a command blocks, for QMP_PATIENCE_MS at most. */
#pragma once
#include "base/json.h"

enum { QMP_PATIENCE_MS = 20000, QMP_LINE_MAX = 1 << 20, QMP_FDS_MAX = 4 };

struct qmp {
	int sock;
	struct buf in;
	/* Called for every event, also while a command waits. */
	void (*event)(void *ctx, struct str name, const struct json_value *data);
	void *ctx;
	bool dead;
};

/* Takes sock over, reads the greeting and leaves capability negotiation. 0 or negative errno. */
int qmp_open(struct qmp *q, int sock, void (*event)(void *ctx, struct str name, const struct json_value *data), void *ctx);
void qmp_close(struct qmp *q);
/* Reads what is there and reports events; false: the monitor is gone. */
bool qmp_read(struct qmp *q);
/* Sends {"execute": name, "arguments": arguments} (arguments: JSON, or "" for none), with a descriptor or -1. 0; -EPIPE,
 * -ETIMEDOUT, or -EREMOTEIO for an error of QEMU's, which is logged. ret_value, if given: the reply's "return", in the arena. */
int qmp_ask(struct qmp *q, struct arena *a, const char *name, struct str arguments, int fd, const struct json_value **ret_value);
