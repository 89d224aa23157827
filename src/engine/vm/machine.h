/* Virtual machines and system containers: the face for the EC2 service.
 *
 * A machine is a QEMU process under a user of its own, in a root directory without files of this machine, without network (its
 * interfaces are tap descriptors that it was given) and inside a control group of its size. A shim starts it, holds its console and
 * its monitor, and outlives `api`, `main` and `priv`; this side finds it again by its socket below DATA/machines. Guests run under
 * KVM where one was seen to boot under it, and are emulated elsewhere.
 *
 * Everything runs on the loop of the role that made `struct machines` and calls back on it, never from inside a call of this
 * header. */
#pragma once
#include "base/str.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct machines;
struct machine;
struct cells;
struct work;

enum { MACHINE_ID_MAX = 40, MACHINE_DISKS_MAX = 16, MACHINE_PORTS_MAX = 8, MACHINE_CONSOLE_BYTES = 64 * 1024 };

struct machine_disk {
	const char *volume;       /* its name in DATA/volumes (engine/volume) */
	const char *serial;       /* what the guest sees: "vol0123456789abcdef0" */
	const char *device;       /* "/dev/sdf": an unique name in this machine */
	uint32_t iops, mib_per_s; /* in the long run; 0: unlimited */
	/* A bucket lets it go faster for a while: at `burst` IOPS (MiB/s, where iops is unlimited), and a full one would last for
	 * burst_s seconds if nothing came in, which does at the rates above. It is full when the disk is plugged in. 0: none. */
	uint32_t burst, burst_s;
};

struct machine_port {
	const char *id; /* "eni-..." */
	int fd;         /* copied. VM: a tap device; container: the port's plug (engine/net/plug.h) */
	uint8_t mac[6];
};

/* A virtual machine, or a system container: the same disks, ports and console, but the image's own init under this machine's
 * kernel, its users ids of no one else. A container's root disk is an ext4 file system without partitions; its others appear as
 * block devices in its /dev. */
enum machine_kind { MACHINE_VM, MACHINE_CONTAINER };

struct machine_spec {
	enum machine_kind kind;
	const char *id; /* "i-0123456789abcdef0" */
	unsigned vcpus, memory_mb;
	unsigned cpu_percent; /* of all vCPUs together that it may use all the time (100 * vcpus: no limit) */
	/* Direct boot from these files (absolute paths that this role may read); NULL: the disk's own boot loader. */
	const char *kernel, *initrd, *cmdline;
	const struct machine_disk *disks; /* the first is the root device */
	size_t disk_count;
	const struct machine_port *ports;
	size_t port_count;
	bool ports_follow; /* containers: `ports` is empty, and they come by machine_give_ports() while the rest is prepared */
	bool hold;         /* prepare it, and let it run at machine_release() */
	bool probe;        /* machine_kvm.c */
};

enum machine_end {
	MACHINE_SHUT_DOWN,   /* the guest switched itself off */
	MACHINE_STOPPED,     /* machine_stop() */
	MACHINE_CRASHED,     /* QEMU ended by itself or was killed */
	MACHINE_CUT_OFF,     /* found, but whoever started it had died before it ran: it may be started anew */
	MACHINE_NOT_STARTED, /* error says why */
};

struct machine_events {
	void (*started)(void *ctx, struct machine *m); /* its processors run */
	void (*ended)(void *ctx, struct machine *m, enum machine_end how, int error);
	/* Once: facts are known, and every machine of an earlier run has been found(). Until then none may be started. */
	void (*settled)(void *ctx);
	/* machine_attach(), machine_detach(), machine_snapshot(), machine_resize() are done; 0 or negative errno. -ESRCH: it has
	 * ended meanwhile, and a snapshot is perhaps half done: volume_freeze() of the same names completes it. */
	void (*disk)(void *ctx, struct machine *m, const char *volume, int error);
	/* The same of machine_plug_port() and machine_unplug_port(); not after its end. */
	void (*port)(void *ctx, struct machine *m, const char *port, int error);
	/* machine_down(): the guest has ended, and its disks stand still; or error says why not. Not after its end. */
	void (*down)(void *ctx, struct machine *m, int error);
};

enum machines_kvm { MACHINES_KVM_UNTRIED, MACHINES_KVM_TRYING, MACHINES_KVM_WORKS, MACHINES_KVM_FAILS };

struct machines_facts {
	bool known, works;
	char why_not[160]; /* QEMU is not installed, ... */
	bool containers_work;
	char no_containers[160];
	enum machines_kvm kvm;
};

/* `events` must live as long as the machines. found() comes for each machine of an earlier run that is still there, before facts
 * are known: take it with the ctx that its events shall get, or return NULL and it is ended. */
typedef void *machine_found_fn(void *ctx, struct machine *m, const char *id);
struct machines *machines_new(struct loop *l, struct work *work, struct cells *cells, const char *data_dir,
                              const struct machine_events *events, machine_found_fn *found, void *ctx);
