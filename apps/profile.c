/* acestep profile: how long a song takes, and on which cards it fits. */
#include "profile.h"

#include <stdio.h>

static void print_help(void)
{
    printf(
        "usage: acestep profile [--mode MODE] ...\n\n"
        "modes:\n"
        "  profile (default)         a warm-up and one measured song: where its time goes\n"
        "  benchmark                 30, 60, 120, 240 s x 1, 2, 4 songs x with and without the\n"
        "                            language model x 8, 16 steps, as far as the tier's limits go\n"
        "  tier-test                 a run for each simulated card, with the defaults of its tier\n"
        "  understand                the language model listens (--src-audio FILE or "
        "--audio-codes)\n"
        "  create_sample             it makes a song's words from one sentence (--sample-query)\n"
        "  format_sample             it rewrites the example's caption and lyrics\n\n"
        "all modes take the options of acestep generate, among them --device,\n"
        "--lm-backend, --config-path, --lm-model, --offload-to-cpu, --offload-dit-to-cpu,\n"
        "--quantization, --task-type, --reference-audio, --src-audio, --duration, --batch-size,\n"
        "--inference-steps, --seed, --guidance-scale, --thinking, --use-cot-metas, "
        "--use-cot-caption,\n"
        "--use-cot-language, --use-constrained-decoding, --no-constrained-decoding,\n"
        "--lm-temperature, --lm-cfg-scale, --sample-query, --instrumental, --audio-codes,\n"
        "--exec shape|full, --weights SHAPES, --models DIR, --trace FILE, --trace-mem FILE, and:\n"
        "  --example NAME            the song: example_01.json to example_06.json of the program, "
        "or a\n"
        "                            file with a request (example_05.json)\n"
        "  --no-warmup               the first run is the measured one\n"
        "  --detailed                the 20 operations that take longest, with their share of "
        "what\n"
        "                            this machine can do; 100 into profile_cprofile_detailed.txt\n"
        "  --timeline FILE.svg       what lay on the device in the course of the measured song\n"
        "  --llm-debug               tokens, rates and phases of the language model\n"
        "  --benchmark-output FILE   the runs of benchmark as JSON, written anew after each\n"
        "  --json                    JSON on stdout in place of the tables\n\n"
        "options of tier-test:\n"
        "  --tiers N,N... or N N...  sizes in GB, decimals too (4 6 7 8 12 16 20 24)\n"
        "  --tier-with-lm            with the language model where the tier offers one\n"
        "  --tier-duration S         length of the song, clamped to the tier's limit (30)\n"
        "  --tier-skip-compile       not compiled where nothing is quantised\n"
        "  --tier-boundary           also without INT8, and with neither INT8 nor offloading\n"
        "  --tier-batch-boundary     also 1, 2, 4, 8 songs at once, until one fails; without the\n"
        "                            language model, then with it where the tier offers one\n"
        "  --example NAME            the song (a caption and a few lines of its own)\n"
        "  --benchmark-output FILE   the runs as JSON, written anew after each\n"
        "  --json-summary            one more element of the JSON, with the boundaries\n"
        "  --baseline FILE           compare with an earlier JSON: settings that differ, passes "
        "that\n"
        "                            fail now and memory that grew by more than 2 %% fail\n"
        "  --json                    the JSON on stdout in place of the tables\n"
        "  --exec shape|full         walk the schedule (the default), or compute as well\n"
        "  --weights SHAPES, --models DIR, --config-path MODEL, --gpu-tiers FILE, --lm-model "
        "NAME,\n"
        "  --lm-backend NAME, --threads N and others as for generate; --device sim. Length, "
        "batch,\n"
        "  offloading, quantization and thinking come from the tiers\n\n"
        "exit status: 0 done (tier-test: all default runs pass), 1 a run failed, the language "
        "model\n"
        "  cannot run or the baseline differs, 2 bad parameter, 3 model missing or damaged, 5 out "
        "of\n"
        "  memory, 6 not supported, 10 file error, 130 interrupted: what was measured is shown\n");
}

typedef int run_mode(acestep_request *request, const profile_switches *s);

static run_mode *const runs[] = {
    [MODE_PROFILE] = profile_song,        [MODE_BENCHMARK] = profile_matrix,
    [MODE_TIER_TEST] = profile_tiers,     [MODE_UNDERSTAND] = profile_words,
    [MODE_CREATE_SAMPLE] = profile_words, [MODE_FORMAT_SAMPLE] = profile_words};

int command_profile(int argc, char **argv)
{
    profile_switches s = {.common = take_common_switches(&argc, argv)};
    if (s.common.help) {
        print_help();
        return 0;
    }
    int exit_status = profile_take_arguments(&argc, argv, &s);
    if (exit_status != 0) {
        return exit_status;
    }
    bool in_rows = s.mode != MODE_PROFILE; /* that is where warnings stand */
    if (in_rows && !s.common.verbose) {
        acestep_set_log_level(1);
    }
    acestep_request *request = profile_read_request(argc, argv, &s, &exit_status);
    if (request != NULL) {
        exit_status = runs[s.mode](request, &s);
    }
    acestep_request_free(request);
    return exit_status;
}
