/* The doors through which options enter: command line, environment, JSON. Each ends in
 * ace_request_set, so that every door has the same names, ranges and messages. */
#ifndef ACE_OPTIONS_OPTION_READERS_H
#define ACE_OPTIONS_OPTION_READERS_H

#include "options/option_table.h"

/* Reads argv[0 … argc-1]: --name value, --name=value, --flag, --no-flag, -x value for one-letter
 * aliases. "@FILE" as the value of a text means the file's content, "@-" standard input. An unknown
 * argument gives ARGUMENT with the nearest known name. */
ace_status ace_request_from_arguments(ace_request *r, int argc, char *const argv[], ace_error *err);

/* ACESTEP_<NAME> for every option; and the cache_dir that the environment names, as a default. */
ace_status ace_request_from_environment(ace_request *r, ace_error *err);

/* One object; values may sit at the top level, or in "param_obj", or in "metas" or "metadata", as
 * the original's API server accepts them. Unknown keys are refused unless `lenient`. */
ace_status ace_request_from_json(ace_request *r, const char *text, size_t bytes, bool lenient,
                                 ace_error *err);

/* {"caption": …}: all options, or only those somebody gave. The caller frees with free(). NULL when
 * memory is short. */
char *ace_request_to_json(const ace_request *r, bool asked_only);

/* Digits that bring every real of the request back exactly: 15 where they do, 17 otherwise. */
size_t ace_request_json_digits(const ace_request *r);

/* Help for the command line, by groups. The caller frees with ace_free. */
char *ace_options_help(void);

/* The table as a JSON array: name, kind, default, range, words, aliases, group, help. free(). */
char *ace_options_json(void);

#endif