void machines_free(struct machines *s); /* forgets them; they go on */
const struct machines_facts *machines_facts(const struct machines *s);
/* machine_kvm.c: boots a guest without disks of this kernel and initial file system (tools/make-image's: absolute paths) under KVM,
 * if this machine has it, and looks whether it comes to its first program: that /dev/kvm can be opened does not say so. Once a boot
 * of the machine; the verdict is kept below DATA/machines. */
void machines_try_kvm(struct machines *s, const char *kernel, const char *initrd);
/* DATA/volumes, for engine/volume; theirs. */
int machines_volumes_dir(const struct machines *s);

/* Never NULL; started() or ended() follows. The handle lives until machine_free(). */
struct machine *machine_start(struct machines *s, const struct machine_spec *spec, void *ctx);
void machine_release(struct machine *m);
/* Once, after ports_follow; the descriptors are copied. It runs when they are in place. */
void machine_give_ports(struct machine *m, const struct machine_port *ports, size_t n);
const char *machine_id(const struct machine *m);
/* The power button, and after grace_us the plug (0: the plug at once). ended() follows. */
void machine_stop(struct machine *m, int64_t grace_us);
/* The guest is asked to end and boots anew, after four minutes whether it wants or not. ended() does not follow. */
void machine_reset(struct machine *m);
/* The same in two parts, with snapshots in between: down() follows the first. One that is down when it is found is still so. */
int machine_down(struct machine *m);
void machine_up(struct machine *m);
bool machine_is_down(const struct machine *m);
/* Was it found before it ran? Then it is being ended: MACHINE_CUT_OFF follows. */
bool machine_is_cut_off(const struct machine *m);
/* Its processes are killed, as they are when what they run on fails; ended() follows. -ESRCH: it does not run. */
int machine_kill(struct machine *m);
/* Forgets the handle, and ends the machine if it still runs. Nothing of it is left then: process, socket, group. */
void machine_free(struct machine *m);

/* While it runs; the disk() event follows. -ENOTSUP where the machine has no slot for it. */
int machine_attach(struct machine *m, const struct machine_disk *d);
/* force: a virtual machine that does not let go of it within seconds loses it all the same. */
int machine_detach(struct machine *m, const char *volume, bool force);
/* A layer of what the volume holds at this moment (see volume_freeze()). */
int machine_snapshot(struct machine *m, const char *volume, const char *layer);
/* machine_port.c: an interface, while it runs; the port() event follows. -EEXIST: it has it; -ENOENT: it has not. The tap is
 * copied. */
int machine_plug_port(struct machine *m, const struct machine_port *p);
int machine_unplug_port(struct machine *m, const struct machine_port *p);
/* Of d the volume and the speed count, which holds from now on. */
int machine_resize(struct machine *m, const struct machine_disk *d, uint64_t size);

/* machine_session.c: a session (engine/session) inside. begun(ctx, stream, error) comes once, later: the stream is the session's;
 * -1: error says why not (-ESRCH: the machine has ended). Close it with machine_session_close(), before begun() too; it outlives
 * its machine, whose end closes the stream. NULL: it does not run, or has as many as it may. */
struct machine_session;
typedef void machine_session_fn(void *ctx, int stream, int error);
struct machine_session *machine_session(struct machine *m, machine_session_fn *begun, void *ctx);
void machine_session_close(struct machine_session *s);

/* machine_screen.c: what its screen shows, as a pixmap for screen_jpeg() (engine/vm/screen.h). done(ctx, fd, error) comes once,
 * later; fd is the callee's. -ENOTSUP: it has no screen. wake: a key is pressed first. Negative errno: done() does not come. */
typedef void machine_screen_fn(void *ctx, int fd, int error);
int machine_screen(struct machine *m, bool wake, machine_screen_fn *done, void *ctx);

/* The last MACHINE_CONSOLE_BYTES that came from its serial console, also after it has ended and until machine_free(). Valid until
 * the loop goes on. */
struct str machine_console(struct machine *m);

struct machine_usage {
	uint64_t cpu_us;       /* of its virtual processors */
	uint64_t memory_bytes; /* in use: of a container with its page cache, else what QEMU has of this machine's; 0: not known */
	uint64_t disk_read_bytes, disk_write_bytes, disk_read_ops, disk_write_ops;
	int64_t at_us; /* when that was so, by the loop's clock; 0: not known yet */
};
/* What each disk has been asked for since it was plugged in, as of at_us. Valid until the loop goes on. */
struct machine_disk_use {
	char volume[MACHINE_ID_MAX];
	uint64_t read_bytes, write_bytes, read_ops, write_ops;
	uint64_t read_ns, write_ns; /* all of its operations together took */
	int32_t waiting;            /* operations that have begun and not ended; -1: not known, of a virtual machine */
};
const struct machine_disk_use *machine_disk_uses(const struct machine *m, size_t *ret_count);
/* So much of one vCPU may all of its vCPUs together use from now on. Acts at once on one that runs. */
void machine_limit_cpu(struct machine *m, unsigned vcpus, unsigned percent);
/* Refreshed about once a minute, and in a moment when machine_look() asks for it. */
void machine_look(struct machine *m);
void machine_usage(const struct machine *m, struct machine_usage *ret_usage);
