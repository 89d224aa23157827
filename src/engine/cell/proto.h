/* What `api` may say to `priv`, and what `api` may say to the first process of a cell: fixed structs, one a message.
 *
 * To `priv` (answers carry the cell's number and come in any order):
 *   FACTS    what works here
 *   MAKE     a finished, empty cell; the answer brings the descriptors of enum cell_fd
 *   DRESS    limits and code, or the layers of an image, once; with a descriptor: the namespace of a VPC's port (net/share.h) that
 *            the cell's link leads into from now on
 *   DESTROY  kill and remove; GONE follows, as it does when a cell ends by itself
 *   CHANNEL  carries a socket on which another part of `priv` is spoken to (enum priv_channel); no answer
 * To a cell's pid 1, on the socket that MAKE brought: START, SIGNAL, KILL_ALL; it says EXITED of each that ends, and EMPTY when
 * all are gone after KILL_ALL. */
#pragma once
#include <stdint.h>

enum priv_verb { PRIV_FACTS = 1, PRIV_MAKE, PRIV_DRESS, PRIV_DESTROY, PRIV_GONE, PRIV_CHANNEL };
enum priv_channel { PRIV_CHANNEL_NETWORK, PRIV_CHANNEL_MACHINE, PRIV_CHANNEL_TASK, PRIV_CHANNEL_LAYER, PRIV_CHANNELS };
enum { PRIV_PATH_MAX = 256, CELL_PIDS_MAX = 1024 };
enum { PRIV_LAYERS_MAX = 127, PRIV_LAYER_BYTES = 32 };
enum { CELL_MEMORY_MB_MIN = 16, CELL_MEMORY_MB_MAX = 1 << 20, CELL_TMP_MB_MIN = 1, CELL_TMP_MB_MAX = 1 << 20 };

struct priv_header {
	uint32_t verb;
	uint32_t number; /* chosen by api, not in use, > 0; 0 in FACTS and CHANNEL */
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
	uint32_t layer_count; /* above 0: these layers are the root instead of the machine's files; then code and opt are "" */
	uint8_t layers[PRIV_LAYERS_MAX][PRIV_LAYER_BYTES]; /* diff ids, the lowest first; so many as there are are sent */
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
	char why_not[160], why_no_network[160];
};

union priv_any_answer {
	struct priv_answer a;
	struct priv_facts_answer facts;
};

enum init_verb { INIT_START = 1, INIT_SIGNAL, INIT_KILL_ALL, INIT_EXITED, INIT_EMPTY };
enum { INIT_PROCESSES_MAX = 32, INIT_MESSAGE_MAX = 64 * 1024 };
enum init_flag {
	INIT_TERMINAL = 1, /* the descriptor is a terminal: all three of the process's, and its controlling one */
	INIT_IMAGE = 2,    /* in a cell made from a zygote: the runtime that is loaded already goes on, argv is not executed */
	INIT_EXACT = 4,    /* the directory has to be there; a program without a slash is looked for in PATH */
};
/* In the flags of EXITED: it never ran, and why. */
enum init_failure { INIT_RAN, INIT_NO_DIRECTORY, INIT_NO_PROGRAM };

struct init_message {
	uint32_t verb;
	uint32_t process; /* chosen by api, > 0 */
	int32_t value;    /* SIGNAL: the signal; EXITED: the wait status, or the error (positive) of what never ran */
	uint32_t flags;
	uint32_t argc, envc; /* START: cwd, then so many strings of argv and of env follow, each with its NUL */
	                     /* START carries one descriptor (output), or two: the second becomes number INIT_EXTRA_FD */
};
enum { INIT_EXTRA_FD = 3 };
