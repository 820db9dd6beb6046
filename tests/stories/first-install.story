# SPDX-License-Identifier: MIT
# First installation: no capacity set, never calibrated
#
# A cabin, 16 cells of 200 Ah delivered half full. The owner screws the boards on, starts the gateway with the config as
# it came, and looks at the lamps. Solar gives 40 A, the house takes 5 A. Capacity is set only in the evening.
#
# The owner expects: light and charging within seconds, an alarm that asks for the capacity, no invented SOC. In the
# afternoon the pack gets full; charging stops, and does not chatter for the rest of the day. Once the capacity is set
# SOC is there at once: the pack was seen full. The load is never switched off.
# Manual: "Algorithm" (normal mode); "If the BMS is newly mounted on the battery pack, the SOC may not show 100% while
# the cells are full. Charge the battery pack until all cell voltages are above Vbypass."
# Rules: S1, S4, P2 (SOC terms waived while not calibrated or unknown; 50 mV instead), P4, P5, B15.

pack cells 16, capacity-ah 200, soc 50, spread 0, charge-a 40, load-a 5
cells learned
after 1s
expect charge open by start and load open by start and why charge includes link
until charge closed by clear and load closed by clear within 1s..10s
always load closed
always rate charge 0..6
expect alarms capacity-unset
expect soc unknown and not calibrated

# 100 Ah are missing, 35 A go in: full after some 2.8 h.
until charge open by full within 2.5h..3.2h
expect truth 97..100
expect calibrated and soc unknown
expect why charge includes v-bypass

# The sun shines on for four hours. With consumers at 5 A the cells fall back within seconds, so something must keep the
# relay from following: never more than six closings in any hour (P5).
free charge
after 4h
expect truth 96..100

# Night: 5 A for 14 h take 70 Ah. Morning: the pack must be charged again, with nobody there to type a command.
charger 0
after 14h
expect truth 55..70
charger 40
after 5m
strict charge
expect charge closed
until charge open by full within 3h
after 10s

# The capacity is set: the pack was just seen full, so that is what SOC says.
owner set capacity 10240Wh
expect soc 99..100 and calibrated
after 10m
expect charge open and why charge soc
until charge closed by clear within 3h
expect soc 94..95
expect covered
expect alarms none
