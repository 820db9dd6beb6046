/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "compose.h"
#include "deframer.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define STREAM_MAX 200000
#define FRAMES_MAX 1024

static const struct accept_rules gateway = {.role = ROLE_GATEWAY, .current_check = true};

/* What goes in, and the true frames in it. All of them must come out, in order. Nothing else may, but for one
 * case: a frame cut short whose sum the next frame's beginning happens to fit. */
struct stream {
        uint8_t bytes[STREAM_MAX];
        size_t size;
        uint8_t frames[FRAMES_MAX][FRAME_SIZE];
        size_t n_frames;
        size_t n_cut; /* frames cut short in it */
};

static void add_bytes(struct stream *s, const uint8_t *bytes, size_t size) {
        assert_true(s->size + size <= STREAM_MAX);
        memcpy(s->bytes + s->size, bytes, size);
        s->size += size;
}

static void add_frame(struct stream *s, const uint8_t bytes[FRAME_SIZE]) {
        assert_true(s->n_frames < FRAMES_MAX);
        memcpy(s->frames[s->n_frames++], bytes, FRAME_SIZE);
        add_bytes(s, bytes, FRAME_SIZE);
}

static size_t below(size_t n, uint64_t *random) {
        return (size_t)(compose_random(random) % n);
}

static void add_noise(struct stream *s, size_t size, uint64_t *random) {
        for (size_t i = 0; i < size; i++) {
                uint8_t byte = (uint8_t)compose_random(random);

                /* Half of it signs: noise that looks like frames. */
                if (byte & 1)
                        byte = (uint8_t)"+-X"[byte % 3];
                add_bytes(s, &byte, 1);
        }
}

static void check_counters(const struct deframer *d) {
        assert_int_equal(d->bytes + d->shared_bytes,
                         FRAME_SIZE * d->frames + d->skipped_bytes + d->unclaimed);
        assert_true(d->unclaimed <= d->fill && d->fill <= FRAME_SIZE);
}

struct result {
        size_t frames; /* true ones so far */
        size_t others; /* accepted, but not sent */
};

/* Feeds bytes [from, to) and checks what comes out against the true frames from r->frames on. */
static void feed(struct deframer *d, const struct stream *s, size_t from, size_t to, struct result *r) {
        for (size_t i = from; i < to; i++) {
                uint8_t bytes[FRAME_SIZE];
                struct frame f;

                if (deframer_push(d, s->bytes[i], &f, bytes) == DEFRAMER_FRAME) {
                        assert_int_equal(f.count, bytes[25]);
                        if (r->frames < s->n_frames && memcmp(bytes, s->frames[r->frames], FRAME_SIZE) == 0)
                                r->frames++;
                        else
                                r->others++;
                }
                check_counters(d);
        }
}

/* Returns how many frames came out that were not sent. */
static size_t check_stream(const struct stream *s) {
        struct deframer d;
        struct result r = {};

        deframer_init(&d, &gateway);
        feed(&d, s, 0, s->size, &r);
        assert_int_equal(r.frames, s->n_frames);
        assert_int_equal(d.frames, r.frames + r.others);
        assert_int_equal(d.bytes, s->size);
        if (s->n_cut == 0)
                assert_int_equal(r.others, 0);
        if (r.others == 0) {
                assert_int_equal(d.shared_bytes, 0);
                assert_int_equal(d.skipped_bytes + d.unclaimed, s->size - FRAME_SIZE * s->n_frames);
        }
        return r.others;
}

