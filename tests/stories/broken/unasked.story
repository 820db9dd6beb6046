# SPDX-License-Identifier: MIT
# A relay moves and the story does not say so.
pack cells 4, capacity-ah 100, soc 50, spread 0, charge-a 10, load-a 5
set capacity 1280Wh
cells configured
after 1m
