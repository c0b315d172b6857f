#include "sample/median.h"

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

static float middle_of_three(float a, float b, float c)
{
    float low = a < b ? a : b;
    float high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* Moves the k-th smallest value to place k, smaller ones before it, larger ones after it: Hoare,
 * "Algorithm 65: find", 1961. */
static void find(float *v, int64_t n, int64_t k)
{
    int64_t low = 0;
    int64_t high = n - 1;
    while (low < high) {
        float pivot = middle_of_three(v[low], v[low + (high - low) / 2], v[high]);
        int64_t i = low;
        int64_t j = high;
        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i <= j) {
                swap(&v[i++], &v[j--]);
            }
        }
        high = j < k ? high : j;
        low = i > k ? low : i;
        if (j < k && k < i) {
            return;
        }
    }
}

float ace_median(float *values, int64_t n)
{
    int64_t k = n / 2;
    find(values, n, k);
    float upper = values[k];
    if (n % 2 == 1) {
        return upper;
    }
    float lower = values[0];
    for (int64_t i = 1; i < k; i++) {
        lower = values[i] > lower ? values[i] : lower;
    }
    return lower + (upper - lower) / 2;
}
