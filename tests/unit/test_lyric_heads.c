/* The heads that follow the lyrics, and what can be heard of them: the original's attention. */
#include "base/memory.h"
#include "model/dit.h"
#include "model/lyric_heads.h"
#include "sample/attention_map.h"
#include "support/bench_device.h"
#include "support/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- which heads ----------------------------------------------------------------------------- */

static uint64_t heads_of(const ace_dit_config *c, int64_t layer, int64_t *last)
{
    ace_lyric_heads heads;
    ace_lyric_heads_of(c, &heads);
    *last = heads.last_layer;
    return heads.of_layer[layer];
}

static void published_models_have_a_list(void **state)
{
    (void)state;
    static const uint64_t list[24] = {[2] = 1u << 6,
                                      [3] = 1u << 10 | 1u << 11,
                                      [4] = 1u << 3,
                                      [5] = 1u << 8 | 1u << 9,
                                      [6] = 1u << 8};
    ace_dit_config c;
    int64_t last = 0;
    assert_int_equal(ace_dit_config_published("turbo", &c, NULL), ACESTEP_OK);
    for (int i = 0; i < 24; i++) {
        assert_true(heads_of(&c, i, &last) == list[i]);
    }
    assert_int_equal(last, 6);
}

static void other_models_use_their_middle(void **state)
{
    (void)state;
    ace_dit_config c;
    int64_t last = 0;
    assert_int_equal(ace_dit_config_published("xl-turbo", &c, NULL), ACESTEP_OK);
    for (int i = 0; i < 32; i++) { /* 32 layers, 32 heads */
        assert_true(heads_of(&c, i, &last) == (i >= 10 && i < 21 ? 0xffffffffu : 0));
    }
    assert_int_equal(last, 20);
    for (int64_t layers = 1; layers <= 5; layers++) {
        ace_lyric_heads heads;
        int n = 0;
        c.layers = layers;
        c.decoder.heads = 4;
        ace_lyric_heads_of(&c, &heads);
        for (int i = 0; i < layers; i++) {
            n += heads.of_layer[i] != 0;
            assert_true(heads.of_layer[i] == 0 || heads.of_layer[i] == 15);
        }
        assert_true(n >= 1 && heads.last_layer < layers);
        assert_true(heads.of_layer[heads.last_layer] == 15);
    }
    c.decoder.heads = 128; /* more than are ever taken */
    assert_true(heads_of(&c, 1, &last) == UINT64_MAX);
}

/* {"1": [0, 3]} and what must not count. */
static void checkpoints_may_say(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        uint64_t layer0, layer1, layer2;
    } cases[] = {
        {"{\"1\": [0, 3]}", 0, 9, 0},
        {"{\"0\": [1], \"2\": [2, 2]}", 2, 0, 4},
        {"{\"2\": [0, 4, -1, 64, 1.5, \"1\"], \"3\": [0], \"-1\": [0], \"x\": [0], \"1 \": [0]}", 0,
         0, 1},
        {"{\"7\": [0]}", 0, 15, 0}, /* nothing that exists: as if it said nothing */
        {"null", 0, 15, 0},
        {"[1, 2]", 0, 15, 0},
        {"{\"1\": 3}", 0, 15, 0},
    };
    char path[512];
    (void)snprintf(path, sizeof path, "%s", golden_path("acestep-v15-turbo/config.json"));
    FILE *f = fopen(path, "r");
    char text[8192] = "";
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    char *end = strrchr(text, '}');
    assert_non_null(end);
    *end = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[9000];
        int64_t last = 0;
        ace_dit_config c;
        int bytes = snprintf(json, sizeof json, "%s, \"lyric_alignment_layers_config\": %s}", text,
                             cases[i].list);
        assert_int_equal(ace_dit_config_parse(json, (size_t)bytes, "config.json", &c, NULL),
                         ACESTEP_OK);
        assert_true(heads_of(&c, 0, &last) == cases[i].layer0);
        assert_true(heads_of(&c, 1, &last) == cases[i].layer1);
        assert_true(heads_of(&c, 2, &last) == cases[i].layer2);
    }
}

/* ---- what is heard --------------------------------------------------------------------------- */

typedef struct ear {
    const golden *g;
    const ace_dit *dit;
    const ace_dit_session *session;
    int heard;
} ear;

static float *download(ace_stream *s, ace_tensor t)
{
    float *values = malloc((size_t)(t.rows * t.cols) * sizeof *values);
    assert_non_null(values);
    ace_download(s, values, t);
    return values;
}

