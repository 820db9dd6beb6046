/* SPDX-License-Identifier: MIT */
#include "deframer.h"
