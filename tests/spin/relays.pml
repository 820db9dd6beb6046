/* SPDX-License-Identifier: MIT */

/* The rules of the two relays (design P1..P13; docs/protection.md), written a second time in another language: what the
 * link, the limits with their confirmation, the flags and delays, the cycling limit, `recover`, `release` and a change of
 * settings do to the two latches. Each step is one second, in which a message comes, comes as E, or does not come.
 *
 * Read in two ways:
 *  - spin visits every state that any sequence of messages and commands can lead to, and the assertions in check() must
 *    hold in each. Times are then small numbers: what matters is their order. See `verify` for the parts.
 *  - with TRACE and the true times spin walks through it at random and prints what came in and what the relays must do.
 *    replay-trace.c gives the same messages to lib/, which must agree second by second.
 *
 * Voltages and temperatures are levels between the limits that the rules compare them with. */

/* Lowest cell. */
#define LO_MIN    0 /* at or below V-min */
#define LO_HYST   1 /* above it, but not by the hysteresis; and below 3.30 V (P3) */
#define LO_OK     2
#define LO_BYPASS 3 /* at or above V-bypass, and so is every cell */

/* Highest cell. */
#define HI_OK     0
#define HI_MARGIN 1 /* less than 50 mV below V-bypass (P2) */
#define HI_BYPASS 2 /* at or above V-bypass */
#define HI_HYST   3 /* below V-max, but not by the hysteresis */
#define HI_MAX    4 /* at or above V-max */

/* Temperature, of all cells; cold says at which end. */
#define T_OK      0
#define T_BACK    1 /* inside the limit, but not by the hysteresis */
#define T_LIMIT   2 /* at the limit: opens nothing, closes nothing */
#define T_OUT     3

/* State of charge. */
#define SOC_LOW   0 /* below discharge restart */
#define SOC_MID   1
#define SOC_HIGH  2 /* below charge restart, by less than 10 points */
#define SOC_TOP   3 /* at or above charge restart */

/* What a second brings. */
#define GOOD      0
#define ERROR     1 /* a message with E */
#define NOTHING   2 /* silence, or refused messages */

/* Commands, before it. */
#define NO_COMMAND 0
#define SETTINGS   1 /* any change that leaves the limits where they are to the levels above */
#define MODE       2 /* the mode, normal or critical */
#define RECOVER    3
#define RELEASE    4 /* of both */
#define SET_SOC    5

#define CHARGE    0
#define LOAD      1

#define TRIP 2    /* trip_frames */
#define CONFIRM 3 /* max(3, trip_frames) */
#define LIVE 3
#define VMIN_TRIPS 3

#ifdef TRACE
#define DELAY 4
#define RECOVERY 10
#define DRAINED 1800
#define RECOVER_TIME 60
#define PER_HOUR 6
#define HOUR 3600
#define LOCK 43200
#define DAY 86400
#define PAUSE 900
#define time_t int
#else
#ifndef DELAY
#define DELAY 2
#endif
#ifndef RECOVERY
#define RECOVERY 3
#endif
#define DRAINED 2
#define RECOVER_TIME 3
#define PER_HOUR 2
#define HOUR 10
#define LOCK 14
#define DAY 24
#define PAUSE 4
#define time_t byte
#endif

/* The longer delay. */
#if DELAY > RECOVERY
#define MONITOR DELAY
#else
#define MONITOR RECOVERY
#endif

/* Whose closings are counted by an assertion (with CYCLING). */
#ifndef WATCHED
#define WATCHED LOAD
#endif

/* ---- the world ---- */
byte event, command, soc = SOC_MID;
byte mlo = LO_OK, mhi, mt;           /* what a message says */
bool mcold, mdischarging;
byte lo = LO_OK, hi, t;              /* what the newest good one said */
bool cold, discharging;

/* ---- link (B10, B13) ---- */
bool live;
byte goodrun;      /* good messages in a row, up to LIVE */
byte quiet;    /* seconds since the last good one, up to 4 */
bool error;    /* one E message since */
byte seen;     /* good messages ever, up to CONFIRM: V-bypass is believed from then on (B9) */

/* ---- limits: good messages in a row that break a rule (B8) ---- */
byte vmax, vmin, hot, chill, allfull, fullpack;
bool unconfirmed;                    /* those of them that are pending now open their relay */

