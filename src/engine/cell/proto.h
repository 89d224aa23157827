/* What `api` may say to `priv`, and what `api` may say to the first process of a cell: fixed structs, one a message.
 *
 * To `priv` (answers carry the cell's number and come in any order):
 *   FACTS    what works here
 *   MAKE     a finished, empty cell; the answer brings the descriptors of enum cell_fd
 *   DRESS    limits and code, or the layers of an image, once; with a descriptor: the namespace of a VPC's port (net/share.h) that
 *            the cell's link leads into from now on
 *   DESTROY  kill and remove; GONE follows, as it does when a cell ends by itself
 *   SNAPSHOT keeps what runs in a cell as a file that only root reads, and ends it; FORGET removes such a file
 *   CHANNEL  carries a socket on which another part of `priv` is spoken to (enum priv_channel); no answer
 * To a cell's pid 1, on the socket that MAKE brought: START, SIGNAL, KILL_ALL, CONNECT; it says EXITED of each that ends, EMPTY
 * when all are gone after KILL_ALL, and CONNECTED with a socket after CONNECT. */
#pragma once
#include <stdint.h>

enum priv_verb { PRIV_FACTS = 1, PRIV_MAKE, PRIV_DRESS, PRIV_DESTROY, PRIV_GONE, PRIV_CHANNEL, PRIV_SNAPSHOT, PRIV_FORGET };
enum priv_channel { PRIV_CHANNEL_NETWORK, PRIV_CHANNEL_MACHINE, PRIV_CHANNEL_TASK, PRIV_CHANNEL_LAYER, PRIV_CHANNELS };
enum { PRIV_PATH_MAX = 256, CELL_PIDS_MAX = 1024 };
enum { PRIV_SNAPSHOT_NAME = 33, PRIV_WHY_MAX = 200 }; /* 32 hexadecimal digits and a NUL */
enum { PRIV_LAYERS_MAX = 127, PRIV_LAYER_BYTES = 32 };
enum { CELL_MEMORY_MB_MIN = 16, CELL_MEMORY_MB_MAX = 1 << 20, CELL_TMP_MB_MIN = 1, CELL_TMP_MB_MAX = 1 << 20 };

struct priv_header {
	uint32_t verb;
	uint32_t number; /* chosen by api, not in use, > 0; 0 in FACTS, CHANNEL and FORGET */
};

struct priv_facts_request {
	struct priv_header h;
};

struct priv_make_request {
	struct priv_header h;
	uint32_t background; /* 1: for the pool: little CPU until it is dressed */
	uint32_t image;      /* enum cell_image. Answers: -EAGAIN: its zygote is being started; -ENOTSUP: there is none */
};

struct priv_dress_request {
	struct priv_header h;
	uint32_t memory_mb, tmp_mb;
	uint32_t shared;          /* 1: a descriptor comes with it */
	char code[PRIV_PATH_MAX]; /* relative to the code directory, NUL-terminated; "": none */
	char opt[PRIV_PATH_MAX];
	char snapshot[PRIV_SNAPSHOT_NAME]; /* "": none. -ESTALE: there is none that can be restored */
	uint32_t layer_count; /* above 0: these layers are the root instead of the machine's files; then code and opt are "" */
	uint8_t layers[PRIV_LAYERS_MAX][PRIV_LAYER_BYTES]; /* diff ids, the lowest first; so many as there are are sent */
};

/* What the process in the cell has asked the Runtime API and waits for. */
enum priv_waits { PRIV_WAITS_RESTORE, PRIV_WAITS_NEXT, PRIV_WAITS };
struct priv_snapshot_request {
	struct priv_header h;
	uint32_t waits, mb_max; /* of the file */
	char name[PRIV_SNAPSHOT_NAME];
};

struct priv_forget_request {
	struct priv_header h;
	char name[PRIV_SNAPSHOT_NAME];
};

struct priv_destroy_request {
	struct priv_header h;
};

struct priv_channel_request {
	struct priv_header h;
	uint32_t channel; /* enum priv_channel */
};

union priv_request {
	struct priv_header h;
	struct priv_facts_request facts;
	struct priv_make_request make;
	struct priv_dress_request dress;
	struct priv_destroy_request destroy;
	struct priv_channel_request channel;
	struct priv_snapshot_request snapshot;
	struct priv_forget_request forget;
};

/* Descriptors that come with the answer to MAKE, in this order. The last five may be absent: `present` says which came. */
enum cell_fd {
	CELL_FD_CONTROL,
	CELL_FD_RUNTIME,
	CELL_FD_ENDPOINT,
	CELL_FD_FREEZE,
	CELL_FD_CPU,
	CELL_FD_PEAK,
	CELL_FD_OOM,
	CELL_FD_USED,
	CELL_FDS
};

struct priv_answer {
	struct priv_header h;
	int32_t error;
	uint32_t present; /* MAKE: bit set of enum cell_fd */
};

struct priv_facts_answer {
	struct priv_answer a;
	int32_t cgroup_version;
	uint8_t works, memory_limit, cpu_limit, pids_limit, freezer, network, user_namespace, seccomp;
	uint8_t snapshots; /* enum priv_verdict; a second answer follows when they have been tried */
	char why_not[160], why_no_network[160], why_no_snapshots[PRIV_WHY_MAX];
};
enum priv_verdict { PRIV_UNTRIED, PRIV_WORKS, PRIV_FAILS };

struct priv_snapshot_answer {
	struct priv_answer a;
	char why[PRIV_WHY_MAX]; /* in words for the function's owner */
};

union priv_any_answer {
	struct priv_answer a;
	struct priv_facts_answer facts;
	struct priv_snapshot_answer snapshot;
};

enum init_verb { INIT_START = 1, INIT_SIGNAL, INIT_KILL_ALL, INIT_EXITED, INIT_EMPTY, INIT_CONNECT, INIT_CONNECTED };
enum { INIT_PROCESSES_MAX = 32, INIT_MESSAGE_MAX = 64 * 1024 };
enum init_flag {
	INIT_TERMINAL = 1, /* the descriptor is a terminal: all three of the process's, and its controlling one */
	INIT_IMAGE = 2,    /* in a cell made from a zygote: the runtime that is loaded already goes on, argv is not executed */
	INIT_EXACT = 4,    /* the directory has to be there; a program without a slash is looked for in PATH */
	INIT_RESTORE = 8,  /* the process becomes the one in the snapshot that `priv` has sent */
};
/* In the flags of EXITED: it never ran, and why. */
enum init_failure { INIT_RAN, INIT_NO_DIRECTORY, INIT_NO_PROGRAM };

struct init_message {
	uint32_t verb;
	uint32_t process; /* chosen by api, > 0; CONNECT and CONNECTED: the number of the question */
	int32_t value;    /* SIGNAL: the signal; EXITED: the wait status, or the error (positive) of what never ran; CONNECT: a port
	                     of 127.0.0.1; CONNECTED: 0, with the socket, or negative errno */
	uint32_t flags;
	uint32_t argc, envc; /* START: cwd, then so many strings of argv and of env follow, each with its NUL */
	                     /* START carries one descriptor (output), or two: the second becomes number INIT_EXTRA_FD */
};
enum { INIT_EXTRA_FD = 3, INIT_PROGRAM_FD = 4 };
