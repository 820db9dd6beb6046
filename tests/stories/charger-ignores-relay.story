# SPDX-License-Identifier: MIT
# The charger ignores the open relay
#
# 8 cells of 100 Ah. The wire from the charge contact to the charger's enable input has come off (or the contact is welded):
# the charger charges on at 20 A. The owner has an outer contactor on the heartbeat output and
# `deadman_on_ineffective: yes` in the config.
#
# The owner expects: the relay opens at full and V-max like ever. Ten seconds later at the latest it is known that this had
# no effect: an alarm that says what to do, and the heartbeat stops, so that the contactor drops. The load stays on: it helps.
# The alarm ends when the current has ended. Rules: P12, P16, S2.

pack cells 8, capacity-ah 100, soc 98, spread 0, charge-a 20, load-a 2
set capacity 2560Wh
deadman ineffective
cells configured
until charge closed and load closed within 10s
always load closed
expect heartbeat
fault relay-stuck=charge
until charge open by full within 1h
# Full, and 18 A still flow. V-max is reached within minutes.
until alarm v-max within 20m
until alarm ineffective-charge within 11s
expect not heartbeat
expect names ineffective-charge switch the charger off by hand
expect charge open
# The contactor drops.
charger 0
until not alarm ineffective-charge within 3s
expect heartbeat
# Repaired: charging as ever, once 5 % are used.
repair relay-stuck
consumers 10
until charge closed by clear within 90m
expect soc 90..100
charger 20
until charge open by full within 2h
expect alarms none
