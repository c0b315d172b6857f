#include "cuda_device.h"

#include <dlfcn.h>
#include <string.h>

/* ---- opening
 * ------------------------------------------------------------------------------------- */

/* A function of the library; POSIX gives data pointers. */
static bool find(void *file, const char *name, void *function)
{
    void *symbol = dlsym(file, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool find_all(void *file, ace_lt_functions *f)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {{"cublasLtCreate", &f->create},
                  {"cublasLtDestroy", &f->destroy},
                  {"cublasLtMatmulDescCreate", &f->desc_create},
                  {"cublasLtMatmulDescDestroy", &f->desc_destroy},
                  {"cublasLtMatmulDescSetAttribute", &f->desc_set},
                  {"cublasLtMatrixLayoutCreate", &f->layout_create},
                  {"cublasLtMatrixLayoutDestroy", &f->layout_destroy},
                  {"cublasLtMatmulPreferenceCreate", &f->preference_create},
                  {"cublasLtMatmulPreferenceDestroy", &f->preference_destroy},
                  {"cublasLtMatmulPreferenceSetAttribute", &f->preference_set},
                  {"cublasLtMatmulAlgoGetHeuristic", &f->heuristic},
                  {"cublasLtMatmul", &f->matmul}};
    bool complete = true;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        complete = find(file, wanted[i].name, wanted[i].function) && complete;
    }
    return complete;
}

static void *open_file(void)
{
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
    void *file = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && file == NULL; i++) {
        file = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return file;
}

/* Rows of weights are columns for the library, which counts down columns: w is its transposed
 * first operand, x its second, and results come out as rows again. */
static bool describe(ace_cuda_library *l)
{
    const int transposed = ACE_LT_OP_TRANSPOSE;
    const uint64_t workspace = ACE_CUDA_LIBRARY_BYTES;
    const uint32_t alignment = 16;
    bool well = l->lt.create(&l->handle) == 0 &&
                l->lt.desc_create(&l->desc, ACE_LT_COMPUTE_F32, ACE_LT_F32) == 0 &&
                l->lt.desc_set(l->desc, ACE_LT_TRANSPOSE_A, &transposed, sizeof transposed) == 0 &&
                l->lt.preference_create(&l->preference) == 0 &&
                l->lt.preference_set(l->preference, ACE_LT_MAX_WORKSPACE, &workspace,
                                     sizeof workspace) == 0;
    for (int i = 0; i < ACE_LT_OPERANDS && well; i++) {
        well = l->lt.preference_set(l->preference, ACE_LT_ALIGNMENT_A + i, &alignment,
                                    sizeof alignment) == 0;
    }
    return well;
}

bool ace_cuda_library_is_there(ace_cuda *cuda)
{
    ace_cuda_library *l = &cuda->library;
    if (!l->wanted || l->asked) {
        return l->handle != NULL;
    }
    l->asked = true;
    l->file = open_file();
    if (l->file != NULL && (!find_all(l->file, &l->lt) || !describe(l))) {
        ace_cuda_library_close(l);
        cuda->host->log(ACE_LOG_WARNING, "cuda",
                        "cuBLASLt is there but does not work: products are made by kernels of our "
                        "own, which are slower");
    } else if (l->file == NULL) {
        cuda->host->log(
            ACE_LOG_WARNING, "cuda",
            "cuBLASLt is not installed (libcublasLt.so.13 or .12): products are made by "
            "kernels of our own, which are slower");
    }
    return l->handle != NULL;
}

static void free_plan(ace_cuda_library *l, ace_cuda_matmul_plan *p)
{
    void *layouts[] = {p->x, p->w, p->y};
    for (int i = 0; i < 3; i++) {
        if (layouts[i] != NULL) {
            (void)l->lt.layout_destroy(layouts[i]);
        }
    }
    memset(p, 0, sizeof *p);
}

void ace_cuda_library_close(ace_cuda_library *l)
{
    for (int i = 0; i < ACE_CUDA_MATMUL_PLANS; i++) {
        free_plan(l, &l->plan[i]);
    }
    if (l->preference != NULL) {
        (void)l->lt.preference_destroy(l->preference);
    }
    if (l->desc != NULL) {
        (void)l->lt.desc_destroy(l->desc);
    }
    if (l->handle != NULL) {
        (void)l->lt.destroy(l->handle);
    }
    l->preference = NULL;
    l->desc = NULL;
    l->handle = NULL; /* the file stays loaded: the driver may still know it */
}

/* ---- products
 * ------------------------------------------------------------------------------------ */

static bool same_shape(const ace_cuda_matmul *a, const ace_cuda_matmul *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->x_ld == b->x_ld &&
           a->w_ld == b->w_ld && a->y_ld == b->y_ld && a->in == b->in && a->out == b->out;
}

static int type_of(ace_dtype t)
{
    return t == ACE_BF16 ? ACE_LT_BF16 : ACE_LT_F32;
}

static void make_plan(ace_cuda_library *l, const ace_cuda_matmul *s, ace_cuda_matmul_plan *p)
{
    ace_lt_heuristic found = {0};
    int n_found = 0;
    uint64_t m = (uint64_t)s->m;
    uint64_t n = (uint64_t)s->n;
    uint64_t k = (uint64_t)s->k;
    p->shape = *s;
    bool well = l->lt.layout_create(&p->w, type_of(s->in), k, n, s->w_ld) == 0 &&
                l->lt.layout_create(&p->x, type_of(s->in), k, m, s->x_ld) == 0 &&
                l->lt.layout_create(&p->y, type_of(s->out), n, m, s->y_ld) == 0 &&
                l->lt.heuristic(l->handle, l->desc, p->w, p->x, p->y, p->y, l->preference, 1,
                                &found, &n_found) == 0;
    p->refused = !well || n_found < 1 || found.state != 0;
    p->algo = found.algo;
}

const ace_cuda_matmul_plan *ace_cuda_matmul_for(ace_cuda *cuda, const ace_cuda_matmul *shape)
{
    ace_cuda_library *l = &cuda->library;
    int n = l->n_plans < ACE_CUDA_MATMUL_PLANS ? l->n_plans : ACE_CUDA_MATMUL_PLANS;
    for (int i = 0; i < n; i++) {
        if (same_shape(&l->plan[i].shape, shape)) {
            return l->plan[i].refused ? NULL : &l->plan[i];
        }
    }
    ace_cuda_matmul_plan *p = &l->plan[l->n_plans++ % ACE_CUDA_MATMUL_PLANS];
    free_plan(l, p);
    make_plan(l, shape, p);
    return p->refused ? NULL : p;
}

void ace_cuda_matmul_run(ace_cuda *cuda, const ace_cuda_matmul_plan *plan, void *y, const void *x,
                         const void *w)
{
    const float one = 1;
    const float zero = 0;
    ace_cuda_library *l = &cuda->library;
    int code = l->lt.matmul(l->handle, l->desc, &one, w, plan->w, x, plan->x, &zero, y, plan->y, y,
                            plan->y, &plan->algo, cuda->area.library, ACE_CUDA_LIBRARY_BYTES,
                            cuda->compute);
    if (code != 0) {
        ace_cuda_give_up(cuda, "cuBLASLt refuses a product that it has planned (status %d)", code);
    }
}
