/* What `api` may say to the part of `priv` that starts machines (warden.c), and what it may say to a machine's shim (shim.c): fixed
 * structs, one a message.
 *
 * To the warden, on PRIV_CHANNEL_MACHINE:
 *   FACTS  what works here
 *   START  a machine without disks, its processors not yet running. Descriptors: those of enum warden_fd, then one tap a port.
 *          The answer says its slot; afterwards api speaks with the shim on the socket that it gave.
 *   KILL   everything in a slot's control group, whoever started it
 *   CPU    how much of its vCPUs a machine may use from now on; not answered
 *   BLOCK  what a container's shim cannot: a block device of a file that it offers, mounted (the root) or as a node in its /dev.
 *          Descriptors: those of enum block_fd; the answer carries the mount, or the device
 *   LINK   moves a network link from the namespace that a port came as into the container's. Descriptors: the two
 * To a shim, on connections to its listening socket: DISK, GIVE, UNPLUG, OVERLAY, RESIZE, HANDLES, RUN, SESSION, SCREEN, POWER,
 * RESET, QUIT, STATUS. Each is answered in order, with its own verb; ENDED comes on every connection when the machine is over, and
 * the shim stays for as long as somebody is connected, so that the end is heard. */
#pragma once
#include <stdint.h>

enum {
	MACHINE_SLOTS = 4096,
	MACHINE_CMDLINE_MAX = 512,
	MACHINE_NAME_MAX = 40,
	MACHINE_VCPUS_MAX = 256,
	MACHINE_MEMORY_MB_MIN = 64,
	MACHINE_MEMORY_MB_MAX = 1 << 24,
	MACHINE_OVERHEAD_MB = 256, /* QEMU's own memory, on top of the guest's */
	BOX_OVERHEAD_MB = 64,      /* a container's shim and storage daemon */
	MACHINE_CHAIN_MAX = 64,    /* files of one disk; they come in one message */
	/* First id on the machine of a container's users: above what distributions give to people and other container managers. */
	BOX_UID_BASE = 0x70000000,
	BOX_UIDS = 1 << 16,   /* of one container */
	MACHINE_SESSIONS = 4, /* at a time: a virtual machine has a port for each */
	BOX_OFFERS = 96,      /* how many disks a container can be given, one after the other, while its shim lives */
	/* Where, counted from the first of them, lies a mount of the first: what nobody has mounted yet makes the storage daemon
	 * turn in circles. Disks that come later have that for the moment until BLOCK. */
	BOX_OFFER_MOUNT = BOX_OFFERS,
};

enum warden_verb { WARDEN_FACTS = 1, WARDEN_START, WARDEN_KILL, WARDEN_BLOCK, WARDEN_LINK, WARDEN_CPU };
enum warden_fd {
	WARDEN_FD_LISTEN,  /* a listening SOCK_SEQPACKET socket, for the shim */
	WARDEN_FD_CONSOLE, /* a file, to which what the serial console says is appended */
	WARDEN_FD_KERNEL,
	WARDEN_FD_INITRD,
	WARDEN_FDS
};
enum block_fd {
	BLOCK_FD_OFFER,   /* a FUSE device that the shim's storage daemon serves, on which nothing is mounted yet; or the file, open
	                   */
	BLOCK_FD_DEVICES, /* the container's /dev */
	BLOCK_FD_USERS,   /* its user namespace */
	BLOCK_FDS
};

struct warden_request {
	uint32_t verb;
	uint32_t number;     /* chosen by api, comes back with the answer. KILL, CPU: the slot */
	uint32_t is_box;     /* START: a system container; only LISTEN and CONSOLE come, and no port */
	uint32_t slot;       /* BLOCK */
	uint32_t is_root;    /* BLOCK: mount it; else `name` is the node's */
	uint32_t index;      /* LINK: it becomes eth<index>, or the next that is free */
	uint32_t has_kernel; /* 1: KERNEL and INITRD came; 0: the first disk's own boot loader */
	uint32_t kvm;        /* 1: the processor runs the guest itself; 0: it is emulated */
	uint32_t vcpus, memory_mb, cpu_percent;
	uint32_t port_count;
	uint8_t mac[8][6];
	char name[MACHINE_NAME_MAX]; /* of the process */
	char cmdline[MACHINE_CMDLINE_MAX];
};

