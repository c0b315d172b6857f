/* How long a job will take: the work that its plan counts, at the speed that this engine has shown.
 */
#include "server/jobs_state.h"

#include "base/digest.h"

#include <string.h>

/* What a job weighs against the one after it. */
static const double DECAY = 0.8;

/* The rest of a job beside its stages' own work: loading, planning, writing. Its work is one a job.
 */
static const char *const rest = "rest";

static void name_engine(const acestep_request *request, char hex[ACE_DIGEST_HEX_BYTES])
{
    char *key = acestep_engine_options_json(request);
    ace_digest_hex(ace_digest_add_text((ace_digest){0, 0}, key != NULL ? key : ""), hex);
    acestep_free(key);
}

static void learn(ace_jobs *jobs, const char *engine, const char *stage, double work,
                  double seconds)
{
    ace_speed s;
    (void)ace_journal_speed(jobs->journal, engine, stage, &s);
    s.work = s.work * DECAY + work;
    s.seconds = s.seconds * DECAY + seconds;
    (void)ace_journal_set_speed(jobs->journal, engine, stage, s, NULL); /* a guess the less */
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

void ace_times_learn(ace_jobs *jobs, const acestep_request *request, const json_t *report)
{
    char engine[ACE_DIGEST_HEX_BYTES];
    double left = number_of(json_object_get(report, "timings"), "total");
    size_t i = 0;
    json_t *stage = NULL;
    name_engine(request, engine);
    (void)pthread_mutex_lock(&jobs->lock);
    json_array_foreach (json_object_get(json_object_get(report, "measured"), "stages"), i, stage) {
        const char *name = json_string_value(json_object_get(stage, "stage"));
        double work = number_of(stage, "flops");
        double seconds = number_of(stage, "compute_seconds");
        if (name != NULL && work > 0 && seconds > 0) {
            learn(jobs, engine, name, work, seconds);
            left -= seconds;
        }
    }
    learn(jobs, engine, rest, 1, left > 0 ? left : 0);
    (void)pthread_mutex_unlock(&jobs->lock);
}

/* 0 when one of the stages has not run yet. */
static double measured_seconds(ace_jobs *jobs, const char *engine, const json_t *plan)
{
    ace_speed s;
    size_t i = 0;
    json_t *stage = NULL;
    bool known = ace_journal_speed(jobs->journal, engine, rest, &s) && s.work > 0;
    double seconds = known ? s.seconds / s.work : 0;
    json_array_foreach (json_object_get(plan, "stages"), i, stage) {
        const char *name = json_string_value(json_object_get(stage, "stage"));
        double work = number_of(stage, "flops");
        if (!known || work <= 0) {
            continue;
        }
        known = name != NULL && ace_journal_speed(jobs->journal, engine, name, &s) && s.work > 0;
        seconds += known ? work * s.seconds / s.work : 0;
    }
    return known ? seconds : 0;
}

ace_estimate ace_times_expect(ace_jobs *jobs, ace_job_kind kind, const acestep_request *request,
                              const json_t *plan)
{
    char engine[ACE_DIGEST_HEX_BYTES];
    if (plan != NULL) {
        name_engine(request, engine);
        double seconds = measured_seconds(jobs, engine, plan);
        if (seconds > 0) {
            return (ace_estimate){seconds, "measured"};
        }
        seconds = number_of(plan, "expected_seconds");
        if (seconds > 0) {
            return (ace_estimate){seconds, "planned"};
        }
    }
    double average = ace_journal_average(jobs->journal, kind);
    return average > 0 ? (ace_estimate){average, "average"} : (ace_estimate){0, "none"};
}
