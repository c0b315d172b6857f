/* acestep serve: until a signal ends it. */
#include "acestep/server.h"
#include "commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_help(void)
{
    char *own = acestep_server_options_help();
    char *songs = acestep_options_help();
    printf(
        "usage: acestep serve [--port N] [--models DIR] …\n\n"
        "Serves a page and an HTTP API (docs/serving.md, docs/api.md); models are opened when a\n"
        "job first needs them. The options of songs and of the engine become the defaults of every\n"
        "job. Every option can stand in the environment as ACESTEP_<NAME>.\n\n"
        "  --routes  list what is served and leave    --verbose, --quiet  more or less in the log\n\n"
        "A first SIGINT, SIGTERM or SIGHUP lets the running job finish within --grace seconds, a second one\n"
        "ends at once. exit status: 0 stopped, 2 bad parameter, 9 the data folder is in use,\n"
        "  10 address or data folder cannot be had\n\n%s%s",
        own != NULL ? own : "", songs != NULL ? songs : "");
    acestep_free(own);
    acestep_free(songs);
}

static bool take_routes_switch(int *argc, char **argv)
{
    bool found = false;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--routes") == 0) {
            found = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return found;
}

static void print_machine(const acestep_request *defaults)
{
    acestep_error err = {.code = ACESTEP_OK};
    char *text = acestep_info_text(defaults, &err);
    fprintf(stderr, "%s\n", text != NULL ? text : err.message);
    acestep_free(text);
}

static void leave_at_once(int signal_number)
{
    _exit(128 + signal_number);
}

/* Threads inherit the mask: the signals come to whoever waits for them here. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    struct sigaction hangup; /* a closed terminal ends the server, unless nohup says otherwise */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
        sigaddset(set, SIGHUP);
    }
    (void)sigprocmask(SIG_BLOCK, set, NULL);
}

static void wait_for_signal(const sigset_t *set)
{
    int which = 0;
    while (sigwait(set, &which) != 0) {
    }
    (void)signal(SIGINT, leave_at_once);
    (void)signal(SIGTERM, leave_at_once);
    (void)sigprocmask(SIG_UNBLOCK, set, NULL);
}

static int serve(const acestep_server_options *options, const acestep_request *defaults, bool quiet)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_server *server = NULL;
    sigset_t set;
    block_signals(&set);
    if (acestep_server_start(options, defaults, &server, &err) != ACESTEP_OK) {
        return report_error(&err);
    }
    if (!quiet) {
        fprintf(stderr, "serving at %s\nsongs and jobs are kept in %s\n",
                acestep_server_address(server), acestep_server_data_folder(server));
        fflush(stderr);
        print_machine(defaults);
    }
    wait_for_signal(&set);
    if (!quiet) {
        fprintf(stderr, "stopping; once more to stop at once\n");
    }
    acestep_server_stop(server);
    return 0;
}

static int read_and_serve(int argc, char **argv, common_switches s)
{
    acestep_error err = {.code = ACESTEP_OK};
    acestep_server_options *options = NULL;
    acestep_request *defaults = NULL;
    int exit_status = 0;
    if (acestep_server_options_create(&options, &err) != ACESTEP_OK ||
        acestep_server_options_take(options, &argc, argv, &err) != ACESTEP_OK) {
        exit_status = report_error(&err);
    } else {
        defaults = read_request(argc, argv, &exit_status);
    }
    if (defaults != NULL) {
        exit_status = serve(options, defaults, s.quiet);
    }
    acestep_request_free(defaults);
    acestep_server_options_free(options);
    return exit_status;
}

int command_serve(int argc, char **argv)
{
    common_switches s = take_common_switches(&argc, argv);
    if (s.help) {
        print_help();
        return 0;
    }
    if (take_routes_switch(&argc, argv)) {
        char *text = acestep_server_routes_text();
        printf("%s", text != NULL ? text : "");
        acestep_free(text);
        return 0;
    }
    if (!s.quiet && !s.verbose) {
        acestep_set_log_level(3); /* a line to each request */
    }
    return read_and_serve(argc, argv, s);
}
