#include "support/listen.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double RATE = 48000.0;
static const double PI = 3.14159265358979323846;

/* In-place radix-2 FFT of n complex numbers (re, im), n a power of two. */
static void fft(double *re, double *im, int n)
{
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; (j & bit) != 0; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
    for (int length = 2; length <= n; length <<= 1) {
        double angle = -2.0 * PI / length;
        for (int start = 0; start < n; start += length) {
            for (int k = 0; k < length / 2; k++) {
                double c = cos(angle * k);
                double s = sin(angle * k);
                int a = start + k;
                int b = a + length / 2;
                double x = re[b] * c - im[b] * s;
                double y = re[b] * s + im[b] * c;
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
        }
    }
}

/* Power spectrum of n samples of the middle channel from `first`, Hann window: power[n / 2]. */
static void spectrum(heard_sound s, int64_t first, int n, double *power)
{
    double *re = calloc((size_t)n, sizeof *re);
    double *im = calloc((size_t)n, sizeof *im);
    if (re == NULL || im == NULL) {
        abort();
    }
    for (int i = 0; i < n; i++) {
        int64_t at = first + i;
        if (at >= 0 && at < s.frames) {
            double window = 0.5 - 0.5 * cos(2.0 * PI * i / n);
            re[i] = window * 0.5 * ((double)s.samples[2 * at] + (double)s.samples[2 * at + 1]);
        }
    }
    fft(re, im, n);
    for (int i = 0; i < n / 2; i++) {
        power[i] = re[i] * re[i] + im[i] * im[i];
    }
    free(re);
    free(im);
}

double listen_tempo(heard_sound s, double expected, double share)
{
    enum { HOP = 240, WINDOW = 512 }; /* 5 ms */
    int n = (int)(s.frames / HOP);
    double *onset = calloc((size_t)n + 1, sizeof *onset);
    double before[WINDOW / 2] = {0};
    double power[WINDOW / 2];
    if (onset == NULL) {
        abort();
    }
    for (int i = 0; i < n; i++) {
        spectrum(s, (int64_t)i * HOP, WINDOW, power);
        for (int k = 1; k < WINDOW / 2; k++) {
            double magnitude = sqrt(power[k]);
            onset[i] += magnitude > before[k] ? magnitude - before[k] : 0;
            before[k] = magnitude;
        }
    }
    double mean = 0;
    for (int i = 0; i < n; i++) {
        mean += onset[i] / n;
    }
    double best = -1;
    double tempo = 0;
    for (double bpm = expected * (1 - share); bpm <= expected * (1 + share); bpm += 0.25) {
        double score = 0;
        for (int beats = 1; beats <= 4; beats++) {
            double lag = 60.0 / bpm * beats * RATE / HOP;
            int whole = (int)lag;
            double part = lag - whole;
            for (int i = 0; i + whole + 1 < n; i++) {
                double later = (1 - part) * onset[i + whole] + part * onset[i + whole + 1];
                score += (onset[i] - mean) * (later - mean);
            }
        }
        if (score > best) {
            best = score;
            tempo = bpm;
        }
    }
    free(onset);
    return best > 0 ? tempo : 0;
}

/* D E F♯ G A B C♯ above D = 300 Hz, just intonation. */
static const double scale_hz[7] = {300, 337.5, 375, 400, 450, 500, 562.5};

static bool is_near(double hz, double tone, double cents)
{
    return fabs(1200.0 * log2(hz / tone)) <= cents;
}

static int scale_tone(double hz, double cents)
{
    for (int i = 0; i < 7; i++) {
        for (int octave = -2; octave <= 3; octave++) {
            if (is_near(hz, ldexp(scale_hz[i], octave), cents)) {
                return i;
            }
        }
    }
    return -1;
}

double listen_in_scale(heard_sound s)
{
    enum { N = 16384 };
    static double power[N / 2];
    double inside = 0;
    double all = 0;
    for (int64_t first = 0; first + N <= s.frames; first += N / 2) {
        spectrum(s, first, N, power);
        for (int k = 1; k < N / 2; k++) {
            double hz = k * RATE / N;
            if (hz >= 140 && hz <= 2100) {
                all += power[k];
                inside += scale_tone(hz, 35) >= 0 ? power[k] : 0;
            }
        }
    }
    return all > 0 ? inside / all : 0;
}

/* Scale degrees of a chord as bits: D = D F♯ A, A = A C♯ E, Bm = B D F♯, G = G B D. */
static unsigned chord_tones(const char *name, size_t n)
{
    if (n == 2 && strncmp(name, "Bm", 2) == 0) {
        return 1u << 5 | 1u << 0 | 1u << 2;
    }
    switch (n == 1 ? name[0] : '\0') {
    case 'D':
        return 1u << 0 | 1u << 2 | 1u << 4;
    case 'A':
        return 1u << 4 | 1u << 6 | 1u << 1;
    case 'G':
        return 1u << 3 | 1u << 5 | 1u << 0;
    default:
        abort();
    }
}

double listen_chord_hits(heard_sound s, const char *chords, double beats_per_minute)
{
    enum { N = 16384 };
    static double power[N / 2];
    double hits = 0;
    double all = 0;
    double bar = 4 * 60.0 / beats_per_minute * RATE;
    const char *chord = chords;
    for (int64_t i = 0; (double)(i + 1) * bar <= (double)s.frames; i++) {
        size_t n = strcspn(chord, " ");
        unsigned tones = chord_tones(chord, n);
        /* windows wholly inside the bar, behind the previous chord's tail */
        for (double at = (double)i * bar + 4800; at + N <= (double)(i + 1) * bar; at += N / 2.0) {
            spectrum(s, (int64_t)at, N, power);
            for (int k = 1; k < N / 2; k++) {
                double hz = k * RATE / N;
                int tone = hz >= 70 && hz <= 1050 ? scale_tone(hz, 20) : -1;
                if (tone >= 0) {
                    all += power[k];
                    hits += (tones >> tone & 1u) != 0 ? power[k] : 0;
                }
            }
        }
        chord += n;
        chord = *chord == ' ' ? chord + 1 : chords;
    }
    return all > 0 ? hits / all : 0;
}

double listen_band(heard_sound s, double low, double high)
{
    enum { N = 8192 };
    static double power[N / 2];
    double energy = 0;
    int windows = 0;
    for (int64_t first = 0; first + N <= s.frames; first += N / 2) {
        spectrum(s, first, N, power);
        for (int k = 1; k < N / 2; k++) {
            double hz = k * RATE / N;
            energy += hz >= low && hz < high ? power[k] : 0;
        }
        windows++;
    }
    /* Parseval, one-sided, Hann window power 3/8 */
    return windows > 0 ? sqrt(2.0 * energy / windows / ((double)N * N * 0.375)) : 0;
}
