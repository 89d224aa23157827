#include "engine/cell/lockdown.h"
#include "engine/cell/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READ_FILE = LANDLOCK_ACCESS_FS_READ_FILE, READ_TREE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
enum { READ_WRITE_FILE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE };

/* Every right of the first Landlock; the later ones are added where the kernel knows them. */
static const uint64_t first_rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

static uint64_t rights_of(long abi)
{
	uint64_t rights = first_rights;
	if (abi >= 2)
		rights |= 1ull << 13; /* REFER: rename and link between directories */
	if (abi >= 3)
		rights |= 1ull << 14; /* TRUNCATE */
	return rights;
}

/* A path that is not there needs no rule. */
static int allow(int rules, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr a = {.allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat st;
	if (a.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	/* the kernel refuses rights of directories for a file */
	if (fstat(a.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		a.allowed_access &= READ_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | 1ull << 14;
	int error = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0 ? -errno : 0;
	close(a.parent_fd);
	return error;
}

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int lockdown_landlock_version(void)
{
	long abi = landlock_version();
	return abi > 0 ? (int)abi : 0;
}

static int confine_paths(const struct lockdown *config, bool *ret_landlock)
{
	static const char *const readable[] = {"/usr",
	                                       "/lib",
	                                       "/lib64",
	                                       "/etc",
	                                       "/proc/self",
	                                       "/proc/meminfo",
	                                       "/proc/cpuinfo",
	                                       "/proc/stat",
	                                       "/run/systemd/resolve",
	                                       "/sys/devices/system/cpu"};
	static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/ptmx", "/dev/pts"};
	long abi = landlock_version();
	*ret_landlock = abi >= 1;
	if (abi < 1)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	uint64_t rights = rights_of(abi);
	struct landlock_ruleset_attr attr = {.handled_access_fs = rights};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return -errno;
	int error = allow(
	        rules, config->data_dir,
	        rights & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK));
	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]) && !error; i++)
		error = allow(rules, readable[i], READ_TREE);
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]) && !error; i++)
		error = allow(rules, devices[i], READ_WRITE_FILE);
	for (const char *const *d = config->read_dirs; d && *d && !error; d++)
		error = allow(rules, *d, READ_TREE);
	if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		error = -errno;
	close(rules);
	return error;
}

int lockdown_api(const struct lockdown *config, bool *ret_landlock)
{
	/* not dumpable: another process of the same user cannot look at the keys in our memory */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	bool landlock = false;
	int error = confine_paths(config, &landlock);
	if (!error)
		error = confine_api_syscalls();
	if (!error)
		*ret_landlock = landlock;
	return error;
}