/* A few frames of a live pack with noise, truncated frames and nothing between them. */
static void mixed(struct stream *s, uint64_t *random) {
        struct compose_cell cells[16];
        uint8_t bytes[FRAME_SIZE];

        s->size = s->n_frames = s->n_cut = 0;
        for (int i = 0; i < 32; i++) {
                compose_cells(cells, 16, random);
                compose_frame(bytes, cells, 16, i % 17, (int)(compose_random(random) % 800),
                              (int)(compose_random(random) % 800));
                switch (compose_random(random) % 4) {
                case 0:
                        break; /* two frames in one read */
                case 1:
                        add_noise(s, below(200, random), random);
                        break;
                case 2:
                        add_bytes(s, bytes, 1 + below(FRAME_SIZE - 1, random)); /* cut short */
                        s->n_cut++;
                        break;
                case 3: {
                        size_t late = 1 + below(FRAME_SIZE - 1, random);

                        add_bytes(s, bytes + late, FRAME_SIZE - late); /* only its end was heard */
                        break;
                }
                }
                add_frame(s, bytes);
        }
}

static void test_noise_and_truncated_frames(void **state) {
        static struct stream s;
        uint64_t random = 2;
        size_t cut = 0, others = 0;

        (void)state;
        for (int i = 0; i < 2000; i++) {
                mixed(&s, &random);
                others += check_stream(&s);
                cut += s.n_cut;
        }
        /* At most one in 256 of those cut in their second half, where nothing but the sum tells. */
        assert_true(cut > 10000);
        assert_true(others * 256 <= cut);
}

/* B1: bytes only. All there is to know after any byte is in the struct: continuing from a copy of it, at
 * whatever byte a read ended, gives the same frames. */
static void test_any_chunking(void **state) {
        static struct stream s;
        uint64_t random = 3;

        size_t others;

        (void)state;
        mixed(&s, &random);
        others = check_stream(&s);
        for (size_t split = 0; split <= s.size; split++) {
                struct deframer first, second;
                struct result r = {};

                deframer_init(&first, &gateway);
                feed(&first, &s, 0, split, &r);
                second = first;
                memset(&first, 0xA5, sizeof(first));
                feed(&second, &s, split, s.size, &r);
                assert_int_equal(r.frames, s.n_frames);
                assert_int_equal(r.others, others);
        }
}

static void test_every_truncation(void **state) {
        static struct stream s;
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE];
        uint64_t random = 4;

        (void)state;
        for (size_t i = 0; i < 500 * (FRAME_SIZE - 1); i++) {
                size_t size = 1 + i % (FRAME_SIZE - 1);

                compose_cells(cells, 4, &random);
                s.size = s.n_frames = s.n_cut = 0;
                compose_frame(bytes, cells, 4, 1, 80, 0);
                add_frame(&s, bytes);
                add_bytes(&s, bytes, size); /* the beginning of one */
                compose_frame(bytes, cells, 4, 2, 80, 0);
                add_frame(&s, bytes);
                add_bytes(&s, bytes + size, FRAME_SIZE - size); /* the end of one */
                compose_frame(bytes, cells, 4, 3, 80, 0);
                add_frame(&s, bytes);
                s.n_cut = 1;
                (void)check_stream(&s); /* what else may come out is counted above */
        }
}

/* A byte damaged, lost or doubled costs its own frame and no other. */
static void test_damage_costs_one_frame(void **state) {
        static struct stream s;
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE], next[FRAME_SIZE];
        uint64_t random = 5;

        (void)state;
        compose_cells(cells, 4, &random);
        compose_frame(bytes, cells, 4, 1, 80, 0);
        compose_frame(next, cells, 4, 2, 80, 0);
        for (size_t at = 0; at < FRAME_SIZE; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        uint8_t damaged[FRAME_SIZE];

                        memcpy(damaged, bytes, FRAME_SIZE);
                        damaged[at] ^= (uint8_t)(1u << bit);
                        s.size = s.n_frames = s.n_cut = 0;
                        add_bytes(&s, damaged, FRAME_SIZE);
                        add_frame(&s, next);
                        check_stream(&s);
                }
        for (size_t at = 1; at < FRAME_SIZE; at++) { /* a byte before the first one is only noise */
                uint8_t wrong = (uint8_t)(bytes[at] ^ 0x55);

                s.size = s.n_frames = s.n_cut = 0;
                add_bytes(&s, bytes, at); /* byte `at` is lost */
                add_bytes(&s, bytes + at + 1, FRAME_SIZE - at - 1);
                add_frame(&s, next);
                add_bytes(&s, bytes, at); /* a byte too much */
                add_bytes(&s, &wrong, 1);
                add_bytes(&s, bytes + at, FRAME_SIZE - at);
                add_frame(&s, next);
                check_stream(&s);
        }
}

