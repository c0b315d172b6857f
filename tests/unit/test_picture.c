/* The memory pictures of a plan: every byte has its height, and the file is well-formed XML. */
#include "api/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t MB = (size_t)1 << 20;

/* Two stages: a text encoder that leaves, and a diffusion with the condition encoder still there.
 */
static acestep_plan *make_plan(void)
{
    acestep_plan *p = calloc(1, sizeof *p);
    ace_stage_log *log = &p->stages;
    (void)snprintf(p->model, sizeof p->model, "a <\"model\"> & more");
    p->seconds = 30;
    p->cap_bytes = 800 * MB;
    p->choice.offload = ACE_OFFLOAD_CPU;
    log->count = 3;
    log->workspace_bytes = 10 * MB;
    log->part_bytes[ACE_PART_TEXT] = 300 * MB;
    log->part_bytes[ACE_PART_CONDITION] = 100 * MB;
    log->part_bytes[ACE_PART_DIT] = 400 * MB;
    log->stage[0] =
        (ace_stage_record){.name = "text encoder", .peak_bytes = 350 * MB, .work_bytes = 50 * MB};
    log->stage[0].part_bytes[ACE_PART_TEXT] = 300 * MB;
    log->stage[1] = (ace_stage_record){
        .name = "condition encoder", .peak_bytes = 120 * MB, .work_bytes = 20 * MB};
    log->stage[1].part_bytes[ACE_PART_CONDITION] = 100 * MB;
    log->stage[2] =
        (ace_stage_record){.name = "diffusion", .peak_bytes = 580 * MB, .work_bytes = 80 * MB};
    log->stage[2].part_bytes[ACE_PART_DIT] = 400 * MB;
    return p;
}

static void bands_add_up(void **state)
{
    (void)state;
    acestep_plan *plan = make_plan();
    ace_picture p;
    ace_picture_of(plan, &p);
    assert_int_equal(p.count, 3);
    for (int i = 0; i < p.count; i++) {
        size_t all = 0;
        for (int band = 0; band < ACE_BANDS; band++) {
            all += p.stage[i].band[band];
        }
        assert_int_equal(all, p.stage[i].total);
    }
    assert_int_equal(p.peak, 590 * MB);
    assert_int_equal(p.stage[2].band[ACE_PART_CONDITION], 100 * MB); /* stayed */
    assert_int_equal(p.stage[2].band[ACE_PART_TEXT], 0);
    assert_int_equal(p.stage[2].band[ACE_BAND_OTHER], 0);
    free(plan);
}

/* Elements open and close in order, attributes are quoted, no stray < or &. */
static void check_well_formed(const char *text)
{
    char open[32][16];
    int depth = 0;
    for (const char *c = strchr(text, '<'); c != NULL; c = strchr(c, '<')) {
        char name[16] = "";
        const char *end = strchr(c, '>');
        assert_non_null(end);
        bool closes = c[1] == '/';
        assert_int_equal(sscanf(c + (closes ? 2 : 1), "%15[a-z]", name), 1);
        int quotes = 0;
        for (const char *a = c + 1; a < end; a++) {
            assert_true(*a != '<');
            quotes += *a == '"';
        }
        assert_int_equal(quotes % 2, 0);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 32);
            (void)snprintf(open[depth++], sizeof open[0], "%s", name);
        }
        c = end;
    }
    assert_int_equal(depth, 0);
    for (const char *c = strchr(text, '&'); c != NULL; c = strchr(c + 1, '&')) {
        assert_true(strncmp(c, "&amp;", 5) == 0 || strncmp(c, "&lt;", 4) == 0 ||
                    strncmp(c, "&gt;", 4) == 0 || strncmp(c, "&quot;", 6) == 0);
    }
}

static void the_file_is_in_proportion(void **state)
{
    (void)state;
    acestep_plan *plan = make_plan();
    char *svg = acestep_plan_svg(plan);
    assert_non_null(svg);
    check_well_formed(svg);
    assert_non_null(strstr(svg, "a &lt;&quot;model&quot;&gt; &amp; more"));
    assert_null(strstr(svg, "<\"model"));
    double scale = 0; /* pixels to a byte */
    int bands = 0;
    for (const char *c = strstr(svg, "class=\"band\""); c != NULL;
         c = strstr(c + 1, "class=\"band\"")) {
        double y = 0;
        double height = 0;
        unsigned long long bytes = 0;
        int x = 0;
        int width = 0;
        char colour[16];
        assert_int_equal(sscanf(c,
                                "class=\"band\" x=\"%d\" y=\"%lf\" width=\"%d\" height=\"%lf\" "
                                "fill=\"%15[#0-9a-f]\" data-bytes=\"%llu\"",
                                &x, &y, &width, &height, colour, &bytes),
                         6);
        scale = scale > 0 ? scale : height / (double)bytes;
        assert_true(height - scale * (double)bytes < 0.01 &&
                    height - scale * (double)bytes > -0.01);
        bands++;
    }
    assert_int_equal(bands, 3 + 3 + 4);
    const char *cap = strstr(svg, "<line class=\"cap\"");
    assert_non_null(cap);
    free(svg);
    free(plan);
}

/* The cap far above everything: told in words, and the bars keep their size. */
static void a_far_cap_is_told(void **state)
{
    (void)state;
    acestep_plan *plan = make_plan();
    plan->cap_bytes = 24576 * MB;
    char *svg = acestep_plan_svg(plan);
    char *text = acestep_plan_picture(plan, 80, false);
    check_well_formed(svg);
    assert_null(strstr(svg, "<line class=\"cap\""));
    assert_non_null(strstr(svg, "the device has 24.00 GB"));
    assert_non_null(strstr(text, "24.00 GB"));
    free(svg);
    plan->cap_bytes = 590 * MB * 11 / 2; /* an 8 GB card with its tier's defaults */
    svg = acestep_plan_svg(plan);
    assert_non_null(strstr(svg, "<line class=\"cap\""));
    free(svg);
    free(text);
    free(plan);
}

static int count(const char *line, char letter)
{
    int n = 0;
    for (; *line != '\0' && *line != '\n'; line++) {
        n += *line == letter;
    }
    return n;
}

static void the_terminal_has_letters(void **state)
{
    (void)state;
    acestep_plan *plan = make_plan();
    char *text = acestep_plan_picture(plan, 120, false);
    assert_non_null(text);
    assert_null(strchr(text, '\033'));
    const char *row = strstr(text, "diffusion");
    assert_non_null(row);
    int d = count(row, 'D');
    int c = count(row, 'C');
    assert_true(d >= 4 * c - 4 && d <= 4 * c + 4 && c > 0); /* 400 MB and 100 MB */
    assert_int_equal(count(row, '|'), 1);
    char *colour = acestep_plan_picture(plan, 120, true);
    assert_non_null(strchr(colour, '\033'));
    free(colour);
    free(text);
    free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bands_add_up),
        cmocka_unit_test(the_file_is_in_proportion),
        cmocka_unit_test(a_far_cap_is_told),
        cmocka_unit_test(the_terminal_has_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