struct warden_answer {
	uint32_t verb, number;
	int32_t error;
	uint32_t slot;
};
struct warden_facts {
	struct warden_answer a;
	uint8_t works;
	char why_not[160];
	uint8_t boxes_work;
	char no_boxes[160];
	char kvm_boot[40]; /* "": no KVM; else the id of this boot of the machine, which a verdict about KVM holds for */
};
union warden_any_answer {
	struct warden_answer a;
	struct warden_facts facts;
};

enum shim_verb {
	SHIM_DISK = 1, /* plugs in a disk; descriptors: its files, top first. A container's answer carries a BLOCK_FD_OFFER */
	SHIM_UNPLUG,  /* answered when the guest has let go of it, or with -ETIMEDOUT. files 1: after a while without its consent */
	SHIM_OVERLAY, /* the disk goes on in another file that stands on the one of now; descriptor: that file */
	SHIM_RESIZE,  /* and how fast it is from now on: one verb, as an older shim hangs up on a verb that it does not know */
	SHIM_RUN,
	SHIM_POWER, /* the button; answered at once */
	/* Asks the guest to end, as the button does, and boots it anew when it has, or when it does not for minutes. Answered at
	 * once. files 1: answered when it has ended; it boots at the next RUN */
	SHIM_RESET,
	SHIM_QUIT, /* pulls the plug; ENDED follows */
	SHIM_STATUS,
	SHIM_ENDED,
	/* containers */
	SHIM_HANDLES, /* the answer carries those of enum handle_fd */
	SHIM_GIVE,    /* what the warden has made of a disk's file: the root's mount, or a block device; and the file under it */
	SHIM_PORT, /* plugs in a network interface: `disk` names it, `serial` is its address in hexadecimal; descriptor: its tap */
	SHIM_UNPORT, /* answered as UNPLUG */
	/* Begins a session (engine/session) inside; the answer carries its stream. `files`: a virtual machine's port for it. */
	SHIM_SESSION,
	/* What a virtual machine's screen shows, as a file of the portable pixmap format; -ENOTSUP: it has none. files 1: a key is
	 * pressed first. */
	SHIM_SCREEN,
};
enum handle_fd { HANDLE_DEVICES, HANDLE_USERS, HANDLE_NET, HANDLES };
enum shim_end { SHIM_END_NONE, SHIM_END_GUEST, SHIM_END_QUIT, SHIM_END_CRASH };

struct shim_request {
	uint32_t verb, number;         /* number: comes back with the answer */
	char disk[MACHINE_NAME_MAX];   /* names it */
	char serial[MACHINE_NAME_MAX]; /* DISK: what the guest sees; GIVE: its name in /dev, "" for the root */
	union {
		uint64_t raw; /* DISK: bit i: file i is raw, else qcow2 */
		struct {
			uint32_t most, seconds;
		} new_burst; /* RESIZE: as `burst` */
	};
	uint32_t files;           /* DISK: how many; RESIZE: 1: the speed counts */
	uint32_t is_root;         /* DISK: of a container */
	uint32_t iops, mib_per_s; /* DISK, RESIZE: 0: unlimited */
	union {
		uint64_t size; /* RESIZE: bytes */
		struct {
			uint32_t most, seconds;
		} burst; /* DISK: of IOPS, or of MiB/s where those are unlimited; 0: none */
	};
	char layer[MACHINE_NAME_MAX]; /* DISK of a container: its name in /dev, for the way on. OVERLAY: the name of what is now
	                                 below; asked for twice it is done once */
};

struct shim_answer {
	uint32_t verb, number;
	int32_t error;
	uint32_t slot;
	uint32_t running, end; /* running: 2: ended by a RESET, waits for RUN; end: enum shim_end */
	uint32_t is_box;
	uint64_t cpu_us;       /* STATUS: since its start */
	uint64_t memory_bytes; /* STATUS: that it has in use; 0: not known */
	uint64_t read_bytes, write_bytes, read_ops, write_ops;
};

/* Beside the answer to STATUS: a file with one of these for each of the machine's disks. */
struct shim_disk_use {
	char disk[MACHINE_NAME_MAX];
	uint64_t read_bytes, write_bytes, read_ops, write_ops, read_ns, write_ns; /* since it was plugged in */
	int32_t waiting, unused;                                                  /* waiting: now; -1: not known */
};

/* Pure checks, for tests and fuzzing: is this message, with so many descriptors, one that may be obeyed? 0 or -EINVAL. */
int warden_check(const void *p, unsigned long n, unsigned long nfds);
int shim_check(const void *p, unsigned long n, unsigned long nfds);
