#include "cases.h"

const case_operation case_operations[CASE_OPERATIONS] = {
    {"linear", case_linear},
    {"conv", case_conv},
    {"conv_transpose", case_conv_transpose},
    {"rms_norm", case_rms_norm},
    {"head_norm", case_head_norm},
    {"attention", case_attention},
    {"attention_wide", case_attention_wide},
    {"attention_int8", case_attention_int8},
    {"silu", case_silu},
    {"silu_mul", case_silu_mul},
    {"add", case_add},
    {"copy", case_copy},
    {"fill", case_fill},
    {"scatter", case_scatter},
    {"scatter_int8", case_scatter_int8},
    {"mix", case_mix},
};