bool critical, calibrated;
bool recovering;
time_t recover_left;
time_t drained;                      /* P3: 0 = not at rest below 3.30 V, else seconds + 1 */

/* ---- latches, [CHARGE] and [LOAD] ---- */
bool closed[2], wait[2], vhyst[2], hothyst[2], coldhyst[2], counts[2], byrecover[2];
byte clear[2], delay[2], recovery[2];
byte vmintrips;
#ifdef CYCLING
bool cycling[2], locked[2];
time_t age[2 * PER_HOUR] = HOUR;     /* of the newest counted closings, newest first; HOUR = that or more, or none */
time_t cyclingage[2] = DAY;          /* since an hour was first found allfull; DAY = that or more, or never */
byte sincecycling[2];
time_t lockedfor[2];                 /* seconds left */
time_t pause, chargedfor = PAUSE;    /* [CHARGE]: seconds left; since its counted closing, PAUSE = that or more, or none */
#endif

/* ---- what the assertions remember ---- */
bool was[2], byrule[2], opening[2];
byte opensince[2] = MONITOR;         /* seconds since the relay opened; a start is no opening (P4) */
byte settled;                        /* good messages since the last change of settings, up to TRIP */
byte lowrun, highrun;                /* good messages in a row beyond V-min, V-max; counted apart from the rules */
byte errorrun;
#ifdef RESPONSE
byte starving[2];                    /* seconds for which everything said "close" */
#endif
#ifdef CYCLING
bool watching;                       /* from a counted closing on, chosen at will: how many follow within the hour? */
byte watchcount;
time_t watchage;
#endif

#define socterms (!critical && calibrated)
#define empty (vmin == TRIP)
#define forbidden (vmax == TRIP || hot == TRIP || chill == TRIP)

/* Within one step. */
bool newvmax, newvmin, newfull, newhot, newchill; /* rules that tripped just now */
bool choose; /* which closing is watched */
bool act;    /* something happened that the relays have to look at */
byte phase;  /* 0: the command, 1: time passes, 2: the message */
byte i, r;

/* Does the temperature keep relay r open? */
#define thold(r) (t >= T_LIMIT || (t == T_BACK && ((cold && coldhyst[r]) || (!cold && hothyst[r]))))

#ifdef CYCLING
#define cyclinghold(r) (cycling[r] || locked[r] || (r == CHARGE && pause > 0))
#else
#define cyclinghold(r) false
#endif

#define chargeholds (!live || vmax > 0 || hot > 0 || chill > 0 || (vhyst[CHARGE] && !empty && hi >= HI_HYST) || \
        (!critical && (seen < CONFIRM || hi >= HI_BYPASS || (hi == HI_MARGIN && !socterms && !empty))) || \
        thold(CHARGE) || (wait[CHARGE] && socterms && !empty) || delay[CHARGE] > 0 || recovery[CHARGE] > 0 || \
        cyclinghold(CHARGE))
#define loadholds (!live || vmin > 0 || hot > 0 || chill > 0 || (vhyst[LOAD] && lo <= LO_HYST) || thold(LOAD) || \
        (wait[LOAD] && socterms) || delay[LOAD] > 0 || recovery[LOAD] > 0 || cyclinghold(LOAD) || \
        vmintrips >= VMIN_TRIPS)
/* P11: link, V-max and temperature hold on. */
#define recoverholds(r) (!live || vmax > 0 || hot > 0 || chill > 0 || thold(r) || recovery[r] > 0 || \
        (r == CHARGE && vhyst[CHARGE] && !empty && hi >= HI_HYST))
#define plainholds(r) ((r == CHARGE && chargeholds) || (r == LOAD && loadholds))
#define holds(r) ((recovering && recoverholds(r)) || (!recovering && plainholds(r)))

/* A rule opens relay r, confirmed (TRIP messages) or unconfirmed (at least one). */
#define opens(r, n) (hot >= n || chill >= n || (r == CHARGE && vmax >= n) || (r == LOAD && recovering && vmax >= n) || \
        (r == LOAD && !recovering && vmin >= n))
#define fullopens(r) (r == CHARGE && !recovering && allfull == CONFIRM)

