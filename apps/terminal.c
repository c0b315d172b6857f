#define _DEFAULT_SOURCE
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal_number)
{
    interrupts++;
    if (interrupts > 1) {
        _exit(128 + signal_number);
    }
}

void terminal_catch_interrupts(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    /* a file too long for its limit is a failed write like any other */
    (void)signal(SIGXFSZ, SIG_IGN);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void terminal_progress_init(terminal_progress *p, bool enabled)
{
    memset(p, 0, sizeof *p);
    p->enabled = enabled && isatty(STDERR_FILENO) != 0;
    p->note = "";
    p->started = now();
}

/* A bar of eighth blocks: ▕█████▋      ▏ */
static void draw_bar(char *out, size_t bytes, double whole)
{
    static const char *const part[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    int eighths = (int)(whole * BAR_CELLS * 8 + 0.5);
    out[0] = '\0';
    for (int cell = 0; cell < BAR_CELLS; cell++) {
        int filled = eighths - 8 * cell;
        filled = filled < 0 ? 0 : filled > 8 ? 8 : filled;
        strncat(out, part[filled], bytes - strlen(out) - 1);
    }
}

bool terminal_progress_show(void *context, const char *stage, double fraction, double whole)
{
    terminal_progress *p = context;
    double t = now();
    (void)fraction;
    if (p->note[0] != '\0') {
        fprintf(stderr, "%s\n\n", p->note);
        p->note = "";
    }
    if (p->enabled && (t - p->last_shown > 0.1 || whole >= 1)) {
        char bar[4 * BAR_CELLS + 1];
        char left[48] = "";
        double elapsed = t - p->started;
        if (whole > 0.02 && whole < 0.995 && elapsed > 1) {
            (void)snprintf(left, sizeof left, "  about %.0f s left", elapsed / whole - elapsed);
        }
        draw_bar(bar, sizeof bar, whole);
        fprintf(stderr, "\r\033[K  %s %3.0f %%  %s%s", bar, 100 * whole, stage, left);
        fflush(stderr);
        p->last_shown = t;
        p->shown = true;
    }
    return interrupts == 0;
}

void terminal_progress_clear(terminal_progress *p)
{
    if (p->shown) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        p->shown = false;
    }
}

bool terminal_finish(void)
{
    errno = 0;
    bool arrived = fflush(stdout) == 0 && ferror(stdout) == 0;
    const char *reason = errno != 0 ? strerror(errno) : "it could not be written";
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};
    bool left = !arrived && poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR) != 0;
    if (!arrived && !left) {
        fprintf(stderr, "acestep: stdout: %s\n", reason);
    }
    return arrived || left;
}

bool terminal_has_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) != 0 && (no_colour == NULL || no_colour[0] == '\0');
}

int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}
