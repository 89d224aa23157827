#include "base/crash.h"

#include "base/sanitized.h"

#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 40, STACK_BYTES = 64 * 1024 };

/* Only what is allowed in a handler: the unwinder is loaded, and its names go straight to the descriptor. */
static void report(int number)
{
	static const char text[] = "fatal signal; the stack, innermost first:\n";
	void *frames[FRAMES];
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)written;
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	raise(number); /* for good, once this has returned: the handler is reset */
}

void crash_report(void)
{
	static char stack[STACK_BYTES];
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	void *first;
	if (SANITIZED)
		return;
	backtrace(&first, 1);
	const stack_t s = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&s, NULL);
	struct sigaction a = {.sa_handler = report, .sa_flags = (int)(SA_RESETHAND | SA_ONSTACK)};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &a, NULL);
}
