# SPDX-License-Identifier: MIT
# Half full, 5 A in: full does not come within a minute.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
until charge closed and load closed within 10s
until charge open by full within 1m
