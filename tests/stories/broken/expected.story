# SPDX-License-Identifier: MIT
# The load is closed, not open.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
until charge closed and load closed within 10s
expect load open
