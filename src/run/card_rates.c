#include "run/card_rates.h"

#include "base/file_write.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = 64, MOST_FILE_BYTES = 1 << 20 };

/* ---- the file -------------------------------------------------------------------------------- */

/* Letters and digits of the card's name. False where there is no folder. */
static bool path_of(const char *cache, const char *device, char path[ACE_CACHE_PATH_BYTES])
{
    char name[64];
    size_t n = 0;
    for (const char *c = device; *c != '\0' && n + 1 < sizeof name; c++) {
        name[n++] = (char)(isalnum((unsigned char)*c) ? tolower((unsigned char)*c) : '-');
    }
    name[n] = '\0';
    (void)snprintf(path, ACE_CACHE_PATH_BYTES, "%s/%s/%s%s", cache, ACE_RATES_FOLDER, name,
                   ACE_RATES_SUFFIX);
    return cache[0] != '\0';
}

static char *read_file(const char *path, size_t *n)
{
    uint64_t bytes = 0;
    int fd = ace_cache_file_open(path, &bytes);
    char *text = fd >= 0 && bytes < MOST_FILE_BYTES ? ace_malloc_array((size_t)bytes + 1, 1) : NULL;
    ssize_t got = text != NULL ? read(fd, text, (size_t)bytes) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (got < 0) {
        ace_free(text);
        return NULL;
    }
    *n = (size_t)got;
    return text;
}

/* An empty object where nothing is known, or the file is damaged. */
static json_t *read_rates(const char *path)
{
    json_t *root = NULL;
    size_t n = 0;
    char *text = read_file(path, &n);
    if (text != NULL) {
        (void)ace_json_parse_object(text, n, path, &root, NULL);
    }
    ace_free(text);
    return root != NULL ? root : json_object();
}

static double rate_of(const json_t *rates, const char *key)
{
    double rate = json_number_value(json_object_get(rates, key));
    return rate > 0 ? rate : 0;
}

/* ---- from the bench
 * ------------------------------------------------------------------------------ */

/* "dit.bf16"; "lm.8.bf16": one token for eight sequences. */
static void key_of(const char *stage, int sequences, ace_dtype matrix, char key[KEY_BYTES])
{
    if (sequences > 0) {
        (void)snprintf(key, KEY_BYTES, "%.24s.%d.%s", stage, sequences, ace_dtype_name(matrix));
    } else {
        (void)snprintf(key, KEY_BYTES, "%.24s.%s", stage, ace_dtype_name(matrix));
    }
}

/* Of decoding the longer context comes last, and stays. Whole songs tell nothing of their own. */
static void add_row(json_t *rates, const ace_bench_row *row)
{
    char key[KEY_BYTES];
    double median = ace_bench_median(row);
    bool decodes = strcmp(row->stage, "lm.decode") == 0;
    if (strncmp(row->stage, "song", 4) == 0 || strcmp(row->stage, "lm.prefill") == 0 ||
        !(median > 0)) {
        return;
    }
    key_of(decodes ? "lm" : row->stage, decodes ? (int)row->tokens : 0, row->matrix, key);
    (void)json_object_set_new(rates, key, json_real(row->flops / median));
    if (!decodes && row->load_seconds > 0) {
        key_of("load", 0, row->matrix, key);
        double before = rate_of(rates, key);
        double rate = row->bytes / row->load_seconds;
        (void)json_object_set_new(rates, key, json_real(rate > before ? rate : before));
    }
}

static ace_status write_rates(const char *cache, const char *path, const json_t *rates,
                              ace_error *err)
{
    char folder[ACE_CACHE_PATH_BYTES];
    char *text = json_dumps(rates, JSON_INDENT(1) | JSON_REAL_PRECISION(6) | JSON_SORT_KEYS);
    ace_status status = text != NULL ? ace_cache_folder_open(cache, ACE_RATES_FOLDER, folder, err)
                                     : ace_fail(err, ACESTEP_MEMORY, "rates: no host memory");
    if (status == ACESTEP_OK) {
        status = ace_file_write(path, text, strlen(text), err);
    }
    free(text);
    return status;
}

void ace_card_rates_keep(const char *cache, const ace_bench *bench)
{
    char path[ACE_CACHE_PATH_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    if (bench->machine.device[0] == '\0' || !path_of(cache, bench->machine.device, path)) {
        return;
    }
    json_t *rates = read_rates(path);
    for (int i = 0; i < bench->n_rows; i++) {
        add_row(rates, &bench->row[i]);
    }
    if (write_rates(cache, path, rates, &err) != ACESTEP_OK) {
        ace_log(ACE_LOG_WARNING, "cache", "%s", err.message);
    }
    json_decref(rates);
}

/* ---- to a plan
 * ----------------------------------------------------------------------------------- */

/* Sequences that have been measured: as many as there are, or fewer. */
static int measured_sequences(int n)
{
    static const int measured[] = {16, 8, 2, 1};
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        if (n >= measured[i]) {
            return measured[i];
        }
    }
    return 1;
}

/* 0: not known. */
static double stage_rate(const json_t *rates, const ace_workshop *w, const ace_job *job,
                         const ace_stage_record *s)
{
    static const struct {
        const char *key, *bench;
        ace_part part;
    } stages[] = {{"text", "text", ACE_PART_TEXT},
                  {"condition", "condition", ACE_PART_CONDITION},
                  {"encode", "vae-encode", ACE_PART_VAE_ENCODER},
                  {"diffusion", "dit", ACE_PART_DIT},
                  {"vae", "vae-decode", ACE_PART_VAE_DECODER},
                  {"lm", "lm", ACE_PART_LM}};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (strcmp(stages[i].key, s->key) == 0) {
            char key[KEY_BYTES];
            bool decodes = stages[i].part == ACE_PART_LM;
            key_of(stages[i].bench, decodes ? measured_sequences(job->plan.songs) : 0,
                   ace_part_matrix(&w->residency, &job->plan, stages[i].part), key);
            return s->host_bytes == 0 ? rate_of(rates, key) : 0;
        }
    }
    return 0;
}

static double sum_seconds(const json_t *rates, const ace_workshop *w, const ace_job *job,
                          const ace_stage_log *log)
{
    char key[KEY_BYTES];
    key_of("load", 0, w->precisions.plain, key);
    double load = rate_of(rates, key);
    double seconds = load > 0 ? ace_stage_log_uploaded(log) / load : 0;
    bool known = load > 0 && !job->plan.host;
    for (int i = 0; i < log->count && known; i++) {
        const ace_stage_record *s = &log->stage[i];
        double rate = s->counters.flops > 0 ? stage_rate(rates, w, job, s) : 1;
        known = rate > 0;
        seconds += known ? s->counters.flops / rate : 0;
    }
    return known ? seconds : 0;
}

double ace_card_rates_seconds(const char *cache, const ace_workshop *w, const ace_job *job,
                              const ace_stage_log *log)
{
    char path[ACE_CACHE_PATH_BYTES];
    if (!path_of(cache, w->hardware.device_name, path)) {
        return 0;
    }
    json_t *rates = read_rates(path);
    double seconds = sum_seconds(rates, w, job, log);
    json_decref(rates);
    return seconds;
}