inline count(n, broken, most) {
        if
        :: broken && n < most -> n = n + 1
        :: broken && n == most -> skip
        :: else -> n = 0
        fi
}

/* A trip leaves its marks on a relay, open or closed (P2, P4, P5). */
inline mark(r) {
#ifdef CYCLING
        counts[r] = true;
#endif
        delay[r] = DELAY
}

/* P4: full or at V-max soon after it closed: there was nothing to charge. */
inline markidle() {
#ifdef CYCLING
        pause = (closed[CHARGE] && !critical && chargedfor < PAUSE -> PAUSE : pause)
#else
        skip
#endif
}

inline open(r, aslink) {
        clear[r] = 0;
        if
        :: closed[r] ->
                closed[r] = false;
                byrecover[r] = false;
                recovery[r] = (aslink -> RECOVERY : 0);
                opensince[r] = 0;
                byrule[r] = !(aslink)
        :: else
        fi
}

/* Closed by the rules, not by `recover`. */
inline settle(r) {
        wait[r] = false;
        vhyst[r] = false;
        hothyst[r] = false;
        coldhyst[r] = false;
        delay[r] = 0;
        recovery[r] = 0;
        clear[r] = 0;
        byrecover[r] = false;
#ifdef CYCLING
        pause = (r == CHARGE -> 0 : pause);
        chargedfor = (r == CHARGE -> PAUSE : chargedfor);
#endif
        if
        :: counts[r] ->
                counts[r] = false;
#ifdef CYCLING
                chargedfor = (r == CHARGE -> 0 : chargedfor);
                sincecycling[r] = (sincecycling[r] < PER_HOUR -> sincecycling[r] + 1 : PER_HOUR);
                i = PER_HOUR - 1;
                do
                :: i > 0 -> age[r * PER_HOUR + i] = age[r * PER_HOUR + i - 1]; i--
                :: else -> break
                od;
                age[r * PER_HOUR] = 0;
                if
                :: r == WATCHED && watching -> watchcount++
                :: r == WATCHED && !watching && choose -> watching = true; watchcount = 1; watchage = 0
                :: else
                fi
#endif
        :: else
        fi
}

inline steprelayopen(r) {
        opening[r] = true;
        if
        :: !live -> open(r, true)
        :: live && (opens(r, TRIP) || fullopens(r)) -> delay[r] = (closed[r] -> DELAY : delay[r]); open(r, false)
        :: live && !(opens(r, TRIP) || fullopens(r)) && unconfirmed && opens(r, 1) -> open(r, true)
        :: else ->
                opening[r] = false;
                if
                :: byrecover[r] && !recovering ->
                        if
                        :: plainholds(r) -> opening[r] = true; open(r, true)
                        :: else -> counts[r] = false; settle(r)
                        fi
                :: else
                fi
        fi
}

inline unlock(r) {
        locked[r] = false;
        lockedfor[r] = 0;
        cyclingage[r] = DAY;
        sincecycling[r] = 0
}

inline updatecycling(r) {
#ifdef CYCLING
        if
        :: locked[r] && lockedfor[r] == 0 -> unlock(r)
        :: else
        fi;
        if
        :: age[r * PER_HOUR + PER_HOUR - 1] >= HOUR -> cycling[r] = false
        :: else ->
                if
                :: !closed[r] && counts[r] && !cycling[r] ->
                        cycling[r] = true;
                        if
                        :: cyclingage[r] < DAY && sincecycling[r] < PER_HOUR -> skip
                        :: else ->
                                lockedfor[r] = (cyclingage[r] < DAY -> LOCK : lockedfor[r]);
                                locked[r] = locked[r] || cyclingage[r] < DAY;
                                cyclingage[r] = 0;
                                sincecycling[r] = 0
                        fi
                :: else
                fi
        fi
#endif
        skip
}

inline notcounted(r) {
#ifdef CYCLING
        chargedfor = (r == CHARGE -> PAUSE : chargedfor)
#else
        skip
#endif
}

inline steprelayclose(r, frame) {
        updatecycling(r);
        if
        :: opening[r] || closed[r] -> skip
        :: else ->
                if
                :: holds(r) -> clear[r] = 0
                :: !holds(r) && !(frame) -> skip
                :: else ->
                        clear[r] = clear[r] + 1;
                        if
                        :: clear[r] >= TRIP ->
                                closed[r] = true;
                                if
                                :: recovering -> byrecover[r] = true; clear[r] = 0; recovery[r] = 0; notcounted(r)
                                :: else -> settle(r)
                                fi
                        :: else
                        fi
                fi
        fi
}

