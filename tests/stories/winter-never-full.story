# SPDX-License-Identifier: MIT
# Winter: 40 days in which the pack never gets full
#
# 4 cells of 200 Ah. Each day 8 h of thin sun with 8 A, each day the house takes a little more than that: 3 A for 24 h
# with a kettle in the morning and a stove in the evening. The pack sinks to empty and lives from hand to mouth.
#
# The owner expects: at V-min the load is switched off, not later, and it comes back when there is something in the pack
# again (discharge restart 20 %), not at each rebound: at most one off and on a day. Charging is never refused. SOC
# admits how unsure it is.
# Manual: "Discharge restart". Rules: S3 (empty sync), P2, P4, P5, S6.

pack cells 4, capacity-ah 200, soc 90, spread 0, charge-a 30, load-a 3
set capacity 2560Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 3h
until charge closed by clear within 10h
expect soc 94..95
always charge closed
always rate load 0..2
always lowest 2.5..3.6
free load
repeat 40
charger 0
after 9h
consumers 40
after 10m
consumers 3
charger 8
after 8h
charger 0
consumers 30
after 30m
consumers 3
after 6h20m
end
# Some 5 Ah a day are missing (64 Ah in, 72 + 6.7 + 15 Ah out as long as there is any): empty within two weeks, then at
# most one off and on a day.
expect openings load 10..40
expect closings load 10..40
always not alarm cycling-load
# Spring: the sun is back, the pack gets full, all is as it was.
charger 30
until load closed within 10h
strict load
no longer charge closed
until charge open by full within 20h
expect load closed and soc 99..100 and truth 97..100 and alarms none
