# SPDX-License-Identifier: MIT
# The plug of a current sensor falls out
#
# 4 cells of 200 Ah, two sensors, a sunny week. The plug of sensor 2 (consumers) falls out one morning and is found on
# the third day.
#
# The owner expects: an alarm within seconds. A SOC that stands still and says that it is less and less sure, never one that counts the
# sun and not the house. Charging and load go on by voltage and temperature: no dark house for a plug. No chatter at
# the top meanwhile. After the repair the next full pack sets all right.
# Rules: S7 (lost sensor), P2 (not calibrated: 50 mV), P5. Manual: "Only one current sensor".

pack cells 4, capacity-ah 200, soc 90, spread 0, charge-a 40, load-a 8
set capacity 2560Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 2h
until charge closed by clear within 2h
expect calibrated and soc 94..95
always load closed
always rate charge 0..6
fault sensor-lost=2
until alarm sensor-lost within 4s..7s
expect not calibrated and current unknown
expect soc 94..96
always covered
free charge
repeat 2
charger 40
after 6h
charger 0
after 18h
end
expect alarm sensor-lost
expect truth 20..75
charger 40
repair sensor-lost
until not alarm sensor-lost within 3s
until calibrated within 8h
expect truth 97..100 and soc 99..100
no longer covered
strict charge
after 1m
expect alarms none
