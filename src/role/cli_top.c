/* `quartet top`: the cloud as it is now, once a second on a terminal, once in a pipe. */
#include "role/cli_top.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { SECOND_US = 1000000, CELL_MAX = 40, SCREEN_MAX = 4 << 20, HEAD_LINES = 2 };

struct lines {
	struct str *v;
	uint32_t n;
	bool set;
};

struct top {
	struct cli_cloud cloud;
	struct top_look look;
	struct top_calls before;
	uint64_t own_before;
	int shown; /* -1: all tables */
	uint32_t scrolled;
};

/* --- text */

/* How many columns a text takes: one a code point. */
static unsigned width(struct str s)
{
	size_t n = str_utf8_len(s);
	return n > CELL_MAX ? CELL_MAX : (unsigned)n;
}

/* What others have called their things must not speak to the terminal. */
static void put_cell(struct buf *b, struct str s, unsigned columns, bool right)
{
	unsigned used = width(s);
	for (unsigned i = used; right && i < columns; i++)
		buf_add_char(b, ' ');
	unsigned n = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool begins = ((unsigned char)s.p[i] & 0xc0) != 0x80;
		if (begins && n++ == CELL_MAX)
			break;
		buf_add_char(b, (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i]);
	}
	for (unsigned i = used; !right && i < columns; i++)
		buf_add_char(b, ' ');
}

static void add_line(struct arena *a, struct lines *to, struct buf *b)
{
	struct str text = buf_str(b);
	while (text.n && text.p[text.n - 1] == ' ')
		text.n--;
	*LIST_ADD(a, to) = arena_dup(a, text);
	buf_clear(b);
}

static void table_lines(struct arena *a, const struct top_table *t, struct lines *to)
{
	unsigned widths[TOP_COLUMNS] = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	for (unsigned c = 0; c < TOP_COLUMNS && t->heads[c]; c++) {
		widths[c] = width(str_from(t->heads[c]));
		for (uint32_t i = 0; i < t->rows.n; i++)
			if (width(t->rows.v[i].cells[c]) > widths[c])
				widths[c] = width(t->rows.v[i].cells[c]);
	}
	buf_printf(&b, "%s (%u)", t->title, t->rows.n);
	add_line(a, to, &b);
	for (uint32_t i = 0; t->rows.n && i <= t->rows.n; i++) {
		for (unsigned c = 0; c < TOP_COLUMNS && t->heads[c]; c++) {
			buf_add_lit(&b, "  ");
			put_cell(&b, i ? t->rows.v[i - 1].cells[c] : str_from(t->heads[c]), widths[c], t->right[c]);
		}
		add_line(a, to, &b);
	}
	add_line(a, to, &b);
}

/* This command's own calls are left out of the rate. */
static struct str head_line(struct arena *a, const struct top *t)
{
	double seconds = (double)(t->look.calls.at_us - t->before.at_us) / SECOND_US;
	uint64_t own = t->look.own - t->own_before, all = t->look.calls.total - t->before.total;
	bool known = t->before.at_us && seconds > 0 && t->look.calls.total >= t->before.total;
	struct str rate =
	        known ? arena_printf(a, "%.1f requests/s", (double)(all > own ? all - own : 0) / seconds) : S("- requests/s");
	uint64_t errors = known && t->look.calls.errors >= t->before.errors ? t->look.calls.errors - t->before.errors : 0;
	return arena_printf(a, "quartet %s  %s  %.*s  %llu failed  %llu since the start", t->cloud.endpoint, t->cloud.region,
	                    STR_ARG(rate), (unsigned long long)errors, (unsigned long long)t->look.calls.total);
}

static struct lines body_lines(struct arena *a, const struct top *t)
{
	struct lines lines = {0};
	for (int i = 0; i < TOP_TABLES; i++)
		if (t->shown < 0 || t->shown == i)
			table_lines(a, &t->look.tables[i], &lines);
	return lines;
}

/* --- a terminal */

static volatile sig_atomic_t ended;
static struct termios terminal_before;

static void on_signal(int signo)
{
	ended = signo;
}

static void write_all(struct str s)
{
	while (s.n) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			s = str_from_at(s, (size_t)n);
	}
}

static void terminal_open(void)
{
	struct sigaction end = {.sa_handler = on_signal}, nothing = {.sa_handler = SIG_DFL};
	int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &end, NULL);
	sigaction(SIGWINCH, &nothing, NULL);
	struct termios raw = terminal_before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	write_all(S("\033[?1049h\033[?25l"));
}