/* The new trips of this step: set by a good message only. */
inline notetrips() {
        if
        :: newvmax -> wait[CHARGE] = wait[CHARGE] || !critical; vhyst[CHARGE] = true; markidle(); mark(CHARGE)
        :: else
        fi;
        if
        :: newvmin -> wait[LOAD] = wait[LOAD] || !critical; vhyst[LOAD] = true; mark(LOAD)
        :: else
        fi;
        if
        :: newfull -> wait[CHARGE] = true; markidle(); mark(CHARGE)
        :: else
        fi;
        if
        :: newchill -> coldhyst[CHARGE] = true; coldhyst[LOAD] = true; mark(CHARGE); mark(LOAD)
        :: else
        fi;
        if
        :: newhot -> hothyst[CHARGE] = true; hothyst[LOAD] = true; mark(CHARGE); mark(LOAD)
        :: else
        fi;
        if
        :: newvmin ->
                wait[CHARGE] = false;
                vhyst[CHARGE] = false;
#ifdef CYCLING
                pause = 0;
                if
                :: locked[CHARGE] -> unlock(CHARGE)
                :: else
                fi;
#endif
                if
                :: !socterms && closed[LOAD] && !recovering && vmintrips < VMIN_TRIPS -> vmintrips++
                :: else
                fi
        :: else
        fi
}

inline clearflags() {
        if
        :: live && seen == CONFIRM && lo <= LO_HYST -> drained = (drained == 0 -> 1 : drained)
        :: else -> drained = 0
        fi;
        if
        :: vmax < TRIP && allfull < CONFIRM && ((calibrated && soc < SOC_TOP) || soc <= SOC_MID || drained > DRAINED) ->
                wait[CHARGE] = false
        :: else
        fi;
        if
        :: vmin < TRIP && calibrated && soc >= SOC_MID -> wait[LOAD] = false
        :: else
        fi
}

inline decide(frame) {
        if
        :: recovering && (recover_left == 0 || forbidden || discharging) -> recovering = false; recover_left = 0
        :: else
        fi;
        notetrips();
        clearflags();
        steprelayopen(CHARGE);
        steprelayopen(LOAD);
        steprelayclose(CHARGE, frame);
        steprelayclose(LOAD, frame);
        newvmax = false; newvmin = false; newfull = false; newhot = false; newchill = false
}

inline older(x) {
        x = (x > 0 -> x - 1 : 0)
}

inline second() {
        quiet = (quiet < 4 -> quiet + 1 : 4);
        older(delay[CHARGE]); older(delay[LOAD]);
        older(recovery[CHARGE]); older(recovery[LOAD]);
        older(recover_left);
        drained = (drained > 0 && drained <= DRAINED -> drained + 1 : drained);
        opensince[CHARGE] = (opensince[CHARGE] < MONITOR -> opensince[CHARGE] + 1 : MONITOR);
        opensince[LOAD] = (opensince[LOAD] < MONITOR -> opensince[LOAD] + 1 : MONITOR);
#ifdef CYCLING
        i = 0;
        do
        :: i < 2 * PER_HOUR -> age[i] = (age[i] < HOUR -> age[i] + 1 : HOUR); i++
        :: else -> break
        od;
        cyclingage[CHARGE] = (cyclingage[CHARGE] < DAY -> cyclingage[CHARGE] + 1 : DAY);
        cyclingage[LOAD] = (cyclingage[LOAD] < DAY -> cyclingage[LOAD] + 1 : DAY);
        older(lockedfor[CHARGE]); older(lockedfor[LOAD]);
        older(pause);
        chargedfor = (chargedfor < PAUSE -> chargedfor + 1 : PAUSE);
        watchage = (watching && watchage < HOUR -> watchage + 1 : watchage);
        watching = watching && watchage < HOUR;
        watchcount = (watching -> watchcount : 0);
        watchage = (watching -> watchage : 0);
        i = 0;
#endif
        /* Half a second ago. */
        if
        :: quiet == 3 && !unconfirmed &&
           ((vmax > 0 && vmax < TRIP) || (vmin > 0 && vmin < TRIP) || (hot > 0 && hot < TRIP) ||
            (chill > 0 && chill < TRIP)) -> unconfirmed = true; act = true
        :: quiet == 4 -> live = false; goodrun = 0; error = false; act = true
        :: else
        fi
}

