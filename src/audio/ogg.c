#include "audio/ogg.h"

#include "audio/tag_blocks.h"

#include <string.h>

enum {
    HEADER = 27,
    AT_FLAGS = 5,
    AT_GRANULE = 6,
    AT_SERIAL = 14,
    AT_SEQUENCE = 18,
    AT_CHECKSUM = 22,
    AT_SEGMENTS = 26,
    MAX_SEGMENTS = 255,
    FULL_SEGMENT = 255, /* a packet ends with a segment that is not full */
    CONTINUED = 1,
    FIRST_PAGE = 2
};

bool ace_ogg_next_page(const unsigned char *data, size_t bytes, size_t *at, ace_ogg_page *page)
{
    size_t left = bytes - *at;
    const unsigned char *header = data + *at;
    if (left < HEADER || memcmp(header, "OggS", 4) != 0 || header[4] != 0) {
        return false;
    }
    int segments = header[AT_SEGMENTS];
    size_t body_bytes = 0;
    if (left - HEADER < (size_t)segments) {
        return false;
    }
    for (int i = 0; i < segments; i++) {
        body_bytes += header[HEADER + i];
    }
    size_t size = HEADER + (size_t)segments + body_bytes;
    if (left < size) {
        return false;
    }
    *page =
        (ace_ogg_page){header, header + HEADER, segments, header + HEADER + segments, body_bytes};
    *at += size;
    return true;
}

bool ace_ogg_read_packet(const unsigned char *data, size_t bytes, size_t *at, int *segment,
                         ace_bytes *packet)
{
    for (;;) {
        size_t next = *at;
        ace_ogg_page page;
        if (!ace_ogg_next_page(data, bytes, &next, &page)) {
            return false;
        }
        size_t offset = 0;
        for (int i = 0; i < *segment; i++) {
            offset += page.lacing[i];
        }
        while (*segment < page.segments) {
            size_t size = page.lacing[(*segment)++];
            ace_bytes_append(packet, page.body + offset, size);
            offset += size;
            if (size < FULL_SEGMENT) {
                return true;
            }
        }
        *at = next;
        *segment = 0;
    }
}

/* Writes pages one after another. */
typedef struct page_writer {
    ace_bytes *out;
    uint32_t sequence;
    uint32_t table[256]; /* checksum of each byte: polynomial 0x04c11db7, not reflected */
} page_writer;

static void fill_table(page_writer *writer)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte << 24;
        for (int bit = 0; bit < 8; bit++) {
            sum = (sum << 1) ^ (sum & 0x80000000u ? 0x04c11db7u : 0u);
        }
        writer->table[byte] = sum;
    }
}

/* Gives the page at `start` of out our serial number, the next sequence number and its checksum. */
static void seal_page(page_writer *writer, size_t start)
{
    ace_bytes *out = writer->out;
    if (out->failed) {
        return;
    }
    unsigned char *page = out->data + start;
    uint32_t fields[] = {ACE_OGG_SERIAL, writer->sequence++, 0};
    for (int i = 0; i < 12; i++) {
        page[AT_SERIAL + i] = (unsigned char)(fields[i / 4] >> (8 * (i % 4)));
    }
    uint32_t sum = 0;
    for (size_t i = 0; i < out->size - start; i++) {
        sum = (sum << 8) ^ writer->table[(sum >> 24) ^ page[i]];
    }
    for (int i = 0; i < 4; i++) {
        page[AT_CHECKSUM + i] = (unsigned char)(sum >> (8 * i));
    }
}

static void append_page(page_writer *writer, unsigned flags, uint64_t granule,
                        const unsigned char *lacing, size_t segments, const unsigned char *body,
                        size_t body_bytes)
{
    ace_bytes *out = writer->out;
    size_t start = out->size;
    ace_bytes_append(out, "OggS", 5); /* with version 0 */
    ace_bytes_append_u8(out, flags);
    ace_bytes_append_le(out, granule, 8);
    ace_bytes_append(out, "\0\0\0\0\0\0\0\0\0\0\0", 12); /* sealed below */
    ace_bytes_append_u8(out, (unsigned)segments);
    ace_bytes_append(out, lacing, segments);
    ace_bytes_append(out, body, body_bytes);
    seal_page(writer, start);
}