/* At line rate frames follow each other without a gap. configured: the next higher number that the IN board's
 * table has; it rotates over that many until the return has told it the count (chain.md R9), so details
 * beyond the last cell are asked for and stay zero (B4). */
static void test_line_rate(void **state) {
        static const struct { int cells, configured; } packs[] = {
                {255, 255}, {2, 4}, {5, 8}, {33, 48}, {97, 128}, {205, 255},
        };
        static struct stream s;
        uint64_t random = 6;

        (void)state;
        for (size_t p = 0; p < ELEMENTSOF(packs); p++) {
                struct compose_cell cells[255];
                bool heard[256] = {};
                struct deframer d;

                s.size = s.n_frames = s.n_cut = 0;
                compose_cells(cells, packs[p].cells, &random);
                for (int i = 0; i < 3 * packs[p].configured; i++) {
                        uint8_t bytes[FRAME_SIZE];

                        compose_frame(bytes, cells, packs[p].cells, i % packs[p].configured + 1, i % 400,
                                      100);
                        add_frame(&s, bytes);
                }
                check_stream(&s);

                deframer_init(&d, &gateway);
                for (size_t i = 0; i < s.size; i++) {
                        struct frame f;
                        const struct compose_cell *cell;

                        if (deframer_push(&d, s.bytes[i], &f, NULL) != DEFRAMER_FRAME ||
                            f.detail_cell > f.count)
                                continue;
                        heard[f.detail_cell] = true;
                        cell = &cells[f.detail_cell - 1];
                        assert_int_equal(f.detail_mv, cell->voltage_raw * 5);
                        assert_int_equal(f.detail_decic, (cell->temperature_raw - 276) * 10);
                }
                for (int i = 1; i <= packs[p].cells; i++)
                        assert_true(heard[i]);
                assert_int_equal(d.skipped_bytes, 0);
        }
}

/* B1: deframer_take() of any chunks gives what deframer_push() of each byte gives, where it gives it. */
static void test_take_is_push(void **state) {
        static struct stream s;
        uint64_t random = 11;

        (void)state;
        for (int round = 0; round < 50; round++) {
                struct deframer one, many;
                size_t at = 0;

                mixed(&s, &random);
                deframer_init(&one, &gateway);
                deframer_init(&many, &gateway);
                while (at < s.size) {
                        size_t chunk = 1 + below(round % 2 ? 4 : 400, &random);
                        size_t size = chunk < s.size - at ? chunk : s.size - at;
                        const uint8_t *data = s.bytes + at, *end = data + size;
                        enum deframer_event event;

                        do {
                                uint8_t bytes[FRAME_SIZE] = {}, expected_bytes[FRAME_SIZE] = {};
                                enum deframer_event expected = DEFRAMER_NOTHING;
                                struct frame f = {.count = 1}, expected_frame = {.count = 1};

                                event = deframer_take(&many, &data, &size, &f, bytes);
                                while (s.bytes + at < data) {
                                        assert_int_equal(expected, DEFRAMER_NOTHING); /* it stops at the first */
                                        expected = deframer_push(&one, s.bytes[at++], &expected_frame, expected_bytes);
                                }
                                assert_int_equal(event, expected);
                                assert_int_equal(f.count, expected_frame.count);
                                assert_memory_equal(bytes, expected_bytes, FRAME_SIZE);
                                assert_ptr_equal(data + size, end);
                                check_counters(&many);
                                assert_int_equal(many.skipped_bytes, one.skipped_bytes);
                                assert_int_equal(many.unclaimed, one.unclaimed);
                        } while (event != DEFRAMER_NOTHING);
                        assert_int_equal(size, 0);
                }
                assert_int_equal(many.bytes, s.size);
                assert_in_range(many.frames, s.n_frames, s.n_frames + s.n_cut);
        }
}