inline good() {
        lo = mlo;
        hi = mhi;
        t = mt;
        cold = mcold;
        discharging = mdischarging;
        quiet = 0;
        error = false;
        errorrun = 0;
        goodrun = (goodrun < LIVE -> goodrun + 1 : LIVE);
        live = live || goodrun == LIVE;
        seen = (seen < CONFIRM -> seen + 1 : CONFIRM);
        settled = (settled < TRIP -> settled + 1 : TRIP);
        count(lowrun, lo == LO_MIN, TRIP);
        count(highrun, hi == HI_MAX, TRIP);

        newvmax = vmax == TRIP - 1 && hi == HI_MAX;
        newvmin = vmin == TRIP - 1 && lo == LO_MIN;
        newhot = hot == TRIP - 1 && t == T_OUT && !cold;
        newchill = chill == TRIP - 1 && t == T_OUT && cold;
        newfull = allfull == CONFIRM - 1 && lo == LO_BYPASS && !critical;
        count(vmax, hi == HI_MAX, TRIP);
        count(vmin, lo == LO_MIN, TRIP);
        count(hot, t == T_OUT && !cold, TRIP);
        count(chill, t == T_OUT && cold, TRIP);
        if
        :: newfull || (fullpack == CONFIRM - 1 && lo == LO_BYPASS && critical) -> calibrated = true; soc = SOC_TOP
        :: else
        fi;
        count(allfull, lo == LO_BYPASS && !critical && seen == CONFIRM, CONFIRM);
        count(fullpack, lo == LO_BYPASS && critical && seen == CONFIRM, CONFIRM);
        soc = (newvmin -> SOC_LOW : soc);
        unconfirmed = false
}

inline bad() {
        goodrun = 0;
        clear[CHARGE] = 0;
        clear[LOAD] = 0;
        errorrun = (errorrun < TRIP -> errorrun + 1 : TRIP);
        if
        :: live && error -> live = false; error = false
        :: live && !error -> error = true
        :: else
        fi
}

inline obey() {
        if
        :: command == SETTINGS || command == MODE ->
                critical = (command == MODE -> !critical : critical);
                clear[CHARGE] = 0;
                clear[LOAD] = 0;
                settled = 0
        :: command == RECOVER ->
                if
                :: live && !forbidden -> recovering = true; recover_left = RECOVER_TIME
                :: else
                fi
        :: command == RELEASE ->
#ifdef CYCLING
                r = 0;
                do
                :: r < 2 ->
                        if
                        :: locked[r] || cycling[r] || (r == LOAD && vmintrips == VMIN_TRIPS) ->
                                unlock(r);
                                cycling[r] = false;
                                chargedfor = (r == CHARGE -> PAUSE : chargedfor);
                                i = 0;
                                do
                                :: i < PER_HOUR -> age[r * PER_HOUR + i] = HOUR; i++
                                :: else -> break
                                od;
                                i = 0;
                                vmintrips = (r == LOAD -> 0 : vmintrips);
                                watching = watching && r != WATCHED
                        :: else
                        fi;
                        r++
                :: else -> break
                od;
                r = 0;
#endif
                vmintrips = (vmintrips == VMIN_TRIPS -> 0 : vmintrips)
        :: else
        fi
}

/* ---- what must hold, whatever comes --------------------------------------------------------------------------- */

#ifdef RESPONSE
/* Every delay together with the messages that confirm: the longest that a healthy pack can be kept waiting. */
#ifdef CYCLING
#define BOUND (LOCK + HOUR + LIVE + TRIP)
#else
#define BOUND (MONITOR + LIVE + TRIP)
#endif
#endif

