# SPDX-License-Identifier: MIT
# The current sensor was put on the wrong way round
#
# 16 cells of 100 Ah, one sensor, mounted backwards: charging reads as discharging. The manual: "Make sure to run the current cable the
# right way through the current sensor. When charging, you should see a positive current". A kettle of 30 A runs for 3
# minutes every hour, day and night; the sun gives 25 A for 8 h.
#
# The owner expects: an alarm that says so within the first day. Until it is turned: no dark house. SOC counts the wrong way, so
# it must not decide: the sun charges the pack each day by voltage, and it never runs empty while the charge relay "waits for SOC to fall".
# Rules: S7 (reversed), P2 (SOC terms only where SOC can be right).

pack cells 16, capacity-ah 100, soc 95, spread 0, charge-a 0, load-a 3, sensors 1
set capacity 5120Wh
set sensors 1
cells configured
fault sensor-reversed=1
until charge closed and load closed within 10s
always load closed
always rate charge 0..6
free charge
repeat 12
after 55m
consumers 30
after 3m
consumers 3
after 2m
end
until alarm sensor-reversed within 1m
# Six days of sun and nights.
always truth 10..100
repeat 6
charger 25
repeat 8
after 55m
consumers 30
after 3m
consumers 3
after 2m
end
charger 0
repeat 16
after 55m
consumers 30
after 3m
consumers 3
after 2m
end
end
expect alarm sensor-reversed
# The owner turns it. The alarm goes when the kettle has shown it, and the next full pack sets SOC right.
repair sensor-reversed
charger 10
repeat 12
after 55m
consumers 30
after 3m
consumers 3
after 2m
end
expect not alarm sensor-reversed
charger 25
until calibrated and soc 99..100 within 12h
expect truth 97..100