/* B5: told apart from noise, counted, and not consumed. */
static void test_bad_current_sum(void **state) {
        static const struct accept_rules lenient = {.role = ROLE_GATEWAY, .current_check = false};
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE], got[FRAME_SIZE];
        uint64_t random = 7;
        struct deframer d;
        struct frame f;

        (void)state;
        compose_cells(cells, 4, &random);
        compose_frame(bytes, cells, 4, 1, 80, 30);
        compose_current(bytes + 9, 110);
        compose_seal(bytes);

        deframer_init(&d, &gateway);
        for (int i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, got),
                                 i < FRAME_SIZE - 1 ? DEFRAMER_NOTHING : DEFRAMER_BAD_SUM);
        assert_memory_equal(got, bytes, FRAME_SIZE);
        assert_int_equal(f.sum.ma, 110 * 125);
        assert_int_equal(d.frames, 0);
        assert_int_equal(d.refused[ACCEPT_BAD_CURRENT_SUM], 1);
        assert_int_equal(d.fill, FRAME_SIZE);

        compose_frame(bytes, cells, 4, 2, 80, 30);
        for (int i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, got),
                                 i < FRAME_SIZE - 1 ? DEFRAMER_NOTHING : DEFRAMER_FRAME);
        assert_int_equal(d.skipped_bytes, FRAME_SIZE);

        compose_current(bytes + 9, 110);
        compose_seal(bytes);
        deframer_init(&d, &lenient);
        for (int i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, NULL),
                                 i < FRAME_SIZE - 1 ? DEFRAMER_NOTHING : DEFRAMER_FRAME);
}

/* Sum and signs hold, the rest does not: counted by verdict, outputs untouched. */
static void test_refused_frame(void **state) {
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE], got[FRAME_SIZE], before_bytes[FRAME_SIZE];
        uint64_t random = 8;
        struct deframer d;
        struct frame f, before;

        (void)state;
        compose_cells(cells, 4, &random);
        compose_frame(bytes, cells, 4, 1, 80, 30);
        compose_16(bytes + 15, 5105 / 5);
        compose_seal(bytes);

        memset(&f, 0xA5, sizeof(f));
        memset(got, 0x5A, sizeof(got));
        before = f;
        memcpy(before_bytes, got, FRAME_SIZE);
        deframer_init(&d, &gateway);
        for (int i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, got), DEFRAMER_NOTHING);
        assert_memory_equal(&f, &before, sizeof(f));
        assert_memory_equal(got, before_bytes, FRAME_SIZE);
        for (int v = 0; v < _ACCEPT_MAX; v++)
                assert_int_equal(d.refused[v], v == ACCEPT_BAD_VOLTAGE ? 1 : 0);
}

static void test_reset(void **state) {
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE];
        uint64_t random = 9;
        struct deframer d;
        struct frame f;

        (void)state;
        compose_cells(cells, 4, &random);
        compose_frame(bytes, cells, 4, 1, 80, 30);
        deframer_init(&d, &gateway);
        for (int i = 0; i < FRAME_SIZE; i++)
                (void)deframer_push(&d, bytes[i], &f, NULL);
        for (int i = 0; i < FRAME_SIZE - 1; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, NULL), DEFRAMER_NOTHING);
        deframer_reset(&d);
        check_counters(&d);
        assert_int_equal(d.skipped_bytes, FRAME_SIZE - 1);
        assert_int_equal(d.frames, 1);

        /* The last byte alone must not complete what was dropped. */
        assert_int_equal(deframer_push(&d, bytes[FRAME_SIZE - 1], &f, NULL), DEFRAMER_NOTHING);
        for (int i = 0; i < FRAME_SIZE; i++)
                assert_int_equal(deframer_push(&d, bytes[i], &f, NULL),
                                 i < FRAME_SIZE - 1 ? DEFRAMER_NOTHING : DEFRAMER_FRAME);
        check_counters(&d);
}

