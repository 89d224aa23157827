/* What `api` may say to the part of `priv` that makes tasks and unpacks layers (steward.c), and what it says to a task's shim and
 * hears from it (shim.c): fixed structs, one a message, at most with bytes behind them that are only copied.
 *
 * To the steward, on PRIV_CHANNEL_TASK, and the last two on PRIV_CHANNEL_LAYER:
 *   FACTS   what works here, with the OCI runtime of that number
 *   START   a task's sandbox with the root file systems of its containers, none of which runs. Descriptors: those of enum task_fd,
 *           then one plan a container, then the port, if it has one. The answer says its slot; api speaks with the shim afterwards
 *   KILL    everything in a slot
 *   UNPACK  a layer. Descriptor: its file
 *   TRIM    removes the unpacked layers that nobody has locked, but for those named: the names come as further TRIMs with `more`
 * A shim says HELLO with the listener's descriptor on every connection, then how each container stands, then what happens. LINEs
 * are kept until they are acknowledged by TAKEN; they come again on the next connection when they were not. */
#pragma once
#include <stdint.h>

enum {
	STEWARD_SLOTS = 4096,
	STEWARD_CONTAINERS_MAX = 16,
	STEWARD_LAYERS_MAX = 512, /* of one task */
	STEWARD_CHAIN_MAX = 127,  /* of one container */
	STEWARD_VOLUMES_MAX = 32,
	STEWARD_DIGEST_BYTES = 32,
	STEWARD_TRIM_MAX = 256, /* names in one message */
	STEWARD_NAME_MAX = 64,
	STEWARD_WHY_MAX = 240,
	STEWARD_MEMORY_MAX_MB = 1 << 20,
	/* The shim and the OCI runtime, on top of the task's own memory. */
	STEWARD_OVERHEAD_MB = 64,
	/* Ids on the machine of tasks' users and of the owners of unpacked files. Below those of instances that are containers. */
	TASK_UID_BASE = 0x60000000,
	TASK_UIDS = 1 << 16,
	LAYER_UID_BASE = TASK_UID_BASE - TASK_UIDS,
	TASK_PIDS = 8192,
};

enum steward_verb { STEWARD_FACTS = 1, STEWARD_START, STEWARD_KILL, STEWARD_UNPACK, STEWARD_TRIM };
enum steward_runtime { STEWARD_CRUN, STEWARD_RUNC, STEWARD_KATA, STEWARD_RUNSC, STEWARD_RUNTIMES };
enum task_fd {
	TASK_FD_LISTEN, /* a listening SOCK_SEQPACKET socket, for the shim */
	TASK_FD_HOSTS,  /* contents of /etc/hosts, /etc/resolv.conf, /etc/hostname */
	TASK_FD_RESOLV,
	TASK_FD_HOSTNAME,
	TASK_FDS /* then plans, then the port */
};

struct steward_container {
	uint32_t layer_count;               /* 0: an empty root, for a helper of the cloud's own */
	uint16_t layers[STEWARD_CHAIN_MAX]; /* into `digests`, the lowest first */
	uint16_t reserved;
	uint64_t memory_bytes, memory_soft_bytes; /* 0: no limit of its own */
	uint32_t cpu_units;                       /* 0: 2 */
	uint32_t reserved_too;
};

struct steward_request {
	uint32_t verb;
	uint32_t number; /* chosen by api, comes back with the answer. KILL: the slot; FACTS: enum steward_runtime */
	/* START */
	uint32_t runtime; /* enum steward_runtime */
	uint32_t container_count, layer_count, volume_count;
	uint32_t cpu_units; /* 0: no limit */
	uint32_t has_port, address, gateway, prefix;
	uint32_t has_address6, reserved;
	uint8_t address6[16];
	uint64_t memory_bytes, scratch_bytes;
	char name[STEWARD_NAME_MAX]; /* of the task; also the host name's fallback */
	struct steward_container containers[STEWARD_CONTAINERS_MAX];
	uint8_t digests[STEWARD_LAYERS_MAX][STEWARD_DIGEST_BYTES]; /* diff ids */
};

