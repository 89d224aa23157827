/* Does a guest boot under KVM here? The kernel and the initial file system are those that instances boot, so what keeps them from
 * booting is found. The guest is told to mount what is no disk: its first program complains and switches the machine off. */
#include "engine/vm/machine_state.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SILENCE_US = 20 * 1000000, MEMORY_MB = 256, VERDICT_MAX = 160 };
#define PROBE "kvm-probe"
#define VERDICT "kvm"
#define COMMAND_LINE "console=ttyS0 panic=-1 root=/proc"
static const char said_by_the_first_program[] = "init: /proc: ";

/* What a verdict holds for: this boot of the machine, and this kernel. */
static int subject(const struct machines *s, char ret[VERDICT_MAX])
{
	struct stat st;
	if (stat(s->kvm_kernel, &st) < 0)
		return -errno;
	snprintf(ret, VERDICT_MAX, "%s %lld.%09ld ", s->kvm_boot, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static void keep(struct machines *s, bool works)
{
	char text[VERDICT_MAX + 8];
	if (subject(s, text) < 0)
		return;
	strcat(text, works ? "works" : "fails");
	int fd = openat(s->dir, VERDICT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* a part of it is no verdict */
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		log_warn("whether KVM works cannot be kept: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static enum machines_kvm kept(const struct machines *s)
{
	char text[VERDICT_MAX + 8], about[VERDICT_MAX];
	int fd = openat(s->dir, VERDICT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0 || subject(s, about) < 0)
		return MACHINES_KVM_UNTRIED;
	text[n] = 0;
	if (strncmp(text, about, strlen(about)) != 0)
		return MACHINES_KVM_UNTRIED;
	const char *verdict = text + strlen(about);
	return strcmp(verdict, "works") == 0   ? MACHINES_KVM_WORKS
	       : strcmp(verdict, "fails") == 0 ? MACHINES_KVM_FAILS
	                                       : MACHINES_KVM_UNTRIED;
}

/* A guest that hangs says nothing more. */
static void is_silent(void *ctx)
{
	struct machines *s = ctx;
	size_t n = machine_console(s->kvm_probe).n;
	s->kvm_late = NULL;
	if (n > s->kvm_heard) {
		s->kvm_heard = n;
		s->kvm_late = loop_add_timer(s->loop, SILENCE_US, is_silent, s);
		return;
	}
	machine_stop(s->kvm_probe, 0);
}

void machines_kvm_begin(struct machines *s)
{
	if (!s->facts.known || !s->facts.works || !s->kvm_boot[0] || !s->kvm_kernel[0] || s->facts.kvm != MACHINES_KVM_UNTRIED)
		return;
	s->facts.kvm = kept(s);
	if (s->facts.kvm != MACHINES_KVM_UNTRIED)
		return;
	const struct machine_spec spec = {.kind = MACHINE_VM,
	                                  .id = PROBE,
	                                  .vcpus = 1,
	                                  .memory_mb = MEMORY_MB,
	                                  .cpu_percent = 100,
	                                  .kernel = s->kvm_kernel,
	                                  .initrd = s->kvm_initrd,
	                                  .cmdline = COMMAND_LINE,
	                                  .probe = true};
	s->facts.kvm = MACHINES_KVM_TRYING;
	s->kvm_probe = machine_start(s, &spec, NULL);
}

void machines_kvm_started(struct machine *probe)
{
	struct machines *s = probe->owner;
	s->kvm_heard = 0;
	s->kvm_late = loop_add_timer(s->loop, SILENCE_US, is_silent, s);
}

void machines_kvm_ended(struct machine *probe, enum machine_end how)
{
	struct machines *s = probe->owner;
	bool works = str_find(machine_console(probe), str_from(said_by_the_first_program)) >= 0;
	loop_remove_timer(s->loop, s->kvm_late);
	s->kvm_late = NULL;
	s->facts.kvm = works ? MACHINES_KVM_WORKS : MACHINES_KVM_FAILS;
	if (how == MACHINE_NOT_STARTED) {
		/* that says nothing about KVM: another time */
		log_warn("whether guests boot under KVM could not be tried");
	} else {
		keep(s, works);
		log_info("guests %s", works ? "run under KVM" : "are emulated: none boots under this machine's KVM");
	}
	s->kvm_probe = NULL;
	machine_free(probe);
}

void machines_try_kvm(struct machines *s, const char *kernel, const char *initrd)
{
	if (s->kvm_kernel[0] || strlen(kernel) >= sizeof(s->kvm_kernel) || strlen(initrd) >= sizeof(s->kvm_initrd))
		return;
	snprintf(s->kvm_kernel, sizeof(s->kvm_kernel), "%s", kernel);
	snprintf(s->kvm_initrd, sizeof(s->kvm_initrd), "%s", initrd);
	machines_kvm_begin(s);
}
