# SPDX-License-Identifier: MIT
# The V-bypass switch is turned above V-max
#
# 8 cells of 200 Ah; somebody touches option switches 2, 6, 7 while cleaning: V-bypass is 4.0 V now, V-max is 3.65 V. The pack
# can never be "full", and no cell is balanced.
#
# The owner expects: V-max still protects. One alarm that names the switch, not one about cells that are well balanced. No
# rattling contacts: never more than six closings an hour. The house never goes dark for it, for days on end. Turned back,
# all is well by itself.
# Rules: P10, B9 (three frames), P5, P6. Manual: "This setting can be changed with the option switches on the IN-board".

pack cells 8, capacity-ah 200, soc 80, spread 0, charge-a 40, load-a 8
set capacity 5120Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 3h
until charge closed by clear within 3h
always load closed
always rate charge 0..6
always highest 3.0..3.8
fault v-bypass=4.0
until alarm settings-conflict within 2s..4s
expect names settings-conflict V-bypass
until charge open by V-max within 2h
# No cell is behind: nothing to say about imbalance (P6), the cause has its own alarm.
always not alarm imbalance-warning
always not alarm imbalance
free charge
repeat 5
charger 40
after 8h
charger 0
after 16h
end
# Each day was charged again: the house takes 128 Ah a night.
charger 40
after 7h
expect truth 85..100
# Other settings can still be changed meanwhile (P10); one that would make the conflict another one cannot.
owner set charge_restart 90%
repair v-bypass
until not alarm settings-conflict within 5s
charger 0
after 16h
charger 40
until charge open by full within 8h
expect soc 99..100 and truth 97..100
after 1m
expect alarms none
