/* SPDX-License-Identifier: MIT */
#include "bms.h"
