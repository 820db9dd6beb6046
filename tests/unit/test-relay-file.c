/* SPDX-License-Identifier: MIT */
/* What smartbmsd writes down for relays-open: it comes back as it was, and anything else is refused whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay-file.h"

/* By relay-file.h and smartbms.yaml(5), not by what the code printed. */
static const char both[] = "smartbms-relays 1\n"
                           "charge set 0 high chip 17 pinctrl-bcm2711\n"
                           "charge reset 50 low chip 27 pinctrl-bcm2711\n"
                           "load line 0 low name GPIO 23: load\n"
                           "end\n";

static void config_of(const char *relays, struct config *ret) {
        char text[512], *error = NULL;

        (void)snprintf(text, sizeof(text), "port: {path: /dev/x}\nrelays:\n%s", relays);
        if (config_parse("test", text, strlen(text), ret, &error) < 0)
                fail_msg("%s", error);
}

static void test_round_trip(void **state) {
        struct relay_coils coils, again;
        char text[1024], why[128];
        struct config c;

        (void)state;
        config_of("  driver: gpio\n"
                  "  charge: {type: latching, set: 'pinctrl-bcm2711:17', reset: '!pinctrl-bcm2711:27'}\n"
                  "  load: {type: monostable, line: GPIO23}\n",
                  &c);
        strcpy(c.relays[RELAY_LOAD].line.name, "GPIO 23: load"); /* a kernel may have such names */
        c.relays[RELAY_LOAD].line.active_low = true;
        relay_coils_of(&c, &coils);
        assert_int_equal(coils.n, 3);
        assert_int_equal(relay_coils_format(&coils, text, sizeof(text)), strlen(both));
        assert_string_equal(text, both);
        memset(&again, 0, sizeof(again));
        assert_int_equal(relay_coils_parse(text, strlen(text), &again, why, sizeof(why)), 0);
        assert_int_equal(again.n, 3);
        for (size_t i = 0; i < 3; i++) {
                const struct relay_coil_use *a = &coils.coils[i], *b = &again.coils[i];

                assert_true(a->relay == b->relay && a->coil == b->coil && a->pulse_msec == b->pulse_msec);
                assert_true(b->line.present && a->line.active_low == b->line.active_low);
                assert_int_equal(a->line.offset, b->line.offset);
                assert_string_equal(a->line.chip, b->line.chip);
                assert_string_equal(a->line.name, b->line.name);
        }
        for (size_t size = 0; size <= strlen(both); size++)
                assert_int_equal(relay_coils_format(&coils, text, size), -ENOSPC);
}

/* OUT boards v2.x: what lets the load off is the other coil. */
static void test_contacts_v2(void **state) {
        struct relay_coils coils;
        char text[1024];
        struct config c;

        (void)state;
        config_of("  driver: gpio\n"
                  "  charge: {type: monostable, line: A}\n"
                  "  load: {type: latching, set: P12, reset: P23, pulse: 80, contacts: v2}\n",
                  &c);
        relay_coils_of(&c, &coils);
        assert_true(relay_coils_format(&coils, text, sizeof(text)) > 0);
        assert_string_equal(text, "smartbms-relays 1\n"
                                  "charge line 0 high name A\n"
                                  "load set 0 high name P23\n"
                                  "load reset 80 high name P12\n"
                                  "end\n");
}

static void test_nothing_to_do(void **state) {
        struct relay_coils coils;
        char text[64], why[128];
        struct config c;

        (void)state;
        config_of("  driver: log\n  charge: {type: monostable, line: A}\n", &c);
        relay_coils_of(&c, &coils);
        assert_int_equal(coils.n, 0);
        assert_true(relay_coils_format(&coils, text, sizeof(text)) > 0);
        assert_string_equal(text, "smartbms-relays 1\nend\n");
        assert_int_equal(relay_coils_parse(text, strlen(text), &coils, why, sizeof(why)), 0);
        assert_int_equal(coils.n, 0);
}

