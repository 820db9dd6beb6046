/* SPDX-License-Identifier: MIT */

/* Plays one story (NAME.story; README.md says how they are written) and checks it: 0 if all is as the story says, 1
 * with the line, what was expected, what was, and what happened around it if not, 2 if it cannot be understood. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "story.h"

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

#define STORY_LINES_MAX 400

#define FAILED (-EBADMSG) /* the story is understood, and not true */

static int fail(struct story *s, const char *what) {
        char time[32], text[STORY_LINE_MAX];
        const struct snapshot *now;

        (void)fprintf(stderr, "%s:%d: %s\n  %s\n", s->path, s->line, s->text, what);
        if (!s->started)
                return FAILED;
        story_time(s->now, time, sizeof(time));
        (void)fprintf(stderr, "What happened before %s:\n", time);
        for (size_t i = s->n_trace > STORY_TRACE_MAX ? s->n_trace - STORY_TRACE_MAX : 0; i < s->n_trace; i++) {
                const struct trace_line *line = &s->trace[i % STORY_TRACE_MAX];

                story_time(line->at, time, sizeof(time));
                (void)fprintf(stderr, "  %s  %s\n", time, line->text);
        }
        s->snapshot_fresh = false;
        now = story_snapshot(s);
        (void)fprintf(stderr,
                      "Then: cells %d..%d mV, %d..%d ddegC, current %d mA, SOC %.2f +- %.2f (%scalibrated), "
                      "truth %.2f\n",
                      now->lowest_mv.value, now->highest_mv.value, now->lowest_decic.value, now->highest_decic.value,
                      now->current_ma.value, now->soc_permyriad.known ? now->soc_permyriad.value / 100.0 : -1,
                      now->soc_uncertainty_permyriad.value / 100.0, now->calibrated ? "" : "not ",
                      simulation_soc(&s->simulation));
        for (enum relay_id id = 0; id < _RELAY_MAX; id++) {
                const struct relay_snapshot *r = &now->relays[id];

                reason_text(&r->reason, id, r->closed, text, sizeof(text));
                (void)fprintf(stderr, "  %s %s: %s\n", relay_name(id), r->closed ? "closed" : "open", text);
                for (size_t i = 0; i < r->n_holds; i++) {
                        hold_text(&r->holds[i], id, text, sizeof(text));
                        (void)fprintf(stderr, "    %s\n", text);
                }
        }
        for (int i = 0; i < _ALARM_MAX; i++)
                if (now->alarms[i].active)
                        (void)fprintf(stderr, "  alarm %s: %s\n", alarm_name((enum alarm)i), now->alarms[i].text);
        return FAILED;
}

static int misunderstood(const struct story *s, const char *what) {
        (void)fprintf(stderr, "%s:%d: %s\n  %s\n", s->path, s->line, s->text, what);
        return -EINVAL;
}

static int play_to(struct story *s, usec_t until) {
        char error[2 * STORY_LINE_MAX];

        return story_play(s, until, NULL, error, sizeof(error)) < 0 ? fail(s, error) : 0;
}

/* ---- the lines ------------------------------------------------------------------------------------------------ */

static int do_pack(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX];

        if (s->started)
                return misunderstood(s, "the pack is told before the first line that plays");
        if (strcmp(words[0], "cell") == 0)
                return story_cell(s, words + 1, n - 1, error, sizeof(error)) < 0 ? misunderstood(s, error) : 0;
        return story_pack(s, words + 1, n - 1, error, sizeof(error)) < 0 ? misunderstood(s, error) : 0;
}

/* Is the number of cells in the config file? */
static int do_cells(struct story *s, char **words, size_t n) {
        if (s->started || n != 2)
                return misunderstood(s, "expected, before the first line that plays: cells configured|learned");
        if (strcmp(words[1], "configured") == 0)
                s->config.cells = (uint8_t)s->pack.cells;
        else if (strcmp(words[1], "learned") != 0)
                return misunderstood(s, "expected: cells configured|learned");
        return 0;
}

/* A value as a person writes it: the words in one. */
static int read_setting(char **words, size_t n, struct settings *settings, char *ret_error, size_t size) {
        int setting = n >= 2 ? setting_find(words[0]) : -ENOENT;
        char value[64] = "";

        if (setting < 0) {
                (void)snprintf(ret_error, size, "expected: set KEY VALUE");
                return -EINVAL;
        }
        for (size_t i = 1; i < n; i++)
                (void)snprintf(value + strlen(value), sizeof(value) - strlen(value), "%s%s", i > 1 ? " " : "",
                               words[i]);
        return setting_parse((enum setting)setting, value, &settings->values[setting], ret_error, size);
}

