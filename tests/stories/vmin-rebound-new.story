# SPDX-License-Identifier: MIT
# V-min under a 1 C load and the rebound, on a pack that was never calibrated
#
# As vmin-rebound, but the gateway was installed an hour ago: SOC is not known, so it cannot hold the load off.
#
# The owner expects: not a dead battery. The rebound may bring the load back twice, as the manual's table says; the third
# time it stays off until something was charged (1 % of the capacity), or until somebody says `release load`.
# Rules: P2 (waived while not calibrated), P4, P5 (third V-min trip), P15.

pack cells 4, capacity-ah 200, soc 6, spread 0, charge-a 0, load-a 200
cell 1 resistance 1.6
set capacity 2560Wh
cells configured
until charge closed and load closed within 10s
always rate load 0..3
always lowest 1.5..3.4
until load open by V-min cell 1 within 20m
until load closed by clear within 60s..70s
until load open by V-min cell 1 within 3m
until load closed by clear within 60s..70s
until load open by V-min cell 1 within 3m
after 2h
expect load open and why load vmin-trips
expect alarm cycling-load
# The owner reads `why load`, switches the inverter off, and releases it for the lights.
consumers 2
owner release load
until load closed by clear within 5s
expect not alarm cycling-load
always load closed
after 1h
# Sun.
charger 40
after 1h