static int parse(const char *text, size_t size) {
        struct relay_coils coils, untouched;
        char why[128] = "";
        int r;

        memset(&coils, 0x5a, sizeof(coils));
        untouched = coils;
        r = relay_coils_parse(text, size, &coils, why, sizeof(why));
        if (r < 0) {
                assert_memory_equal(&coils, &untouched, sizeof(coils));
                assert_non_null(strstr(why, "is not what smartbmsd writes"));
        }
        return r;
}

#define H "smartbms-relays 1\n"
#define SET "charge set 0 high name A\n"
#define RESET "charge reset 50 high name B\n"

static void test_nonsense(void **state) {
        static const char *const texts[] = {
                "", "\n", "end\n", "smartbms-relays 2\nend\n", "smartbms-relays 1\r\nend\r\n", H, H "end", H "end\n\n",
                H "end\nend\n", H "\nend\n", H "END\n",
                H SET "end\n",                                    /* a set without its reset */
                H RESET "end\n",
                H SET RESET SET "end\n",                          /* twice */
                H SET RESET "charge line 0 high name C\nend\n",   /* both kinds */
                H "charge set 0 high name A\ncharge reset 50 low name A\nend\n", /* one line for both */
                H SET "load line 0 high name A\nend\n",
                H "pump line 0 high name A\nend\n", H "charge coil 0 high name A\nend\n",
                H "charge line 1 high name A\nend\n",             /* a pulse on what is not pulsed */
                H SET "charge reset 0 high name B\nend\n", H SET "charge reset 9 high name B\nend\n",
                H SET "charge reset 501 high name B\nend\n", H SET "charge reset 050 high name B\nend\n",
                H SET "charge reset 4294967346 high name B\nend\n", H SET "charge reset -50 high name B\nend\n",
                H SET "charge reset  high name B\nend\n",
                H "charge line 0 up name A\nend\n", H "charge line 0 high line A\nend\n",
                H "charge line 0 high name \nend\n", H "charge line 0 high name\nend\n",
                H "charge line 0 high name A\tB\nend\n", H "charge line 0 high name A\x7f\nend\n",
                H "charge line 0 high chip x\nend\n", H "charge line 0 high chip 3\nend\n",
                H "charge line 0 high chip 3 \nend\n", H "charge line 0 high chip 65536 x\nend\n",
                H "charge  line 0 high name A\nend\n", H " charge line 0 high name A\nend\n",
                H "charge line 0 high name "
                  "0123456789012345678901234567890123456789012345678901234567890123\nend\n", /* 64 */
        };
        static const char *const good[] = {
                H "end\n", H SET RESET "end\n", H RESET SET "end\n", H SET "charge reset 10 high name B\nend\n",
                H SET "charge reset 500 high name B\nend\n", H "load line 0 low chip 65535 x\nend\n",
                H "charge line 0 high name "
                  "012345678901234567890123456789012345678901234567890123456789012\nend\n",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (parse(texts[i], strlen(texts[i])) != -EBADMSG)
                        fail_msg("taken: %s", texts[i]);
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                if (parse(good[i], strlen(good[i])) != 0)
                        fail_msg("refused: %s", good[i]);
        assert_int_equal(parse("smartbms-relays 1\nend\n\0", strlen(H "end\n") + 1), -EBADMSG);
}

/* Cut off anywhere it is refused. With any one byte changed it is refused, or is still a text that would be written. */
static void test_every_byte(void **state) {
        const size_t size = strlen(both);

        (void)state;
        for (size_t n = 0; n < size; n++)
                assert_int_equal(parse(both, n), -EBADMSG);
        for (size_t n = 0; n < size; n++)
                for (int byte = 0; byte < 256; byte++) {
                        char text[sizeof(both)], again[1024], why[128];
                        struct relay_coils coils;

                        memcpy(text, both, sizeof(both));
                        text[n] = (char)byte;
                        if (relay_coils_parse(text, size, &coils, why, sizeof(why)) < 0)
                                continue;
                        assert_int_equal(relay_coils_format(&coils, again, sizeof(again)), size);
                        assert_memory_equal(again, text, size);
                }
}

static void test_file(void **state) {
        char directory[] = "/tmp/smartbms-relay-file-XXXXXX", path[64], new[64], why[128];
        struct relay_coils coils = {0}, read;
        struct config c;
        struct stat st;
        int fd;

        (void)state;
        assert_non_null(mkdtemp(directory));
        (void)snprintf(path, sizeof(path), "%s/relays", directory);
        (void)snprintf(new, sizeof(new), "%s/relays.new", directory);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), -ENOENT);
        assert_int_equal(relay_file_write(directory, &coils), 0);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), 0);
        assert_int_equal(read.n, 0);

        /* what a run left that died while it wrote is no obstacle, and is not followed */
        assert_int_equal(symlink("/tmp/smartbms-nowhere", new), 0);
        config_of("  driver: gpio\n"
                  "  charge: {type: latching, set: A, reset: B}\n"
                  "  load: {type: monostable, line: C}\n",
                  &c);
        relay_coils_of(&c, &coils);
        assert_int_equal(relay_file_write(directory, &coils), 0);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), 0);
        assert_int_equal(read.n, 3);
        assert_int_equal(lstat(new, &st), -1);
        assert_int_equal(access("/tmp/smartbms-nowhere", F_OK), -1);

        /* too long, a directory, a FIFO without a writer */
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_true(fd >= 0);
        for (int i = 0; i < 100; i++)
                assert_int_equal(write(fd, "charge line 0 high name A\n", 26), 26);
        (void)close(fd);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), -EBADMSG);
        assert_int_equal(relay_file_read(directory, &read, why, sizeof(why)), -EISDIR);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), -EBADMSG);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(relay_file_write("/tmp/smartbms-nowhere", &coils), -ENOENT);
        assert_int_equal(relay_file_keep("/tmp/smartbms-nowhere", &coils), -ENOENT);
        assert_int_equal(rmdir(directory), 0);
}