/* `deadman_on_ineffective: yes` in the config file (P12) */
static int do_deadman(struct story *s, char **words, size_t n) {
        if (s->started || n != 2 || strcmp(words[1], "ineffective") != 0)
                return misunderstood(s, "expected, before the first line that plays: deadman ineffective");
        s->config.deadman_on_ineffective = true;
        return 0;
}

static int do_set(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX];

        if (s->started)
                return misunderstood(s, "once the story plays, it is `owner set`");
        return read_setting(words + 1, n - 1, &s->config.settings, error, sizeof(error)) < 0 ? misunderstood(s, error)
                                                                                             : 0;
}

static int do_at(struct story *s, char **words, size_t n) {
        bool at = strcmp(words[0], "at") == 0;
        usec_t time;

        if (n != 2 || story_duration(words[1], &time) < 0)
                return misunderstood(s, "expected: at TIME, or after TIME");
        time += at ? STORY_BEGIN : s->now;
        if (time < s->now)
                return misunderstood(s, "that time is over already");
        return play_to(s, time);
}

/* until CONDITION within [EARLIEST..]LATEST */
static int do_until(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX], what[3 * STORY_LINE_MAX], is[STORY_LINE_MAX], *dots;
        usec_t earliest = 0, latest, from = s->now;
        struct condition c;
        int r;

        if (n < 4 || strcmp(words[n - 2], "within") != 0)
                return misunderstood(s, "expected: until CONDITION within [EARLIEST..]LATEST");
        if (story_condition(words + 1, n - 3, &c, error, sizeof(error)) < 0)
                return misunderstood(s, error);
        dots = strstr(words[n - 1], "..");
        if (dots)
                *dots = '\0';
        if ((dots && story_duration(words[n - 1], &earliest) < 0) ||
            story_duration(dots ? dots + 2 : words[n - 1], &latest) < 0)
                return misunderstood(s, "a time is written 1d2h30m5s");

        r = story_play(s, s->now + latest, &c, error, sizeof(error));
        if (r < 0)
                return fail(s, error);
        if (r == 0) {
                (void)story_explain(s, &c, is, sizeof(is));
                (void)snprintf(what, sizeof(what), "expected: %s; but: %s", c.text, is);
                return fail(s, what);
        }
        if (s->now - from < earliest) {
                (void)snprintf(what, sizeof(what), "too early, after %.1f s", (double)(s->now - from) / 1e6);
                return fail(s, what);
        }
        return 0;
}

static int do_expect(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX], what[3 * STORY_LINE_MAX];
        struct condition c;

        if (story_condition(words + 1, n - 1, &c, error, sizeof(error)) < 0)
                return misunderstood(s, error);
        s->snapshot_fresh = false;
        if (story_explain(s, &c, error, sizeof(error)))
                return 0;
        (void)snprintf(what, sizeof(what), "expected: %s; but: %s", c.text, error);
        return fail(s, what);
}

static int do_always(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX];
        struct condition c;

        if (s->n_always == STORY_ALWAYS_MAX)
                return misunderstood(s, "too many conditions at once");
        if (story_condition(words + 1, n - 1, &c, error, sizeof(error)) < 0)
                return misunderstood(s, error);
        c.line = s->line;
        s->always[s->n_always++] = c;
        return play_to(s, s->now); /* true from here on, and so here too */
}

/* no longer CONDITION */
static int do_no_longer(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX];
        struct condition c;

        if (n < 3 || strcmp(words[1], "longer") != 0 ||
            story_condition(words + 2, n - 2, &c, error, sizeof(error)) < 0)
                return misunderstood(s, "expected: no longer CONDITION");
        for (size_t i = 0; i < s->n_always; i++)
                if (strcmp(s->always[i].text, c.text) == 0) {
                        s->always[i] = s->always[--s->n_always];
                        return 0;
                }
        return misunderstood(s, "no line says that this is always so");
}

/* free|strict RELAY */
static int do_free(struct story *s, char **words, size_t n) {
        int id = n == 2 ? relay_from_name(words[1]) : -ENOENT;

        if (id < 0)
                return misunderstood(s, "expected: free charge|load, or strict charge|load");
        s->free[id] = strcmp(words[0], "free") == 0;
        return 0;
}

