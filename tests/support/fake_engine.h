/* An engine for tests of the job service: makes songs of a few bytes at once, or holds them until
 * it may go on. What a job does follows from its caption: "fail"      fails with ACESTEP_FAILED
 * "kill"     ends the process as kill -9 does "slow"      waits although nothing holds it "large"
 * a song of a megabyte "careful"   comes with a warning               "no plan"  cannot be planned:
 * UNSUPPORTED */
#ifndef TESTS_SUPPORT_FAKE_ENGINE_H
#define TESTS_SUPPORT_FAKE_ENGINE_H

#include "server/jobs.h"

extern const ace_jobs_engine fake_engine;

void fake_engine_reset(void);
void fake_engine_hold(bool hold); /* running jobs stay in their middle, asking whether to go on */
void fake_engine_refuse_to_open(bool refuse);

int fake_engine_runs(void);  /* begun so far */
int fake_engine_opens(void); /* of engines that run; those for plans do not count */
int fake_engine_closes(void);
void fake_engine_await_runs(int n); /* fails the test after 20 s */
/* Of the n-th run (from 0): its caption and its seeds as the engine was given them. */
const char *fake_engine_caption(int run);
const char *fake_engine_seeds(int run);

#endif