static void terminal_close(void)
{
	write_all(S("\033[?25h\033[?1049l"));
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void draw(struct arena *a, struct top *t)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	struct buf CLEAN_BUF b;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	struct lines lines = body_lines(a, t);
	uint32_t room = size.ws_row > HEAD_LINES + 1 ? size.ws_row - HEAD_LINES - 1u : 1;
	if (t->scrolled + room > lines.n)
		t->scrolled = lines.n > room ? lines.n - room : 0;
	buf_init(&b, SCREEN_MAX);
	buf_add_lit(&b, "\033[H");
	struct str head = head_line(a, t);
	for (uint32_t i = 0; i < room + HEAD_LINES; i++) {
		uint32_t at = t->scrolled + i - HEAD_LINES;
		struct str line = i == 0 ? head : i < HEAD_LINES || at >= lines.n ? S("") : lines.v[at];
		buf_add_str(&b, str_sub(line, 0, size.ws_col));
		buf_add_lit(&b, "\033[K\r\n");
	}
	buf_add_lit(&b, "\033[7m q quit  up/down scroll  left/right one kind \033[0m\033[K\033[J");
	write_all(buf_str(&b));
}

/* Keys as a terminal sends them. False: the end. */
static bool take_keys(struct top *t, struct str keys)
{
	for (size_t i = 0; i < keys.n; i++) {
		struct str rest = str_from_at(keys, i);
		if (str_starts(rest, S("\033[A")) || rest.p[0] == 'k')
			t->scrolled -= t->scrolled > 0;
		else if (str_starts(rest, S("\033[B")) || rest.p[0] == 'j')
			t->scrolled++;
		else if (str_starts(rest, S("\033[5~")))
			t->scrolled -= t->scrolled > 10 ? 10 : t->scrolled;
		else if (str_starts(rest, S("\033[6~")))
			t->scrolled += 10;
		else if (str_starts(rest, S("\033[C")) || rest.p[0] == '\t')
			t->shown = t->shown + 1 == TOP_TABLES ? -1 : t->shown + 1;
		else if (str_starts(rest, S("\033[D")))
			t->shown = t->shown < 0 ? TOP_TABLES - 1 : t->shown - 1;
		else if (rest.p[0] == 'q' || rest.p[0] == 'Q' || (rest.p[0] == '\033' && rest.n == 1))
			return false;
		if (rest.p[0] == '\033' && rest.n > 2)
			i += rest.p[2] == '5' || rest.p[2] == '6' ? 3 : 2;
	}
	return true;
}

/* Draws at once after a key, and asks anew after a second. False: the end. */
static bool wait_and_draw(struct arena *a, struct top *t)
{
	int64_t until_us = clock_mono_us() + SECOND_US;
	draw(a, t);
	for (int64_t left; !ended && (left = until_us - clock_mono_us()) > 0;) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		char keys[64];
		if (poll(&p, 1, (int)(left / 1000) + 1) <= 0)
			continue;
		ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
		if (n == 0 || !take_keys(t, str_of(keys, n > 0 ? (size_t)n : 0)))
			return false;
		draw(a, t);
	}
	return !ended;
}

static int run_terminal(struct cli *cli, struct top *t)
{
	struct cli round = *cli;
	int status = CLI_OK;
	bool open = false, on = true;
	while (on && status == CLI_OK) {
		round.arena = (struct arena){0};
		/* What goes wrong is said on the ordinary screen. */
		struct top next = *t;
		status = top_read(&round, &t->cloud, &next.look);
		if (status == CLI_OK) {
			*t = next;
			if (!open)
				terminal_open();
			open = true;
			on = wait_and_draw(&round.arena, t);
			t->before = t->look.calls;
			t->own_before = t->look.own;
		}
		arena_done(&round.arena);
	}
	if (open)
		terminal_close();
	return status;
}

static int run_once(struct cli *cli, struct top *t)
{
	int status = top_read_calls(cli, &t->cloud, &t->before);
	usleep(SECOND_US);
	if (status == CLI_OK)
		status = top_read(cli, &t->cloud, &t->look);
	if (status != CLI_OK)
		return status;
	struct str head = head_line(&cli->arena, t);
	struct lines lines = body_lines(&cli->arena, t);
	printf("%.*s\n\n", STR_ARG(head));
	for (uint32_t i = 0; i + 1 < lines.n; i++)
		printf("%.*s\n", STR_ARG(lines.v[i]));
	return CLI_OK;
}

int cli_top(struct cli *cli)
{
	struct top t = {.shown = -1};
	bool once = cli_flag(cli, "--once");
	const char *region = cli_option(cli, "--region", NULL);
	int status = cli_open(cli, 0, &t.cloud);
	if (status != CLI_OK)
		return status;
	if (region)
		t.cloud.region = region;
	if (once || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before) < 0)
		return run_once(cli, &t);
	return run_terminal(cli, &t);
}
