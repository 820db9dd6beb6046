# SPDX-License-Identifier: MIT
# An upgrade restarts the gateway at 97 %
#
# Full at noon, 97 % in the evening, charging waits for 95 % as it should. The owner installs an upgrade: the gateway is
# away for 8 s. Night follows, 5 A.
#
# What an owner expects: after the start all is as before (P14, S8): SOC 97 %, calibrated, charging waits for 95 %; only the
# light is gone for as long as it takes. Nobody counted for 8 s, and the uncertainty says so.
# Rules: P13 (coils are driven open at start), P4 (a start is no opening), P14, P2, S8.

pack cells 16, capacity-ah 200, soc 99, spread 0, charge-a 30, load-a 5
set capacity 10240Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 1h
charger 0
after 1h12m
expect soc 96.5..97.5 and calibrated and charge open
expect why charge soc
restart 8s
# What was open before is open for its old reason still.
expect charge open by full and load open by start
until load closed by clear within 10s
expect soc 96.5..97.5 and calibrated and covered and charge open
expect why charge soc
expect alarms none
always load closed
# A restart loses the light for as long as it takes, not longer, and does not count as cycling.
always rate charge 0..6
# 97 % to 95 % of 200 Ah are 4 Ah: 48 min at 5 A.
until charge closed by clear within 40m..60m
expect soc 94.5..95.1 and calibrated and covered
after 7h
expect truth 70..80 and covered
charger 30
until charge open by full within 4h
expect soc 99..100 and calibrated and truth 97..100