inline check(frame, changed) {
        /* A believed limit is kept (but for `recover`). */
        assert(!(closed[LOAD] && lowrun == TRIP && settled == TRIP && !recovering));
        assert(!(closed[CHARGE] && highrun == TRIP && settled == TRIP));
        /* Both open when stale or E. */
        assert(!((closed[CHARGE] || closed[LOAD]) && (quiet >= 4 || errorrun == TRIP)));
        /* Contacts in series: V-max opens both while recovering. */
        assert(!(closed[LOAD] && recovering && highrun == TRIP && settled == TRIP));

        r = 0;
        do
        :: r < 2 ->
                if
                :: closed[r] && !was[r] ->
                        /* Only a good message closes; not one that any limit holds; not within a change of settings. */
                        assert((frame) && !(changed) && settled == TRIP && live && goodrun >= TRIP);
                        assert(t < T_LIMIT);
                        assert(!(r == LOAD && !recovering && lo == LO_MIN));
                        assert(!((r == CHARGE || recovering) && hi == HI_MAX));
                        assert(!(r == CHARGE && !recovering && !critical && hi >= HI_BYPASS));
                        /* No faster than the delays. */
                        assert(!(byrule[r] && !recovering && opensince[r] < DELAY));
                        assert(!(!byrule[r] && opensince[r] < RECOVERY));
                :: else
                fi;
                was[r] = closed[r];
                r++
        :: else -> break
        od;
        r = 0;
#ifdef CYCLING
        assert(watchcount <= PER_HOUR);
#endif
#ifdef RESPONSE
        /* P2: a pack at V-min charges, and a pack in the middle charges and supplies; though P5 may ask the
         * owner to charge it first. */
        starving[CHARGE] = (!closed[CHARGE] && (frame) && t == T_OK &&
                ((lowrun == TRIP && hi < HI_BYPASS) || (hi == HI_OK && soc == SOC_MID)) ->
                starving[CHARGE] + 1 : 0);
        starving[LOAD] = (!closed[LOAD] && (frame) && t == T_OK && lo == LO_OK && soc == SOC_MID &&
                vmintrips < VMIN_TRIPS -> starving[LOAD] + 1 : 0);
        assert(starving[CHARGE] <= BOUND && starving[LOAD] <= BOUND);
#endif
}

/* What no later step looks at is the same in all states: fewer of them. (A second without a message looks at the
 * readings again only to see whether it stands at rest, P3, or as `recover` ends.) */
inline forget() {
        event = GOOD;
        mlo = LO_OK;
        mhi = HI_OK;
        mt = T_OK;
        mcold = false;
        mdischarging = false;
#ifndef RECOVERING
        lo = (lo <= LO_HYST -> LO_HYST : LO_OK);
        hi = HI_OK;
        t = T_OK;
#endif
        opensince[CHARGE] = (closed[CHARGE] -> 0 : opensince[CHARGE]);
        opensince[LOAD] = (closed[LOAD] -> 0 : opensince[LOAD]);
        byrule[CHARGE] = byrule[CHARGE] && !closed[CHARGE];
        byrule[LOAD] = byrule[LOAD] && !closed[LOAD];
        opening[CHARGE] = false;
        opening[LOAD] = false
}

/* ---- what may come -------------------------------------------------------------------------------------------- */

