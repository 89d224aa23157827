#include "role/ephemeral.h"

#include "io/msg.h"
#include "io/tree.h"
#include "role/role.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE "/tmp"
#define PREFIX "quartet-"

const char *ephemeral_make(struct arena *a)
{
	char *dir = arena_dupz(a, S(PLACE "/" PREFIX "XXXXXX"));
	if (!mkdtemp(dir))
		return NULL;
	chmod(dir, 0755);
	return dir;
}

/* Made by a cloud of this user's, and nobody else's to put things into. */
static bool is_ours(int dir)
{
	struct stat st;
	if (fstat(dir, &st) < 0)
		return false;
	const struct passwd *service = geteuid() == 0 ? getpwnam(SERVICE_USER) : NULL;
	return st.st_uid == geteuid() || (service && st.st_uid == service->pw_uid);
}

/* The run file is written under its lock, which its cloud holds until it ends: one that has a text and no lock was left behind. */
static bool is_left_behind(int dir)
{
	struct stat st;
	char text[1024];
	int fd = is_ours(dir) ? openat(dir, "quartet.run", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	if (fd < 0)
		return false;
	ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() ? read(fd, text, sizeof(text)) : -1;
	bool left = n > 0 && str_ends(str_of(text, (size_t)n), S("\n" EPHEMERAL_MARK)) && flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return left;
}

/* What the cloud left on the machine bears its instance's name, which follows from the directory's. A priv of that directory whose
 * main is gone takes all of it away, and the directory too. */
static void let_priv_clear_up(const char *dir)
{
	int pid = fork(), to_main[2], to_api[2];
	if (pid == 0) {
		const char *const argv[] = {"quartet", "role", "priv", dir, "127.0.0.1", "0",  "0", "",  "",
		                            "1",       "",     "0",    "",  "auto",      "no", "",  NULL};
		if (msg_pair(to_main) < 0 || msg_pair(to_api) < 0)
			_exit(1);
		/* Out of the way of the places that they are to have. */
		int main_end = fcntl(to_main[0], F_DUPFD_CLOEXEC, 64), api_end = fcntl(to_api[0], F_DUPFD_CLOEXEC, 64);
		close(to_main[0]);
		close(to_main[1]);
		close(to_api[0]);
		close(to_api[1]);
		if (dup2(main_end, ROLE_FD_MAIN) < 0 || dup2(api_end, ROLE_FD_PRIV) < 0)
			_exit(1);
		execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
		_exit(1);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

void ephemeral_sweep(void)
{
	DIR *d = opendir(PLACE);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_starts(str_from(e->d_name), S(PREFIX)))
			continue;
		int dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		bool left = dir >= 0 && is_left_behind(dir);
		if (dir >= 0)
			close(dir);
		if (!left)
			continue;
		char path[sizeof(PLACE) + sizeof(e->d_name) + 1];
		snprintf(path, sizeof(path), PLACE "/%s", e->d_name);
		if (geteuid() == 0)
			let_priv_clear_up(path);
		tree_remove(AT_FDCWD, path);
	}
	closedir(d);
}
