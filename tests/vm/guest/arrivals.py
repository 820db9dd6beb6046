#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tells when bytes come out of a serial port, before anything else that runs: "TIME TOTAL" for each reading."""

import os
import sys
import time
import tty

port = os.open(sys.argv[1], os.O_RDONLY | os.O_NOCTTY)
tty.setraw(port)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
total = 0
print("ready", flush=True)
while True:
    total += len(os.read(port, 4096))
    print(time.clock_gettime(time.CLOCK_BOOTTIME), total, flush=True)
