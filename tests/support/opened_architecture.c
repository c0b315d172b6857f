#include "support/opened_architecture.h"

#include "base/file_map.h"
#include "model/config_assumed.h"
#include "support/made_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ace_file open_below(const opened *o, const char *part, ace_weights **weights)
{
    char path[256];
    ace_file file;
    ace_error err = {.code = ACESTEP_OK};
    (void)snprintf(path, sizeof path, "%s/%s", o->folder, part);
    if (ace_weights_open(path, weights, &err) != ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    (void)snprintf(path, sizeof path, "%s/%s/config.json", o->folder, part);
    assert_int_equal(ace_file_open(path, &file, NULL), ACESTEP_OK);
    return file;
}

static void read_qwen3(opened *o, const char *part, ace_weights **weights, ace_qwen3_config *out)
{
    ace_error err = {.code = ACESTEP_OK};
    ace_file file = open_below(o, part, weights);
    if (ace_qwen3_config_parse((const char *)file.data, file.bytes, part, out, &err) !=
        ACESTEP_OK) {
        fail_msg("%s", err.message);
    }
    ace_file_close(&file);
    ace_qwen3_config_complete(out, *weights);
}

opened *open_architecture(uint64_t seed, bool songs)
{
    opened *o = calloc(1, sizeof *o);
    ace_error err = {.code = ACESTEP_OK};
    assert_non_null(o);
    architecture_draw(seed, songs, &o->drawn);
    temporary_folder_make(o->folder);
    made_checkpoint_write(o->folder, &o->drawn, songs);
    ace_file dit = open_below(o, "acestep-v15-turbo", &o->dit);
    ace_file vae = open_below(o, "vae", &o->vae);
    if (ace_dit_config_parse((const char *)dit.data, dit.bytes, "dit", &o->read.dit, &err) !=
            ACESTEP_OK ||
        ace_vae_config_parse((const char *)vae.data, vae.bytes, "vae", &o->read.vae, &err) !=
            ACESTEP_OK) {
        fail_msg("%s: %s", architecture_text(&o->drawn), err.message);
    }
    ace_file_close(&dit);
    ace_file_close(&vae);
    ace_dit_config_complete(&o->read.dit, o->dit);
    read_qwen3(o, "Qwen3-Embedding-0.6B", &o->text, &o->read.text);
    read_qwen3(o, "acestep-5Hz-lm-0.6B", &o->lm, &o->read.lm);
    return o;
}

void close_architecture(opened *o)
{
    ace_weights_close(o->dit);
    ace_weights_close(o->vae);
    ace_weights_close(o->text);
    ace_weights_close(o->lm);
    temporary_folder_remove(o->folder);
    free(o);
}

seed_range chosen_seeds(int usual)
{
    seed_range r = {1, usual};
    const char *text = getenv("TEST_ARCHITECTURES");
    if (text != NULL) {
        char *colon = NULL;
        r.first = strtoull(text, &colon, 10);
        r.count = *colon == ':' ? (int)strtol(colon + 1, NULL, 10) : 1;
    }
    return r;
}
