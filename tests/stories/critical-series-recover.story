# SPDX-License-Identifier: MIT
# A combined charger/inverter, critical mode, both contacts in series; the pack runs empty; `recover`
#
# 16 cells of 100 Ah, one device that charges and discharges, one enable signal: manual, "Switching combined charger/inverter":
# "Connect the charge and load relay of the BMS in series". Mains fails, the house takes 20 A until the pack is empty.
#
# The owner expects: a full pack does not switch the house off (critical mode). At V-min all is off, `why` says that
# charging is off as well, and it stays off instead of starting at each rebound. When the mains is back, `recover` charges
# the empty pack, ends by itself, and the house is on again. `recover` while the house only draws ends at once.
# Rules: P11, P5 (V-min trips in critical mode), S2 (pack voltage), manual "Critical mode".

pack cells 16, capacity-ah 100, soc 95, spread 0, critical 1, sensors 1, contacts-in-series 1, charge-a 25, load-a 5, charger-cell-v 3.52
set capacity 5120Wh
set mode critical
set wiring series
cells configured
until charge closed and load closed within 10s
# Float at 3.52 V a cell, V-bypass 3.5 V: SOC is set to 100 %, nothing opens.
until calibrated within 4h
expect charge closed and load closed and soc 99..100
always rate load 0..3
after 6h
expect charge closed and load closed and soc 99..100

# Mains fails.
charger 0
consumers 20
until load open by V-min within 4h..6h
expect charge closed
expect why load includes rule
# The rebound: by the manual's table it may come back, twice at most; the third V-min trip holds (P5). No charging is possible:
# the contacts are in series.
free load
after 3h
strict load
expect load open
expect openings load 1..3

# `recover` while the house still draws and no mains is there: ends at once by the current.
free load
owner recover 10
after 10s
expect not recovering and load open
# Mains is back. 25 A in, 5 A out.
consumers 5
charger 25
owner recover 10
after 12s
strict load
expect recovering and load closed by recover and charge closed
until not recovering within 10m
# 20 A for 10 minutes are 3.3 Ah: 3.3 %, more than the 1 % that P5 asks for: it stays on by the ordinary rules.
expect load closed and charge closed
always load closed
after 4h
expect not alarm cycling-load and truth 50..100
# With separate contacts there is no need for it, and it says so.
owner set wiring separate
owner cannot recover 10
