/* An upload as the files that bring it on see it. Private to upload.c and upload_keep.c; everything on the loop's thread but what a
 * job has taken. */
#pragma once
#include "aws/ecr/upload.h"
#include "base/hash.h"
#include "store/blob.h"

enum { UPLOAD_SLOTS = 4, UPLOAD_SLOT_BYTES = 256 * 1024, UPLOADS_MAX = 1000 };

struct ecr_upload {
	struct ecr_state *s;
	struct arena arena;
	struct ecr_place place;
	char id[37];
	int64_t touched_ms;
	struct call *call; /* that brings it on; NULL: none does */
	bool ended;        /* out of the table: freed when idle */
	bool kept;         /* there is a record of it */
	/* content */
	struct blob *blob;              /* NULL: nothing has come yet, or it is sealed, or an earlier process began it */
	char begun_id[BLOB_ID_LEN + 1]; /* then: which it is; "": none */
	struct hash hash;
	uint64_t size, writeback;
	int error; /* negative errno: the file is lost; set by the thread */
	bool small_part, last_small;
	/* the ring */
	char *slots[UPLOAD_SLOTS];
	size_t slot_used[UPLOAD_SLOTS], filled;
	uint64_t full, passed, until;
	bool running;
	/* the body at hand */
	struct str rest;
	int rest_status, body_status;
	bool memory, asking, pumping, body_ended, waiting;
	/* the end */
	struct str digest;
	call_resume_fn *finish;
	bool flushing, sealing, sealed, cancelled;
	char blob_id[BLOB_ID_LEN + 1];
	bool adopted, committed;
};

/* Does whatever can be done now; called after every event. */
void upload_step(struct ecr_upload *u);
/* The call brings it on from now on; what becomes of it when the call is over is upload.c's. No bytes come with it. */
void upload_hold(struct call *c, struct ecr_upload *u);
/* The call is over, or its client is gone. */
void upload_let_go(struct call *c);
/* In the table from now on. */
struct ecr_upload *upload_new(struct ecr_state *s, const struct ecr_place *p, struct str id, int64_t now_ms);
/* The file that bytes are added to. Negative errno. */
int upload_open(struct ecr_upload *u);
/* What a failure to write is to the client. Ends the upload. */
int upload_fail_write(struct call *c, struct ecr_upload *u);
/* Its record goes: in a transaction, or by itself. */
void upload_unrecord(struct store_txn *t, struct arena *a, const struct ecr_upload *u);
void upload_forget(struct ecr_upload *u);
