# SPDX-License-Identifier: MIT
# One weak cell: cell 3 has 140 Ah, its neighbours 200 Ah
#
# 8 cells, aged; cell 3 has lost a third. The capacity is set to what the label says. Full, then a long evening at 30 A.
#
# The owner expects: the pack ends where its weakest cell ends. The load opens when cell 3 reaches V-min and says that it is
# cell 3; the other cells would have had another 60 Ah, and SOC, which said some 30 %, is corrected: there is nothing more to
# get. It comes back when 20 % are charged, not before, and does not toggle.
# Manual: "V min: if one of the cells gets below ...". Rules: P1, P2, S3, P15.

pack cells 8, capacity-ah 200, soc 97, spread 0, charge-a 20, load-a 5
cell 3 capacity-ah 140, soc 95.7 # they all get full together
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 2h
expect calibrated
charger 0
consumers 30
until charge closed by clear within 1h
until load open by V-min cell 3 within 3h..5h
# 30 A is C/7: S3's second half, "at most 10 %".
expect soc 9..10 and alarm v-min
expect names v-min cell 3
expect why load includes rule and charge closed
after 5m
# Rest: the cell has come back a little. SOC holds: nothing was charged.
expect load open and why load includes soc
after 6h
expect load open and charge closed and alarms none
expect soc 9..10
# Morning: 20 A, the house takes 5 A when it is let. 10 points of 200 Ah after an hour.
consumers 5
charger 20
until load closed by clear within 50m..70m
expect soc 20..20.1 and charge closed
# On to full: all cells meet at the top, nothing is lost there.
always load closed
always rate charge 0..6
until charge open by full within 20h
expect soc 99..100 and alarms none
