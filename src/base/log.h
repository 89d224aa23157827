/* The log of a role: one line an event on standard error, `LEVEL role: text`. Library code does not log;
 * roles, reconcilers and the top of a request do. */
#pragma once
#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Names the role in every line and sets the least level shown. */
void log_open(const char *role, enum log_level least);
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
/* Says why and aborts; `main` restarts the role. For states that cannot be gone on from. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
