/* SPDX-License-Identifier: MIT */
#include "truth.h"

#include <errno.h>

int truth_header(FILE *file) {
        int r = fputs("time_s,pack_soc,soc_mean,soc_lowest,soc_lowest_cell,soc_highest,soc_highest_cell,"
                      "pack_v,v_lowest,v_highest,board_c_highest,charge_a,load_a,unseen_a,battery_a,"
                      "read_in_a,read_out_a,read_sum_a,charge_relay,load_relay,bypassing,faults\n",
                      file);

        return r < 0 ? -EIO : 0;
}

struct summary {
        int lowest, highest, bypassing; /* cells */
        double pack_v, v_lowest, v_highest, board_c;
};

static struct summary summarise(const struct simulation *s) {
        struct summary m = {.lowest = 1, .highest = 1, .v_lowest = 100, .board_c = -300};

        for (int i = 1; i <= s->config.cells; i++) {
                const struct sim_cell *c = &s->cells[i];
                double v = cell_voltage(c, simulation_battery_a(s));

                m.lowest = c->soc < s->cells[m.lowest].soc ? i : m.lowest;
                m.highest = c->soc > s->cells[m.highest].soc ? i : m.highest;
                m.bypassing += c->bypass;
                m.pack_v += v;
                m.v_lowest = v < m.v_lowest ? v : m.v_lowest;
                m.v_highest = v > m.v_highest ? v : m.v_highest;
                m.board_c = c->temperature_c > m.board_c ? c->temperature_c : m.board_c;
        }
        return m;
}

static void put_current(FILE *file, const struct frame_current *current) {
        if (current->known)
                (void)fprintf(file, "%.3f", current->ma / 1000.0);
        (void)fputc(',', file);
}

static void put_faults(FILE *file, const struct simulation *s) {
        const char *separator = "";

        for (size_t i = 0; i < s->faults.n; i++) {
                const struct fault *f = &s->faults.list[i];

                if (f->start > s->now || f->end <= s->now)
                        continue;
                (void)fprintf(file, "%s%s", separator, fault_name(f->kind));
                separator = " ";
        }
        (void)fputc('\n', file);
}

int truth_line(FILE *file, const struct simulation *s) {
        struct summary m = summarise(s);

        (void)fprintf(file, "%.3f,%.4f,%.4f,%.4f,%d,%.4f,%d,%.4f,%.4f,%.4f,%.2f,%.3f,%.3f,%.3f,%.3f,",
                      (double)s->now / (double)USEC_PER_SEC, simulation_pack_soc(s), simulation_soc(s),
                      s->cells[m.lowest].soc, m.lowest, s->cells[m.highest].soc, m.highest, m.pack_v, m.v_lowest,
                      m.v_highest, m.board_c, s->charge_a, s->load_a, s->unseen_a, simulation_battery_a(s));
        put_current(file, &s->in);
        put_current(file, &s->out);
        put_current(file, &s->sum);
        (void)fprintf(file, "%d,%d,%d,", s->charge_closed, s->load_closed, m.bypassing);
        put_faults(file, s);
        return ferror(file) ? -EIO : 0;
}
