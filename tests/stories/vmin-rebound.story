# SPDX-License-Identifier: MIT
# V-min under a 1 C load, and the rebound
#
# 4 cells of 200 Ah, an inverter that takes 200 A (a kettle and a pump), the pack at 15 % in the evening. Under load the
# voltage sags by some 0.2 V and more, without load it comes back at once. Nobody switches the load off.
#
# The owner expects: off at V-min. Then off, for the night: without SOC and hysteresis the inverter would start again
# on the rebound, sag, and stop, every minute, until the battery is dead. It comes back with the sun at 20 %.
# Manual: "Discharge restart", tables of "Algorithm". Rules: P2, P4 (200 mV, 60 s), S3 (|I| > C/20: at most 10 %).

pack cells 4, capacity-ah 200, soc 98, spread 0, charge-a 50, load-a 1
set capacity 2560Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 1h
charger 0
true-soc 15
owner soc 15
until charge closed within 2m
always rate load 0..1
consumers 200
until load open by V-min within 1m..8m
expect soc 0..10
expect why load includes soc
expect why load includes delay
after 1s
# The rebound: far above V-min at once.
after 5s
expect lowest 2.85..3.2
after 2m
expect load open and why load includes soc and not alarm v-min
after 9h
expect load open
# Morning, 50 A: 20 % is 10..20 points of 200 Ah away.
consumers 1
charger 50
until load closed by clear within 20m..1h
expect soc 20..20.1
always load closed
after 2h
