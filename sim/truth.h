/* SPDX-License-Identifier: MIT */
#pragma once

/* What is true of the simulated pack, as lines of CSV beside the stream: what an estimate is measured against. */

#include <stdio.h>

#include "simulation.h"

/* The names of the columns, one line. */
int truth_header(FILE *file);

/* One line: what flowed in the newest step, and the charge after it. A sensor that reads X has an empty field. 0, or
 * -EIO. */
int truth_line(FILE *file, const struct simulation *s);