static void append_lacing(ace_bytes *lacing, size_t packet_bytes)
{
    for (; packet_bytes >= FULL_SEGMENT; packet_bytes -= FULL_SEGMENT) {
        ace_bytes_append_u8(lacing, FULL_SEGMENT);
    }
    ace_bytes_append_u8(lacing, (unsigned)packet_bytes);
}

/* Header packets, laid out over pages. A page where no packet ends has granule position -1. */
static void append_headers(page_writer *writer, const ace_bytes *lacing, const ace_bytes *body)
{
    bool continued = false;
    size_t body_at = 0;
    for (size_t at = 0; at < lacing->size;) {
        size_t segments = lacing->size - at < MAX_SEGMENTS ? lacing->size - at : MAX_SEGMENTS;
        size_t body_bytes = 0;
        bool ends = false;
        for (size_t i = at; i < at + segments; i++) {
            body_bytes += lacing->data[i];
            ends = ends || lacing->data[i] < FULL_SEGMENT;
        }
        append_page(writer, continued ? CONTINUED : 0, ends ? 0 : UINT64_MAX, lacing->data + at,
                    segments, body->data + body_at, body_bytes);
        at += segments;
        body_at += body_bytes;
        continued = lacing->data[at - 1] == FULL_SEGMENT;
    }
}

static const char comment_mark[7] = {3, 'v', 'o', 'r', 'b', 'i', 's'};

/* The comment packet `old` with our tags and the encoder's name kept. */
static void append_comment_packet(const ace_bytes *old, const ace_tag *tags, size_t n_tags,
                                  ace_bytes *out)
{
    const size_t start = sizeof comment_mark + 4;
    const char *vendor = "";
    size_t vendor_bytes = 0;
    if (old->size >= start) {
        uint64_t claimed = ace_load_le(old->data + sizeof comment_mark, 4);
        vendor = (const char *)old->data + start;
        vendor_bytes = claimed <= old->size - start ? (size_t)claimed : 0;
    }
    ace_bytes_append(out, comment_mark, sizeof comment_mark);
    ace_vorbis_comment_append(out, vendor, vendor_bytes, tags, n_tags);
    ace_bytes_append_u8(out, 1); /* framing bit */
}

/* The three header packets; *at is left at the first page of sound. */
static bool copy_headers(const ace_bytes *in, const ace_tag *tags, size_t n_tags, size_t *at,
                         page_writer *writer)
{
    ace_bytes packets[3] = {{0}, {0}, {0}};
    ace_bytes body = {0};
    ace_bytes lacing = {0};
    int segment = 0;
    bool found = true;
    for (int i = 0; i < 3 && found; i++) {
        found = ace_ogg_read_packet(in->data, in->size, at, &segment, &packets[i]);
    }
    ace_ogg_page last;
    found = found && ace_ogg_next_page(in->data, in->size, at, &last) && segment == last.segments &&
            packets[0].size < FULL_SEGMENT;
    if (found) {
        unsigned char size = (unsigned char)packets[0].size;
        append_page(writer, FIRST_PAGE, 0, &size, 1, packets[0].data, packets[0].size);
        append_comment_packet(&packets[1], tags, n_tags, &body);
        append_lacing(&lacing, body.size);
        ace_bytes_append(&body, packets[2].data, packets[2].size);
        append_lacing(&lacing, packets[2].size);
        if (!body.failed && !lacing.failed) {
            append_headers(writer, &lacing, &body);
        }
    }
    writer->out->failed = writer->out->failed || body.failed || lacing.failed;
    for (int i = 0; i < 3; i++) {
        writer->out->failed = writer->out->failed || packets[i].failed;
        ace_bytes_free(&packets[i]);
    }
    ace_bytes_free(&body);
    ace_bytes_free(&lacing);
    return found;
}

bool ace_ogg_vorbis_retag(const ace_bytes *in, const ace_tag *tags, size_t n_tags, ace_bytes *out)
{
    page_writer writer = {.out = out};
    fill_table(&writer);
    size_t at = 0;
    if (!copy_headers(in, tags, n_tags, &at, &writer)) {
        return false;
    }
    ace_ogg_page page;
    while (at < in->size && ace_ogg_next_page(in->data, in->size, &at, &page)) {
        size_t start = out->size;
        ace_bytes_append(out, page.header, (size_t)(in->data + at - page.header));
        seal_page(&writer, start);
    }
    return at == in->size;
}
