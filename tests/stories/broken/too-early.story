# SPDX-License-Identifier: MIT
# Silence opens after 3.6 s at most, not after 10.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
until charge closed and load closed within 10s
after 1m
fault silence
until charge open by link and load open by link within 10s..20s