struct steward_unpack {
	uint32_t verb, number;
	uint8_t digest[STEWARD_DIGEST_BYTES], diff_id[STEWARD_DIGEST_BYTES];
	uint64_t file_bytes, max_bytes;
	uint32_t max_entries;
	uint32_t reserved;
};

struct steward_trim {
	uint32_t verb, number;
	uint32_t more; /* 1: another TRIM follows */
	uint32_t count;
	uint8_t keep[STEWARD_TRIM_MAX][STEWARD_DIGEST_BYTES];
};

union steward_any_request {
	struct {
		uint32_t verb, number;
	} h;
	struct steward_request start;
	struct steward_unpack unpack;
	struct steward_trim trim;
};

struct steward_answer {
	uint32_t verb, number;
	int32_t error;
	uint32_t slot;
	uint32_t works; /* FACTS */
	char why[STEWARD_WHY_MAX];
};

/* Is this message, with so many descriptors, one that may be obeyed? 0 or -EINVAL. Pure, for tests and fuzzing. */
int steward_check(const void *p, unsigned long n, unsigned long nfds);

/* ---- the shim ---- */

/* The head of a plan: what the shim itself must know of a container. Then come the configuration of the OCI runtime, into which the
 * shim inserts the user at the offset given, the words of the health check,
 * and names and values of the network's sysctls, each with its NUL. */
struct task_plan {
	uint32_t config_bytes, config_user_at;
	uint32_t health_bytes; /* 0: no check */
	uint32_t sysctl_bytes; /* at most TASK_TEXT_MAX */
	int64_t health_interval_us, health_timeout_us, health_start_us;
	uint32_t health_retries;
	uint32_t stop_signal;
	int64_t stop_timeout_us;
	uint32_t has_terminal;
	uint32_t shares_processes; /* with the task's other containers */
	uint32_t reserved;
	char name[256];
	char user[256];
	char workdir[1024];
};

enum task_verb {
	/* from api */
	TASK_START = 1, /* a container */
	TASK_STOP,
	TASK_EXEC,  /* descriptor: its words, each with its NUL: `environment` of them variables, then the command */
	TASK_TAKEN, /* number: of the last line that was taken */
	TASK_STAT,
	TASK_QUIT, /* kills everything; the connection ends */
	/* to api */
	TASK_HELLO, /* number: how many containers; descriptor: the metadata listener */
	TASK_STARTED,
	TASK_EXITED,
	TASK_LINE,
	TASK_HEALTH,
	TASK_OPENED, /* EXEC: the terminal, or an error; number: EXEC's */
	TASK_CLOSED, /* EXEC: it has ended */
	TASK_STATS,
};

struct task_order {
	uint32_t verb, number, container;
	uint32_t bytes, environment;
};

struct task_word {
	uint32_t verb, number, container;
	int32_t error;
	uint32_t code;
	/* EXITED: TASK_WAS_OOM, TASK_NEVER_RAN; LINE: TASK_IS_ERROR; HEALTH: enum task_health_state; HELLO: a bit for each
	 * container that has begun to start, of which STARTED or EXITED tell more */
	uint32_t flags;
	int64_t at_ms;                                    /* the machine's clock */
	uint64_t cpu_us, memory_bytes, memory_peak_bytes; /* STATS */
	uint32_t bytes; /* of text behind this struct: LINE, EXITED, OPENED; HELLO: names, NUL-ended */
	uint32_t slot;  /* HELLO */
};
enum { TASK_WAS_OOM = 1, TASK_NEVER_RAN = 2, TASK_IS_ERROR = 1 };
enum { TASK_TEXT_MAX = 16 * 1024 };

/* Pure. */
int task_check_order(const void *p, unsigned long n, unsigned long nfds);