static int do_count(struct story *s, char **words, size_t n) {
        (void)words;
        (void)n;
        s->counted_from = s->n_changes;
        return 0;
}

/* What happens to the pack, in the simulator's words. */
static int do_pack_command(struct story *s, char **words, size_t n) {
        static const struct {
                const char *word, *command;
        } verbs[] = {
                {"charger", "charge"}, {"consumers", "load"}, {"true-soc", "soc"}, {"fault", ""}, {"repair", "clear"},
        };
        char line[STORY_LINE_MAX] = "", answer[STORY_LINE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(words[0], verbs[i].word) == 0)
                        (void)snprintf(line, sizeof(line), "%s", verbs[i].command);
        for (size_t i = 1; i < n; i++)
                (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s", line[0] ? " " : "", words[i]);
        if (simulation_command(&s->simulation, line, answer, sizeof(answer)) < 0)
                return misunderstood(s, answer);
        story_note(s, "-- %s", s->text);
        return 0;
}

static int owner_does(struct story *s, char **words, size_t n, char *ret_error, size_t size) {
        struct settings settings = s->bms.settings;
        double value = 0;

        if (n >= 3 && strcmp(words[0], "set") == 0) {
                int r = read_setting(words + 1, n - 1, &settings, ret_error, size);

                return r < 0 ? r : bms_apply_settings(&s->bms, s->now, &settings, ret_error, size);
        }
        if (n == 2 && strcmp(words[0], "release") == 0 && relay_from_name(words[1]) >= 0)
                return bms_release(&s->bms, s->now, (enum relay_id)relay_from_name(words[1]), ret_error, size);
        if (n == 2 && strcmp(words[0], "recover") == 0 && story_range(words[1], &value, &value) == 0)
                return bms_recover(&s->bms, s->now, (int64_t)value, ret_error, size);
        if (n == 2 && strcmp(words[0], "soc") == 0 && story_range(words[1], &value, &value) == 0)
                return bms_soc_set(&s->bms, s->now, (int64_t)(value * 100), ret_error, size);
        if (n == 2 && strcmp(words[0], "accept") == 0 && strcmp(words[1], "cells") == 0)
                return bms_accept_cells(&s->bms, s->now, ret_error, size);
        return -ENOTSUP;
}

/* owner COMMAND, owner cannot COMMAND */
static int do_owner(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX] = "", what[2 * STORY_LINE_MAX];
        bool cannot = n > 1 && strcmp(words[1], "cannot") == 0;
        int r = owner_does(s, words + 1 + cannot, n - 1 - cannot, error, sizeof(error));

        if (r == -ENOTSUP)
                return misunderstood(s, "an owner can: set KEY VALUE, release RELAY, recover MINUTES, soc PERCENT, "
                                        "accept cells");
        story_note(s, "-- %s%s%s", s->text, r < 0 ? ": " : "", r < 0 ? error : "");
        if ((r < 0) == cannot)
                return play_to(s, s->now);
        (void)snprintf(what, sizeof(what), cannot ? "this was accepted" : "refused: %s", error);
        return fail(s, what);
}

static int do_restart(struct story *s, char **words, size_t n) {
        char error[2 * STORY_LINE_MAX];
        usec_t duration;

        if (n != 2 || story_duration(words[1], &duration) < 0)
                return misunderstood(s, "expected: restart HOW-LONG");
        return story_restart(s, duration, error, sizeof(error)) < 0 ? fail(s, error) : 0;
}

static const struct {
        const char *word;
        bool plays;
        int (*run)(struct story *s, char **words, size_t n);
} lines[] = {
        {"pack", false, do_pack},          {"cell", false, do_pack},          {"cells", false, do_cells},
        {"deadman", false, do_deadman},
        {"set", false, do_set},            {"at", true, do_at},               {"after", true, do_at},
        {"until", true, do_until},         {"expect", true, do_expect},       {"always", true, do_always},
        {"no", true, do_no_longer},        {"free", true, do_free},           {"strict", true, do_free},
        {"count", true, do_count},         {"charger", true, do_pack_command}, {"consumers", true, do_pack_command},
        {"true-soc", true, do_pack_command}, {"fault", true, do_pack_command}, {"repair", true, do_pack_command},
        {"owner", true, do_owner},         {"restart", true, do_restart},
};