/* Probabilities of head h times its values: columns of attended [tokens, heads·head_dim]. */
static void attend(ace_stream *s, const ear *e, int64_t layer, int64_t h, ace_tensor q,
                   ace_tensor k, float *attended)
{
    const ace_block_config *c = &e->dit->config.decoder;
    int64_t d = c->head_dim;
    int64_t shared = h / (c->heads / c->kv_heads);
    ace_tensor v = ace_cols(e->session->cross_kv[layer], (c->kv_heads + shared) * d, d);
    float *queries = download(s, ace_cols(q, h * d, d));
    float *keys = download(s, ace_cols(k, shared * d, d));
    float *values = download(s, v);
    float *map = malloc((size_t)(k.rows * q.rows) * sizeof *map);
    assert_non_null(map);
    ace_attention_head head = {queries, keys, q.rows, k.rows, d, (float)(1 / sqrt((double)d))};
    assert_int_equal(ace_attention_map(&head, 0, k.rows, map, NULL), ACESTEP_OK);
    for (int64_t t = 0; t < q.rows; t++) {
        for (int64_t i = 0; i < d; i++) {
            double sum = 0;
            for (int64_t key = 0; key < k.rows; key++) {
                sum += (double)map[key * q.rows + t] * (double)values[key * d + i];
            }
            attended[t * q.cols + h * d + i] = (float)sum;
        }
    }
    free(queries);
    free(keys);
    free(values);
    free(map);
}

/* What a layer's attention adds, made from the probabilities, against the original's. */
static void check_layer(void *context, ace_stream *s, int64_t layer, ace_tensor q, ace_tensor k)
{
    ear *e = context;
    char name[64];
    (void)snprintf(name, sizeof name, "out.mid.layer%d.cross_attn", (int)layer);
    e->heard++;
    if (ace_weights_find(e->g->weights, name) == NULL) {
        return;
    }
    float *attended = malloc((size_t)(q.rows * q.cols) * sizeof *attended);
    assert_non_null(attended);
    for (int64_t h = 0; h < e->dit->config.decoder.heads; h++) {
        attend(s, e, layer, h, q, k, attended);
    }
    ace_arena_mark mark = ace_mark(s);
    ace_tensor x = ace_new_from(s, ACE_F32, q.rows, q.cols, attended);
    ace_tensor y = ace_new(s, ACE_F32, q.rows, e->dit->config.decoder.hidden);
    ace_linear(s, y, x, &e->dit->layers[layer].cross_out, NULL);
    float *got = download(s, y);
    assert_true(golden_matches(e->g, name, got));
    free(got);
    free(attended);
    ace_reset(s, &mark);
}

static void check_case(const char *name, const char *model, int64_t last)
{
    golden g = golden_open(name);
    ace_dit_config config = bench_dit_config(model);
    float *x = golden_f32(&g, "in.hidden_states");
    float *context = golden_f32(&g, "in.context_latents");
    float *condition = golden_f32(&g, "in.encoder_hidden_states");
    float *t = golden_f32(&g, "in.timestep");
    const float *conditions[1] = {condition};
    const int64_t length[1] = {golden_tensor(&g, "in.encoder_hidden_states")->dim[1]};
    const int32_t condition_of[1] = {0};
    ace_dit *dit = malloc(sizeof *dit);
    ace_dit_session *session = malloc(sizeof *session);
    assert_true(dit != NULL && session != NULL);
    test_bench bench;
    bench_open(&bench, bench_reference(), model, ACE_F32);
    ace_dit_load(&bench.loader, &config, dit);
    bench_loaded(&bench);
    ace_dit_inputs in = {.batch = 1,
                         .frames = golden_tensor(&g, "in.hidden_states")->dim[1],
                         .context = context,
                         .n_conditions = 1,
                         .condition = conditions,
                         .condition_length = length,
                         .condition_of = condition_of};
    ear e = {.g = &g, .dit = dit, .session = session};
    ace_dit_begin(&bench.stream, dit, &in, session);
    ace_dit_listen(session, x, t, last, check_layer, &e);
    assert_int_equal(e.heard, last + 1);
    /* an evaluation afterwards is as if nobody had listened */
    float *v = malloc((size_t)golden_elements(golden_tensor(&g, "in.hidden_states")) * sizeof *v);
    ace_dit_velocity(session, x, t, t, false, v);
    bench_check(&bench);
    assert_true(golden_matches(&g, "out.velocity", v));
    assert_int_equal(e.heard, last + 1);
    bench_close(&bench);
    free(v);
    free(session);
    free(dit);
    free(x);
    free(context);
    free(condition);
    free(t);
    golden_close(&g);
}

static void what_is_heard_is_the_attention(void **state)
{
    (void)state;
    check_case("dit_turbo_odd17_t03", "acestep-v15-turbo", 2);
    check_case("dit_turbo_odd17_t03", "acestep-v15-turbo", 1);
    check_case("dit_turbo_long61_t0714", "acestep-v15-turbo", 0);
    check_case("dit_base_odd17_t03", "acestep-v15-base", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_models_have_a_list),
        cmocka_unit_test(other_models_use_their_middle),
        cmocka_unit_test(checkpoints_may_say),
        cmocka_unit_test(what_is_heard_is_the_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
