# SPDX-License-Identifier: MIT
# One current sensor only, on J1
#
# 16 cells of 100 Ah, one sensor that sees the net current (manual, "Only one current sensor or cable": "the BMS will also work
# perfectly fine"). Sun by day, house at all times.
#
# The owner expects: no alarm about a second sensor that was never there; SOC as right as with two; full and restart as ever.
# Rules: S7 (sensors: auto), wire-formats (I2 = X), design 7.

pack cells 16, capacity-ah 100, soc 80, spread 0, charge-a 25, load-a 5, sensors 1
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
always load closed
always rate charge 0..2
until charge open by full within 2h
expect calibrated and soc 99..100
always error -2..2
always covered
always not alarm sensor-lost
until charge closed by clear within 80m
charger 0
after 8h
expect soc 50..60
charger 25
after 1h
expect current 18..21
until charge open by full within 3h
expect alarms none
