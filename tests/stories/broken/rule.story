# SPDX-License-Identifier: MIT
# Silence is the reason, not V-min.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
until charge closed and load closed within 10s
fault silence
until load open by V-min and charge open within 1m