/* The temperature coding of the rules is the one that the frames come out in. */
/* At the very start, or after a reset, the window holds zeros; a frame that lost its first byte (zero below 327 V) is
 * none all the same. */
static void test_first_byte_missing(void **state) {
        struct compose_cell cells[4];
        uint8_t bytes[FRAME_SIZE];
        uint64_t random = 5;

        (void)state;
        compose_cells(cells, 4, &random);
        compose_frame(bytes, cells, 4, 1, 8, 0);
        assert_int_equal(bytes[0], 0);
        for (int reset = 0; reset <= 1; reset++) {
                struct deframer d;
                struct frame f;

                deframer_init(&d, &gateway);
                for (int i = 0; i < FRAME_SIZE && reset; i++)
                        (void)deframer_push(&d, bytes[i], &f, NULL);
                if (reset)
                        deframer_reset(&d);
                for (int i = 1; i < FRAME_SIZE; i++)
                        assert_int_equal(deframer_push(&d, bytes[i], &f, NULL), DEFRAMER_NOTHING);
        }
}

/* Every combination of the three signs that a board may send. */
static void test_signs(void **state) {
        static const struct {
                char in, out, sum;
        } rows[] = {{'+', '+', '+'}, {'-', '+', '-'}, {'+', '-', '+'}, {'+', 'X', '+'},
                    {'X', '+', 'X'}, {'X', 'X', 'X'}, {'-', '-', '-'}, {'-', 'X', '-'}};
        struct compose_cell cells[4];
        uint64_t random = 6;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint8_t bytes[FRAME_SIZE];
                struct deframer d;
                struct frame f;

                deframer_init(&d, &gateway);
                compose_cells(cells, 4, &random);
                compose_frame(bytes, cells, 4, 1, 0, 0);
                bytes[3] = (uint8_t)rows[i].in;
                bytes[6] = (uint8_t)rows[i].out;
                bytes[9] = (uint8_t)rows[i].sum;
                compose_seal(bytes);
                for (int k = 0; k < FRAME_SIZE - 1; k++)
                        assert_int_equal(deframer_push(&d, bytes[k], &f, NULL), DEFRAMER_NOTHING);
                assert_int_equal(deframer_push(&d, bytes[FRAME_SIZE - 1], &f, NULL), DEFRAMER_FRAME);
                assert_int_equal(f.in.known, rows[i].in != 'X');
                assert_int_equal(f.out.known, rows[i].out != 'X');
                assert_int_equal(f.sum.known, rows[i].sum != 'X');
        }
}

static void test_coding(void **state) {
        static const struct accept_rules legacy = {
                .role = ROLE_GATEWAY, .current_check = true, .coding = TEMPERATURE_LEGACY,
        };
        const struct compose_cell cells[2] = {{660, 300}, {661, 300}};
        uint8_t bytes[FRAME_SIZE];
        struct deframer d;
        struct frame f = {};

        (void)state;
        compose_frame(bytes, cells, 2, 1, 0, 0);
        deframer_init(&d, &legacy);
        for (int i = 0; i < FRAME_SIZE; i++)
                (void)deframer_push(&d, bytes[i], &f, NULL);
        assert_int_equal(f.detail_decic, 250); /* 300 * 0.857 - 232.1 */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_noise_and_truncated_frames),
                cmocka_unit_test(test_any_chunking),
                cmocka_unit_test(test_take_is_push),
                cmocka_unit_test(test_every_truncation),
                cmocka_unit_test(test_damage_costs_one_frame),
                cmocka_unit_test(test_line_rate),
                cmocka_unit_test(test_bad_current_sum),
                cmocka_unit_test(test_refused_frame),
                cmocka_unit_test(test_reset),
                cmocka_unit_test(test_first_byte_missing),
                cmocka_unit_test(test_signs),
                cmocka_unit_test(test_coding),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
