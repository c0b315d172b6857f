/* The operations of the simulated card: the inner device's, at the inner device's addresses. */
#include "device/sim.h"

static ace_tensor inner_tensor(const ace_sim *sim, ace_tensor t)
{
    t.addr = ace_sim_inner(sim, t.addr);
    return t;
}

static ace_matrix inner_matrix(const ace_sim *sim, const ace_matrix *w)
{
    ace_matrix inner = *w;
    inner.addr = ace_sim_inner(sim, w->addr);
    return inner;
}

static ace_epilogue inner_epilogue(const ace_sim *sim, const ace_epilogue *e)
{
    ace_epilogue inner = *e;
    inner.bias = inner_tensor(sim, e->bias);
    inner.gate = inner_tensor(sim, e->gate);
    return inner;
}

void ace_sim_linear(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                    const ace_epilogue *e)
{
    ace_sim *sim = ace_sim_of(device);
    ace_matrix matrix = inner_matrix(sim, w);
    ace_epilogue epilogue = inner_epilogue(sim, e);
    sim->inner->ops->linear(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &matrix,
                            &epilogue);
}

void ace_sim_conv(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                  const ace_conv *c, const ace_epilogue *e)
{
    ace_sim *sim = ace_sim_of(device);
    ace_matrix matrix = inner_matrix(sim, w);
    ace_epilogue epilogue = inner_epilogue(sim, e);
    ace_conv conv = *c;
    conv.snake_alpha = inner_tensor(sim, c->snake_alpha);
    conv.snake_inv_beta = inner_tensor(sim, c->snake_inv_beta);
    sim->inner->ops->conv(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &matrix, &conv,
                          &epilogue);
}

void ace_sim_conv_transpose(ace_device *device, ace_tensor y, ace_tensor x, const ace_matrix *w,
                            const ace_conv_transpose *c)
{
    ace_sim *sim = ace_sim_of(device);
    ace_matrix matrix = inner_matrix(sim, w);
    ace_conv_transpose conv = *c;
    conv.snake_alpha = inner_tensor(sim, c->snake_alpha);
    conv.snake_inv_beta = inner_tensor(sim, c->snake_inv_beta);
    conv.bias = inner_tensor(sim, c->bias);
    sim->inner->ops->conv_transpose(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &matrix,
                                    &conv);
}

void ace_sim_rms_norm(ace_device *device, ace_tensor y, ace_tensor x, const ace_norm *n)
{
    ace_sim *sim = ace_sim_of(device);
    ace_norm norm = *n;
    norm.weight = inner_tensor(sim, n->weight);
    norm.scale = inner_tensor(sim, n->scale);
    norm.shift = inner_tensor(sim, n->shift);
    sim->inner->ops->rms_norm(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &norm);
}

void ace_sim_head_norm(ace_device *device, ace_tensor x, const ace_head_norm *n)
{
    ace_sim *sim = ace_sim_of(device);
    ace_head_norm norm = *n;
    norm.weight = inner_tensor(sim, n->weight);
    norm.rope = inner_tensor(sim, n->rope);
    sim->inner->ops->head_norm(sim->inner, inner_tensor(sim, x), &norm);
}

void ace_sim_attention(ace_device *device, ace_tensor y, ace_tensor q, ace_tensor k, ace_tensor v,
                       const ace_attention *a)
{
    ace_sim *sim = ace_sim_of(device);
    ace_attention inner = *a;
    inner.k_scale = inner_tensor(sim, a->k_scale);
    inner.v_scale = inner_tensor(sim, a->v_scale);
    sim->inner->ops->attention(sim->inner, inner_tensor(sim, y), inner_tensor(sim, q),
                               inner_tensor(sim, k), inner_tensor(sim, v), &inner);
}

void ace_sim_silu(ace_device *device, ace_tensor y, ace_tensor x)
{
    ace_sim *sim = ace_sim_of(device);
    sim->inner->ops->silu(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x));
}

void ace_sim_silu_mul(ace_device *device, ace_tensor y, ace_tensor gate, ace_tensor up)
{
    ace_sim *sim = ace_sim_of(device);
    sim->inner->ops->silu_mul(sim->inner, inner_tensor(sim, y), inner_tensor(sim, gate),
                              inner_tensor(sim, up));
}

void ace_sim_add(ace_device *device, ace_tensor y, ace_tensor a, ace_tensor b)
{
    ace_sim *sim = ace_sim_of(device);
    sim->inner->ops->add(sim->inner, inner_tensor(sim, y), inner_tensor(sim, a),
                         inner_tensor(sim, b));
}

void ace_sim_copy(ace_device *device, ace_tensor y, ace_tensor x)
{
    ace_sim *sim = ace_sim_of(device);
    sim->inner->ops->copy(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x));
}

void ace_sim_fill(ace_device *device, ace_tensor y, float value)
{
    ace_sim *sim = ace_sim_of(device);
    sim->inner->ops->fill(sim->inner, inner_tensor(sim, y), value);
}

void ace_sim_scatter(ace_device *device, ace_tensor y, ace_tensor x, const ace_scatter *to)
{
    ace_sim *sim = ace_sim_of(device);
    ace_scatter inner = *to;
    inner.scale = inner_tensor(sim, to->scale);
    sim->inner->ops->scatter(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &inner);
}

void ace_sim_mix(ace_device *device, ace_tensor y, ace_tensor x, const ace_mix *m)
{
    ace_sim *sim = ace_sim_of(device);
    ace_mix mix = *m;
    mix.weight = inner_tensor(sim, m->weight);
    mix.gate = inner_tensor(sim, m->gate);
    sim->inner->ops->mix(sim->inner, inner_tensor(sim, y), inner_tensor(sim, x), &mix);
}
