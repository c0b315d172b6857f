/* The plug-in's one exported function, and opening and closing the device. */
#include "cuda_device.h"

#include <stdio.h>
#include <string.h>

/* Turing: the oldest cards that today's CUDA compiles for. */
enum { OLDEST_CAPABILITY = 75 };

#ifndef ACE_CUDA_ABOUT
#error "the build says what the plug-in is built with and for"
#endif

/* ---- closing
 * -------------------------------------------------------------------------------------- */

static void close_device(ace_device *device)
{
    ace_cuda *cuda = ace_cuda_of(device);
    const ace_plugin_services *host = cuda->host;
    if (ace_cuda_may_launch(cuda)) {
        (void)cudaDeviceSynchronize();
    }
    ace_cuda_forget_step(device, 0);
    ace_cuda_library_close(&cuda->library);
    ace_cuda_ring_close(cuda, &cuda->up);
    ace_cuda_ring_close(cuda, &cuda->side);
    ace_cuda_tickets_close(&cuda->marks);
    ace_cuda_tickets_close(&cuda->written);
    if (cuda->issued != NULL) {
        (void)cudaEventDestroy(cuda->issued);
    }
    if (cuda->copy != NULL) {
        (void)cudaStreamDestroy(cuda->copy);
    }
    if (cuda->compute != NULL) {
        (void)cudaStreamDestroy(cuda->compute);
    }
    ace_cuda_close_memory(cuda);
    ace_cuda_card_leave(cuda);
    ace_cuda_reservation_close(&cuda->reservation);
    (void)pthread_mutex_destroy(&cuda->writing);
    (void)pthread_mutex_destroy(&cuda->steps.lock);
    (void)pthread_mutex_destroy(&cuda->telling);
    host->release(cuda);
}

static bool is_lost(const ace_device *device)
{
    return atomic_load(&((const ace_cuda *)device)->dead);
}

static const ace_device_ops cuda_ops = {
    .reserve = ace_cuda_reserve,
    .release = ace_cuda_release,
    .memory = ace_cuda_memory,
    .upload = ace_cuda_upload,
    .download = ace_cuda_download,
    .matrix_bytes = ace_cuda_matrix_bytes,
    .matrix_pack = ace_cuda_matrix_pack,
    .matrix_image = ace_cuda_matrix_image,
    .write = ace_cuda_write,
    .mark = ace_cuda_mark,
    .write_after = ace_cuda_write_after,
    .await = ace_cuda_await,
    .linear = ace_cuda_linear,
    .conv = ace_cuda_conv,
    .conv_transpose = ace_cuda_conv_transpose,
    .rms_norm = ace_cuda_rms_norm,
    .head_norm = ace_cuda_head_norm,
    .attention = ace_cuda_attention_op,
    .silu = ace_cuda_silu,
    .silu_mul = ace_cuda_silu_mul,
    .add = ace_cuda_add,
    .copy = ace_cuda_copy,
    .fill = ace_cuda_fill,
    .scatter = ace_cuda_scatter,
    .mix = ace_cuda_mix,
    .choose = ace_cuda_choose,
    .begin_step = ace_cuda_begin_step,
    .end_step = ace_cuda_end_step,
    .forget_step = ace_cuda_forget_step,
    .is_lost = is_lost,
    .close = close_device,
};

/* ---- opening
 * -------------------------------------------------------------------------------------- */

static ace_status cannot_use(int card, cudaError_t code, ace_error *err)
{
    return ace_fail(err, ACESTEP_UNSUPPORTED,
                    "cuda: card %d cannot be used: %s (%s); is the driver recent enough for the "
                    "plug-in (" ACE_CUDA_ABOUT ")?",
                    card, cudaGetErrorString(code), cudaGetErrorName(code));
}

static ace_status choose_card(ace_cuda *cuda, ace_error *err)
{
    struct cudaDeviceProp properties;
    int cards = 0;
    cudaError_t code = cudaGetDeviceCount(&cards);
    if (code == cudaSuccess && cuda->card >= cards) {
        return ace_fail(err, ACESTEP_UNSUPPORTED, "cuda: there is no card %d, the driver shows %d",
                        cuda->card, cards);
    }
    code = code == cudaSuccess ? cudaGetDeviceProperties(&properties, cuda->card) : code;
    if (code != cudaSuccess) {
        return cannot_use(cuda->card, code, err);
    }
    (void)snprintf(cuda->card_name, sizeof cuda->card_name, "%.95s", properties.name);
    cuda->capability = 10 * properties.major + properties.minor;
    cuda->processors = properties.multiProcessorCount;
    if (cuda->capability < OLDEST_CAPABILITY) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "cuda: %s has compute capability %d.%d, and %d.%d is the least that works",
                        cuda->card_name, properties.major, properties.minor, OLDEST_CAPABILITY / 10,
                        OLDEST_CAPABILITY % 10);
    }
    code = cudaSetDevice(cuda->card);
    code = code == cudaSuccess ? cudaFree(NULL) : code; /* makes the context */
    cuda->has_context = code == cudaSuccess;
    return code == cudaSuccess ? ACESTEP_OK : cannot_use(cuda->card, code, err);
}

