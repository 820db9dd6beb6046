# SPDX-License-Identifier: MIT
# A communications glitch at 40 %, discharge restart set to 50 %
#
# A house on batteries in the evening, 40 % left, no sun until morning. The owner has set discharge restart to 50 %.
# The cable to the cell boards drops out for 20 s, as a loose connector does.
#
# The owner expects: while nothing is heard both relays are open (manual, "Algorithm": "no cell communication"), and
# seconds after the cells are heard again the light is back. The manual's table taken word for word would keep the
# house dark until the sun has brought 10 % back: "SOC >= discharge restart" is there "to prevent toggling" after an
# empty battery, and this battery was never empty.
# Rules: B10 (stale, live again by itself), P2 (no SOC term after link), P4 (10 s, not the restart delay).

pack cells 16, capacity-ah 280, soc 40, spread 0, charge-a 0, load-a 20
set capacity 14336Wh
set discharge_restart 50%
cells configured

# The pack was full once, some days ago: SOC counts, and its terms apply where they have to.
true-soc 99
charger 30
until charge closed and load closed within 1s..10s
until charge open by full within 2h
expect calibrated and soc 99..100
charger 0
true-soc 40
owner soc 40
# Charging may go on at once as far as SOC is concerned (40 % < 95 %); the restart delay of 60 s after "full" remains.
until charge closed by clear within 55s..70s
expect load closed and soc 39..41
after 10m

fault silence+20
# The last message came up to 1 s ago; 3.5 s without one is silence (slow messages, design 12: 3.6 s).
until load open by link and charge open by link within 2s..3.6s
expect why load link recovery
after 16s
expect load open by link and alarm stale
# 20 s of silence: heard again at 20 s. Three good messages make it live, trip_frames of them close the relay.
until load closed by clear and charge closed by clear within 8s
expect alarms none

# The same with a broken chain: a cell board falls off for a minute, E is the reason and names the place.
after 10m
fault cut=7+60
until load open by error and charge open by error within 3.6s
expect names communication board 7
until load closed and charge closed within 55s..66s
# 20 A of 280 Ah: 7 points an hour.
after 2h
expect load closed and soc 20..30