inline weather() {
#ifdef TRACE
        /* Spans of the same, so that delays can run out. */
        if
        :: skip :: skip :: skip :: skip :: skip :: skip :: skip
        :: if :: mlo = LO_MIN :: mlo = LO_HYST :: mlo = LO_OK :: mlo = LO_OK :: mlo = LO_OK :: mlo = LO_BYPASS fi
        :: if :: mhi = HI_OK :: mhi = HI_OK :: mhi = HI_OK :: mhi = HI_MARGIN :: mhi = HI_BYPASS :: mhi = HI_HYST
           :: mhi = HI_MAX fi
        :: if :: mt = T_OK :: mt = T_OK :: mt = T_OK :: mt = T_OK :: mt = T_BACK :: mt = T_LIMIT :: mt = T_OUT fi
        :: if :: mcold = !mcold :: mdischarging = true :: mdischarging = false :: mdischarging = false fi
        fi;
        mhi = (mlo == LO_BYPASS && mhi < HI_BYPASS -> HI_BYPASS : mhi)
#else
#if defined(LOW_END)
        if :: mlo = LO_MIN :: mlo = LO_OK fi;
#elif defined(HIGH_END)
        if :: mhi = HI_OK :: mhi = HI_MAX fi;
#elif defined(ENDS)
        /* Only what trips and what does not. */
        if :: mlo = LO_MIN; mhi = HI_OK :: mlo = LO_OK; mhi = HI_OK :: mlo = LO_OK; mhi = HI_MAX
           :: mlo = LO_BYPASS; mhi = HI_BYPASS fi;
#elif defined(FEW)
        if :: mlo = LO_MIN :: mlo = LO_HYST :: mlo = LO_OK :: mlo = LO_BYPASS fi;
        if :: mlo != LO_BYPASS -> mhi = HI_OK :: mhi = HI_BYPASS :: mhi = HI_MAX fi;
#else
        if :: mlo = LO_MIN :: mlo = LO_HYST :: mlo = LO_OK :: mlo = LO_BYPASS fi;
        if :: mlo != LO_BYPASS -> mhi = HI_OK :: mlo != LO_BYPASS -> mhi = HI_MARGIN :: mhi = HI_BYPASS :: mhi = HI_HYST
           :: mhi = HI_MAX fi;
#endif
#ifdef TEMPERATURE
        if :: mt = T_OK :: mt = T_BACK :: mt = T_LIMIT :: mt = T_OUT fi;
#endif
#ifdef RECOVERING
        if :: mdischarging = false :: mlo == LO_MIN -> mdischarging = true fi;
#endif
        skip
#endif
}

inline happen() {
#ifdef TRACE
        if :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD
           :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD :: event = GOOD
           :: skip :: skip :: skip :: skip :: event = NOTHING :: event = ERROR fi;
        /* `release` seldom enough for a second full hour (P5). */
        if
        :: skip :: skip :: skip :: skip :: skip :: skip :: skip :: skip :: skip :: skip :: skip :: skip
        :: if
           :: command = SET_SOC :: command = SET_SOC :: command = SETTINGS :: command = MODE :: command = RECOVER
           :: if
              :: command = SET_SOC :: command = SET_SOC :: command = SET_SOC :: command = SET_SOC :: command = SETTINGS
              :: command = SET_SOC :: command = SET_SOC :: command = SET_SOC :: command = SET_SOC :: command = SETTINGS
              :: if :: command = SET_SOC :: command = SET_SOC :: command = SET_SOC :: command = RELEASE fi
              fi
           fi
        fi
#else
        if
        :: event = GOOD
#ifndef CYCLING
        :: event = ERROR
#endif
        :: event = NOTHING
#ifdef COMMANDS
        :: command = SETTINGS
        :: command = MODE
#endif
#ifdef RECOVERING
        :: command = RECOVER
#endif
#ifdef RELEASING
        :: command = RELEASE
#endif
#ifdef CHARGE_STATE
        :: command = SET_SOC
#endif
        fi
#endif
}

active proctype relays() {
        do
        :: atomic {
                happen();
                if
                :: command == SET_SOC ->
                        if :: soc = SOC_LOW :: soc = SOC_MID :: soc = SOC_HIGH :: soc = SOC_TOP fi
                :: else
                fi;
                if
                :: command == NO_COMMAND && event == GOOD -> weather()
                :: else
                fi;
#if defined(CYCLING) && !defined(TRACE)
                if :: choose = true :: choose = false fi;
#endif
                d_step {
                        printf("STEP %d %d %d %d %d %d %d %d", command, event, mlo, mhi, mt, mcold, mdischarging, soc);
                        /* A command takes no time. */
                        phase = 0;
                        do
                        :: phase < (command == NO_COMMAND -> 3 : 1) ->
                                act = true;
                                if
                                :: phase == 0 -> act = command != NO_COMMAND; obey()
                                :: phase == 1 -> act = false; second()
                                :: phase == 2 && event == GOOD -> good()
                                :: phase == 2 && event == ERROR -> bad()
                                :: else
                                fi;
                                if
                                :: act ->
                                        decide(phase == 2 && event == GOOD);
                                        check(phase == 2 && event == GOOD, phase == 0)
                                :: else
                                fi;
                                phase++
                        :: else -> break
                        od;
                        phase = 0;
                        act = false;
                        printf(" %d %d\n", closed[CHARGE], closed[LOAD]);
#ifndef TRACE
                        forget();
#endif
                        choose = false;
                        command = NO_COMMAND
                }
        }
        od
}