/* Words by blanks; a comma at a word's end only helps the eye, and # begins a remark. */
static int split(char *text, char **ret_words, size_t *ret_n) {
        char *state = NULL;
        size_t n = 0;

        for (char *w = strtok_r(text, " \t\r\n", &state); w && w[0] != '#'; w = strtok_r(NULL, " \t\r\n", &state)) {
                size_t length = strlen(w);

                if (n == STORY_WORDS_MAX)
                        return -E2BIG;
                if (w[length - 1] == ',')
                        w[length - 1] = '\0';
                if (w[0] != '\0')
                        ret_words[n++] = w;
        }
        *ret_n = n;
        return 0;
}

static int run_words(struct story *s, char **words, size_t n) {
        char error[STORY_LINE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                if (strcmp(lines[i].word, words[0]) != 0)
                        continue;
                if (lines[i].plays && story_start(s, error, sizeof(error)) < 0)
                        return misunderstood(s, error);
                return lines[i].run(s, words, n);
        }
        return misunderstood(s, "no line begins with this word");
}

struct file {
        size_t n;
        char lines[STORY_LINES_MAX][STORY_LINE_MAX];
};

/* Runs the lines from..before `end` (or the end of the file); *ret_next is the line after it. `repeat N` runs what
 * follows up to its `end` N times. */
static int run_lines(struct story *s, const struct file *file, size_t from, unsigned depth, size_t *ret_next) {
        char line[STORY_LINE_MAX], *words[STORY_WORDS_MAX];
        size_t n;
        int r;

        for (size_t i = from; i < file->n; i++) {
                double times;

                s->line = (int)i + 1;
                (void)snprintf(s->text, sizeof(s->text), "%s", file->lines[i]);
                (void)snprintf(line, sizeof(line), "%s", file->lines[i]);
                if (split(line, words, &n) < 0)
                        return misunderstood(s, "too many words");
                if (n == 0)
                        continue;
                if (n == 1 && strcmp(words[0], "end") == 0 && depth > 0) {
                        *ret_next = i + 1;
                        return 0;
                }
                if (strcmp(words[0], "repeat") != 0) {
                        r = run_words(s, words, n);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (n != 2 || story_range(words[1], &times, &times) < 0 || times < 1)
                        return misunderstood(s, "expected: repeat TIMES");
                for (unsigned k = 0; k < (unsigned)times; k++) {
                        r = run_lines(s, file, i + 1, depth + 1, ret_next);
                        if (r < 0)
                                return r;
                }
                i = *ret_next - 1;
        }
        *ret_next = file->n;
        return depth == 0 ? 0 : misunderstood(s, "a `repeat` has no `end`");
}

static int run(struct story *s, const struct file *file) {
        size_t next;
        int r = run_lines(s, file, 0, 0, &next);

        if (r < 0)
                return r;
        if (!s->started)
                return misunderstood(s, "nothing happens in this story");
        if (s->n_changes > STORY_CHANGES_MAX)
                return fail(s, "more relay changes than can be counted");
        return 0;
}

static int read_file(const char *path, struct file *ret_file) {
        char line[STORY_LINE_MAX];
        FILE *f = fopen(path, "re");
        int r = 0;

        if (!f)
                return -errno;
        while (r == 0 && fgets(line, sizeof(line), f)) {
                size_t length = strcspn(line, "\n");

                if (ret_file->n == STORY_LINES_MAX || line[length] != '\n')
                        r = -EFBIG;
                else
                        memcpy(ret_file->lines[ret_file->n++], line, length); /* all zero before */
        }
        (void)fclose(f);
        return r;
}

int main(int argc, char **argv) {
        bool verbose = argc == 3 && strcmp(argv[1], "-v") == 0;
        const char *path = argv[argc - 1];
        struct story *s = calloc(1, sizeof(*s));
        struct file *file = calloc(1, sizeof(*file));
        char time[32];
        int r = -ENOMEM;

        if (argc != 2 + verbose) {
                (void)fprintf(stderr, "Usage: run-story [-v] NAME.story\n");
                goto out;
        }
        if (!s || !file)
                goto out;
        r = read_file(path, file);
        if (r < 0) {
                (void)fprintf(stderr, "%s: %s\n", path, strerror(-r));
                goto out;
        }
        story_init(s, path);
        s->verbose = verbose;
        r = run(s, file);
        story_time(s->now, time, sizeof(time));
        if (r >= 0)
                (void)printf("%s: as told, %s, %zu relay changes\n", path, time, s->n_changes);
out:
        free(file);
        free(s);
        return r >= 0 ? 0 : r == FAILED ? 1 : 2;
}
