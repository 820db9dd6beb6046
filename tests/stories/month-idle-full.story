# SPDX-License-Identifier: MIT
# Full, and nobody home for a month: 0.6 A the sensor does not see
#
# 4 cells of 200 Ah, sensors of 100 A with the recommended blind spot of +-1 A (manual, "Specifications"). The owner fills
# the pack, switches everything off and leaves. A router and the boards still take 0.6 A, which the sensors read as 0:
# 14.4 Ah a day, so the pack would be empty after 14 days while SOC says 100 %. Charging current is there whenever the
# charge relay closes.
#
# The owner expects: the pack is charged in time without anybody there. The router never goes off, the battery is never
# below 70 %. From the second time on SOC knows of the draw, so the manual's own rule (charge restart, 95 %) tops it up:
# 10 Ah at 0.6 A, every 17 hours.
# Rules: P3 (SOC minus the growth of its uncertainty < charge restart - 10 points), S5 (idle draw), S6.

pack cells 4, capacity-ah 200, soc 95, spread 0, charge-a 20, load-a 0.6, sensor-a 100, blind-spot 1
set capacity 2560Wh
cells configured
until charge closed and load closed within 10s
always load closed
always truth 70..100
until charge open by full within 2h
expect soc 99..100 and calibrated
always rate charge 0..2
# The blind spot's half, 0.5 A, is what nobody knows of: 12 Ah a day. 15 points of 200 Ah are reached after 2.5 days.
until charge closed by clear within 2d..3d
expect truth 78..85
until charge open by full within 4h
# The first time away taught the draw (S5): 0.6 A, within 0.1 A.
expect idle-draw 0.5..0.7
count
free charge
always covered
always error -6..6
after 25d
expect closings charge 20..40
expect alarms none