static ace_status open_streams(ace_cuda *cuda, ace_error *err)
{
    bool well =
        ace_cuda_check(cuda, cudaStreamCreateWithFlags(&cuda->compute, cudaStreamNonBlocking),
                       "making a stream") &&
        ace_cuda_check(cuda, cudaStreamCreateWithFlags(&cuda->copy, cudaStreamNonBlocking),
                       "making a stream") &&
        ace_cuda_check(cuda, cudaEventCreateWithFlags(&cuda->issued, cudaEventDisableTiming),
                       "making an event");
    well = well && ace_cuda_tickets_open(cuda, &cuda->marks) &&
           ace_cuda_tickets_open(cuda, &cuda->written) &&
           ace_cuda_ring_open(cuda, &cuda->up, cuda->compute) &&
           ace_cuda_ring_open(cuda, &cuda->side, cuda->copy);
    if (!well && ace_cuda_is_alive(cuda)) {
        return ace_fail(err, ACESTEP_MEMORY, "cuda: no host memory to copy through");
    }
    return well ? ACESTEP_OK : ace_cuda_dead(cuda, err);
}

/* All that takes device memory besides the blocks of memory.c. */
static ace_status enter_card(ace_cuda *cuda, ace_error *err)
{
    ace_status status = ace_cuda_card_enter(cuda, err);
    if (status == ACESTEP_OK) {
        status = choose_card(cuda, err);
    }
    return status != ACESTEP_OK ? status : open_streams(cuda, err);
}

static ace_status open_parts(ace_cuda *cuda, const ace_plugin_options *options, ace_error *err)
{
    ace_status status = enter_card(cuda, err);
    if (status == ACESTEP_OK) {
        ace_cuda_settle_context(cuda);
        status = ace_cuda_open_memory(cuda, options, err);
    }
    return status;
}

static ace_status open_device(const ace_plugin_options *options, const ace_plugin_services *host,
                              ace_device **out, ace_error *err)
{
    *out = NULL;
    ace_cuda *cuda = host->allocate(1, sizeof *cuda);
    if (cuda == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "cuda: no host memory for the device");
    }
    cuda->base = (ace_device){
        .name = "cuda", .ops = &cuda_ops, .alignment = ACE_CUDA_ALIGNMENT, .computes = true};
    cuda->host = host;
    cuda->pool = options->pool;
    cuda->card = options->card;
    cuda->library.wanted = options->vendor_libraries;
    cuda->flash_attention = options->flash_attention;
    atomic_init(&cuda->dead, false);
    (void)pthread_mutex_init(&cuda->writing, NULL);
    (void)pthread_mutex_init(&cuda->steps.lock, NULL);
    (void)pthread_mutex_init(&cuda->telling, NULL);
    ace_status status = open_parts(cuda, options, err);
    if (status != ACESTEP_OK) {
        close_device(&cuda->base);
        return status;
    }
    host->log(
        ACE_LOG_INFO, "cuda",
        "card %d, %s, compute capability %d.%d: cap %.2f GB, context %.2f GB, workspace %.2f GB",
        cuda->card, cuda->card_name, cuda->capability / 10, cuda->capability % 10,
        (double)cuda->cap / 1073741824.0, (double)cuda->context / 1073741824.0,
        (double)cuda->base.workspace_bytes / 1073741824.0);
    *out = &cuda->base;
    return ACESTEP_OK;
}

__attribute__((visibility("default"))) const ace_plugin *acestep_device_plugin(void);

const ace_plugin *acestep_device_plugin(void)
{
    static const ace_plugin plugin = {.abi = ACE_PLUGIN_ABI,
                                      .sizes = ACE_PLUGIN_SIZE_LIST,
                                      .name = "cuda",
                                      .about = ACE_CUDA_ABOUT,
                                      .min_capability = OLDEST_CAPABILITY,
                                      .open = open_device};
    return &plugin;
}
