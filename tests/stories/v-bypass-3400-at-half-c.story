# SPDX-License-Identifier: MIT
# V-bypass 3.4 V, charged at 0.5 C
#
# 8 cells of 200 Ah; the owner, careful, has turned V-bypass to its lowest, 3.4 V, and charges with 100 A. The current alone lifts
# each cell by some 80 mV, so "every cell >= 3.4 V" comes at three quarters.
#
# The owner expects: what the manual says: full is when all cells are at V-bypass, SOC 100 %. But a gateway that knows how large
# its currents are says how little that proves: the uncertainty covers the truth. Nothing is learned from it.
# With `full_tail_current` full is believed only when the current has fallen, as a charger at 3.45 V a cell lets it do, and then 100 %
# is nearly that.
# Rules: S2, S6 (uncertainty at a sync), S5 (no learning from such a sync). Manual: "SOC calculation".

pack cells 8, capacity-ah 200, soc 40, spread 0, v-bypass-mv 3400, charge-a 100, load-a 0
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
always load closed
always rate charge 0..6
until charge open by full within 2h
expect soc 100 and truth 65..92
expect covered
expect uncertainty 10..100
# It can be used, charged again, and does not rattle.
consumers 20
until charge closed by clear within 1h
always covered
until charge open by full within 1h

# The same with full_tail_current.
charger 0
until charge closed by clear within 1h
owner set full_tail_current 10A
after 2h
consumers 0
charger 100
until highest 3.50..3.64 within 2h
expect charge closed
# Tapering, as a charger at its end voltage does.
charger 30
until highest 3.50..3.64 within 1h
expect charge closed
charger 9
until charge open by full within 1h
expect truth 97..100 and soc 99..100 and covered
expect uncertainty 1..6