/* On the card it is written when it says something else, and only then. */
static void test_keep(void **state) {
        char directory[] = "/tmp/smartbms-relays-XXXXXX", path[64], why[160];
        struct relay_coils coils = {0}, read;
        struct stat first, st;
        struct config c;

        (void)state;
        assert_non_null(mkdtemp(directory));
        (void)snprintf(path, sizeof(path), "%s/relays", directory);
        config_of("  driver: gpio\n"
                  "  charge: {type: latching, set: A, reset: B}\n"
                  "  load: {type: monostable, line: C}\n",
                  &c);
        relay_coils_of(&c, &coils);
        assert_int_equal(relay_file_keep(directory, &coils), 0);
        assert_int_equal(lstat(path, &first), 0);
        assert_int_equal(relay_file_keep(directory, &coils), 0);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_ino, first.st_ino);
        assert_true(st.st_mtim.tv_sec == first.st_mtim.tv_sec && st.st_mtim.tv_nsec == first.st_mtim.tv_nsec);

        coils.n = 2; /* only the charge relay's */
        assert_int_equal(relay_file_keep(directory, &coils), 0);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), 0);
        assert_int_equal(read.n, 2);

        /* cut short, as by a card that lost its end; and a link, which is not followed */
        assert_int_equal(truncate(path, 20), 0);
        assert_int_equal(relay_file_keep(directory, &coils), 0);
        assert_int_equal(relay_file_read(path, &read, why, sizeof(why)), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/tmp/smartbms-nowhere", path), 0);
        assert_int_equal(relay_file_keep(directory, &coils), 0);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_contacts_v2),
                cmocka_unit_test(test_nothing_to_do), cmocka_unit_test(test_nonsense),
                cmocka_unit_test(test_every_byte),    cmocka_unit_test(test_file),
                cmocka_unit_test(test_keep),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
