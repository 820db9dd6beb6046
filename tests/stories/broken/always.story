# SPDX-License-Identifier: MIT
# The current does not stay above 4 A when the charger ends.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
until charge closed and load closed within 10s
after 10s
always current 4..6
after 10s
charger 0
after 10s
