# SPDX-License-Identifier: MIT
# One strong cell: cell 2 was replaced, is new, and half full
#
# 8 cells of 200 Ah, all full but cell 2, which is new (220 Ah) and came at 50 %. Sun gives 40 A for 8 h a day, the house takes 5 A all day.
#
# The owner expects: the full cells are protected (V-max, charging off, again and again), the alarm tells that cell 2 lags and what to
# do about it, contacts do not rattle: never more than six closings in an hour. And the house is never dark: what the other
# cells hold can be used each night and is charged again each day, for a week, whether or not anybody types a command.
# Manual: "V max", "V bypass: This is the balancing voltage where you want all the cells to end up".
# Rules: P4, P5, P6 (imbalance instead of cycling).

pack cells 8, capacity-ah 200, soc 97, spread 0, charge-a 40, load-a 5
cell 2 capacity-ah 220, soc 50
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
always load closed
always rate charge 0..6
always highest 3.0..3.9
until charge open by V-max within 2h
expect why charge includes rule
expect alarm imbalance-warning
expect names imbalance-warning cell 2
free charge
repeat 7
charger 40
after 8h
charger 0
after 16h
end
expect not alarm v-min
# Each day's 80 Ah for the night came back in.
charger 40
after 7h
expect truth 75..100
