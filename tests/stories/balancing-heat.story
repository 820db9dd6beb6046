# SPDX-License-Identifier: MIT
# Balancing in summer: hot boards, cool cells
#
# 16 cells of 100 Ah in a shed at 36 degC. Cell 5 is half a percent ahead and balances while the others come up: its board dissipates 1 A and
# reads 25 degC too much: 61 degC and more, above T-max 55 degC. Manual: "Please be aware the temperature during bypass mode
# is much higher than the really cell temperature."
#
# The owner expects: balancing goes on, nothing is switched off, on the hottest day. But a cell that is really hot and not
# balancing stops everything at T-max, and a balancing one at T-max + 25.
# Rules: P7, P4 (2 degC, 60 s).

pack cells 16, capacity-ah 100, soc 96.5, spread 0, temperature 36, charge-a 2.5, load-a 1
cell 5 soc 97.2
cell 9 soc 97.0
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
always load closed
until bypassing 1..2 within 3h
expect charge closed
until charge open by full within 4h
# And for 10 minutes after, while the boards cool down.
after 20m
expect load closed and alarms none

# A cell that is hot by itself.
no longer load closed
free charge
fault hot=12,56
until load open by T-max cell 12 within 3s
expect charge open and alarm t-max
repair hot
until load closed within 60s..70s

# A cell that balances is allowed 80 degC, not more.
fault voltage=5,3.52
after 30s
fault hot=5,79
after 10m
expect load closed
fault hot=5,81
until load open by T-max cell 5 within 3s
repair hot
repair voltage
until load closed within 60s..70s
